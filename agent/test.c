/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy test: what would become of a session with this five-tuple, and why
 * (show.h). Runs the filters on a SYN as the host would send it.
 */
#include "agent/show.h"

#include <string.h>

#include "conf/parse.h"
#include "rewrite/edit.h"

static const struct dysco_host *host_of(const struct dysco_setup *setup,
					const struct dysco_addr *addr)
{
	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		if (dysco_host_has(&setup->hosts[i], addr)) {
			return &setup->hosts[i];
		}
	}
	return NULL;
}

/* The host that would see the SYN first: the one named, or the one that has the source address. */
static const struct dysco_host *find_host(const struct dysco_agent *agent,
					  const struct dysco_words *words,
					  const struct dysco_tuple *tuple,
					  struct dysco_conf_error *error)
{
	const struct dysco_setup *setup = &agent->config->setup;
	const struct dysco_host *host = NULL;
	int index;

	if (words->count == 6 && strcmp(words->word[4], "host") == 0) {
		index = dysco_config_find_host(agent->config, words->word[5]);
		if (index < 0) {
			dysco_conf_fail(error, "unknown_host", "dysco status lists the hosts",
					"host '%.60s' is not known", words->word[5]);
			return NULL;
		}
		return &setup->hosts[index];
	}
	if (words->count != 4) {
		dysco_conf_fail(error, "syntax", "policy test SRC DST [host NAME]",
				"policy test: wrong number of words");
		return NULL;
	}
	host = host_of(setup, &tuple->src);
	if (!host) {
		dysco_conf_fail(error, "unknown_host", "add `host NAME`: where the SYN is seen",
				"no host of this agent has the source address %.60s",
				words->word[2]);
	}
	return host;
}

static json_t *evaluate(const struct dysco_agent *agent, const struct dysco_host *host,
			const uint8_t *packet, uint32_t bytes, uint16_t *first)
{
	const struct dysco_setup *setup = &agent->config->setup;
	json_t *list = json_array();

	*first = DYSCO_NO_POLICY;
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		const struct dysco_policy *p = &setup->policies[i];
		bool match = dysco_config_policy_matches(agent->config, i, packet, bytes);
		bool at = dysco_config_policy_at(p, host->id);
		const char *note = "";

		if (!at) {
			note = "does not apply at this host";
		} else if (match && *first == DYSCO_NO_POLICY) {
			*first = i;
			note = "the first that matches: chosen";
		} else if (match) {
			note = "matches too, but comes later";
		}
		json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:b, s:s}", "name", p->name,
						      "priority", (json_int_t)p->priority, "filter",
						      dysco_config_filter_text(agent->config, i),
						      "match", match && at, "note", note));
	}
	return list;
}

static json_t *show_hops(const struct dysco_forecast *forecast)
{
	json_t *hops = json_array();

	for (uint8_t i = 0; forecast->result == 0 && i < forecast->list.count; i++) {
		json_array_append_new(hops, dysco_json_addr(&forecast->list.hops[i].addr));
	}
	return hops;
}

static const char *verdict(const struct dysco_setup *setup, uint16_t policy, int result)
{
	if (policy == DYSCO_NO_POLICY) {
		return "plain";
	}
	if (result == 0) {
		return "chain";
	}
	return setup->policies[policy].fail == DYSCO_FAIL_OPEN ? "bypass" : "drop";
}

json_t *dysco_policy_test(const struct dysco_agent *agent, const struct dysco_words *words,
			  struct dysco_conf_error *error)
{
	const struct dysco_setup *setup = &agent->config->setup;
	struct dysco_forecast forecast = {0};
	const struct dysco_host *host;
	struct dysco_tuple tuple;
	uint8_t packet[128];
	uint16_t policy;
	size_t bytes;
	json_t *o;

	if (words->count < 4 || !dysco_parse_tuple(words->word[2], words->word[3], &tuple)) {
		dysco_conf_fail(error, "bad_address", "policy test 10.0.0.1:40000 10.0.0.2:80",
				"policy test: SRC and DST are ADDR:PORT or [ADDR6]:PORT");
		return NULL;
	}
	host = find_host(agent, words, &tuple, error);
	if (!host) {
		return NULL;
	}
	bytes = dysco_edit_make_segment(packet, sizeof(packet), &tuple, 1, 0, DYSCO_TCP_SYN, 65535,
					0, NULL, 0);
	o = json_object();
	json_object_set_new(o, "session", dysco_json_tuple(&tuple));
	json_object_set_new(o, "host", json_string(host->name));
	json_object_set_new(o, "evaluated",
			    evaluate(agent, host, packet, (uint32_t)bytes, &policy));
	if (policy != DYSCO_NO_POLICY) {
		dysco_core_forecast(&agent->core, host->id, policy, &tuple, &forecast);
	}
	json_object_set_new(o, "verdict", json_string(verdict(setup, policy, forecast.result)));
	json_object_set_new(o, "policy",
			    policy == DYSCO_NO_POLICY ? json_null()
						      : json_string(setup->policies[policy].name));
	json_object_set_new(o, "hops", show_hops(&forecast));
	json_object_set_new(o, "why",
			    policy == DYSCO_NO_POLICY
				? json_string("no policy matches")
				: dysco_json_text(forecast.why, sizeof(forecast.why)));
	json_object_set_new(o, "reason",
			    forecast.result == 0
				? json_null()
				: json_string(dysco_reason_name((unsigned int)forecast.result)));
	return o;
}
