// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconfigurations of living sessions (docs/protocol.md 12), what the world knows
 * of them: which way each packet may take, and how every attempt ends. What is
 * asked of cores is in wish.c, trigger.c, recover.c and late.c.
 *
 * The way is kept as steps, pairs of neighbouring nodes of a chain. An attempt
 * adds the steps of its new path; when both anchors have completed it those of
 * the old path are over, when it has failed those of the new one.
 */
#include "tests/sim/wish.h"

#include <string.h>

enum { PATIENCE_S = 60 };

/* ---- the chain of a connection ---- */

static uint8_t first_of(uint32_t set)
{
	return (uint8_t)__builtin_ctz(set);
}

void sim_step_add(struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to, uint8_t wish)
{
	if (w->n_steps == SIM_STEPS) {
		sim_fail(w, "simulator: more than %d steps", SIM_STEPS);
		return;
	}
	w->steps[w->n_steps++] = (struct sim_step){flow, from, to, wish, UINT64_MAX};
}

void sim_way_begin(struct sim_world *w, uint8_t i)
{
	struct sim_flow *flow = &w->flows[i];
	uint8_t n = 0;

	flow->way[n++] = flow->client;
	for (uint8_t k = 0; k < flow->n_hops; k++) {
		flow->way[n++] = (uint8_t)(w->first_box + first_of(flow->hops[k]));
	}
	flow->way[n++] = flow->server;
	flow->n_way = n;
	for (uint8_t k = 0; k + 1 < n; k++) {
		sim_step_add(w, i, flow->way[k], flow->way[k + 1], SIM_NONE);
	}
}

bool sim_way_has(const struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to,
		 uint64_t born_ns)
{
	for (uint16_t i = 0; i < w->n_steps; i++) {
		const struct sim_step *s = &w->steps[i];

		if (s->flow == flow && s->from == from && s->to == to && born_ns <= s->until_ns) {
			return true;
		}
	}
	return false;
}

uint8_t sim_place_of(const struct sim_flow *flow, uint8_t node)
{
	for (uint8_t i = 0; i < flow->n_way; i++) {
		if (flow->way[i] == node) {
			return i;
		}
	}
	return SIM_NONE;
}

static void steps_end(struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to)
{
	for (uint16_t i = 0; i < w->n_steps; i++) {
		struct sim_step *s = &w->steps[i];

		if (s->flow == flow && s->from == from && s->to == to && s->until_ns > w->now_ns) {
			s->until_ns = w->now_ns;
			return; /* the oldest: a renewed step has the same ends */
		}
	}
}

/* Nothing is left that the left anchor did not know of (docs/protocol.md 12.3). */
static void check_known(struct sim_world *w, const struct sim_wish *wish)
{
	uint64_t hash = 1;

	for (uint8_t i = 1; i < wish->n_old; i++) {
		hash =
		    sim_bytes_hash(hash, &w->nodes[wish->old[i]].addr, sizeof(struct dysco_addr));
	}
	if (wish->known != 0 && hash != wish->known) {
		sim_fail(w, "attempt %u replaced a path that its left anchor did not know",
			 (unsigned int)(wish - w->wishes));
	}
}

/* One anchor works on the new path alone: the chain is the new one. */
static void way_changes(struct sim_world *w, struct sim_wish *wish)
{
	struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = sim_place_of(flow, wish->left), right = sim_place_of(flow, wish->right);
	uint8_t way[SIM_PLACES], n = 0;

	if (w->deaths && (left == SIM_NONE || right == SIM_NONE)) {
		return; /* a recovery has left both of them behind */
	}
	if (left == SIM_NONE || right == SIM_NONE || left >= right ||
	    flow->n_way + wish->n_path > SIM_PLACES) {
		sim_fail(w, "attempt %u completed between nodes %u and %u that are no anchors",
			 (unsigned int)(wish - w->wishes), wish->left, wish->right);
		return;
	}
	wish->n_old = (uint8_t)(right - left + 1);
	memcpy(wish->old, &flow->way[left], wish->n_old);
	check_known(w, wish);
	memcpy(way, flow->way, left + 1u);
	n = (uint8_t)(left + 1);
	memcpy(&way[n], wish->path, wish->n_path);
	n = (uint8_t)(n + wish->n_path);
	memcpy(&way[n], &flow->way[right], (size_t)flow->n_way - right);
	flow->n_way = (uint8_t)(n + flow->n_way - right);
	memcpy(flow->way, way, flow->n_way);
}

/* ---- how attempts end ---- */

struct sim_agent *sim_agent_at(struct sim_world *w, uint8_t node)
{
	return &w->agents[w->hosts[w->nodes[node].host].agent];
}

static uint8_t fate_of_nonce(const struct sim_agent *a, uint64_t nonce)
{
	for (uint32_t i = 0; i < DYSCO_NONCES_OVER; i++) {
		if (a->dp.lasting.nonces_over[i] == nonce) {
			return a->dp.lasting.nonces_freed >> i & 1 ? SIM_FATE_COMPLETED
								   : SIM_FATE_FAILED;
		}
	}
	return SIM_FATE_OPEN;
}

/* The record of an anchor, or what it remembers of it. */
static uint8_t fate_at(struct sim_world *w, const struct sim_wish *wish, uint8_t node)
{
	const struct sim_agent *a = sim_agent_at(w, node);
	uint16_t host = w->hosts[w->nodes[node].host].id;

	for (uint32_t i = 1; i < DYSCO_SIM_ATTEMPTS; i++) {
		const struct dysco_attempt *at = &a->dp.attempts[i];

		if (at->nonce == wish->nonce && at->host == host &&
		    (at->role == DYSCO_PART_LEFT_ANCHOR || at->role == DYSCO_PART_RIGHT_ANCHOR)) {
			return at->state == DYSCO_ATTEMPT_RELEASING ||
				       at->state == DYSCO_ATTEMPT_FREED
				   ? SIM_FATE_COMPLETED
				   : SIM_FATE_OPEN;
		}
	}
	return fate_of_nonce(a, wish->nonce);
}

static void both_completed(struct sim_world *w, const struct sim_wish *wish)
{
	for (uint8_t i = 0; i + 1 < wish->n_old; i++) {
		steps_end(w, wish->flow, wish->old[i], wish->old[i + 1]);
	}
	w->outcomes[SIM_N_RECONFIGURED]++;
	w->outcomes[SIM_N_LATE_DONE] += wish->kind == DYSCO_KIND_LATE;
	if (wish->kind == DYSCO_KIND_RECOVERY) {
		sim_recovered(w, wish);
	}
}

static void completed(struct sim_world *w, struct sim_wish *wish, int side)
{
	sim_say(w, "attempt %u completed at anchor %d", (unsigned int)(wish - w->wishes), side);
	if (wish->must_fail) {
		sim_fail(w, "attempt %u completed, and cannot have",
			 (unsigned int)(wish - w->wishes));
	}
	if (wish->fate[!side] == SIM_FATE_OPEN) {
		way_changes(w, wish);
	} else if (wish->fate[!side] == SIM_FATE_COMPLETED) {
		both_completed(w, wish);
	}
}

/* What the core said of it. */
uint8_t sim_reason_told(const struct sim_world *w)
{
	for (uint32_t i = 0; i < w->actions.count; i++) {
		if (w->actions.list[i].kind == DYSCO_ACT_EVENT &&
		    w->actions.list[i].event == DYSCO_EVENT_RECONFIG_FAILED) {
			return w->actions.list[i].reason;
		}
	}
	return DYSCO_NACK_NONE;
}

bool sim_flow_closes(const struct sim_world *w, const struct sim_flow *flow)
{
	return w->conns[flow->conn[0]].fin_sent || w->conns[flow->conn[1]].fin_sent;
}

/* With nobody in the way, it fails only because the session is about to end, or just began. */
static void check_failure(struct sim_world *w, const struct sim_wish *wish)
{
	bool disturbed = w->loss || w->crashes || w->n_agents < w->n_hosts || wish->must_fail ||
			 wish->cancelled || wish->contended || w->flows[wish->flow].disturbed ||
			 (w->deaths && wish->kind != DYSCO_KIND_RECOVERY) ||
			 sim_flow_closes(w, &w->flows[wish->flow]);
	uint8_t reason = sim_reason_told(w);

	if (!disturbed && reason != DYSCO_NACK_CLOSING && reason != DYSCO_NACK_NOT_READY) {
		sim_fail(w, "attempt %u failed for reason %u, and nothing was in its way",
			 (unsigned int)(wish - w->wishes), reason);
	}
}

static void left_failed(struct sim_world *w, struct sim_wish *wish)
{
	check_failure(w, wish);
	sim_say(w, "attempt %u failed", (unsigned int)(wish - w->wishes));
	w->outcomes[SIM_N_RECONFIG_FAILED]++;
	/* A right anchor that a recovery has left behind may learn of it much later. */
	for (uint16_t i = 0; i < w->n_steps && !w->deaths; i++) {
		if (w->steps[i].wish == (uint8_t)(wish - w->wishes)) {
			w->steps[i].until_ns = w->now_ns;
		}
	}
}

bool sim_wish_is_known(struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_agent *a = sim_agent_at(w, wish->left);

	for (uint32_t i = 1; i < DYSCO_SIM_ATTEMPTS; i++) {
		if (a->dp.attempts[i].nonce == wish->nonce &&
		    a->dp.attempts[i].role == DYSCO_PART_LEFT_ANCHOR) {
			return true;
		}
	}
	return false;
}

void sim_wish_refused(struct sim_world *w, struct sim_wish *wish)
{
	left_failed(w, wish);
	wish->fate[0] = wish->fate[1] = SIM_FATE_FAILED;
	wish->ended_ns = w->now_ns;
}

/* With its session an attempt may end at one anchor as it likes. */
static bool is_over(const struct sim_world *w, const struct sim_flow *flow)
{
	return flow->disturbed || (w->conns[flow->conn[0]].end != SIM_END_NONE &&
				   w->conns[flow->conn[1]].end != SIM_END_NONE);
}

static void look_at(struct sim_world *w, struct sim_wish *wish, int side)
{
	uint8_t fate = fate_at(w, wish, side ? wish->right : wish->left);

	if (wish->fate[side] != SIM_FATE_OPEN || fate == SIM_FATE_OPEN) {
		return;
	}
	if (fate != wish->fate[!side] && wish->fate[!side] != SIM_FATE_OPEN &&
	    !is_over(w, &w->flows[wish->flow])) {
		sim_fail(w, "attempt %u: one anchor has completed it, for the other it failed",
			 (unsigned int)(wish - w->wishes));
		return;
	}
	if (fate == SIM_FATE_COMPLETED) {
		completed(w, wish, side);
	} else if (side == 0) {
		left_failed(w, wish);
	}
	wish->fate[side] = fate;
	wish->ended_ns = w->now_ns;
}

/* What a dead box, or ends that are gone, have left half-done ends when its legs expire. */
static void check_patience(struct sim_world *w, const struct sim_wish *wish)
{
	bool silent = w->deaths || w->flows[wish->flow].disturbed;
	uint64_t patience_ns =
	    (PATIENCE_S + (silent ? PATIENCE_S + w->timeouts.established : 0)) * SIM_S;

	if (!wish->fate[0] && w->now_ns > w->calm_ns + patience_ns &&
	    w->now_ns > wish->begun_ns + patience_ns) {
		sim_fail(w, "attempt %u does not end", (unsigned int)(wish - w->wishes));
	}
}

/* After every call of a core. */
void sim_reconf_watch(struct sim_world *w, uint8_t agent)
{
	for (uint8_t i = 0; i < w->n_wishes && !w->failed; i++) {
		struct sim_wish *wish = &w->wishes[i];

		sim_trigger_watch(w, agent, wish);
		if (!wish->begun || (wish->fate[0] && wish->fate[1])) {
			continue;
		}
		if (w->hosts[w->nodes[wish->left].host].agent == agent) {
			look_at(w, wish, 0);
		}
		if (w->nodes[wish->right].host != SIM_NONE &&
		    w->hosts[w->nodes[wish->right].host].agent == agent) {
			look_at(w, wish, 1);
		}
		check_patience(w, wish);
	}
}

/* ---- at the end ---- */

void sim_check_attempts(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_wishes && !w->failed; i++) {
		const struct sim_wish *wish = &w->wishes[i];

		if (wish->begun && !wish->fate[0]) {
			sim_fail(w, "attempt %u has never ended", i);
		}
	}
	for (uint8_t agent = 0; agent < w->n_agents && !w->failed; agent++) {
		for (uint32_t i = 1; i < DYSCO_SIM_ATTEMPTS; i++) {
			const struct dysco_attempt *a = &w->agents[agent].dp.attempts[i];

			if (a->role != DYSCO_PART_NONE) {
				sim_fail(w, "agent %u: an attempt left, role %u, state %u", agent,
					 a->role, a->state);
			}
		}
	}
}
