/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of the model TCP share: tcp.c receives, tcp_out.c sends. */
#ifndef DYSCO_TESTS_SIM_TCP_H
#define DYSCO_TESTS_SIM_TCP_H

#include "tests/sim/world.h"

#define SIM_RTO_NS	 (300 * SIM_MS)
#define SIM_RTO_MAX_NS	 (2400 * SIM_MS)
#define SIM_TRIES	 12
#define SIM_TIME_WAIT_NS (8 * SIM_S)
#define SIM_READ_NS	 (150 * SIM_MS)
#define SIM_KEEP_NS	 (4 * SIM_S)

void sim_tcp_end(struct sim_world *w, struct sim_conn *c, enum sim_tcp_end end);
bool sim_tcp_take_data(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s);

/* Fills in nothing: tuple, numbers and flags are the caller's. */
void sim_tcp_emit(struct sim_world *w, struct sim_conn *c, const struct sim_segment *s);
/* SYN or SYN-ACK, by state. */
void sim_tcp_send_syn(struct sim_world *w, struct sim_conn *c);
void sim_tcp_send_ack(struct sim_world *w, struct sim_conn *c);
/* A segment the peer must answer, without new data. */
void sim_tcp_send_probe(struct sim_world *w, struct sim_conn *c);
/* All that window and application allow. */
void sim_tcp_output(struct sim_world *w, struct sim_conn *c);
/* Makes sure that an event will look at the timers in time. */
void sim_tcp_schedule(struct sim_world *w, struct sim_conn *c);

#endif
