/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Dysco protocol as a pure engine (paper II): packets, time and commands
 * go in; actions come out. No system call, clock, log, thread or allocation;
 * the same inputs give the same outputs.
 *
 * One struct dysco_core serves all hosts of an agent. It lives in memory the
 * caller gives; the leg table (datapath/table.h) is the caller's too and is
 * the only thing that must outlive the core.
 *
 * Calls: dysco_core_start() once; then, in any order, the past-tense event
 * functions. Each fills a struct dysco_actions that the caller carries out, in
 * order, before the next call. Table writes are done in place, before the
 * function returns, in an order that keeps the fast path right at any moment.
 */
#ifndef DYSCO_CORE_CORE_H
#define DYSCO_CORE_CORE_H

#include "core/policy.h"
#include "datapath/reasons.h"
#include "datapath/table.h"

#define DYSCO_ACTIONS_MAX 16
#define DYSCO_PACKET_MAX  65536
#define DYSCO_ACTIONS_ARENA                                                                        \
	(2 * DYSCO_PACKET_MAX + 16384) /* bytes for the packets of one set of actions */
#define DYSCO_SYN_BYTES_MAX 2048       /* larger SYNs are refused (SYN_TOO_LONG) */

enum dysco_action_kind {
	DYSCO_ACT_SEND =
	    1, /* packet leaves the host towards the network; next hop resolved afresh */
	DYSCO_ACT_DELIVER, /* packet goes to the host's stack, the box */
	DYSCO_ACT_PASS,	   /* the packet that came in goes on its way unchanged, in its direction */
	DYSCO_ACT_DROP,	   /* the packet that came in ends here; reason */
	DYSCO_ACT_EVENT,   /* tell the user: event */
};

enum dysco_event_kind {
	DYSCO_EVENT_SESSION_STARTED = 1, /* first agent gave it a chain */
	DYSCO_EVENT_SESSION_JOINED,	 /* came in with a chain */
	DYSCO_EVENT_ESTABLISHED,
	DYSCO_EVENT_CLOSED, /* both FINs acknowledged */
	DYSCO_EVENT_RESET,
	DYSCO_EVENT_REFUSED, /* RST answered the SYN */
	DYSCO_EVENT_EXPIRED, /* embryonic or idle for too long */
	DYSCO_EVENT_KILLED,
	DYSCO_EVENT_BYPASSED,	     /* fail-open: goes without its chain */
	DYSCO_EVENT_DROPPED,	     /* a message or a SYN of a chain was dropped: reason */
	DYSCO_EVENT_TRACE,	     /* an answer to dysco_core_trace(): trace */
	DYSCO_EVENT_RECONFIGURED,    /* at an anchor: the new path is the path */
	DYSCO_EVENT_RECONFIG_FAILED, /* at the left anchor; reason: enum dysco_nack */
	DYSCO_EVENT_ADOPTED,	     /* late attach, asked for by the other end: a leg was made */
	DYSCO_EVENT_PROBED,	     /* an answer to dysco_core_probe(): probe; slot: the channel */
	DYSCO_EVENT_LOOK,	     /* another agent wants the path of this session looked at */
	DYSCO_EVENT_WITHDRAWN,	     /* an agent on the left has given its chain up */
};

struct dysco_action {
	uint8_t kind;		/* enum dysco_action_kind */
	uint8_t event;		/* enum dysco_event_kind */
	uint8_t reason;		/* enum dysco_reason */
	uint16_t attachment;	/* SEND, DELIVER */
	uint32_t slot;		/* leg concerned, DYSCO_NO_SLOT: none */
	uint32_t offset, bytes; /* the packet (from its IP header on) in arena */
	struct dysco_l2 l2;	/* SEND, DELIVER: how the host's first packet looked on the link */
};

struct dysco_actions {
	uint32_t count;
	uint32_t used;					 /* bytes of arena */
	struct dysco_action list[DYSCO_ACTIONS_MAX + 1]; /* the last is never counted */
	struct dysco_msg_trace_reply trace;		 /* of DYSCO_EVENT_TRACE */
	struct dysco_msg_probe_reply probe;		 /* of DYSCO_EVENT_PROBED */
	uint8_t arena[DYSCO_ACTIONS_ARENA];
};

#define DYSCO_NO_POLICY 0xffffu

/* A packet that the datapath did not handle itself. */
struct dysco_input {
	uint16_t attachment;
	uint16_t host;	   /* id */
	uint8_t direction; /* enum dysco_direction */
	uint16_t policy;   /* OUT SYN: index of the first policy whose filter and `at` match, or
			      DYSCO_NO_POLICY; ignored otherwise */
	struct dysco_l2 l2;
	const uint8_t *data; /* from the IP header; checksums finished */
	uint32_t bytes;
	uint32_t
	    mtu; /* of the link a packet of this host leaves by, 0: not known, 1500 is assumed */
};

struct dysco_core_stats {
	uint64_t drops[DYSCO_REASON_COUNT];
	uint64_t counters[DYSCO_COUNTER_COUNT];
};

struct dysco_port_bitmap { /* ports local sockets of a host hold: bit (port - port_first) */
	uint16_t host;	   /* id, 0: entry not used */
	uint64_t bits[(DYSCO_PORT_LAST - 1024 + 1 + 63) / 64];
};

#define DYSCO_TRACE_NONCES 128 /* all questions of the traces that an agent has at once */
#define DYSCO_SETTLING_MAX 64

struct dysco_core {
	struct dysco_table *table;
	const struct dysco_setup *setup;
	struct dysco_core_stats stats;
	uint64_t sender;  /* this agent, as signer */
	uint64_t counter; /* last replay counter used */
	uint64_t random[2];
	uint8_t secret[32]; /* session ids are made with it */
	uint64_t ids;	    /* made so far */
	uint32_t free_head; /* first free slot, linked through leg->partner */
	uint32_t high_slot; /* no slot above was ever used */
	uint32_t live_legs;
	uint32_t scan_slot;
	uint32_t round_robin[DYSCO_TYPES_MAX];
	uint32_t box_sessions[DYSCO_BOXES_MAX]; /* live sessions this agent sent through the box */
	bool box_down[DYSCO_BOXES_MAX]; /* not chosen while another box of the type is not; the
					   caller's to set, by index of the setup */
	uint64_t probes_since_ns;	/* probes answered in a second */
	uint32_t probes;
	uint32_t trace_nonces[DYSCO_TRACE_NONCES]; /* of the questions asked last */
	uint32_t traces;
	struct dysco_port_bitmap held[16];
	bool settles;	 /* set by a caller that calls dysco_core_settled() */
	bool knows_late; /* set by a caller that calls dysco_core_late_known() */
	/*
	 * Set by a caller whose changes rest on what its hosts know of the chain: they tell each
	 * other what changes have made of it, and an attempt fails (changed) where a host lies
	 * between its anchors of which the left one did not know.
	 */
	bool keeps_chains;
	uint32_t n_settling;
	uint32_t settling[DYSCO_SETTLING_MAX]; /* legs with DYSCO_LEG_SETTLING */
	uint32_t attempt_moves; /* changes of attempts' states so far: a sign for who watches */
};

struct dysco_core_seed {
	uint8_t secret[32]; /* random bytes; the simulator gives fixed ones */
	uint64_t sender;    /* random, != 0 */
	uint64_t counter;   /* larger than any this sender has used: wall clock in us, say */
};

/*
 * Takes over the table as it is: after a crash, all sessions in it. setup must
 * stay valid until dysco_core_setup_changed() gives another.
 */
void dysco_core_start(struct dysco_core *core, struct dysco_table *table,
		      const struct dysco_setup *setup, const struct dysco_core_seed *seed);

/* New configuration in force. Established sessions keep their chains. Box counts are mended by
 * name. */
void dysco_core_setup_changed(struct dysco_core *core, const struct dysco_setup *setup);

/* Ports from setup->port_first on that local sockets of this host hold; called as often as they are
 * looked up. */
void dysco_core_ports_held(struct dysco_core *core, const struct dysco_port_bitmap *held);

/*
 * A packet was punted. Exactly one of SEND, DELIVER, PASS, DROP answers it (a
 * control segment may cause several SENDs), events may follow.
 */
void dysco_core_packet_received(struct dysco_core *core, uint64_t now_ns,
				const struct dysco_input *in, struct dysco_actions *out);

/*
 * Time has passed: looks at up to max_slots legs, round about, reports state
 * changes, expires and frees. Call until it returns false (a round is
 * complete), a few times a second.
 */
bool dysco_core_time_passed(struct dysco_core *core, uint64_t now_ns, uint32_t max_slots,
			    struct dysco_actions *out);

/*
 * No packet that was punted waits any more: legs that went from the core back to
 * the fast path are left to it. Until then their packets keep their order by
 * all going through the core.
 */
void dysco_core_settled(struct dysco_core *core);

/* RST both ways; false: no such leg or already ended. */
bool dysco_core_kill(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		     struct dysco_actions *out);

/*
 * Asks the agents along the chain of this session, both ways; their answers
 * come as DYSCO_EVENT_TRACE, the own hosts' at once. Returns the nonce, 0: no such leg.
 */
uint32_t dysco_core_trace(struct dysco_core *core, uint32_t slot, struct dysco_actions *out);

/*
 * Reconfiguration (paper III, docs/protocol.md 12). Begins to replace the chain
 * between the host of this leg, which faces right, and the last host of `path`
 * by the hosts before it. Returns the index of the attempt, or 0 with
 * DYSCO_EVENT_RECONFIG_FAILED and its reason; its end comes as an event.
 */
uint32_t dysco_core_reconfigure(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
				uint8_t kind, const struct dysco_address_list *path,
				struct dysco_actions *out);
/* A session that began without a chain, as the host's stack or its packets tell of it. */
struct dysco_late {
	uint16_t host, attachment;
	bool initiator;		  /* this host opened it */
	struct dysco_tuple tuple; /* outward */
	/* By enum dysco_direction, with DYSCO_SYN_NOTED; without: not known here. */
	struct dysco_syn_options options[2];
	struct dysco_l2 l2;
	bool learns; /* attachment and l2 are to be those of its first packet */
};
/*
 * Makes a leg for it, which changes nothing (docs/protocol.md 12.8); its slot, or
 * DYSCO_NO_SLOT when the five-tuple has one or there is no room. Once a packet was seen
 * each way, dysco_core_reconfigure() with DYSCO_KIND_LATE gives it a chain.
 */
uint32_t dysco_core_adopt(struct dysco_core *core, uint64_t now_ns, const struct dysco_late *late);
/* What the host's stack says of the SYNs, of a leg that has been made without that. */
void dysco_core_late_options(struct dysco_core *core, uint32_t slot,
			     const struct dysco_syn_options options[2]);
/*
 * What the host of this leg had sent before it was made is below run[OUT].seq_end now: a
 * cut there cuts off nothing that is under way. Both ends' legs wait for it.
 */
void dysco_core_late_known(struct dysco_core *core, uint32_t slot);
/*
 * Makes an idle host or its peer show its numbers: a segment to the host that it must
 * answer, then a keepalive to the peer. Nothing, when a packet was seen each way.
 */
void dysco_core_late_provoke(struct dysco_core *core, uint32_t slot, struct dysco_actions *out);
/* The leg by which a session with these ends leaves this host; DYSCO_NO_SLOT: there is none. */
uint32_t dysco_core_late_find(const struct dysco_core *core, uint16_t host,
			      const struct dysco_tuple *tuple);
/* It has no chain, and only watches: nothing is lost when it is forgotten. */
bool dysco_core_only_watches(const struct dysco_core *core, uint32_t slot);
/* Forgets a leg that only watches and is in no attempt; false: it is another one. */
bool dysco_core_late_forget(struct dysco_core *core, uint32_t slot);

/*
 * The box of this LEFT leg asks its left neighbour to begin it: `path` from there,
 * its right neighbour alone to be left out (III-A). Ends as above.
 */
uint32_t dysco_core_trigger(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			    const struct dysco_address_list *path, struct dysco_actions *out);
/* Is this leg's attempt one that ends when dysco_core_reconfigure() is to begin a recovery? */
bool dysco_core_attempt_gives_way(const struct dysco_core *core, uint32_t slot);
/* The left anchor wants it no more; false: no such attempt. Too late it has no effect. */
bool dysco_core_attempt_cancel(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			       struct dysco_actions *out);
/*
 * Is this data of a new path, while something that the peer has sent by the old one is still on
 * its way? A TCP that gets it first may take the rest for lost: who can, keeps it for a moment.
 */
bool dysco_core_overtakes(const struct dysco_core *core, const struct dysco_input *in);
/* The attempt's timer fired. Called by dysco_core_time_passed(); harnesses may call it early. */
bool dysco_core_attempt_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			    struct dysco_actions *out);
/*
 * What the box behind this LEFT leg adds to numbers: delta->seq_out rightward,
 * seq_in leftward, ts_* likewise; frozen: it promises that they will not change.
 */
bool dysco_core_freeze(struct dysco_core *core, uint32_t slot, const struct dysco_offsets *delta,
		       bool frozen);

/*
 * Health (docs/protocol.md 12.14). A channel is a control session to the agent of a host,
 * from the host and attachment of a leg (or of another channel); its slot, DYSCO_NO_SLOT:
 * no room. It lasts until it is closed, or nothing has been said on it for a while.
 */
uint32_t dysco_core_channel_open(struct dysco_core *core, uint64_t now_ns, uint32_t beside,
				 const struct dysco_addr *to);
/*
 * Sends FIN, once more if called again; the leg is free when that is answered, and at once
 * when nothing ever was.
 */
void dysco_core_channel_close(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			      struct dysco_actions *out);
void dysco_core_channel_forget(struct dysco_core *core, uint32_t slot);
bool dysco_core_is_channel(const struct dysco_core *core, uint32_t slot);
/* Has the other side ever answered on it? */
bool dysco_core_channel_answered(const struct dysco_core *core, uint32_t slot);
/* Asks; the answer comes as DYSCO_EVENT_PROBED. false: there is no such channel (any more). */
bool dysco_core_probe(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      const struct dysco_msg_trace *probe, struct dysco_actions *out);
/* Sends an empty segment of the session that changes nothing, as TCP keepalive does. */
bool dysco_core_nudge(struct dysco_core *core, uint32_t slot, struct dysco_actions *out);
/*
 * The session of these legs of a box goes by here no more: the box is told that it is over, and
 * the legs end. The caller has made sure of it (docs/protocol.md 12.14).
 */
void dysco_core_leave(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out);

/* What a SYN with this session five-tuple from this host would do now (`policy test`): changes
 * nothing. */
struct dysco_forecast {
	int result; /* 0: chain; else enum dysco_reason that would drop it */
	struct dysco_address_list list;
	char why[128];
};
void dysco_core_forecast(const struct dysco_core *core, uint16_t host, uint16_t policy,
			 const struct dysco_tuple *session, struct dysco_forecast *forecast);

/*
 * The instance of a type for a session, as a chain of its own would get it at this
 * turn (round_robin[type] is the next one): index of a box, -1: none. Changes nothing.
 */
int dysco_core_choose(const struct dysco_core *core, uint16_t type,
		      const struct dysco_tuple *session, uint32_t turn);
/*
 * The session of this FIRST leg is this policy's from now on (empty: no one's),
 * and has this chain, as far as reconfigurations have made it so.
 */
void dysco_core_set_policy(struct dysco_core *core, uint32_t slot,
			   const char policy[DYSCO_NAME_BYTES],
			   const struct dysco_address_list *list);
/* The leg by which this session leaves a host to the right; DYSCO_NO_SLOT: it does not. */
uint32_t dysco_core_find_session(const struct dysco_core *core, uint16_t host,
				 const struct dysco_session_id *id);

/* All that was counted here; what legs translated is summed up from them, past ones included. */
void dysco_core_stats(const struct dysco_core *core, struct dysco_core_stats *stats);

/* Self-check for every harness: NULL, or a text that says what is broken. */
const char *dysco_core_invariants(const struct dysco_core *core);

#endif
