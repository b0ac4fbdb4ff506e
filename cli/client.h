/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's socket, from the asking side: one line out, JSON documents in
 * (docs/socket.md).
 */
#ifndef DYSCO_CLI_CLIENT_H
#define DYSCO_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

/* Joins words to one line that the agent splits again; 0, or -1 when it does not fit. */
int dysco_client_line(char *line, size_t line_bytes, int n_words, char *const *words);

/* Connects; returns a file descriptor, or -1 with a sentence in error. */
int dysco_client_connect(const char *path, char *error, size_t error_bytes);

/* Sends the line (without newline). 0, or -1 with a sentence in error. */
int dysco_client_send(int fd, const char *line, char *error, size_t error_bytes);

struct dysco_client_reader {
	int fd;
	size_t used, room;
	char *bytes; /* free() it in the end */
};
/* The next document, to be json_decref()ed; NULL at the end or with a sentence in error. */
json_t *dysco_client_next(struct dysco_client_reader *reader, char *error, size_t error_bytes);

/* All of that for one answer; NULL with a sentence in error. */
json_t *dysco_client_ask(const char *path, const char *line, char *error, size_t error_bytes);

#endif
