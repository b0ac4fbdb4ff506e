/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's socket, from the asking side. */
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/words.h"

#define ANSWER_MAX     (64u * 1024 * 1024) /* bytes of one document */
#define ANSWER_SECONDS 70

int dysco_client_line(char *line, size_t line_bytes, int n_words, char *const *words)
{
	size_t used = 0;

	for (int i = 0; i < n_words; i++) {
		size_t room = line_bytes - used;
		size_t need = dysco_words_quote(line + used, room, words[i]);

		if (need + 2 > room) {
			return -1;
		}
		used += need;
		line[used++] = ' ';
	}
	line[used > 0 ? used - 1 : 0] = '\0';
	for (char *c = line; *c != '\0'; c++) {
		*c = (*c == '\n' || *c == '\r') ? ' ' : *c;
	}
	return 0;
}

static void say_connect_error(const char *path, char *error, size_t error_bytes)
{
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		snprintf(error, error_bytes, "no agent answers on %s: is dyscod running?", path);
		break;
	case EACCES:
	case EPERM:
		snprintf(error, error_bytes,
			 "no permission to talk to the agent on %s: run as root", path);
		break;
	default:
		snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
		break;
	}
}

int dysco_client_connect(const char *path, char *error, size_t error_bytes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, error_bytes, "%s: longer than a socket's path may be", path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		say_connect_error(path, error, error_bytes);
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int send_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR) {
			continue;
		}
		if (sent <= 0) {
			return -1;
		}
		bytes += sent;
		count -= (size_t)sent;
	}
	return 0;
}

int dysco_client_send(int fd, const char *line, char *error, size_t error_bytes)
{
	if (send_all(fd, line, strlen(line)) != 0 || send_all(fd, "\n", 1) != 0) {
		snprintf(error, error_bytes, "the agent does not take the question: %s",
			 strerror(errno));
		return -1;
	}
	return 0;
}

static json_t *take_document(struct dysco_client_reader *reader, size_t bytes, size_t skip,
			     char *error, size_t error_bytes)
{
	json_error_t problem;
	json_t *document = json_loadb(reader->bytes, bytes, 0, &problem);

	memmove(reader->bytes, reader->bytes + skip, reader->used - skip);
	reader->used -= skip;
	if (!document) {
		snprintf(error, error_bytes, "the agent's answer is not JSON: %s", problem.text);
	}
	return document;
}

static int make_room(struct dysco_client_reader *reader)
{
	size_t room = reader->room ? reader->room * 2 : 16384;
	char *bytes;

	if (reader->used < reader->room) {
		return 0;
	}
	bytes = room <= ANSWER_MAX ? realloc(reader->bytes, room) : NULL;
	if (!bytes) {
		return -1;
	}
	reader->bytes = bytes;
	reader->room = room;
	return 0;
}

/* > 0: bytes came; 0: the end; -1 with a sentence. */
static int read_more(struct dysco_client_reader *reader, char *error, size_t error_bytes)
{
	ssize_t got;

	if (make_room(reader) != 0) {
		snprintf(error, error_bytes, "the agent's answer is too long");
		return -1;
	}
	do {
		got =
		    recv(reader->fd, reader->bytes + reader->used, reader->room - reader->used, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		snprintf(error, error_bytes, "no answer from the agent: %s",
			 errno == EAGAIN ? "it took too long" : strerror(errno));
		return -1;
	}
	reader->used += (size_t)got;
	return got > 0;
}

json_t *dysco_client_next(struct dysco_client_reader *reader, char *error, size_t error_bytes)
{
	size_t looked = 0;
	int more;

	error[0] = '\0';
	for (;;) {
		char *newline = reader->used > looked
				    ? memchr(reader->bytes + looked, '\n', reader->used - looked)
				    : NULL;

		if (newline) {
			size_t bytes = (size_t)(newline - reader->bytes);

			return take_document(reader, bytes, bytes + 1, error, error_bytes);
		}
		looked = reader->used;
		more = read_more(reader, error, error_bytes);
		if (more < 0) {
			return NULL;
		}
		if (more == 0) {
			return reader->used == 0 ? NULL
						 : take_document(reader, reader->used, reader->used,
								 error, error_bytes);
		}
	}
}

json_t *dysco_client_ask(const char *path, const char *line, char *error, size_t error_bytes)
{
	struct dysco_client_reader reader = {0};
	json_t *answer = NULL;

	reader.fd = dysco_client_connect(path, error, error_bytes);
	if (reader.fd < 0) {
		return NULL;
	}
	if (dysco_client_send(reader.fd, line, error, error_bytes) == 0) {
		answer = dysco_client_next(&reader, error, error_bytes);
		if (!answer && error[0] == '\0') {
			snprintf(error, error_bytes, "the agent closed the connection unanswered");
		}
	}
	free(reader.bytes);
	close(reader.fd);
	return answer;
}
