/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of words: the grammar under the configuration file, the lab file
 * and the agent's socket.
 *
 *   word "quoted word" 'another' esc\ aped   # a comment
 *
 * White space separates; inside double quotes \" and \\ are escapes; inside
 * single quotes nothing is; a # at the start of a word begins a comment.
 */
#ifndef DYSCO_CONF_WORDS_H
#define DYSCO_CONF_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define DYSCO_WORDS_MAX	 256
#define DYSCO_LINE_BYTES 16384

struct dysco_words {
	int count;
	const char *word[DYSCO_WORDS_MAX]; /* NUL-terminated, in text */
	size_t offset[DYSCO_WORDS_MAX];	   /* where each began in the line, bytes */
	char text[DYSCO_LINE_BYTES + DYSCO_WORDS_MAX];
};

/*
 * Splits line[0 .. bytes-1] (no newline inside; NUL bytes are refused). 0, or
 * -1 with a sentence in error. *words is defined only on 0.
 */
int dysco_words_split(struct dysco_words *words, const char *line, size_t bytes, char *error,
		      size_t error_bytes);

void dysco_words_copy(struct dysco_words *to, const struct dysco_words *from);

/* Quotes a word so that split gives it back; returns bytes needed without NUL, as snprintf does. */
size_t dysco_words_quote(char *out, size_t out_bytes, const char *word);

/*
 * Reads logical lines of a text: a backslash before the newline joins lines.
 * Calls `statement` for each line that has words; stops at the first that
 * returns != 0 and returns that; -1 for a line that does not split. `where`
 * is "NAME:LINE", for messages.
 */
typedef int dysco_statement_fn(void *context, const char *where, const struct dysco_words *words);
int dysco_words_read(const char *name, const char *text, size_t bytes,
		     dysco_statement_fn *statement, void *context, char *error, size_t error_bytes);

#endif
