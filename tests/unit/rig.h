/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rig for tests of the core: three hosts in a row, each with an agent of its
 * own over a table in plain memory, and hands that carry packets between them.
 * A fourth one is in no chain until it is put there.
 *
 *    client (1) ------- box (2) ------- server (3)         extra (4)
 *    10.0.0.1           10.0.0.2        10.0.0.3           10.0.0.4
 *    fd00::1            fd00::2         fd00::3            fd00::4
 */
#ifndef DYSCO_TESTS_UNIT_RIG_H
#define DYSCO_TESTS_UNIT_RIG_H

#include "core/internal.h"
#include "datapath/sim/sim.h"

#define RIG_AGENTS 4
enum { CLIENT = 0, BOX = 1, SERVER = 2, EXTRA = 3 };

struct rig_agent {
	struct dysco_sim sim;
	struct dysco_core core;
	struct dysco_setup setup;
	struct dysco_actions out;
};

struct rig {
	struct rig_agent agent[RIG_AGENTS];
	uint64_t now_ns;
};

/* A packet on its way between the agents. */
struct rig_packet {
	uint8_t data[2048];
	size_t bytes;
	struct dysco_packet p;
};

/* One policy, `web`, on the client: via the box. Every agent knows every host's address. */
struct rig *rig_new(void);
void rig_free(struct rig *rig);
void rig_restart(struct rig *rig, int agent);
void rig_sign(struct rig *rig, uint8_t first_key_byte);

struct dysco_addr rig_addr(int host, bool ip4);
struct dysco_tuple rig_session(uint16_t sport, bool ip4);
struct rig_packet rig_segment(const struct dysco_tuple *tuple, uint32_t seq, uint32_t ack,
			      uint8_t flags, const void *payload, size_t bytes);
/* The same with another window than 1000. */
struct rig_packet rig_segment_in(const struct dysco_tuple *tuple, uint32_t seq, uint32_t ack,
				 uint8_t flags, uint16_t window, const void *payload, size_t bytes);
struct rig_packet rig_syn(uint16_t sport, uint32_t seq);

/*
 * A packet comes by at a host's attachment: fast path and core, as on a real
 * one. Returns what was sent or delivered; bytes == 0: nothing was.
 */
struct rig_packet rig_pass(struct rig *rig, int agent, enum dysco_direction direction,
			   const struct rig_packet *packet);
#define rig_out(rig, agent, packet) rig_pass(rig, agent, DYSCO_OUT, packet)
#define rig_in(rig, agent, packet)  rig_pass(rig, agent, DYSCO_IN, packet)

/* Through client, box and server; what the server's stack gets. */
struct rig_packet rig_to_server(struct rig *rig, const struct rig_packet *packet);
struct rig_packet rig_to_client(struct rig *rig, const struct rig_packet *packet);
/* A whole handshake; fails the test when it does not come through. */
void rig_connect(struct rig *rig, const struct dysco_tuple *session);
/* The same with another initial number of the client's than 100. */
void rig_connect_from(struct rig *rig, const struct dysco_tuple *session, uint32_t isn);
/* Nothing but the handshake has been said: both FINs and their acknowledgements, the client first.
 */
void rig_close(struct rig *rig, const struct dysco_tuple *session);

/* Time passes at all agents in steps of a second; packets the cores send on their own are lost. */
void rig_wait(struct rig *rig, unsigned int seconds);
uint64_t rig_drops(const struct rig *rig, int agent, enum dysco_reason reason);
uint64_t rig_counter(const struct rig *rig, int agent, enum dysco_counter counter);
bool rig_event(const struct rig *rig, int agent, enum dysco_event_kind event);

#endif
