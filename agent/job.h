/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs: one wish for many sessions (wish.h). The loop drives them: a scan of the
 * leg table in small portions (and of the hosts' stacks, for sessions older than
 * the agent or its policies) finds the sessions, then attempts are begun, a few
 * at a time, and those refused for a moment are tried again in further rounds.
 *
 *   COLLECTING --scan complete--> RUNNING --no session left--> OVER
 *
 * A job lives as long as the agent's process does: what it had begun is brought
 * to its end by the core and the next agent, the rest is left as it was.
 */
#ifndef DYSCO_AGENT_JOB_H
#define DYSCO_AGENT_JOB_H

#include "agent/wish.h"

#define DYSCO_JOB_TRIES	  6    /* of one session */
#define DYSCO_JOB_REPORTS 1000 /* sessions told one by one */
#define DYSCO_JOB_CAUSES  32

enum dysco_job_state { DYSCO_JOB_COLLECTING = 0, DYSCO_JOB_RUNNING, DYSCO_JOB_OVER };

/* What has become of a session. */
enum dysco_job_result {
	DYSCO_JOB_DONE = 0,
	DYSCO_JOB_FAILED,    /* tried, and goes on by its old path */
	DYSCO_JOB_SKIPPED,   /* not tried, for a reason */
	DYSCO_JOB_UNCHANGED, /* was as wished */
	DYSCO_JOB_GONE,	     /* ended meanwhile */
	DYSCO_JOB_WOULD,     /* dry run: would be changed */
	DYSCO_JOB_RESULTS
};

enum dysco_target_state { DYSCO_TARGET_PENDING = 0, DYSCO_TARGET_RUNNING, DYSCO_TARGET_OVER };

/* A session to be changed, by the host of this agent that can speak for it. */
struct dysco_target {
	struct dysco_session_id id; /* all zero: it is older than the agent or its policies */
	struct dysco_tuple session;
	uint32_t slot; /* DYSCO_NO_SLOT: not known here yet */
	uint16_t host;
	uint8_t state; /* enum dysco_target_state */
	uint8_t tries;
	bool learned; /* the chain was another one than known: it is planned anew, once */
};

/* POLICY: what the session's chain is when the attempt has succeeded. */
struct dysco_outcome {
	uint32_t target;
	bool elsewhere;			/* the left anchor is another host of this agent */
	char policy[DYSCO_NAME_BYTES];	/* by name: its place may be another's by then */
	struct dysco_address_list list; /* count 0: not in use */
};

struct dysco_cause {
	enum dysco_job_result result;
	uint32_t count;
	char code[24];
	char message[200]; /* of the first session */
};

struct dysco_job {
	uint32_t id;
	struct dysco_order *order;
	enum dysco_job_state state;
	bool paused, aborted;
	void *client;	    /* of a dry run */
	uint32_t scan_slot; /* 0: the stacks have not been asked yet */
	struct dysco_target *targets;
	uint32_t n_targets, room, cursor; /* cursor: next to be looked at in this round */
	uint32_t n_pending, n_running, retried;
	uint64_t counts[DYSCO_JOB_RESULTS];
	uint64_t created_ns, over_ns, next_begin_ns, round_ns;
	uint32_t round;
	struct dysco_plan plan;
	struct dysco_outcome *outcomes; /* POLICY: as many as run at once */
	uint32_t n_causes;
	struct dysco_cause causes[DYSCO_JOB_CAUSES];
	json_t *reports; /* array */
};

/* Takes over the order; its id, 0: *error. A dry run answers client when it is over. */
uint32_t dysco_job_start(struct dysco_agent *agent, void *client, struct dysco_order *order,
			 struct dysco_conf_error *error);
/* Of an attempt that this job has begun; NONE: it succeeded, slot is the new leg. */
void dysco_job_attempt_ended(struct dysco_agent *agent, uint32_t id, uint32_t target,
			     enum dysco_nack reason, uint32_t slot);
/*
 * Of a session that this job adopts (dysco_late_begin()): its leg; or DYSCO_NO_SLOT, with why,
 * NULL when it has ended.
 */
void dysco_job_adopted(struct dysco_agent *agent, uint32_t id, uint32_t target, uint32_t slot,
		       const struct dysco_conf_error *error);
/* Begins what may be begun; to be called after anything the core did, and in tick. */
void dysco_jobs_run(struct dysco_agent *agent, uint64_t now_ns);
/* Every 100 ms: scans, time-outs. */
void dysco_jobs_tick(struct dysco_agent *agent, uint64_t now_ns);
/* The client went away: its dry run ends. */
void dysco_jobs_forget(struct dysco_agent *agent, const void *client);
void dysco_jobs_stop(struct dysco_agent *agent);

/* ---- job_scan.c ---- */
bool dysco_job_is_over(const struct dysco_leg *leg);
/* A session as this leg has it. */
struct dysco_target dysco_job_target(const struct dysco_agent *agent, uint32_t slot);
/* COLLECTING: a portion more. */
void dysco_job_scan(struct dysco_agent *agent, struct dysco_job *job);

/* ---- job_show.c ---- */
void dysco_job_report(struct dysco_agent *agent, struct dysco_job *job,
		      const struct dysco_target *target, enum dysco_job_result result,
		      const char *code, const char *message);
json_t *dysco_show_dry_run(const struct dysco_job *job);
json_t *dysco_show_jobs(const struct dysco_agent *agent);
/* job show|pause|resume|abort ID */
json_t *dysco_job_request(struct dysco_agent *agent, const struct dysco_words *words,
			  struct dysco_conf_error *error);

#endif
