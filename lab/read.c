// SPDX-License-Identifier: BSD-2-Clause
/* From a text to a checked lab: lines (conf/words.h), statements, the check. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/words.h"
#include "lab/lab.h"

#define LAB_FILE_BYTES (1024 * 1024)

/* Keeps a line for lab_execute(): a repetition reads it again. */
static int keep_line(void *context, const char *where, const struct dysco_words *words)
{
	struct lab *lab = context;
	struct lab_words w = {words->count, words->word};
	struct lab_line *line = &lab->lines[lab->n_lines];

	if (lab->n_lines == LAB_LINES_MAX) {
		return lab_fail(lab, where, "more than %d lines; generate the text with repeat",
				LAB_LINES_MAX);
	}
	line->where = lab_copy(lab, where);
	line->words = lab_slice(lab, &w, 0, w.count);
	lab->n_lines++;
	return 0;
}

int lab_read_text(struct lab *lab, const char *name, const char *text, size_t bytes)
{
	char error[512] = "";

	lab->file = lab_copy(lab, name);
	if (dysco_words_read(name, text, bytes, keep_line, lab, error, sizeof(error))) {
		return lab->error[0] ? -1 : lab_fail(lab, NULL, "%s", error);
	}
	if (lab_execute(lab, 0, lab->n_lines, 0)) {
		return -1;
	}
	return lab_check(lab);
}

int lab_read_file(struct lab *lab, const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = lab_alloc(lab, LAB_FILE_BYTES + 1);
	size_t bytes;
	bool bad;

	if (!file) {
		return lab_fail(lab, NULL, "%s: %s", path, strerror(errno));
	}
	bytes = fread(text, 1, LAB_FILE_BYTES + 1, file);
	bad = ferror(file);
	fclose(file);
	if (bad || bytes > LAB_FILE_BYTES) {
		return lab_fail(lab, NULL, "%s: %s", path,
				bad ? "cannot be read" : "is larger than 1 MiB");
	}
	return lab_read_text(lab, path, text, bytes);
}
