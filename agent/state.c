/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's state file (state.h).
 */
#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"

#define FILE_MAX (4 * 1024 * 1024)

char *dysco_read_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0) {
		return NULL;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX) {
		text = malloc((size_t)st.st_size + 1);
	} else {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
	}
	*bytes = 0;
	while (text && *bytes < (size_t)st.st_size) {
		n = read(fd, text + *bytes, (size_t)st.st_size - *bytes);
		if (n <= 0) {
			break;
		}
		*bytes += (size_t)n;
	}
	if (text) {
		text[*bytes] = '\0';
	}
	close(fd);
	return text;
}

static int read_statement(void *context, const char *where, const struct dysco_words *words)
{
	struct dysco_state *state = context;
	struct dysco_words rest;

	(void)where;
	if (strcmp(words->word[0], "statement") == 0) {
		rest = *words;
		rest.count--;
		memmove(rest.word, rest.word + 1, (size_t)rest.count * sizeof(rest.word[0]));
		dysco_journal_restore(state->journal, &rest);
	} else if (strcmp(words->word[0], "reserved") == 0 && words->count == 3) {
		dysco_machine_note_reserved(state->machine, words->word[1], words->word[2]);
	} else {
		dysco_ids_read_statement(state->ids, words);
	}
	return 0;
}

static void read_state(struct dysco_state *state)
{
	char wrong[512];
	size_t bytes;
	char *text = dysco_read_file(state->path, &bytes);

	if (!text) {
		return;
	}
	if (dysco_words_read(state->path, text, bytes, read_statement, state, wrong,
			     sizeof(wrong)) != 0) {
		dysco_log(DYSCO_LOG_WARN, "state file: %s", wrong);
	}
	free(text);
	state->ids->changed = false;
}

static void make_directory(const char *socket_path)
{
	char directory[256];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", socket_path);
	slash = strrchr(directory, '/');
	if (slash && slash != directory) {
		*slash = '\0';
		mkdir(directory, 0755);
	}
}

/* A predecessor that was killed holds its lock until the kernel has taken it apart. */
static bool lock_patiently(int fd)
{
	struct timespec pause = {.tv_nsec = 20 * 1000000};

	for (int i = 0; i < 150; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			return true;
		}
		nanosleep(&pause, NULL);
	}
	return false;
}

int dysco_state_open(struct dysco_state *state, const char *socket_path,
		     struct dysco_conf_error *error)
{
	char lock[260];

	if (strlen(socket_path) > 240) {
		return dysco_conf_fail(error, "bad_value", NULL, "%.200s: path is too long",
				       socket_path);
	}
	make_directory(socket_path);
	snprintf(state->path, sizeof(state->path), "%.240s.state", socket_path);
	snprintf(lock, sizeof(lock), "%.240s.lock", socket_path);
	state->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (state->lock_fd < 0) {
		return dysco_conf_fail(error, "internal", NULL, "%s: %s", lock, strerror(errno));
	}
	if (!lock_patiently(state->lock_fd)) {
		return dysco_conf_fail(error, "exists", "stop it first",
				       "another agent serves %.200s", socket_path);
	}
	read_state(state);
	return 0;
}

static void write_reserved(FILE *file, const struct dysco_machine *machine)
{
	char name[192];

	for (uint32_t i = 0; i < machine->count; i++) {
		const struct dysco_netns *netns = &machine->netns[i];

		if (netns->reserved) {
			dysco_words_quote(name, sizeof(name), netns->name);
			fprintf(file, "reserved %s %s\n", name, netns->reserved);
		}
	}
}

static bool write_state(FILE *file, const struct dysco_state *state)
{
	size_t bytes = dysco_ids_write(state->ids, NULL, 0) + 1;
	char *text = malloc(bytes);

	if (!text) {
		return false;
	}
	dysco_ids_write(state->ids, text, bytes);
	fputs(text, file);
	free(text);
	write_reserved(file, state->machine);
	for (uint32_t i = 0; i < state->journal->count; i++) {
		fprintf(file, "statement %s\n", state->journal->entries[i].line);
	}
	return fflush(file) == 0;
}

void dysco_state_store(struct dysco_state *state)
{
	char temporary[264];
	bool good = false;
	FILE *file;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", state->path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file) {
		good = write_state(file, state);
		good = fclose(file) == 0 && good;
	}
	if (!good || rename(temporary, state->path) != 0) {
		dysco_log(DYSCO_LOG_WARN, "cannot write %s: %s", temporary, strerror(errno));
		return;
	}
	state->ids->changed = false;
	state->machine->changed = false;
}

void dysco_state_remove(struct dysco_state *state)
{
	unlink(state->path);
}
