/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of compose.pml: reads what compose.c has written. */
#define AGREE_CODES 4096
/* Of acknowledgements one may send more that say nothing new. */
#define AGREE_BOTH_SEND(code) (((code)-256) / 128 % 4 == 0)
#include "segments.h"

enum { AGREE_ARRIVES = 13 }; /* a segment instead of who */

static const char *const agree_names[] = {"nxt", "una", "got", "owe", "locked"};
#define AGREE_HOSTS (int)(sizeof(agree_names) / sizeof(agree_names[0]))

/* Of each attempt. */
static const char *const agree_anchor_names[] = {
    "left mode", "right mode", "left said", "right said", "cut", "peer's cut", "acked"};
#define AGREE_ANCHORS (int)(sizeof(agree_anchor_names) / sizeof(agree_anchor_names[0]))

static int agree_hosts[AGREE_HOSTS], agree_anchors[3][AGREE_ANCHORS];

static int agree_read(void)
{
	int kind = agree_next(NULL, 0);

	if (kind != AGREE_SEE) {
		return kind;
	}
	if (!agree_numbers(agree_hosts, AGREE_HOSTS) ||
	    !agree_numbers(agree_anchors[0], 3 * AGREE_ANCHORS)) {
		return AGREE_END;
	}
	agree_read_sent();
	return AGREE_SEE;
}

static void agree_segment(const char *text, int c)
{
	printf("%s path %d, %s %d\n", text, (c - 256) / 512,
	       (c - 256) / 128 % 4 ? "acknowledgement" : "byte", (c - 256) / 8 % 16);
}
