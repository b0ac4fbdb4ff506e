// SPDX-License-Identifier: BSD-2-Clause
/* Batches of `ip` commands (batch.h). */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/batch.h"

static const char *batch_path(struct lab *lab)
{
	return lab_format(lab, "%s/ip.batch", lab_dir(lab));
}

struct lab_batch *lab_batch_begin(struct lab *lab)
{
	struct lab_batch *batch = lab_alloc(lab, sizeof(*batch));

	batch->lab = lab;
	batch->file = fopen(batch_path(lab), "we");
	if (!batch->file) {
		lab_fail(lab, NULL, "%s: %s", batch_path(lab), strerror(errno));
		return NULL;
	}
	return batch;
}

void lab_batch_add(struct lab_batch *batch, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(batch->file, format, args);
	va_end(args);
	fputc('\n', batch->file);
	if (batch->count < LAB_BATCH_MAX) {
		batch->where[batch->count] = where;
	}
	batch->count++;
}

/* ip says "Command failed FILE:LINE" after the reason. */
static int explain(struct lab_batch *batch)
{
	struct lab *lab = batch->lab;
	const char *text = lab_copy(lab, lab->error);
	const char *mark = strstr(text, "Command failed ");
	const char *colon = mark ? strrchr(mark, ':') : NULL;
	long line = colon ? strtol(colon + 1, NULL, 10) : 0;
	const char *where = NULL;

	if (line >= 1 && line <= batch->count && line <= LAB_BATCH_MAX) {
		where = batch->where[line - 1];
	}
	return lab_fail(lab, where, "%.*s", mark ? (int)(mark - text) : -1, text);
}

int lab_batch_run(struct lab_batch *batch, const char *netns)
{
	struct lab *lab = batch->lab;
	const char *path = batch_path(lab);
	const char *here[] = {"ip", "-batch", path, NULL};
	const char *there[] = {"ip", "-n", netns, "-batch", path, NULL};
	bool bad = ferror(batch->file) != 0;

	if (fclose(batch->file) || bad) {
		return lab_fail(lab, NULL, "%s: cannot be written", path);
	}
	if (batch->count == 0) {
		return 0;
	}
	return lab_tool(lab, NULL, NULL, netns ? there : here) ? explain(batch) : 0;
}
