// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of a new path that come too early. Those that come before the CUT that opens it
 * (docs/protocol.md 12.5): the fast path of the boxes between lets data overtake
 * messages, which their agents pass on. The core drops them. And those that have overtaken what
 * was sent by the old path, which was longer: a TCP that has never seen packets in
 * another order takes those for lost, which it has not got yet. A few are kept for a moment,
 * and then the core sees them again, in their order.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

#define EARLY_NS      100000000ull /* the sender's TCP sends them again anyway */
#define OVERTAKING_NS 5000000ull   /* what they wait for may have been lost, too */

struct dysco_held {
	struct dysco_punt punt; /* its data is a copy */
	uint64_t since_ns;
};

/* Has the core just dropped it as one that comes before the CUT? */
static bool is_early(const struct dysco_agent *agent)
{
	const struct dysco_action *action = &agent->actions.list[0];
	const struct dysco_table *table = agent->core.table;
	uint32_t index;

	if (agent->actions.count == 0 || action->kind != DYSCO_ACT_DROP ||
	    action->reason != DYSCO_REASON_PENDING || action->slot == DYSCO_NO_SLOT) {
		return false;
	}
	index = table->cold[action->slot].attempt;
	return index != DYSCO_NO_ATTEMPT && index < table->n_attempts &&
	       table->attempts[index].new_slot == action->slot;
}

static bool keep(struct dysco_agent *agent, const struct dysco_punt *punt, uint64_t now_ns)
{
	struct dysco_held *held;
	uint8_t *copy;

	if (agent->n_held == DYSCO_HELD_MAX) {
		return false;
	}
	held = malloc(sizeof(*held) + punt->input.bytes);
	if (!held) {
		return false;
	}
	copy = (uint8_t *)(held + 1);
	memcpy(copy, punt->input.data, punt->input.bytes);
	held->punt = *punt;
	held->punt.input.data = copy;
	held->since_ns = now_ns;
	agent->held[agent->n_held++] = held;
	return true;
}

bool dysco_hold_overtaking(struct dysco_agent *agent, const struct dysco_punt *punt,
			   uint64_t now_ns)
{
	if (!dysco_core_overtakes(&agent->core, &punt->input) || !keep(agent, punt, now_ns)) {
		return false;
	}
	agent->core.stats.counters[DYSCO_COUNTER_OVERTOOK]++;
	return true;
}

void dysco_hold_early(struct dysco_agent *agent, const struct dysco_punt *punt, uint64_t now_ns)
{
	if (is_early(agent) && keep(agent, punt, now_ns)) {
		agent->core.stats.drops[DYSCO_REASON_PENDING]--; /* it counts when it is given up */
	}
}

/* true: the core has dealt with it, or nobody waits for it any more. */
static bool again(struct dysco_agent *agent, const struct dysco_held *held, uint64_t now_ns)
{
	if (now_ns - held->since_ns < OVERTAKING_NS &&
	    dysco_core_overtakes(&agent->core, &held->punt.input)) {
		return false;
	}
	dysco_core_packet_received(&agent->core, now_ns, &held->punt.input, &agent->actions);
	if (is_early(agent) && now_ns - held->since_ns < EARLY_NS) {
		agent->core.stats.drops[DYSCO_REASON_PENDING]--;
		return false;
	}
	dysco_agent_perform(agent, &held->punt);
	return true;
}

void dysco_hold_retry(struct dysco_agent *agent, uint64_t now_ns)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < agent->n_held; i++) {
		if (again(agent, agent->held[i], now_ns)) {
			free(agent->held[i]);
		} else {
			agent->held[kept++] = agent->held[i];
		}
	}
	agent->n_held = kept;
	if (kept > 0) {
		agent->hooks.hold(agent->hooks.context, OVERTAKING_NS);
	}
}

void dysco_hold_stop(struct dysco_agent *agent)
{
	for (uint32_t i = 0; i < agent->n_held; i++) {
		free(agent->held[i]);
	}
	agent->n_held = 0;
}
