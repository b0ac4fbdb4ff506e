/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boxes, types, hosts and policies: the configuration the core works with.
 *
 * A struct dysco_setup is made as a whole by the agent from its configuration,
 * checked with dysco_setup_check(), and handed to the core, which only reads
 * it; a change means making a new one. Indices refer into the same setup.
 */
#ifndef DYSCO_CORE_POLICY_H
#define DYSCO_CORE_POLICY_H

#include "wire/message.h"

#define DYSCO_BOXES_MAX	      256
#define DYSCO_TYPES_MAX	      64
#define DYSCO_TYPE_BOXES_MAX  32
#define DYSCO_HOSTS_MAX	      256
#define DYSCO_HOST_PREFIXES   16
#define DYSCO_POLICIES_MAX    256
#define DYSCO_POLICY_HOPS     20
#define DYSCO_POLICY_HOSTS    16
#define DYSCO_ATTACHMENTS_MAX 1024
#define DYSCO_KEYS_MAX	      8

/* A middlebox's host as others name it; an address in each family it can be reached in. */
struct dysco_box {
	char name[DYSCO_NAME_BYTES];
	struct dysco_addr ip4, ip6; /* all zero: none */
	bool draining;		    /* types give it to no new session */
};

enum dysco_select {
	DYSCO_SELECT_ROUND_ROBIN = 0,
	DYSCO_SELECT_LEAST_SESSIONS,  /* that this agent has started and that have not ended */
	DYSCO_SELECT_CONSISTENT_HASH, /* of the session five-tuple, rendezvous hashing */
};

struct dysco_type {
	char name[DYSCO_NAME_BYTES];
	enum dysco_select select;
	uint16_t count;
	uint16_t boxes[DYSCO_TYPE_BOXES_MAX]; /* indices of boxes */
};

/* A Dysco host: a set of addresses behind one or more attachments of this agent. */
struct dysco_prefix {
	struct dysco_addr addr;
	uint8_t bits; /* 0..128, counted on the 16-byte form: a single IPv4 address is 128 */
};
struct dysco_host {
	char name[DYSCO_NAME_BYTES];
	uint16_t id; /* != 0, stable while anything of the host lives; used in leg keys */
	uint8_t n_prefixes;
	struct dysco_prefix prefixes[DYSCO_HOST_PREFIXES]; /* the first of a family with all bits is
							      the address used as a middlebox */
};

enum dysco_hop_kind { DYSCO_HOP_BOX = 0, DYSCO_HOP_TYPE };
struct dysco_policy_hop {
	uint8_t kind; /* enum dysco_hop_kind */
	bool exit;    /* only on the last */
	bool mandatory;
	uint16_t index;
};

enum dysco_fail { DYSCO_FAIL_CLOSED = 0, DYSCO_FAIL_OPEN };
/* What a change of the policy means to the sessions that live. */
enum dysco_existing { DYSCO_EXISTING_KEEP = 0, DYSCO_EXISTING_MOVE };

/* What becomes of living sessions when a box of their chain fails. */
enum dysco_on_failure {
	DYSCO_ON_FAILURE_REPLACE = 0, /* by another box of its type; if there is none: as `fail` */
	DYSCO_ON_FAILURE_BYPASS,
	DYSCO_ON_FAILURE_CLOSE,
	DYSCO_ON_FAILURE_NONE,
};

struct dysco_policy {
	char name[DYSCO_NAME_BYTES];
	uint32_t tag; /* != 0: hash of the name; the same policy on several agents applies once */
	uint32_t priority; /* higher first */
	enum dysco_fail fail;
	enum dysco_existing existing;
	enum dysco_on_failure on_failure;
	uint8_t retries; /* fail-open: SYNs tried with the chain before going without; >= 1 */
	uint8_t n_hops, n_at;
	struct dysco_policy_hop hops[DYSCO_POLICY_HOPS];
	uint16_t at[DYSCO_POLICY_HOSTS]; /* host ids; n_at == 0: every host of this agent */
};

struct dysco_timeouts {	      /* seconds */
	uint32_t established; /* idle */
	uint32_t half_closed;
	uint32_t embryonic; /* since the last SYN */
	uint32_t linger;    /* after the end: retransmitted FINs, late packets, port quarantine */
};
#define DYSCO_TIMEOUTS_DEFAULT                                                                     \
	{                                                                                          \
		7500, 3600, 130, 60                                                                \
	}

/* What a box may ask its left neighbour for (docs/protocol.md 12.11). */
enum dysco_triggers {
	DYSCO_TRIGGERS_ALL = 0,
	DYSCO_TRIGGERS_REMOVAL, /* to be left out, but nothing in its place */
	DYSCO_TRIGGERS_NONE,
};

struct dysco_setup {
	char agent[DYSCO_NAME_BYTES];
	uint16_t n_boxes, n_types, n_hosts, n_policies, n_keys;
	struct dysco_box boxes[DYSCO_BOXES_MAX];
	struct dysco_type types[DYSCO_TYPES_MAX];
	struct dysco_host hosts[DYSCO_HOSTS_MAX];
	struct dysco_policy policies[DYSCO_POLICIES_MAX]; /* by falling priority */
	struct dysco_key keys[DYSCO_KEYS_MAX];		  /* keys[0] signs, all verify */
	uint16_t port_first, port_last;			  /* subsession ports, host order */
	struct dysco_timeouts timeouts;
	uint8_t triggers; /* enum dysco_triggers */
};

#define DYSCO_PORT_FIRST 61000
#define DYSCO_PORT_LAST	 65535

/* What is wrong with a setup: index of the offending policy and a reason. 0: nothing. */
enum dysco_setup_error {
	DYSCO_SETUP_OK = 0,
	DYSCO_SETUP_LOOP, /* a box (or box of a type) occurs twice in the list of a policy */
	DYSCO_SETUP_SELF, /* a policy `at` a host sends through that host itself */
	DYSCO_SETUP_EXIT, /* exit somewhere else than last */
	DYSCO_SETUP_EMPTY_TYPE,
	DYSCO_SETUP_PORTS, /* first > last, or first == 0 */
	DYSCO_SETUP_NAME,  /* two policies of one name */
	DYSCO_SETUP_LONG,  /* more hops than an address list holds */
};
enum dysco_setup_error dysco_setup_check(const struct dysco_setup *setup, uint16_t *policy,
					 uint16_t *hop);
uint32_t dysco_policy_tag(const char *name);

bool dysco_prefix_contains(const struct dysco_prefix *prefix, const struct dysco_addr *addr);
bool dysco_host_has(const struct dysco_host *host, const struct dysco_addr *addr);
/* Index of the box with this address, -1: none. */
int dysco_box_by_address(const struct dysco_setup *setup, const struct dysco_addr *addr);
const struct dysco_host *dysco_setup_host(const struct dysco_setup *setup, uint16_t id);

#endif
