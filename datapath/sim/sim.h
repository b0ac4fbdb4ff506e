/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulated datapath: leg table, classifier and fast path in plain memory.
 *
 * It sits where datapath/bpf sits: it holds the leg table and takes every
 * packet of a Dysco host through rewrite/packet.h, datapath/step.h and
 * rewrite/edit.h, exactly as the tc programs do; what they hand to the agent
 * it hands to its caller. The simulator (tests/sim) is the caller: it owns
 * time, the network and the core.
 *
 * One struct dysco_sim serves one agent. It is flat, so that a world of them
 * can be copied; after a copy dysco_sim_rebind() mends the pointers of `table`.
 */
#ifndef DYSCO_DATAPATH_SIM_SIM_H
#define DYSCO_DATAPATH_SIM_SIM_H

#include "core/core.h"

#define DYSCO_SIM_LEGS_MAX  192
#define DYSCO_SIM_INDEX_MAX 1024 /* places in the hash, a power of two, > 2 * 2 * legs */
#define DYSCO_SIM_RULES_MAX 16
#define DYSCO_SIM_ATTEMPTS  12		/* records, the unused one included */
#define DYSCO_SIM_GRACE_NS  1000000000u /* how old a heartbeat may be, as in the bpf programs */

/* One filter of the classifier: what libpcap does for real, in the few words the tests need. */
struct dysco_sim_rule {
	struct dysco_addr dst; /* all zero: any */
	dysco_be16 dport_be;   /* 0: any */
	uint8_t fail;	       /* enum dysco_fail */
	uint8_t n_at;	       /* 0: every host */
	uint16_t at[DYSCO_POLICY_HOSTS];
};

struct dysco_sim_place {
	struct dysco_leg_key key;
	uint32_t slot; /* DYSCO_NO_SLOT: empty */
};

struct dysco_sim {
	struct dysco_table table; /* first, so that the table calls find the rest */
	uint32_t n_keys;
	uint32_t n_rules;
	uint32_t index_mask;
	bool heard; /* a heartbeat came since the start */
	uint64_t heartbeat_ns;
	struct dysco_core_stats stats; /* what the bpf maps would count */
	struct dysco_sim_rule rules[DYSCO_SIM_RULES_MAX];
	struct dysco_lasting lasting;
	struct dysco_attempt attempts[DYSCO_SIM_ATTEMPTS];
	struct dysco_sim_place index[DYSCO_SIM_INDEX_MAX];
	struct dysco_leg legs[DYSCO_SIM_LEGS_MAX];
	struct dysco_leg_cold cold[DYSCO_SIM_LEGS_MAX];
	struct dysco_leg_names names[DYSCO_SIM_LEGS_MAX];
};

/* Empty table of `capacity` legs (2 .. DYSCO_SIM_LEGS_MAX), no rules, no agent. */
void dysco_sim_open(struct dysco_sim *sim, uint32_t capacity);
void dysco_sim_rebind(struct dysco_sim *sim);
void dysco_sim_heartbeat(struct dysco_sim *sim, uint64_t now_ns);

/* What becomes of a packet. */
enum dysco_sim_fate {
	DYSCO_SIM_ONWARD = 0, /* goes on in its direction, translated or not */
	DYSCO_SIM_PUNT,	      /* to the core, unchanged */
	DYSCO_SIM_DROP,
};

struct dysco_sim_frame {
	uint16_t host; /* id */
	uint8_t direction;
	uint8_t *data; /* from the IP header; checksums finished; edited in place */
	size_t bytes;
};

struct dysco_sim_result {
	uint32_t slot;	 /* leg that matched, or DYSCO_NO_SLOT */
	uint16_t policy; /* PUNT: for struct dysco_input */
	bool translated;
	enum dysco_reason reason; /* DROP */
};

/* A packet of a host comes by at its attachment. Counts what it does. */
enum dysco_sim_fate dysco_sim_packet(struct dysco_sim *sim, uint64_t now_ns,
				     const struct dysco_sim_frame *frame,
				     struct dysco_sim_result *result);

#endif
