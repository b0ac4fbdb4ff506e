/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seeded bugs: each spoils, at the seam between core, datapath and world, what
 * a certain mistake in core/, rewrite/ or a datapath would spoil. The simulator
 * must find every one (tests/sim/mutants), else it checks nothing.
 */
#ifndef DYSCO_TESTS_SIM_MUTANT_H
#define DYSCO_TESTS_SIM_MUTANT_H

#include "tests/sim/world.h"

/* X(symbol, text) */
#define SIM_MUTANTS(X)                                                                             \
	X(NONE, "no seeded bug")                                                                   \
	X(TCP_CHECKSUM, "translation leaves the TCP checksum as it was")                           \
	X(IP_CHECKSUM, "translation leaves the IPv4 checksum as it was")                           \
	X(UNBIND, "a key is not unbound")                                                          \
	X(SKIP_BOX, "data goes round a box")                                                       \
	X(KEEP_MESSAGE, "the message is not stripped from a delivered SYN")                        \
	X(KEEP_TAG, "a SYN leaves a box as it is, tag and all")                                    \
	X(SYN_TWICE, "a SYN is sent twice")                                                        \
	X(SILENT_DROP, "a drop is not counted")                                                    \
	X(NO_EXPIRY, "time passes unnoticed")                                                      \
	X(OPEN_WITHOUT_AGENT, "fail-closed SYNs pass while no agent runs")                         \
	X(BELIEVE_ALL, "signatures are not verified")                                              \
	X(NO_REPLAY_WINDOW, "replayed messages are not recognised")                                \
	X(NO_RESET, "idle sessions expire without RST")                                            \
	X(RESET_CLOSED, "a box is sent a RST when a session has ended by FINs")                    \
	X(GROW, "a translated packet grows by 4 bytes")                                            \
	X(WRONG_PORT, "translation takes another port once in a while")                            \
	X(LOSE_TABLE, "a restarted agent begins with an empty table")                              \
	X(SWALLOW_SYN, "a SYN seen before is not sent on")                                         \
	X(SWALLOW_FIN, "a FIN is never translated")                                                \
	X(BLIND, "the running fields are not kept")                                                \
	X(FLIP_DATA, "a byte of data is changed, checksum right")                                  \
	X(UNTRANSLATED, "a packet of a leg leaves untranslated")                                   \
	X(UNSTEADY, "behaviour depends on more than the seed")                                     \
	X(BYPASS_CLOSED, "a fail-closed SYN passes when its chain cannot be had")                  \
	X(LOSE_ATTEMPTS, "a restarted agent has forgotten its reconfigurations")                   \
	X(NO_DELTA, "a box's constants are taken for 0")                                           \
	X(STALE_NUMBERS, "numbers are not translated on a new path")                               \
	X(STALE_CHAIN, "left anchors do not ask what the old path is")                             \
	X(LOSE_WITHDRAW, "chains that were given up are not called back")
enum sim_mutant {
#define X(sym, text) SIM_MUTANT_##sym,
	SIM_MUTANTS(X)
#undef X
	    SIM_MUTANT_COUNT
};

/* After the table was made. */
void sim_mutate_table(struct sim_world *w, struct dysco_sim *dp);
/* After the fast path judged a packet. */
void sim_mutate_fast(struct sim_world *w, struct sim_packet *packet,
		     const struct dysco_sim_result *result, enum dysco_sim_fate *fate);
/* Before the core gets a packet; true: it does not get it. */
bool sim_mutate_punt(struct sim_world *w, const struct sim_packet *packet);
/* After the core answered. */
void sim_mutate_actions(struct sim_world *w, uint8_t agent, const struct sim_packet *from);
/* A packet of the core enters the world. */
void sim_mutate_output(struct sim_world *w, const struct dysco_action *action,
		       const struct sim_packet *from, struct sim_packet *packet);
/* Before a box gets a packet; true: it does not get it. */
bool sim_mutate_box(struct sim_world *w, uint8_t node, struct sim_packet *packet);
/* While an agent's clock ticks; true: it does not. */
bool sim_mutate_tick(const struct sim_world *w);
/* While a box tells its constants; true: they get lost. */
bool sim_mutate_freeze(const struct sim_world *w);
void sim_mutate_restart(struct sim_world *w, uint8_t agent);

#endif
