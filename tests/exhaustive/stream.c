/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hosts, two anchors, two paths that lose, duplicate and reorder, all in
 * 8-bit sequence numbers: every stream arrives as it was sent, and everything ends.
 *
 *     host 0 --- anchor 0 ===== old path (a box adds to numbers) ===== anchor 1 --- host 1
 *                        `===== new path ============================='
 *
 * Anchors are core/twopath.c and the CUT and DONE messages of docs/protocol.md
 * 12.5, 12.6. Hosts are a TCP as strict as Linux: segments outside the window or
 * with old timestamps are not looked at. Nothing they are told may be untrue.
 */
#include "tests/exhaustive/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 60000

struct world w;
static uint64_t seed;

static uint32_t random_next(void)
{
	w.random ^= w.random >> 12;
	w.random ^= w.random << 25;
	w.random ^= w.random >> 27;
	return (uint32_t)((w.random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

int below(int n)
{
	return (int)(random_next() % (uint32_t)n);
}

void fail(const char *what)
{
	fprintf(stderr, "seed %llu step %d: %s\n", (unsigned long long)seed, w.step, what);
	for (int h = 0; h < 2; h++) {
		const struct host *o = &w.host[h];
		const struct dysco_two *t = &w.anchor[h].two;

		fprintf(stderr,
			"  host %d: una %d nxt %d edge %d of %d, rcv_nxt %d wup %d granted %d of %d"
			"%s; anchor: phase %d cut %d acked %d p %d%s host_ack %d sent_done %d "
			"received_done %d\n",
			h, o->una, o->nxt, o->edge, o->total, o->rcv_nxt, o->wup, o->granted,
			o->peer_total, o->closed ? " closed" : "", w.anchor[h].phase,
			(int8_t)(t->cut - o->iss), (int8_t)(t->acked - o->iss),
			(int8_t)(t->peer_cut - o->irs), t->peer_known ? "" : "?",
			(int8_t)(t->host_ack - o->irs), dysco_two_sent_done(t),
			dysco_two_received_done(t));
	}
	exit(1);
}

/* ---- network ---- */

static void travel(enum dysco_path path, int to, const struct packet *p)
{
	bool calm = w.step > STEPS_CALM;
	int copies = !calm && below(100) < w.loss ? 0 : !calm && below(20) == 0 ? 2 : 1;

	for (; copies > 0; copies--) {
		int *n = &w.n[path][to];

		if (*n == BAG) {
			w.bag[path][to][below(BAG)] = *p;
		} else {
			w.bag[path][to][(*n)++] = *p;
		}
	}
}

static void tell(int h, enum kind kind, bool seen)
{
	struct packet p = {.kind = kind, .seen = seen, .cut = w.anchor[h].two.cut};

	travel(DYSCO_PATH_OLD, 1 - h, &p);
	travel(DYSCO_PATH_NEW, 1 - h, &p);
}

/* ---- anchors ---- */

static void note_host(struct anchor *a, const struct dysco_segment *s)
{
	a->sent_end = dysco_seq_max(a->sent_end, (dysco_seq_t)(s->seq + length_of(s)));
	a->host_ack = dysco_seq_max(a->host_ack, s->ack);
	a->host_edge = dysco_seq_max(a->host_edge, s->edge);
}

static void note_peer(struct anchor *a, const struct dysco_segment *s)
{
	a->seq_end = dysco_seq_max(a->seq_end, (dysco_seq_t)(s->seq + length_of(s)));
	a->acked = dysco_seq_max(a->acked, s->ack);
	a->edge = dysco_seq_max(a->edge, s->edge);
}

/* Windows are written in units of 2^shift, rounded down (RFC 7323 2.3). */
static void scale_window(struct dysco_segment *s)
{
	s->edge = (dysco_seq_t)(s->ack + ((dysco_seq_t)(s->edge - s->ack) >> w.shift << w.shift));
}

/* A part leaves its anchor: bytes only where they belong. */
static void send_on(int h, enum dysco_path path, const struct packet *from,
		    const struct dysco_segment *s)
{
	struct anchor *a = &w.anchor[h];
	struct packet p = *from;
	int end = own_position(&w.host[h], (dysco_seq_t)(s->seq + length_of(s)));

	if (length_of(s) > 0 && a->phase != ONE_OLD) {
		if (path == DYSCO_PATH_OLD ? end > a->cut_pos : end - length_of(s) < a->cut_pos) {
			fail("a byte on the wrong path");
		}
	}
	if (length_of(s) > 0 && end > w.sent_on[path][h]) {
		w.sent_on[path][h] = end;
	}
	p.s = *s;
	scale_window(&p.s);
	if (path == DYSCO_PATH_NEW) {
		dysco_offsets_out(&a->new, &p.s);
	}
	travel(path, 1 - h, &p);
}

static void answer_host(int h, const struct dysco_segment *asked)
{
	struct anchor *a = &w.anchor[h];
	struct packet p = {.s = {.seq = a->seq_end,
				 .ack = a->acked,
				 .edge = dysco_seq_max(a->edge, a->acked),
				 .flags = DYSCO_TCP_ACK,
				 .has_ts = true,
				 .tsval = asked->tsecr}};

	host_gets(h, &p);
}

void anchor_out(int h, const struct packet *p)
{
	struct anchor *a = &w.anchor[h];
	struct dysco_segment s = p->s;
	struct dysco_parts parts;

	scale_window(&s);
	if (!(s.flags & DYSCO_TCP_RST)) {
		note_host(a, &s);
	}
	switch (a->phase) {
	case ONE_OLD:
		send_on(h, DYSCO_PATH_OLD, p, &s);
		return;
	case TWO:
		dysco_two_route(&a->two, &s, &parts);
		for (int i = 0; i < parts.count; i++) {
			send_on(h, parts.part[i].path, p, &parts.part[i].s);
		}
		return;
	default:
		if (dysco_two_floor(a->floor, &s) == DYSCO_FLOOR_ANSWER) {
			answer_host(h, &s);
		} else {
			send_on(h, DYSCO_PATH_NEW, p, &s);
		}
		return;
	}
}

static void make_cut(int h)
{
	struct anchor *a = &w.anchor[h];
	const struct anchor *peer = &w.anchor[1 - h];

	dysco_two_start(&a->two, a->sent_end, a->acked, a->edge, a->seq_end, a->host_ack,
			a->host_edge);
	a->phase = TWO;
	a->cut_pos = own_position(&w.host[h], a->sent_end);
	w.sent_on[DYSCO_PATH_NEW][h] = a->cut_pos;
	a->new.seq_out = (dysco_seq_t)(a->base - a->two.cut);
	a->new.seq_in = (dysco_seq_t)(a->two.peer_cut - peer->base);
}

static void cut_came(int h, const struct packet *p)
{
	struct anchor *a = &w.anchor[h];

	if (a->phase == ONE_OLD) {
		make_cut(h);
	}
	if (a->phase == TWO) {
		dysco_two_peer_cut(&a->two, (dysco_seq_t)(p->cut + w.offset[1 - h]));
		a->new.seq_in = (dysco_seq_t)(a->two.peer_cut - w.anchor[1 - h].base);
	}
	a->cut_seen |= p->seen;
	if (!p->seen) {
		tell(h, CUT, true);
	}
}

static void maybe_finish(int h)
{
	struct anchor *a = &w.anchor[h];

	if (a->phase == TWO && dysco_two_done(&a->two) && a->peer_done && a->done_seen) {
		a->phase = ONE_NEW;
		a->floor = a->two.cut;
		a->acked = a->two.acked;
		a->edge = a->two.edge;
		a->seq_end = a->two.seq_end;
	}
}

static void done_came(int h, const struct packet *p)
{
	struct anchor *a = &w.anchor[h];

	if (a->phase == ONE_OLD) {
		return;
	}
	a->peer_done = true;
	a->done_seen |= p->seen;
	if (!p->seen && (a->phase == ONE_NEW || dysco_two_done(&a->two))) {
		tell(h, DONE, true);
	}
	maybe_finish(h);
}

/* Nobody acknowledges on a path what has not been sent on it. */
static void check_path_ack(int h, enum dysco_path path, const struct dysco_segment *s)
{
	if (own_position(&w.host[h], s->ack) > w.sent_on[path][h] && !(s->flags & DYSCO_TCP_RST)) {
		fail("an acknowledgement of what the path has not seen");
	}
}

static void anchor_in(int h, enum dysco_path path, struct packet *p)
{
	struct anchor *a = &w.anchor[h];
	bool was_reset = a->two.reset;

	if (p->kind != DATA) {
		if (p->kind == CUT) {
			cut_came(h, p);
		} else {
			done_came(h, p);
		}
		return;
	}
	if (path == DYSCO_PATH_OLD) {
		struct dysco_offsets box = {.seq_in = w.offset[1 - h], .seq_out = w.offset[h]};

		dysco_offsets_in(&box, &p->s);
	} else {
		if (a->phase == ONE_OLD || (a->phase == TWO && !a->two.peer_known)) {
			return;
		}
		dysco_offsets_in(&a->new, &p->s);
	}
	if (a->phase == ONE_NEW && (path == DYSCO_PATH_OLD || p->first < 0)) {
		return;
	}
	if (p->first >= 0) {
		check_path_ack(h, path, &p->s);
	}
	if (a->phase == TWO && !dysco_two_merge(&a->two, path, &p->s)) {
		return;
	}
	if (a->phase == TWO && a->two.reset && !was_reset) {
		struct packet rst = {.first = 0};
		enum dysco_path other = path == DYSCO_PATH_OLD ? DYSCO_PATH_NEW : DYSCO_PATH_OLD;

		dysco_two_reset_part(&a->two, other, &rst.s);
		send_on(h, other, &rst, &rst.s);
	}
	scale_window(&p->s);
	if (!(p->s.flags & DYSCO_TCP_RST)) {
		note_peer(a, &p->s);
	}
	host_gets(h, p);
}

/* ---- a run ---- */

static void anchor_works(int h)
{
	struct anchor *a = &w.anchor[h];

	if (a->phase == ONE_OLD && h == 0 && below(8) == 0) {
		make_cut(h);
	}
	if (a->phase == TWO && !a->cut_seen && (h == 0 || a->two.peer_known)) {
		tell(h, CUT, h == 1);
	}
	if (a->phase == TWO && a->two.peer_known && dysco_two_done(&a->two)) {
		tell(h, DONE, false);
	}
	maybe_finish(h);
}

/* A box of the new path asks whether the host is still there: one byte before the first, of noise.
 */
static void box_probes(int h)
{
	struct packet p = {.first = -1000,
			   .s = {.seq = (dysco_seq_t)(w.anchor[1 - h].base - 1),
				 .bytes = 1,
				 .ack = w.anchor[h].base,
				 .edge = w.anchor[h].base,
				 .flags = DYSCO_TCP_ACK}};

	if (below(2)) {
		p.s.seq = w.anchor[1 - h].base;
		p.s.bytes = 0;
		p.s.edge = (dysco_seq_t)(w.anchor[h].base + BUFFER);
	}
	if (w.anchor[h].phase == TWO) {
		travel(DYSCO_PATH_NEW, h, &p);
	}
}

static void network_works(void)
{
	enum dysco_path path = below(10) < w.slow ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;
	int to = below(2), *n = &w.n[path][to], i;
	struct packet p;

	if (*n == 0) {
		return;
	}
	i = below(3) ? 0 : below(*n); /* mostly in order */
	p = w.bag[path][to][i];
	memmove(&w.bag[path][to][i], &w.bag[path][to][i + 1],
		(size_t)(*n - i - 1) * sizeof(struct packet));
	(*n)--;
	anchor_in(to, path, &p);
}

static void start_run(void)
{
	memset(&w, 0, sizeof(w));
	w.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w.loss = below(40);
	w.slow = 1 + below(9);
	w.resets = below(4) == 0;
	w.shift = below(4) ? 0 : 2;
	for (int h = 0; h < 2; h++) {
		struct host *o = &w.host[h];

		w.offset[h] = (dysco_seq_t)below(256);
		o->iss = (dysco_seq_t)below(256);
		o->total = 1 + below(below(4) ? 20 : 110);
		o->clock = random_next();
		w.anchor[h].base = (dysco_seq_t)below(256);
	}
	for (int h = 0; h < 2; h++) {
		struct host *o = &w.host[h];
		struct anchor *a = &w.anchor[h];

		o->irs = (dysco_seq_t)(w.host[1 - h].iss + w.offset[1 - h]);
		o->peer_total = w.host[1 - h].total;
		o->edge = o->granted = BUFFER;
		o->ts_recent = w.host[1 - h].clock;
		a->sent_end = a->acked = o->iss;
		a->edge = (dysco_seq_t)(o->iss + BUFFER);
		a->host_ack = a->seq_end = o->irs;
		a->host_edge = (dysco_seq_t)(o->irs + BUFFER);
	}
}

static bool is_over(void)
{
	const struct host *a = &w.host[0], *b = &w.host[1];

	if (a->closed || b->closed) {
		return a->closed && b->closed;
	}
	return a->una == a->total && b->una == b->total && a->rcv_nxt == a->peer_total &&
	       b->rcv_nxt == b->peer_total && w.anchor[0].phase == ONE_NEW &&
	       w.anchor[1].phase == ONE_NEW;
}

static void run(void)
{
	start_run();
	for (w.step = 0; !is_over(); w.step++) {
		if (w.step > STEPS_MAX) {
			fail("does not end");
		}
		switch (below(12)) {
		case 0:
		case 1:
			host_works(below(2));
			break;
		case 2:
			if (below(3) == 0) {
				anchor_works(below(2));
			} else if (below(8) == 0) {
				box_probes(below(2));
			}
			break;
		default:
			network_works();
			break;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long long first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	unsigned long long last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;
	unsigned long long steps = 0;

	for (seed = first; seed <= last; seed++) {
		run();
		steps += (unsigned long long)w.step;
	}
	printf("%llu runs, %llu steps\n1 passed, 0 failed\n", last - first + 1, steps);
	return 0;
}
