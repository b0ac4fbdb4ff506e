/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session recover SESSION [BOX...] [--force]: a new path from end to end with these
 * boxes and no others, without the old one (docs/protocol.md 12.9). The first host of
 * the chain has to be one of this agent's; the last entry of its list is the other end.
 */
#include <string.h>

#include "agent/log.h"
#include "agent/show.h"
#include "conf/parse.h"

static int add_box(const struct dysco_agent *agent, const char *word,
		   const struct dysco_address_list *list, struct dysco_address_list *path,
		   struct dysco_conf_error *error)
{
	bool ip4 = dysco_addr_is_ip4(&list->hops[0].addr);
	int box = dysco_config_find_box(agent->config, word);
	struct dysco_hop hop = {.flags = 0};

	if (box >= 0) {
		hop.addr =
		    ip4 ? agent->config->setup.boxes[box].ip4 : agent->config->setup.boxes[box].ip6;
	} else if (!dysco_parse_addr(word, &hop.addr)) {
		return dysco_conf_fail(error, "unknown_box", "dysco box add NAME ADDRESS",
				       "box '%.60s' is not known", word);
	}
	if (!dysco_addr_is_unicast(&hop.addr) || dysco_addr_is_ip4(&hop.addr) != ip4) {
		return dysco_conf_fail(error, "bad_address", NULL,
				       "'%.60s' has no unicast address of the session's family",
				       word);
	}
	if (path->count + 1 >= DYSCO_HOPS_MAX) {
		return dysco_conf_fail(error, "limit", NULL, "more than %d hosts", DYSCO_HOPS_MAX);
	}
	for (uint8_t i = 0; i < list->count; i++) { /* what stays is there for the same reason */
		hop = dysco_addr_equal(&list->hops[i].addr, &hop.addr) ? list->hops[i] : hop;
	}
	path->hops[path->count++] = hop;
	return 0;
}

static int keeps_mandatory(const struct dysco_address_list *list,
			   const struct dysco_address_list *path, struct dysco_conf_error *error)
{
	for (uint8_t i = list->next; i + 1 < list->count; i++) {
		const struct dysco_hop *hop = &list->hops[i];
		bool stays = !(hop->flags & DYSCO_HOP_MANDATORY);
		char text[DYSCO_ENDPOINT_TEXT];

		for (uint8_t j = 0; j < path->count; j++) {
			stays = stays || dysco_addr_equal(&path->hops[j].addr, &hop->addr);
		}
		if (!stays) {
			dysco_format_addr(text, &hop->addr);
			return dysco_conf_fail(error, "mandatory", "--force leaves it out",
					       "%s is mandatory for the session", text);
		}
	}
	return 0;
}

/* The leg of the session at its first host, if that is this agent's; else DYSCO_NO_SLOT. */
static uint32_t first_leg(const struct dysco_agent *agent, const struct dysco_words *words, int end,
			  struct dysco_conf_error *error)
{
	struct dysco_passage passages[DYSCO_PASSAGES_MAX];
	uint32_t n = dysco_find_session(agent, words, 2, end, passages, error);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = passages[i].right;

		if (slot != DYSCO_NO_SLOT &&
		    agent->core.table->legs[slot].role == DYSCO_ROLE_FIRST &&
		    agent->core.table->legs[slot].mode != DYSCO_MODE_DEAD) {
			return slot;
		}
	}
	if (n > 0) {
		dysco_conf_fail(error, "unknown_host", "ask the agent of the session's initiator",
				"session recover: the session's first host is not this agent's");
	}
	return DYSCO_NO_SLOT;
}

int dysco_recover_start(struct dysco_agent *agent, void *client, const struct dysco_words *words,
			struct dysco_conf_error *error)
{
	bool force = strcmp(words->word[words->count - 1], "--force") == 0;
	int at = 2 + dysco_session_words(words, 2), end = words->count - force;
	uint32_t slot = first_leg(agent, words, at, error);
	const struct dysco_address_list *list = &agent->core.table->cold[slot].list;
	struct dysco_address_list path = {.count = 0};
	uint32_t index;

	if (slot == DYSCO_NO_SLOT) {
		return -1;
	}
	for (; at < end; at++) {
		if (add_box(agent, words->word[at], list, &path, error) != 0) {
			return -1;
		}
	}
	if (!force && keeps_mandatory(list, &path, error) != 0) {
		return -1;
	}
	path.hops[path.count++] = list->hops[list->count - 1];
	index = dysco_core_reconfigure(&agent->core, dysco_now_ns(), slot, DYSCO_KIND_RECOVERY,
				       &path, &agent->actions);
	return dysco_reconfig_wait(agent, client, index, slot, error);
}
