/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of setup.pml: reads what setup.c has written. */
#include "steps.h"

#define AGREE_SETS 6

static int agree_sent[AGREE_SETS], agree_seen[5];

static int agree_read(void)
{
	int kind = agree_next(NULL, 0);

	if (kind == AGREE_SEE &&
	    !(agree_numbers(agree_sent, AGREE_SETS) && agree_numbers(agree_seen, 5))) {
		return AGREE_END;
	}
	return kind;
}

static int agree_within(const char *name, int core, int model)
{
	if (core & ~model) {
		agree_where();
		printf("%s %d was sent, not in the model\n", name, core & ~model);
	}
	return !(core & ~model);
}
