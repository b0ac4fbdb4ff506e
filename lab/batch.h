/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of commands for `ip -batch`, each with the statement it comes from. */
#ifndef DYSCO_LAB_BATCH_H
#define DYSCO_LAB_BATCH_H

#include <stdio.h>

#include "lab/run.h"

#define LAB_BATCH_MAX 8192

struct lab_batch {
	struct lab *lab;
	FILE *file;
	int count;
	const char *where[LAB_BATCH_MAX];
};

/* NULL: lab->error. Every batch that was begun is run, once. */
struct lab_batch *lab_batch_begin(struct lab *lab);
void lab_batch_add(struct lab_batch *batch, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* netns NULL: where we are. A command that fails is reported with its statement. */
int lab_batch_run(struct lab_batch *batch, const char *netns);

#endif
