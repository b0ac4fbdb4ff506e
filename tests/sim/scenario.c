// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a run contains, drawn from its seed: a theme that decides the topology
 * and what must come of the connections, and traits that any theme may have.
 * The world itself (nodes, agents, policies) is laid out in topology.c.
 */
#include "tests/sim/scenario.h"

#include <string.h>

static uint8_t pick(struct sim_world *w, uint8_t low, uint8_t high)
{
	return (uint8_t)(low + sim_random(w, (uint32_t)(high - low + 1)));
}

/* Weights of the themes, per mille together with SIM_THEME_NOTHING taking the rest. */
static const struct {
	uint8_t theme;
	uint16_t weight;
} themes[] = {
    {SIM_THEME_PLAIN, 30},	{SIM_THEME_BOX_NAT, 60},	{SIM_THEME_BOX_PORT_NAT, 30},
    {SIM_THEME_DROP_SYN, 20},	{SIM_THEME_DROP_SOME, 40},	{SIM_THEME_REFUSE, 20},
    {SIM_THEME_ADDED_HOPS, 70}, {SIM_THEME_WIRE_NAT, 50},	{SIM_THEME_EXIT, 40},
    {SIM_THEME_EXIT_NAT, 30},	{SIM_THEME_GATEWAY, 60},	{SIM_THEME_OPEN_DEAD, 30},
    {SIM_THEME_NO_AGENT, 20},	{SIM_THEME_SERVER_REFUSES, 20}, {SIM_THEME_IDLE, 30},
    {SIM_THEME_KILL, 30},	{SIM_THEME_CRASH, 90},		{SIM_THEME_ENEMY, 90},
    {SIM_THEME_FEW_PORTS, 25},	{SIM_THEME_FEW_LEGS, 25},	{SIM_THEME_SIMULTANEOUS, 30},
    {SIM_THEME_OPEN_SLOW, 30},
};

static enum sim_theme draw_theme(struct sim_world *w)
{
	uint32_t at = sim_random(w, 1000);

	for (size_t i = 0; i < sizeof(themes) / sizeof(themes[0]); i++) {
		if (at < themes[i].weight) {
			return themes[i].theme;
		}
		at -= themes[i].weight;
	}
	return SIM_THEME_NOTHING;
}

static void draw_network(struct sim_world *w)
{
	w->ip6 = sim_chance(w, 400);
	w->signed_messages = sim_chance(w, 400);
	w->delay_ns = (200 + sim_random(w, 8000)) * SIM_US;
	w->calm_ns = (1000 + sim_random(w, 2000)) * SIM_MS;
	if (sim_chance(w, 500)) {
		w->loss = (uint16_t)(5 + sim_random(w, 60));
		sim_has(w, SIM_HAS_LOSSY);
	}
	if (sim_chance(w, 400)) {
		w->duplicate = (uint16_t)(5 + sim_random(w, 60));
		sim_has(w, SIM_HAS_DUPLICATES);
	}
	if (sim_chance(w, 400)) {
		w->reorder = (uint16_t)(50 + sim_random(w, 400));
		sim_has(w, SIM_HAS_REORDER);
	}
	w->timeouts = (struct dysco_timeouts){60, 40, 30, 10};
}

static uint8_t draw_length(struct sim_world *w)
{
	uint32_t at = sim_random(w, 100);

	if (at < 10) {
		return 0;
	}
	return at < 92 ? pick(w, 1, 4) : pick(w, 5, 16);
}

/* A box (or a type of several) for each hop. */
static void draw_hops(struct sim_world *w, struct sim_plan *plan, uint8_t n)
{
	bool plain_hops = plan->theme == SIM_THEME_OPEN_DEAD || plan->theme == SIM_THEME_NO_AGENT ||
			  plan->theme == SIM_THEME_EXIT || plan->theme == SIM_THEME_RECONF;

	plan->n_hops = n;
	for (uint8_t i = 0; i < n; i++) {
		struct sim_plan_hop *hop = &plan->hops[i];

		hop->first = plan->n_boxes;
		hop->count = 1;
		if (!plain_hops && n <= 6 && sim_chance(w, 200)) {
			hop->type = true;
			hop->count = pick(w, 1, 3);
			hop->select = pick(w, 0, 2);
		}
		plan->n_boxes = (uint8_t)(plan->n_boxes + hop->count);
	}
}

static void set_box(struct sim_world *w, struct sim_plan *plan, enum sim_box_kind kind, uint8_t hop)
{
	for (uint8_t i = 0; i < plan->hops[hop].count; i++) {
		plan->box_kind[plan->hops[hop].first + i] = (uint8_t)kind;
	}
	plan->nat_boxes = plan->nat_boxes || kind == SIM_BOX_NAT || kind == SIM_BOX_PORT_NAT;
	(void)w;
}

/* Themes that want at least one box, and what kind it is. */
static void draw_boxes(struct sim_world *w, struct sim_plan *plan)
{
	static const uint8_t kind_of[SIM_THEME_COUNT] = {
	    [SIM_THEME_BOX_NAT] = SIM_BOX_NAT,	      [SIM_THEME_BOX_PORT_NAT] = SIM_BOX_PORT_NAT,
	    [SIM_THEME_DROP_SYN] = SIM_BOX_DROP_SYN,  [SIM_THEME_DROP_SOME] = SIM_BOX_DROP_SOME,
	    [SIM_THEME_REFUSE] = SIM_BOX_REFUSE,      [SIM_THEME_EXIT_NAT] = SIM_BOX_NAT,
	    [SIM_THEME_OPEN_DEAD] = SIM_BOX_DROP_SYN, [SIM_THEME_OPEN_SLOW] = SIM_BOX_SLOW,
	};
	uint8_t kind = kind_of[plan->theme], n = draw_length(w);
	bool needs = kind != SIM_BOX_FORWARD || plan->theme == SIM_THEME_EXIT ||
		     plan->theme == SIM_THEME_ADDED_HOPS || plan->theme == SIM_THEME_NO_AGENT;

	if (plan->theme == SIM_THEME_SIMULTANEOUS) {
		n = pick(w, 0, 1);
	} else if (plan->theme == SIM_THEME_FEW_LEGS || plan->theme == SIM_THEME_FEW_PORTS) {
		n = pick(w, 0, 3);
	} else if (plan->theme == SIM_THEME_RECONF) {
		n = pick(w, 0, 4);
	}
	draw_hops(w, plan, needs && n == 0 ? 1 : n);
	if (kind == SIM_BOX_FORWARD) {
		return;
	}
	set_box(w, plan, kind,
		plan->theme == SIM_THEME_EXIT_NAT ? (uint8_t)(plan->n_hops - 1)
						  : pick(w, 0, (uint8_t)(plan->n_hops - 1)));
	if (plan->theme == SIM_THEME_OPEN_DEAD && sim_chance(w, 400)) {
		set_box(w, plan, SIM_BOX_REFUSE, pick(w, 0, (uint8_t)(plan->n_hops - 1)));
	}
}

static void draw_added_hops(struct sim_world *w, struct sim_plan *plan)
{
	uint8_t at = pick(w, 0, (uint8_t)(plan->n_hops - 1));

	if (plan->hops[at].type || plan->n_hops > 14) {
		return;
	}
	plan->added_at = at;
	plan->added_first = plan->n_boxes;
	plan->added = pick(w, 1, 2);
	plan->n_boxes = (uint8_t)(plan->n_boxes + plan->added);
}

/* Boxes that no chain has at first. */
static void draw_spares(struct sim_world *w, struct sim_plan *plan)
{
	static const uint8_t kinds[] = {
	    SIM_BOX_FORWARD,  SIM_BOX_FORWARD,	SIM_BOX_FORWARD, SIM_BOX_FORWARD, SIM_BOX_FORWARD,
	    SIM_BOX_STRICT,   SIM_BOX_STRICT,	SIM_BOX_STRICT,	 SIM_BOX_DELTA,	  SIM_BOX_NAT,
	    SIM_BOX_PORT_NAT, SIM_BOX_DROP_SYN, SIM_BOX_REFUSE};

	for (uint8_t i = 0; i < plan->n_boxes; i++) {
		uint32_t at = sim_random(w, 100);

		plan->box_kind[i] = at < 55   ? SIM_BOX_FORWARD
				    : at < 75 ? SIM_BOX_STRICT
				    : at < 90 ? SIM_BOX_DELTA
					      : SIM_BOX_NAT;
	}
	plan->nat_boxes = true; /* SYNs leave room for a tag */
	plan->spare = pick(w, 2, 5);
	for (uint8_t i = 0; i < plan->spare; i++) {
		plan->box_kind[plan->n_boxes++] = kinds[sim_random(w, sizeof(kinds))];
	}
	plan->crashes = sim_chance(w, 150);
	plan->recovery = sim_chance(w, 120);
	plan->late = !plan->recovery && sim_chance(w, 120);
	if (sim_chance(w, 200)) {
		plan->gateway = true;
		plan->clients = pick(w, 2, 3);
		sim_has(w, SIM_HAS_GATEWAY);
	}
	w->calm_ns += 3 * SIM_S;
	sim_has(w, SIM_HAS_RECONF);
}

static void draw_plan(struct sim_world *w, struct sim_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->theme = w->seed % 3 == 2 ? SIM_THEME_RECONF : draw_theme(w);
	plan->added_at = SIM_NONE;
	plan->clients = plan->theme == SIM_THEME_GATEWAY ? pick(w, 2, 4) : pick(w, 1, 2);
	if (plan->theme != SIM_THEME_PLAIN) {
		draw_boxes(w, plan);
	}
	if (plan->theme == SIM_THEME_ADDED_HOPS) {
		draw_added_hops(w, plan);
	}
	if (plan->theme == SIM_THEME_RECONF) {
		draw_spares(w, plan);
	}
	plan->gateway = plan->gateway || plan->theme == SIM_THEME_GATEWAY;
	plan->open = plan->theme == SIM_THEME_OPEN_DEAD || plan->theme == SIM_THEME_OPEN_SLOW ||
		     ((plan->theme == SIM_THEME_NOTHING || plan->theme == SIM_THEME_CRASH ||
		       plan->theme == SIM_THEME_NO_AGENT) &&
		      sim_chance(w, 250));
	plan->retries = pick(w, 1, 3);
	plan->everywhere = plan->theme != SIM_THEME_EXIT && plan->theme != SIM_THEME_EXIT_NAT &&
			   plan->theme != SIM_THEME_ADDED_HOPS && sim_chance(w, 300);
	plan->legs = plan->theme == SIM_THEME_FEW_LEGS ? (uint16_t)(3 + sim_random(w, 8)) : 160;
	plan->ports = plan->theme == SIM_THEME_FEW_PORTS ? pick(w, 1, 2) : 200;
}

/* ---- connections ---- */

static void draw_app(struct sim_world *w, const struct sim_plan *plan, struct sim_app *app)
{
	memset(app, 0, sizeof(*app));
	app->total = sim_chance(w, 100) ? 0 : sim_random(w, 2500);
	app->burst = app->total;
	app->keepalive = true;
	app->mss = (uint16_t)(60 + sim_random(w, 500));
	app->buffer = (uint16_t)(400 + sim_random(w, 3600));
	app->unit = app->mss;
	app->syn_options = (uint8_t)(4 * sim_random(w, plan->nat_boxes ? 7 : 11));
	app->options = (uint8_t)(4 * sim_random(w, 4));
	if (app->total > 10 && sim_chance(w, 300)) {
		app->burst = sim_random(w, app->total);
		app->pause_ns = sim_random(w, 1500) * SIM_MS;
	}
	if (app->syn_options > 32) {
		sim_has(w, SIM_HAS_FULL_OPTIONS);
	}
	if (sim_chance(w, 150)) {
		app->slow_reader = true;
		sim_has(w, SIM_HAS_SLOW_READER);
	}
}

/* A stack of today. */
static void draw_real(struct sim_world *w, struct sim_app *app)
{
	app->real = true;
	app->sack = sim_chance(w, 750);
	app->timestamps = sim_chance(w, 700);
	app->real_wscale = sim_chance(w, 750);
	app->wscale = (uint8_t)sim_random(w, 11);
	app->delays_acks = sim_chance(w, 600);
	app->mss = (uint16_t)(sim_chance(w, 500) ? 1400 + sim_random(w, 37) : app->mss);
	app->unit = app->mss;
	if (sim_chance(w, 500)) {
		app->buffer = 8192 + sim_random(w, app->real_wscale ? 250000 : 56000);
	}
	if (app->mss >= 1400 && sim_chance(w, 300)) {
		app->unit = app->mss * (1 + sim_random(w, 11));
		sim_has(w, SIM_HAS_LARGE_SEGMENTS);
	}
	if (app->mss >= 1400 && sim_chance(w, 250)) {
		app->total = sim_random(w, sim_chance(w, 150) ? 300000 : 50000);
	}
	if (app->real_wscale) {
		sim_has(w, SIM_HAS_SCALED);
	}
	if (app->sack) {
		sim_has(w, SIM_HAS_SACK);
	}
	if (app->timestamps) {
		sim_has(w, SIM_HAS_TIMESTAMPS);
	}
}

/* Sessions that live for a while and always have something to say. */
static void draw_talker(struct sim_world *w, struct sim_app *app, bool real)
{
	uint32_t writes = 1 + sim_random(w, 24);

	app->total = sim_random(w, 12000);
	if (real) {
		draw_real(w, app);
	}
	app->step = 1 + app->total / writes;
	app->burst = app->step < app->total ? app->step : app->total;
	app->pause_ns = (20 + sim_random(w, 8000) / writes) * SIM_MS;
}

/* What a server does not take of a SYN's data lies below a strict firewall's window for ever. */
static bool takes_fast_open(const struct sim_flow *flow)
{
	return flow->app[0].mss < flow->app[1].buffer && !flow->app[1].slow_reader;
}

static void draw_apps(struct sim_world *w, const struct sim_plan *plan, struct sim_flow *flow)
{
	draw_app(w, plan, &flow->app[0]);
	draw_app(w, plan, &flow->app[1]);
	if (plan->theme == SIM_THEME_RECONF) {
		bool real = sim_chance(w, 700);

		draw_talker(w, &flow->app[0], real);
		draw_talker(w, &flow->app[1], real);
	}
	flow->app[1].fast_open = false;
	if (flow->app[0].burst && !flow->simultaneous && sim_chance(w, 120) &&
	    (plan->theme != SIM_THEME_RECONF || takes_fast_open(flow))) {
		flow->app[0].fast_open = true;
		sim_has(w, SIM_HAS_FAST_OPEN);
	}
	switch (sim_random(w, 3)) {
	case 0:
		flow->app[sim_random(w, 2)].close_after_peer = true;
		break;
	default:
		sim_has(w, SIM_HAS_HALF_CLOSE);
		break;
	}
	if (flow->must == SIM_MUST_COMPLETE && sim_chance(w, 60)) {
		uint8_t side = pick(w, 0, 1);

		flow->app[side].abort_after = 1 + flow->app[!side].total / 2;
		flow->must = SIM_MAY_FAIL;
		sim_has(w, SIM_HAS_ABORT);
	}
	if (plan->theme == SIM_THEME_IDLE) {
		for (int side = 0; side < 2; side++) {
			flow->app[side].close_after_peer = true;
			flow->app[side].keepalive = false;
			flow->app[side].abort_after = 0;
		}
		flow->must = SIM_MUST_RESET;
	}
}

static uint8_t must_of(const struct sim_plan *plan, bool chained)
{
	if (plan->theme == SIM_THEME_SERVER_REFUSES) {
		return SIM_MUST_REFUSE;
	}
	if (!chained) {
		return SIM_MUST_COMPLETE;
	}
	switch (plan->theme) {
	case SIM_THEME_DROP_SYN:
		return SIM_MUST_FAIL;
	case SIM_THEME_REFUSE:
		return SIM_MUST_REFUSE;
	case SIM_THEME_NO_AGENT:
		return plan->open ? SIM_MUST_COMPLETE : SIM_MUST_REFUSE;
	case SIM_THEME_KILL:
	case SIM_THEME_FEW_LEGS:
	case SIM_THEME_FEW_PORTS:
		return SIM_MAY_FAIL;
	default:
		return SIM_MUST_COMPLETE;
	}
}

static void flow_hops(const struct sim_plan *plan, struct sim_flow *flow)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < plan->n_hops; i++) {
		flow->hops[n++] = ((1u << plan->hops[i].count) - 1) << plan->hops[i].first;
		for (uint8_t k = 0; i == plan->added_at && k < plan->added; k++) {
			flow->hops[n++] = 1u << (plan->added_first + k);
		}
	}
	flow->n_hops = n;
}

static void draw_flow(struct sim_world *w, const struct sim_plan *plan, uint8_t i)
{
	struct sim_flow *flow = &w->flows[i];
	uint16_t sport;

	flow->client = pick(w, 0, (uint8_t)(plan->clients - 1));
	flow->server = plan->clients;
	flow->conn[0] = flow->conn[1] = flow->after = SIM_NONE;
	flow->chained = plan->theme != SIM_THEME_PLAIN && !sim_chance(w, plan->late ? 750 : 80);
	flow->late = plan->late && !flow->chained;
	flow->open = plan->open;
	flow->simultaneous = plan->theme == SIM_THEME_SIMULTANEOUS;
	flow->exits = plan->theme == SIM_THEME_EXIT || plan->theme == SIM_THEME_EXIT_NAT;
	if (flow->exits || plan->theme == SIM_THEME_IDLE) {
		flow->chained = true; /* the server's way back leads through the exit */
	}
	flow->must = must_of(plan, flow->chained);
	flow->tuple.src = w->nodes[flow->client].addr;
	flow->tuple.dst = w->nodes[flow->server].addr;
	sport = flow->simultaneous && flow->chained ? SIM_PORT_CHAIN : (uint16_t)(5000 + i);
	flow->tuple.sport_be = DYSCO_BE16(sport);
	flow->tuple.dport_be = DYSCO_BE16(flow->chained ? SIM_PORT_CHAIN : SIM_PORT_PLAIN);
	flow_hops(plan, flow);
	if (flow->late) {
		flow->n_hops = 0;
		sim_at(w, (100 + sim_random(w, 3000)) * SIM_MS, SIM_EV_ADOPT, i);
	}
	if (plan->theme == SIM_THEME_RECONF && (flow->chained || flow->late)) {
		sim_way_begin(w, i);
	}
	draw_apps(w, plan, flow);
	flow->start_ns = sim_random(w, 600) * SIM_MS;
	sim_at(w, flow->start_ns, SIM_EV_FLOW, i);
}

/* The same five-tuple again, as soon as the first is over. */
static void draw_reuse(struct sim_world *w, const struct sim_plan *plan, uint8_t i)
{
	struct sim_flow *flow = &w->flows[i], *old = &w->flows[i - 1];

	flow->client = old->client;
	flow->tuple = old->tuple;
	flow->chained = old->chained;
	flow->late = false;
	flow_hops(plan, flow);
	flow->after = (uint8_t)(i - 1);
	flow->must = must_of(plan, flow->chained);
	if (plan->theme == SIM_THEME_IDLE) {
		flow->must = SIM_MUST_RESET;
	}
	flow->app[0].abort_after = flow->app[1].abort_after = 0;
	sim_has(w, SIM_HAS_REUSE);
}

static void draw_flows(struct sim_world *w, const struct sim_plan *plan)
{
	uint8_t n = plan->theme == SIM_THEME_FEW_LEGS || plan->theme == SIM_THEME_FEW_PORTS
			? pick(w, 3, 8)
			: pick(w, 1, 3);

	if (plan->theme == SIM_THEME_SIMULTANEOUS || plan->n_hops > 4) {
		n = 1;
	}
	for (uint8_t i = 0; i < n; i++) {
		draw_flow(w, plan, i);
	}
	w->n_flows = n;
	if (!w->flows[n - 1].simultaneous && sim_chance(w, 200)) {
		w->n_flows++;
		draw_flow(w, plan, n);
		draw_reuse(w, plan, n);
	}
}

/* ---- what happens beside the connections ---- */

static void draw_crashes(struct sim_world *w)
{
	uint8_t n = pick(w, 1, 2);
	uint64_t at_ns = sim_random(w, 1500) * SIM_MS;

	for (uint8_t i = 0; i < n; i++) {
		uint8_t agent = (uint8_t)sim_random(w, w->n_agents);
		uint64_t back_ns = at_ns + (1 + sim_random(w, 2500)) * SIM_MS;

		sim_at(w, at_ns, SIM_EV_CRASH, agent);
		sim_at(w, back_ns, SIM_EV_RESTART, agent);
		at_ns = back_ns + sim_random(w, 1000) * SIM_MS;
	}
	sim_has(w, SIM_HAS_CRASH);
}

/* At any time of the sessions' lives, alone or several at once. */
static void draw_reconfigurations(struct sim_world *w, const struct sim_plan *plan)
{
	uint8_t n = pick(w, 1, 6);
	uint64_t at_ns = 0;

	for (uint8_t i = 0; i < n; i++) {
		if (i == 0 || !sim_chance(w, 300)) {
			at_ns = (150 + sim_random(w, 4500)) * SIM_MS;
		}
		sim_at(w, at_ns, SIM_EV_RECONFIGURE, 0);
		if (sim_chance(w, 100)) {
			sim_at(w, at_ns + sim_random(w, 400) * SIM_MS, SIM_EV_CANCEL, 0);
		}
	}
	if (plan->recovery) {
		sim_at(w, (300 + sim_random(w, 3000)) * SIM_MS, SIM_EV_DEATH,
		       (uint16_t)sim_random(w, w->n_flows));
	}
	if (sim_chance(w, 120)) {
		sim_probes_draw(w);
	}
	sim_triggers_draw(w);
	if (sim_chance(w, 50)) {
		w->agents_reset = true;
		sim_has(w, SIM_HAS_KILL);
		sim_at(w, sim_random(w, 5000) * SIM_MS, SIM_EV_KILL,
		       (uint16_t)sim_random(w, w->n_flows));
		for (uint8_t i = 0; i < w->n_flows; i++) {
			w->flows[i].must = SIM_MAY_FAIL;
		}
	}
	if (plan->crashes) {
		sim_has(w, SIM_HAS_RECONF_CRASH);
		w->crashes = true;
		draw_crashes(w);
	}
}

static void draw_events(struct sim_world *w, const struct sim_plan *plan)
{
	switch (plan->theme) {
	case SIM_THEME_CRASH:
		draw_crashes(w);
		break;
	case SIM_THEME_ENEMY:
		sim_enemy_draw(w);
		break;
	case SIM_THEME_RECONF:
		draw_reconfigurations(w, plan);
		break;
	case SIM_THEME_KILL:
		w->agents_reset = true;
		sim_has(w, SIM_HAS_KILL);
		sim_at(w, sim_random(w, 2500) * SIM_MS, SIM_EV_KILL,
		       (uint16_t)sim_random(w, w->n_flows));
		break;
	case SIM_THEME_IDLE:
		w->agents_reset = true;
		w->timeouts.established = w->timeouts.half_closed = 8;
		sim_has(w, SIM_HAS_IDLE_EXPIRY);
		break;
	case SIM_THEME_NO_AGENT:
		w->strays = true;
		break;
	default:
		break;
	}
	if (w->n_agents && sim_chance(w, 100)) {
		sim_has(w, SIM_HAS_TRACE);
		for (uint8_t i = 0; i < 2; i++) {
			sim_at(w, (100 + sim_random(w, 1000)) * SIM_MS, SIM_EV_TRACE,
			       (uint16_t)sim_random(w, w->n_agents));
		}
	}
}

static void note_features(struct sim_world *w, const struct sim_plan *plan)
{
	static const uint8_t feature_of[SIM_THEME_COUNT] = {
	    [SIM_THEME_PLAIN] = SIM_HAS_PLAIN,
	    [SIM_THEME_BOX_NAT] = SIM_HAS_BOX_NAT,
	    [SIM_THEME_BOX_PORT_NAT] = SIM_HAS_BOX_PORT_NAT,
	    [SIM_THEME_DROP_SYN] = SIM_HAS_BOX_DROP_SYN,
	    [SIM_THEME_DROP_SOME] = SIM_HAS_BOX_DROP_SOME,
	    [SIM_THEME_REFUSE] = SIM_HAS_BOX_REFUSE,
	    [SIM_THEME_WIRE_NAT] = SIM_HAS_WIRE_NAT,
	    [SIM_THEME_EXIT] = SIM_HAS_EXIT,
	    [SIM_THEME_EXIT_NAT] = SIM_HAS_EXIT_NAT,
	    [SIM_THEME_GATEWAY] = SIM_HAS_GATEWAY,
	    [SIM_THEME_OPEN_DEAD] = SIM_HAS_OPEN_DEAD_BOX,
	    [SIM_THEME_OPEN_SLOW] = SIM_HAS_OPEN_SLOW_BOX,
	    [SIM_THEME_NO_AGENT] = SIM_HAS_NO_AGENT_HOP,
	    [SIM_THEME_SERVER_REFUSES] = SIM_HAS_SERVER_REFUSES,
	    [SIM_THEME_FEW_PORTS] = SIM_HAS_FEW_PORTS,
	    [SIM_THEME_FEW_LEGS] = SIM_HAS_FEW_LEGS,
	    [SIM_THEME_SIMULTANEOUS] = SIM_HAS_SIMULTANEOUS,
	};
	static const uint8_t selects[] = {SIM_HAS_TYPE_ROUND_ROBIN, SIM_HAS_TYPE_LEAST,
					  SIM_HAS_TYPE_HASH};

	if (feature_of[plan->theme] || plan->theme == SIM_THEME_PLAIN) {
		sim_has(w, (enum sim_feature)feature_of[plan->theme]);
	}
	if (plan->theme != SIM_THEME_PLAIN) {
		sim_has(w, plan->n_hops == 0  ? SIM_HAS_BOXES_0
			   : plan->n_hops > 4 ? SIM_HAS_BOXES_5_16
					      : SIM_HAS_BOXES_1_4);
	}
	for (uint8_t i = 0; i < plan->n_hops; i++) {
		if (plan->hops[i].type) {
			sim_has(w, (enum sim_feature)selects[plan->hops[i].select]);
		}
	}
	if (plan->added) {
		sim_has(w, SIM_HAS_ADDED_HOPS);
	}
	if (plan->open) {
		sim_has(w, SIM_HAS_FAIL_OPEN);
	}
	if (w->ip6) {
		sim_has(w, SIM_HAS_IP6);
	}
	if (w->signed_messages) {
		sim_has(w, SIM_HAS_SIGNED);
	}
}

void sim_scenario(struct sim_world *w)
{
	struct sim_plan plan;

	draw_network(w);
	draw_plan(w, &plan);
	sim_lay_out(w, &plan);
	draw_flows(w, &plan);
	draw_events(w, &plan);
	sim_lay_out_agents(w, &plan);
	note_features(w, &plan);
}
