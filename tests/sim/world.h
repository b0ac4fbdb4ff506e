/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulated world: hosts, boxes and endpoints, agents running the shipped
 * core over the simulated datapath, and a network between them.
 *
 *   endpoint or box  --OUT-->  sim datapath  -->  network  -->  sim datapath  --IN-->  endpoint or
 * box (node)                 |      ^          (flight)        of the other host v      | core of
 * the agent
 *
 * All state is in struct sim_world, by index; the only pointers are those of
 * the core and its table, which point into the same world. All that happens
 * is drawn from one 64-bit seed.
 *
 * docs/simulator.md tells what is checked; check.c does it.
 */
#ifndef DYSCO_TESTS_SIM_WORLD_H
#define DYSCO_TESTS_SIM_WORLD_H

#include "datapath/sim/sim.h"
#include "tests/sim/scenes.h"
#include "tests/sim/segment.h"

#define SIM_NODES      40
#define SIM_HOSTS      26
#define SIM_AGENTS     8
#define SIM_FLOWS      12
#define SIM_CONNS      (2 * SIM_FLOWS)
#define SIM_PACKETS    768
#define SIM_EVENTS     1024
#define SIM_NAT_PLACES 24
#define SIM_VISITS     20
#define SIM_WISHES     16
#define SIM_STEPS      192
#define SIM_NONE       0xff

#define SIM_US	       1000ull
#define SIM_MS	       1000000ull
#define SIM_S	       1000000000ull

/* ---- what a packet carries beside its bytes, for the checks only ---- */
enum sim_origin {
	SIM_BY_ENDPOINT = 0, /* of a flow, or a RST of a stack for a packet of that flow */
	SIM_BY_BOX,	     /* RST of a refusing box */
	SIM_BY_STACK,	     /* RST of a stack for what belongs to nothing there */
	SIM_BY_AGENT,	     /* made by a core: RST, control */
	SIM_BY_ENEMY,	     /* injected */
};

struct sim_meta {
	uint8_t origin; /* enum sim_origin */
	uint8_t flow;	/* SIM_NONE: belongs to none */
	uint8_t side;	/* 0: from the client */
	uint8_t n_visits;
	uint8_t visits[SIM_VISITS]; /* boxes passed, nodes */
	struct dysco_tuple view;    /* five-tuple as the last endpoint or box let it out */
	uint32_t view_bytes;
	uint64_t view_hash; /* sim_segment_hash() then */
	uint64_t born_ns;   /* when an endpoint let it out */
};

struct sim_packet {
	struct sim_meta meta;
	uint8_t to; /* node it travels to */
	bool plain; /* arrives beside the attachment (two-armed exit) */
	bool used;
	uint16_t host; /* PUNT: index of the host */
	uint8_t direction;
	uint16_t policy;
	uint16_t bytes;
	uint8_t data[SIM_PACKET_BYTES];
};

/* ---- nodes ---- */
enum sim_node_kind {
	SIM_ENDPOINT = 0,
	SIM_BOX,     /* takes what its Dysco host delivers, lets it out again */
	SIM_WIRE_NAT /* in the network, knows nothing of Dysco */
};
enum sim_box_kind {
	SIM_BOX_FORWARD = 0,
	SIM_BOX_NAT,	   /* changes the source address and port, keeps TCP options */
	SIM_BOX_PORT_NAT,  /* changes the source port only */
	SIM_BOX_DROP_SYN,  /* drops every SYN */
	SIM_BOX_DROP_SOME, /* drops the first SYNs of a five-tuple */
	SIM_BOX_REFUSE,	   /* answers a SYN with RST */
	SIM_BOX_STRICT,	   /* a firewall that knows the windows of its connections: strict.c */
	SIM_BOX_DELTA,	   /* adds constants to sequence numbers and timestamps */
	SIM_BOX_SLOW,	   /* lets each SYN out after a while */
	SIM_BOX_KINDS
};
enum sim_listen { SIM_ACCEPT = 0, SIM_REFUSE, SIM_IGNORE };

struct sim_nat_place {
	struct dysco_tuple inside, outside; /* as the initiator's packets carry them */
	bool used;
};

struct sim_node {
	uint8_t kind; /* enum sim_node_kind */
	uint8_t box;  /* enum sim_box_kind */
	uint8_t host; /* index, SIM_NONE: no agent there */
	uint8_t listen;
	uint8_t behind;	  /* SIM_NONE, or the wire NAT its packets leave through */
	uint8_t way_back; /* SIM_NONE, or the exit box that packets to clients are routed to */
	uint8_t syns_to_drop;
	uint64_t dead_ns, back_ns; /* between them nothing comes in or goes out */
	bool thawed;		   /* DELTA: its constants may still change, so it says */
	uint32_t delta[2][2]; /* DELTA: rightward, leftward: what it adds to numbers, timestamps */
	uint16_t next_port;
	struct dysco_addr addr;
	struct sim_nat_place nat[SIM_NAT_PLACES];
};

struct sim_host {
	uint16_t id;
	uint8_t agent;
	uint8_t box; /* node that gets all that is delivered, SIM_NONE: by address */
};

struct sim_agent {
	bool alive;
	uint32_t starts;
	uint64_t last_counter;
	uint64_t drops; /* DROP actions of this core */
	struct dysco_sim dp;
	struct dysco_core core;
	struct dysco_setup setup;
};

/* ---- TCP ---- */
enum sim_tcp_state {
	SIM_TCP_CLOSED = 0, /* over, or never begun */
	SIM_TCP_SYN_SENT,
	SIM_TCP_SYN_RCVD,
	SIM_TCP_OPEN, /* established and everything up to the last FIN */
	SIM_TCP_TIME_WAIT,
};
enum sim_tcp_end {
	SIM_END_NONE = 0, /* not over yet */
	SIM_END_CLEAN,	  /* both FINs sent and acknowledged */
	SIM_END_RESET,	  /* RST came in */
	SIM_END_REFUSED,  /* RST answered the SYN */
	SIM_END_ABORTED,  /* the application's own RST */
	SIM_END_TIMEOUT,  /* too many retransmissions */
};

/* What the application does; bytes of one direction. */
struct sim_app {
	uint32_t total, burst; /* burst: sent at once, the rest after `pause` */
	uint32_t step;	       /* 0, or what is added to the burst after each pause */
	uint64_t pause_ns;
	bool close_after_peer; /* else as soon as all is sent (half-close) */
	bool slow_reader;
	bool keepalive;
	bool fast_open;	      /* data in the SYN */
	uint32_t abort_after; /* received bytes; 0: never */
	uint16_t mss;
	uint32_t buffer;
	uint32_t unit;		      /* bytes of a segment at most: the MSS, or more with GSO */
	uint8_t syn_options, options; /* bytes of padding options, multiples of 4 */
	/* real options instead of padding: what this side offers */
	bool real, real_wscale, sack, timestamps, delays_acks;
	uint8_t wscale;
};

#define SIM_HELD 40
struct sim_range {
	uint32_t begin, end;
};

struct sim_conn {
	uint8_t state; /* enum sim_tcp_state */
	uint8_t end;   /* enum sim_tcp_end */
	uint8_t node, flow, side;
	uint8_t tries;
	bool fin_sent, fin_rcvd, fin_known;
	bool paused; /* second burst not due yet */
	bool probing, passive;
	uint8_t keeps;
	struct dysco_tuple tuple; /* outward */
	struct sim_app app;
	uint32_t iss, snd_una, snd_nxt, snd_max, snd_wnd;
	uint32_t irs, rcv_nxt, rcv_fin, edge;
	uint32_t unread; /* in order, not yet read */
	uint64_t rto_ns, timer_ns, second_ns, read_ns, keep_ns,
	    delack_ns;			 /* UINT64_MAX: not armed */
	uint64_t wake_ns;		 /* the event in the queue that will look at them */
	struct sim_range held[SIM_HELD]; /* bytes that came out of order, the newest first */
	uint8_t n_held;
	/* of connections with real options */
	bool scaled, sack_on, ts_on;
	uint8_t peer_wscale, n_sacked, dup_acks;
	struct sim_range sacked[SIM_HELD]; /* what the peer has beyond snd_una */
	struct sim_range repeated;	   /* what came twice, for a D-SACK */
	uint32_t ts_base, ts_recent, ts_acked, recover;
	uint32_t granted; /* the highest right edge it ever showed */
};

/* One connection attempt of a client and what must come of it. */
enum sim_must {
	SIM_MUST_COMPLETE = 0, /* all delivered, both ends closed */
	SIM_MAY_FAIL,	       /* any end, but all other properties hold */
	SIM_MUST_FAIL,	       /* no byte reaches the server */
	SIM_MUST_REFUSE,       /* the client sees RST */
	SIM_MUST_RESET,	       /* both ends see RST */
};
struct sim_flow {
	uint8_t client, server; /* nodes */
	uint8_t must;
	bool chained;	 /* a policy matches at the client */
	bool open;	 /* fail-open */
	bool disturbed;	 /* reset, crash...: strays may turn up at stacks */
	bool reset_sent; /* a stack or a box has sent a RST of it */
	bool opened, simultaneous, exits;
	bool path_known;	/* path[]: boxes as the first whole way showed them */
	bool moved;		/* an attempt to reconfigure it was begun */
	bool late;		/* no policy matches, but it may be adopted */
	uint8_t must_before;	/* of a box' death */
	uint64_t struck_ns;	/* when a box of its chain died, 0: none, or recovered since */
	uint64_t left_alone_ns; /* nobody asks for another chain before */
	uint8_t n_way;
	uint8_t way[SIM_VISITS + 2]; /* the chain now, ends included: nodes */
	uint8_t n_hops;
	uint32_t hops[SIM_VISITS]; /* sets of box nodes, bit (node - first_box) */
	uint8_t path[SIM_VISITS];
	struct dysco_tuple inner; /* as it looks on the inner side of a wire NAT */
	uint8_t conn[2];	  /* SIM_NONE: not there yet */
	uint8_t after;		  /* flow whose five-tuple this one uses again, SIM_NONE */
	uint64_t start_ns;
	struct dysco_tuple tuple; /* of the client */
	struct sim_app app[2];
	uint32_t
	    delivered[2]; /* bytes the other side's application got in order, by sender's side */
};

/* ---- what a strict firewall knows of a connection: strict.c ---- */
#define SIM_TRACKS 64
struct sim_track_side {
	uint32_t end, maxend, maxwin, maxack;
	uint8_t scale;
	bool scales, sack, has_ack;
};
struct sim_track {
	uint8_t node, fins;
	bool reset;
	struct dysco_tuple tuple; /* of the SYN */
	struct sim_track_side side[2];
};

/* ---- reconfigurations: reconf.c ---- */
enum sim_fate { SIM_FATE_OPEN = 0, SIM_FATE_COMPLETED, SIM_FATE_FAILED };

struct sim_wish {
	uint8_t flow, left, right; /* anchors, nodes */
	uint8_t kind;		   /* enum dysco_attempt_kind */
	uint8_t asker;		   /* node of the box that has asked for it, SIM_NONE */
	bool answered;		   /* and has been told how it ended */
	uint8_t n_path, path[4];   /* new boxes */
	uint8_t n_old, old[SIM_VISITS + 2];
	bool begun, refused, must_fail, contended, cancelled;
	uint8_t fate[2]; /* at the left, the right anchor */
	uint32_t index;
	uint64_t nonce, begun_ns, ended_ns;
	uint64_t
	    known; /* hash of what the left anchor took for the old path, 0: others were asked */
};

/* Packets of the flow may go from one node to the other, rightward, if let out in time. */
struct sim_step {
	uint8_t flow, from, to, wish;
	uint64_t until_ns;
};

/* ---- events ---- */
enum sim_event_kind {
	SIM_EV_ARRIVE = 0, /* a = packet: reaches packet.to */
	SIM_EV_PUNT,	   /* a = packet: reaches the core */
	SIM_EV_CONN,	   /* a = conn: a timer of it may be due */
	SIM_EV_TICK,	   /* a = agent */
	SIM_EV_FLOW,	   /* a = flow: starts */
	SIM_EV_CRASH,
	SIM_EV_RESTART,
	SIM_EV_KILL, /* a = flow: its sessions are killed by some agent */
	SIM_EV_TRACE,
	SIM_EV_ENEMY,
	SIM_EV_RECONFIGURE,
	SIM_EV_CANCEL,
	SIM_EV_DEATH,	/* a = flow: a box of its chain falls silent */
	SIM_EV_RECOVER, /* a = flow */
	SIM_EV_ADOPT,	/* a = flow */
	SIM_EV_PROBE,	/* a = channel */
	SIM_EV_LET_OUT, /* a = packet: leaves box packet.to */
};
struct sim_event {
	uint64_t at_ns;
	uint32_t order;
	uint8_t kind;
	uint16_t a;
};

/* What a run contains, for the table of coverage. X(symbol, text) */
#define SIM_FEATURES(X)                                                                            \
	X(PLAIN, "no policy at all")                                                               \
	X(IP6, "IPv6")                                                                             \
	X(SIGNED, "signed")                                                                        \
	X(LOSSY, "loss")                                                                           \
	X(DUPLICATES, "duplication")                                                               \
	X(REORDER, "reordering")                                                                   \
	X(BOXES_0, "chain of 0 boxes")                                                             \
	X(BOXES_1_4, "chain of 1 to 4 boxes")                                                      \
	X(BOXES_5_16, "chain of 5 to 16 boxes")                                                    \
	X(SHARED_AGENT, "several hosts of the chain on one agent")                                 \
	X(TYPE_ROUND_ROBIN, "type, round-robin")                                                   \
	X(TYPE_LEAST, "type, least sessions")                                                      \
	X(TYPE_HASH, "type, consistent hash")                                                      \
	X(BOX_NAT, "box changes address and port")                                                 \
	X(BOX_PORT_NAT, "box changes port")                                                        \
	X(BOX_DROP_SYN, "box drops every SYN")                                                     \
	X(BOX_DROP_SOME, "box drops some SYNs")                                                    \
	X(BOX_REFUSE, "box answers RST")                                                           \
	X(ADDED_HOPS, "agent on the way adds hops")                                                \
	X(WIRE_NAT, "NAT without agent on the way")                                                \
	X(EXIT, "exit, way back through it")                                                       \
	X(EXIT_NAT, "exit with source NAT")                                                        \
	X(GATEWAY, "clients behind a port gateway")                                                \
	X(FAIL_OPEN, "fail-open policy")                                                           \
	X(OPEN_DEAD_BOX, "fail-open, box does not answer")                                         \
	X(OPEN_SLOW_BOX, "fail-open, box lets SYNs out late")                                      \
	X(NO_AGENT_HOP, "next hop without an agent")                                               \
	X(SERVER_REFUSES, "server refuses")                                                        \
	X(FAST_OPEN, "data in the SYN")                                                            \
	X(FULL_OPTIONS, "SYN with little room for options")                                        \
	X(SIMULTANEOUS, "simultaneous open")                                                       \
	X(HALF_CLOSE, "half-close, data still flows the other way")                                \
	X(ABORT, "abort by RST")                                                                   \
	X(SLOW_READER, "slow reader, zero window")                                                 \
	X(REUSE, "five-tuple used again")                                                          \
	X(IDLE_EXPIRY, "idle expiry, both ends must see RST")                                      \
	X(KILL, "session killed")                                                                  \
	X(CRASH, "agent crashes and restarts")                                                     \
	X(TRACE, "session traced")                                                                 \
	X(ENEMY_FLIP, "bit flips in Dysco SYNs")                                                   \
	X(ENEMY_REPLAY, "replayed Dysco SYNs")                                                     \
	X(ENEMY_TRUNCATED, "truncated Dysco SYNs")                                                 \
	X(ENEMY_MAGIC, "foreign SYN data with our magic")                                          \
	X(FEW_PORTS, "tiny port range")                                                            \
	X(FEW_LEGS, "tiny leg table")                                                              \
	X(SCALED, "window scale, windows up to 256 KB")                                            \
	X(SACK, "selective acknowledgements")                                                      \
	X(TIMESTAMPS, "timestamps")                                                                \
	X(LARGE_SEGMENTS, "segments as large as offload makes them")                               \
	X(WRAP, "sequence numbers wrap")                                                           \
	X(BOX_STRICT, "strict firewall on the way")                                                \
	X(BOX_DELTA, "box adds constants to numbers")                                              \
	X(RECONF, "reconfigurations of living sessions")                                           \
	X(RECONF_INSERT, "reconfiguration inserts")                                                \
	X(RECONF_DELETE, "reconfiguration deletes")                                                \
	X(RECONF_REPLACE, "reconfiguration replaces")                                              \
	X(RECONF_RENEW, "reconfiguration renews a subsession")                                     \
	X(RECONF_SEVERAL, "several new boxes at once")                                             \
	X(RECONF_INNER, "a box is an anchor")                                                      \
	X(RECONF_INVALID, "reconfiguration that must be refused")                                  \
	X(RECONF_CONTEND, "reconfigurations of one session contend or follow at once")             \
	X(RECONF_CRASH, "reconfigurations, and agents crash")                                      \
	X(RECONF_CANCEL, "reconfiguration cancelled")                                              \
	X(TRIGGER, "a box asks for another chain")                                                 \
	X(TRIGGER_REMOVAL, "a box asks to be left out")                                            \
	X(DEATH, "a box falls silent")                                                             \
	X(RECOVER, "session recovered from its ends")                                              \
	X(RECOVER_KEPT, "recovery through boxes of the old path")                                  \
	X(ADOPTED, "session adopted in mid-stream")                                                \
	X(LATE, "adopted session gets a chain")                                                    \
	X(PROBES, "boxes are asked whether they live")                                             \
	X(PROBE_NUDGE, "and to send a segment that changes nothing")                               \
	X(PROBE_CLOSE, "and to end their part of a session")
enum sim_feature {
#define X(sym, text) SIM_HAS_##sym,
	SIM_FEATURES(X)
#undef X
	    SIM_FEATURE_COUNT
};

/* What happened in runs, for the table of coverage. X(symbol, text) */
#define SIM_OUTCOMES(X)                                                                            \
	X(FLOWS, "connections opened")                                                             \
	X(COMPLETE, "connections delivered and closed")                                            \
	X(RESET, "connections reset")                                                              \
	X(REFUSED, "connections refused")                                                          \
	X(ABORTED, "connections aborted")                                                          \
	X(TIMEOUT, "connections given up")                                                         \
	X(CHAINED, "connections that went through their chain")                                    \
	X(BYPASSED, "connections that went without")                                               \
	X(BYTES, "bytes delivered and compared")                                                   \
	X(PACKETS, "packets sent into the network")                                                \
	X(LOST, "packets lost")                                                                    \
	X(DUPLICATED, "packets duplicated")                                                        \
	X(TRANSLATED, "packets translated on the fast path")                                       \
	X(PUNTED, "packets handled by a core")                                                     \
	X(BOXED, "packets seen by boxes")                                                          \
	X(RETRANSMITTED, "segments retransmitted")                                                 \
	X(CORE_CALLS, "core calls, invariants checked after each")                                 \
	X(ENEMY, "hostile packets")                                                                \
	X(TRACES, "trace answers")                                                                 \
	X(EVENTS, "events simulated")                                                              \
	X(FAST_RETRANSMIT, "segments retransmitted because of duplicate ACKs")                     \
	X(PAWS, "segments that are too old by their timestamps")                                   \
	X(RECONFIGS, "reconfigurations begun")                                                     \
	X(RECONFIGURED, "reconfigurations completed")                                              \
	X(RECONFIG_FAILED, "reconfigurations failed")                                              \
	X(RECONF_REFUSED, "reconfigurations refused at once")                                      \
	X(RECOVERED, "of them, recoveries completed")                                              \
	X(LATE_DONE, "of them, late attachments completed")                                        \
	X(TRIGGERED, "boxes' requests")                                                            \
	X(TRIGGER_DONE, "of them, answered with success")                                          \
	X(TRIGGER_NO, "of them, refused or failed")                                                \
	X(QUESTIONS, "probes")                                                                     \
	X(ANSWERS, "answers to probes")                                                            \
	X(FOUND_DEAD, "boxes found dead by probes")                                                \
	X(TRACKED, "connections that strict firewalls saw")                                        \
	X(STILL_TRACKED, "of them, those whose end they did not see")                              \
	X(IGNORED, "packets that they let through as too old")
enum sim_outcome {
#define X(sym, text) SIM_N_##sym,
	SIM_OUTCOMES(X)
#undef X
	    SIM_OUTCOME_COUNT
};

struct sim_tally {
	uint64_t runs, repeated;
	uint64_t features[SIM_FEATURE_COUNT];
	uint64_t outcomes[SIM_OUTCOME_COUNT];
	uint64_t drops[DYSCO_REASON_COUNT];
	uint64_t counters[DYSCO_COUNTER_COUNT];
};

struct sim_world {
	/* all before `packets` is zeroed for a run */
	uint64_t seed, random, now_ns, hash;
	uint32_t order, n_events, free_packet;
	bool failed, ip6, signed_messages, trace;
	bool strays;	      /* legs may be lost in this run: strays may turn up at stacks */
	bool agents_reset;    /* agents may send RST of their own */
	bool enemy_may_enter; /* not signed: some hostile packets are as good as others */
	bool from_agent;      /* the segment that an endpoint looks at now */
	bool crashes;
	bool moving; /* sessions are being reconfigured */
	uint8_t mutant;
	bool deaths; /* boxes fall silent */
	uint8_t n_wishes, n_tracks, n_adopted, n_channels;
	uint8_t triggers[SIM_AGENTS]; /* enum dysco_triggers */
	uint16_t n_steps;
	uint8_t n_nodes, n_hosts, n_agents, n_flows, n_conns;
	uint8_t first_box, n_boxes;
	uint16_t loss, duplicate, reorder; /* per mille, on a hop */
	uint64_t delay_ns;
	uint64_t calm_ns; /* from then on the network is fair */
	bool features[SIM_FEATURE_COUNT];
	uint64_t outcomes[SIM_OUTCOME_COUNT];
	uint8_t enemy; /* enum sim_feature of the kind of hostility */
	struct dysco_timeouts timeouts;
	char failure[512];
	struct sim_wish wishes[SIM_WISHES];
	struct sim_adopted adopted[SIM_ADOPTED];
	struct sim_channel channels[SIM_CHANNELS];
	struct sim_step steps[SIM_STEPS];
	struct sim_track tracks[SIM_TRACKS];
	struct sim_node nodes[SIM_NODES];
	struct sim_host hosts[SIM_HOSTS];
	struct sim_flow flows[SIM_FLOWS];
	struct sim_conn conns[SIM_CONNS];
	struct sim_event events[SIM_EVENTS]; /* a heap by (at_ns, order) */
	uint16_t free_list[SIM_PACKETS];
	struct sim_packet packets[SIM_PACKETS];
	struct sim_packet sniff; /* a Dysco SYN seen on the wire, for the enemy */
	struct dysco_actions actions;
	struct sim_agent agents[SIM_AGENTS];
};

/* ---- world.c: time, randomness, failure ---- */
uint32_t sim_random(struct sim_world *w, uint32_t below);
bool sim_chance(struct sim_world *w, uint32_t per_mille);
void sim_fail(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_print(const struct sim_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of the packet log. */
#define sim_say(w, ...)                                                                            \
	do {                                                                                       \
		if ((w)->trace) {                                                                  \
			sim_print((w), __VA_ARGS__);                                               \
		}                                                                                  \
	} while (0)
void sim_at(struct sim_world *w, uint64_t at_ns, enum sim_event_kind kind, uint16_t a);
void sim_has(struct sim_world *w, enum sim_feature feature);
/* One whole run. True: all properties held. */
bool sim_run(struct sim_world *w, uint64_t seed, uint8_t mutant, bool trace);
const char *sim_tuple_text(const struct dysco_tuple *t, char text[static 96]);

/* ---- network.c ---- */
/* NULL when the pool is empty (the packet is lost). */
struct sim_packet *sim_packet_new(struct sim_world *w);
void sim_packet_free(struct sim_world *w, struct sim_packet *packet);
uint16_t sim_packet_index(const struct sim_world *w, const struct sim_packet *packet);
/* Takes the packet over: an endpoint or a box lets it out, its Dysco host sees it. */
void sim_emit(struct sim_world *w, uint8_t node, struct sim_packet *packet);
/* Takes the packet over: out of a host, into the network. */
void sim_send(struct sim_world *w, uint8_t node, struct sim_packet *packet);
void sim_arrive(struct sim_world *w, struct sim_packet *packet);
/* Takes the packet over: to the endpoint or box of this host, or the node itself. */
void sim_deliver(struct sim_world *w, uint8_t node, struct sim_packet *packet);
uint8_t sim_node_of(const struct sim_world *w, const struct dysco_addr *addr);
struct dysco_addr sim_address(const struct sim_world *w, uint8_t node);

/* ---- agent.c ---- */
void sim_agent_start(struct sim_world *w, uint8_t agent);
void sim_agent_crash(struct sim_world *w, uint8_t agent);
/* Take the packet over. */
void sim_host_out(struct sim_world *w, uint8_t node, struct sim_packet *packet);
void sim_host_in(struct sim_world *w, uint8_t node, struct sim_packet *packet);
void sim_agent_punted(struct sim_world *w, struct sim_packet *packet);
void sim_agent_tick(struct sim_world *w, uint8_t agent);
void sim_agent_kill(struct sim_world *w, uint8_t flow);
void sim_agent_trace(struct sim_world *w, uint8_t agent);
/* A box that changes numbers tells its agent; false: nobody is there to be told. */
bool sim_agent_freeze(struct sim_world *w, uint8_t node, const struct dysco_tuple *tuple);
/* A core was called: checks it, and does what it wants done. from: the punted packet, or NULL. */
void sim_agent_answered(struct sim_world *w, uint8_t agent, const struct sim_packet *from);

/* ---- reconf.c ---- */
void sim_way_begin(struct sim_world *w, uint8_t flow);
/* A packet that was let out then may go from one node to the next, rightward. */
bool sim_way_has(const struct sim_world *w, uint8_t flow, uint8_t from, uint8_t to,
		 uint64_t born_ns);
void sim_reconfigure(struct sim_world *w);
void sim_reconf_cancel(struct sim_world *w);
void sim_reconf_watch(struct sim_world *w, uint8_t agent);
void sim_check_attempts(struct sim_world *w);

/* ---- recover.c ---- */
static inline bool sim_is_dead(const struct sim_world *w, uint8_t node)
{
	return w->now_ns >= w->nodes[node].dead_ns && w->now_ns < w->nodes[node].back_ns;
}
void sim_box_dies(struct sim_world *w, uint8_t flow);
void sim_recover(struct sim_world *w, uint8_t flow);

/* ---- late.c ---- */
void sim_adopt(struct sim_world *w, uint8_t flow);
/* What an agent does for the sessions that it has adopted. */
void sim_adopted_tick(struct sim_world *w, uint8_t agent);

/* ---- probe.c ---- */
/* The agent of a connection's first host asks that of another node, a number of times. */
void sim_probe_begin(struct sim_world *w, uint8_t flow, uint8_t to, uint8_t flags, uint8_t rounds,
		     uint64_t at_ns);
void sim_probe(struct sim_world *w, uint8_t channel);
void sim_probe_answered(struct sim_world *w, uint8_t agent, uint32_t slot);
void sim_probes_draw(struct sim_world *w);

/* ---- box.c ---- */
void sim_box_receive(struct sim_world *w, uint8_t node, struct sim_packet *packet);
void sim_wire_nat(struct sim_world *w, uint8_t node, struct sim_packet *packet);
/* A stack answers what belongs to nothing with RST. */
void sim_stack_refuse(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		      enum sim_origin origin);

/* ---- strict.c ---- */
bool sim_strict_passes(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		       const struct sim_segment *s);
/* At the end: counts the connections, and those that look alive. */
void sim_strict_count(struct sim_world *w);
void sim_delta_apply(const struct sim_world *w, uint8_t node, struct sim_packet *packet,
		     const struct sim_segment *s);

/* ---- tcp.c ---- */
void sim_tcp_open(struct sim_world *w, uint8_t flow);
void sim_tcp_receive(struct sim_world *w, uint8_t node, struct sim_packet *packet);
/* An open connection of this node gets what bears this five-tuple. */
bool sim_tcp_knows(const struct sim_world *w, uint8_t node, const struct dysco_tuple *tuple);
void sim_tcp_timer(struct sim_world *w, uint8_t conn);

/* ---- check.c ---- */
void sim_check_wire(struct sim_world *w, uint8_t from, const struct sim_packet *packet);
/* Before a box or an endpoint acts on it. */
void sim_check_delivery(struct sim_world *w, uint8_t node, const struct sim_packet *packet);
/* A SYN that calls a chain back (docs/protocol.md 7.7). */
bool sim_is_withdraw(const struct sim_segment *s);
uint8_t sim_pattern(uint8_t flow, uint8_t side, uint32_t position);
bool sim_flows_over(const struct sim_world *w);
void sim_check_flows(struct sim_world *w);
void sim_check_leaks(struct sim_world *w);
void sim_check_core(struct sim_world *w, uint8_t agent);

/* ---- enemy.c ---- */
void sim_enemy_sniff(struct sim_world *w, const struct sim_packet *packet);
void sim_enemy_draw(struct sim_world *w);
void sim_enemy_act(struct sim_world *w);

#endif
