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

#define SIM_DELACK_NS	 (40 * SIM_MS)
#define SIM_SACKS	 4

struct sim_options {
	bool has_ts, sack_ok, has_wscale;
	uint8_t wscale, n_sack;
	uint32_t tsval, tsecr;
	struct sim_range sack[SIM_SACKS];
};
void sim_options_read(struct sim_options *o, const struct sim_segment *s);
/* Those of a segment of this connection; returns their bytes, a multiple of 4. */
uint8_t sim_options_put(const struct sim_world *w, uint8_t *at, struct sim_conn *c, uint8_t flags);

/* Sets of at most `most` disjoint ranges. False: full, not added. */
bool sim_range_add(struct sim_range *set, uint8_t *n, uint8_t most, uint32_t begin, uint32_t end);
/* The end of the range that holds `at`, or `at`. */
uint32_t sim_range_end(const struct sim_range *set, uint8_t n, uint32_t at);
/* Where the first range behind `at` begins, or limit. */
uint32_t sim_range_next(const struct sim_range *set, uint8_t n, uint32_t at, uint32_t limit);
void sim_range_drop(struct sim_range *set, uint8_t *n, uint32_t below);
/* Its timestamp clock. */
uint32_t sim_tcp_clock(const struct sim_world *w, const struct sim_conn *c);
/* One segment from snd_una on, again. */
void sim_tcp_resend(struct sim_world *w, struct sim_conn *c);

/* promises.c: of a segment that this connection got. */
void sim_tcp_check_promises(struct sim_world *w, const struct sim_conn *c,
			    const struct sim_segment *s, const struct sim_options *o);

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
