// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random runs of five cores whose attempts contend for one session, written as
 * steps of model/locks.pml with the state after each (README.md).
 *
 *     locks FIRST LAST          a run for each seed, to standard output
 *     locks TRAIL               the steps of a trail, as far as the core can take them
 */
#include "tests/agree/row.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 160, WIND_DOWN = 40 };

struct walk {
	struct row row;
	struct row_state before;
	uint64_t random;
	uint8_t leaving; /* the attempt whose RELEASE shortens the chain, or ROW_NOBODY */
};

static uint32_t below(struct walk *w, uint32_t bound)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % bound;
}

/* ---- writing ---- */

static void numbers(const uint8_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		printf(" %u", list[i]);
	}
}

/* exempt: messages that may be sent though the model has them not. */
static void say(const struct walk *w, const char *word, uint8_t at, uint8_t who, uint8_t exempt)
{
	struct row_state s;

	row_observe(&w->row, &s);
	printf("%s %u %u %u ", word, at, who, exempt);
	numbers(&w->row.sent[0][0], sizeof(w->row.sent));
	printf(" ");
	numbers(s.owner, sizeof(s.owner));
	printf(" ");
	numbers(s.pend, sizeof(s.pend));
	printf(" ");
	numbers(s.kept, sizeof(s.kept));
	printf(" ");
	numbers(s.over, sizeof(s.over));
	printf(" ");
	numbers(s.ls, sizeof(s.ls));
	printf(" ");
	numbers(s.rs, sizeof(s.rs));
	printf("\n");
}

/* What an anchor did by itself, or upon a message that the model does not have. */
static const char *inner_word(const struct row_state *before, const struct row_state *now,
			      uint8_t a)
{
	if (before->ls[a] != now->ls[a]) {
		switch (now->ls[a]) {
		case ROW_L_CUTTING:
			return "cut";
		case ROW_L_TWO:
			return "two";
		case ROW_L_RELEASING:
			return "finish";
		default:
			return "give_up";
		}
	}
	if (before->rs[a] != now->rs[a]) {
		return now->rs[a] == ROW_R_TWO	   ? "takes_cut"
		       : now->rs[a] == ROW_R_TAKEN ? "taken"
						   : "right_lease";
	}
	return "other";
}

static void say_inner(struct walk *w, uint8_t at, uint8_t who, uint8_t exempt)
{
	struct row_attempt *a = &w->row.attempt[who];
	struct row_state now;

	row_observe(&w->row, &now);
	if (now.ls[who] == ROW_L_RELEASING && !a->finished) {
		a->finished = true;
		if (a->right > a->left + 1) {
			w->leaving = who;
		}
	}
	say(w, inner_word(&w->before, &now, who), at, who, exempt);
}

/* ---- events ---- */

static const char *word_of(uint8_t message)
{
	switch (message) {
	case ROW_LOCK:
		return "lock";
	case ROW_LOCKED:
		return "locked";
	case ROW_NACK:
		return "nack";
	case ROW_CANCEL:
		return "cancel";
	case ROW_CANCELLED:
		return "cancelled";
	case ROW_RELEASE:
		return "release";
	case ROW_RELEASED:
		return "released";
	default:
		return "refused";
	}
}

/* L that has cancelled takes only the word of R, or of one who knows that it is over. */
static const char *nack_word(const struct walk *w, const struct row_packet *f)
{
	const struct row_attempt *a = &w->row.attempt[f->attempt];
	uint8_t ls = w->before.ls[f->attempt];

	if (f->to != a->left || (ls != ROW_L_CANCELLING && ls != ROW_L_UNCUTTING)) {
		return "nack";
	}
	return f->reason == DYSCO_NACK_EXPIRED ? "cancelled" : "other";
}

/* L goes when it has come by both paths; the model has one. */
static const char *released_word(const struct walk *w, uint8_t attempt)
{
	struct row_state now;

	row_observe(&w->row, &now);
	return w->before.ls[attempt] != now.ls[attempt] ? "released" : "other";
}

/* L that does not know of the chain what LOCKED tells gives up at once (docs/protocol.md 12.3). */
static const char *control_word(const struct walk *w, const struct row_packet *f, bool known)
{
	if (f->message == ROW_NACK) {
		return nack_word(w, f);
	}
	return f->message == ROW_LOCKED && !known ? "changed" : word_of(f->message);
}

/* false: it comes to an L that asks for a lock, and knows another chain than there is. */
static bool knows(const struct walk *w, const struct row_packet *f)
{
	const struct row_attempt *a;

	if (f->attempt == ROW_NOBODY || w->before.ls[f->attempt] != ROW_L_ASKING) {
		return true;
	}
	a = &w->row.attempt[f->attempt];
	return f->to != a->left || row_knows_chain(&w->row, a->left, a->right);
}

static void deliver(struct walk *w, uint32_t packet)
{
	const struct row_packet *f = &w->row.air[packet];
	bool known = knows(w, f);
	uint8_t exempt = 0;

	row_deliver(&w->row, packet);
	if (f->attempt == ROW_NOBODY) {
		return;
	}
	if (f->type == DYSCO_MSG_RELEASE && f->to == w->row.attempt[f->attempt].right) {
		say(w, "release", f->to, f->attempt, 0); /* on the new path or the old one */
	} else if (f->type == DYSCO_MSG_RELEASED && f->to == w->row.attempt[f->attempt].left) {
		say(w, released_word(w, f->attempt), f->to, f->attempt, 0);
	} else if (f->message) {
		say(w, control_word(w, f, known), f->to, f->attempt, 0);
	} else {
		exempt = f->type == DYSCO_MSG_READY				 ? ROW_CANCEL
			 : f->type == DYSCO_MSG_CUT || f->type == DYSCO_MSG_DONE ? ROW_NACK
										 : 0;
		say_inner(w, f->to, f->attempt, exempt);
	}
}

/* A packet of the handshake belongs to the attempt whose anchors it goes between. */
static void deliver_plain(struct walk *w, uint32_t packet)
{
	const struct row_packet *f = &w->row.air[packet];
	struct row_state now;
	uint8_t who = 0;

	row_deliver(&w->row, packet);
	row_observe(&w->row, &now);
	for (uint8_t a = 0; a < ROW_ATTEMPTS; a++) {
		if (now.ls[a] != w->before.ls[a] || now.rs[a] != w->before.rs[a]) {
			who = a;
		}
	}
	say_inner(w, f->to, who, 0);
}

static bool may_come(const struct walk *w, const struct row_packet *f)
{
	if (f->reset || f->lost) {
		return false; /* RSTs of a new path: the model has no such thing */
	}
	if (w->leaving != ROW_NOBODY) {
		return f->attempt == w->leaving &&
		       (f->type == DYSCO_MSG_RELEASE || f->type == DYSCO_MSG_RELEASED);
	}
	return true;
}

/* New packets sooner than copies of old ones. */
static void some_packet(struct walk *w)
{
	uint32_t at = 0;
	struct row_packet *f = NULL;

	for (int tries = 0; w->row.n_air && tries < 8; tries++) {
		at = below(w, w->row.n_air);
		f = &w->row.air[at];
		if (may_come(w, f) && (!f->came || below(w, 12) == 0)) {
			break;
		}
		f = NULL;
	}
	if (!f) {
		return;
	}
	if (below(w, 12) == 0) {
		f->lost = true;
	} else if (f->attempt == ROW_NOBODY) {
		deliver_plain(w, at);
	} else {
		deliver(w, at);
	}
}

static void some_wish(struct walk *w)
{
	uint8_t who = (uint8_t)below(w, ROW_ATTEMPTS);
	const struct row_attempt *a = &w->row.attempt[who];

	if (a->nonce == 0 && a->left != a->right) {
		row_ask(&w->row, who);
		say(w, "ask", a->left, who, 0);
	}
}

static void some_cancel(struct walk *w)
{
	uint8_t who = (uint8_t)below(w, ROW_ATTEMPTS), at = w->row.attempt[who].left;
	const struct dysco_attempt *a = row_record(&w->row, at, who);

	if (a && a->role == DYSCO_PART_LEFT_ANCHOR) {
		row_cancel(&w->row, who);
		say_inner(w, at, who, 0);
	}
}

/* A lease runs out only when L is gone; that of R in two paths never does. */
static void lapse(struct walk *w, uint8_t at, uint8_t who, uint8_t role, uint8_t state)
{
	if (w->before.ls[who] != ROW_L_ENDED || state == DYSCO_ATTEMPT_LAPSED) {
		return;
	}
	row_due(&w->row, at, who, true, false);
	if (role == DYSCO_PART_RIGHT_ANCHOR) {
		say_inner(w, at, who, 0);
	} else {
		say(w, role == DYSCO_PART_KEPT ? "kept_lease" : "lease", at, who, 0);
	}
}

static void some_timer(struct walk *w)
{
	uint8_t who = (uint8_t)below(w, ROW_ATTEMPTS), at = (uint8_t)below(w, ROW_HOSTS);
	const struct dysco_attempt *a = row_record(&w->row, at, who);
	bool anchor =
	    a && (a->role == DYSCO_PART_LEFT_ANCHOR || a->role == DYSCO_PART_RIGHT_ANCHOR);

	if (!a) {
		return;
	}
	if (!anchor || (a->role == DYSCO_PART_RIGHT_ANCHOR && below(w, 2))) {
		lapse(w, at, who, a->role, a->state);
		return;
	}
	row_due(&w->row, at, who, false, below(w, 6) == 0);
	say_inner(w, at, who, 0);
}

static void some_event(struct walk *w)
{
	uint32_t kind = below(w, 100);

	row_observe(&w->row, &w->before);
	if (w->leaving != ROW_NOBODY || kind < 75) {
		some_packet(w);
	} else if (kind < 85) {
		some_wish(w);
	} else if (kind < 98) {
		some_timer(w);
	} else {
		some_cancel(w);
	}
}

/* ---- runs ---- */

static void choose(struct walk *w, uint64_t seed)
{
	uint32_t n = 1 + below(w, ROW_ATTEMPTS);

	printf("run");
	for (uint32_t k = 0; k < ROW_ATTEMPTS; k++) {
		struct row_attempt *a = &w->row.attempt[k];

		while (k < n && a->left == a->right) {
			a->left = (uint8_t)below(w, ROW_LINKS);
			a->right = (uint8_t)below(w, ROW_HOSTS);
		}
		printf(" %u %u", a->left, a->right);
	}
	printf(" seed %llu\n", (unsigned long long)seed);
}

/* Half of the hosts that can have not heard of one behind them. */
static void choose_ignorant(struct walk *w)
{
	for (uint8_t host = 0; host < ROW_HOSTS - 2; host++) {
		if (below(w, 2)) {
			row_forget_hop(&w->row, host,
				       (uint8_t)(host + 1 + below(w, ROW_HOSTS - 2u - host)));
		}
	}
}

static void run(void *walk, uint64_t seed)
{
	struct walk *w = walk;
	uint32_t after = 0;

	memset(w, 0, sizeof(*w));
	row_open(&w->row, ROW_HOSTS - 2, ROW_WINDOW, NULL);
	w->random = seed * 0x9e3779b97f4a7c15u;
	w->leaving = ROW_NOBODY;
	choose(w, seed);
	choose_ignorant(w);
	for (uint32_t step = 0; step < STEPS && after < WIND_DOWN && !w->row.broken; step++) {
		some_event(w);
		after += w->leaving != ROW_NOBODY;
	}
}

/* ---- trails of the model ---- */

/* The latest copy of the message of the attempt that was sent to this host. */
static uint32_t copy_of(const struct walk *w, const char *word, uint8_t at, uint8_t who)
{
	uint32_t found = ROW_AIR;

	for (uint32_t i = 0; i < w->row.n_air; i++) {
		const struct row_packet *f = &w->row.air[i];

		if (f->message && f->to == at && f->attempt == who &&
		    strcmp(word_of(f->message), word) == 0) {
			found = i;
		}
	}
	return found;
}

static bool follow_lease(struct walk *w, uint8_t at)
{
	uint8_t who = (uint8_t)(w->before.owner[at] - 1);

	if (w->before.owner[at] == 0 || w->row.attempt[who].left == at) {
		return false;
	}
	row_due(&w->row, at, who, true, false);
	say(w, "lease", at, who, 0);
	return true;
}

/* Packets that the model does not have, oldest first, until the anchor has done what the trail
 * says. */
static bool follow_inner(struct walk *w, const char *word)
{
	for (uint32_t i = 0; i < w->row.n_air; i++) {
		const struct row_packet *f = &w->row.air[i];
		struct row_state now;

		if (f->came || f->reset || f->message) {
			continue;
		}
		row_observe(&w->row, &w->before);
		if (f->attempt == ROW_NOBODY) {
			deliver_plain(w, i);
		} else {
			deliver(w, i);
		}
		row_observe(&w->row, &now);
		for (uint8_t a = 0; a < ROW_ATTEMPTS; a++) {
			if (strcmp(inner_word(&w->before, &now, a), word) == 0) {
				return true;
			}
		}
	}
	return false;
}

/* false: the core cannot take this step. */
static bool follow(struct walk *w, const char *word, uint8_t at, uint8_t who)
{
	uint32_t copy = copy_of(w, word, at, who);

	row_observe(&w->row, &w->before);
	if (strcmp(word, "ask") == 0) {
		row_ask(&w->row, who);
		say(w, word, at, who, 0);
	} else if (strcmp(word, "give_up") == 0) {
		if (w->before.ls[who] == ROW_L_CANCELLING || w->before.ls[who] == ROW_L_RELEASING) {
			row_due(&w->row, at, who, false, true);
		} else {
			row_cancel(&w->row, who);
		}
		say_inner(w, at, who, 0);
	} else if (strcmp(word, "lease") == 0) {
		return follow_lease(w, at);
	} else if (copy != ROW_AIR) {
		deliver(w, copy);
	} else {
		return follow_inner(w, word);
	}
	return true;
}

/* A trail as text: a first line, `run` with the anchors, then a step a line. */
static bool trail(void *walk, const char *path)
{
	struct walk *w = walk;
	FILE *file = fopen(path, "r");
	unsigned int n[6], at, who, step = 0;
	char word[16];
	bool goes = true;

	if (!file || fscanf(file, "#%*[^\n] run %u %u %u %u %u %u", &n[0], &n[1], &n[2], &n[3],
			    &n[4], &n[5]) != 6) {
		return false;
	}
	memset(w, 0, sizeof(*w));
	row_open(&w->row, ROW_HOSTS - 2, ROW_WINDOW, NULL);
	w->leaving = ROW_NOBODY;
	for (int k = 0; k < ROW_ATTEMPTS; k++) {
		w->row.attempt[k].left = (uint8_t)n[2 * k];
		w->row.attempt[k].right = (uint8_t)n[2 * k + 1];
	}
	printf("run %u %u %u %u %u %u trail\n", n[0], n[1], n[2], n[3], n[4], n[5]);
	while (goes && fscanf(file, "%15s %u %u", word, &at, &who) == 3) {
		step++;
		goes = at < ROW_HOSTS && follow(w, word, (uint8_t)at, (uint8_t)who);
	}
	fprintf(stderr, goes ? "followed to the end, %u steps\n" : "left at step %u: %s %u %u\n",
		step, word, at, who);
	fclose(file);
	return step > 0 && !w->row.broken;
}

int main(int argc, char **argv)
{
	return row_main(argc, argv, sizeof(struct walk), run, trail);
}
