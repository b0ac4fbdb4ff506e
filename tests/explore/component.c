// SPDX-License-Identifier: BSD-2-Clause
/*
 * A host's way in and out of a component: what of its core, legs and attempts
 * tells the future. What time and traffic only count is left out, so that
 * worlds that behave alike are equal.
 */
#include "tests/explore/explore.h"
#include "core/reconfig.h"

#include <string.h>

enum { COMPONENT_MAX = 64 * 1024 };

/* What of the core tells the future: from its random numbers to its count of legs. */
#define CORE_FROM  offsetof(struct dysco_core, random)
#define CORE_BYTES (offsetof(struct dysco_core, round_robin) - CORE_FROM)

struct buffer {
	uint8_t *at;
	uint32_t used;
};

static void put(struct buffer *b, const void *data, size_t bytes)
{
	memcpy(b->at + b->used, data, bytes);
	b->used += (uint32_t)bytes;
}

static void get(struct buffer *b, void *data, size_t bytes)
{
	memcpy(data, b->at + b->used, bytes);
	b->used += (uint32_t)bytes;
}

static uint8_t bound(const struct xp_host *h, const struct dysco_leg *leg, uint32_t slot, int d)
{
	struct dysco_leg_key key = {.tuple = leg->host_tuple, .host = leg->host};

	if (d == DYSCO_IN) {
		key.tuple = dysco_tuple_reverse(&leg->wire_tuple);
		key.direction = DYSCO_IN;
	}
	return h->dp.table.ops->find((struct dysco_table *)(uintptr_t)&h->dp.table, &key) == slot;
}

/* What a box adds, and whether that may change. */
#define DELTAS_BYTES                                                                               \
	(offsetof(struct dysco_leg_cold, zero2) - offsetof(struct dysco_leg_cold, delta_right))

static void put_cold(struct buffer *b, const struct dysco_leg_cold *cold)
{
	put(b, &cold->id, sizeof(cold->id));
	put(b, &cold->session, sizeof(cold->session));
	put(b, &cold->list.next, 1);
	put(b, &cold->list.count, 1);
	put(b, cold->list.hops, cold->list.count * sizeof(cold->list.hops[0]));
	put(b, &cold->isn, sizeof(cold->isn));
	put(b, &cold->refused, 1);
	put(b, &cold->own_hops, 1);
	put(b, &cold->attempt, sizeof(cold->attempt));
	put(b, &cold->delta_right, DELTAS_BYTES);
}

static void get_cold(struct buffer *b, struct dysco_leg_cold *cold)
{
	memset(cold, 0, sizeof(*cold));
	get(b, &cold->id, sizeof(cold->id));
	get(b, &cold->session, sizeof(cold->session));
	get(b, &cold->list.next, 1);
	get(b, &cold->list.count, 1);
	get(b, cold->list.hops, cold->list.count * sizeof(cold->list.hops[0]));
	get(b, &cold->isn, sizeof(cold->isn));
	get(b, &cold->refused, 1);
	get(b, &cold->own_hops, 1);
	get(b, &cold->attempt, sizeof(cold->attempt));
	get(b, &cold->delta_right, DELTAS_BYTES);
	cold->syn_count = 1;
}

/* A control session counts a SYN only until it is answered, and lingers when it is over. */
struct control {
	uint8_t syn, ended;
};

static void put_control(struct buffer *b, const struct dysco_leg_cold *cold)
{
	struct control c = {cold->syn_count != 0, cold->ended_ns != 0};

	put(b, &c, sizeof(c));
}

static void get_control(struct buffer *b, struct dysco_leg_cold *cold)
{
	struct control c;

	get(b, &c, sizeof(c));
	cold->syn_count = c.syn;
	cold->ended_ns = c.ended;
}

static void forget_counts(struct dysco_leg *leg)
{
	leg->created_ns = 0;
	for (int d = 0; d < 2; d++) {
		leg->run[d].packets = leg->run[d].bytes = leg->run[d].last_ns = 0;
	}
}

static void put_leg(struct xp_host *h, struct buffer *b, uint32_t slot)
{
	struct dysco_leg *leg = &h->dp.legs[slot];
	uint8_t keys = 0;

	put(b, &leg->mode, 1);
	if (leg->mode == DYSCO_MODE_FREE) {
		put(b, &leg->partner, sizeof(leg->partner));
		return;
	}
	forget_counts(leg);
	for (int d = 0; d < 2; d++) {
		keys |= (uint8_t)(bound(h, leg, slot, d) << d);
	}
	put(b, &keys, 1);
	put(b, leg, sizeof(*leg));
	put_cold(b, &h->dp.cold[slot]);
	if (leg->role == DYSCO_ROLE_CONTROL) {
		put_control(b, &h->dp.cold[slot]);
	}
}

static void get_leg(struct xp_host *h, struct buffer *b, uint32_t slot)
{
	struct dysco_leg *leg = &h->dp.legs[slot];
	uint8_t keys;

	memset(leg, 0, sizeof(*leg));
	get(b, &leg->mode, 1);
	if (leg->mode == DYSCO_MODE_FREE) {
		get(b, &leg->partner, sizeof(leg->partner));
		return;
	}
	get(b, &keys, 1);
	get(b, leg, sizeof(*leg));
	get_cold(b, &h->dp.cold[slot]);
	if (leg->role == DYSCO_ROLE_CONTROL) {
		get_control(b, &h->dp.cold[slot]);
	}
	for (int d = 0; d < 2; d++) {
		struct dysco_leg_key key = {leg->host_tuple, leg->host, DYSCO_OUT, 0};

		if (d == DYSCO_IN) {
			key.tuple = dysco_tuple_reverse(&leg->wire_tuple);
			key.direction = DYSCO_IN;
		}
		if ((keys >> d) & 1) {
			h->dp.table.ops->bind(&h->dp.table, &key, slot);
		}
	}
}

/* ---- attempts ---- */

#define ATTEMPT_BYTES offsetof(struct dysco_attempt, list)

static void put_attempt(struct buffer *b, struct dysco_attempt *a)
{
	put(b, &a->role, 1);
	if (a->role == DYSCO_PART_NONE) {
		return;
	}
	a->next_ns = a->started_ns = 0;
	a->lease_ns = UINT64_MAX;
	if (a->role != DYSCO_PART_TRIGGER && a->tries > XP_TRIES_TOLD) {
		a->tries = XP_TRIES_TOLD;
	}
	put(b, a, ATTEMPT_BYTES);
	put(b, &a->list.next, 1);
	put(b, &a->list.count, 1);
	put(b, a->list.hops, a->list.count * sizeof(a->list.hops[0]));
}

static void get_attempt(struct buffer *b, struct dysco_attempt *a)
{
	memset(a, 0, sizeof(*a));
	get(b, &a->role, 1);
	if (a->role == DYSCO_PART_NONE) {
		return;
	}
	get(b, a, ATTEMPT_BYTES);
	get(b, &a->list.next, 1);
	get(b, &a->list.count, 1);
	get(b, a->list.hops, a->list.count * sizeof(a->list.hops[0]));
}

static void put_nonces(struct buffer *b, const struct dysco_lasting *l)
{
	put(b, &l->over_at, sizeof(l->over_at));
	put(b, &l->nonces_freed, sizeof(l->nonces_freed));
	put(b, l->nonces_over, l->over_at * sizeof(l->nonces_over[0]));
}

static void get_nonces(struct buffer *b, struct dysco_lasting *l)
{
	get(b, &l->over_at, sizeof(l->over_at));
	get(b, &l->nonces_freed, sizeof(l->nonces_freed));
	memset(l->nonces_over, 0, sizeof(l->nonces_over));
	get(b, l->nonces_over, l->over_at * sizeof(l->nonces_over[0]));
}

/* ---- what others want to know of a host without loading it ---- */

/* Does its timer do anything but end its lease? */
static bool repeats(const struct dysco_attempt *a)
{
	if (a->role == DYSCO_PART_LEFT_ANCHOR) {
		return a->state != DYSCO_ATTEMPT_TWO_PATHS; /* there it only renews leases */
	}
	if (a->role != DYSCO_PART_RIGHT_ANCHOR) {
		return a->role == DYSCO_PART_TRIGGER;
	}
	switch (a->state) {
	case DYSCO_ATTEMPT_WAITING:
	case DYSCO_ATTEMPT_READY:
	case DYSCO_ATTEMPT_DONE:
		return true;
	case DYSCO_ATTEMPT_TWO_PATHS:
		return !(a->seen & DYSCO_ATTEMPT_CUT_SEEN);
	default:
		return false;
	}
}

static bool lapses(const struct dysco_attempt *a)
{
	return a->role != DYSCO_PART_LEFT_ANCHOR && a->role != DYSCO_PART_TRIGGER &&
	       !(a->role == DYSCO_PART_RIGHT_ANCHOR &&
		 (a->state == DYSCO_ATTEMPT_TWO_PATHS || a->state == DYSCO_ATTEMPT_DONE));
}

static bool ready(const struct dysco_leg *leg)
{
	bool seen = leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen & DYSCO_SEEN_ACK;

	if (dysco_tuple_equal(&leg->host_tuple, &leg->wire_tuple) &&
	    (!seen || (leg->flags & DYSCO_LEG_LATE))) {
		return false; /* adopted, and not known yet */
	}
	return (leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT) &&
	       leg->mode == DYSCO_MODE_FAST && dysco_leg_state(leg) >= DYSCO_STATE_ESTABLISHED &&
	       dysco_leg_state(leg) < DYSCO_STATE_TIME_WAIT;
}

/* Hosts to the right of this leg, as its list has them. */
static uint8_t known_to(const struct dysco_leg_cold *cold)
{
	uint8_t bits = 0;

	for (uint8_t i = cold->list.next; i < cold->list.count; i++) {
		bits |= (uint8_t)(1u << xp_host_of(&cold->list.hops[i].addr));
	}
	return bits;
}

static struct xp_summary summary_of(const struct xp_host *h)
{
	struct xp_summary s = {0};
	bool tired;

	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		s.ready = ready(&h->dp.legs[slot]) ? (uint8_t)slot : s.ready;
		s.last |= h->dp.legs[slot].role == DYSCO_ROLE_LAST &&
			  !dysco_leg_not_ready(&h->dp.legs[slot]);
		s.box = h->dp.legs[slot].role == DYSCO_ROLE_LEFT &&
				h->dp.legs[slot].mode == DYSCO_MODE_FAST
			    ? (uint8_t)slot
			    : s.box;
	}
	s.knows = s.ready ? known_to(&h->dp.cold[s.ready]) : 0;
	s.next =
	    s.ready ? xp_host_of(&h->dp.cold[s.ready].list.hops[h->dp.cold[s.ready].list.next].addr)
		    : 0;
	s.channels = xp_channels(h);
	for (uint8_t i = 1; i < h->dp.table.n_attempts; i++) {
		const struct dysco_attempt *a = &h->dp.attempts[i];

		if (a->role != DYSCO_PART_NONE) {
			s.attempts++;
			s.left = a->role == DYSCO_PART_LEFT_ANCHOR ? i : s.left;
			tired = lapses(a) && a->tries >= XP_TRIES_TOLD;
			s.due |= (uint8_t)((repeats(a) && !tired) << i);
			s.lapses |= (uint8_t)(lapses(a) << i);
			s.renews |=
			    (uint8_t)((a->role == DYSCO_PART_LEFT_ANCHOR && !repeats(a)) << i);
			s.tired |= (uint8_t)((repeats(a) && tired) << i);
		}
	}
	return s;
}

const struct xp_summary *xp_summary(const struct xp *x, uint8_t host)
{
	uint32_t bytes;

	return xp_pool_get(&x->pool, x->w.host[host], &bytes);
}

/* ---- the whole ---- */

static uint32_t put_host(struct xp *x, struct xp_host *h)
{
	struct xp_summary summary = summary_of(h);
	static uint8_t memory[COMPONENT_MAX];
	struct buffer b = {memory, 0};
	uint8_t bound_keys = 0, claimed = 0;

	put(&b, &summary, sizeof(summary));
	put(&b, &h->starts, 1);
	h->core.scan_slot = 0;
	put(&b, (const uint8_t *)&h->core + CORE_FROM, CORE_BYTES);
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		put_leg(h, &b, slot);
		for (int d = 0; d < 2; d++) {
			bound_keys += bound(h, &h->dp.legs[slot], slot, d);
		}
	}
	for (uint32_t i = 1; i < h->dp.table.n_attempts; i++) {
		put_attempt(&b, &h->dp.attempts[i]);
	}
	put_nonces(&b, &h->dp.lasting);
	claimed = h->n_keys;
	if (bound_keys != claimed) {
		xp_fail(x, "the table has a key that is no leg's");
	}
	return xp_pool_put(&x->pool, memory, b.used);
}

static void get_host(struct xp *x, struct xp_host *h, uint32_t number)
{
	struct buffer b = {NULL, sizeof(struct xp_summary)};
	uint32_t bytes, was = h->core.high_slot;

	b.at = (uint8_t *)(uintptr_t)xp_pool_get(&x->pool, number, &bytes);
	h->n_keys = 0;
	get(&b, &h->starts, 1);
	get(&b, (uint8_t *)&h->core + CORE_FROM, CORE_BYTES);
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		get_leg(h, &b, slot);
	}
	for (uint32_t slot = h->core.high_slot + 1; slot <= was; slot++) {
		memset(&h->dp.legs[slot], 0, sizeof(h->dp.legs[slot]));
	}
	for (uint32_t i = 1; i < h->dp.table.n_attempts; i++) {
		get_attempt(&b, &h->dp.attempts[i]);
	}
	get_nonces(&b, &h->dp.lasting);
	dysco_names_start(&h->core);
	h->loaded = number;
}

struct xp_host *xp_host_load(struct xp *x, uint8_t host)
{
	struct xp_host *h = &x->hosts[host];

	if (!h->dirty) {
		if (h->loaded != x->w.host[host]) {
			get_host(x, h, x->w.host[host]);
		}
		h->core.counter = 1; /* else each message would be a new one */
		h->core.probes = 0;  /* that there are too many is a matter of time */
		h->dirty = true;
	}
	return h;
}

/* What its stack says: all that it had sent was seen, or it has no such connection (12.8). */
static void know_late(struct xp *x, uint8_t host)
{
	struct xp_host *h = &x->hosts[host];
	const struct xp_end *e = &x->end[host & 1];

	for (uint32_t slot = 1; host < 2 && slot <= h->core.high_slot; slot++) {
		const struct dysco_leg *leg = &h->dp.legs[slot];

		if (leg->mode == DYSCO_MODE_FREE || !(leg->flags & DYSCO_LEG_LATE)) {
			continue;
		}
		if (e->state != XP_TCP_OPEN || e->closed || e->fin_rcvd) {
			dysco_core_late_forget(&h->core, slot);
		} else if (leg->run[DYSCO_OUT].seq_end == x->config->iss[host] + e->max) {
			dysco_core_late_known(&h->core, slot);
		}
	}
}

/* A box that shifts numbers tells its agent by how much, once. */
static void freeze_box(struct xp *x, uint8_t host)
{
	struct xp_host *h = &x->hosts[host];
	struct dysco_offsets delta = {.seq_out = XP_DELTA_RIGHT, .seq_in = XP_DELTA_LEFT};

	if (x->config->box[host] != XP_BOX_DELTA) {
		return;
	}
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		if (h->dp.legs[slot].role == DYSCO_ROLE_LEFT &&
		    h->dp.legs[slot].mode != DYSCO_MODE_FREE && h->dp.cold[slot].delta_right == 0) {
			dysco_core_freeze(&h->core, slot, &delta, true);
		}
	}
}

void xp_hosts_store(struct xp *x)
{
	for (uint8_t host = 0; host < x->config->hosts; host++) {
		struct xp_host *h = &x->hosts[host];

		if (h->dirty) {
			freeze_box(x, host);
			know_late(x, host);
			h->loaded = put_host(x, h);
			x->w.host[host] = h->loaded;
			h->dirty = false;
			x->cut = x->cut || h->loaded == 0;
		}
	}
}
