/* SPDX-License-Identifier: BSD-2-Clause */
/* What the world keeps of adopted sessions and of questions of health. */
#ifndef DYSCO_TESTS_SIM_SCENES_H
#define DYSCO_TESTS_SIM_SCENES_H

#include "wire/message.h"

#define SIM_CHANNELS  3
#define SIM_QUESTIONS 8

/* ---- sessions that were adopted: late.c ---- */
struct sim_adopted {
	uint64_t created_ns, quiet_ns, provoke_ns;
	uint32_t slot, end;
	uint8_t agent;
	bool bounded;
};
#define SIM_ADOPTED 12

/* ---- probes: probe.c ---- */
struct sim_channel {
	uint8_t flow, from, to; /* nodes */
	uint8_t rounds, misses;
	uint8_t flags; /* DYSCO_PROBE_* */
	bool waits;    /* for the answer to the last question */
	bool sure;     /* nothing stands in its way */
	uint32_t slot;
	uint32_t nonce[SIM_QUESTIONS]; /* the last ones, a ring */
	uint64_t asked_ns[SIM_QUESTIONS];
	uint8_t n_asked;
	struct dysco_session_id id;
};

#endif
