/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Why a packet was dropped or let past its chain: numbered, named, counted.
 * Numbers never change and are never reused; new ones go to the end.
 * Freestanding; shared by core, datapaths, agent and command line.
 */
#ifndef DYSCO_DATAPATH_REASONS_H
#define DYSCO_DATAPATH_REASONS_H

/* X(symbol, number, name in `dysco stats`, text for people) */
#define DYSCO_REASONS(X)                                                                           \
	X(NONE, 0, "none", "not dropped")                                                          \
	X(BAD_PACKET, 1, "bad_packet", "truncated or contradictory IP or TCP header")              \
	X(FRAGMENT, 2, "fragment", "IP fragment of a TCP packet")                                  \
	X(NO_AGENT, 3, "no_agent", "matches a fail-closed policy, and no agent is running")        \
	X(MSG_TRUNCATED, 4, "msg_truncated", "Dysco message shorter than it says")                 \
	X(MSG_VERSION, 5, "msg_version", "Dysco message of another protocol version")              \
	X(MSG_MALFORMED, 6, "msg_malformed", "Dysco message that contradicts itself")              \
	X(MSG_UNSIGNED, 7, "msg_unsigned", "unsigned Dysco message, but a key is configured")      \
	X(MSG_KEY, 8, "msg_key", "Dysco message signed with an unknown key id")                    \
	X(MSG_FORGED, 9, "msg_forged", "Dysco message whose HMAC does not match")                  \
	X(MSG_REPLAY, 10, "msg_replay", "Dysco message seen before, or older than the window")     \
	X(NOT_ADDRESSED, 11, "not_addressed", "SYN whose address list names another host")         \
	X(NO_PORTS, 12, "no_ports", "all port pairs towards the next hop are in use")              \
	X(LEGS_FULL, 13, "legs_full", "leg table full")                                            \
	X(NO_FAMILY, 14, "no_family", "a box has no address in the session's address family")      \
	X(LIST_FULL, 15, "list_full", "address list longer than a SYN can carry")                  \
	X(SYN_TOO_LONG, 16, "syn_too_long", "SYN with its Dysco message does not fit the MTU")     \
	X(PENDING, 17, "pending", "packet of a session whose next subsession is not set up yet")   \
	X(LATE, 18, "late", "packet of a session that has ended")                                  \
	X(SIMULTANEOUS, 19, "simultaneous", "lost the tie of a simultaneous open")                 \
	X(PORT_CONFLICT, 20, "port_conflict", "local socket uses a five-tuple of a subsession")    \
	X(NO_ROUTE, 21, "no_route", "no route to the next hop")                                    \
	X(INJECT, 22, "inject", "packet could not be sent or delivered")                           \
	X(FAMILY_MIX, 23, "family_mix", "session and next hop differ in address family")           \
	X(CONTROL, 24, "control", "control segment that belongs to no session here")               \
	X(SENDERS_FULL, 25, "senders_full",                                                        \
	  "message of a signing agent forgotten for lack of room")                                 \
	X(SLOW_PATH, 26, "slow_path", "queue to the agent full or gone")                           \
	X(REFUSED_OPEN, 27, "refused_open",                                                        \
	  "RST to the SYN of a fail-open chain, withheld: the next SYN goes without")              \
	X(SAID, 28, "said", "in two paths: segment that tells the host nothing new")

/* Plain event counters; X(symbol, name, text) */
#define DYSCO_COUNTERS(X)                                                                          \
	X(FAST_OUT, "fast_out", "packets translated from host to wire")                            \
	X(FAST_IN, "fast_in", "packets translated from wire to host")                              \
	X(FAST_OUT_BYTES, "fast_out_bytes", "their bytes")                                         \
	X(FAST_IN_BYTES, "fast_in_bytes", "their bytes")                                           \
	X(PUNTED, "punted", "packets handed to the agent")                                         \
	X(INJECTED, "injected", "packets sent or delivered by the agent")                          \
	X(BYPASS, "bypass", "sessions of a fail-open policy that went without their chain")        \
	X(SESSIONS_STARTED, "sessions_started", "sessions given a chain here")                     \
	X(SESSIONS_JOINED, "sessions_joined", "sessions that came in with a chain")                \
	X(SESSIONS_ENDED, "sessions_ended", "sessions whose legs ended")                           \
	X(SYN_RETRANSMITTED, "syn_retransmitted", "SYNs seen again and sent on again")             \
	X(REFUSED, "refused", "sessions answered by RST while being set up")                       \
	X(EXPIRED_EMBRYONIC, "expired_embryonic", "sessions never answered")                       \
	X(EXPIRED_IDLE, "expired_idle", "sessions idle for too long, reset")                       \
	X(KILLED, "killed", "sessions reset on request")                                           \
	X(FOREIGN_SYN_DATA, "foreign_syn_data", "SYNs with payload that is not ours")              \
	X(NAT_SEEN, "nat_seen", "subsessions whose five-tuple was changed on the way")             \
	X(TAGGED, "tagged", "SYNs recognised by their tag behind a five-tuple changing box")       \
	X(ICMP_MAPPED, "icmp_mapped", "ICMP errors mapped back to their session")                  \
	X(TRACE_ANSWERED, "trace_answered", "trace questions answered")                            \
	X(RECONFIGURED, "reconfigured", "changes of chains completed at an anchor here")           \
	X(RECONFIG_FAILED, "reconfig_failed", "changes of chains that did not come about")         \
	X(PROBES, "probes", "questions asked after the health of boxes and sessions")              \
	X(PROBES_ANSWERED, "probes_answered", "such questions answered")                           \
	X(PROBES_LIMITED, "probes_limited", "such questions not answered: too many in a second")   \
	X(PATHS_CHECKED, "paths_checked", "silent sessions whose path was looked at")              \
	X(BOXES_DOWN, "boxes_down", "times that a box was found down")                             \
	X(BOXES_UP, "boxes_up", "times that a box came back")                                      \
	X(RECOVERED, "recovered", "sessions given a new path without a failed box")                \
	X(RECOVERY_FAILED, "recovery_failed", "attempts at that which did not come about")         \
	X(CLOSED_FAILED, "closed_failed", "sessions closed, both ends reset, since a box failed")  \
	X(UNLOCATED, "unlocated", "broken paths on which no box could be blamed")                  \
	X(UNPARSED, "unparsed", "packets passed because their headers are not ours to judge")      \
	X(WITHDREW, "withdrew", "chains given up here, and called back")                           \
	X(WITHDRAWN, "withdrawn", "chains through hosts here that were called back")               \
	X(LEFT_BEHIND, "left_behind", "sessions gone at a neighbour of a box here, ended here")    \
	X(OVERTOOK, "overtook", "packets of new paths kept a moment for those of old ones")

enum dysco_reason {
#define X(sym, num, name, text) DYSCO_REASON_##sym = (num),
	DYSCO_REASONS(X)
#undef X
	    DYSCO_REASON_COUNT
};

enum dysco_counter {
#define X(sym, name, text) DYSCO_COUNTER_##sym,
	DYSCO_COUNTERS(X)
#undef X
	    DYSCO_COUNTER_COUNT
};

#endif
