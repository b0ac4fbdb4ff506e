/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forgets the numbers of hosts and attachments that neither the configuration
 * nor a leg of the table names any more, so that short-lived interfaces do not
 * use the numbers up. A number in use must not come to mean something else.
 */
#include <stdlib.h>

#include "agent/agent.h"

struct used {
	bool hosts[65536];
	bool attachments[DYSCO_ATTACHMENTS_MAX];
};

static void note_used(const struct dysco_agent *agent, struct used *used)
{
	const struct dysco_config *config = agent->config;

	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		const struct dysco_leg *leg = &agent->core.table->legs[slot];

		if (leg->mode != DYSCO_MODE_FREE) {
			used->hosts[leg->host] = true;
			used->attachments[leg->attachment % DYSCO_ATTACHMENTS_MAX] = true;
		}
	}
	for (uint16_t i = 0; i < config->setup.n_hosts; i++) {
		used->hosts[config->setup.hosts[i].id] = true;
	}
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		used->attachments[config->attachments[i].id] = true;
	}
}

static bool keep_host(void *context, uint16_t id)
{
	const struct used *used = context;

	return used->hosts[id];
}

void dysco_agent_prune_ids(struct dysco_agent *agent)
{
	struct used *used = calloc(1, sizeof(*used));

	if (!used) {
		return;
	}
	note_used(agent, used);
	dysco_ids_prune_hosts(agent->ids, keep_host, used);
	for (uint16_t id = 1; id < DYSCO_ATTACHMENTS_MAX; id++) {
		if (agent->ids->attachments[id].id != 0 && !used->attachments[id]) {
			dysco_ids_forget_attachment(agent->ids, id);
		}
	}
	free(used);
}
