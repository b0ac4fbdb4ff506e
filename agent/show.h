/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's answers as JSON; names and shapes are those of docs/socket.md,
 * which promises them. Each function returns a new reference.
 */
#ifndef DYSCO_AGENT_SHOW_H
#define DYSCO_AGENT_SHOW_H

#include "agent/agent.h"

/* ---- json.c: values ---- */
json_t *dysco_json_addr(const struct dysco_addr *addr);	   /* null for the zero address */
json_t *dysco_json_tuple(const struct dysco_tuple *tuple); /* null for the zero tuple */
json_t *dysco_json_id(const struct dysco_session_id *id);
json_t *dysco_json_text(const char *text, size_t bytes);    /* NUL-padded field; null when empty */
json_t *dysco_json_time(uint64_t now_ns, uint64_t then_ns); /* RFC 3339 */
json_t *dysco_json_count(uint64_t count);
const char *dysco_nack_name(unsigned int reason); /* reconfig.c: of an enum dysco_nack */
json_t *dysco_json_nack(unsigned int reason);
const char *dysco_state_name(enum dysco_leg_state state);
const char *dysco_reason_name(unsigned int reason);

/* ---- show_config.c ---- */
json_t *dysco_show_status(const struct dysco_agent *agent);
json_t *dysco_show_stats(struct dysco_agent *agent);
json_t *dysco_show_boxes(const struct dysco_agent *agent);
json_t *dysco_show_types(const struct dysco_agent *agent);
json_t *dysco_show_policies(const struct dysco_agent *agent);

/* ---- test.c ---- */
json_t *dysco_policy_test(const struct dysco_agent *agent, const struct dysco_words *words,
			  struct dysco_conf_error *error);

/* ---- sessions.c: the leg table, seen as sessions ---- */
/* One host of this agent that a session passes: slots of its legs, DYSCO_NO_SLOT: none. */
struct dysco_passage {
	uint32_t left, right;
};
/* The passage whose main leg is this slot; false: the slot is free, or the partner of another. */
bool dysco_passage_at(const struct dysco_agent *agent, uint32_t slot,
		      struct dysco_passage *passage);
/* The leg that speaks for the passage. */
uint32_t dysco_passage_main(const struct dysco_passage *passage);
const struct dysco_host *dysco_passage_host(const struct dysco_agent *agent,
					    const struct dysco_passage *passage);

#define DYSCO_PASSAGES_MAX 64
/* The passages of the session that words[at .. end - 1] name (an id, or SRC DST); 0: *error. */
uint32_t dysco_find_session(const struct dysco_agent *agent, const struct dysco_words *words,
			    int at, int end, struct dysco_passage *passages,
			    struct dysco_conf_error *error);
/*
 * The same, but only passages at boxes that live; SRC DST may also be the five-tuple that the
 * box's program sees, on either side, in either direction.
 */
uint32_t dysco_find_boxes(const struct dysco_agent *agent, const struct dysco_words *words, int at,
			  int end, struct dysco_passage *passages, struct dysco_conf_error *error);
/* How many of the words from words[at] on name a session: 1 or 2. */
int dysco_session_words(const struct dysco_words *words, int at);
/* What is in the table, by enum dysco_leg_state; policies by their index. */
struct dysco_census {
	uint32_t legs[DYSCO_STATE_COUNT], sessions[DYSCO_STATE_COUNT];
	uint32_t by_policy[DYSCO_POLICIES_MAX]; /* living ones, where the policy gave hops */
};
void dysco_take_census(const struct dysco_agent *agent, struct dysco_census *census);
/* Living sessions; by_policy[DYSCO_POLICIES_MAX], if not NULL: those that each policy gave hops. */
uint32_t dysco_count_sessions(const struct dysco_agent *agent, uint32_t *by_policy);

/* ---- show_session.c ---- */
json_t *dysco_show_sessions(const struct dysco_agent *agent, const struct dysco_words *words,
			    struct dysco_conf_error *error);
json_t *dysco_show_session(const struct dysco_agent *agent, const struct dysco_passage *passages,
			   uint32_t n);
const char *dysco_part_name(uint8_t role);	     /* enum dysco_attempt_role */
const char *dysco_attempt_state_name(uint8_t state); /* enum dysco_attempt_state */
json_t *dysco_show_chain(const struct dysco_agent *agent, const struct dysco_passage *passage);
json_t *dysco_show_why(const struct dysco_agent *agent, const struct dysco_passage *passage);

#endif
