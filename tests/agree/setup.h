/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of setup.pml: reads what setup.c has written. */
#include <stdio.h>
#include <string.h>

#define AGREE_SETS 6
enum { AGREE_END = 0, AGREE_RUN, AGREE_STEP, AGREE_SEE };

static int agree_seed, agree_step, agree_spot, agree_what;
static int agree_sent[AGREE_SETS], agree_seen[5];

static int agree_read(void)
{
	char word[8];
	int n = 0;

	if (scanf("%7s", word) != 1) {
		return AGREE_END;
	}
	agree_step++;
	if (strcmp(word, "run") == 0) {
		agree_step = 0;
		return scanf("%d", &agree_seed) == 1 ? AGREE_RUN : AGREE_END;
	}
	if (strcmp(word, "step") == 0) {
		return scanf("%d %d", &agree_spot, &agree_what) == 2 ? AGREE_STEP : AGREE_END;
	}
	for (int k = 0; k < AGREE_SETS; k++) {
		n += scanf("%d", &agree_sent[k]);
	}
	for (int k = 0; k < 5; k++) {
		n += scanf("%d", &agree_seen[k]);
	}
	return n == AGREE_SETS + 5 ? AGREE_SEE : AGREE_END;
}

static int agree_same(const char *name, int core, int model)
{
	if (core != model) {
		printf("DISAGREE seed %d, line %d: %s is %d in the core, %d in the model\n",
		       agree_seed, agree_step, name, core, model);
	}
	return core == model;
}

static int agree_within(const char *name, int core, int model)
{
	if (core & ~model) {
		printf("DISAGREE seed %d, line %d: %s %d was sent, not in the model\n", agree_seed,
		       agree_step, name, core & ~model);
	}
	return !(core & ~model);
}
