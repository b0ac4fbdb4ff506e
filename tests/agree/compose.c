// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random runs of five cores: the first host's bytes go through two boxes that are left out by
 * attempts which share the anchor between them, a box too, and then by that one as well; written
 * as steps of model/compose.pml with the state after each event (README.md).
 *
 *     A -- box -- M -- box -- B       attempt 0: A to M, attempt 1: M to B, attempt 2: A to B
 *
 *     compose FIRST LAST          a run for each seed, to standard output
 */
#include "tests/agree/row.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 500, A = 0, M = 2, B = ROW_HOSTS - 1, BYTES = 3, WINDOW = 1000 };

/* As tests/agree/compose.pml numbers them. */
enum step {
	S_NEW = 1,
	S_AGAIN,
	S_ACK,
	S_LEFT_CUTS,
	S_RIGHT_CUTS,
	S_LEFT_TWO,
	S_LEFT_SAYS,
	S_RIGHT_SAYS,
	S_LEFT_HEARS,
	S_LEFT_DONE,
	S_RIGHT_DONE,
	S_LOCKED,
	S_ARRIVES,
};

enum { FIRST_A = 101, FIRST_B = 501, D1 = 5, DM = 2, D2 = 12 };
static const uint32_t delta[ROW_HOSTS] = {0, D1, DM, D2, 0};
/* Of each attempt: its anchors, their numbers of the first byte, and how the model counts them. */
static const struct {
	uint8_t left, right;
	uint32_t first_left, first_right;
	uint8_t own_left, own_right;
} world[ROW_ATTEMPTS] = {
    {A, M, FIRST_A, FIRST_A + D1, 14, 3},
    {M, B, FIRST_A + D1 + DM, FIRST_A + D1 + DM + D2, 5, 1},
    {A, B, FIRST_A, FIRST_A + D1 + DM + D2, 14, 1},
};

struct anchors {
	uint8_t lm, rm, cut, peer, acked;
	bool lsaid, rsaid;
};

struct walk {
	struct row row;
	uint64_t random;
	uint32_t busy; /* how often hosts do something */
	uint32_t late; /* attempt 2 is not asked for before so many packets were sent */
	uint32_t from; /* packets before this event */
	int nxt, una;
	uint8_t got;
	bool owe, locked;
	struct anchors before[ROW_ATTEMPTS], now[ROW_ATTEMPTS];
	uint32_t isn[ROW_ATTEMPTS]; /* first number of each new path, in the bytes' direction */
	bool routed[ROW_AIR];	    /* packets that the model has: segments of the hosts */
};

static uint32_t below(struct walk *w, uint32_t bound)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % bound;
}

static uint8_t mod(uint32_t n)
{
	return n & 15;
}

static int got(const struct walk *w)
{
	return w->got == 7 ? 3 : (w->got & 3) == 3 ? 2 : w->got & 1;
}

/* ---- what is seen ---- */

static void observe_attempt(struct walk *w, uint8_t i)
{
	const struct dysco_attempt *left = row_record(&w->row, world[i].left, i);
	const struct dysco_attempt *right = row_record(&w->row, world[i].right, i);
	struct row_anchor l = row_anchor(&w->row, world[i].left, i);
	struct row_anchor r = row_anchor(&w->row, world[i].right, i);
	struct anchors *now = &w->now[i];

	if (now->lm != ROW_ONE && l.mode < now->lm) {
		w->row.broken = "an attempt has failed";
		return;
	}
	now->lm = l.mode;
	now->rm = r.mode;
	now->lsaid = l.said;
	now->rsaid = r.said;
	if (left && (l.mode == ROW_CUTTING || l.mode == ROW_TWO)) {
		now->cut = mod(world[i].own_left + left->two.cut - world[i].first_left);
		now->acked = mod(world[i].own_left + left->two.acked - world[i].first_left);
		w->isn[i] = left->isn + 1;
	}
	if (right && r.mode == ROW_TWO) {
		now->peer = mod(world[i].own_right + right->two.peer_cut - world[i].first_right);
	}
}

/* L has been granted attempt 2. */
static bool is_locked(const struct walk *w)
{
	const struct dysco_attempt *a = row_record(&w->row, A, 2);

	return w->locked ||
	       (a && a->state >= DYSCO_ATTEMPT_SETTING_UP && a->state != DYSCO_ATTEMPT_CANCELLING);
}

static void observe(struct walk *w)
{
	for (uint8_t i = 0; i < ROW_ATTEMPTS; i++) {
		observe_attempt(w, i);
	}
}

/* ---- what a packet is in the model ---- */

struct meaning {
	uint8_t path;
	bool left;	   /* an acknowledgement */
	bool half, at_cut; /* before a box; at the first number of a new path */
	unsigned int code; /* 0: nothing that the model has */
};

/* By its hosts; of an old path those behind the box count. */
static uint8_t path_of(const struct row_packet *f)
{
	uint8_t low = f->from < f->to ? f->from : f->to, high = f->from < f->to ? f->to : f->from;

	if (high - low == 4) {
		return 4;
	}
	return (uint8_t)((low < M ? 0 : 2) + (high - low == 2));
}

static struct meaning meaning_of(const struct walk *w, const struct row_packet *f)
{
	struct meaning m = {.path = path_of(f), .left = f->to < f->from};
	uint8_t i = m.path / 2, base = (uint8_t)(9 + i), number;
	uint32_t old = m.left ? world[i].first_left : world[i].first_right;
	struct dysco_packet p;
	bool is_new = m.path & 1 || m.path == 4;

	dysco_packet_parse(&p, f->data, f->data + f->bytes, f->bytes);
	m.half = f->to % 2;
	if (f->type || f->control || (p.flags & (DYSCO_TCP_SYN | DYSCO_TCP_RST)) ||
	    m.left == (p.payload_bytes > 0)) {
		return m;
	}
	if (is_new) {
		number = mod(base + (m.left ? p.ack : p.seq) - w->isn[i]);
		m.at_cut = number == base;
	} else {
		number = mod((m.left ? world[i].own_right : world[i].own_left) +
			     (m.left ? p.ack : p.seq) - old);
	}
	m.code = 256u + 512u * m.path + (m.left ? 128u : 0) + 8u * number +
		 (m.left ? 0 : (unsigned int)(f->data[p.payload] - 'A'));
	return m;
}

/* ---- writing ---- */

static void step(enum step what, unsigned int who)
{
	printf("step %d %u\n", (int)what, who);
}

static void say_attempt(const struct walk *w, uint8_t i)
{
	const struct anchors *was = &w->before[i], *now = &w->now[i];

	if (was->lm == ROW_ONE && now->lm != ROW_ONE) {
		step(S_LEFT_CUTS, i);
	}
	if (was->rm == ROW_ONE && now->rm != ROW_ONE) {
		step(S_RIGHT_CUTS, i);
	}
	if (was->lm < ROW_TWO && now->lm >= ROW_TWO) {
		step(S_LEFT_TWO, i);
	}
	if (!was->lsaid && now->lsaid) {
		step(S_LEFT_SAYS, i);
	}
	if (!was->rsaid && now->rsaid) {
		step(S_RIGHT_SAYS, i);
	}
	if (was->lm != ROW_DONE && now->lm == ROW_DONE) {
		step(S_LEFT_DONE, i);
	}
	if (was->rm != ROW_DONE && now->rm == ROW_DONE) {
		step(S_RIGHT_DONE, i);
	}
}

static void say(struct walk *w)
{
	observe(w);
	if (!w->locked && is_locked(w)) {
		w->locked = true;
		step(S_LOCKED, 2);
	}
	for (uint8_t i = 0; i < ROW_ATTEMPTS; i++) {
		say_attempt(w, i);
	}
	printf("see %d %d %u %d %d", w->nxt, w->una, w->got, w->owe, w->locked);
	for (uint8_t i = 0; i < ROW_ATTEMPTS; i++) {
		const struct anchors *a = &w->now[i];

		printf(" %u %u %d %d %u %u %u", a->lm, a->rm, a->lsaid, a->rsaid, a->cut, a->peer,
		       a->acked);
	}
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		struct meaning m = meaning_of(w, &w->row.air[i]);

		if (w->routed[i] && !m.half) {
			printf(" %u", m.code);
		}
	}
	printf(" 0\n");
}

/* ---- hosts ---- */

static void hear(struct walk *w)
{
	for (uint32_t i = 0; i < w->row.n_heard; i++) {
		const struct row_segment *s = &w->row.heard[i];

		if (s->end == 0) {
			int a = (int)(s->ack - FIRST_A);

			w->una = a > w->una ? a : w->una;
		} else if (s->bytes) {
			int place = (int)(s->seq - world[2].first_right);

			if (s->bytes != 1 || s->text[0] != 'A' + place) {
				w->row.broken = "another byte than was sent there";
			}
			w->got |= (uint8_t)(1u << place);
			w->owe = true;
		}
	}
	w->row.n_heard = 0;
}

/*
 * Which packets are a host's: bytes, and acknowledgements that are no anchor's. On a new path
 * one of exactly the cut, which an anchor sends in two paths for its window, says nothing: lost.
 */
static void note_routed(struct walk *w)
{
	for (uint32_t k = w->from; k < w->row.n_air; k++) {
		struct row_packet *f = &w->row.air[k];
		struct meaning m = meaning_of(w, f);
		uint8_t i = m.path / 2, rm = w->before[i].rm;
		bool is_new = m.path & 1 || m.path == 4;

		w->routed[k] = m.code && !(is_new && m.left && rm == ROW_ONE);
		if (w->routed[k] && m.left && m.at_cut && rm == ROW_TWO) {
			w->routed[k] = false;
			f->lost = true;
		}
	}
}

/* Packets into a box on an old path leave it at once. */
static void through_boxes(struct walk *w)
{
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		struct row_packet *f = &w->row.air[i];

		if (w->routed[i] && f->to % 2 && !f->lost) {
			uint32_t n = w->row.n_air;

			row_deliver(&w->row, i);
			f->lost = true;
			w->routed[n] = w->row.n_air > n;
		}
	}
}

static void happened(struct walk *w)
{
	hear(w);
	note_routed(w);
	through_boxes(w);
	say(w);
}

static void send_byte(struct walk *w, enum step what, int place)
{
	struct row_segment s = {.end = 0,
				.flags = DYSCO_TCP_ACK,
				.seq = FIRST_A + (uint32_t)place,
				.ack = FIRST_B,
				.window = WINDOW,
				.bytes = 1};

	s.text[0] = (char)('A' + place);
	row_send(&w->row, &s);
	step(what, 0);
	happened(w);
}

/* The right edge stays where it is. */
static void send_ack(struct walk *w)
{
	struct row_segment s = {.end = 1,
				.flags = DYSCO_TCP_ACK,
				.seq = FIRST_B,
				.ack = world[2].first_right + (uint32_t)got(w),
				.window = (uint16_t)(WINDOW - got(w))};

	w->owe = false;
	row_send(&w->row, &s);
	step(S_ACK, 0);
	happened(w);
}

static void some_host(struct walk *w)
{
	switch (below(w, 4)) {
	case 0:
		if (w->nxt < BYTES) {
			w->nxt++;
			send_byte(w, S_NEW, w->nxt - 1);
		}
		break;
	case 1:
		if (w->una < w->nxt) {
			send_byte(w, S_AGAIN, w->una);
		}
		break;
	default:
		if (w->owe) {
			send_ack(w);
		}
		break;
	}
}

/* ---- network and anchors ---- */

/* ACKs that anchors send of themselves mean nothing once there are two paths. */
static bool may_come(const struct walk *w, const struct row_packet *f, uint32_t at)
{
	struct meaning m = meaning_of(w, f);
	const struct anchors *a = &w->now[m.path / 2];

	if (f->lost) {
		return false;
	}
	return w->routed[at] || f->type || f->control || (m.left ? a->lm : a->rm) < ROW_TWO;
}

/* The attempt whose L has heard by this DONE what acknowledgements have not said; 3: none. */
static uint8_t heard_by(const struct walk *w, const struct row_packet *f)
{
	for (uint8_t i = 0; i < ROW_ATTEMPTS && f->type == DYSCO_MSG_DONE; i++) {
		const struct dysco_attempt *a = row_record(&w->row, world[i].left, i);

		if (f->attempt == i && f->to == world[i].left && a && w->now[i].lm == ROW_TWO &&
		    !dysco_two_sent_done(&a->two)) {
			return i;
		}
	}
	return ROW_ATTEMPTS;
}

static void deliver(struct walk *w, uint32_t at)
{
	const struct row_packet *f = &w->row.air[at];
	struct meaning m = meaning_of(w, f);
	uint8_t heard = heard_by(w, f);

	row_deliver(&w->row, at);
	if (w->routed[at]) {
		step(S_ARRIVES, m.code);
	}
	if (heard < ROW_ATTEMPTS) {
		step(S_LEFT_HEARS, heard);
	}
	happened(w);
}

static void some_packet(struct walk *w)
{
	for (int tries = 0; w->row.n_air && tries < 20; tries++) {
		uint32_t at = below(w, w->row.n_air);
		struct row_packet *f = &w->row.air[at];

		if (!may_come(w, f, at) || (f->came && below(w, 24) != 0)) {
			continue;
		}
		if (below(w, 16) == 0) {
			f->lost = true;
		} else {
			deliver(w, at);
		}
		return;
	}
}

static void some_timer(struct walk *w)
{
	uint8_t i = (uint8_t)below(w, ROW_ATTEMPTS);
	uint8_t host = below(w, 2) ? world[i].left : world[i].right;

	if (row_record(&w->row, host, i)) {
		row_due(&w->row, host, i, false, false);
		happened(w);
	}
}

/* Not one whose anchor is left out by then. */
static void some_wish(struct walk *w)
{
	uint8_t i = (uint8_t)below(w, ROW_ATTEMPTS);
	struct row_attempt *a = &w->row.attempt[i];

	if (w->locked || (i == 2 && w->row.n_air < w->late) ||
	    row_record(&w->row, world[i].left, i) || row_record(&w->row, world[i].right, i) ||
	    w->now[i].lm != ROW_ONE) {
		return;
	}
	*a = (struct row_attempt){.left = world[i].left, .right = world[i].right};
	row_ask(&w->row, i);
	happened(w);
}

static void some_event(struct walk *w)
{
	uint32_t kind = below(w, 100);

	memcpy(w->before, w->now, sizeof(w->before));
	w->from = w->row.n_air;
	if (kind < w->busy) {
		some_host(w);
	} else if (kind < 88) {
		some_packet(w);
	} else if (kind < 92) {
		some_timer(w);
	} else {
		some_wish(w);
	}
}

/* ---- runs ---- */

static void run(void *walk, uint64_t seed)
{
	struct walk *w = walk;

	memset(w, 0, sizeof(*w));
	w->random = seed * 0x9e3779b97f4a7c15u;
	w->busy = 3 + below(w, 20);
	w->late = below(w, 200);
	row_open(&w->row, ROW_HOSTS - 2, WINDOW, delta);
	printf("run %llu\n", (unsigned long long)seed);
	for (uint32_t n = 0; n < STEPS && w->row.n_air < ROW_AIR - 64 && !w->row.broken; n++) {
		some_event(w);
	}
}

int main(int argc, char **argv)
{
	/* tests/explore follows the trails of this model */
	return row_main(argc, argv, sizeof(struct walk), run, NULL);
}
