// SPDX-License-Identifier: BSD-2-Clause
/* Worlds: the first one, what can happen in one, and the next one. */
#include "tests/explore/explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making and keeping ---- */

bool xp_open(struct xp *x, const struct xp_config *config)
{
	memset(x, 0, sizeof(*x));
	x->config = config;
	x->hosts = calloc(XP_HOSTS, sizeof(*x->hosts));
	x->queue = calloc(XP_QUEUE, sizeof(*x->queue));
	x->actions = calloc(1, sizeof(*x->actions));
	x->budget[XP_LOSS] = config->loss;
	x->budget[XP_DUPLICATE] = config->duplicates;
	x->budget[XP_DELAY] = config->delays;
	x->budget[XP_TIMER] = config->timers;
	x->budget[XP_CRASH] = config->crashes;
	x->budget[XP_LEASE] = config->leases;
	x->total = config->total;
	return x->hosts && x->queue && x->actions && xp_pool_open(&x->pool, 1ull << 36);
}

void xp_close(struct xp *x)
{
	free(x->hosts);
	free(x->queue);
	free(x->actions);
	free(x->walked.list);
	xp_pool_close(&x->pool);
}

void xp_load_small(struct xp *x)
{
	uint32_t bytes;

	for (int i = 0; i < 2; i++) {
		memcpy(&x->end[i], xp_pool_get(&x->pool, x->w.end[i], &bytes), sizeof(x->end[i]));
	}
	for (uint8_t i = 2; i < x->config->hosts; i++) {
		memcpy(&x->box[i], xp_pool_get(&x->pool, x->w.box[i], &bytes), sizeof(x->box[i]));
	}
}

static void store(struct xp *x)
{
	xp_hosts_store(x);
	for (int i = 0; i < 2; i++) {
		x->w.end[i] = xp_pool_put(&x->pool, &x->end[i], sizeof(x->end[i]));
		x->cut = x->cut || x->w.end[i] == 0;
	}
	for (uint8_t i = 2; i < x->config->hosts; i++) {
		x->w.box[i] = xp_pool_put(&x->pool, &x->box[i], sizeof(x->box[i]));
		x->cut = x->cut || x->w.box[i] == 0;
	}
}

/* What was not stored is forgotten. */
void xp_abandon(struct xp *x)
{
	for (uint8_t host = 0; host < x->config->hosts; host++) {
		x->hosts[host].dirty = false;
		x->hosts[host].loaded = 0;
	}
	x->n_queue = 0;
}

void xp_begin(struct xp *x)
{
	memset(&x->w, 0, sizeof(x->w));
	memset(x->box, 0, sizeof(x->box));
	x->failed = x->cut = false;
	x->n_queue = 0;
	for (uint8_t i = 0; i < 3 && x->config->chain[i]; i++) {
		x->w.wanted |= (uint8_t)(1u << x->config->chain[i]);
	}
	for (uint8_t host = 0; host < x->config->hosts; host++) {
		xp_host_open(x, host);
		xp_host_fresh(x, host);
	}
	for (uint8_t side = 2; side-- > 0;) {
		xp_end_open(x, side);
	}
	xp_work(x);
	store(x);
}

/*
 * A world met again at the same or higher cost can do nothing new; that needs
 * only those costs in its name that have a bound of their own.
 */
uint64_t xp_fingerprint(const struct xp *x)
{
	const struct xp_world *w = &x->w;
	uint64_t hash = xp_hash(1, w, offsetof(struct xp_world, spent));

	for (int i = 0; i < XP_FREE; i++) {
		if (x->budget[i] < x->total) {
			hash = xp_hash(hash, &w->spent[i], 1);
		}
	}
	hash = xp_hash(hash, &w->scripted,
		       offsetof(struct xp_world, flying) - offsetof(struct xp_world, scripted));
	hash = xp_hash(hash, w->flying, w->n_flying * sizeof(w->flying[0]));
	hash = xp_hash(hash, w->delayed, w->n_delayed * sizeof(w->delayed[0]));
	return hash ? hash : 1;
}

/* ---- packets in flight ---- */

static const struct xp_packet *packet_at(const struct xp *x, uint32_t number)
{
	uint32_t bytes;

	return xp_pool_get(&x->pool, number, &bytes);
}

void xp_fly(struct xp *x, const uint8_t *data, uint32_t bytes, bool control)
{
	static uint64_t memory[(sizeof(struct xp_packet) + SIM_PACKET_BYTES) / 8 + 1];
	struct xp_packet *p = (struct xp_packet *)memory;
	struct dysco_tuple session = xp_session(), back = dysco_tuple_reverse(&session);
	struct sim_segment s;
	uint8_t at = 0;

	xp_check_bytes(x, "wire", data, bytes);
	if (x->failed || !sim_segment_read(&s, data, bytes)) {
		return;
	}
	memset(p, 0, sizeof(*p));
	p->to = xp_host_of(&s.tuple.dst);
	p->flow = xp_hash(2, &s.tuple, sizeof(s.tuple));
	p->bytes = bytes;
	p->idle = control && s.flags == SIM_ACK && s.payload_bytes == 0;
	p->hash = xp_hash(3, data, bytes);
	memcpy(p->data, data, bytes);
	if (p->to >= x->config->hosts) {
		xp_fail(x, "a packet to nobody on the wire");
	} else if (!x->config->late &&
		   (dysco_tuple_equal(&s.tuple, &session) || dysco_tuple_equal(&s.tuple, &back))) {
		xp_fail(x, "the session's own five-tuple on the wire: past its chain");
	} else if (x->w.n_flying == XP_FLYING) {
		x->cut = true;
	} else {
		while (at < x->w.n_flying &&
		       (x->config->by_age || packet_at(x, x->w.flying[at])->flow <= p->flow)) {
			at++;
		}
		memmove(&x->w.flying[at + 1], &x->w.flying[at],
			(x->w.n_flying - at) * sizeof(x->w.flying[0]));
		x->w.flying[at] =
		    xp_pool_put(&x->pool, p, (uint32_t)sizeof(*p) + ((bytes + 7) & ~7u));
		x->w.n_flying++;
		x->cut = x->cut || x->w.flying[at] == 0;
	}
}

static void take_flying(struct xp_world *w, uint8_t at)
{
	w->n_flying--;
	memmove(&w->flying[at], &w->flying[at + 1], (w->n_flying - at) * sizeof(w->flying[0]));
	w->flying[w->n_flying] = 0;
}

static void take_delayed(struct xp_world *w, uint8_t at)
{
	w->n_delayed--;
	memmove(&w->delayed[at], &w->delayed[at + 1], (w->n_delayed - at) * sizeof(w->delayed[0]));
	w->delayed[w->n_delayed] = 0;
}

static void delay(struct xp *x, uint32_t number)
{
	struct xp_world *w = &x->w;
	uint8_t at = 0;

	if (w->n_delayed == XP_DELAYED) {
		x->cut = true;
		return;
	}
	while (at < w->n_delayed &&
	       packet_at(x, w->delayed[at])->hash < packet_at(x, number)->hash) {
		at++;
	}
	memmove(&w->delayed[at + 1], &w->delayed[at], (w->n_delayed - at) * sizeof(w->delayed[0]));
	w->delayed[at] = number;
	w->n_delayed++;
}

static void slow_down(struct xp *x, uint32_t number)
{
	struct xp_world *w = &x->w;
	uint32_t name = (uint32_t)packet_at(x, number)->flow;
	uint8_t at = 0;

	while (at < w->n_slow && w->slow[at] < name) {
		at++;
	}
	memmove(&w->slow[at + 1], &w->slow[at], (w->n_slow - at) * sizeof(w->slow[0]));
	w->slow[at] = name;
	w->n_slow++;
}

static void deliver(struct xp *x, uint32_t number)
{
	const struct xp_packet *p = packet_at(x, number);

	if (!xp_is_dead(x, p->to)) {
		xp_host_arrived(x, p->to, p->data, p->bytes);
	}
}

/* ---- choices ---- */

struct choices {
	struct xp_choice *list;
	uint32_t count;
};

static void add_pair(struct choices *c, enum xp_kind kind, uint8_t a, uint8_t b, enum xp_cost cost)
{
	if (c->count < XP_CHOICES) {
		c->list[c->count++] = (struct xp_choice){(uint8_t)kind, a, (uint8_t)cost, b};
	}
}

static void add(struct choices *c, enum xp_kind kind, uint8_t a, enum xp_cost cost)
{
	add_pair(c, kind, a, 0, cost);
}

static bool affordable(const struct xp *x, enum xp_cost cost)
{
	uint32_t spent = 0;

	for (int i = 0; i < XP_FREE; i++) {
		spent += x->w.spent[i];
	}
	return x->w.spent[cost] < x->budget[cost] && spent < x->total;
}

static bool may_close(const struct xp *x, uint8_t side)
{
	const struct xp_end *e = &x->end[side];
	const struct xp_app *app = &x->config->app[side];

	/* With a FIN under way a session is not recovered any more (docs/protocol.md 12.9). */
	if (x->w.dead && !x->w.changed) {
		return false;
	}
	return !e->closed && e->written == app->units && app->closes != XP_STAY_OPEN &&
	       (app->closes != XP_CLOSE_AFTER_PEER || e->fin_rcvd);
}

static void add_app(const struct xp *x, struct choices *c, uint8_t side)
{
	const struct xp_end *e = &x->end[side];
	const struct xp_app *app = &x->config->app[side];

	if (e->state != XP_TCP_OPEN) {
		return;
	}
	if (e->written < app->units) {
		add(c, XP_WRITE, side, XP_FREE);
	} else if (may_close(x, side)) {
		add(c, XP_CLOSE, side, XP_FREE);
	}
	if (e->unread) {
		add(c, XP_READ, side, XP_FREE);
	}
}

/* What an end may do at any time, and need not. */
static void add_whims(const struct xp *x, struct choices *c, uint8_t side)
{
	const struct xp_end *e = &x->end[side];
	const struct xp_app *app = &x->config->app[side];

	if (e->state != XP_TCP_OPEN) {
		return;
	}
	if (app->aborts) {
		add(c, XP_ABORT, side, XP_FREE);
	}
	if (e->kept < app->keeps && e->una == e->max && !e->closed) {
		add(c, XP_KEEPALIVE, side, XP_FREE);
	}
}

static bool is_slow(const struct xp *x, const struct xp_packet *p)
{
	for (uint8_t i = 0; i < x->w.n_slow; i++) {
		if (x->w.slow[i] == (uint32_t)p->flow) {
			return true;
		}
	}
	return false;
}

static bool is_first_of_flow(const struct xp *x, uint8_t at)
{
	for (uint8_t i = 0; i < at; i++) {
		if (packet_at(x, x->w.flying[i])->flow == packet_at(x, x->w.flying[at])->flow) {
			return false;
		}
	}
	return true;
}

/* Each flow by its first packet; when age counts, of those that are not slow only the oldest. */
static void add_flying(const struct xp *x, struct choices *c, enum xp_kind kind, enum xp_cost cost)
{
	bool oldest = true;

	for (uint8_t i = 0; i < x->w.n_flying; i++) {
		const struct xp_packet *p = packet_at(x, x->w.flying[i]);
		bool slow = x->config->by_age && is_slow(x, p);

		if (is_first_of_flow(x, i) && (slow || oldest || !x->config->by_age)) {
			add(c, kind, i, cost);
		}
		oldest = oldest && slow;
	}
}

static void add_slow(const struct xp *x, struct choices *c)
{
	for (uint8_t i = 0; x->w.n_slow < XP_SLOW && i < x->w.n_flying; i++) {
		if (is_first_of_flow(x, i) && !is_slow(x, packet_at(x, x->w.flying[i]))) {
			add(c, XP_SLOW_FLOW, i, XP_DELAY);
		}
	}
}

/* What changes nothing when it arrives may as well arrive at once. */
static bool add_idle(const struct xp *x, struct choices *c)
{
	for (uint8_t i = 0; i < x->w.n_flying; i++) {
		if (packet_at(x, x->w.flying[i])->idle && is_first_of_flow(x, i)) {
			add(c, XP_DELIVER, i, XP_FREE);
			return true;
		}
	}
	return false;
}

static void add_attempts(const struct xp *x, struct choices *c, enum xp_kind kind,
			 enum xp_cost cost, bool tired)
{
	for (uint8_t host = 0; host < x->config->hosts; host++) {
		const struct xp_summary *s = xp_summary(x, host);
		uint8_t bits = tired ? s->tired : s->lapses;

		if (kind == XP_DUE) {
			bits = cost < XP_FREE ? s->due | s->renews : s->due;
		}

		for (uint8_t i = 0; bits >> i; i++) {
			if ((bits >> i) & 1) {
				add_pair(c, kind, host, i, cost);
			}
		}
	}
}

static void add_timers(const struct xp *x, struct choices *c, enum xp_cost cost)
{
	for (uint8_t side = 0; side < 2; side++) {
		if (xp_end_armed(x, side)) {
			add(c, XP_RTO, side, cost);
		}
	}
	add_attempts(x, c, XP_DUE, cost, false);
}

/* A lease is long: it ends when there is nothing else to wait for. */
static void add_waits(const struct xp *x, struct choices *c)
{
	add_timers(x, c, XP_FREE);
	add_attempts(x, c, XP_LAPSE, XP_FREE, true);
	if (c->count == 0) {
		add_attempts(x, c, XP_LAPSE, XP_FREE, false);
	}
}

bool xp_attempts_under_way(const struct xp *x)
{
	for (uint8_t host = 0; host < x->config->hosts; host++) {
		if (xp_summary(x, host)->attempts) {
			return true;
		}
	}
	return false;
}

static bool is_established(const struct xp *x)
{
	return x->end[0].state == XP_TCP_OPEN && x->end[1].state == XP_TCP_OPEN &&
	       !x->end[0].closed && !x->end[1].closed;
}

/* Can this step be taken now? */
static bool is_ready(const struct xp *x, const struct xp_step *step)
{
	const struct xp_summary *s = xp_summary(x, step->host);

	switch (step->ask) {
	case XP_ASK_CANCEL:
		return s->left != 0;
	case XP_ASK_DEATH:
		return is_established(x) && xp_summary(x, 0)->ready && xp_summary(x, 1)->last;
	case XP_ASK_ADOPT:
		return is_established(x);
	case XP_ASK_RECOVER:
		return is_established(x) && s->ready && xp_summary(x, 1)->last;
	case XP_ASK_PROBE: /* what is told to leave has been left out */
		return s->ready &&
		       (x->w.changed || (!step->late && !(step->flags & DYSCO_PROBE_CLOSE))) &&
		       (!step->during || xp_attempts_under_way(x));
	case XP_ASK_WITH:
		return is_established(x) && s->ready && !((s->knows >> step->box) & 1);
	case XP_ASK_WITHOUT:
		return is_established(x) && s->ready && s->next == step->box;
	case XP_ASK_LEAVE:
		return (s->channels >> step->anchor) & 1;
	default:
		return s->ready != 0;
	}
}

static void add_script(const struct xp *x, struct choices *c)
{
	for (uint8_t i = 0; i < XP_SCRIPT_MAX && x->config->script[i].ask; i++) {
		const struct xp_step *step = &x->config->script[i];
		uint8_t before = (uint8_t)((1u << i) - 1);

		if (((x->w.scripted >> i) & 1) ||
		    (step->then &&
		     ((x->w.scripted & before) != before || xp_attempts_under_way(x)))) {
			continue;
		}
		if (is_ready(x, step)) {
			add(c, XP_STEP, i, XP_FREE);
		}
	}
}

/* The wait for a timer is over when nothing else can happen; before, it is premature. */
uint32_t xp_choices(struct xp *x, struct xp_choice list[XP_CHOICES])
{
	struct choices c = {list, 0};

	xp_load_small(x);
	if (add_idle(x, &c)) {
		x->pressing = c.count;
		return c.count;
	}
	add_flying(x, &c, XP_DELIVER, XP_FREE);
	for (uint8_t i = 0; i < x->w.n_delayed; i++) {
		if (i == 0 || x->w.delayed[i] != x->w.delayed[i - 1]) {
			add(&c, XP_LATE, i, XP_FREE);
		}
	}
	for (uint8_t side = 0; side < 2; side++) {
		add_app(x, &c, side);
	}
	add_script(x, &c);
	if (c.count == 0) {
		add_waits(x, &c);
		x->pressing = c.count;
	} else {
		x->pressing = c.count;
		if (affordable(x, XP_TIMER)) {
			add_timers(x, &c, XP_TIMER);
		}
		if (affordable(x, XP_LEASE)) {
			add_attempts(x, &c, XP_LAPSE, XP_LEASE, false);
		}
	}
	for (uint8_t side = 0; side < 2; side++) {
		add_whims(x, &c, side);
	}
	if (affordable(x, XP_LOSS)) {
		add_flying(x, &c, XP_DROP, XP_LOSS);
	}
	if (affordable(x, XP_DUPLICATE)) {
		add_flying(x, &c, XP_DUP, XP_DUPLICATE);
	}
	if (affordable(x, XP_DELAY)) {
		add_flying(x, &c, XP_HOLD, XP_DELAY);
		if (x->config->by_age) {
			add_slow(x, &c);
		}
	}
	if (affordable(x, XP_CRASH)) {
		for (uint8_t host = 0; host < x->config->hosts; host++) {
			add(&c, XP_RESTART, host, XP_CRASH);
		}
	}
	return c.count;
}

static void act(struct xp *x, const struct xp_choice *c)
{
	uint32_t number = x->w.flying[c->a % XP_FLYING];

	switch (c->kind) {
	case XP_DELIVER:
		take_flying(&x->w, c->a);
		deliver(x, number);
		break;
	case XP_DROP:
		take_flying(&x->w, c->a);
		break;
	case XP_DUP:
		take_flying(&x->w, c->a);
		delay(x, number);
		deliver(x, number);
		break;
	case XP_HOLD:
		take_flying(&x->w, c->a);
		delay(x, number);
		break;
	case XP_SLOW_FLOW:
		slow_down(x, number);
		break;
	case XP_LATE:
		number = x->w.delayed[c->a];
		take_delayed(&x->w, c->a);
		deliver(x, number);
		break;
	case XP_WRITE:
		xp_end_write(x, c->a);
		break;
	case XP_READ:
		xp_end_read(x, c->a);
		break;
	case XP_CLOSE:
		xp_end_close(x, c->a);
		break;
	case XP_ABORT:
		xp_end_abort(x, c->a);
		break;
	case XP_KEEPALIVE:
		xp_end_keepalive(x, c->a);
		break;
	case XP_RTO:
		xp_end_timer(x, c->a);
		break;
	case XP_STEP:
		x->w.scripted |= (uint8_t)(1u << c->a);
		if (x->config->script[c->a].ask == XP_ASK_DEATH) {
			x->w.dead |= (uint8_t)(1u << x->config->script[c->a].host);
		} else {
			xp_host_step(x, c->a);
		}
		break;
	case XP_DUE:
	case XP_LAPSE:
		xp_host_due(x, c->a, c->b, c->kind == XP_LAPSE);
		break;
	default:
		xp_host_restart(x, c->a);
		break;
	}
}

bool xp_take(struct xp *x, const struct xp_choice *choice)
{
	xp_load_small(x);
	if (choice->cost < XP_FREE) {
		x->w.spent[choice->cost]++;
	}
	act(x, choice);
	xp_work(x);
	if (!x->failed) {
		store(x);
	}
	if (x->failed || x->cut) {
		xp_abandon(x);
	}
	return !x->failed && !x->cut;
}
