/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session whose policy has changed (`existing move`): from the chain it has to
 * the one that a new session would get (plan.h). One attempt replaces what lies
 * between the hops that both chains begin and end with.
 */
#include <string.h>

#include "agent/plan.h"
#include "rewrite/edit.h"

uint16_t dysco_plan_classify(const struct dysco_agent *agent, uint16_t host,
			     const struct dysco_tuple *session)
{
	uint8_t packet[128];
	size_t bytes = dysco_edit_make_segment(packet, sizeof(packet), session, 1, 0, DYSCO_TCP_SYN,
					       65535, 0, NULL, 0);

	return dysco_config_classify(agent->config, host, packet, (uint32_t)bytes);
}

const char *dysco_plan_policy_name(const struct dysco_plan *plan)
{
	static const char none[DYSCO_NAME_BYTES];
	const struct dysco_setup *setup = &plan->agent->config->setup;

	return plan->policy < setup->n_policies ? setup->policies[plan->policy].name : none;
}

bool dysco_plan_moves_old(const struct dysco_agent *agent, const struct dysco_wish *wish,
			  uint16_t policy)
{
	const struct dysco_setup *setup = &agent->config->setup;

	return policy < setup->n_policies && setup->policies[policy].n_hops > 0 &&
	       dysco_plan_is_changed(wish, setup->policies[policy].tag);
}

/* Of a type the session keeps the instance it has, unless that one drains. */
static int box_for(struct dysco_plan *plan, const struct dysco_policy_hop *hop,
		   const struct dysco_leg_cold *cold)
{
	const struct dysco_setup *setup = &plan->agent->config->setup;
	bool ip4 = dysco_addr_is_ip4(&cold->session.dst);
	const struct dysco_type *type;

	if (hop->kind == DYSCO_HOP_BOX) {
		return hop->index;
	}
	type = &setup->types[hop->index];
	for (uint16_t i = 0; i < type->count; i++) {
		const struct dysco_addr *addr = dysco_plan_box_address(plan, type->boxes[i], ip4);

		if (!dysco_addr_is_zero(addr) && dysco_plan_list_has(&cold->list, addr) &&
		    !setup->boxes[type->boxes[i]].draining) {
			return type->boxes[i];
		}
	}
	return dysco_plan_choose(plan, hop->index, cold);
}

/* All of the chain a new session would get now; in plan->path. */
static enum dysco_plan_result whole_chain(struct dysco_plan *plan, const struct dysco_leg *leg,
					  const struct dysco_leg_cold *cold)
{
	const struct dysco_setup *setup = &plan->agent->config->setup;
	const struct dysco_host *host = dysco_setup_host(setup, leg->host);
	const struct dysco_policy *p =
	    plan->policy < setup->n_policies ? &setup->policies[plan->policy] : NULL;
	bool ip4 = dysco_addr_is_ip4(&cold->session.dst), exit = false;

	for (uint8_t i = 0; p && i < p->n_hops; i++) {
		int box = box_for(plan, &p->hops[i], cold);
		const struct dysco_addr *addr =
		    box < 0 ? NULL : dysco_plan_box_address(plan, box, ip4);
		struct dysco_hop *hop = &plan->path.hops[plan->path.count];

		if (addr && (dysco_plan_list_has(&plan->path, addr) ||
			     (host && dysco_host_has(host, addr)))) {
			continue;
		}
		if (!addr || dysco_plan_add_hop(plan, addr, p->name, ip4) != DYSCO_PLAN_GO) {
			return dysco_plan_refuse(
			    plan, "bad_address", NULL,
			    "policy %s has no box with an address of its family", p->name);
		}
		exit = p->hops[i].exit;
		hop->policy = p->tag;
		hop->flags = (uint16_t)((p->hops[i].mandatory ? DYSCO_HOP_MANDATORY : 0) |
					(exit ? DYSCO_HOP_EXIT : 0));
	}
	if (exit ||
	    (plan->path.count > 0 &&
	     dysco_addr_equal(&plan->path.hops[plan->path.count - 1].addr, &cold->session.dst))) {
		return DYSCO_PLAN_GO;
	}
	return dysco_plan_add_hop(plan, &cold->session.dst, "the destination", ip4);
}

/* How many hops the two chains have in common at their beginning, and then at their end. */
static void compare(const struct dysco_address_list *old, const struct dysco_address_list *new,
		    uint8_t *before, uint8_t *behind)
{
	uint8_t n =
	    old->count - old->next < new->count ? (uint8_t)(old->count - old->next) : new->count;

	*before = 0;
	*behind = 0;
	while (*before < n &&
	       dysco_addr_equal(&old->hops[old->next + *before].addr, &new->hops[*before].addr)) {
		(*before)++;
	}
	while (*before + *behind < n &&
	       dysco_addr_equal(&old->hops[old->count - 1 - *behind].addr,
				&new->hops[new->count - 1 - *behind].addr)) {
		(*behind)++;
	}
}

/* The host whose right neighbour changes has to be this agent's. */
static enum dysco_plan_result find_anchor(struct dysco_plan *plan, const struct dysco_passage *p,
					  uint8_t before)
{
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);
	char text[DYSCO_ENDPOINT_TEXT];

	plan->slot = p->right;
	if (before > 0) {
		const struct dysco_addr *host = &cold->list.hops[plan->at - 1].addr;

		plan->slot = dysco_plan_leg_here(plan, &cold->id, host);
		dysco_format_addr(text, host);
	}
	return plan->slot != DYSCO_NO_SLOT
		   ? DYSCO_PLAN_GO
		   : dysco_plan_refuse(
			 plan, "unknown_host",
			 "there: dysco session insert|remove|replace --filter EXPRESSION ...",
			 "the change is behind %s, whose agent can make it", text);
}

/* What is left of the whole chain, once the hops in common are taken off. */
static enum dysco_plan_result cut_path(struct dysco_plan *plan,
				       const struct dysco_address_list *list, uint8_t before,
				       uint8_t behind)
{
	struct dysco_address_list whole = plan->path;

	plan->path.count = 0;
	for (uint8_t i = before; i < whole.count - behind; i++) {
		char text[DYSCO_ENDPOINT_TEXT];

		if (dysco_plan_list_has(list, &whole.hops[i].addr)) {
			dysco_format_addr(text, &whole.hops[i].addr);
			return dysco_plan_refuse(
			    plan, "not_reconfigured", "take it out first: dysco session remove",
			    "invalid: %s would have to change its place in the chain", text);
		}
		plan->path.hops[plan->path.count++] = whole.hops[i];
	}
	return dysco_plan_end(plan, list);
}

enum dysco_plan_result dysco_plan_policy(struct dysco_plan *plan, const struct dysco_passage *p)
{
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);
	const struct dysco_setup *setup = &plan->agent->config->setup;
	char old[DYSCO_NAME_BYTES + 1] = "";
	uint8_t before, behind, n;
	enum dysco_plan_result result;

	if (p->left != DYSCO_NO_SLOT || !dysco_plan_is_anchor(plan, p)) {
		return DYSCO_PLAN_OTHER;
	}
	memcpy(old, cold->policy, DYSCO_NAME_BYTES);
	plan->policy =
	    dysco_plan_classify(plan->agent, dysco_plan_leg(plan, p->right)->host, &cold->session);
	if (!dysco_plan_is_changed(plan->wish, dysco_policy_tag(old)) &&
	    (plan->policy >= setup->n_policies ||
	     !dysco_plan_is_changed(plan->wish, setup->policies[plan->policy].tag))) {
		return DYSCO_PLAN_OTHER;
	}
	plan->list = &cold->list;
	result = whole_chain(plan, dysco_plan_leg(plan, p->right), cold);
	if (result != DYSCO_PLAN_GO) {
		return result;
	}
	n = (uint8_t)(cold->list.count - cold->list.next);
	compare(&cold->list, &plan->path, &before, &behind);
	plan->slot = p->right;
	if (before == n && before == plan->path.count) {
		return DYSCO_PLAN_UNCHANGED;
	}
	if (behind == 0) {
		return dysco_plan_refuse(
		    plan, "not_reconfigured", NULL,
		    "invalid: the end of the chain cannot change, and %s moves it",
		    plan->policy < setup->n_policies ? "its exit" : "its new policy");
	}
	plan->at = (uint8_t)(cold->list.next + before);
	plan->skip = (uint8_t)(n - before - behind);
	result = find_anchor(plan, p, before);
	if (result == DYSCO_PLAN_GO) {
		result = cut_path(plan, &cold->list, before, behind);
	}
	return result == DYSCO_PLAN_GO ? dysco_plan_hand_over(plan, &cold->list) : result;
}
