// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random runs of two TCPs of few bytes and their cores, from LOCK until the old path, which
 * has a box, is gone, written as steps of model/twopaths.pml with the state after each event
 * (README.md). The TCPs are the model's, in C; cores and agents are the shipped ones.
 *
 *     twopaths FIRST LAST          a run for each seed, to standard output
 */
#include "tests/agree/row.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 400, LEFT = 0, BOX = 1, RIGHT = ROW_HOSTS - 1 };

/* As tests/agree/twopaths.pml numbers them. */
enum step {
	S_NEW = 1,
	S_AGAIN,
	S_ALL_AGAIN,
	S_ACK,
	S_PROBE,
	S_KEEPALIVE,
	S_READ,
	S_SHOWS,
	S_CUTS,
	S_TWO,
	S_SAYS,
	S_HEARS,
	S_DONE,
	S_ARRIVES,
	S_INSIDE,
};

enum { ONE = ROW_ONE, CUTTING = ROW_CUTTING, TWO = ROW_TWO, DONE = ROW_DONE };

static const uint32_t first_number[2] = {101, 501}; /* of the hosts' bytes */
static const uint8_t own[2] = {14, 15}, base[2] = {13, 6};
static const uint8_t at_host[2] = {LEFT, RIGHT};

/* A host, as the model has it: positions in the streams, from 0. */
struct host {
	int nxt, una, may, rd, wup, shown;
	uint8_t got;
	bool owe;
};

struct anchor {
	uint8_t mode;
	bool said, failed;
	uint8_t cut, peer; /* as the model counts */
	uint8_t acked, edge, seq_end;
};

struct walk {
	struct row row;
	uint64_t random;
	int units[2], window;
	uint32_t busy; /* how often hosts do something */
	uint32_t from; /* packets before this event */
	struct host host[2];
	struct anchor before[2], now[2];
	uint32_t isn[2];      /* first numbers of the new path, once there are cuts */
	bool routed[ROW_AIR]; /* packets that the model has: segments of the hosts */
};

static uint32_t below(struct walk *w, uint32_t bound)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % bound;
}

/* ---- what is seen ---- */

static uint8_t mod(uint32_t n)
{
	return n & 15;
}

static void observe_anchor(struct walk *w, int e)
{
	const struct dysco_attempt *a = row_record(&w->row, at_host[e], 0);
	struct row_anchor seen = row_anchor(&w->row, at_host[e], 0);
	struct anchor *now = &w->now[e];

	now->failed = a ? a->state == DYSCO_ATTEMPT_CANCELLING
			: !seen.completed && (e == 0 || now->mode != ONE);
	now->said = seen.said || (!a && now->said);
	now->mode = a || seen.completed ? seen.mode : now->mode;
	if (!a) {
		return;
	}
	if (now->mode >= CUTTING && now->mode <= TWO) {
		now->cut = mod(own[e] + a->two.cut - first_number[e]);
		now->acked = mod(own[e] + a->two.acked - first_number[e]);
		now->edge = mod(own[e] + a->two.edge - first_number[e]);
		now->seq_end = mod(own[!e] + a->two.seq_end - first_number[!e]);
		w->isn[e] = a->isn + 1;
	}
	if (now->mode == TWO) {
		now->peer = mod(own[!e] + a->two.peer_cut - first_number[!e]);
	}
	if (e == 0) {
		w->isn[1] = a->peer_isn + 1;
	}
}

static void observe(struct walk *w)
{
	observe_anchor(w, 0);
	observe_anchor(w, 1);
}

/* ---- what a packet is in the model ---- */

struct meaning {
	bool segment; /* of the session; else nothing that the model has */
	uint8_t path;
	unsigned int code;
};

static struct meaning meaning_of(const struct walk *w, const struct row_packet *f)
{
	struct meaning m = {0};
	struct dysco_packet p;
	uint8_t e = f->to < f->from, q, a, first = 0;
	bool fin;

	dysco_packet_parse(&p, f->data, f->data + f->bytes, f->bytes);
	m.path = f->from != BOX && f->to != BOX;
	if (m.path) {
		q = mod(base[e] + p.seq - w->isn[e]);
		a = mod(base[!e] + p.ack - w->isn[!e]);
	} else {
		q = mod(own[e] + p.seq - first_number[e]);
		a = mod(own[!e] + p.ack - first_number[!e]);
	}
	fin = p.flags & DYSCO_TCP_FIN;
	if (p.payload_bytes || fin) {
		first =
		    m.path ? mod(0u + q - base[e] + w->now[e].cut - own[e]) : mod(0u + q - own[e]);
	}
	m.code = 1u << 20 | (unsigned int)m.path << 19 | (unsigned int)e << 18 |
		 (unsigned int)q << 14 | (unsigned int)a << 10 |
		 (unsigned int)mod(a + p.window) << 6 | (unsigned int)(p.payload_bytes & 3) << 4 |
		 (fin ? 8u : 0) | (unsigned int)(first & 3) << 1 |
		 (m.path && (p.flags & DYSCO_TCP_PSH) ? 1u : 0);
	m.segment = !f->control && !f->type && !(p.flags & DYSCO_TCP_SYN);
	return m;
}

/* ---- writing ---- */

static void step(enum step what, unsigned int who)
{
	printf("step %d %u\n", (int)what, who);
}

/* R has sent an ACK of its own, with a window, on the new path. */
static bool right_shows(const struct walk *w)
{
	bool shows = false;

	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		const struct row_packet *f = &w->row.air[i];
		struct meaning m = meaning_of(w, f);

		shows |= f->from == RIGHT && m.segment && m.path;
	}
	return shows;
}

/* What the anchors have done since. */
static void say_anchors(const struct walk *w)
{
	const struct anchor *was = w->before, *now = w->now;

	if (was[1].mode == ONE && right_shows(w)) {
		step(S_SHOWS, 0);
	}
	if (was[0].mode == ONE && now[0].mode != ONE) {
		step(S_CUTS, 0);
	}
	if (was[1].mode == ONE && now[1].mode != ONE) {
		step(S_CUTS, 1);
	}
	if (was[0].mode < TWO && now[0].mode >= TWO) {
		step(S_TWO, 0);
	}
	for (unsigned int e = 0; e < 2; e++) {
		if (!was[e].said && now[e].said) {
			step(S_SAYS, e);
		}
	}
	for (unsigned int e = 0; e < 2; e++) {
		if (was[e].mode != DONE && now[e].mode == DONE) {
			step(S_DONE, e);
		}
	}
}

/* What was sent counts where it is a host's. */
static void say(struct walk *w)
{
	observe(w);
	say_anchors(w);
	printf("see");
	for (int e = 0; e < 2; e++) {
		const struct host *h = &w->host[e];
		const struct anchor *a = &w->now[e];

		printf(" %d %d %d %u %d %d %d %d %u %d %u %u %u %u %u", h->nxt, h->una, h->may,
		       h->got, h->rd, h->wup, h->shown, h->owe, a->mode, a->said, a->cut, a->peer,
		       a->acked, a->edge, a->seq_end);
	}
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		if (w->routed[i]) {
			printf(" %u", meaning_of(w, &w->row.air[i]).code);
		}
	}
	printf(" 0\n");
}

/* ---- hosts ---- */

static int got(const struct host *h)
{
	return h->got == 7 ? 3 : (h->got & 3) == 3 ? 2 : h->got & 1;
}

static char letter(int e, int position)
{
	return (char)((e ? 'a' : 'A') + position);
}

/* RFC 9293 3.10.7.4, as in model/twopaths.pml host(). */
static void give(struct walk *w, const struct row_segment *s)
{
	int e = s->end, span = s->bytes + (s->flags & DYSCO_TCP_FIN ? 1 : 0);
	struct host *h = &w->host[e];
	int q = (int)(s->seq - first_number[!e]), a = (int)(s->ack - first_number[e]);
	int right = h->rd + w->window;

	if (q + span < h->wup || q > right) {
		h->owe = true;
		return;
	}
	h->una = a > h->una ? a : h->una;
	h->may = a + s->window > h->may ? a + s->window : h->may;
	for (int k = 0; k < span; k++) {
		if (k < s->bytes && s->text[k] != letter(!e, q + k)) {
			w->row.broken = "other bytes than were sent";
		}
		if (q + k < right && q + k >= 0) {
			h->got |= (uint8_t)(1u << (q + k));
		}
	}
	h->owe |= span > 0;
}

static void hear(struct walk *w)
{
	for (uint32_t i = 0; i < w->row.n_heard; i++) {
		give(w, &w->row.heard[i]);
	}
	w->row.n_heard = 0;
}

/* What a host's anchor has sent for it; before the cut, what goes by the new path is the anchor's
 * own. */
static void note_routed(struct walk *w, int e)
{
	for (uint32_t i = w->from; i < w->row.n_air; i++) {
		struct meaning m = meaning_of(w, &w->row.air[i]);

		w->routed[i] = m.segment && (!m.path || w->before[e].mode != ONE);
	}
}

/* Packets into the box on the old path leave it at once. */
static void through_box(struct walk *w)
{
	uint32_t n = w->row.n_air;

	for (uint32_t i = w->from; i < n; i++) {
		struct row_packet *f = &w->row.air[i];

		if (w->routed[i] && f->to == BOX && !f->lost) {
			row_deliver(&w->row, i);
			w->routed[w->row.n_air - 1] = w->row.n_air > n;
			f->lost = true;
			n = w->row.n_air;
		}
	}
}

static void send(struct walk *w, int e, enum step what, int q, int bytes, int fin)
{
	struct host *h = &w->host[e];
	struct host was = *h;
	struct row_segment s = {.end = (uint8_t)e,
				.flags = (uint8_t)(DYSCO_TCP_ACK | (fin ? DYSCO_TCP_FIN : 0)),
				.seq = first_number[e] + (uint32_t)q,
				.ack = first_number[!e] + (uint32_t)got(h),
				.window = (uint16_t)(h->rd + w->window - got(h)),
				.bytes = (uint8_t)bytes};

	for (int k = 0; k < bytes; k++) {
		s.text[k] = letter(e, q + k);
	}
	h->wup = got(h);
	h->shown = h->rd + w->window;
	h->owe = false;
	row_send(&w->row, &s);
	if (w->row.n_heard) {
		h->owe = was.owe; /* the floor has answered: nobody else has heard it */
		h->shown = was.shown;
	}
	hear(w);
	note_routed(w, e);
	step(what, (unsigned int)e);
	say(w);
	through_box(w);
}

static void some_bytes(struct walk *w, int e)
{
	struct host *h = &w->host[e];
	bool fin = h->nxt == w->units[e];
	uint8_t enough = e ? TWO : CUTTING; /* before, a FIN ends the attempt */

	if (h->nxt <= w->units[e] && h->nxt < h->may && (!fin || w->now[e].mode >= enough)) {
		h->nxt++;
		send(w, e, S_NEW, h->nxt - 1, !fin, fin);
	}
}

static void some_again(struct walk *w, int e)
{
	const struct host *h = &w->host[e];
	int fin = h->nxt > w->units[e];

	if (h->una < h->nxt && below(w, 2)) {
		send(w, e, S_AGAIN, h->una, h->una < w->units[e], h->una >= w->units[e]);
	} else if (h->una + 1 < h->nxt) {
		send(w, e, S_ALL_AGAIN, h->una, h->nxt - h->una - fin, fin);
	}
}

/*
 * Zero-window probe, keepalive. While there is one path it has nothing new to say: the core does
 * not count that, since its receiver drops it; in the model it is said.
 */
static void some_probe(struct walk *w, int e)
{
	const struct host *h = &w->host[e];
	bool news = h->wup != got(h) || h->shown != h->rd + w->window;

	if (w->now[e].mode == ONE && news) {
		return;
	}
	if (h->una == h->nxt && h->nxt <= w->units[e] && h->may <= h->nxt) {
		send(w, e, S_PROBE, h->una - 1, 0, 0);
	} else if (h->una == h->nxt) {
		send(w, e, S_KEEPALIVE, h->una - 1, 0, 0);
	}
}

/* A closed window that opens is told. */
static void some_read(struct walk *w, int e)
{
	struct host *h = &w->host[e];

	if (h->rd < got(h) && h->rd < w->units[!e]) {
		h->owe |= h->shown == got(h);
		h->rd++;
		step(S_READ, (unsigned int)e);
		say(w);
	}
}

static void some_host(struct walk *w)
{
	int e = (int)below(w, 2);

	switch (below(w, 9)) {
	case 0:
	case 1:
	case 2:
		some_bytes(w, e);
		break;
	case 3:
		some_again(w, e);
		break;
	case 4:
		some_probe(w, e);
		break;
	case 5:
		some_read(w, e);
		break;
	default:
		if (w->host[e].owe) {
			send(w, e, S_ACK, w->host[e].nxt, 0, 0);
		}
		break;
	}
}

/* ---- network and anchors ---- */

/*
 * A probe of two paths that has both bases as its numbers looks like the handshake's ACK: a
 * former anchor drops it, the model's does not.
 */
static bool is_dropped(const struct walk *w, const struct row_packet *f)
{
	const unsigned int shown =
	    15u << 14 | 15u << 10 | 7u << 3 | 1u; /* numbers, bytes, FIN, PSH */
	struct meaning m = meaning_of(w, f);
	int e = f->to < f->from;

	return m.segment && m.path && w->now[!e].mode == DONE &&
	       (m.code & shown) == ((unsigned int)base[e] << 14 | (unsigned int)base[!e] << 10);
}

/* The model has no ACKs that anchors send of themselves once there are two paths. */
static bool may_come(const struct walk *w, uint32_t at)
{
	const struct row_packet *f = &w->row.air[at];

	return !f->lost && !is_dropped(w, f) &&
	       (w->routed[at] || f->type || f->control || w->now[f->to != LEFT].mode < TWO);
}

/* Does this DONE say more of what our host sent than acknowledgements have? */
static bool is_news(const struct walk *w, const struct row_packet *f)
{
	const struct dysco_attempt *a = row_record(&w->row, f->to, 0);

	return f->type == DYSCO_MSG_DONE && a && dysco_attempt_is_two_paths(a) &&
	       a->state != DYSCO_ATTEMPT_CUTTING && !dysco_two_sent_done(&a->two);
}

static void deliver(struct walk *w, uint32_t at)
{
	struct meaning m = meaning_of(w, &w->row.air[at]);
	bool inside = w->routed[at] && below(w, 8) == 0;
	bool hears = is_news(w, &w->row.air[at]);

	row_deliver(&w->row, at);
	if (inside) {
		w->row.n_heard = 0;
	}
	if (w->routed[at]) {
		step(inside ? S_INSIDE : S_ARRIVES, m.code);
	}
	if (hears) {
		step(S_HEARS, w->row.air[at].to != LEFT);
	}
	hear(w);
	say(w);
}

static void some_packet(struct walk *w)
{
	for (int tries = 0; w->row.n_air && tries < 12; tries++) {
		uint32_t at = below(w, w->row.n_air);
		struct row_packet *f = &w->row.air[at];

		if (!may_come(w, at) || (f->came && below(w, 16) != 0)) {
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
	uint8_t host = at_host[below(w, 2)];

	if (row_record(&w->row, host, 0)) {
		row_due(&w->row, host, 0, false, false);
		say(w);
	}
}

static void some_event(struct walk *w)
{
	uint32_t kind = below(w, 100);

	memcpy(w->before, w->now, sizeof(w->before));
	w->from = w->row.n_air;
	if (kind < w->busy) {
		some_host(w);
	} else if (kind < 95) {
		some_packet(w);
	} else {
		some_timer(w);
	}
}

/* ---- runs ---- */

/* The session is there, and L is asked to leave the box out. */
static void begin(struct walk *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->random = seed * 0x9e3779b97f4a7c15u;
	w->units[0] = (int)below(w, 3);
	w->units[1] = (int)below(w, 3);
	w->window = 1 + (int)below(w, 3);
	w->busy = 10 + below(w, 50);
	row_open(&w->row, 1, (uint16_t)w->window, NULL);
	for (int e = 0; e < 2; e++) {
		w->host[e] = (struct host){.may = w->window, .shown = w->window};
	}
	w->row.attempt[0] = (struct row_attempt){.left = LEFT, .right = RIGHT};
	row_ask(&w->row, 0);
	printf("run %llu %d %d %d %u\n", (unsigned long long)seed, w->units[0], w->units[1],
	       w->window, below(w, 2));
}

static void run(void *walk, uint64_t seed)
{
	struct walk *w = walk;

	begin(w, seed);
	for (uint32_t n = 0; n < STEPS && !w->row.broken; n++) {
		some_event(w);
		if (w->now[0].failed || w->now[1].failed) {
			w->row.broken = "the attempt has failed";
		}
	}
}

int main(int argc, char **argv)
{
	/* tests/explore follows the trails of this model */
	return row_main(argc, argv, sizeof(struct walk), run, NULL);
}
