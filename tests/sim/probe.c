// SPDX-License-Identifier: BSD-2-Clause
/*
 * Agents that ask others whether they live and what they know of a session
 * (docs/protocol.md 12.14). Whether an answer is true the world knows, and whether
 * a question must be answered.
 */
#include "tests/sim/wish.h"

#include <stdio.h>
#include <string.h>

enum { ROUND_MS = 500, DEAD_AFTER = 3, SETTLED_S = 3 };

void sim_probe_begin(struct sim_world *w, uint8_t flow, uint8_t to, uint8_t flags, uint8_t rounds,
		     uint64_t at_ns)
{
	struct sim_channel *c = &w->channels[w->n_channels];

	if (w->n_channels == SIM_CHANNELS) {
		return;
	}
	memset(c, 0, sizeof(*c));
	c->flow = flow;
	c->from = w->flows[flow].client;
	c->to = to;
	c->flags = flags;
	c->rounds = rounds;
	sim_at(w, at_ns, SIM_EV_PROBE, w->n_channels);
	w->n_channels++;
}

void sim_probes_draw(struct sim_world *w)
{
	uint8_t nodes = (uint8_t)(w->n_boxes + 1u), which = (uint8_t)sim_random(w, nodes);
	uint8_t flow = (uint8_t)sim_random(w, w->n_flows);
	bool nudge = sim_chance(w, 400);
	uint8_t rounds = (uint8_t)(3 + sim_random(w, 8));

	sim_probe_begin(
	    w, flow, which == w->n_boxes ? w->flows[flow].server : (uint8_t)(w->first_box + which),
	    nudge ? DYSCO_PROBE_NUDGE : 0, rounds, sim_random(w, 3500) * SIM_MS);
}

/* ---- asking ---- */

static struct dysco_leg *leg_of(struct sim_world *w, const struct sim_channel *c)
{
	return &sim_agent_at(w, c->from)->dp.legs[c->slot];
}

/* Its leg may be gone, and the slot another's. */
static bool is_ours(struct sim_world *w, const struct sim_channel *c)
{
	const struct dysco_leg *leg = leg_of(w, c);

	return c->slot != DYSCO_NO_SLOT && leg->role == DYSCO_ROLE_CONTROL &&
	       leg->mode == DYSCO_MODE_PUNT &&
	       dysco_addr_equal(&leg->wire_tuple.dst, &w->nodes[c->to].addr);
}

static bool say(struct sim_world *w, struct sim_channel *c)
{
	struct sim_agent *a = sim_agent_at(w, c->from);
	uint8_t k = c->n_asked % SIM_QUESTIONS;
	struct dysco_msg_trace probe = {.id = c->id, .flags = c->flags};

	probe.nonce = 1 + sim_random(w, UINT32_MAX - 1);
	if (!dysco_core_probe(&a->core, w->now_ns, c->slot, &probe, &w->actions)) {
		return false;
	}
	c->nonce[k] = probe.nonce;
	c->asked_ns[k] = w->now_ns;
	c->n_asked++;
	c->waits = w->moving = true;
	w->outcomes[SIM_N_QUESTIONS]++;
	sim_say(w, "node %u asks node %u: probe %u", c->from, c->to, probe.nonce);
	sim_agent_answered(w, w->hosts[w->nodes[c->from].host].agent, NULL);
	return true;
}

/* Loss, crashes and deaths excuse who does not answer. */
static bool is_sure(struct sim_world *w, const struct sim_channel *c)
{
	return w->loss == 0 && !w->crashes && !sim_is_dead(w, c->to);
}

/* Another session may have it by now. */
static bool five_tuple_is_free(const struct sim_world *w, const struct sim_flow *flow)
{
	return flow->conn[0] == SIM_NONE || w->conns[flow->conn[0]].end != SIM_END_NONE;
}

static void ask(struct sim_world *w, struct sim_channel *c)
{
	struct sim_agent *a = sim_agent_at(w, c->from);
	uint32_t beside = DYSCO_NO_SLOT;

	if (!a->alive || five_tuple_is_free(w, &w->flows[c->flow]) ||
	    !sim_session_of(w, &w->flows[c->flow], &c->id)) {
		return;
	}
	sim_has(w, SIM_HAS_PROBES);
	sim_has(w, c->flags & DYSCO_PROBE_CLOSE	  ? SIM_HAS_PROBE_CLOSE
		   : c->flags & DYSCO_PROBE_NUDGE ? SIM_HAS_PROBE_NUDGE
						  : SIM_HAS_PROBES);
	c->sure = is_sure(w, c);
	if (is_ours(w, c) && say(w, c)) {
		return;
	}
	beside = sim_right_leg(w, c->from, &c->id);
	if (beside != DYSCO_NO_SLOT) {
		c->slot =
		    dysco_core_channel_open(&a->core, w->now_ns, beside, &w->nodes[c->to].addr);
		if (c->slot != DYSCO_NO_SLOT && !say(w, c)) {
			sim_fail(w, "a channel that was just opened takes no question");
		}
	}
}

static void judge_silence(struct sim_world *w, struct sim_channel *c)
{
	if (!c->waits) {
		c->misses = 0;
	} else if (c->sure && is_sure(w, c)) {
		sim_fail(w, "node %u lives, and has not answered node %u", c->to, c->from);
	} else if (++c->misses == DEAD_AFTER && sim_is_dead(w, c->to)) {
		w->outcomes[SIM_N_FOUND_DEAD]++;
	}
	c->waits = false;
}

void sim_probe(struct sim_world *w, uint8_t i)
{
	struct sim_channel *c = &w->channels[i];
	struct sim_agent *a = sim_agent_at(w, c->from);

	judge_silence(w, c);
	if (c->rounds > 0) {
		c->rounds--;
		sim_at(w, w->now_ns + ROUND_MS * SIM_MS, SIM_EV_PROBE, i);
		ask(w, c);
	} else if (a->alive && is_ours(w, c)) {
		dysco_core_channel_close(&a->core, w->now_ns, c->slot, &w->actions);
		sim_agent_answered(w, w->hosts[w->nodes[c->from].host].agent, NULL);
	}
}

/* ---- answers ---- */

static bool is_settled(const struct sim_world *w, uint8_t flow)
{
	for (uint8_t i = 0; i < w->n_wishes; i++) {
		const struct sim_wish *wish = &w->wishes[i];

		if (wish->flow == flow && wish->begun &&
		    (!(wish->fate[0] && wish->fate[1]) ||
		     w->now_ns < wish->ended_ns + SETTLED_S * SIM_S)) {
			return false;
		}
	}
	return true;
}

/* Legs of the session at that host, that carry it. */
static bool takes_part(struct sim_world *w, const struct sim_channel *c)
{
	const struct sim_agent *a = sim_agent_at(w, c->to);
	uint16_t host = w->hosts[w->nodes[c->to].host].id;

	for (uint32_t slot = 1; slot < a->dp.table.capacity; slot++) {
		const struct dysco_leg *leg = &a->dp.legs[slot];

		if (leg->host == host && leg->role != DYSCO_ROLE_CONTROL &&
		    leg->mode == DYSCO_MODE_FAST && dysco_leg_state(leg) < DYSCO_STATE_TIME_WAIT &&
		    memcmp(&a->dp.cold[slot].id, &c->id, sizeof(c->id)) == 0) {
			return true;
		}
	}
	return false;
}

static void check_known(struct sim_world *w, const struct sim_channel *c,
			const struct dysco_msg_probe_reply *reply)
{
	const struct sim_node *node = &w->nodes[c->to];
	uint32_t added = node->box == SIM_BOX_DELTA ? node->delta[0][0] : 0;
	char name[DYSCO_NAME_BYTES];

	snprintf(name, sizeof(name), "host%u", node->host);
	if (strcmp(reply->report.host, name) != 0) {
		sim_fail(w, "probe: %s answers for %s", reply->report.host, name);
	}
	/* Of a session that has ended it may have one leg left, and no numbers to compare. */
	if (node->kind == SIM_BOX && sim_flow_is_open(w, &w->flows[c->flow]) &&
	    reply->numbers.base - reply->numbers.seq != added) {
		sim_fail(w, "probe: node %u says that it adds %u, and adds %u", c->to,
			 reply->numbers.base - reply->numbers.seq, added);
	}
	if (w->n_wishes == 0 && w->flows[c->flow].after == SIM_NONE &&
	    sim_place_of(&w->flows[c->flow], c->to) == SIM_NONE) {
		sim_fail(w, "probe: node %u knows a session that it has never seen", c->to);
	}
}

static void check_answer(struct sim_world *w, struct sim_channel *c, uint8_t k,
			 const struct dysco_msg_probe_reply *reply)
{
	const struct sim_flow *flow = &w->flows[c->flow];
	const struct sim_node *node = &w->nodes[c->to];

	if (c->asked_ns[k] > node->dead_ns && w->now_ns < node->back_ns) {
		sim_fail(w, "probe: node %u is dead, and answers", c->to);
	}
	if (reply->trace.flags != c->flags ||
	    memcmp(&reply->trace.id, &c->id, sizeof(c->id)) != 0) {
		sim_fail(w, "probe: the answer is to another question");
	}
	if (reply->known) {
		check_known(w, c, reply);
	} else if (sim_place_of(flow, c->to) != SIM_NONE && sim_flow_is_open(w, flow) &&
		   !flow->late && !flow->disturbed && !w->crashes && !w->deaths &&
		   is_settled(w, c->flow)) {
		sim_fail(w, "probe: node %u does not know flow %u, which goes through it", c->to,
			 c->flow);
	}
	if ((c->flags & DYSCO_PROBE_CLOSE) && takes_part(w, c)) {
		sim_fail(w, "probe: node %u was to end its part of flow %u, and has not", c->to,
			 c->flow);
	}
	if (k == (c->n_asked + SIM_QUESTIONS - 1u) % SIM_QUESTIONS) {
		c->waits = false;
	}
}

void sim_probe_answered(struct sim_world *w, uint8_t agent, uint32_t slot)
{
	const struct dysco_msg_probe_reply *reply = &w->actions.probe;

	(void)slot;
	w->outcomes[SIM_N_ANSWERS]++;
	for (uint8_t i = 0; i < w->n_channels; i++) {
		struct sim_channel *c = &w->channels[i];

		for (uint8_t k = 0; k < SIM_QUESTIONS && k < c->n_asked; k++) {
			if (c->nonce[k] == reply->trace.nonce &&
			    w->hosts[w->nodes[c->from].host].agent == agent) {
				check_answer(w, c, k, reply);
				return;
			}
		}
	}
	sim_fail(w, "probe: an answer to a question that nobody has asked");
}
