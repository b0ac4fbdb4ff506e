/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent: what joins configuration, core and datapath. One thread, one
 * struct; sockets and files stay outside (main.c, control.c), so that tests
 * and fuzzers drive the rest with a datapath and a system of their own.
 *
 *   control.c --line--> dispatch.c --change--> change.c --> datapath, core
 *       ^                  |  question
 *       |                  v
 *     answer <-------- show_*.c, trace.c          glue.c: packets and time
 */
#ifndef DYSCO_AGENT_AGENT_H
#define DYSCO_AGENT_AGENT_H

#include <jansson.h>

#include "agent/phases.h"
#include "agent/system.h"
#include "conf/config.h"
#include "datapath/datapath.h"

#define DYSCO_TRACES_MAX  16
#define DYSCO_HELD_MAX	  64  /* packets of new paths that came too early */
#define DYSCO_WAITING_MAX 256 /* that wait for the end of a reconfiguration */
#define DYSCO_JOBS_MAX	  32

struct dysco_trace;    /* trace.c */
struct dysco_adoption; /* late.c */
struct dysco_held;     /* hold.c */
struct dysco_job;      /* job.h */
struct dysco_order;    /* wish.h */
struct dysco_wish;     /* wish.h */
struct dysco_fault;    /* fault.c */
struct dysco_journal;  /* journal.h */
struct dysco_health;   /* health.h */

/* What the agent tells its surroundings. */
struct dysco_agent_hooks {
	void *context;
	/* Does anyone listen? Otherwise no event is made. */
	bool (*listening)(void *context);
	/* An event for `monitor`; the reference stays the caller's. */
	void (*event)(void *context, const json_t *event);
	/* The answer to a request that was answered LATER; takes over the reference. */
	void (*answer)(void *context, void *client, json_t *answer);
	/* The datapath's file descriptors may have changed. */
	void (*datapath_changed)(void *context);
	/* A change was accepted that must last: to be stored before its answer goes out. */
	void (*store)(void *context);
	/* dysco_hold_retry() is wanted within this time (less than a second). */
	void (*hold)(void *context, uint64_t ns);
};

/* Sessions a policy has matched; kept by name over changes. */
struct dysco_policy_count {
	char name[DYSCO_NAME_BYTES];
	uint64_t matched;
};

/* An attachment as it stands, by its id. */
struct dysco_attached {
	unsigned int ifindex; /* 0: not in force */
	bool complained;      /* logged that it is not */
	uint32_t restored;    /* times that somebody had taken our programs off it */
};

/* A client, or a job, that waits for the end of an attempt; neither: not used. */
struct dysco_waiting {
	void *client;
	uint32_t job, target;	/* job.h; 0: no job */
	uint32_t attempt, slot; /* the left anchor's old leg */
	bool box;		/* a box has asked its neighbour, which is the anchor */
	struct dysco_session_id id;
	struct dysco_tuple session;
	uint64_t nonce, asked_ns;
	bool late;	    /* the other end has to adopt it, too */
	uint64_t done_ns;   /* the new path is the path; what is left is to release the old one */
	uint32_t done_slot; /* leg on it */
	struct dysco_wish *wish; /* on the heap: what was wished, to be planned anew; or NULL */
	uint8_t tries;		 /* that have failed because others had changed the chain */
	uint8_t failed;		 /* enum dysco_nack: of the last one, to be followed by another */
};

struct dysco_agent {
	struct dysco_config *config; /* in force */
	struct dysco_config *base;   /* as the file says, without changes at run time */
	struct dysco_ids *ids;
	struct dysco_datapath dp;
	struct dysco_core core;
	struct dysco_actions actions;
	struct dysco_system *system;
	struct dysco_agent_hooks hooks;
	const char *pin;
	uint64_t started_ns;
	uint64_t changes;				      /* configurations put in force */
	struct dysco_policy_count counts[DYSCO_POLICIES_MAX]; /* same index as policies */
	struct dysco_attached attached[DYSCO_ATTACHMENTS_MAX];
	struct dysco_trace *traces[DYSCO_TRACES_MAX];
	struct dysco_waiting waiting[DYSCO_WAITING_MAX];
	uint32_t n_done; /* of them, those with done_ns, or failed */
	struct dysco_job *jobs[DYSCO_JOBS_MAX];
	uint32_t last_job; /* id */
	struct dysco_adoption *adoptions;
	struct dysco_fault *fault;
	struct dysco_phases phases;
	struct dysco_held *held[DYSCO_HELD_MAX];
	uint32_t n_held;
	struct dysco_input last_input; /* the packet being worked on, for events; data NULL: none */
	uint64_t ports_looked_up_ns, attachments_checked_ns, ids_pruned_ns;
	bool state_changed; /* run-time changes to be stored; the storing side clears it */
	struct dysco_journal *journal;
	struct dysco_health *health;
};

/*
 * Starts with an opened datapath and a checked configuration, which it takes
 * over, as it does system, ids and journal. Attachments that cannot be made
 * now are logged and tried again.
 */
int dysco_agent_start(struct dysco_agent *agent, struct dysco_config *config,
		      const struct dysco_core_seed *seed, struct dysco_conf_error *error);
/* Frees everything; what is in force stays in force. */
void dysco_agent_stop(struct dysco_agent *agent);

/* ---- change.c ---- */
/*
 * Puts a checked configuration in force, all or nothing; takes it over on
 * success. patient: attachments that fail now are tried again later, instead
 * of refusing the whole. Returns how many sessions ended with the attachments
 * that it has no more, or -1.
 */
int dysco_agent_change(struct dysco_agent *agent, struct dysco_config *config, bool patient,
		       struct dysco_conf_error *error);
/*
 * One statement from the socket; returns as dysco_agent_change() does. *job: moves
 * sessions to the chains that they have now, 0: none.
 */
int dysco_agent_statement(struct dysco_agent *agent, const struct dysco_words *words, uint32_t *job,
			  struct dysco_conf_error *error);
/* A new configuration file: run-time changes are made again on top of it. */
int dysco_agent_reload(struct dysco_agent *agent, struct dysco_config *base,
		       struct dysco_conf_error *error);
/*
 * Makes attachments whose interface came (back), notes those that went, and puts
 * programs back that somebody took off.
 */
void dysco_agent_check_attachments(struct dysco_agent *agent);

/* ---- orphans.c ---- */
/*
 * Resets the sessions that have no attachment in this configuration any more,
 * both ways; to be called while their programs are still on. Returns how many.
 */
uint32_t dysco_agent_end_orphans(struct dysco_agent *agent, const struct dysco_config *config);

/* ---- prune.c ---- */
void dysco_agent_prune_ids(struct dysco_agent *agent);

/* ---- glue.c ---- */
/* Punted packets, up to `budget`; true when more may be waiting. */
bool dysco_agent_receive(struct dysco_agent *agent, uint32_t budget);
/* To be called every 100 ms. */
void dysco_agent_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_agent_perform(struct dysco_agent *agent, const struct dysco_punt *punt);

/* ---- events.c ---- */
void dysco_agent_event(struct dysco_agent *agent, const struct dysco_action *action);
/* An attempt has entered a phase, or is over. */
void dysco_phase_event(const struct dysco_agent *agent, const struct dysco_sight *sight);

/* ---- dispatch.c ---- */
enum dysco_answer_kind {
	DYSCO_ANSWER_NOW = 0, /* *answer is it */
	DYSCO_ANSWER_LATER,   /* hooks.answer() will be called with client */
	DYSCO_ANSWER_MONITOR, /* from now on every event is for this client */
};
/* A request line without its newline. */
enum dysco_answer_kind dysco_agent_request(struct dysco_agent *agent, void *client,
					   const char *line, size_t bytes, json_t **answer);
json_t *dysco_error_json(const struct dysco_conf_error *error);

/* ---- reconfig.c ---- */
/*
 * session insert, remove or replace of one session: the answer (of a dry run), or
 * NULL with *later, or NULL with *error.
 */
json_t *dysco_reconfig_one(struct dysco_agent *agent, void *client, struct dysco_order *order,
			   bool *later, struct dysco_conf_error *error);
/* who: client, or job and target; the end is told to it. NONE: begun. */
enum dysco_nack dysco_reconfig_begin(struct dysco_agent *agent, const struct dysco_waiting *who,
				     uint32_t slot, const struct dysco_address_list *path);
/* Attempts of this job end, as far as they still can; their ends are told. */
void dysco_reconfig_cancel(struct dysco_agent *agent, uint32_t job);
/* A failure from which this agent knows the chain better than before: another try may do. */
bool dysco_reconfig_learned(enum dysco_nack reason);
const char *dysco_nack_name(unsigned int reason);
const char *dysco_nack_text(unsigned int reason);
/* session cancel; the request's client is told of its end as always. */
json_t *dysco_session_cancel(struct dysco_agent *agent, const struct dysco_words *words,
			     struct dysco_conf_error *error);
/*
 * The core was asked, for a box, for an attempt at this leg, and gave its index: the client
 * waits for its end. -1 with *error: refused, which is index DYSCO_NO_ATTEMPT. Carries out the
 * actions.
 */
int dysco_reconfig_wait(struct dysco_agent *agent, void *client, uint32_t index, uint32_t slot,
			struct dysco_conf_error *error);
/* DYSCO_EVENT_RECONFIGURED or DYSCO_EVENT_RECONFIG_FAILED. */
void dysco_reconfig_ended(struct dysco_agent *agent, const struct dysco_action *action);
/* After anything the core did: answers those whose attempts are over. */
void dysco_reconfig_answer(struct dysco_agent *agent);
void dysco_reconfig_expire(struct dysco_agent *agent, uint64_t now_ns);
void dysco_reconfig_forget(struct dysco_agent *agent, const void *client);

/* ---- recover.c ---- */
/* session recover; 0: the answer comes LATER. */
int dysco_recover_start(struct dysco_agent *agent, void *client, const struct dysco_words *words,
			struct dysco_conf_error *error);

/* ---- stack.c ---- */
/*
 * Of the first attachment above which the host has this connection; -ENODEV: no stack is here,
 * or that of a gateway, which lets the session pass.
 */
int dysco_stack_find(const struct dysco_agent *agent, uint16_t host,
		     const struct dysco_tuple *tuple, uint16_t *attachment,
		     struct dysco_socket *socket);
typedef void dysco_session_fn(void *to, uint16_t host, const struct dysco_tuple *tuple);
/*
 * The sessions that stacks of hosts here have opened and that are not known. `take` must not
 * ask about sockets.
 */
void dysco_stack_search(struct dysco_agent *agent, dysco_session_fn *take, void *to);

/* ---- late.c ---- */
/* session adopt: 0: *now is the answer, or NULL: it comes LATER. */
int dysco_late_request(struct dysco_agent *agent, void *client, const struct dysco_words *words,
		       json_t **now, struct dysco_conf_error *error);
/* dysco_reconfig_one(), for sessions too that are not known here or not watched for long enough. */
json_t *dysco_late_change(struct dysco_agent *agent, void *client, const struct dysco_words *words,
			  struct dysco_order *order, bool *later, struct dysco_conf_error *error);
/*
 * Adopts one that dysco_stack_search() has found, for a job. 0: dysco_job_adopted() will be called;
 * 1: it is known already; -1: *error.
 */
int dysco_late_begin(struct dysco_agent *agent, uint16_t host, const struct dysco_tuple *tuple,
		     uint32_t job, uint32_t target, uint32_t *slot, struct dysco_conf_error *error);
/* Those that this job waits for are over for it. */
void dysco_late_cancel(struct dysco_agent *agent, uint32_t job);
/* DYSCO_EVENT_ADOPTED */
void dysco_late_adopted(struct dysco_agent *agent, uint32_t slot);
/* After a start: goes on with what the last agent had begun. */
void dysco_late_resume(struct dysco_agent *agent);
void dysco_late_tick(struct dysco_agent *agent, uint64_t now_ns);
void dysco_late_forget(struct dysco_agent *agent, const void *client);
void dysco_late_stop(struct dysco_agent *agent);

/* ---- fault.c ---- */
/* What DYSCO_FAULT asks for; -1: it is not understood. */
int dysco_fault_start(struct dysco_agent *agent);
/* The same at run time, when agent->fault is there; false: not understood. */
bool dysco_fault_set(struct dysco_agent *agent, const char *text);
/* Between the core and what it wants to be done, and after that. */
void dysco_fault_at(struct dysco_agent *agent, bool after);
void dysco_fault_stop(struct dysco_agent *agent);

/* ---- box.c: what the program of a box on this machine asks for ---- */
/* Does this line ask for what any box may ask for, and nothing else (docs/socket.md)? */
bool dysco_box_may_ask(const char *line, size_t bytes);
/* session insert, remove, replace with `self`? */
bool dysco_box_is_change(const struct dysco_words *words);
/* Makes one of them; 0: the answer comes LATER. */
int dysco_box_change(struct dysco_agent *agent, void *client, const struct dysco_words *words,
		     struct dysco_conf_error *error);
/* session freeze, thaw. */
int dysco_box_freeze(struct dysco_agent *agent, const struct dysco_words *words,
		     struct dysco_conf_error *error);

/* ---- hold.c ---- */
/* Before the core has seen this packet: keeps it (true) if it has overtaken others. */
bool dysco_hold_overtaking(struct dysco_agent *agent, const struct dysco_punt *punt,
			   uint64_t now_ns);
/* After the core has seen it, before anything else: keeps it if it came before its path's CUT. */
void dysco_hold_early(struct dysco_agent *agent, const struct dysco_punt *punt, uint64_t now_ns);
/* Shows the core those that are kept again. */
void dysco_hold_retry(struct dysco_agent *agent, uint64_t now_ns);
void dysco_hold_stop(struct dysco_agent *agent);

/* ---- trace.c ---- */
int dysco_trace_start(struct dysco_agent *agent, void *client, uint32_t slot,
		      struct dysco_conf_error *error);
void dysco_trace_replied(struct dysco_agent *agent, const struct dysco_msg_trace_reply *reply);
void dysco_trace_tick(struct dysco_agent *agent, uint64_t now_ns);
/* The client went away: its answers are not wanted any more. */
void dysco_trace_forget(struct dysco_agent *agent, const void *client);

#endif
