/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent without a machine: a datapath that keeps its table in plain memory
 * and notes what it was told, and a system that knows a few interfaces. For
 * tests and fuzzers of what lies between the socket and the core.
 */
#ifndef TESTS_FAKE_AGENT_H
#define TESTS_FAKE_AGENT_H

#include "agent/agent.h"

#define FAKE_LEGS 64
#define FAKE_KEYS 512

struct fake_key {
	struct dysco_leg_key key;
	uint32_t slot; /* DYSCO_NO_SLOT: empty */
};

struct fake_agent {
	struct dysco_agent agent;
	struct dysco_system system;
	struct dysco_leg legs[FAKE_LEGS];
	struct dysco_leg_cold cold[FAKE_LEGS];
	struct dysco_leg_names names[FAKE_LEGS];
	struct dysco_lasting lasting;
	struct dysco_attempt attempts[4]; /* not used unless table->n_attempts is more than 1 */
	struct fake_key keys[FAKE_KEYS];
	/* what the datapath was told */
	uint32_t attached, detached, injected, n_rules;
	uint32_t injected_before_detach; /* of `injected`, those before the last detach() */
	bool refuse_attach, refuse_classifier;
	int still_attached; /* what attached() says until the next attach() */
	bool going;	    /* attach() finds no interface, and none is left */
	bool gone;	    /* every interface */
	/* what the host's stack says of any connection */
	struct dysco_socket socket;
	int no_socket;
	struct dysco_tuple connections[8]; /* that it has opened */
	uint32_t n_connections;
	struct dysco_tuple passing[8]; /* that are tracked */
	uint32_t n_passing;
	int passing_wrong;
	/* one packet for receive(), and the last one injected */
	struct dysco_punt punt;
	bool has_punt;
	uint8_t sent[4096];
	uint32_t sent_bytes;
	uint8_t sent_kind;
	void (*on_sent)(struct fake_agent *fake); /* sees each one, may be NULL */
	/* what the agent told its surroundings */
	bool listening;
	uint32_t events, stored;
	json_t *last_event, *last_answer;
};

/*
 * Starts an agent with this configuration file; NULL when that is refused,
 * with *error. Interfaces eth0..eth9 exist in the namespaces "" and "ns1".
 */
struct fake_agent *fake_agent_new(const char *config, struct dysco_conf_error *error);
void fake_agent_free(struct fake_agent *fake);
/* A request line; the answer is the caller's, NULL when it comes later or never (monitor). */
json_t *fake_agent_ask(struct fake_agent *fake, const char *line);
/* The packet comes out of (or to) the host at this attachment, and is worked on. */
void fake_agent_punt(struct fake_agent *fake, uint16_t attachment, enum dysco_direction direction,
		     const uint8_t *packet, uint32_t bytes);

#endif
