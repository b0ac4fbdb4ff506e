/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends the sessions whose host loses the interface they came by (agent.h): once
 * the programs are off, what its ends still send would go straight to the other
 * end, past the chain.
 */
#include <string.h>

#include "agent/agent.h"
#include "agent/log.h"

#define HEARTBEAT_SLOTS 1024 /* legs between two signs of life */

/* The host that each attachment is to serve; 0: none. */
static void note_hosts(const struct dysco_config *config, uint16_t hosts[DYSCO_ATTACHMENTS_MAX])
{
	memset(hosts, 0, DYSCO_ATTACHMENTS_MAX * sizeof(hosts[0]));
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		hosts[config->attachments[i].id] = config->attachments[i].host;
	}
}

/* A session that goes without its chain (PASS), or was adopted, has none to lose. */
static bool is_orphan(const struct dysco_core *core, uint32_t slot,
		      const uint16_t hosts[DYSCO_ATTACHMENTS_MAX])
{
	const struct dysco_leg *leg = &core->table->legs[slot];

	return leg->mode != DYSCO_MODE_FREE && leg->mode != DYSCO_MODE_PASS &&
	       !dysco_core_only_watches(core, slot) &&
	       hosts[leg->attachment % DYSCO_ATTACHMENTS_MAX] != leg->host;
}

uint32_t dysco_agent_end_orphans(struct dysco_agent *agent, const struct dysco_config *config)
{
	uint16_t hosts[DYSCO_ATTACHMENTS_MAX];
	uint32_t ended = 0;

	note_hosts(config, hosts);
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		uint64_t now_ns = dysco_now_ns();

		if (slot % HEARTBEAT_SLOTS == 0) {
			agent->dp.ops->heartbeat(&agent->dp, now_ns);
		}
		if (is_orphan(&agent->core, slot, hosts) &&
		    dysco_core_kill(&agent->core, now_ns, slot, &agent->actions)) {
			dysco_agent_perform(agent, NULL);
			ended++;
		}
	}
	return ended;
}
