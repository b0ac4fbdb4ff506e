/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Health of the boxes that sessions of this agent's hosts go through, and what is
 * done when one fails (docs/operations.md, docs/protocol.md 12.14).
 *
 *   health.c   questions to the boxes' agents: up, suspect, down; channels
 *   paths.c    silent sessions: does anything get through, and if not, at which box?
 *   mend.c     sessions whose box has failed: recovered without it, or closed
 *
 * Everything is begun by the tick; what comes in between is only noted.
 */
#ifndef DYSCO_AGENT_HEALTH_H
#define DYSCO_AGENT_HEALTH_H

#include "agent/agent.h"

enum dysco_box_state { DYSCO_BOX_UP = 0, DYSCO_BOX_SUSPECT, DYSCO_BOX_DOWN };
enum dysco_box_cause {
	DYSCO_CAUSE_NONE = 0,
	DYSCO_CAUSE_NO_ANSWER,	/* its agent does not answer */
	DYSCO_CAUSE_NO_FORWARD, /* what goes in does not come out */
	DYSCO_CAUSE_FORGOTTEN,	/* its agent knows nothing of the session (any more) */
};

/* 0, or -1: out of memory. */
int dysco_health_start(struct dysco_agent *agent);
void dysco_health_stop(struct dysco_agent *agent);
/* Another configuration is in force; old: the one before. */
void dysco_health_changed(struct dysco_agent *agent, const struct dysco_config *old);
void dysco_health_tick(struct dysco_agent *agent, uint64_t now_ns);
/* DYSCO_EVENT_PROBED, DYSCO_EVENT_RECONFIGURED, DYSCO_EVENT_RECONFIG_FAILED. */
void dysco_health_event(struct dysco_agent *agent, const struct dysco_action *action);

enum dysco_box_state dysco_health_state(const struct dysco_agent *agent, uint16_t box);
/* Adds state, cause, since_s and rtt_us of a box. */
void dysco_health_show_box(const struct dysco_agent *agent, uint16_t box, json_t *o);
json_t *dysco_health_show(const struct dysco_agent *agent);
const char *dysco_on_failure_name(enum dysco_on_failure on_failure);

/* ---- inside ---- */

#define DYSCO_CHANNELS_MAX 1024
#define DYSCO_CHECKS_MAX   512
#define DYSCO_MENDS_MAX	   512
#define DYSCO_NS_PER_MS	   1000000ull

/* A control session to the agent of a host. */
struct dysco_channel {
	uint32_t slot; /* DYSCO_NO_SLOT: place not used */
	uint16_t host;
	uint8_t missed;
	struct dysco_addr to;
	uint64_t used_ns;
};

struct dysco_box_health {
	uint8_t state, cause;
	uint32_t failures, successes; /* in a row */
	uint32_t nonce;		      /* asked with, 0: no answer is waited for */
	uint32_t rtt_us;
	uint64_t since_ns, next_ns, asked_ns;
	uint64_t held_ns; /* not up before */
	/* a leg of ours whose session goes there, and by which address; 0: not known */
	uint32_t beside;
	uint16_t host;
	struct dysco_addr addr;
};

/* What is remembered of a FIRST leg between looks at it. */
struct dysco_watch {
	uint64_t packets;    /* that have come in */
	uint64_t since_ns;   /* when that changed last */
	uint64_t checked_ns; /* since then; 0: not yet */
	uint64_t acked_ns;   /* when `acked` changed last */
	uint32_t acked;
	uint32_t box_epoch; /* a box failed since the last look when this is not the agent's */
};

/* What the agent of one host of the chain has said of the session. */
struct dysco_hop_view {
	struct dysco_addr addr;
	bool answered, known, last; /* last: the right end of the chain */
	uint8_t fault;		    /* enum dysco_box_cause */
	uint64_t first[4], now[4];  /* packets: left in, left out, right in, right out */
	struct dysco_tuple left_host;
	struct dysco_addr left_from, right_to; /* its neighbours in the chain */
	uint32_t isn_left, isn_right;
};

struct dysco_check {
	uint32_t slot; /* the FIRST leg; DYSCO_NO_SLOT: place not used */
	uint32_t nonce;
	struct dysco_session_id id;
	uint64_t packets; /* that had come in when it began */
	uint64_t next_ns;
	uint8_t round, hops;
	struct dysco_hop_view hop[DYSCO_HOPS_MAX];
};

enum dysco_mend_state {
	DYSCO_MEND_NONE = 0,
	DYSCO_MEND_WAITS,
	DYSCO_MEND_RECOVERS,
	DYSCO_MEND_CLOSES
};

struct dysco_mend {
	uint8_t state, tries;
	bool recovered; /* what is left is to tell the boxes of the old path */
	uint16_t host;
	uint32_t slot; /* leg beside which is spoken */
	uint32_t nonce;
	uint64_t attempt_nonce;
	uint32_t attempt;
	uint64_t next_ns;
	struct dysco_session_id id;
	struct dysco_address_list path; /* the new one */
	struct dysco_address_list tell; /* who is to be told that the old one is over */
};

struct dysco_health {
	struct dysco_box_health box[DYSCO_BOXES_MAX];
	struct dysco_channel channel[DYSCO_CHANNELS_MAX];
	struct dysco_check check[DYSCO_CHECKS_MAX];
	struct dysco_mend mend[DYSCO_MENDS_MAX];
	struct dysco_watch *watch; /* by slot */
	uint32_t watches;
	uint32_t scan;
	uint32_t epoch;	       /* counts failures of boxes */
	uint32_t nonce;	       /* last used */
	uint64_t allowance_ns; /* of looks at sessions: grows with time */
	uint64_t ticked_ns;
};

/* ---- health.c ---- */
struct dysco_question {
	const struct dysco_addr *to;
	uint32_t beside; /* a leg of the host that asks */
	uint32_t nonce;
	uint8_t flags;
	const struct dysco_session_id *id; /* NULL: about no session */
};
/* Asks on a channel of its own; false: there is no room for one. */
bool dysco_health_ask(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_question *q);
uint32_t dysco_health_nonce(struct dysco_health *health);
/* The agent answers, but what goes into the box does not come out. */
void dysco_health_stuck(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box);
void dysco_health_silent(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box);
/* An event for `monitor`, about a session (slot) or a box (name), with a reason. */
void dysco_health_say(struct dysco_agent *agent, const char *event, uint32_t slot, const char *box,
		      const char *reason);
const char *dysco_cause_name(unsigned int cause);

/* ---- paths.c ---- */
void dysco_paths_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_paths_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			  const struct dysco_msg_probe_reply *reply);

/* ---- mend.c ---- */
/* The path of this session is broken at the hops with a fault; it is known which. */
void dysco_mend_begin(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_check *check);
bool dysco_mend_has(const struct dysco_agent *agent, uint32_t slot);
void dysco_mend_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_mend_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			 const struct dysco_msg_probe_reply *reply);
void dysco_mend_event(struct dysco_agent *agent, const struct dysco_action *action);

#endif
