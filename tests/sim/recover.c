// SPDX-License-Identifier: BSD-2-Clause
/*
 * A box falls silent, for ever or for a while, or seems to; the first host of each
 * session through it recovers the session (docs/protocol.md 12.9), and has the boxes
 * that are left behind end their part of it (12.14).
 */
#include "tests/sim/wish.h"

enum { GIVE_UP_S = 15, SURE_S = 12, LEFT_ALONE_S = 5, CLOSE_ROUNDS = 4 };

static bool any_wished(const struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_flows; i++) {
		if (sim_flow_is_wished(w, i)) {
			return true;
		}
	}
	return false;
}

static bool is_over(const struct sim_world *w, const struct sim_flow *flow)
{
	return flow->opened && flow->conn[0] != SIM_NONE &&
	       w->conns[flow->conn[0]].end != SIM_END_NONE;
}

static void strike(struct sim_world *w, uint8_t i, uint8_t node, bool dies)
{
	struct sim_flow *flow = &w->flows[i];

	if (flow->chained && dies && (!flow->opened || flow->after != SIM_NONE)) {
		flow->must = SIM_MAY_FAIL; /* it may never begin */
		flow->disturbed = flow->moved = true;
	} else if (sim_place_of(flow, node) != SIM_NONE) {
		flow->must_before = flow->must;
		flow->must = dies ? (uint8_t)SIM_MAY_FAIL : flow->must;
		flow->struck_ns = w->now_ns;
		sim_at(w, w->now_ns + (100 + sim_random(w, 2500)) * SIM_MS, SIM_EV_RECOVER, i);
	}
}

/* Not while attempts are under way: what becomes of those is asked elsewhere. */
void sim_box_dies(struct sim_world *w, uint8_t i)
{
	struct sim_flow *flow = &w->flows[i];
	uint32_t how = sim_random(w, 100);
	uint8_t node;

	if (w->deaths || is_over(w, flow)) {
		return;
	}
	if (!sim_flow_is_open(w, flow) || flow->n_way < 3 || any_wished(w)) {
		if (w->now_ns < w->calm_ns + GIVE_UP_S * SIM_S) {
			sim_at(w, w->now_ns + 200 * SIM_MS, SIM_EV_DEATH, i);
		}
		return;
	}
	node = flow->way[1 + sim_random(w, flow->n_way - 2u)];
	w->deaths = true;
	w->nodes[node].dead_ns = w->now_ns;
	w->nodes[node].back_ns = how < 15   ? w->now_ns
				 : how < 55 ? w->now_ns + (500 + sim_random(w, 8000)) * SIM_MS
					    : UINT64_MAX;
	sim_has(w, SIM_HAS_DEATH);
	sim_say(w, "box %u falls silent", node);
	for (uint8_t k = 0; k < w->n_flows; k++) {
		strike(w, k, node, how >= 15);
	}
}

/* ---- what its first host does ---- */

static bool has_renumbering_box(const struct sim_world *w, const struct sim_flow *flow)
{
	for (uint8_t i = 0; i < flow->n_hops; i++) {
		if (w->nodes[w->first_box + __builtin_ctz(flow->hops[i])].box == SIM_BOX_DELTA) {
			return true;
		}
	}
	return false;
}

static void ask(struct sim_world *w, struct sim_wish *wish, uint32_t slot)
{
	struct sim_flow *flow = &w->flows[wish->flow];
	struct dysco_address_list list;

	wish->kind = DYSCO_KIND_RECOVERY;
	wish->left = flow->client;
	wish->right = flow->server;
	sim_wish_draw_path(w, wish, true);
	wish->must_fail |= has_renumbering_box(w, flow);
	for (uint8_t i = 0; i < wish->n_path; i++) {
		if (sim_place_of(flow, wish->path[i]) != SIM_NONE) {
			sim_has(w, SIM_HAS_RECOVER_KEPT);
			flow->must = SIM_MAY_FAIL; /* it leaves the old path: no way back */
		}
	}
	sim_has(w, SIM_HAS_RECOVER);
	sim_wish_list(w, wish, &list);
	sim_wish_begin(w, wish, slot, &list);
}

void sim_recover(struct sim_world *w, uint8_t i)
{
	const struct sim_flow *flow = &w->flows[i];
	struct sim_wish *wish = sim_wish_new(w, i);
	struct dysco_session_id id;
	uint32_t slot;

	if (flow->struck_ns == 0 || is_over(w, flow) ||
	    w->now_ns > flow->struck_ns + GIVE_UP_S * SIM_S) {
		return;
	}
	sim_at(w, w->now_ns + (600 + sim_random(w, 1500)) * SIM_MS, SIM_EV_RECOVER, i);
	if (!wish || !sim_flow_is_open(w, flow) || !sim_agent_at(w, flow->client)->alive ||
	    !sim_session_of(w, flow, &id)) {
		return;
	}
	slot = sim_right_leg(w, flow->client, &id);
	if (slot != DYSCO_NO_SLOT) {
		ask(w, wish, slot);
	}
}

/* ---- afterwards ---- */

static void close_old(struct sim_world *w, const struct sim_wish *wish)
{
	struct sim_flow *flow = &w->flows[wish->flow];

	for (uint8_t i = 1; i + 1 < wish->n_old; i++) {
		if (sim_place_of(flow, wish->old[i]) == SIM_NONE && sim_chance(w, 600)) {
			flow->left_alone_ns = w->now_ns + LEFT_ALONE_S * SIM_S;
			sim_probe_begin(w, wish->flow, wish->old[i], DYSCO_PROBE_CLOSE,
					CLOSE_ROUNDS, w->now_ns + sim_random(w, 800) * SIM_MS);
		}
	}
}

void sim_recovered(struct sim_world *w, const struct sim_wish *wish)
{
	struct sim_flow *flow = &w->flows[wish->flow];

	w->outcomes[SIM_N_RECOVERED]++;
	if (flow->struck_ns == 0 || flow->disturbed || is_over(w, flow)) {
		return;
	}
	if (w->now_ns < flow->struck_ns + SURE_S * SIM_S) {
		flow->must = flow->must_before; /* it has to be as if nothing had happened */
	}
	flow->struck_ns = 0;
	close_old(w, wish);
}
