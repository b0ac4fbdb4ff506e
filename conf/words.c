/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splitting lines into words (words.h): one pass over the bytes, each of which
 * either belongs to the word under way or ends it.
 */
#include "conf/words.h"

#include <stdio.h>
#include <string.h>

/* Where a byte stands. */
enum state { BETWEEN, BARE, SINGLE, DOUBLE };

_Static_assert(DYSCO_WORDS_MAX == 256, "a message names it");

struct splitter {
	struct dysco_words *words;
	size_t used; /* bytes of text */
	enum state state;
	size_t opened; /* offset of the quote that is open */
	const char *wrong;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static void begin_word(struct splitter *s, size_t offset)
{
	struct dysco_words *words = s->words;

	if (words->count == DYSCO_WORDS_MAX) {
		s->wrong = "more than 256 words";
		return;
	}
	words->word[words->count] = words->text + s->used;
	words->offset[words->count] = offset;
	words->count++;
	s->state = BARE;
}

static void end_word(struct splitter *s)
{
	s->words->text[s->used++] = '\0';
	s->state = BETWEEN;
}

static void put(struct splitter *s, char c)
{
	s->words->text[s->used++] = c;
}

/* A byte outside quotes; returns how many bytes of the line it took. */
static size_t split_bare(struct splitter *s, const char *line, size_t i, size_t bytes)
{
	switch (line[i]) {
	case '\'':
		s->state = SINGLE;
		s->opened = i;
		return 1;
	case '"':
		s->state = DOUBLE;
		s->opened = i;
		return 1;
	case '\\':
		if (i + 1 == bytes) {
			s->wrong = "a backslash at the end has nothing to escape";
			return 1;
		}
		put(s, line[i + 1]);
		return 2;
	default:
		put(s, line[i]);
		return 1;
	}
}

static size_t split_quoted(struct splitter *s, const char *line, size_t i, size_t bytes)
{
	char quote = s->state == SINGLE ? '\'' : '"';

	if (line[i] == quote) {
		s->state = BARE;
		return 1;
	}
	if (s->state == DOUBLE && line[i] == '\\' && i + 1 < bytes &&
	    (line[i + 1] == '"' || line[i + 1] == '\\')) {
		put(s, line[i + 1]);
		return 2;
	}
	put(s, line[i]);
	return 1;
}

/* Takes at least one byte, so the caller's loop ends; `bytes` of them for a comment. */
static size_t split_some(struct splitter *s, const char *line, size_t i, size_t bytes)
{
	if (s->state == SINGLE || s->state == DOUBLE) {
		return split_quoted(s, line, i, bytes);
	}
	if (is_space(line[i])) {
		if (s->state == BARE) {
			end_word(s);
		}
		return 1;
	}
	if (s->state == BETWEEN) {
		if (line[i] == '#') {
			return bytes - i;
		}
		begin_word(s, i);
		if (s->wrong) {
			return 1;
		}
	}
	return split_bare(s, line, i, bytes);
}

void dysco_words_copy(struct dysco_words *to, const struct dysco_words *from)
{
	*to = *from;
	for (int i = 0; i < from->count; i++) {
		to->word[i] = to->text + (from->word[i] - from->text);
	}
}

int dysco_words_split(struct dysco_words *words, const char *line, size_t bytes, char *error,
		      size_t error_bytes)
{
	struct splitter s = {.words = words, .state = BETWEEN};

	words->count = 0;
	if (bytes > DYSCO_LINE_BYTES) {
		snprintf(error, error_bytes, "line longer than %d bytes", DYSCO_LINE_BYTES);
		return -1;
	}
	if (memchr(line, '\0', bytes)) {
		snprintf(error, error_bytes, "line contains a NUL byte");
		return -1;
	}
	for (size_t i = 0; i < bytes && !s.wrong;) {
		i += split_some(&s, line, i, bytes);
	}
	if (s.wrong) {
		snprintf(error, error_bytes, "%s", s.wrong);
		return -1;
	}
	if (s.state == SINGLE || s.state == DOUBLE) {
		snprintf(error, error_bytes, "the quote opened at column %zu is not closed",
			 s.opened + 1);
		return -1;
	}
	if (s.state == BARE) {
		end_word(&s);
	}
	return 0;
}

static bool needs_quotes(const char *word)
{
	return word[0] == '\0' || word[0] == '#' || strpbrk(word, " \t\r\n\v\f'\"\\") != NULL;
}

static void out_put(char *out, size_t out_bytes, size_t at, char c)
{
	if (at + 1 < out_bytes) {
		out[at] = c;
	}
}

size_t dysco_words_quote(char *out, size_t out_bytes, const char *word)
{
	bool quotes = needs_quotes(word);
	size_t n = 0;

	if (quotes) {
		out_put(out, out_bytes, n++, '"');
	}
	for (const char *c = word; *c; c++) {
		if (*c == '"' || *c == '\\') {
			out_put(out, out_bytes, n++, '\\');
		}
		out_put(out, out_bytes, n++, *c);
	}
	if (quotes) {
		out_put(out, out_bytes, n++, '"');
	}
	if (out_bytes > 0) {
		out[n < out_bytes ? n : out_bytes - 1] = '\0';
	}
	return n;
}

/* Length of the physical line at text, without its newline. */
static size_t line_length(const char *text, size_t bytes)
{
	const char *end = memchr(text, '\n', bytes);

	return end ? (size_t)(end - text) : bytes;
}

/* Does this physical line go on in the next? An escaped backslash is no joint. */
static bool joins(const char *line, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && line[bytes - 1 - n] == '\\') {
		n++;
	}
	return n % 2 == 1;
}

struct reader {
	const char *text;
	size_t bytes, at;
	int line; /* number of the next physical line */
	char logical[DYSCO_LINE_BYTES];
};

/* Gathers one logical line; its bytes, or -1 when it is too long. */
static long read_logical(struct reader *r)
{
	size_t used = 0;
	bool more = true;

	while (more && r->at < r->bytes) {
		const char *line = r->text + r->at;
		size_t n = line_length(line, r->bytes - r->at);

		r->at += n < r->bytes - r->at ? n + 1 : n;
		r->line++;
		more = joins(line, n) && r->at < r->bytes;
		if (more) {
			n--;
		}
		if (n > sizeof(r->logical) - used) {
			return -1;
		}
		memcpy(r->logical + used, line, n);
		used += n;
	}
	return (long)used;
}

int dysco_words_read(const char *name, const char *text, size_t bytes,
		     dysco_statement_fn *statement, void *context, char *error, size_t error_bytes)
{
	struct reader r = {.text = text, .bytes = bytes, .line = 1};
	struct dysco_words words;
	char where[512], wrong[160];

	while (r.at < r.bytes) {
		int result;
		long n;

		snprintf(where, sizeof(where), "%.480s:%d", name, r.line);
		n = read_logical(&r);
		if (n < 0) {
			snprintf(error, error_bytes, "%s: line longer than %d bytes", where,
				 DYSCO_LINE_BYTES);
			return -1;
		}
		if (dysco_words_split(&words, r.logical, (size_t)n, wrong, sizeof(wrong)) != 0) {
			snprintf(error, error_bytes, "%s: %s", where, wrong);
			return -1;
		}
		if (words.count == 0) {
			continue;
		}
		result = statement(context, where, &words);
		if (result != 0) {
			return result;
		}
	}
	return 0;
}
