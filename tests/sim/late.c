// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions that began without a chain and are adopted in mid-stream (docs/protocol.md
 * 12.8): what agent/late.c does, with model endpoints in the place of stacks that can
 * be asked. What is asked of the core afterwards is in wish.c.
 */
#include "tests/sim/tcp.h"
#include "tests/sim/wish.h"

#include <string.h>

enum { QUIET_MS = 1000, PROVOKE_MS = 1000, GIVE_UP_S = 10 };

static struct sim_conn *conn_of(struct sim_world *w, const struct dysco_tuple *tuple)
{
	for (uint8_t i = 0; i < w->n_conns; i++) {
		if (dysco_tuple_equal(&w->conns[i].tuple, tuple)) {
			return &w->conns[i];
		}
	}
	return NULL;
}

/* As a stack knows them: what was negotiated. */
static struct dysco_syn_options options_of(const struct sim_conn *c)
{
	struct dysco_syn_options o = {.mss = c->app.mss, .wscale = DYSCO_NO_WSCALE};

	o.wscale = c->scaled ? c->app.wscale : o.wscale;
	o.flags = (uint8_t)(DYSCO_SYN_NOTED | (c->sack_on ? DYSCO_SYN_SACK : 0) |
			    (c->ts_on ? DYSCO_SYN_TS : 0));
	return o;
}

/* Else a stack says that it has no such connection, and a FIN may have gone by. */
static bool is_established(const struct sim_conn *c)
{
	return c->state == SIM_TCP_OPEN && c->end == SIM_END_NONE && !c->fin_sent && !c->fin_rcvd;
}

static uint32_t adopt(struct sim_world *w, const struct sim_flow *flow, uint8_t side)
{
	uint8_t node = side ? flow->server : flow->client;
	struct sim_agent *a = sim_agent_at(w, node);
	struct dysco_late late = {.host = w->hosts[w->nodes[node].host].id,
				  .attachment = w->hosts[w->nodes[node].host].id,
				  .initiator = side == 0,
				  .tuple = flow->tuple};
	uint32_t slot;

	if (side) {
		late.tuple = dysco_tuple_reverse(&flow->tuple);
	}
	late.options[DYSCO_OUT] = options_of(&w->conns[flow->conn[side]]);
	late.options[DYSCO_IN] = options_of(&w->conns[flow->conn[!side]]);
	slot = dysco_core_adopt(&a->core, w->now_ns, &late);
	sim_say(w, "node %u adopts flow %u: leg %u", node, (unsigned int)(flow - w->flows), slot);
	w->actions.count = 0;
	sim_check_core(w, w->hosts[w->nodes[node].host].agent);
	return slot;
}

void sim_adopt(struct sim_world *w, uint8_t i)
{
	const struct sim_flow *flow = &w->flows[i];

	if (flow->opened && flow->conn[0] != SIM_NONE &&
	    w->conns[flow->conn[0]].end != SIM_END_NONE) {
		return;
	}
	if (!sim_flow_is_open(w, flow) || !sim_agent_at(w, flow->client)->alive) {
		if (w->now_ns < w->calm_ns + GIVE_UP_S * SIM_S) {
			sim_at(w, w->now_ns + 150 * SIM_MS, SIM_EV_ADOPT, i);
		}
		return;
	}
	if (!is_established(&w->conns[flow->conn[0]])) {
		return;
	}
	w->moving = true;
	sim_has(w, SIM_HAS_ADOPTED);
	if (adopt(w, flow, 0) == DYSCO_NO_SLOT) {
		sim_fail(w, "flow %u is not adopted", i);
	}
	if (sim_agent_at(w, flow->server)->alive && is_established(&w->conns[flow->conn[1]]) &&
	    sim_chance(w, 250)) {
		adopt(w, flow, 1);
	}
	for (int k = 0; k < 2; k++) {
		sim_at(w, w->now_ns + sim_random(w, 1800) * SIM_MS, SIM_EV_RECONFIGURE, 0);
	}
}

/* ---- watching ---- */

static struct sim_adopted *record_of(struct sim_world *w, uint8_t agent, uint32_t slot)
{
	uint64_t created_ns = w->agents[agent].dp.legs[slot].created_ns;
	struct sim_adopted *a = w->adopted;

	while (a < w->adopted + w->n_adopted &&
	       (a->agent != agent || a->slot != slot || a->created_ns != created_ns)) {
		a++;
	}
	if (a == w->adopted + w->n_adopted && w->n_adopted < SIM_ADOPTED) {
		*a = (struct sim_adopted){.agent = agent, .slot = slot, .created_ns = created_ns};
		w->n_adopted++;
	}
	return a < w->adopted + w->n_adopted ? a : NULL;
}

/* One half of the servers' stacks cannot be asked. */
static bool can_be_asked(const struct sim_world *w, const struct dysco_leg *leg)
{
	return leg->role == DYSCO_ROLE_FIRST || w->seed & 8;
}

static void bound(const struct sim_world *w, const struct dysco_leg *leg, const struct sim_conn *c,
		  struct sim_adopted *a)
{
	bool asked = can_be_asked(w, leg);

	a->bounded = true;
	a->end = leg->run[DYSCO_IN].ack + (asked ? c->snd_max - c->snd_una : 0);
	a->quiet_ns = asked ? 0 : w->now_ns + QUIET_MS * SIM_MS;
}

static bool is_known(const struct sim_world *w, const struct dysco_leg *leg,
		     const struct sim_adopted *a)
{
	uint32_t sent = leg->run[DYSCO_OUT].seq_end;

	return w->now_ns >= a->quiet_ns && (int32_t)(a->end - sent) <= 0 &&
	       (int32_t)(leg->run[DYSCO_IN].ack - sent) <= 0;
}

static void look_at(struct sim_world *w, uint8_t agent, uint32_t slot)
{
	struct dysco_core *core = &w->agents[agent].core;
	const struct dysco_leg *leg = &w->agents[agent].dp.legs[slot];
	const struct sim_conn *c = conn_of(w, &leg->host_tuple);
	struct sim_adopted *a = record_of(w, agent, slot);

	if (!a || !c) {
		sim_fail(w, "simulator: a session of nobody was adopted, or too many");
	} else if (!is_established(c) && can_be_asked(w, leg)) {
		dysco_core_late_forget(core, slot);
	} else if (!(leg->run[0].seen & leg->run[1].seen & DYSCO_SEEN_ACK)) {
		if (w->now_ns >= a->provoke_ns) {
			a->provoke_ns = w->now_ns + PROVOKE_MS * SIM_MS;
			dysco_core_late_provoke(core, slot, &w->actions);
			sim_agent_answered(w, agent, NULL);
		}
	} else if (!a->bounded) {
		bound(w, leg, c, a);
	} else if (is_known(w, leg, a)) {
		sim_say(w, "agent %u knows all of leg %u", agent, slot);
		dysco_core_late_known(core, slot);
	}
}

void sim_adopted_tick(struct sim_world *w, uint8_t agent)
{
	struct sim_agent *a = &w->agents[agent];

	for (uint32_t slot = 1; w->features[SIM_HAS_ADOPTED] && slot <= a->core.high_slot; slot++) {
		if ((a->dp.legs[slot].flags & DYSCO_LEG_LATE) &&
		    dysco_core_only_watches(&a->core, slot) && !w->failed) {
			look_at(w, agent, slot);
		}
	}
}
