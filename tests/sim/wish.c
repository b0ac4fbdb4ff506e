// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is asked of cores at random times: another chain for a session that lives.
 * What becomes of it is in reconf.c.
 */
#include "tests/sim/wish.h"

#include <string.h>

/* The leg of a session that faces right at a node; DYSCO_NO_SLOT: there is none. */
uint32_t sim_right_leg(struct sim_world *w, uint8_t node, const struct dysco_session_id *id)
{
	const struct sim_agent *a = sim_agent_at(w, node);
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

bool sim_session_of(struct sim_world *w, const struct sim_flow *flow, struct dysco_session_id *id)
{
	const struct sim_agent *a = sim_agent_at(w, flow->client);

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

void sim_wish_put(struct sim_world *w, struct dysco_address_list *list, uint8_t node)
{
	list->hops[list->count].addr = w->nodes[node].addr;
	list->count++;
}

struct sim_wish *sim_wish_new(struct sim_world *w, uint8_t flow)
{
	struct sim_wish *wish = &w->wishes[w->n_wishes];

	if (w->n_wishes == SIM_WISHES) {
		return NULL;
	}
	memset(wish, 0, sizeof(*wish));
	wish->flow = flow;
	wish->asker = SIM_NONE;
	return wish;
}

bool sim_flow_is_wished(const struct sim_world *w, uint8_t flow)
{
	for (uint8_t i = 0; i < w->n_wishes; i++) {
		const struct sim_wish *wish = &w->wishes[i];

		if (wish->begun && wish->flow == flow && !(wish->fate[0] && wish->fate[1])) {
			return true;
		}
	}
	return false;
}

void sim_wish_draw_path(struct sim_world *w, struct sim_wish *wish, bool kept)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t n = (uint8_t)sim_random(w, 4);

	for (uint8_t tries = 0; tries < 12 && wish->n_path < n; tries++) {
		uint8_t node = (uint8_t)(w->first_box + sim_random(w, w->n_boxes));
		bool taken = kept ? sim_is_dead(w, node) : sim_place_of(flow, node) != SIM_NONE;

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

void sim_wish_list(struct sim_world *w, const struct sim_wish *wish,
		   struct dysco_address_list *list)
{
	memset(list, 0, sizeof(*list));
	for (uint8_t i = 0; i < wish->n_path; i++) {
		sim_wish_put(w, list, wish->path[i]);
	}
	sim_wish_put(w, list, wish->right);
}

/* One that has to be refused, by this agent or another one. */
static void spoil(struct sim_world *w, struct sim_wish *wish, struct dysco_address_list *list)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = sim_place_of(flow, wish->left), right = sim_place_of(flow, wish->right);

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
			sim_wish_put(w, list, wish->right);
			wish->refused = true;
			break;
		}
		/* fall through */
	default: /* a host of the way, or one that is not on it */
		if (right - left > 1 && wish->n_path == 0) {
			list->count = 0;
			sim_wish_put(w, list, flow->way[left + 1]);
			sim_wish_put(w, list, wish->right);
		} else {
			list->count = 0;
			sim_wish_put(w, list, (uint8_t)(left ? flow->client : wish->left));
			wish->refused = left == 0;
		}
		break;
	}
}

bool sim_flow_is_open(const struct sim_world *w, const struct sim_flow *flow)
{
	for (int side = 0; side < 2; side++) {
		if (flow->conn[side] == SIM_NONE ||
		    w->conns[flow->conn[side]].state != SIM_TCP_OPEN ||
		    w->conns[flow->conn[side]].end != SIM_END_NONE) {
			return false;
		}
	}
	return (flow->chained || flow->late) && flow->after == SIM_NONE;
}

static void draw_anchors(struct sim_world *w, struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t left = (uint8_t)sim_random(w, flow->n_way - 1u);
	uint8_t right = (uint8_t)(left + 1 + sim_random(w, (uint32_t)(flow->n_way - left - 1)));

	wish->left = flow->way[left];
	wish->right = flow->way[right];
}

bool sim_wish_is_thawed(const struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t right = sim_place_of(flow, wish->right);

	for (uint8_t i = (uint8_t)(sim_place_of(flow, wish->left) + 1); i < right; i++) {
		if (w->nodes[flow->way[i]].thawed) {
			return true;
		}
	}
	return false;
}

void sim_wish_note(struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t old =
	    (uint8_t)(sim_place_of(flow, wish->right) - sim_place_of(flow, wish->left) - 1);

	sim_has(w, wish->n_path == 0 ? (old ? SIM_HAS_RECONF_DELETE : SIM_HAS_RECONF_RENEW)
		   : old	     ? SIM_HAS_RECONF_REPLACE
				     : SIM_HAS_RECONF_INSERT);
	if (wish->kind == DYSCO_KIND_LATE) {
		sim_has(w, SIM_HAS_LATE);
	}
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

void sim_wish_begun(struct sim_world *w, struct sim_wish *wish, uint64_t nonce)
{
	uint8_t from = wish->left;

	wish->contended = contend(w, wish);
	wish->begun = w->moving = true;
	wish->begun_ns = w->now_ns;
	wish->nonce = nonce;
	w->flows[wish->flow].moved = true;
	for (uint8_t i = 0; i <= wish->n_path; i++) {
		uint8_t to = i < wish->n_path ? wish->path[i] : wish->right;

		sim_step_add(w, wish->flow, from, to, (uint8_t)(wish - w->wishes));
		from = to;
	}
	w->outcomes[SIM_N_RECONFIGS]++;
}

/* The hosts behind the left anchor, the right one last, as the left one's agent has them. */
static uint64_t known_path(struct sim_world *w, const struct sim_wish *wish, uint32_t slot)
{
	const struct dysco_address_list *list = &sim_agent_at(w, wish->left)->dp.cold[slot].list;
	uint64_t hash = 1;

	for (uint8_t i = list->next; i < list->count; i++) {
		hash = sim_bytes_hash(hash, &list->hops[i].addr, sizeof(list->hops[i].addr));
		if (dysco_addr_equal(&list->hops[i].addr, &w->nodes[wish->right].addr)) {
			break;
		}
	}
	return hash;
}

void sim_wish_begin(struct sim_world *w, struct sim_wish *wish, uint32_t slot,
		    const struct dysco_address_list *list)
{
	struct sim_agent *a = sim_agent_at(w, wish->left);
	uint64_t before = table_hash(a), known = known_path(w, wish, slot);
	uint32_t index =
	    dysco_core_reconfigure(&a->core, w->now_ns, slot, wish->kind, list, &w->actions);

	w->n_wishes++;
	sim_say(w, "attempt %u: flow %u between nodes %u and %u, %u boxes, kind %u: %s (%u)",
		(unsigned int)(wish - w->wishes), wish->flow, wish->left, wish->right, wish->n_path,
		wish->kind, index ? "begins" : "refused", w->actions.list[0].reason);
	if (index == 0) {
		if (table_hash(a) != before) {
			sim_fail(w, "a refused reconfiguration has changed the table");
		}
		w->outcomes[SIM_N_RECONF_REFUSED]++;
	} else if (wish->refused) {
		sim_fail(w, "a reconfiguration that cannot be is not refused");
	} else {
		wish->index = index;
		wish->known = wish->kind == DYSCO_KIND_ORDINARY ? known : 0;
		sim_wish_begun(w, wish, a->dp.attempts[index].nonce);
		sim_wish_note(w, wish);
	}
	sim_agent_answered(w, w->hosts[w->nodes[wish->left].host].agent, NULL);
}

/* Of a session that began without a chain: only from end to end, at first. */
static uint8_t kind_of(struct sim_world *w, const struct sim_wish *wish, uint32_t slot)
{
	return dysco_core_only_watches(&sim_agent_at(w, wish->left)->core, slot)
		   ? DYSCO_KIND_LATE
		   : DYSCO_KIND_ORDINARY;
}

static void ask_left_anchor(struct sim_world *w, struct sim_wish *wish,
			    const struct dysco_session_id *id)
{
	struct dysco_address_list list;
	uint32_t slot;

	draw_anchors(w, wish);
	sim_wish_draw_path(w, wish, false);
	wish->must_fail |= sim_wish_is_thawed(w, wish);
	sim_wish_list(w, wish, &list);
	if (sim_chance(w, 80)) {
		spoil(w, wish, &list);
	}
	slot = sim_right_leg(w, wish->left, id);
	if (slot != DYSCO_NO_SLOT && sim_agent_at(w, wish->left)->alive) {
		wish->kind = kind_of(w, wish, slot);
		sim_wish_begin(w, wish, slot, &list);
	}
}

/* Somebody wants another chain for one of the connections that are open now. */
void sim_reconfigure(struct sim_world *w)
{
	uint8_t i = (uint8_t)sim_random(w, w->n_flows);
	const struct sim_flow *flow = &w->flows[i];
	struct sim_wish *wish = sim_wish_new(w, i);
	struct dysco_session_id id;

	if (!wish || !sim_flow_is_open(w, flow) ||
	    (sim_flow_closes(w, flow) && !sim_chance(w, 200)) || !sim_session_of(w, flow, &id) ||
	    w->now_ns < flow->left_alone_ns) {
		return;
	}
	if (flow->n_way > 2 && sim_chance(w, 150)) {
		sim_trigger(w, wish, &id);
	} else {
		ask_left_anchor(w, wish, &id);
	}
}

void sim_reconf_cancel(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_wishes; i++) {
		struct sim_wish *wish = &w->wishes[i];
		struct sim_agent *a = sim_agent_at(w, wish->left);

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
