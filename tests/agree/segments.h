/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments in flight, for the models that have them as numbers: what was sent in an event is the
 * same in model and core where AGREE_BOTH_SEND() says so, and what comes was sent in the model.
 * AGREE_CODES: they are smaller; agree_segment() says one in words.
 */
#ifndef DYSCO_TESTS_AGREE_SEGMENTS_H
#define DYSCO_TESTS_AGREE_SEGMENTS_H

#include "steps.h"

#define AGREE_SENT 12 /* segments of one event, at most */

static void agree_segment(const char *text, int code);

static int agree_sent[AGREE_SENT + 1];
static unsigned char agree_ever[AGREE_CODES]; /* what the model has sent in this run: its number */
static unsigned char agree_runs;

static void agree_begin(void)
{
	agree_runs = (unsigned char)(agree_runs % 255 + 1);
	if (agree_runs == 1) {
		memset(agree_ever, 0, sizeof(agree_ever));
	}
}

/* The rest of a line `see`, up to a 0. */
static void agree_read_sent(void)
{
	int n = 0;

	memset(agree_sent, 0, sizeof(agree_sent));
	while (n < AGREE_SENT && agree_numbers(&agree_sent[n], 1) && agree_sent[n]) {
		n++;
	}
}

static int agree_was_sent(int code)
{
	if (agree_ever[code] == agree_runs) {
		return 1;
	}
	agree_where();
	agree_segment("comes, and was not sent in the model:", code);
	return 0;
}

static int agree_among(int code, const int *list, int n)
{
	int k = 0;

	while (k < n && list[k] != code) {
		k++;
	}
	return k < n;
}

/* alone: the model may send what the core does not. */
static int agree_sends(const int *net, int n, int alone)
{
	int good = 1;

	for (int k = 0; k < AGREE_SENT && agree_sent[k]; k++) {
		if (AGREE_BOTH_SEND(agree_sent[k]) && !agree_among(agree_sent[k], net, n)) {
			agree_where();
			agree_segment("in the core only:", agree_sent[k]);
			good = 0;
		}
	}
	for (int k = 0; k < n && net[k]; k++) {
		agree_ever[net[k]] = agree_runs;
		if (AGREE_BOTH_SEND(net[k]) && !alone &&
		    !agree_among(net[k], agree_sent, AGREE_SENT)) {
			agree_where();
			agree_segment("in the model only:", net[k]);
			good = 0;
		}
	}
	return good;
}

#endif
