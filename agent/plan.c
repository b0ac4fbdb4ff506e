/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be done to one session, so that it is as somebody wishes (wish.h):
 * the left anchor among this agent's hosts, and the new path from there.
 */
#include "agent/plan.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"

const struct dysco_leg *dysco_plan_leg(const struct dysco_plan *plan, uint32_t slot)
{
	return &plan->agent->core.table->legs[slot];
}

const struct dysco_leg_cold *dysco_plan_cold(const struct dysco_plan *plan,
					     const struct dysco_passage *p)
{
	return &plan->agent->core.table->cold[dysco_passage_main(p)];
}

enum dysco_plan_result dysco_plan_refuse(struct dysco_plan *plan, const char *code,
					 const char *hint, const char *text, const char *name)
{
	dysco_conf_fail(&plan->error, code, hint, text, name);
	return DYSCO_PLAN_REFUSED;
}

/* ---- hosts of a chain ---- */

/* Can this host's agent begin a change here? */
bool dysco_plan_is_anchor(const struct dysco_plan *plan, const struct dysco_passage *p)
{
	const struct dysco_address_list *list = &dysco_plan_cold(plan, p)->list;

	return p->right != DYSCO_NO_SLOT &&
	       dysco_plan_leg(plan, p->right)->mode != DYSCO_MODE_DEAD && list->next < list->count;
}

bool dysco_plan_list_has(const struct dysco_address_list *list, const struct dysco_addr *addr)
{
	for (uint8_t i = 0; i < list->count; i++) {
		if (dysco_addr_equal(&list->hops[i].addr, addr)) {
			return true;
		}
	}
	return false;
}

/* Of the entries a place names the one nearest to the right, else one that was passed; -1: none. */
static int find_hop(const struct dysco_plan *plan, const struct dysco_address_list *list,
		    const struct dysco_place *place)
{
	for (uint8_t i = 0; i < list->count; i++) {
		uint8_t at = (uint8_t)((list->next + i) % list->count);

		if (dysco_place_names(plan->agent, place, &list->hops[at].addr)) {
			return at;
		}
	}
	return -1;
}

/* The leg to the right at the host of this agent that has this address, if the session is there. */
uint32_t dysco_plan_leg_here(const struct dysco_plan *plan, const struct dysco_session_id *id,
			     const struct dysco_addr *addr)
{
	const struct dysco_setup *setup = &plan->agent->config->setup;

	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		if (dysco_host_has(&setup->hosts[i], addr)) {
			uint32_t slot =
			    dysco_core_find_session(&plan->agent->core, setup->hosts[i].id, id);

			if (slot != DYSCO_NO_SLOT) {
				return slot;
			}
		}
	}
	return DYSCO_NO_SLOT;
}

/* The host in front of an entry of the list. */
static const struct dysco_addr *host_before(const struct dysco_leg_cold *cold, int at)
{
	return at > 0 ? &cold->list.hops[at - 1].addr : &cold->session.src;
}

/* Of the hosts of this agent that a session passes, the first one speaks for it. */
static bool speaks(const struct dysco_plan *plan, const struct dysco_passage *p)
{
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);

	if (p->left == DYSCO_NO_SLOT) {
		return true;
	}
	if (dysco_plan_leg_here(plan, &cold->id, &cold->session.src) != DYSCO_NO_SLOT) {
		return false;
	}
	for (int i = 0; i < cold->list.next - (p->right != DYSCO_NO_SLOT); i++) {
		if (dysco_plan_leg_here(plan, &cold->id, &cold->list.hops[i].addr) !=
		    DYSCO_NO_SLOT) {
			return false;
		}
	}
	return true;
}

/* ---- boxes of the new path ---- */

const struct dysco_addr *dysco_plan_box_address(const struct dysco_plan *plan, int box, bool ip4)
{
	const struct dysco_box *b = &plan->agent->config->setup.boxes[box];

	return ip4 ? &b->ip4 : &b->ip6;
}

static bool can_take(const struct dysco_plan *plan, const struct dysco_address_list *list, int box,
		     bool ip4)
{
	const struct dysco_addr *addr = dysco_plan_box_address(plan, box, ip4);

	return !dysco_addr_is_zero(addr) && !dysco_plan_list_has(list, addr) &&
	       !plan->agent->config->setup.boxes[box].draining;
}

static int first_of(const struct dysco_plan *plan, const struct dysco_type *type,
		    const struct dysco_address_list *list, bool ip4, bool down)
{
	for (uint16_t i = 0; i < type->count; i++) {
		if (plan->agent->core.box_down[type->boxes[i]] == down &&
		    can_take(plan, list, type->boxes[i], ip4)) {
			return type->boxes[i];
		}
	}
	return -1;
}

/* The instance of a type that the session has not yet; -1: none. */
int dysco_plan_choose(struct dysco_plan *plan, uint16_t type, const struct dysco_leg_cold *cold)
{
	const struct dysco_core *core = &plan->agent->core;
	const struct dysco_type *t = &core->setup->types[type];
	bool ip4 = dysco_addr_is_ip4(&cold->session.dst);
	uint32_t turn = core->round_robin[type] + plan->turns[type] + plan->taken[type];
	int box;

	for (uint32_t i = 0; i < t->count; i++) {
		box = dysco_core_choose(core, type, &cold->session, turn + i);

		if (box >= 0 && can_take(plan, &cold->list, box, ip4)) {
			plan->taken[type] = (uint8_t)(plan->taken[type] + i + 1);
			return box;
		}
	}
	/* what the rule would take is there already: another one, if need be one that is down */
	box = first_of(plan, t, &cold->list, ip4, false);
	return box >= 0 ? box : first_of(plan, t, &cold->list, ip4, true);
}

enum dysco_plan_result dysco_plan_add_hop(struct dysco_plan *plan, const struct dysco_addr *addr,
					  const char *text, bool ip4)
{
	struct dysco_hop *hop = &plan->path.hops[plan->path.count];

	if (dysco_addr_is_zero(addr) || dysco_addr_is_ip4(addr) != ip4) {
		return dysco_plan_refuse(plan, "bad_address", NULL,
					 "'%.60s' has no address of the session's family", text);
	}
	if (plan->path.count == DYSCO_HOPS_MAX) {
		return dysco_plan_refuse(plan, "limit", NULL,
					 "the chain has too many hosts: '%.60s'", text);
	}
	memset(hop, 0, sizeof(*hop));
	hop->addr = *addr;
	plan->path.count++;
	return DYSCO_PLAN_GO;
}

static enum dysco_plan_result add_place(struct dysco_plan *plan, const struct dysco_place *place,
					const struct dysco_leg_cold *cold)
{
	bool ip4 = dysco_addr_is_ip4(&cold->session.dst);
	int type, box;

	if (!place->type) {
		return dysco_plan_add_hop(plan, ip4 ? &place->ip4 : &place->ip6, place->text, ip4);
	}
	type = dysco_config_find_type(plan->agent->config, place->text);
	box = type < 0 ? -1 : dysco_plan_choose(plan, (uint16_t)type, cold);
	return box < 0 ? dysco_plan_refuse(plan, "unknown_box", "dysco type list, dysco box list",
					   "type '%.60s' has no box that the session could go to",
					   place->text)
		       : dysco_plan_add_hop(plan, dysco_plan_box_address(plan, box, ip4),
					    place->text, ip4);
}

/* The host behind what is taken out: the right anchor. */
enum dysco_plan_result dysco_plan_end(struct dysco_plan *plan,
				      const struct dysco_address_list *list)
{
	if (plan->at + plan->skip >= list->count || plan->path.count == DYSCO_HOPS_MAX) {
		dysco_conf_fail(&plan->error, "unknown_host", "dysco session show",
				"no host of the chain is behind the change");
		return DYSCO_PLAN_REFUSED;
	}
	plan->path.hops[plan->path.count++] = list->hops[plan->at + plan->skip];
	return DYSCO_PLAN_GO;
}

/* ---- mandatory boxes ---- */

static bool of_type(const struct dysco_setup *setup, const struct dysco_type *type,
		    const struct dysco_addr *addr)
{
	for (uint16_t i = 0; i < type->count; i++) {
		const struct dysco_box *box = &setup->boxes[type->boxes[i]];

		if (dysco_addr_equal(&box->ip4, addr) || dysco_addr_equal(&box->ip6, addr)) {
			return true;
		}
	}
	return false;
}

/* The box of the new path that is of one type with this one; -1: none. */
static int stand_in(const struct dysco_plan *plan, const struct dysco_addr *addr)
{
	const struct dysco_setup *setup = &plan->agent->config->setup;

	for (uint16_t i = 0; i < setup->n_types; i++) {
		for (uint8_t j = 0;
		     j + 1 < plan->path.count && of_type(setup, &setup->types[i], addr); j++) {
			if (of_type(setup, &setup->types[i], &plan->path.hops[j].addr)) {
				return j;
			}
		}
	}
	return -1;
}

/* The policy that wants it has itself changed, and says now what is mandatory. */
bool dysco_plan_is_changed(const struct dysco_wish *wish, uint32_t tag)
{
	for (uint16_t i = 0; i < wish->n_policies; i++) {
		if (dysco_policy_tag(wish->policies[i]) == tag) {
			return true;
		}
	}
	return false;
}

/* What the boxes that go were there for, those in their place take over. */
enum dysco_plan_result dysco_plan_hand_over(struct dysco_plan *plan,
					    const struct dysco_address_list *list)
{
	for (uint8_t i = plan->at; i < plan->at + plan->skip; i++) {
		const struct dysco_hop *hop = &list->hops[i];
		int to = stand_in(plan, &hop->addr);
		char text[DYSCO_ENDPOINT_TEXT];

		if (dysco_plan_is_changed(plan->wish, hop->policy)) {
			continue;
		}
		if ((hop->flags & DYSCO_HOP_MANDATORY) && to < 0 && !plan->wish->force) {
			dysco_format_addr(text, &hop->addr);
			return dysco_plan_refuse(plan, "mandatory",
						 "another box of its type, or --force",
						 "%s is mandatory for the session", text);
		}
		if (to >= 0) {
			plan->path.hops[to].policy = hop->policy;
			plan->path.hops[to].flags |= hop->flags & DYSCO_HOP_MANDATORY;
		}
	}
	return DYSCO_PLAN_GO;
}

/* ---- insert, remove, replace ---- */

/* Everything that goes in: as many as are in the chain already. */
static uint8_t count_present(const struct dysco_plan *plan, const struct dysco_address_list *list)
{
	const struct dysco_setup *setup = &plan->agent->config->setup;
	uint8_t n = 0;

	for (uint8_t i = 0; i < plan->wish->n_in; i++) {
		const struct dysco_place *place = &plan->wish->in[i];
		int type =
		    place->type ? dysco_config_find_type(plan->agent->config, place->text) : -1;
		bool there = false;

		for (uint8_t j = 0; j < list->count && !there; j++) {
			there = type >= 0
				    ? of_type(setup, &setup->types[type], &list->hops[j].addr)
				    : dysco_place_names(plan->agent, place, &list->hops[j].addr);
		}
		n += there;
	}
	return n;
}

static enum dysco_plan_result change_here(struct dysco_plan *plan, const struct dysco_passage *p,
					  uint8_t skip)
{
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);
	enum dysco_plan_result result = DYSCO_PLAN_GO;

	plan->slot = p->right;
	plan->list = &cold->list;
	plan->at = cold->list.next;
	plan->skip = skip;
	for (uint8_t i = 0; i < plan->wish->n_in && result == DYSCO_PLAN_GO; i++) {
		result = add_place(plan, &plan->wish->in[i], cold);
	}
	if (result == DYSCO_PLAN_GO) {
		result = dysco_plan_end(plan, &cold->list);
	}
	return result == DYSCO_PLAN_GO ? dysco_plan_hand_over(plan, &cold->list) : result;
}

static enum dysco_plan_result plan_insert(struct dysco_plan *plan, const struct dysco_passage *p)
{
	const struct dysco_wish *wish = plan->wish;
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);
	const struct dysco_leg *leg = dysco_plan_leg(plan, dysco_passage_main(p));
	bool first = wish->where == DYSCO_WHERE_FIRST, here = first && speaks(plan, p);
	int at;

	if (!first && dysco_plan_is_anchor(plan, p)) {
		here = dysco_place_names(plan->agent, &wish->host,
					 wish->where == DYSCO_WHERE_AFTER ? &leg->wire_tuple.src
									  : &leg->wire_tuple.dst);
	}
	if (here && dysco_plan_is_anchor(plan, p)) {
		return count_present(plan, &cold->list) == wish->n_in ? DYSCO_PLAN_UNCHANGED
								      : change_here(plan, p, 0);
	}
	if (here) {
		dysco_conf_fail(&plan->error, "unknown_host",
				"ask the agent of a host further to the left",
				"the session's chain goes on from no host of this agent");
		return DYSCO_PLAN_REFUSED;
	}
	at = find_hop(plan, &cold->list, &wish->host);
	if (first || !speaks(plan, p) ||
	    (at >= 0 &&
	     dysco_plan_leg_here(plan, &cold->id,
				 wish->where == DYSCO_WHERE_AFTER ? &cold->list.hops[at].addr
								  : host_before(cold, at)))) {
		return DYSCO_PLAN_OTHER;
	}
	return wish->where == DYSCO_WHERE_AFTER
		   ? dysco_plan_refuse(plan, "unknown_host",
				       "ask its own agent (dysco session trace)",
				       "'%.60s' is not a host of this agent in the session's chain",
				       wish->host.text)
		   : dysco_plan_refuse(
			 plan, "unknown_host",
			 "ask the agent of the host before it (dysco session trace)",
			 "'%.60s' does not follow a host of this agent in the session's chain",
			 wish->host.text);
}

/* The boxes that are to be taken out together have to follow each other. */
static enum dysco_plan_result check_row(struct dysco_plan *plan,
					const struct dysco_address_list *list)
{
	for (uint8_t i = 1; i < plan->wish->n_out; i++) {
		if (list->next + i >= list->count ||
		    !dysco_place_names(plan->agent, &plan->wish->out[i],
				       &list->hops[list->next + i].addr)) {
			return dysco_plan_refuse(
			    plan, "unknown_box", "dysco session show",
			    "'%.60s' does not follow the box named before it in the chain",
			    plan->wish->out[i].text);
		}
	}
	return DYSCO_PLAN_GO;
}

static enum dysco_plan_result plan_out(struct dysco_plan *plan, const struct dysco_passage *p)
{
	const struct dysco_leg_cold *cold = dysco_plan_cold(plan, p);
	const struct dysco_place *box = &plan->wish->out[0];
	int at = find_hop(plan, &cold->list, box);
	char text[DYSCO_ENDPOINT_TEXT], hint[128];

	if (at == cold->list.next && dysco_plan_is_anchor(plan, p)) {
		return check_row(plan, &cold->list) == DYSCO_PLAN_GO
			   ? change_here(plan, p, plan->wish->n_out)
			   : DYSCO_PLAN_REFUSED;
	}
	if (!speaks(plan, p)) {
		return DYSCO_PLAN_OTHER;
	}
	if (at < 0) {
		return DYSCO_PLAN_UNCHANGED;
	}
	if (dysco_plan_leg_here(plan, &cold->id, host_before(cold, at)) != DYSCO_NO_SLOT) {
		return DYSCO_PLAN_OTHER;
	}
	dysco_format_addr(text, host_before(cold, at));
	snprintf(hint, sizeof(hint), "ask the agent of %s, the host before it", text);
	return dysco_plan_refuse(
	    plan, "unknown_host", hint,
	    "'%.60s' does not follow a host of this agent in the session's chain", box->text);
}

enum dysco_plan_result dysco_plan_make(struct dysco_plan *plan, const struct dysco_passage *passage)
{
	memset(&plan->path, 0, sizeof(plan->path));
	plan->slot = DYSCO_NO_SLOT;
	plan->list = &dysco_plan_cold(plan, passage)->list;
	plan->at = plan->list->next;
	plan->skip = 0;
	plan->policy = DYSCO_NO_POLICY;
	memset(plan->taken, 0, sizeof(plan->taken));
	switch (plan->wish->kind) {
	case DYSCO_WISH_INSERT:
		return plan_insert(plan, passage);
	case DYSCO_WISH_POLICY:
		return dysco_plan_policy(plan, passage);
	default:
		return plan_out(plan, passage);
	}
}

void dysco_plan_taken(struct dysco_agent *agent, const struct dysco_plan *plan)
{
	for (int i = 0; i < DYSCO_TYPES_MAX; i++) {
		agent->core.round_robin[i] += plan->taken[i];
	}
}

enum dysco_plan_result dysco_plan_among(struct dysco_plan *plan,
					const struct dysco_passage *passages, uint32_t n)
{
	enum dysco_plan_result result, best = DYSCO_PLAN_OTHER;
	struct dysco_conf_error error = {0};

	for (uint32_t i = 0; i < n; i++) {
		result = dysco_plan_make(plan, &passages[i]);
		if (result == DYSCO_PLAN_GO) {
			return result;
		}
		if (result != DYSCO_PLAN_OTHER) {
			best = result;
			error = plan->error;
		}
	}
	plan->error = error;
	return best;
}
