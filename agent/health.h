/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Health of the boxes that sessions of this agent's hosts go through, and what is
 * done when one fails (docs/operations.md, docs/protocol.md 12.14).
 *
 *   health.c   questions to the boxes' agents: up, suspect, down; channels
 *   paths.c    data that is not acknowledged: does anything get through, and if not, at
 *              which box?
 *   mend.c     sessions whose box has failed: recovered without it, or closed
 *   astray.c   legs of boxes that nobody has told of their session's end
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
/* DYSCO_EVENT_PROBED, DYSCO_EVENT_LOOK, DYSCO_EVENT_RECONFIGURED, DYSCO_EVENT_RECONFIG_FAILED. */
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
#define DYSCO_STRAYS_MAX   64
#define DYSCO_NS_PER_MS	   1000000ull

/* A control session to the agent of a host. */
struct dysco_channel {
	uint32_t slot; /* DYSCO_NO_SLOT: place not used */
	uint16_t host;
	uint8_t missed;
	uint8_t closed; /* FINs sent; its leg is there until one is answered */
	struct dysco_addr to;
	uint64_t used_ns;
};

struct dysco_box_health {
	uint8_t state, cause;
	bool answered; /* ever */
	bool mute;     /* sessions go by it, and questions from here do not: it is not watched */
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

/* What is remembered of a leg at an end of a chain, or a LEFT one, between looks at it. */
struct dysco_watch {
	uint64_t created_ns; /* of the leg that this is about */
	uint64_t acked_ns;   /* when `acked` changed last, or all was acknowledged */
	uint64_t looked_ns;  /* the last look, or word to the other end; 0: none */
	uint64_t broken_ns;  /* found broken, and at every look since; 0: not */
	bool tried;	     /* since then it could not be recovered */
	uint32_t acked;
	uint32_t epoch; /* a box has failed since the last look when this is not the agent's */
	bool asked;	/* the other end has data that is not acknowledged */
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

/* A pair of legs whose neighbours are asked whether they have the session; sides: left, right. */
struct dysco_stray {
	uint32_t slot; /* the LEFT leg; DYSCO_NO_SLOT: place not used */
	uint32_t nonce;
	uint64_t next_ns;
	uint64_t packets[2]; /* that had come in when it began */
	bool unknown[2];     /* has said so this time */
	bool there[2];	     /* has not said so, once, or something has come in, or it had ended */
	uint8_t rounds;
	struct dysco_session_id id;
};

struct dysco_health {
	struct dysco_box_health box[DYSCO_BOXES_MAX];
	struct dysco_channel channel[DYSCO_CHANNELS_MAX];
	struct dysco_check check[DYSCO_CHECKS_MAX];
	struct dysco_mend mend[DYSCO_MENDS_MAX];
	struct dysco_stray stray[DYSCO_STRAYS_MAX];
	struct dysco_watch *watch; /* by slot */
	uint32_t watches;
	uint32_t scan;
	uint32_t epoch;	       /* counts failures of boxes */
	bool strangers;	       /* there are boxes in use of which no leg is known */
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
/* A session goes by this box: if it has never answered, it is not down for that. */
void dysco_health_passes(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box);
/* Can it be said of this host that it is gone when it does not answer? */
bool dysco_health_can_blame(const struct dysco_agent *agent, const struct dysco_addr *addr);
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

/* An agent further to the right wants this session looked at. */
void dysco_paths_called(struct dysco_agent *agent, uint32_t slot);

/* ---- mend.c ---- */
/*
 * The path of this session is broken at the hops with a fault. What cannot be recovered is
 * closed when its watch says that it has been broken for too long.
 */
void dysco_mend_begin(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_check *check);
bool dysco_mend_has(const struct dysco_agent *agent, uint32_t slot);
void dysco_mend_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_mend_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			 const struct dysco_msg_probe_reply *reply);
void dysco_mend_event(struct dysco_agent *agent, const struct dysco_action *action);

/* ---- astray.c ---- */
/* A leg, of whatever kind: is the session still there, if nothing has come by for long? */
void dysco_astray_look(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot);
void dysco_astray_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_astray_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			   const struct dysco_msg_probe_reply *reply);

#endif
