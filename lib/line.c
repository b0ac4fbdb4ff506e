/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions to the agent: one line of words (docs/socket.md). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/internal.h"

static void add(struct dysco_lib_line *line, const char *text, size_t bytes)
{
	if (line->full || line->used + bytes >= sizeof(line->text)) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->used, text, bytes);
	line->used += bytes;
	line->text[line->used] = '\0';
}

int dysco_lib_line_begin(struct dysco_lib_line *line, const char *verb,
			 const struct dysco_session *session)
{
	char text[DYSCO_SESSION_TEXT];

	line->used = 0;
	line->full = false;
	if (dysco_session_format(session, text, sizeof(text)) != 0) {
		return -EINVAL;
	}
	add(line, "session ", 8);
	add(line, verb, strlen(verb));
	add(line, " ", 1);
	add(line, text, strlen(text));
	return 0;
}

/* Always in double quotes, in which only " and \ need a \ before them. */
void dysco_lib_line_word(struct dysco_lib_line *line, const char *word)
{
	if (!word || word[0] == '\0' || strpbrk(word, "\r\n")) {
		line->full = true; /* no such word: the question is refused as a whole */
		return;
	}
	add(line, " \"", 2);
	for (; *word != '\0'; word++) {
		if (*word == '"' || *word == '\\') {
			add(line, "\\", 1);
		}
		add(line, word, 1);
	}
	add(line, "\"", 1);
}

void dysco_lib_line_number(struct dysco_lib_line *line, const char *name, uint32_t number)
{
	char text[64];
	int n = snprintf(text, sizeof(text), " %s %" PRIu32, name, number);

	add(line, text, (size_t)n);
}

int dysco_lib_line_end(struct dysco_lib_line *line, const struct dysco_options *options)
{
	if (options && options->host) {
		add(line, " host", 5);
		dysco_lib_line_word(line, options->host);
	}
	add(line, "\n", 1);
	return line->full ? -EINVAL : 0;
}
