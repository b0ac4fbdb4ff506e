/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The explorer: every interleaving, within budgets, of a small world around the
 * shipped core (docs/explorer.md).
 *
 *   endpoint - host 0 (core) ~~~ host 2 (core, box) ~~~ host 1 (core) - endpoint
 *                                host 3, 4: boxes, in the chain or not yet
 *
 * A world is a few dozen numbers of interned components: a host with its core
 * and legs, an endpoint, a box, a packet in flight. Equal components are stored
 * once, so that copying, comparing and hashing a world costs next to nothing.
 * Time is not part of it.
 */
#ifndef DYSCO_TESTS_EXPLORE_H
#define DYSCO_TESTS_EXPLORE_H

#include "core/attempt.h"
#include "core/core.h"
#include "datapath/sim/sim.h"
#include "tests/explore/pool.h"
#include "tests/sim/segment.h"

#define XP_HOSTS       5 /* 0: initiator, 1: destination, 2..: boxes */
#define XP_LEGS	       16
#define XP_ATTEMPTS    8 /* records, the unused one included */
#define XP_FLYING      40
#define XP_DELAYED     8
#define XP_SLOW	       3
#define XP_QUEUE       32
#define XP_CHOICES     128
#define XP_NOW_NS      1000000000000ull
#define XP_SCRIPT_MAX  6
#define XP_PORT_FIRST  61000 /* of subsessions and control sessions */
#define XP_TRIES_TOLD  9     /* an attempt's repetitions beyond are alike */
#define XP_DELTA_RIGHT 100
#define XP_DELTA_LEFT  200

/* ---- configurations ---- */
enum xp_box_kind {
	XP_BOX_NONE = 0, /* the host exists, nothing of the chain runs there */
	XP_BOX_FORWARD,
	XP_BOX_STRICT, /* a connection tracker that lets nothing odd through */
	XP_BOX_DELTA,  /* adds constants to the sequence numbers of both directions */
};

enum xp_close {
	XP_CLOSE_WHEN_WRITTEN = 0, /* half-closes, still reads */
	XP_CLOSE_AFTER_PEER,
	XP_STAY_OPEN,
};

struct xp_app {
	uint8_t units;	/* bytes to send, each a choice of its own */
	uint8_t closes; /* enum xp_close */
	uint8_t aborts; /* may abort at any time */
	uint8_t slow;	/* reads only when it chooses to: the window closes */
	uint8_t keeps;	/* keepalive probes it may send */
};

/* What somebody asks for in the course of a run. */
enum xp_ask {
	XP_ASK_NOTHING = 0,
	XP_ASK_REPLACE,
	XP_ASK_CANCEL,
	XP_ASK_TRIGGER,
	XP_ASK_DEATH,	/* the host is silent from then on */
	XP_ASK_RECOVER, /* REPLACE without the old path */
	XP_ASK_ADOPT,	/* the first host gets a leg of a session that began without */
	/* Plans: from the host on, to the destination, by what the host knows of the chain. */
	XP_ASK_WITH,	/* box, right behind the host */
	XP_ASK_WITHOUT, /* box */
	XP_ASK_TRACE,
	/* Health: from the host to that of anchor. */
	XP_ASK_PROBE, /* on a channel of its own, or on that of before */
	XP_ASK_LEAVE, /* ends the channel */
};
struct xp_step {
	uint8_t ask;	 /* enum xp_ask */
	uint8_t host;	 /* the left anchor; TRIGGER: the box that asks */
	uint8_t anchor;	 /* REPLACE: the right one; PROBE, LEAVE: who is asked */
	uint8_t path[3]; /* REPLACE: hosts between them, 0 ends it */
	bool then;	 /* when the steps before are taken, and their attempts over */
	uint8_t box;	 /* of a plan */
	bool must;	 /* a plan: when it is begun, it is carried out */
	uint8_t flags;	 /* PROBE: DYSCO_PROBE_* */
	bool during;	 /* PROBE: while there are attempts */
	bool late;	 /* PROBE: when the new path is the path */
};

struct xp_config {
	const char *name, *text;
	uint8_t hosts;
	uint8_t chain[3]; /* hosts of the boxes in the chain at first, 0 ends it */
	uint8_t box[XP_HOSTS];
	bool late;  /* no policy: the session begins without a chain */
	bool asks;  /* there are questions of health in it */
	bool blind; /* agents do not keep chains: what was changed by others is left out, too */
	bool knows; /* in the end each host knows the chain: if nothing was disturbed, or after a
		       trace */
	struct xp_app app[2];
	uint8_t mss, buffer;
	uint8_t shift[2]; /* window scale, 0: none offered */
	bool ts, sack;
	uint32_t iss[2];
	struct xp_step script[XP_SCRIPT_MAX];
	bool by_age; /* packets come in the order in which they were sent, but for delays */
	uint8_t loss, duplicates, delays, timers, crashes,
	    leases;    /* at most, of each disturbance */
	uint8_t total; /* and of all together, by default */
};
extern const struct xp_config xp_configs[];
extern const size_t xp_n_configs;

/* ---- components ---- */
enum xp_tcp {
	XP_TCP_LISTEN = 0,
	XP_TCP_SYN_SENT,
	XP_TCP_SYN_RCVD,
	XP_TCP_OPEN,
	XP_TCP_OVER, /* both FINs sent and acknowledged; answers what still comes */
	XP_TCP_DEAD, /* reset */
};

/* One end of the connection. Numbers are relative: 0 is the SYN, 1 + n the n-th byte. */
struct xp_end {
	uint32_t irs;
	uint32_t ts_recent;
	uint32_t held; /* bit n: the n-th byte of the peer is here */
	uint8_t state; /* enum xp_tcp */
	uint8_t aborted, reset;
	uint8_t written, closed; /* by the application */
	uint8_t una, nxt, max;
	uint8_t edge;	 /* right edge granted by the peer */
	uint8_t rcv_nxt; /* of the peer's numbers */
	uint8_t granted; /* highest right edge we have told, of the peer's numbers */
	uint8_t unread;
	uint8_t fin_known, fin_rcvd;
	uint8_t ts, sack; /* negotiated */
	uint8_t shift_in; /* of the peer's windows */
	uint8_t shift_out;
	uint8_t kept; /* keepalive probes sent */
	uint8_t zero[2];
};

/* What a connection tracker remembers of one direction, absolute numbers. */
struct xp_track_side {
	uint32_t isn, end, max_end, max_ack;
	uint32_t max_window;
	uint8_t seen; /* XP_SEEN_* */
	uint8_t shift;
	uint8_t zero[2];
};
#define XP_SEEN_SYN  0x01
#define XP_SEEN_ACK  0x02
#define XP_SEEN_FIN  0x04
#define XP_SEEN_DATA 0x08

struct xp_box {
	struct xp_track_side side[2]; /* by the direction of the session: 0 from the initiator */
	uint8_t open;		      /* a connection is tracked */
	uint8_t reset;
	uint8_t zero[2];
};

/* A packet in flight. */
struct xp_packet {
	uint64_t flow; /* packets of a flow keep their order unless delayed */
	uint64_t hash;
	uint8_t to;
	uint8_t idle; /* an empty ACK of a control session: its arrival changes nothing */
	uint8_t zero[2];
	uint32_t bytes;
	uint8_t data[];
};

/* ---- world ---- */
enum xp_cost { XP_LOSS = 0, XP_DUPLICATE, XP_DELAY, XP_TIMER, XP_CRASH, XP_LEASE, XP_FREE };

struct xp_world {
	uint32_t host[XP_HOSTS], end[2], box[XP_HOSTS]; /* components */
	uint8_t spent[XP_FREE];				/* by enum xp_cost */
	uint8_t scripted;				/* bits: steps of the script taken */
	uint8_t n_flying, n_delayed;
	uint8_t reset_sent; /* some end has aborted: resets are to be expected */
	uint8_t changed;    /* a reconfiguration was completed */
	uint8_t dead;	    /* bits: hosts that are silent */
	uint8_t carried;    /* bits: steps that were carried out */
	uint8_t wanted;	    /* bits: boxes of the chain, as plans that were carried out have it */
	uint8_t unanswered; /* bits: steps, those of the script that are questions */
	uint8_t closed;	    /* bits: hosts that were told to leave the session, and have answered */
	uint8_t n_slow;
	uint32_t slow[XP_SLOW];	      /* flows that are slow, by name */
	uint32_t flying[XP_FLYING];   /* by age, or by flow and then by age */
	uint32_t delayed[XP_DELAYED]; /* by content; any may come at any time */
};

enum xp_kind {
	XP_DELIVER = 0, /* a: flow, the first packet of it */
	XP_LATE,	/* a: delayed packet */
	XP_WRITE,	/* a: end */
	XP_READ,
	XP_CLOSE,
	XP_ABORT,
	XP_KEEPALIVE,
	XP_STEP, /* a: of the script */
	XP_RTO,
	XP_DUE,	      /* a: host, b: attempt: its timer */
	XP_LAPSE,     /* a: host, b: attempt: its lease is over */
	XP_DROP,      /* a: flow */
	XP_DUP,	      /* a: flow: delivered now, and once more at any time */
	XP_HOLD,      /* a: flow: overtaken by anything */
	XP_SLOW_FLOW, /* a: flow: from now on its packets come whenever they like, in order */
	XP_RESTART,
	XP_KINDS
};

struct xp_choice {
	uint8_t kind, a;
	uint8_t cost; /* enum xp_cost */
	uint8_t b;
};

struct xp_trace {
	struct xp_choice *list;
	uint32_t count, room;
};

/* ---- a host's core in use ---- */
struct xp_host {
	struct dysco_sim dp; /* first: the table's calls find the rest */
	struct dysco_core core;
	struct dysco_setup setup;
	uint32_t loaded; /* component, 0: none */
	bool dirty;
	uint8_t starts;
	uint8_t n_keys;
	struct dysco_sim_place keys[2 * XP_LEGS];
};

struct xp_local { /* a packet on its way between a host's agent and its stack */
	uint8_t host;
	bool out; /* from the stack */
	uint32_t bytes;
	uint8_t data[SIM_PACKET_BYTES];
};

/* Events that an attempt meets: messages by their type, and these. */
enum { XP_EVENT_TIMER = 24, XP_EVENT_LEASE, XP_EVENTS, XP_ROLES = 8, XP_STATES = 24 };
struct xp_coverage {
	uint64_t met[XP_ROLES][XP_STATES][XP_EVENTS];
};

/* Everything of one exploration. */
struct xp {
	const struct xp_config *config;
	struct xp_pool pool;
	struct xp_world w; /* being worked on */
	struct xp_host *hosts;
	struct xp_end end[2];
	struct xp_box box[XP_HOSTS];
	struct xp_local *queue;
	uint32_t n_queue;
	uint32_t pressing; /* of the choices last listed, those that will be taken: the first */
	struct dysco_actions *actions;
	uint8_t budget[XP_FREE], total;
	bool failed, talk;
	bool winding_up;	/* time passes after the end: legs go */
	bool cut;		/* a bound of the world itself was met */
	const char *what;	/* format of the failure: its identity */
	struct xp_trace walked; /* choices of the last walk */
	char failure[512];
	uint64_t core_calls;
	struct xp_coverage *coverage; /* NULL: not wanted */
};

bool xp_open(struct xp *x, const struct xp_config *config);
void xp_close(struct xp *x);
__attribute__((format(printf, 2, 3))) void xp_fail(struct xp *x, const char *format, ...);
__attribute__((format(printf, 2, 3))) void xp_say(const struct xp *x, const char *format, ...);

/* ---- world.c ---- */
void xp_begin(struct xp *x); /* x->w becomes the first world */
/* What can happen in x->w; free ones first. */
uint32_t xp_choices(struct xp *x, struct xp_choice list[XP_CHOICES]);
/* x->w becomes the next world; false: not a choice now (nothing done). */
bool xp_take(struct xp *x, const struct xp_choice *choice);
void xp_fly(struct xp *x, const uint8_t *data, uint32_t bytes, bool control);
static inline bool xp_is_dead(const struct xp *x, uint8_t host)
{
	return x->w.dead >> host & 1;
}
uint64_t xp_fingerprint(const struct xp *x);
/* Nothing can happen any more: x->failed when that is not a good end. */
void xp_check_end(struct xp *x);
/* Without disturbance, fairly, to the end; false: x->failed. */
bool xp_complete(struct xp *x);
/* From x->w at random to the end. */
void xp_walk(struct xp *x, uint64_t random, uint32_t disturb);

/* ---- component.c ---- */
struct xp_summary {
	uint8_t ready;	       /* slot of the leg that faces right and lives, 0: none */
	uint8_t left;	       /* attempt of which this host is the left anchor, 0: none */
	uint8_t attempts, due; /* how many; bits: those whose timer repeats something */
	uint8_t lapses;	       /* bits: those that end with their lease */
	uint8_t tired;	/* bits: those of them that have repeated long enough, or have nothing to */
	uint8_t box;	/* slot of a box's leg that faces left, 0: none */
	uint8_t last;	/* the last leg of the session could be reconfigured */
	uint8_t renews; /* bits: those whose timer only renews leases */
	uint8_t knows;	/* bits: hosts to the right that the leg `ready` knows of */
	uint8_t next;	/* the nearest of them */
	uint8_t channels; /* bits: hosts to which a channel is open */
};
const struct xp_summary *xp_summary(const struct xp *x, uint8_t host);
struct xp_host *xp_host_load(struct xp *x, uint8_t host); /* for writing */
void xp_hosts_store(struct xp *x);

/* ---- host.c ---- */
void xp_host_open(struct xp *x, uint8_t host);
void xp_host_fresh(struct xp *x, uint8_t host);
uint8_t xp_host_of(const struct dysco_addr *addr); /* XP_HOSTS: none */
struct dysco_addr xp_address(uint8_t host);
void xp_host_arrived(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes);
void xp_host_restart(struct xp *x, uint8_t host);
/* The core of the host was called: what it wants done is done. */
void xp_host_called(struct xp *x, uint8_t host);
void xp_host_due(struct xp *x, uint8_t host, uint8_t attempt, bool lapse);
void xp_queue(struct xp *x, uint8_t host, bool out, const uint8_t *data, uint32_t bytes);
void xp_work(struct xp *x); /* until the queue is empty */
bool xp_host_wind_up(struct xp *x, uint8_t host, uint32_t turn);
struct dysco_tuple xp_session(void);

/* ---- ask.c ---- */
void xp_host_step(struct xp *x, uint8_t number);
void xp_host_event(struct xp *x, uint8_t host, const struct dysco_action *a);
bool xp_stack_resets(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes);
uint8_t xp_channels(const struct xp_host *h);
void xp_check_asked(struct xp *x);

/* ---- end.c ---- */
void xp_end_open(struct xp *x, uint8_t side);
void xp_end_arrived(struct xp *x, uint8_t side, const uint8_t *data, uint32_t bytes);
void xp_end_write(struct xp *x, uint8_t side);
void xp_end_close(struct xp *x, uint8_t side);
void xp_end_read(struct xp *x, uint8_t side);
void xp_end_abort(struct xp *x, uint8_t side);
void xp_end_keepalive(struct xp *x, uint8_t side);
void xp_end_timer(struct xp *x, uint8_t side);
bool xp_end_armed(const struct xp *x, uint8_t side);
bool xp_end_quiet(const struct xp *x, uint8_t side);
uint32_t xp_pattern(uint8_t side, uint32_t position);
uint32_t xp_end_clock(const struct xp_end *e, uint8_t side);

/* ---- options.c ---- */
struct xp_options {
	bool has_ts, has_sack_ok, has_shift, has_mark, has_tag;
	uint32_t tsval, tsecr;
	uint8_t shift, n_sack;
	uint32_t sack[8];
};
void xp_options_read(struct xp_options *o, const struct sim_segment *s);

/* ---- chain.c ---- */
/* The path from the initiator on, as legs have it; nothing beside it; known to all. */
void xp_check_path(struct xp *x);

/* ---- check.c ---- */
void xp_check_given(struct xp *x, uint8_t side, const struct sim_segment *s,
		    const struct xp_options *o);
void xp_check_bytes(struct xp *x, const char *where, const uint8_t *data, uint32_t bytes);

/* ---- box.c ---- */
void xp_box_arrived(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes);
bool xp_box_closed(const struct xp_box *box);

/* ---- cover.c ---- */
void xp_cover(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes);
void xp_cover_timer(struct xp *x, uint8_t host, uint8_t attempt, bool lease);
void xp_cover_report(const struct xp_coverage *c);

/* ---- trace.c ---- */
void xp_trace_add(struct xp_trace *t, struct xp_choice c);
void xp_choice_say(struct xp *x, const struct xp_choice *c, char *text, size_t bytes);
void xp_packet_text(const struct xp *x, uint32_t id, char *text, size_t bytes);
bool xp_trace_write(struct xp *x, const struct xp_trace *t, const char *path);
const struct xp_config *xp_trace_read(struct xp_trace *t, const char *path); /* NULL: unreadable */
/* Replays from the first world; choices that are not enabled are left out. */
void xp_replay(struct xp *x, const struct xp_trace *t);
void xp_shrink(struct xp *x, struct xp_trace *t);

/* ---- follow.c ---- */
const struct xp_config *xp_follow_config(const char *path); /* NULL: no trail */
/* How many of the trail's steps the core took; false or x->failed: no good end. */
bool xp_follow(struct xp *x, const char *path, uint32_t *taken, uint32_t *steps);

/* ---- search.c ---- */
struct xp_result {
	uint64_t states, transitions, ends, completions, walks, core_calls, components;
	uint32_t depth;
	uint8_t total; /* budget explored to its end; 0xff: not even 0 */
	bool exhausted, failed;
	double seconds;
	char failure[512];
};
struct xp_limits {
	uint64_t states, bytes;
	double seconds;
	uint32_t sample; /* one state in so many is completed fairly */
	uint32_t walks;	 /* at random, before the search */
};
/* trace: of the failure */
void xp_search(struct xp *x, const struct xp_limits *limits, struct xp_result *result,
	       struct xp_trace *trace);

/* Between world.c and walk.c: a world taken from the pool, given up, still busy. */
void xp_load_small(struct xp *x);
void xp_abandon(struct xp *x);
bool xp_attempts_under_way(const struct xp *x);

#endif
