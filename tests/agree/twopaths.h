/* SPDX-License-Identifier: BSD-2-Clause */
/* C within the verifier that Spin makes of twopaths.pml: reads what twopaths.c has written. */
#include <stdio.h>
#include <string.h>

#define AGREE_SENT 8 /* segments of one event, at most */
enum { AGREE_END = 0, AGREE_RUN, AGREE_STEP, AGREE_SEE };
enum { AGREE_ARRIVES = 13 }; /* from here on, a segment instead of who */

/* As a line `see` has them for each host and its anchor. */
static const char *const agree_names[] = {"nxt",   "una", "may",  "got",  "rd",	 "wup",
					  "shown", "owe", "mode", "said", "cut", "peer"};
#define AGREE_NAMES (int)(sizeof(agree_names) / sizeof(agree_names[0]))

static int agree_seed, agree_step, agree_what, agree_who;
static int agree_chosen[4]; /* units of both, window, where the boxes stand */
static int agree_seen[2][AGREE_NAMES], agree_sent[AGREE_SENT + 1];

static int agree_numbers(int *to, int n)
{
	int read = 0;

	while (read < n && scanf("%d", &to[read]) == 1) {
		read++;
	}
	return read == n;
}

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
		return agree_numbers(&agree_seed, 1) && agree_numbers(agree_chosen, 4) ? AGREE_RUN
										       : AGREE_END;
	}
	if (strcmp(word, "step") == 0) {
		return agree_numbers(&agree_what, 1) && agree_numbers(&agree_who, 1) ? AGREE_STEP
										     : AGREE_END;
	}
	if (!agree_numbers(agree_seen[0], 2 * AGREE_NAMES)) {
		return AGREE_END;
	}
	memset(agree_sent, 0, sizeof(agree_sent));
	while (n < AGREE_SENT && agree_numbers(&agree_sent[n], 1) && agree_sent[n]) {
		n++;
	}
	return AGREE_SEE;
}

static void agree_where(void)
{
	printf("DISAGREE seed %d, line %d: ", agree_seed, agree_step);
}

static int agree_same(int e, int k, int model)
{
	if (agree_seen[e][k] != model) {
		agree_where();
		printf("%s of host %d is %d in the core, %d in the model\n", agree_names[k], e,
		       agree_seen[e][k], model);
	}
	return agree_seen[e][k] == model;
}

static void agree_segment(const char *text, int c)
{
	printf("%s path %d, from %d, seq %d, ack %d, edge %d, bytes %d, fin %d\n", text,
	       c >> 19 & 1, c >> 18 & 1, c >> 14 & 15, c >> 10 & 15, c >> 6 & 15, c >> 4 & 3,
	       c >> 3 & 1);
}

/* But for the right edge. */
#define AGREE_COMPARED ~(15 << 6)

static int agree_among(int code, const int *list, int n)
{
	int k = 0;

	while (k < n && ((list[k] ^ code) & AGREE_COMPARED)) {
		k++;
	}
	return k < n;
}

/* Each segment is in both; what the model sends besides, without bytes, is lost. */
static unsigned char agree_ever[1 << 21]; /* what the model has sent in this run: its number */
static unsigned char agree_runs;

static void agree_begin(void)
{
	agree_runs = (unsigned char)(agree_runs % 255 + 1);
	if (agree_runs == 1) {
		memset(agree_ever, 0, sizeof(agree_ever));
	}
}

/* What comes has been sent in the model at some time. */
static int agree_was_sent(int code)
{
	if (agree_ever[code & AGREE_COMPARED] == agree_runs) {
		return 1;
	}
	agree_where();
	agree_segment("comes, and was not sent in the model:", code);
	return 0;
}

static int agree_sends(const int *net, int n)
{
	int good = 1;

	for (int k = 0; k < AGREE_SENT && agree_sent[k]; k++) {
		if ((agree_sent[k] >> 3 & 7) && !agree_among(agree_sent[k], net, n)) {
			agree_where();
			agree_segment("in the core only:", agree_sent[k]);
			good = 0;
		}
	}
	for (int k = 0; k < n && net[k]; k++) {
		agree_ever[net[k] & AGREE_COMPARED] = agree_runs;
		if ((net[k] >> 3 & 7) && !agree_among(net[k], agree_sent, AGREE_SENT)) {
			agree_where();
			agree_segment("in the model only:", net[k]);
			good = 0;
		}
	}
	if (!good) {
		for (int k = 0; k < n && net[k]; k++) {
			agree_segment("    the model has:", net[k]);
		}
	}
	return good;
}
