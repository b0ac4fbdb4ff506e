// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boxes that ask their left neighbour for another chain, their own removal for one
 * (docs/protocol.md 12.11), and what they are told of it.
 */
#include "tests/sim/scenario.h"
#include "tests/sim/wish.h"

#include <string.h>

enum { PATIENCE_S = 60 };

/* The leg of the session by which a box faces left. */
static uint32_t left_leg(struct sim_world *w, uint8_t node, const struct dysco_session_id *id)
{
	const struct sim_agent *a = sim_agent_at(w, node);
	uint16_t host = w->hosts[w->nodes[node].host].id;

	for (uint32_t slot = 1; slot < a->dp.table.capacity; slot++) {
		const struct dysco_leg *leg = &a->dp.legs[slot];

		if (leg->host == host && leg->role == DYSCO_ROLE_LEFT &&
		    leg->mode == DYSCO_MODE_FAST &&
		    memcmp(&a->dp.cold[slot].id, id, sizeof(*id)) == 0) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* Does the agent of its left neighbour do what boxes ask for? */
static bool is_permitted(const struct sim_world *w, const struct sim_wish *wish)
{
	uint8_t triggers = w->triggers[w->hosts[w->nodes[wish->left].host].agent];

	return triggers == DYSCO_TRIGGERS_ALL ||
	       (triggers == DYSCO_TRIGGERS_REMOVAL && wish->n_path == 0);
}

/* To be left out, to have others before or behind it, or in its place. */
static void draw(struct sim_world *w, struct sim_wish *wish)
{
	const struct sim_flow *flow = &w->flows[wish->flow];
	uint8_t place = (uint8_t)(1 + sim_random(w, flow->n_way - 2u));
	bool removal = sim_chance(w, 500);

	wish->asker = flow->way[place];
	wish->left = flow->way[place - 1];
	wish->right = flow->way[place + 1];
	sim_has(w, removal ? SIM_HAS_TRIGGER_REMOVAL : SIM_HAS_TRIGGER);
	if (!removal) {
		sim_wish_draw_path(w, wish, false);
		wish->right = sim_chance(w, 500) ? wish->asker : wish->right;
	}
	wish->must_fail |= sim_wish_is_thawed(w, wish) || !is_permitted(w, wish);
}

/* What agents do for boxes. */
void sim_triggers_draw(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_agents; i++) {
		w->triggers[i] =
		    sim_chance(w, 800) ? DYSCO_TRIGGERS_ALL : (uint8_t)(1 + sim_random(w, 2));
	}
}

void sim_trigger(struct sim_world *w, struct sim_wish *wish, const struct dysco_session_id *id)
{
	struct dysco_address_list list;
	struct sim_agent *a;
	uint32_t slot, index;

	draw(w, wish);
	a = sim_agent_at(w, wish->asker);
	slot = left_leg(w, wish->asker, id);
	if (!a->alive || slot == DYSCO_NO_SLOT) {
		return;
	}
	sim_wish_list(w, wish, &list);
	index = dysco_core_trigger(&a->core, w->now_ns, slot, &list, &w->actions);
	sim_say(w, "attempt %u: box %u of flow %u asks node %u for a path to node %u, %u boxes: %s",
		w->n_wishes, wish->asker, wish->flow, wish->left, wish->right, wish->n_path,
		index ? "asked" : "refused");
	w->n_wishes++;
	if (index != 0) {
		w->outcomes[SIM_N_TRIGGERED]++;
		sim_wish_begun(w, wish, a->dp.attempts[index].nonce + 1);
	}
	sim_agent_answered(w, w->hosts[w->nodes[wish->asker].host].agent, NULL);
}

/* ---- the answer ---- */

static bool still_waits(struct sim_world *w, const struct sim_wish *wish)
{
	const struct sim_agent *a = sim_agent_at(w, wish->asker);

	for (uint32_t i = 1; i < DYSCO_SIM_ATTEMPTS; i++) {
		if (a->dp.attempts[i].role == DYSCO_PART_TRIGGER &&
		    a->dp.attempts[i].nonce == wish->nonce - 1) {
			return true;
		}
	}
	return false;
}

static void told(struct sim_world *w, struct sim_wish *wish, uint8_t reason)
{
	unsigned int i = (unsigned int)(wish - w->wishes);
	bool over = w->flows[wish->flow].disturbed;

	wish->answered = true;
	sim_say(w, "attempt %u: box %u is told %u", i, wish->asker, reason);
	w->outcomes[reason == DYSCO_NACK_NONE ? SIM_N_TRIGGER_DONE : SIM_N_TRIGGER_NO]++;
	if (reason == DYSCO_NACK_NONE && wish->fate[0] != SIM_FATE_COMPLETED) {
		sim_fail(w, "attempt %u: a box is told of success, its neighbour has none", i);
	} else if (reason != DYSCO_NACK_NONE && reason != DYSCO_NACK_TIMEOUT && !over &&
		   wish->fate[0] == SIM_FATE_COMPLETED) {
		sim_fail(w, "attempt %u: a box is told of failure %u, its neighbour has completed",
			 i, reason);
	} else if (reason != DYSCO_NACK_NONE && !wish->fate[0] && !sim_wish_is_known(w, wish)) {
		sim_wish_refused(w, wish);
	}
}

void sim_trigger_watch(struct sim_world *w, uint8_t agent, struct sim_wish *wish)
{
	if (!wish->begun || wish->answered || wish->asker == SIM_NONE ||
	    w->hosts[w->nodes[wish->asker].host].agent != agent) {
		return;
	}
	if (!still_waits(w, wish)) {
		told(w, wish, sim_reason_told(w));
	} else if (w->now_ns > w->calm_ns + PATIENCE_S * SIM_S &&
		   w->now_ns > wish->begun_ns + PATIENCE_S * SIM_S) {
		sim_fail(w, "attempt %u: box %u gets no answer", (unsigned int)(wish - w->wishes),
			 wish->asker);
	}
}
