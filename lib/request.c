/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: one connection to the agent's socket each. The line goes out at
 * once; the answer is read as it comes, and ends with the agent's close.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/internal.h"

#define DEFAULT_SOCKET "/run/dysco/dysco.sock"
#define FIRST_BYTES    1024

struct dysco_request {
	int fd;
	bool over;
	struct dysco_result result; /* when it is over */
	size_t used, room;
	char *answer;
};

static const char *socket_path(const struct dysco_options *options)
{
	const char *path = options && options->socket ? options->socket : getenv("DYSCO_SOCKET");

	return path && path[0] != '\0' ? path : DEFAULT_SOCKET;
}

/* Connected, not blocking; or -errno. */
static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, wrong;

	if (strlen(path) >= sizeof(address.sun_path)) {
		return -EINVAL;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		wrong = -errno;
		close(fd);
		return wrong;
	}
	return fd;
}

/* A socket that was just made takes a line of this length at once. */
static int send_line(int fd, const struct dysco_lib_line *line)
{
	ssize_t sent;

	do {
		sent = send(fd, line->text, line->used, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0) { /* an agent that has too many clients answers unasked, and closes */
		return errno == EPIPE ? 0 : -errno;
	}
	return (size_t)sent == line->used ? 0 : -EIO;
}

int dysco_lib_request_start(struct dysco_request **request, const struct dysco_options *options,
			    const struct dysco_lib_line *line)
{
	struct dysco_request *r;
	int fd = open_socket(socket_path(options)), wrong;

	if (fd < 0) {
		return fd;
	}
	wrong = send_line(fd, line);
	r = wrong == 0 ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		close(fd);
		return wrong != 0 ? wrong : -ENOMEM;
	}
	r->fd = fd;
	*request = r;
	return 0;
}

int dysco_request_fd(const struct dysco_request *request)
{
	return request->fd;
}

void dysco_request_free(struct dysco_request *request)
{
	if (request) {
		close(request->fd);
		free(request->answer);
		free(request);
	}
}

/* ---- the answer ---- */

static int make_room(struct dysco_request *r)
{
	size_t room = r->room ? 2 * r->room : FIRST_BYTES;
	char *answer;

	if (r->used < r->room) {
		return 0;
	}
	if (room > DYSCO_LIB_ANSWER_MAX) {
		return -EPROTO;
	}
	answer = realloc(r->answer, room);
	if (!answer) {
		return -ENOMEM;
	}
	r->answer = answer;
	r->room = room;
	return 0;
}

static int is_over(struct dysco_request *r, int error)
{
	r->over = true;
	if (error == 0) {
		return dysco_lib_answer(r->answer, r->used, &r->result);
	}
	return dysco_lib_failed(&r->result, error);
}

/* Reads what is there; -EAGAIN: the answer is not whole. */
static int read_answer(struct dysco_request *r)
{
	for (;;) {
		int wrong = make_room(r);
		ssize_t got;

		if (wrong != 0) {
			return is_over(r, wrong);
		}
		got = recv(r->fd, r->answer + r->used, r->room - r->used, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return errno == EAGAIN ? -EAGAIN : is_over(r, -errno);
		}
		if (got == 0) {
			return is_over(r, r->used == 0 ? -ECONNRESET : 0);
		}
		r->used += (size_t)got;
		if (r->answer[r->used - 1] == '\n') {
			return is_over(r, 0);
		}
	}
}

int dysco_request_result(struct dysco_request *request, struct dysco_result *result)
{
	if (!request->over && read_answer(request) == -EAGAIN) {
		return -EAGAIN;
	}
	if (result) {
		*result = request->result;
	}
	return request->result.error;
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int dysco_request_wait(struct dysco_request *request, int timeout_ms, struct dysco_result *result)
{
	struct pollfd readable = {.fd = request->fd, .events = POLLIN};
	int64_t until = now_ms() + timeout_ms, left = timeout_ms;
	int error = dysco_request_result(request, result);

	while (error == -EAGAIN) {
		if (timeout_ms >= 0 && left <= 0) {
			return -ETIMEDOUT;
		}
		if (poll(&readable, 1, timeout_ms < 0 ? -1 : (int)left) < 0 && errno != EINTR) {
			return -errno;
		}
		left = until - now_ms();
		error = dysco_request_result(request, result);
	}
	return error;
}
