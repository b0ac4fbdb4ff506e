/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside libdysco: session.c names sessions, line.c writes questions, answer.c
 * reads answers, request.c carries both over the agent's socket (docs/socket.md).
 */
#ifndef DYSCO_LIB_INTERNAL_H
#define DYSCO_LIB_INTERNAL_H

#include <stdbool.h>

#include "dysco/dysco.h"

#define DYSCO_LIB_LINE_BYTES 16384 /* the longest question an agent takes, newline included */
#define DYSCO_LIB_ANSWER_MAX (1024 * 1024) /* bytes of an answer; larger ones are none */

/* ---- line.c ---- */
struct dysco_lib_line {
	char text[DYSCO_LIB_LINE_BYTES + 1];
	size_t used;
	bool full; /* did not fit */
};
/* "session VERB SRC DST"; -EINVAL: not a session. */
int dysco_lib_line_begin(struct dysco_lib_line *line, const char *verb,
			 const struct dysco_session *session);
/* A word, quoted as the agent's grammar wants it. */
void dysco_lib_line_word(struct dysco_lib_line *line, const char *word);
void dysco_lib_line_number(struct dysco_lib_line *line, const char *name, uint32_t number);
/* `host NAME` if there is one, and the newline; -EINVAL: too long. */
int dysco_lib_line_end(struct dysco_lib_line *line, const struct dysco_options *options);

/* ---- answer.c ---- */
/* The agent's document, text[0 .. bytes-1]; returns result->error. */
int dysco_lib_answer(const char *text, size_t bytes, struct dysco_result *result);
/* An end that no answer tells of: error < 0. Returns it. */
int dysco_lib_failed(struct dysco_result *result, int error);

/* ---- request.c ---- */
int dysco_lib_request_start(struct dysco_request **request, const struct dysco_options *options,
			    const struct dysco_lib_line *line);

#endif
