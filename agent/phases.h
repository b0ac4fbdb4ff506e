/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reconfigurations as the agent sees them go by: which attempt was in which
 * phase for how long, and how it ended (docs/protocol.md 12; docs/socket.md).
 * Clock readings are the agent's own, at the moment it looks, after each call
 * of the core: phases that one packet passes through take no time.
 *
 * A phase is a state of struct dysco_attempt, by the name that `session show` gives it.
 */
#ifndef DYSCO_AGENT_PHASES_H
#define DYSCO_AGENT_PHASES_H

#include <jansson.h>

#include "core/attempt.h"
#include "core/core.h"

#define DYSCO_PAST_MAX 64 /* attempts that are over and still told of */

/* What becomes of the boxes between the anchors. */
enum dysco_change {
	DYSCO_CHANGE_UNKNOWN = 0, /* the right anchor is not told; or nothing was begun */
	DYSCO_CHANGE_INSERT,	  /* all old ones stay, others come */
	DYSCO_CHANGE_REMOVE,	  /* none comes */
	DYSCO_CHANGE_REPLACE,
	DYSCO_CHANGES,
};

enum dysco_part_seen { DYSCO_SEEN_LEFT = 0, DYSCO_SEEN_RIGHT, DYSCO_SEEN_BOX, DYSCO_PARTS_SEEN };

enum dysco_result_seen { DYSCO_OUTCOME_NONE = 0, DYSCO_OUTCOME_COMPLETED, DYSCO_OUTCOME_FAILED };

/* An attempt that this agent is an anchor of, or that a box here has asked for. */
struct dysco_sight {
	uint64_t nonce; /* 0: not used */
	uint8_t role, state, kind, change;
	uint8_t outcome, reason; /* enum dysco_result_seen, enum dysco_nack */
	bool over;
	uint32_t slot, new_slot; /* the old leg, at a box its left one; the one on the new path */
	uint16_t host;
	struct dysco_session_id id;
	struct dysco_tuple session;
	struct dysco_addr left, right;
	uint64_t started_ns, entered_ns;
	uint64_t moved_ns; /* when the new path became the path; 0: not yet */
	uint64_t ended_ns;
	uint64_t spent_ns[DYSCO_ATTEMPT_STATES]; /* without the time since entered_ns */
	uint8_t order[DYSCO_ATTEMPT_STATES];	 /* phases as they came */
	uint8_t n_order;
};

/* Upper bounds of the buckets, seconds; one more is +Inf. */
#define DYSCO_BUCKETS 15
#define DYSCO_BUCKETS_SECONDS                                                                      \
	{                                                                                          \
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 \
	}
struct dysco_histogram {
	uint64_t count, sum_ns;
	uint64_t upto[DYSCO_BUCKETS]; /* cumulative */
};

struct dysco_phases {
	uint32_t moves;		 /* core.attempt_moves, as far as looked at */
	uint32_t n_now;		 /* 0: nothing was looked at yet */
	struct dysco_sight *now; /* [n_now], by index of the attempt */
	struct dysco_sight past[DYSCO_PAST_MAX];
	uint32_t n_past; /* so far; the next goes to n_past % DYSCO_PAST_MAX */
	uint64_t completed[DYSCO_PARTS_SEEN][DYSCO_CHANGES];
	uint64_t failed[DYSCO_PARTS_SEEN][DYSCO_CHANGES][DYSCO_NACK_COUNT];
	struct dysco_histogram phase[DYSCO_ATTEMPT_STATES]; /* of left anchors */
	struct dysco_histogram took[DYSCO_CHANGES];	    /* until the new path was the path */
};

struct dysco_agent;

/* After a call of the core, before its actions are carried out. */
void dysco_phases_look(struct dysco_agent *agent);
/* An event RECONFIGURED or RECONFIG_FAILED: notes the outcome. The attempt, or NULL: none was
 * begun. */
const struct dysco_sight *dysco_phases_outcome(struct dysco_agent *agent,
					       const struct dysco_action *action);
/* When its actions are carried out. */
void dysco_phases_settle(struct dysco_agent *agent);
void dysco_phases_free(struct dysco_phases *phases);

const char *dysco_change_name(unsigned int change);
/* By attempt; NULL: it is not looked at. */
const struct dysco_sight *dysco_phases_of(const struct dysco_agent *agent, uint32_t index);
/* What the box of this LEFT leg has asked for and waits for; NULL: nothing. */
const struct dysco_sight *dysco_phases_asked(const struct dysco_agent *agent, uint32_t slot);
/* The last attempt at this session and host that is over, NULL: none is remembered. */
const struct dysco_sight *dysco_phases_last(const struct dysco_agent *agent,
					    const struct dysco_session_id *id, uint16_t host);
/* As docs/socket.md shows it. */
json_t *dysco_phases_json(const struct dysco_sight *sight, uint64_t now_ns);

#endif
