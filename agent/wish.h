/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user wants of chains: which sessions, and what is to become of each.
 * wish.c reads it from a statement, plan.c makes the new path of one session of
 * it, job.c does so for many. Nothing here refers into a configuration, which
 * may change before the last session is done.
 *
 *   session insert SELECTION BOX... [after HOST | before HOST] [OPTIONS]
 *   session remove SELECTION BOX...
 *   session replace SELECTION BOX BOX...
 *   session adopt SELECTION [OPTIONS]
 *   box drain BOX [--to BOX] [OPTIONS]
 */
#ifndef DYSCO_AGENT_WISH_H
#define DYSCO_AGENT_WISH_H

#include "agent/agent.h"
#include "agent/show.h"
#include "conf/parse.h"

enum dysco_wish_kind {
	DYSCO_WISH_INSERT = 1,
	DYSCO_WISH_REMOVE,
	DYSCO_WISH_REPLACE,
	DYSCO_WISH_POLICY, /* the chain that the policies give a session now */
	DYSCO_WISH_ADOPT,  /* to be known */
};

enum dysco_wish_where {
	DYSCO_WHERE_FIRST = 0, /* behind the first host of the chain that is this agent's */
	DYSCO_WHERE_AFTER,
	DYSCO_WHERE_BEFORE,
};

/* A host of a chain, or (type) any box of a type. */
struct dysco_place {
	char text[DYSCO_ENDPOINT_TEXT]; /* as the user wrote it */
	struct dysco_addr ip4, ip6;	/* all zero: none */
	uint16_t host;			/* id of one of this agent's hosts, 0: not meant */
	bool type;
};

struct dysco_wish {
	enum dysco_wish_kind kind;
	enum dysco_wish_where where;
	bool force; /* also out of mandatory boxes */
	uint8_t n_out, n_in;
	struct dysco_place out[DYSCO_HOPS_MAX]; /* neighbours, from left to right */
	struct dysco_place in[DYSCO_HOPS_MAX];
	struct dysco_place host; /* AFTER, BEFORE */
	/* POLICY: names of those that have changed */
	uint16_t n_policies;
	char (*policies)[DYSCO_NAME_BYTES]; /* on the heap */
};

/* Which sessions; all of it must be so. */
struct dysco_selection {
	struct dysco_filter *filter; /* NULL: any */
	char policy[DYSCO_NAME_BYTES];
	struct dysco_place box; /* text empty: any */
};

#define DYSCO_PARALLEL_DEFAULT 16
#define DYSCO_PARALLEL_MAX     128

struct dysco_order {
	struct dysco_wish wish;
	struct dysco_selection selection;
	bool group; /* else one session: words[session_at .. session_end - 1] */
	int session_at, session_end;
	struct dysco_words words; /* of the statement without its options; text is not filled */
	bool dry_run;
	uint32_t rate; /* sessions begun in a second, 0: as many as can be */
	uint32_t parallel;
	uint32_t timeout_s; /* 0: none */
	char what[160];	    /* the statement, for people */
};

/* On the heap, to be freed with dysco_order_free(); NULL with *error. */
struct dysco_order *dysco_order_parse(const struct dysco_agent *agent,
				      const struct dysco_words *words,
				      struct dysco_conf_error *error);
/* For policies that have changed; takes over the names. NULL: out of memory. */
struct dysco_order *dysco_order_for_policies(char (*policies)[DYSCO_NAME_BYTES], uint16_t n);
void dysco_order_free(struct dysco_order *order);

bool dysco_place_names(const struct dysco_agent *agent, const struct dysco_place *place,
		       const struct dysco_addr *addr);
bool dysco_selection_has(const struct dysco_agent *agent, const struct dysco_selection *selection,
			 const struct dysco_passage *passage);
/* Is a session that this host has opened, and that is not known yet, to be adopted? */
bool dysco_order_has_old(const struct dysco_agent *agent, const struct dysco_order *order,
			 uint16_t host, const struct dysco_tuple *session);

/* ---- plan.c: one session ---- */
enum dysco_plan_result {
	DYSCO_PLAN_GO = 0,
	DYSCO_PLAN_UNCHANGED, /* it is as wished */
	DYSCO_PLAN_OTHER,     /* another passage of this agent's speaks for the session */
	DYSCO_PLAN_REFUSED,   /* error: why not; its code is the cause */
};

struct dysco_plan {
	const struct dysco_agent *agent;
	const struct dysco_wish *wish;
	uint32_t
	    turns[DYSCO_TYPES_MAX]; /* of types, beyond the core's: for plans that are only made */
	/* result */
	const struct dysco_address_list *list; /* of the host that was asked */
	uint32_t slot;			       /* the left anchor's leg */
	uint8_t at, skip;		       /* hops[at .. at + skip - 1] of its list go */
	struct dysco_address_list path;	       /* right anchor last */
	uint16_t policy;		       /* POLICY: whose the session is then */
	uint8_t taken[DYSCO_TYPES_MAX];	       /* turns that types had */
	struct dysco_conf_error error;
};

enum dysco_plan_result dysco_plan_make(struct dysco_plan *plan,
				       const struct dysco_passage *passage);
/* The passage of this agent's that can be asked about a session: REFUSED tells the best reason. */
enum dysco_plan_result dysco_plan_among(struct dysco_plan *plan,
					const struct dysco_passage *passages, uint32_t n);

/* Index of the policy that would give a session of this host its chain, DYSCO_NO_POLICY: none. */
uint16_t dysco_plan_classify(const struct dysco_agent *agent, uint16_t host,
			     const struct dysco_tuple *session);
/* Whose the session is once its chain is that of the plan. */
const char *dysco_plan_policy_name(const struct dysco_plan *plan);
/* Does this policy give chains, and is it one of those that have changed? */
bool dysco_plan_moves_old(const struct dysco_agent *agent, const struct dysco_wish *wish,
			  uint16_t policy);

/* It was begun: the types it took a box of have had their turn. */
void dysco_plan_taken(struct dysco_agent *agent, const struct dysco_plan *plan);
/* One session of a dry run: what would become of it. */
json_t *dysco_show_plan(const struct dysco_agent *agent, const struct dysco_plan *plan);

#endif
