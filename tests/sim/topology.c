// SPDX-License-Identifier: BSD-2-Clause
/*
 * Builds the world that a plan asks for:
 *
 *   client 0 .. n  ---+                                +--- server
 *   (one host each,   +--- network, any to any, maybe -+
 *    or one gateway)  |    with a NAT for clients      |
 *                     +--- boxes, one host each -------+
 *
 * and deals the hosts out to agents.
 */
#include "tests/sim/scenario.h"
#include "tests/sim/mutant.h"

#include <stdio.h>
#include <string.h>

static uint8_t node_new(struct sim_world *w, enum sim_node_kind kind)
{
	uint8_t i = w->n_nodes++;
	struct sim_node *node = &w->nodes[i];

	node->kind = (uint8_t)kind;
	node->host = node->behind = node->way_back = SIM_NONE;
	node->addr = sim_address(w, i);
	return i;
}

static uint8_t host_new(struct sim_world *w, uint8_t node)
{
	uint8_t i = w->n_hosts++;

	w->hosts[i].id = (uint16_t)(i + 1);
	w->hosts[i].box = w->nodes[node].kind == SIM_BOX ? node : SIM_NONE;
	w->nodes[node].host = i;
	return i;
}

static void lay_out_ends(struct sim_world *w, const struct sim_plan *plan)
{
	uint8_t server;

	for (uint8_t i = 0; i < plan->clients; i++) {
		node_new(w, SIM_ENDPOINT);
		if (plan->gateway && i > 0) {
			w->nodes[i].host = w->nodes[0].host;
		} else {
			host_new(w, i);
		}
	}
	server = node_new(w, SIM_ENDPOINT);
	if (plan->theme == SIM_THEME_SERVER_REFUSES) {
		w->nodes[server].listen = SIM_REFUSE;
	}
	if (plan->theme != SIM_THEME_EXIT_NAT &&
	    !(plan->theme == SIM_THEME_EXIT && sim_chance(w, 600))) {
		host_new(w, server);
	}
}

static void set_delta(struct sim_world *w, struct sim_node *node)
{
	bool timestamps = sim_chance(w, 500);

	sim_has(w, SIM_HAS_BOX_DELTA);
	node->thawed = sim_chance(w, 150);
	for (int way = 0; way < 2; way++) {
		node->delta[way][0] = 1 + sim_random(w, sim_chance(w, 500) ? 5000 : UINT32_MAX);
		node->delta[way][1] = timestamps ? sim_random(w, UINT32_MAX) : 0;
	}
}

static void lay_out_boxes(struct sim_world *w, const struct sim_plan *plan)
{
	w->first_box = w->n_nodes;
	w->n_boxes = plan->n_boxes;
	for (uint8_t i = 0; i < plan->n_boxes; i++) {
		uint8_t node = node_new(w, SIM_BOX);

		w->nodes[node].box = plan->box_kind[i];
		w->nodes[node].syns_to_drop = (uint8_t)(1 + sim_random(w, 2));
		if (plan->box_kind[i] == SIM_BOX_DELTA) {
			set_delta(w, &w->nodes[node]);
		} else if (plan->box_kind[i] == SIM_BOX_STRICT) {
			sim_has(w, SIM_HAS_BOX_STRICT);
		}
		host_new(w, node);
	}
}

static void lay_out_oddities(struct sim_world *w, const struct sim_plan *plan)
{
	uint8_t server = plan->clients;
	uint8_t last = plan->n_hops ? plan->hops[plan->n_hops - 1].first : 0;
	uint8_t none = (uint8_t)sim_random(w, plan->n_boxes + 1u);

	switch (plan->theme) {
	case SIM_THEME_WIRE_NAT: {
		uint8_t nat = node_new(w, SIM_WIRE_NAT);

		for (uint8_t i = 0; i < plan->clients; i++) {
			w->nodes[i].behind = nat;
		}
		break;
	}
	case SIM_THEME_EXIT:
		w->nodes[server].way_back = (uint8_t)(w->first_box + last);
		break;
	case SIM_THEME_NO_AGENT:
		w->nodes[none < plan->n_boxes ? w->first_box + none : server].host = SIM_NONE;
		break;
	default:
		break;
	}
}

static void deal_out(struct sim_world *w)
{
	uint8_t n = (uint8_t)(w->n_hosts < SIM_AGENTS ? w->n_hosts : SIM_AGENTS);
	uint32_t way = sim_random(w, 10);

	w->n_agents = way < 6 ? n : way < 9 ? (uint8_t)(1 + sim_random(w, n)) : 1;
	for (uint8_t i = 0; i < w->n_hosts; i++) {
		w->hosts[i].agent = (uint8_t)(i < w->n_agents ? i : sim_random(w, w->n_agents));
	}
	if (w->n_agents < w->n_hosts) {
		sim_has(w, SIM_HAS_SHARED_AGENT);
	}
}

void sim_lay_out(struct sim_world *w, const struct sim_plan *plan)
{
	lay_out_ends(w, plan);
	lay_out_boxes(w, plan);
	lay_out_oddities(w, plan);
	deal_out(w);
}

/* ---- configurations ---- */

static void set_boxes(const struct sim_world *w, struct dysco_setup *setup)
{
	setup->n_boxes = w->n_boxes;
	for (uint8_t i = 0; i < w->n_boxes; i++) {
		struct dysco_box *box = &setup->boxes[i];

		memset(box, 0, sizeof(*box));
		snprintf(box->name, sizeof(box->name), "box%u", i);
		*(w->ip6 ? &box->ip6 : &box->ip4) = w->nodes[w->first_box + i].addr;
	}
}

static void set_types(const struct sim_plan *plan, struct dysco_setup *setup)
{
	setup->n_types = plan->n_hops;
	for (uint8_t i = 0; i < plan->n_hops; i++) {
		struct dysco_type *type = &setup->types[i];

		memset(type, 0, sizeof(*type));
		snprintf(type->name, sizeof(type->name), "type%u", i);
		type->select = (enum dysco_select)plan->hops[i].select;
		type->count = plan->hops[i].count;
		for (uint8_t k = 0; k < plan->hops[i].count; k++) {
			type->boxes[k] = (uint16_t)(plan->hops[i].first + k);
		}
	}
}

static void set_hosts(const struct sim_world *w, uint8_t agent, struct dysco_setup *setup)
{
	setup->n_hosts = 0;
	for (uint8_t i = 0; i < w->n_hosts; i++) {
		struct dysco_host *host = &setup->hosts[setup->n_hosts];

		if (w->hosts[i].agent != agent) {
			continue;
		}
		memset(host, 0, sizeof(*host));
		snprintf(host->name, sizeof(host->name), "host%u", i);
		host->id = w->hosts[i].id;
		for (uint8_t node = 0; node < w->n_nodes; node++) {
			if (w->nodes[node].host == i) {
				host->prefixes[host->n_prefixes].addr = w->nodes[node].addr;
				host->prefixes[host->n_prefixes++].bits = 128;
			}
		}
		setup->n_hosts++;
	}
}

static struct dysco_policy *policy_new(struct dysco_setup *setup, struct dysco_sim *dp,
				       const struct sim_plan *plan, const char *name)
{
	struct dysco_policy *policy = &setup->policies[setup->n_policies++];
	struct dysco_sim_rule *rule = &dp->rules[dp->n_rules++];

	memset(policy, 0, sizeof(*policy));
	memset(rule, 0, sizeof(*rule));
	snprintf(policy->name, sizeof(policy->name), "%s", name);
	policy->tag = dysco_policy_tag(name);
	policy->fail = plan->open ? DYSCO_FAIL_OPEN : DYSCO_FAIL_CLOSED;
	policy->retries = plan->retries;
	rule->dport_be = DYSCO_BE16(SIM_PORT_CHAIN);
	rule->fail = (uint8_t)policy->fail;
	return policy;
}

static void at_host(struct dysco_setup *setup, struct dysco_sim *dp, uint16_t id)
{
	struct dysco_policy *policy = &setup->policies[setup->n_policies - 1];
	struct dysco_sim_rule *rule = &dp->rules[dp->n_rules - 1];

	policy->at[policy->n_at++] = id;
	rule->at[rule->n_at++] = id;
}

static void set_main_policy(const struct sim_world *w, const struct sim_plan *plan, uint8_t agent,
			    struct dysco_setup *setup, struct dysco_sim *dp)
{
	struct dysco_policy *policy = policy_new(setup, dp, plan, "main");

	for (uint8_t i = 0; i < plan->n_hops; i++) {
		struct dysco_policy_hop *hop = &policy->hops[policy->n_hops++];

		hop->kind = plan->hops[i].type ? DYSCO_HOP_TYPE : DYSCO_HOP_BOX;
		hop->index = plan->hops[i].type ? i : plan->hops[i].first;
		hop->exit = i + 1 == plan->n_hops &&
			    (plan->theme == SIM_THEME_EXIT || plan->theme == SIM_THEME_EXIT_NAT);
	}
	for (uint8_t i = 0; i < w->n_hosts && !plan->everywhere; i++) {
		if (w->hosts[i].agent == agent && w->hosts[i].box == SIM_NONE) {
			at_host(setup, dp, w->hosts[i].id);
		}
	}
}

static void set_added_policy(const struct sim_world *w, const struct sim_plan *plan, uint8_t agent,
			     struct dysco_setup *setup, struct dysco_sim *dp)
{
	uint8_t node = (uint8_t)(w->first_box + plan->hops[plan->added_at].first);
	const struct sim_host *host = &w->hosts[w->nodes[node].host];
	struct dysco_policy *policy;

	if (host->agent != agent) {
		return;
	}
	policy = policy_new(setup, dp, plan, "added");
	for (uint8_t i = 0; i < plan->added; i++) {
		policy->hops[policy->n_hops].kind = DYSCO_HOP_BOX;
		policy->hops[policy->n_hops++].index = (uint16_t)(plan->added_first + i);
	}
	at_host(setup, dp, host->id);
}

/* The policy rests where an endpoint is, or everywhere. */
static bool has_main_policy(const struct sim_world *w, const struct sim_plan *plan, uint8_t agent)
{
	bool ends = plan->everywhere;

	for (uint8_t i = 0; i < w->n_hosts; i++) {
		ends = ends || (w->hosts[i].agent == agent && w->hosts[i].box == SIM_NONE);
	}
	return ends && plan->theme != SIM_THEME_PLAIN;
}

static void configure(struct sim_world *w, const struct sim_plan *plan, uint8_t agent)
{
	struct dysco_setup *setup = &w->agents[agent].setup;
	struct dysco_sim *dp = &w->agents[agent].dp;
	uint16_t policy, hop;

	snprintf(setup->agent, sizeof(setup->agent), "agent%u", agent);
	set_boxes(w, setup);
	set_types(plan, setup);
	set_hosts(w, agent, setup);
	setup->n_policies = 0;
	if (has_main_policy(w, plan, agent)) {
		set_main_policy(w, plan, agent, setup, dp);
	}
	if (plan->added) {
		set_added_policy(w, plan, agent, setup, dp);
	}
	setup->n_keys = w->signed_messages ? 1 : 0;
	setup->keys[0].id = 7;
	memset(setup->keys[0].bytes, 42, sizeof(setup->keys[0].bytes));
	setup->port_first = 61000;
	setup->port_last = (uint16_t)(61000 + plan->ports - 1);
	setup->timeouts = w->timeouts;
	setup->triggers = w->triggers[agent];
	if (dysco_setup_check(setup, &policy, &hop) != DYSCO_SETUP_OK) {
		sim_fail(w, "simulator: setup refused, policy %u hop %u", policy, hop);
	}
}

void sim_lay_out_agents(struct sim_world *w, const struct sim_plan *plan)
{
	for (uint8_t i = 0; i < w->n_agents && !w->failed; i++) {
		struct sim_agent *a = &w->agents[i];

		a->starts = 0;
		a->last_counter = 0;
		dysco_sim_open(&a->dp, plan->legs);
		sim_mutate_table(w, &a->dp);
		configure(w, plan, i);
		sim_agent_start(w, i);
	}
}
