/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status, stats, and the lists of boxes, types and policies (show.h).
 */
#include "agent/show.h"

#include <stdio.h>
#include <string.h>

#include "agent/health.h"
#include "agent/log.h"
#include "agent/urgent.h"
#include "conf/parse.h"

static json_t *json_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

/* Ports of the range that local sockets of a host hold, as far as they have been looked up. */
static int count_ports_held(const struct dysco_core *core, uint16_t host)
{
	const size_t places = sizeof(core->held) / sizeof(core->held[0]);
	const size_t words = sizeof(core->held[0].bits) / sizeof(core->held[0].bits[0]);
	int count = 0;

	for (size_t i = 0; i < places; i++) {
		for (size_t j = 0; core->held[i].host == host && j < words; j++) {
			count += __builtin_popcountll(core->held[i].bits[j]);
		}
	}
	return count;
}

static json_t *show_hosts(const struct dysco_agent *agent)
{
	const struct dysco_config *config = agent->config;
	json_t *hosts = json_array();

	for (uint16_t i = 0; i < config->setup.n_hosts; i++) {
		const struct dysco_host *h = &config->setup.hosts[i];
		json_t *addresses = json_array();

		for (uint8_t j = 0; j < h->n_prefixes; j++) {
			char text[DYSCO_ENDPOINT_TEXT];

			dysco_format_prefix(text, &h->prefixes[j]);
			json_array_append_new(addresses, json_string(text));
		}
		json_array_append_new(hosts,
				      json_pack("{s:s, s:i, s:o, s:i}", "name", h->name, "id",
						(int)h->id, "addresses", addresses, "ports_held",
						count_ports_held(&agent->core, h->id)));
	}
	return hosts;
}

static json_t *show_attachment(const struct dysco_agent *agent, const struct dysco_attachment *a)
{
	const struct dysco_host *host = dysco_setup_host(&agent->config->setup, a->host);
	json_t *o = json_object();

	json_object_set_new(o, "id", json_integer(a->id));
	json_object_set_new(o, "mode", json_string(a->mode == DYSCO_ATTACH_PORT ? "port" : "nic"));
	json_object_set_new(o, "interface", json_string(a->ifname));
	json_object_set_new(o, "netns", json_or_null(a->netns));
	json_object_set_new(o, "host", host ? json_string(host->name) : json_null());
	json_object_set_new(o, "mirror", json_or_null(a->mirror));
	json_object_set_new(o, "up", json_boolean(agent->attached[a->id].ifindex != 0));
	json_object_set_new(o, "restored", json_integer(agent->attached[a->id].restored));
	return o;
}

static json_t *show_keys(const struct dysco_setup *setup)
{
	json_t *keys = json_array();

	for (uint16_t i = 0; i < setup->n_keys; i++) {
		json_array_append_new(keys, json_integer(setup->keys[i].id));
	}
	return keys;
}

static json_t *show_attempts(const struct dysco_table *table)
{
	json_int_t used = 0;

	for (uint32_t i = 1; i < table->n_attempts; i++) {
		used += table->attempts[i].role != DYSCO_PART_NONE;
	}
	return json_pack("{s:I, s:I}", "used", used, "capacity",
			 (json_int_t)(table->n_attempts > 0 ? table->n_attempts - 1 : 0));
}

json_t *dysco_show_status(const struct dysco_agent *agent)
{
	const struct dysco_setup *setup = &agent->config->setup;
	json_t *o = json_object(), *attachments = json_array();
	char ports[16];

	for (uint16_t i = 0; i < agent->config->n_attachments; i++) {
		json_array_append_new(attachments,
				      show_attachment(agent, &agent->config->attachments[i]));
	}
	snprintf(ports, sizeof(ports), "%u-%u", (unsigned int)setup->port_first,
		 (unsigned int)setup->port_last);
	json_object_set_new(o, "agent", json_or_null(setup->agent));
	json_object_set_new(o, "version", json_string(DYSCO_VERSION));
	json_object_set_new(o, "uptime_s",
			    dysco_json_count((dysco_now_ns() - agent->started_ns) / 1000000000u));
	json_object_set_new(o, "datapath", json_string(agent->dp.ops->name));
	json_object_set_new(o, "pin", json_string(agent->pin));
	json_object_set_new(o, "signed", json_boolean(setup->n_keys > 0));
	json_object_set_new(o, "keys", show_keys(setup));
	json_object_set_new(o, "legs",
			    json_pack("{s:I, s:I}", "used", (json_int_t)agent->core.live_legs,
				      "capacity", (json_int_t)agent->core.table->capacity));
	json_object_set_new(o, "scheduling", json_string(dysco_urgent_name()));
	json_object_set_new(o, "attempts", show_attempts(agent->core.table));
	json_object_set_new(o, "sessions", json_integer(dysco_count_sessions(agent, NULL)));
	json_object_set_new(o, "hosts", show_hosts(agent));
	json_object_set_new(o, "attachments", attachments);
	json_object_set_new(o, "policies", json_integer(setup->n_policies));
	json_object_set_new(o, "ports", json_string(ports));
	json_object_set_new(o, "health", dysco_health_show(agent));
	return o;
}

static json_t *show_drops(const struct dysco_core_stats *stats)
{
	static const struct {
		unsigned int number;
		const char *name, *text;
	} reasons[] = {
#define X(sym, number, name, text) {number, name, text},
		DYSCO_REASONS(X)
#undef X
	};
	json_t *drops = json_array();

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		json_array_append_new(
		    drops, json_pack("{s:i, s:s, s:o, s:s}", "number", (int)reasons[i].number,
				     "name", reasons[i].name, "count",
				     dysco_json_count(stats->drops[reasons[i].number]), "text",
				     reasons[i].text));
	}
	return drops;
}

json_t *dysco_show_stats(struct dysco_agent *agent)
{
	static const char *const names[] = {
#define X(sym, name, text) name,
		DYSCO_COUNTERS(X)
#undef X
	};
	struct dysco_core_stats stats;
	json_t *counters = json_object();

	dysco_core_stats(&agent->core, &stats);
	agent->dp.ops->counters(&agent->dp, &stats);
	for (size_t i = 0; i < DYSCO_COUNTER_COUNT; i++) {
		json_object_set_new(counters, names[i], dysco_json_count(stats.counters[i]));
	}
	return json_pack("{s:o, s:o}", "counters", counters, "drops", show_drops(&stats));
}

json_t *dysco_show_boxes(const struct dysco_agent *agent)
{
	const struct dysco_setup *setup = &agent->config->setup;
	json_t *boxes = json_array();

	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		const struct dysco_box *b = &setup->boxes[i];
		json_t *addresses = json_array(), *box;
		char name[DYSCO_ENDPOINT_TEXT];

		dysco_config_box_text(name, b);
		if (!dysco_addr_is_zero(&b->ip4)) {
			json_array_append_new(addresses, dysco_json_addr(&b->ip4));
		}
		if (!dysco_addr_is_zero(&b->ip6)) {
			json_array_append_new(addresses, dysco_json_addr(&b->ip6));
		}
		box = json_pack("{s:s, s:o, s:I, s:b}", "name", name, "addresses", addresses,
				"sessions", (json_int_t)agent->core.box_sessions[i], "draining",
				b->draining);
		dysco_health_show_box(agent, i, box);
		json_array_append_new(boxes, box);
	}
	return json_pack("{s:o}", "boxes", boxes);
}

json_t *dysco_show_types(const struct dysco_agent *agent)
{
	static const char *const selects[] = {"round-robin", "least-sessions", "consistent-hash"};
	const struct dysco_setup *setup = &agent->config->setup;
	json_t *types = json_array();

	for (uint16_t i = 0; i < setup->n_types; i++) {
		const struct dysco_type *t = &setup->types[i];
		json_t *boxes = json_array();

		for (uint16_t j = 0; j < t->count; j++) {
			json_array_append_new(boxes, json_string(setup->boxes[t->boxes[j]].name));
		}
		json_array_append_new(types, json_pack("{s:s, s:s, s:o}", "name", t->name, "select",
						       selects[t->select], "boxes", boxes));
	}
	return json_pack("{s:o}", "types", types);
}

static json_t *show_at(const struct dysco_setup *setup, const struct dysco_policy *p)
{
	json_t *at = json_array();

	for (uint8_t i = 0; i < p->n_at; i++) {
		const struct dysco_host *host = dysco_setup_host(setup, p->at[i]);

		json_array_append_new(at, json_string(host ? host->name : "?"));
	}
	return at;
}

static json_t *show_via(const struct dysco_setup *setup, const struct dysco_policy *p)
{
	json_t *via = json_array();

	for (uint8_t i = 0; i < p->n_hops; i++) {
		char text[DYSCO_ENDPOINT_TEXT];

		if (p->hops[i].kind == DYSCO_HOP_TYPE) {
			snprintf(text, sizeof(text), "%s", setup->types[p->hops[i].index].name);
		} else {
			dysco_config_box_text(text, &setup->boxes[p->hops[i].index]);
		}
		json_array_append_new(via, json_string(text));
	}
	return via;
}

static json_t *show_mandatory(const struct dysco_setup *setup, const struct dysco_policy *p)
{
	json_t *via = show_via(setup, p);

	for (uint8_t i = p->n_hops; i-- > 0;) {
		if (!p->hops[i].mandatory) {
			json_array_remove(via, i);
		}
	}
	return via;
}

static json_t *show_policy(const struct dysco_agent *agent, uint16_t i, uint32_t sessions)
{
	const struct dysco_setup *setup = &agent->config->setup;
	const struct dysco_policy *p = &setup->policies[i];
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(p->name));
	json_object_set_new(o, "priority", json_integer(p->priority));
	json_object_set_new(o, "at", show_at(setup, p));
	json_object_set_new(o, "via", show_via(setup, p));
	json_object_set_new(o, "exit", json_boolean(p->n_hops > 0 && p->hops[p->n_hops - 1].exit));
	json_object_set_new(o, "fail", json_string(p->fail == DYSCO_FAIL_OPEN ? "open" : "closed"));
	json_object_set_new(o, "mandatory", show_mandatory(setup, p));
	json_object_set_new(o, "existing",
			    json_string(p->existing == DYSCO_EXISTING_MOVE ? "move" : "keep"));
	json_object_set_new(o, "on_failure", json_string(dysco_on_failure_name(p->on_failure)));
	json_object_set_new(o, "retries", json_integer(p->retries));
	json_object_set_new(o, "filter", json_string(dysco_config_filter_text(agent->config, i)));
	json_object_set_new(o, "sessions", json_integer(sessions));
	json_object_set_new(o, "matched", dysco_json_count(agent->counts[i].matched));
	return o;
}

json_t *dysco_show_policies(const struct dysco_agent *agent)
{
	uint32_t sessions[DYSCO_POLICIES_MAX] = {0};
	json_t *policies = json_array();

	dysco_count_sessions(agent, sessions);
	for (uint16_t i = 0; i < agent->config->setup.n_policies; i++) {
		json_array_append_new(policies, show_policy(agent, i, sessions[i]));
	}
	return json_pack("{s:o}", "policies", policies);
}
