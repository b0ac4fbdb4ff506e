/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session between client, box and server, or extra too (rig.h), over a network that carries
 * everything at once and in order: what a quiet world shows of reconfigurations.
 * Disturbances are the explorer's and the simulator's.
 */
#ifndef DYSCO_TESTS_UNIT_WORLD_H
#define DYSCO_TESTS_UNIT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/reconfig.h"
#include "tests/unit/rig.h"

#include <string.h>

#define QUEUE_MAX 256

/* Packets under way, and what the ends and the box have got. */
struct world {
	struct rig *rig;
	struct {
		int agent;
		enum dysco_direction direction;
		struct rig_packet packet;
	} queue[QUEUE_MAX];
	unsigned int head, tail;
	unsigned int delivered[RIG_AGENTS]; /* bytes of payload */
	unsigned int boxed;		    /* packets the box has seen */
	struct rig_packet last[RIG_AGENTS];
	unsigned int done, failed;
	bool box_dead;			 /* nothing gets in or out of its host */
	uint8_t lost_type;		 /* messages of this type are lost, 0: none */
	unsigned int resets[RIG_AGENTS]; /* that an agent has made and sent */
	bool box_refuses;		 /* every SYN */
	bool resets_lost;		 /* that agents send */
	uint8_t lost_control; /* type of messages lost on control sessions alone, 0: none */
	/* What is between the agents, NULL: nothing; true: it drops what goes to this one. */
	bool (*between)(struct world *w, int agent, const struct rig_packet *packet);
	uint8_t reason;
};

static inline int agent_of(const struct dysco_addr *addr)
{
	for (int i = 0; i < RIG_AGENTS; i++) {
		struct dysco_addr own = rig_addr(i, true);

		if (dysco_addr_equal(addr, &own)) {
			return i;
		}
	}
	fail();
	return -1;
}

static inline void enqueue(struct world *w, int agent, enum dysco_direction direction,
			   const struct rig_packet *packet)
{
	assert_true(w->tail < QUEUE_MAX);
	w->queue[w->tail].agent = agent;
	w->queue[w->tail].direction = direction;
	w->queue[w->tail++].packet = *packet;
}

static inline struct rig_packet parsed(const uint8_t *data, size_t bytes)
{
	struct rig_packet packet = {.bytes = bytes};

	memcpy(packet.data, data, bytes);
	assert_int_equal(
	    dysco_packet_parse(&packet.p, packet.data, packet.data + bytes, (uint32_t)bytes),
	    DYSCO_PARSE_TCP);
	assert_true(dysco_edit_checksum_ok(&packet.p, packet.data, bytes));
	return packet;
}

static inline void delivered(struct world *w, int agent, const struct rig_packet *packet)
{
	if (agent == BOX || agent == EXTRA) {
		w->boxed += agent == BOX;
		enqueue(w, agent, DYSCO_OUT, packet); /* it forwards everything */
		return;
	}
	w->delivered[agent] += packet->p.payload_bytes;
	w->last[agent] = *packet;
}

static inline void carry_out(struct world *w, int agent, const struct rig_packet *input,
			     enum dysco_direction direction)
{
	const struct dysco_actions *out = &w->rig->agent[agent].out;

	for (uint32_t i = 0; i < out->count; i++) {
		const struct dysco_action *action = &out->list[i];
		struct rig_packet packet;

		if (action->kind == DYSCO_ACT_EVENT) {
			w->done += action->event == DYSCO_EVENT_RECONFIGURED;
			w->failed += action->event == DYSCO_EVENT_RECONFIG_FAILED;
			if (action->event == DYSCO_EVENT_RECONFIG_FAILED) {
				w->reason = action->reason;
			}
		} else if (action->kind == DYSCO_ACT_PASS && direction == DYSCO_IN) {
			delivered(w, agent, input);
		} else if (action->kind == DYSCO_ACT_SEND) {
			packet = parsed(&out->arena[action->offset], action->bytes);
			w->resets[agent] += (packet.p.flags & DYSCO_TCP_RST) != 0;
			enqueue(w, agent_of(&packet.p.tuple.dst), DYSCO_IN, &packet);
		} else if (action->kind == DYSCO_ACT_DELIVER) {
			packet = parsed(&out->arena[action->offset], action->bytes);
			delivered(w, agent, &packet);
		}
	}
}

/* The type of the message in a packet, 0: there is none. */
static inline uint8_t message_type(const struct rig_packet *packet)
{
	static const uint8_t magic[4] = {0xD7, 0x5C, 0x0C, 0x0D};
	const uint8_t *payload = &packet->data[packet->bytes - packet->p.payload_bytes];

	return packet->p.payload_bytes >= DYSCO_HEADER_BYTES &&
		       memcmp(payload, magic, sizeof(magic)) == 0
		   ? payload[5]
		   : 0;
}

static inline bool is_lost(const struct world *w, int agent, const struct rig_packet *packet)
{
	uint8_t type = message_type(packet);

	return (w->box_dead && agent == BOX) ||
	       (w->resets_lost && (packet->p.flags & DYSCO_TCP_RST)) ||
	       (type && (type == w->lost_type ||
			 (type == w->lost_control && !(packet->p.flags & DYSCO_TCP_URG))));
}

/* RFC 9293 3.10.7.1. */
static inline void refuse(struct world *w, const struct rig_packet *syn)
{
	struct dysco_tuple back = dysco_tuple_reverse(&syn->p.tuple);
	struct rig_packet packet =
	    rig_segment(&back, 0, syn->p.seq + 1, DYSCO_TCP_RST | DYSCO_TCP_ACK, "", 0);

	enqueue(w, agent_of(&back.dst), DYSCO_IN, &packet);
}

static inline void take(struct world *w, int agent, enum dysco_direction direction,
			const struct rig_packet *packet)
{
	struct rig_packet got;

	if (is_lost(w, agent, packet) ||
	    (w->between && direction == DYSCO_IN && w->between(w, agent, packet))) {
		return;
	}
	if (w->box_refuses && agent == BOX && (packet->p.flags & DYSCO_TCP_SYN)) {
		refuse(w, packet);
		return;
	}
	got = rig_pass(w->rig, agent, direction, packet);

	if (w->rig->agent[agent].out.count > 0) {
		carry_out(w, agent, packet, direction);
	} else if (got.bytes > 0 && direction == DYSCO_OUT) {
		enqueue(w, agent_of(&got.p.tuple.dst), DYSCO_IN, &got);
	} else if (got.bytes > 0) {
		delivered(w, agent, &got);
	}
}

/* One packet further; false: none is under way. */
static inline bool step(struct world *w)
{
	unsigned int at = w->head;

	if (at == w->tail) {
		w->head = w->tail = 0;
		return false;
	}
	w->head++;
	take(w, w->queue[at].agent, w->queue[at].direction, &w->queue[at].packet);
	return true;
}

static inline void run(struct world *w)
{
	while (step(w)) {
	}
}

/* A segment of one end; `data` bytes. */
static inline void say(struct world *w, int agent, uint32_t seq, uint32_t ack, const char *data)
{
	struct dysco_tuple tuple = rig_session(4000, true);
	struct rig_packet packet;

	tuple = agent == SERVER ? dysco_tuple_reverse(&tuple) : tuple;
	packet = rig_segment(&tuple, seq, ack, DYSCO_TCP_ACK, data, strlen(data));
	enqueue(w, agent, DYSCO_OUT, &packet);
	run(w);
}

static inline uint32_t right_leg(const struct world *w, int agent)
{
	const struct rig_agent *a = &w->rig->agent[agent];

	for (uint32_t slot = 1; slot < a->sim.table.capacity; slot++) {
		if (a->sim.legs[slot].mode == DYSCO_MODE_FAST &&
		    (a->sim.legs[slot].role == DYSCO_ROLE_FIRST ||
		     a->sim.legs[slot].role == DYSCO_ROLE_RIGHT)) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

static inline struct dysco_address_list path_of(int first, int second)
{
	struct dysco_address_list path = {.count = 1};

	path.hops[0].addr = rig_addr(first, true);
	if (second >= 0) {
		path.hops[path.count++].addr = rig_addr(second, true);
	}
	return path;
}

static inline uint32_t reconfigure_at(struct world *w, int agent, uint8_t kind,
				      struct dysco_address_list path)
{
	struct rig_agent *a = &w->rig->agent[agent];
	uint32_t index = dysco_core_reconfigure(&a->core, w->rig->now_ns, right_leg(w, agent), kind,
						&path, &a->out);

	carry_out(w, agent, NULL, DYSCO_OUT);
	run(w);
	return index;
}

static inline uint32_t reconfigure_as(struct world *w, uint8_t kind, struct dysco_address_list path)
{
	return reconfigure_at(w, CLIENT, kind, path);
}

static inline uint32_t reconfigure(struct world *w, struct dysco_address_list path)
{
	return reconfigure_as(w, DYSCO_KIND_ORDINARY, path);
}

/* client and server have sent "hello" (101 on) and "world" (501 on), through the box. */
static inline struct world *established_over(bool (*between)(struct world *, int,
							     const struct rig_packet *))
{
	static struct world w;
	struct dysco_tuple session = rig_session(4000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet syn = rig_segment(&session, 100, 0, DYSCO_TCP_SYN, NULL, 0);
	struct rig_packet syn_ack =
	    rig_segment(&back, 500, 101, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);

	memset(&w, 0, sizeof(w));
	w.rig = rig_new();
	w.between = between;
	enqueue(&w, CLIENT, DYSCO_OUT, &syn);
	run(&w);
	enqueue(&w, SERVER, DYSCO_OUT, &syn_ack);
	run(&w);
	say(&w, CLIENT, 101, 501, "");
	say(&w, CLIENT, 101, 501, "hello");
	say(&w, SERVER, 501, 106, "world");
	say(&w, CLIENT, 106, 506, "");
	assert_int_equal(w.boxed, 6);
	assert_int_equal(w.delivered[SERVER], 5);
	assert_int_equal(w.delivered[CLIENT], 5);
	return &w;
}

static inline struct world *established(void)
{
	return established_over(NULL);
}

/* Time passes at this agent: it repeats what it has had no answer to. */
static inline void again(struct world *w, int agent)
{
	struct rig_agent *a = &w->rig->agent[agent];

	w->rig->now_ns += DYSCO_RETRY_MAX_NS;
	while (dysco_core_time_passed(&a->core, w->rig->now_ns, 64, &a->out)) {
		carry_out(w, agent, NULL, DYSCO_OUT);
	}
	carry_out(w, agent, NULL, DYSCO_OUT);
	run(w);
}

static inline void nothing_is_left(const struct world *w)
{
	for (int i = 0; i < RIG_AGENTS; i++) {
		for (uint32_t n = 1; n < DYSCO_SIM_ATTEMPTS; n++) {
			assert_int_equal(w->rig->agent[i].sim.attempts[n].role, DYSCO_PART_NONE);
		}
	}
}

/* Both ends still talk, with their own numbers; `boxed`: through the box or not. */
static inline void talks(struct world *w, bool boxed)
{
	unsigned int before = w->boxed;

	say(w, CLIENT, 106, 506, "more");
	assert_int_equal(w->last[SERVER].p.seq, 106);
	assert_int_equal(w->last[SERVER].p.ack, 506);
	assert_int_equal(w->last[SERVER].p.payload_bytes, 4);
	say(w, SERVER, 506, 110, "and more");
	assert_int_equal(w->last[CLIENT].p.seq, 506);
	assert_int_equal(w->last[CLIENT].p.ack, 110);
	assert_int_equal(w->last[CLIENT].p.payload_bytes, 8);
	assert_int_equal(w->boxed - before, boxed ? 2 : 0);
}

#endif
