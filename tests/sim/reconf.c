// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconfigurations of living sessions (docs/protocol.md 12): what is asked of
 * the cores at random times, and what the world knows of it: which way each
 * packet may take, and how every attempt ends.
 *
 * The way is kept as steps, pairs of neighbouring nodes of a chain. An attempt
 * adds the steps of its new path; when both anchors have completed it those of
 * the old path are over, when it has failed those of the new one.
 */
#include "tests/sim/scenario.h"

#include <string.h>

enum { PATIENCE_S = 60, PLACES = SIM_VISITS + 2 };

/* ---- the chain of a connection ---- */

static uint8_t first_of(uint32_t set)
{
	return (uint8_t)__builtin_ctz(set);
}

static void step_add(struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to, uint8_t wish)
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
		step_add(w, i, flow->way[k], flow->way[k + 1], SIM_NONE);
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

static uint8_t place_of(const struct sim_flow *flow, uint8_t node)
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

/* One anchor works on the new path alone: the chain is the new one. */
static void way_changes(struct sim_world *w, struct sim_wish *wish)
{
	struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = place_of(flow, wish->left), right = place_of(flow, wish->right);
	uint8_t way[PLACES], n = 0;

	if (left == SIM_NONE || right == SIM_NONE || left >= right ||
	    flow->n_way + wish->n_path > PLACES) {
		sim_fail(w, "attempt %u completed between nodes %u and %u that are no anchors",
			 (unsigned int)(wish - w->wishes), wish->left, wish->right);
		return;
	}
	wish->n_old = (uint8_t)(right - left + 1);
	memcpy(wish->old, &flow->way[left], wish->n_old);
	memcpy(way, flow->way, left + 1u);
	n = (uint8_t)(left + 1);
	memcpy(&way[n], wish->path, wish->n_path);
	n = (uint8_t)(n + wish->n_path);
	memcpy(&way[n], &flow->way[right], (size_t)flow->n_way - right);
	flow->n_way = (uint8_t)(n + flow->n_way - right);
	memcpy(flow->way, way, flow->n_way);
}

/* ---- how attempts end ---- */

static struct sim_agent *agent_at(struct sim_world *w, uint8_t node)
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
	const struct sim_agent *a = agent_at(w, node);
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
static uint8_t reason_of(const struct sim_world *w)
{
	for (uint32_t i = 0; i < w->actions.count; i++) {
		if (w->actions.list[i].kind == DYSCO_ACT_EVENT &&
		    w->actions.list[i].event == DYSCO_EVENT_RECONFIG_FAILED) {
			return w->actions.list[i].reason;
		}
	}
	return DYSCO_NACK_NONE;
}

static bool fin_sent(const struct sim_world *w, const struct sim_flow *flow)
{
	return w->conns[flow->conn[0]].fin_sent || w->conns[flow->conn[1]].fin_sent;
}

/* With nobody in the way, it fails only because the session is about to end, or just began. */
static void check_failure(struct sim_world *w, const struct sim_wish *wish)
{
	bool disturbed = w->loss || w->crashes || w->n_agents < w->n_hosts || wish->must_fail ||
			 wish->cancelled || wish->contended || w->flows[wish->flow].disturbed ||
			 fin_sent(w, &w->flows[wish->flow]);
	uint8_t reason = reason_of(w);

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
	for (uint16_t i = 0; i < w->n_steps; i++) {
		if (w->steps[i].wish == (uint8_t)(wish - w->wishes)) {
			w->steps[i].until_ns = w->now_ns;
		}
	}
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

/* After every call of a core. */
void sim_reconf_watch(struct sim_world *w, uint8_t agent)
{
	for (uint8_t i = 0; i < w->n_wishes && !w->failed; i++) {
		struct sim_wish *wish = &w->wishes[i];

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
		if (!wish->fate[0] && w->now_ns > w->calm_ns + PATIENCE_S * SIM_S &&
		    w->now_ns > wish->begun_ns + PATIENCE_S * SIM_S) {
			sim_fail(w, "attempt %u does not end", i);
		}
	}
}

/* ---- what is asked ---- */

/* The leg of a session that faces right at a node; DYSCO_NO_SLOT: there is none. */
static uint32_t right_leg(struct sim_world *w, uint8_t node, const struct dysco_session_id *id)
{
	const struct sim_agent *a = agent_at(w, node);
	uint16_t host = w->hosts[w->nodes[node].host].id;
	uint32_t found = DYSCO_NO_SLOT;

	for (uint32_t slot = 1; slot < a->dp.table.capacity; slot++) {
		const struct dysco_leg *leg = &a->dp.legs[slot];
		uint8_t role = w->nodes[node].kind == SIM_BOX ? DYSCO_ROLE_RIGHT : DYSCO_ROLE_FIRST;

		if (leg->host == host && leg->role == role &&
		    (leg->mode == DYSCO_MODE_FAST || leg->mode == DYSCO_MODE_PUNT) &&
		    memcmp(&a->dp.cold[slot].id, id, sizeof(*id)) == 0 &&
		    (found == DYSCO_NO_SLOT || leg->mode == DYSCO_MODE_FAST)) {
			found = slot;
		}
	}
	return found;
}

static bool session_of(struct sim_world *w, const struct sim_flow *flow,
		       struct dysco_session_id *id)
{
	const struct sim_agent *a = agent_at(w, flow->client);

	for (uint32_t slot = 1; slot < a->dp.table.capacity; slot++) {
		const struct dysco_leg *leg = &a->dp.legs[slot];

		if (leg->role == DYSCO_ROLE_FIRST && leg->mode != DYSCO_MODE_FREE &&
		    leg->mode != DYSCO_MODE_DEAD &&
		    dysco_tuple_equal(&leg->host_tuple, &flow->tuple)) {
			*id = a->dp.cold[slot].id;
			return true;
		}
	}
	return false;
}

static void put_node(struct sim_world *w, struct dysco_address_list *list, uint8_t node)
{
	list->hops[list->count].addr = w->nodes[node].addr;
	list->count++;
}

/* New boxes, none of them in the chain as it is. */
static void draw_path(struct sim_world *w, struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t n = (uint8_t)sim_random(w, 4);

	for (uint8_t tries = 0; tries < 12 && wish->n_path < n; tries++) {
		uint8_t node = (uint8_t)(w->first_box + sim_random(w, w->n_boxes));
		bool taken = place_of(flow, node) != SIM_NONE;

		for (uint8_t i = 0; i < wish->n_path; i++) {
			taken = taken || wish->path[i] == node;
		}
		if (!taken) {
			wish->path[wish->n_path++] = node;
			wish->must_fail |= w->nodes[node].box == SIM_BOX_DROP_SYN ||
					   w->nodes[node].box == SIM_BOX_REFUSE ||
					   w->nodes[node].box == SIM_BOX_DELTA;
		}
	}
}

/* One that has to be refused, by this agent or another one. */
static void spoil(struct sim_world *w, struct sim_wish *wish, struct dysco_address_list *list)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = place_of(flow, wish->left), right = place_of(flow, wish->right);

	sim_has(w, SIM_HAS_RECONF_INVALID);
	wish->must_fail = true;
	switch (sim_random(w, 4)) {
	case 0: /* the left anchor itself */
		list->hops[list->count - 1].addr = w->nodes[wish->left].addr;
		wish->refused = true;
		break;
	case 1: /* nobody */
		list->count = 0;
		wish->refused = true;
		break;
	case 2: /* a host twice */
		if (list->count < DYSCO_HOPS_MAX) {
			put_node(w, list, wish->right);
			wish->refused = true;
			break;
		}
		/* fall through */
	default: /* a host of the way, or one that is not on it */
		if (right - left > 1 && wish->n_path == 0) {
			list->count = 0;
			put_node(w, list, flow->way[left + 1]);
			put_node(w, list, wish->right);
		} else {
			list->count = 0;
			put_node(w, list, (uint8_t)(left ? flow->client : wish->left));
			wish->refused = left == 0;
		}
		break;
	}
}

static bool is_open(const struct sim_world *w, const struct sim_flow *flow)
{
	for (int side = 0; side < 2; side++) {
		if (flow->conn[side] == SIM_NONE ||
		    w->conns[flow->conn[side]].state != SIM_TCP_OPEN ||
		    w->conns[flow->conn[side]].end != SIM_END_NONE) {
			return false;
		}
	}
	return flow->chained && flow->after == SIM_NONE;
}

static void draw_anchors(struct sim_world *w, struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = (uint8_t)sim_random(w, flow->n_way - 1u);
	uint8_t right = (uint8_t)(left + 1 + sim_random(w, (uint32_t)(flow->n_way - left - 1)));

	wish->left = flow->way[left];
	wish->right = flow->way[right];
}

/* A box between the anchors that has not frozen its constants. */
static bool is_thawed(const struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t right = place_of(flow, wish->right);

	for (uint8_t i = (uint8_t)(place_of(flow, wish->left) + 1); i < right; i++) {
		if (w->nodes[flow->way[i]].thawed) {
			return true;
		}
	}
	return false;
}

static void note_wish(struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t old = (uint8_t)(place_of(flow, wish->right) - place_of(flow, wish->left) - 1);

	sim_has(w, wish->n_path == 0 ? (old ? SIM_HAS_RECONF_DELETE : SIM_HAS_RECONF_RENEW)
		   : old	     ? SIM_HAS_RECONF_REPLACE
				     : SIM_HAS_RECONF_INSERT);
	if (wish->n_path > 1) {
		sim_has(w, SIM_HAS_RECONF_SEVERAL);
	}
	if (w->nodes[wish->left].kind == SIM_BOX || w->nodes[wish->right].kind == SIM_BOX) {
		sim_has(w, SIM_HAS_RECONF_INNER);
	}
}

/* Others of the same session, or that were until a moment ago; they are contended too, then. */
static bool contend(struct sim_world *w, const struct sim_wish *wish)
{
	bool any = false;

	for (uint8_t i = 0; i < w->n_wishes; i++) {
		struct sim_wish *other = &w->wishes[i];

		if (other != wish && other->begun && other->flow == wish->flow &&
		    (!(other->fate[0] && other->fate[1]) ||
		     w->now_ns < other->ended_ns + 3 * SIM_S)) {
			other->contended = any = true;
		}
	}
	if (any) {
		sim_has(w, SIM_HAS_RECONF_CONTEND);
	}
	return any;
}

static uint64_t table_hash(const struct sim_agent *a)
{
	uint64_t hash = sim_bytes_hash(1, a->dp.attempts, sizeof(a->dp.attempts));

	hash = sim_bytes_hash(hash, a->dp.legs, a->dp.table.capacity * sizeof(a->dp.legs[0]));
	return sim_bytes_hash(hash, a->dp.cold, a->dp.table.capacity * sizeof(a->dp.cold[0]));
}

static void begin(struct sim_world *w, struct sim_wish *wish, uint32_t slot,
		  const struct dysco_address_list *list)
{
	struct sim_agent *a = agent_at(w, wish->left);
	uint64_t before = table_hash(a);
	uint32_t index = dysco_core_reconfigure(&a->core, w->now_ns, slot, 0, list, &w->actions);

	sim_say(w, "attempt %u: flow %u between nodes %u and %u, %u boxes: %s (%u)",
		(unsigned int)(wish - w->wishes), wish->flow, wish->left, wish->right, wish->n_path,
		index ? "begins" : "refused", w->actions.list[0].reason);
	if (index == 0) {
		if (table_hash(a) != before) {
			sim_fail(w, "a refused reconfiguration has changed the table");
		}
		w->outcomes[SIM_N_RECONF_REFUSED]++;
	} else if (wish->refused) {
		sim_fail(w, "a reconfiguration that cannot be is not refused");
	} else {
		uint8_t from = wish->left;

		wish->contended = contend(w, wish);
		wish->begun = w->moving = true;
		wish->begun_ns = w->now_ns;
		wish->index = index;
		wish->nonce = a->dp.attempts[index].nonce;
		w->flows[wish->flow].moved = true;
		note_wish(w, wish);
		for (uint8_t i = 0; i <= wish->n_path; i++) {
			uint8_t to = i < wish->n_path ? wish->path[i] : wish->right;

			step_add(w, wish->flow, from, to, (uint8_t)(wish - w->wishes));
			from = to;
		}
		w->outcomes[SIM_N_RECONFIGS]++;
	}
	sim_agent_answered(w, w->hosts[w->nodes[wish->left].host].agent, NULL);
}

/* Somebody wants another chain for one of the connections that are open now. */
void sim_reconfigure(struct sim_world *w)
{
	struct sim_wish *wish = &w->wishes[w->n_wishes];
	struct dysco_address_list list = {0};
	struct dysco_session_id id;
	uint32_t slot;

	if (w->n_wishes == SIM_WISHES) {
		return;
	}
	memset(wish, 0, sizeof(*wish));
	wish->flow = (uint8_t)sim_random(w, w->n_flows);
	if (!is_open(w, &w->flows[wish->flow]) ||
	    (fin_sent(w, &w->flows[wish->flow]) && !sim_chance(w, 200)) ||
	    !session_of(w, &w->flows[wish->flow], &id)) {
		return;
	}
	draw_anchors(w, wish);
	draw_path(w, wish);
	wish->must_fail |= is_thawed(w, wish);
	for (uint8_t i = 0; i < wish->n_path; i++) {
		put_node(w, &list, wish->path[i]);
	}
	put_node(w, &list, wish->right);
	if (sim_chance(w, 80)) {
		spoil(w, wish, &list);
	}
	slot = right_leg(w, wish->left, &id);
	if (slot == DYSCO_NO_SLOT || !agent_at(w, wish->left)->alive) {
		return;
	}
	w->n_wishes++;
	begin(w, wish, slot, &list);
}

void sim_reconf_cancel(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_wishes; i++) {
		struct sim_wish *wish = &w->wishes[i];
		struct sim_agent *a = agent_at(w, wish->left);

		if (!wish->begun || wish->fate[0] || !a->alive ||
		    a->dp.attempts[wish->index].nonce != wish->nonce) {
			continue;
		}
		sim_has(w, SIM_HAS_RECONF_CANCEL);
		sim_say(w, "attempt %u is cancelled", i);
		wish->cancelled = true;
		if (dysco_core_attempt_cancel(&a->core, w->now_ns, wish->index, &w->actions)) {
			sim_agent_answered(w, w->hosts[w->nodes[wish->left].host].agent, NULL);
		}
		return;
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
