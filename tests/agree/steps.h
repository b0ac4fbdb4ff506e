/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C within the verifiers that Spin makes of the models here: reads what the programs have
 * written. `run SEED NUMBER...`, `step WHAT WHO`, `see NUMBER...`, a line each.
 */
#ifndef DYSCO_TESTS_AGREE_STEPS_H
#define DYSCO_TESTS_AGREE_STEPS_H

#include <stdio.h>
#include <string.h>

enum { AGREE_END = 0, AGREE_RUN, AGREE_STEP, AGREE_SEE };

static int agree_seed, agree_line, agree_what, agree_who;

static int agree_numbers(int *to, int n)
{
	int read = 0;

	while (read < n && scanf("%d", &to[read]) == 1) {
		read++;
	}
	return read == n;
}

/* What the next line is; of a run, with the n numbers that were chosen for it. See's are to be read
 * yet. */
static int agree_next(int *chosen, int n)
{
	char word[8];

	if (scanf("%7s", word) != 1) {
		return AGREE_END;
	}
	agree_line++;
	if (strcmp(word, "run") == 0) {
		agree_line = 0;
		return agree_numbers(&agree_seed, 1) && agree_numbers(chosen, n) ? AGREE_RUN
										 : AGREE_END;
	}
	if (strcmp(word, "step") == 0) {
		return agree_numbers(&agree_what, 1) && agree_numbers(&agree_who, 1) ? AGREE_STEP
										     : AGREE_END;
	}
	return AGREE_SEE;
}

static void agree_where(void)
{
	printf("DISAGREE seed %d, line %d: ", agree_seed, agree_line);
}

/* of: which host, attempt or place; -1: of none. */
static int agree_same(const char *name, int of, int core, int model)
{
	if (core != model) {
		agree_where();
		printf("%s", name);
		if (of >= 0) {
			printf(" of %d", of);
		}
		printf(" is %d in the core, %d in the model\n", core, model);
	}
	return core == model;
}

#endif
