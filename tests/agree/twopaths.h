/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of twopaths.pml: reads what twopaths.c has written. */
#define AGREE_CODES	      (1 << 21)
#define AGREE_BOTH_SEND(code) 1
#include "segments.h"

enum { AGREE_ARRIVES = 14 }; /* from here on, a segment instead of who */

/* As a line `see` has them for each host and its anchor. */
static const char *const agree_names[] = {"nxt", "una",	  "may",   "got",  "rd",
					  "wup", "shown", "owe",   "mode", "said",
					  "cut", "peer",  "acked", "edge", "seq_end"};
#define AGREE_ALWAYS 12
#define AGREE_NAMES  (int)(sizeof(agree_names) / sizeof(agree_names[0]))

static int agree_chosen[4]; /* units of both, window, where the boxes stand */
static int agree_seen[2][AGREE_NAMES];

static int agree_read(void)
{
	int kind = agree_next(agree_chosen, 4);

	if (kind != AGREE_SEE) {
		return kind;
	}
	if (!agree_numbers(agree_seen[0], 2 * AGREE_NAMES)) {
		return AGREE_END;
	}
	agree_read_sent();
	return AGREE_SEE;
}

static void agree_segment(const char *text, int c)
{
	printf("%s path %d, from %d, seq %d, ack %d, edge %d, bytes %d, fin %d\n", text,
	       c >> 19 & 1, c >> 18 & 1, c >> 14 & 15, c >> 10 & 15, c >> 6 & 15, c >> 4 & 3,
	       c >> 3 & 1);
}
