/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session list, show and why (show.h).
 */
#include "agent/show.h"

#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "conf/parse.h"

#define LIST_DEFAULT 1000 /* sessions, without `limit` */
#define LIST_MAX     100000

static double seconds(uint64_t now_ns, uint64_t then_ns)
{
	uint64_t ms = then_ns >= now_ns ? 0 : (now_ns - then_ns) / 1000000u;

	return (double)ms / 1000.0;
}

static json_t *json_seconds_since(uint64_t now_ns, uint64_t then_ns)
{
	return then_ns ? json_real(seconds(now_ns, then_ns)) : json_null();
}

static uint64_t last_ns(const struct dysco_leg *leg)
{
	uint64_t out = leg->run[DYSCO_OUT].last_ns, in = leg->run[DYSCO_IN].last_ns;

	return out > in ? out : in;
}

static const char *role_name(const struct dysco_leg *leg)
{
	switch (leg->role) {
	case DYSCO_ROLE_FIRST:
		return "first";
	case DYSCO_ROLE_LAST:
		return "last";
	default:
		return "middlebox";
	}
}

static json_t *peer(const struct dysco_agent *agent, uint32_t slot)
{
	return slot == DYSCO_NO_SLOT
		   ? json_null()
		   : dysco_json_addr(&agent->core.table->legs[slot].wire_tuple.dst);
}

static void set_counts(json_t *o, const struct dysco_leg *leg)
{
	json_object_set_new(o, "packets_out", dysco_json_count(leg->run[DYSCO_OUT].packets));
	json_object_set_new(o, "bytes_out", dysco_json_count(leg->run[DYSCO_OUT].bytes));
	json_object_set_new(o, "packets_in", dysco_json_count(leg->run[DYSCO_IN].packets));
	json_object_set_new(o, "bytes_in", dysco_json_count(leg->run[DYSCO_IN].bytes));
}

/* S of docs/socket.md. */
static json_t *show_passage(const struct dysco_agent *agent, uint64_t now_ns,
			    const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const struct dysco_leg *leg = &agent->core.table->legs[slot];
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	const struct dysco_host *host = dysco_passage_host(agent, passage);
	uint64_t last = last_ns(leg);
	json_t *o = json_object();

	json_object_set_new(o, "id", dysco_json_id(&cold->id));
	json_object_set_new(o, "session", dysco_json_tuple(&cold->session));
	json_object_set_new(o, "host",
			    host ? dysco_json_text(host->name, DYSCO_NAME_BYTES) : json_null());
	json_object_set_new(o, "role", json_string(role_name(leg)));
	json_object_set_new(o, "state", json_string(dysco_state_name(dysco_leg_state(leg))));
	json_object_set_new(o, "policy", dysco_json_text(cold->policy, sizeof(cold->policy)));
	json_object_set_new(o, "age_s", json_real(seconds(now_ns, leg->created_ns)));
	json_object_set_new(o, "idle_s", json_real(seconds(now_ns, last ? last : leg->created_ns)));
	set_counts(o, leg);
	json_object_set_new(o, "peer_left", peer(agent, passage->left));
	json_object_set_new(o, "peer_right", peer(agent, passage->right));
	return o;
}

/* ---- list ---- */

struct selection {
	const char *state, *policy, *host;
	bool by_peer;
	struct dysco_addr peer;
	uint64_t limit;
};

static int select_state(struct selection *s, const char *value, struct dysco_conf_error *error)
{
	for (unsigned int i = DYSCO_STATE_PENDING; i < DYSCO_STATE_COUNT; i++) {
		if (strcmp(value, dysco_state_name(i)) == 0) {
			s->state = value;
			return 0;
		}
	}
	return dysco_conf_fail(error, "bad_value",
			       "pending, syn_sent, syn_received, established, half_closed, "
			       "closing, time_wait, reset, bypass or dead",
			       "session list: '%.60s' is not a state of sessions", value);
}

static int select_clause(struct selection *s, const char *name, const char *value,
			 struct dysco_conf_error *error)
{
	if (strcmp(name, "state") == 0) {
		return select_state(s, value, error);
	}
	if (strcmp(name, "policy") == 0) {
		s->policy = value;
	} else if (strcmp(name, "host") == 0) {
		s->host = value;
	} else if (strcmp(name, "peer") == 0) {
		s->by_peer = true;
		if (!dysco_parse_addr(value, &s->peer)) {
			return dysco_conf_fail(error, "bad_address", NULL,
					       "session list: '%.60s' is not an address", value);
		}
	} else if (strcmp(name, "limit") == 0) {
		if (!dysco_parse_number(value, 0, LIST_MAX, &s->limit)) {
			return dysco_conf_fail(
			    error, "bad_value", NULL,
			    "session list: limit is a number up to %d, not '%.60s'", LIST_MAX,
			    value);
		}
	} else {
		return dysco_conf_fail(error, "syntax", "state, policy, host, peer or limit",
				       "session list: '%.60s' is not expected here", name);
	}
	return 0;
}

static int parse_selection(const struct dysco_words *words, struct selection *s,
			   struct dysco_conf_error *error)
{
	memset(s, 0, sizeof(*s));
	s->limit = LIST_DEFAULT;
	for (int i = 2; i < words->count; i += 2) {
		if (i + 1 == words->count) {
			return dysco_conf_fail(error, "syntax", NULL,
					       "session list: what is behind '%.60s' is missing",
					       words->word[i]);
		}
		if (select_clause(s, words->word[i], words->word[i + 1], error) != 0) {
			return -1;
		}
	}
	return 0;
}

static bool has_peer(const struct dysco_agent *agent, uint32_t slot, const struct dysco_addr *peer)
{
	return slot != DYSCO_NO_SLOT &&
	       dysco_addr_equal(&agent->core.table->legs[slot].wire_tuple.dst, peer);
}

/* What has ended is shown only to those who ask for it. */
static bool is_selected(const struct dysco_agent *agent, const struct selection *s,
			const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const char *state = dysco_state_name(dysco_leg_state(&agent->core.table->legs[slot]));
	const struct dysco_host *host = s->host ? dysco_passage_host(agent, passage) : NULL;

	if (s->state ? strcmp(s->state, state) != 0 : strcmp(state, "dead") == 0) {
		return false;
	}
	if (s->policy &&
	    strncmp(agent->core.table->cold[slot].policy, s->policy, DYSCO_NAME_BYTES) != 0) {
		return false;
	}
	if (s->host && (!host || strcmp(host->name, s->host) != 0)) {
		return false;
	}
	return !s->by_peer || has_peer(agent, passage->left, &s->peer) ||
	       has_peer(agent, passage->right, &s->peer);
}

json_t *dysco_show_sessions(const struct dysco_agent *agent, const struct dysco_words *words,
			    struct dysco_conf_error *error)
{
	uint64_t now_ns = dysco_now_ns(), total = 0;
	struct dysco_passage passage;
	struct selection selection;
	json_t *list;

	if (parse_selection(words, &selection, error) != 0) {
		return NULL;
	}
	list = json_array();
	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		if (!dysco_passage_at(agent, slot, &passage) ||
		    !is_selected(agent, &selection, &passage)) {
			continue;
		}
		if (total++ < selection.limit) {
			json_array_append_new(list, show_passage(agent, now_ns, &passage));
		}
	}
	return json_pack("{s:o, s:o}", "sessions", list, "total", dysco_json_count(total));
}

/* ---- show ---- */

static const char *mode_name(uint8_t mode)
{
	static const char *const names[] = {"free", "punt", "fast", "pass", "dead"};

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "unknown";
}

static json_t *show_leg(const struct dysco_agent *agent, uint64_t now_ns, uint32_t slot,
			const char *side)
{
	const struct dysco_leg *leg = &agent->core.table->legs[slot];
	json_t *o = json_object();

	json_object_set_new(o, "side", json_string(side));
	json_object_set_new(o, "slot", json_integer(slot));
	json_object_set_new(o, "mode", json_string(mode_name(leg->mode)));
	json_object_set_new(o, "host_tuple", dysco_json_tuple(&leg->host_tuple));
	json_object_set_new(o, "wire_tuple", dysco_json_tuple(&leg->wire_tuple));
	json_object_set_new(o, "state", json_string(dysco_state_name(dysco_leg_state(leg))));
	set_counts(o, leg);
	json_object_set_new(o, "last_out_s",
			    json_seconds_since(now_ns, leg->run[DYSCO_OUT].last_ns));
	json_object_set_new(o, "last_in_s", json_seconds_since(now_ns, leg->run[DYSCO_IN].last_ns));
	json_object_set_new(o, "partner", leg->partner ? json_integer(leg->partner) : json_null());
	return o;
}

static uint8_t list_count(const struct dysco_address_list *list)
{
	return list->count < DYSCO_HOPS_MAX ? list->count : DYSCO_HOPS_MAX;
}

json_t *dysco_show_chain(const struct dysco_agent *agent, const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const struct dysco_address_list *list = &agent->core.table->cold[slot].list;
	const struct dysco_host *host = dysco_passage_host(agent, passage);
	json_t *chain = json_array();

	for (uint8_t i = 0; i < list_count(list); i++) {
		const struct dysco_hop *hop = &list->hops[i];
		json_t *o = json_object();

		json_object_set_new(o, "address", dysco_json_addr(&hop->addr));
		json_object_set_new(o, "policy_tag", dysco_json_count(hop->policy));
		json_object_set_new(o, "exit", json_boolean(hop->flags & DYSCO_HOP_EXIT));
		json_object_set_new(o, "mandatory", json_boolean(hop->flags & DYSCO_HOP_MANDATORY));
		json_object_set_new(o, "here",
				    json_boolean(host && dysco_host_has(host, &hop->addr)));
		json_array_append_new(chain, o);
	}
	return chain;
}

const char *dysco_part_name(uint8_t role)
{
	static const char *const names[] = {"none",	"left anchor", "right anchor", "between",
					    "inserted", "kept",	       "box"};

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : "unknown";
}

const char *dysco_attempt_state_name(uint8_t state)
{
	static const char *const names[DYSCO_ATTEMPT_STATES] = {
	    [DYSCO_ATTEMPT_NONE] = "none",
	    [DYSCO_ATTEMPT_REQUESTING] = "requesting",
	    [DYSCO_ATTEMPT_SETTING_UP] = "setting_up",
	    [DYSCO_ATTEMPT_PROVING] = "proving",
	    [DYSCO_ATTEMPT_CUTTING] = "cutting",
	    [DYSCO_ATTEMPT_TWO_PATHS] = "two_paths",
	    [DYSCO_ATTEMPT_DONE] = "done",
	    [DYSCO_ATTEMPT_RELEASING] = "releasing",
	    [DYSCO_ATTEMPT_CANCELLING] = "cancelling",
	    [DYSCO_ATTEMPT_REQUESTED] = "requested",
	    [DYSCO_ATTEMPT_WAITING] = "waiting",
	    [DYSCO_ATTEMPT_READY] = "ready",
	    [DYSCO_ATTEMPT_FREED] = "freed",
	    [DYSCO_ATTEMPT_LOCKED] = "locked",
	    [DYSCO_ATTEMPT_LAPSED] = "lapsed",
	};

	return state < DYSCO_ATTEMPT_STATES && names[state] ? names[state] : "unknown";
}

/* Of an agent that is neither anchor nor has asked for it, and so does not watch it. */
static json_t *show_bystander(const struct dysco_attempt *a, uint64_t now_ns)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "part", dysco_part_name(a->role), "state",
			 dysco_attempt_state_name(a->state), "left", dysco_json_addr(&a->left),
			 "right", dysco_json_addr(&a->right), "age_s",
			 json_seconds_since(now_ns, a->started_ns));
}

/* The reconfiguration that a leg of this passage takes part in; null: none. */
static json_t *show_attempt(const struct dysco_agent *agent, uint64_t now_ns,
			    const struct dysco_passage *passage)
{
	const struct dysco_table *table = agent->core.table;
	uint32_t index = table->cold[dysco_passage_main(passage)].attempt;
	const struct dysco_sight *sight;

	if (index == DYSCO_NO_ATTEMPT && passage->left != DYSCO_NO_SLOT) {
		index = table->cold[passage->left].attempt;
	}
	sight = index == DYSCO_NO_ATTEMPT && passage->left != DYSCO_NO_SLOT
		    ? dysco_phases_asked(agent, passage->left)
		    : dysco_phases_of(agent, index);
	if (sight) {
		return dysco_phases_json(sight, now_ns);
	}
	if (index == DYSCO_NO_ATTEMPT || index >= table->n_attempts) {
		return json_null();
	}
	return show_bystander(&table->attempts[index], now_ns);
}

static json_t *show_last_attempt(const struct dysco_agent *agent, uint64_t now_ns,
				 const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const struct dysco_sight *sight = dysco_phases_last(
	    agent, &agent->core.table->cold[slot].id, agent->core.table->legs[slot].host);

	return sight ? dysco_phases_json(sight, now_ns) : json_null();
}

/* Who has given up the chain of this passage (docs/protocol.md 7.7); null: nobody. */
static json_t *show_withdrawn(const struct dysco_agent *agent, const struct dysco_passage *passage)
{
	const struct dysco_leg *leg = &agent->core.table->legs[dysco_passage_main(passage)];

	if (leg->flags & DYSCO_LEG_WITHDRAWN) {
		return json_string("left neighbour");
	}
	return leg->mode == DYSCO_MODE_PASS ? json_string("this agent") : json_null();
}

static json_t *show_in_full(const struct dysco_agent *agent, uint64_t now_ns,
			    const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	json_t *o = show_passage(agent, now_ns, passage), *legs = json_array();

	if (passage->left != DYSCO_NO_SLOT) {
		json_array_append_new(legs, show_leg(agent, now_ns, passage->left, "left"));
	}
	if (passage->right != DYSCO_NO_SLOT) {
		json_array_append_new(legs, show_leg(agent, now_ns, passage->right, "right"));
	}
	json_object_set_new(o, "chain", dysco_show_chain(agent, passage));
	json_object_set_new(o, "legs", legs);
	json_object_set_new(o, "attempt", show_attempt(agent, now_ns, passage));
	json_object_set_new(o, "last_attempt", show_last_attempt(agent, now_ns, passage));
	json_object_set_new(o, "signed", json_integer(cold->key_id));
	json_object_set_new(o, "syn_count", json_integer(cold->syn_count));
	json_object_set_new(o, "withdrawn", show_withdrawn(agent, passage));
	json_object_set_new(o, "created",
			    dysco_json_time(now_ns, agent->core.table->legs[slot].created_ns));
	return o;
}

json_t *dysco_show_session(const struct dysco_agent *agent, const struct dysco_passage *passages,
			   uint32_t n)
{
	uint64_t now_ns = dysco_now_ns();
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_array_append_new(list, show_in_full(agent, now_ns, &passages[i]));
	}
	return json_pack("{s:o}", "sessions", list);
}

/* ---- why ---- */

json_t *dysco_show_why(const struct dysco_agent *agent, const struct dysco_passage *passage)
{
	uint32_t slot = dysco_passage_main(passage);
	const struct dysco_leg_cold *cold = &agent->core.table->cold[slot];
	char name[DYSCO_NAME_BYTES + 1] = "";
	json_t *o = json_object();
	int policy;

	memcpy(name, cold->policy, DYSCO_NAME_BYTES);
	policy = dysco_config_find_policy(agent->config, name);
	json_object_set_new(o, "id", dysco_json_id(&cold->id));
	json_object_set_new(o, "session", dysco_json_tuple(&cold->session));
	json_object_set_new(o, "policy", dysco_json_text(name, sizeof(name)));
	json_object_set_new(
	    o, "filter",
	    policy < 0 ? json_null()
		       : json_string(dysco_config_filter_text(agent->config, (uint16_t)policy)));
	json_object_set_new(o, "why", dysco_json_text(cold->why, sizeof(cold->why)));
	json_object_set_new(o, "chain", dysco_show_chain(agent, passage));
	json_object_set_new(o, "given_by",
			    json_string(cold->own_hops > 0 || passage->left == DYSCO_NO_SLOT
					    ? "this agent"
					    : "left neighbour"));
	json_object_set_new(o, "refused", json_boolean(cold->refused));
	json_object_set_new(o, "withdrawn", show_withdrawn(agent, passage));
	return o;
}
