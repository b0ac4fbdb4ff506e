// SPDX-License-Identifier: BSD-2-Clause
/* Memory and messages of one lab: everything is freed at once with it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

struct lab_chunk {
	struct lab_chunk *next;
	max_align_t bytes[];
};

static void out_of_memory(void)
{
	fputs("dysco lab: out of memory\n", stderr);
	abort();
}

struct lab *lab_new(void)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab) {
		out_of_memory();
	}
	return lab;
}

void lab_free(struct lab *lab)
{
	while (lab->chunks) {
		struct lab_chunk *chunk = lab->chunks;

		lab->chunks = chunk->next;
		free(chunk);
	}
	free(lab);
}

void *lab_alloc(struct lab *lab, size_t bytes)
{
	struct lab_chunk *chunk = calloc(1, sizeof(*chunk) + bytes);

	if (!chunk) {
		out_of_memory();
	}
	chunk->next = lab->chunks;
	lab->chunks = chunk;
	lab->used_bytes += bytes;
	return chunk->bytes;
}

const char *lab_copy(struct lab *lab, const char *text)
{
	size_t bytes = strlen(text) + 1;

	return memcpy(lab_alloc(lab, bytes), text, bytes);
}

const char *lab_format(struct lab *lab, const char *format, ...)
{
	va_list args;
	char *text;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = lab_alloc(lab, (size_t)bytes + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)bytes + 1, format, args);
	va_end(args);
	return text;
}

struct lab_words lab_slice(struct lab *lab, const struct lab_words *w, int first, int last)
{
	struct lab_words slice = {0};
	const char **word;

	if (first >= last) {
		return slice;
	}
	word = lab_alloc(lab, sizeof(*word) * (size_t)(last - first + 1));
	for (int i = first; i < last; i++) {
		word[slice.count++] = lab_copy(lab, w->word[i]);
	}
	slice.word = word;
	return slice;
}

int lab_fail(struct lab *lab, const char *where, const char *format, ...)
{
	char text[sizeof(lab->error)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(lab->error, sizeof(lab->error), "%s%s%.*s", where ? where : "", where ? ": " : "",
		 (int)sizeof(text) / 2, text);
	return -1;
}
