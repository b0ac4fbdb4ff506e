// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconfigurations of a session between client, box and server (rig.h), over a
 * network that carries everything at once and in order: what a quiet world shows.
 * Disturbances are the explorer's and the simulator's.
 */
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
	uint8_t reason;
};

static int agent_of(const struct dysco_addr *addr)
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

static void enqueue(struct world *w, int agent, enum dysco_direction direction,
		    const struct rig_packet *packet)
{
	assert_true(w->tail < QUEUE_MAX);
	w->queue[w->tail].agent = agent;
	w->queue[w->tail].direction = direction;
	w->queue[w->tail++].packet = *packet;
}

static struct rig_packet parsed(const uint8_t *data, size_t bytes)
{
	struct rig_packet packet = {.bytes = bytes};

	memcpy(packet.data, data, bytes);
	assert_int_equal(
	    dysco_packet_parse(&packet.p, packet.data, packet.data + bytes, (uint32_t)bytes),
	    DYSCO_PARSE_TCP);
	assert_true(dysco_edit_checksum_ok(&packet.p, packet.data, bytes));
	return packet;
}

static void delivered(struct world *w, int agent, const struct rig_packet *packet)
{
	if (agent == BOX) {
		w->boxed++;
		enqueue(w, BOX, DYSCO_OUT, packet); /* it forwards everything */
		return;
	}
	w->delivered[agent] += packet->p.payload_bytes;
	w->last[agent] = *packet;
}

static void carry_out(struct world *w, int agent, const struct rig_packet *input,
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

static bool is_lost(const struct world *w, int agent, const struct rig_packet *packet)
{
	static const uint8_t magic[4] = {0xD7, 0x5C, 0x0C, 0x0D};
	const uint8_t *payload = &packet->data[packet->bytes - packet->p.payload_bytes];

	return (w->box_dead && agent == BOX) ||
	       (w->lost_type && packet->p.payload_bytes >= DYSCO_HEADER_BYTES &&
		memcmp(payload, magic, sizeof(magic)) == 0 && payload[5] == w->lost_type);
}

/* RFC 9293 3.10.7.1. */
static void refuse(struct world *w, const struct rig_packet *syn)
{
	struct dysco_tuple back = dysco_tuple_reverse(&syn->p.tuple);
	struct rig_packet packet =
	    rig_segment(&back, 0, syn->p.seq + 1, DYSCO_TCP_RST | DYSCO_TCP_ACK, "", 0);

	enqueue(w, agent_of(&back.dst), DYSCO_IN, &packet);
}

static void take(struct world *w, int agent, enum dysco_direction direction,
		 const struct rig_packet *packet)
{
	struct rig_packet got;

	if (is_lost(w, agent, packet)) {
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
static bool step(struct world *w)
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

static void run(struct world *w)
{
	while (step(w)) {
	}
}

/* A segment of one end; `data` bytes. */
static void say(struct world *w, int agent, uint32_t seq, uint32_t ack, const char *data)
{
	struct dysco_tuple tuple = rig_session(4000, true);
	struct rig_packet packet;

	tuple = agent == SERVER ? dysco_tuple_reverse(&tuple) : tuple;
	packet = rig_segment(&tuple, seq, ack, DYSCO_TCP_ACK, data, strlen(data));
	enqueue(w, agent, DYSCO_OUT, &packet);
	run(w);
}

static uint32_t right_leg(const struct world *w, int agent)
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

static struct dysco_address_list path_of(int first, int second)
{
	struct dysco_address_list path = {.count = 1};

	path.hops[0].addr = rig_addr(first, true);
	if (second >= 0) {
		path.hops[path.count++].addr = rig_addr(second, true);
	}
	return path;
}

static uint32_t reconfigure_as(struct world *w, uint8_t kind, struct dysco_address_list path)
{
	struct rig_agent *a = &w->rig->agent[CLIENT];
	uint32_t index = dysco_core_reconfigure(&a->core, w->rig->now_ns, right_leg(w, CLIENT),
						kind, &path, &a->out);

	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	return index;
}

static uint32_t reconfigure(struct world *w, struct dysco_address_list path)
{
	return reconfigure_as(w, DYSCO_KIND_ORDINARY, path);
}

/* client and server have sent "hello" (101 on) and "world" (501 on), through the box. */
static struct world *established(void)
{
	static struct world w;
	struct dysco_tuple session = rig_session(4000, true);

	memset(&w, 0, sizeof(w));
	w.rig = rig_new();
	rig_connect(w.rig, &session);
	say(&w, CLIENT, 101, 501, "hello");
	say(&w, SERVER, 501, 106, "world");
	say(&w, CLIENT, 106, 506, "");
	assert_int_equal(w.boxed, 3);
	assert_int_equal(w.delivered[SERVER], 5);
	assert_int_equal(w.delivered[CLIENT], 5);
	return &w;
}

static void nothing_is_left(const struct world *w)
{
	for (int i = 0; i < RIG_AGENTS; i++) {
		for (uint32_t n = 1; n < DYSCO_SIM_ATTEMPTS; n++) {
			assert_int_equal(w->rig->agent[i].sim.attempts[n].role, DYSCO_PART_NONE);
		}
	}
}

/* Both ends still talk, with their own numbers; `boxed`: through the box or not. */
static void talks(struct world *w, bool boxed)
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

static void a_box_is_left_out(void **state)
{
	struct world *w = established();

	(void)state;
	assert_int_not_equal(reconfigure(w, path_of(SERVER, -1)), DYSCO_NO_ATTEMPT);
	assert_int_equal(w->done, 2); /* at both anchors */
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

/* The client repeats what it has had no answer to. */
static void again(struct world *w)
{
	struct rig_agent *client = &w->rig->agent[CLIENT];

	w->rig->now_ns += DYSCO_RETRY_MAX_NS;
	while (dysco_core_time_passed(&client->core, w->rig->now_ns, 64, &client->out)) {
		carry_out(w, CLIENT, NULL, DYSCO_OUT);
	}
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
}

static void forgets_attempts(struct world *w, int agent)
{
	for (uint64_t nonce = 1; nonce <= DYSCO_NONCES_OVER; nonce++) {
		dysco_nonce_over(&w->rig->agent[agent].core, nonce, true);
	}
}

/* Its last answers were lost, and it has had many attempts since: the session lives all the same.
 */
static void the_right_anchor_has_forgotten(void **state)
{
	struct world *w = established();

	(void)state;
	w->lost_type = DYSCO_MSG_RELEASED;
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	w->lost_type = 0;
	forgets_attempts(w, SERVER);
	again(w);
	assert_int_equal(w->failed, 0);
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

static void a_box_comes_back(void **state)
{
	struct world *w = established();

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(w->done, 4);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* The box asks for this path; what it sends is under way. */
static void box_asks(struct world *w, struct dysco_address_list path)
{
	struct rig_agent *box = &w->rig->agent[BOX];
	uint32_t slot = box->sim.legs[right_leg(w, BOX)].partner;

	assert_int_not_equal(dysco_core_trigger(&box->core, w->rig->now_ns, slot, &path, &box->out),
			     DYSCO_NO_ATTEMPT);
	carry_out(w, BOX, NULL, DYSCO_OUT);
}

static void a_box_asks_to_be_left_out(void **state)
{
	struct world *w = established();

	(void)state;
	box_asks(w, path_of(SERVER, -1));
	run(w);
	assert_int_equal(w->done, 3); /* both anchors, and the box has its answer */
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

static void an_agent_need_not_obey_boxes(void **state)
{
	struct world *w = established();

	(void)state;
	w->rig->agent[CLIENT].setup.triggers = DYSCO_TRIGGERS_NONE;
	box_asks(w, path_of(SERVER, -1));
	run(w);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_POLICY);
	w->rig->agent[CLIENT].setup.triggers = DYSCO_TRIGGERS_REMOVAL;
	box_asks(w, path_of(SERVER, BOX));
	run(w);
	assert_int_equal(w->failed, 2);
	assert_int_equal(w->reason, DYSCO_NACK_POLICY);
	box_asks(w, path_of(SERVER, -1));
	run(w);
	assert_int_equal(w->done, 3);
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

/* Every 2 s, sixteen times (docs/protocol.md 12.11), however often the core is told the time. */
static void a_box_asks_with_patience(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	unsigned int asked = 0;

	(void)state;
	box_asks(w, path_of(SERVER, -1));
	for (unsigned int ms = 0; ms < 40000 && w->failed == 0; ms += 100) {
		w->tail = 0; /* nothing arrives */
		w->rig->now_ns += 100000000;
		dysco_core_time_passed(&box->core, w->rig->now_ns, 1, &box->out);
		carry_out(w, BOX, NULL, DYSCO_OUT);
		asked += w->tail;
	}
	assert_int_equal(asked, 16);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_TIMEOUT);
	nothing_is_left(w);
	rig_free(w->rig);
}

/* The left neighbour knows from the chain that the session has to go through it. */
static void a_mandatory_box_is_not_left_out(void **state)
{
	struct world *w = established();
	struct rig_agent *client = &w->rig->agent[CLIENT];

	(void)state;
	client->sim.cold[right_leg(w, CLIENT)].list.hops[0].flags = DYSCO_HOP_MANDATORY;
	box_asks(w, path_of(SERVER, -1));
	run(w);
	assert_int_equal(w->done, 0);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_POLICY);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* What the box took with it is sent again by the ends, and comes by the new path. */
static void the_ends_do_without_a_dead_box(void **state)
{
	struct world *w = established();

	(void)state;
	w->box_dead = true;
	say(w, CLIENT, 106, 506, "lost");
	say(w, SERVER, 506, 106, "gone too");
	assert_int_equal(w->delivered[SERVER], 5);
	assert_int_not_equal(reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1)),
			     DYSCO_NO_ATTEMPT);
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	say(w, CLIENT, 106, 506, "lost");
	assert_int_equal(w->last[SERVER].p.seq, 106);
	assert_int_equal(w->last[SERVER].p.payload_bytes, 4);
	say(w, SERVER, 506, 110, "gone too");
	assert_int_equal(w->last[CLIENT].p.seq, 506);
	assert_int_equal(w->last[CLIENT].p.ack, 110);
	assert_int_equal(w->last[CLIENT].p.payload_bytes, 8);
	rig_free(w->rig);
}

/* Acknowledgements that the dead box swallowed: the peer knows better what has arrived. */
static void what_had_arrived_is_not_sent_again(void **state)
{
	struct world *w = established();

	(void)state;
	say(w, CLIENT, 106, 506, "seen");
	w->box_dead = true;
	say(w, SERVER, 506, 110, "");
	reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	w->delivered[SERVER] = 0;
	say(w, CLIENT, 106, 506, "seen"); /* its time-out: answered by its own agent */
	assert_int_equal(w->delivered[SERVER], 0);
	assert_int_equal(w->last[CLIENT].p.ack, 110);
	rig_free(w->rig);
}

/* A session without a policy, that the box has never seen, gets a chain. */
static void a_session_is_adopted(void **state)
{
	struct world *w = established();
	struct dysco_tuple tuple = rig_session(4001, true), back = dysco_tuple_reverse(&tuple);
	struct dysco_syn_options options = {1460, DYSCO_NO_WSCALE, DYSCO_SYN_NOTED};
	struct dysco_late late = {.host = CLIENT + 1,
				  .attachment = 1,
				  .initiator = true,
				  .tuple = tuple,
				  .options = {options, options}};
	struct rig_agent *client = &w->rig->agent[CLIENT];
	struct dysco_address_list path = path_of(BOX, SERVER);
	struct rig_packet packet;
	uint32_t slot, index;

	(void)state;
	slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	assert_int_not_equal(slot, DYSCO_NO_SLOT);
	assert_int_equal(dysco_core_adopt(&client->core, w->rig->now_ns, &late), DYSCO_NO_SLOT);
	assert_int_equal(dysco_core_reconfigure(&client->core, w->rig->now_ns, slot,
						DYSCO_KIND_LATE, &path, &client->out),
			 DYSCO_NO_ATTEMPT); /* nothing was seen of it yet */
	for (int round = 0; round < 2; round++) {
		packet = rig_segment(&tuple, 1000, 2000, DYSCO_TCP_ACK, NULL, 0);
		enqueue(w, CLIENT, DYSCO_OUT, &packet);
		packet = rig_segment(&back, 2000, 1000, DYSCO_TCP_ACK, NULL, 0);
		enqueue(w, SERVER, DYSCO_OUT, &packet);
		run(w);
		if (round == 0) {
			index = dysco_core_reconfigure(&client->core, w->rig->now_ns, slot,
						       DYSCO_KIND_LATE, &path, &client->out);
			assert_int_not_equal(index, DYSCO_NO_ATTEMPT);
			carry_out(w, CLIENT, NULL, DYSCO_OUT);
			run(w); /* the server has a leg now, and waits to see the session */
			assert_int_equal(w->done, 0);
		}
	}
	assert_true(dysco_core_attempt_due(&client->core, w->rig->now_ns, index, &client->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	w->boxed = 0;
	packet = rig_segment(&tuple, 1000, 2000, DYSCO_TCP_ACK, "now by the box", 14);
	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	run(w);
	assert_int_equal(w->boxed, 1);
	assert_int_equal(w->last[SERVER].p.seq, 1000);
	assert_int_equal(w->last[SERVER].p.payload_bytes, 14);
	rig_free(w->rig);
}

/* Between the SYN and RELEASE nobody may change a part of the new path. */
static void an_inserted_box_is_locked_from_the_start(void **state)
{
	struct world *w = established();
	struct rig_agent *client = &w->rig->agent[CLIENT], *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(BOX, SERVER), shorter = path_of(SERVER, -1);
	uint32_t index;

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	index = dysco_core_reconfigure(&client->core, w->rig->now_ns, right_leg(w, CLIENT),
				       DYSCO_KIND_ORDINARY, &path, &client->out);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	while (client->sim.attempts[index].state != DYSCO_ATTEMPT_CUTTING && step(w)) {
	}
	assert_int_equal(client->sim.attempts[index].state, DYSCO_ATTEMPT_CUTTING);
	assert_int_equal(dysco_core_reconfigure(&box->core, w->rig->now_ns, right_leg(w, BOX),
						DYSCO_KIND_ORDINARY, &shorter, &box->out),
			 DYSCO_NO_ATTEMPT);
	assert_int_equal(box->out.list[0].reason, DYSCO_NACK_BUSY);
	run(w);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* Bytes each way of a session that no agent knows, at its ends. */
static void unknown_session_says(struct world *w, uint32_t client_seq)
{
	struct dysco_tuple tuple = rig_session(4001, true), back = dysco_tuple_reverse(&tuple);
	struct rig_packet packet = rig_segment(&tuple, client_seq, 2000, DYSCO_TCP_ACK, NULL, 0);

	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	packet = rig_segment(&back, 2000, 1000, DYSCO_TCP_ACK, NULL, 0);
	enqueue(w, SERVER, DYSCO_OUT, &packet);
	run(w);
}

static struct dysco_late unknown_session(void)
{
	struct dysco_syn_options options = {1460, DYSCO_NO_WSCALE, DYSCO_SYN_NOTED};
	struct dysco_late late = {.host = CLIENT + 1,
				  .attachment = 1,
				  .initiator = true,
				  .tuple = rig_session(4001, true),
				  .options = {options, options}};

	return late;
}

static uint32_t server_leg(struct world *w)
{
	struct dysco_tuple tuple = rig_session(4001, true);

	return dysco_find(&w->rig->agent[SERVER].core, &tuple, SERVER + 1, DYSCO_IN);
}

/* What was sent before it was adopted may be beyond what was seen: both ends wait to know. */
static void adopted_sessions_wait_until_all_is_known(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT], *server = &w->rig->agent[SERVER];
	struct dysco_address_list path = path_of(BOX, SERVER);
	uint32_t slot, index;

	(void)state;
	client->core.knows_late = true;
	server->core.knows_late = true;
	slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	assert_true(dysco_core_only_watches(&client->core, slot));
	unknown_session_says(w, 1000);
	assert_int_equal(dysco_core_reconfigure(&client->core, w->rig->now_ns, slot,
						DYSCO_KIND_LATE, &path, &client->out),
			 DYSCO_NO_ATTEMPT);
	dysco_core_late_known(&client->core, slot);
	index = dysco_core_reconfigure(&client->core, w->rig->now_ns, slot, DYSCO_KIND_LATE, &path,
				       &client->out);
	assert_int_not_equal(index, DYSCO_NO_ATTEMPT);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	for (int round = 0; round < 2; round++) {
		unknown_session_says(w, 1000);
		assert_int_equal(w->done, 0);
		assert_true(
		    dysco_core_attempt_due(&client->core, w->rig->now_ns, index, &client->out));
		carry_out(w, CLIENT, NULL, DYSCO_OUT);
		run(w);
		assert_int_equal(w->done, round == 0 ? 0 : 2);
		if (round == 0) {
			dysco_core_late_known(&server->core, server_leg(w));
		}
	}
	nothing_is_left(w);
	rig_free(w->rig);
}

/* The server's agent knows it from an earlier time, under another id. */
static void both_ends_may_have_adopted_it(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session(), other = late;
	struct rig_agent *client = &w->rig->agent[CLIENT], *server = &w->rig->agent[SERVER];
	struct dysco_address_list path = path_of(BOX, SERVER);
	uint32_t slot;

	(void)state;
	other.initiator = false;
	other.host = SERVER + 1;
	other.tuple = dysco_tuple_reverse(&late.tuple);
	assert_int_not_equal(dysco_core_adopt(&server->core, w->rig->now_ns, &other),
			     DYSCO_NO_SLOT);
	slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	unknown_session_says(w, 1000);
	assert_int_not_equal(dysco_core_reconfigure(&client->core, w->rig->now_ns, slot,
						    DYSCO_KIND_LATE, &path, &client->out),
			     DYSCO_NO_ATTEMPT);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->done, 2);
	assert_false(dysco_core_late_forget(&client->core, slot)); /* it has a chain */
	nothing_is_left(w);
	rig_free(w->rig);
}

static void what_only_watches_is_forgotten(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	uint32_t slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	uint64_t later_ns =
	    w->rig->now_ns + (client->core.setup->timeouts.embryonic + 1) * DYSCO_NS_PER_S;

	(void)state;
	while (dysco_core_time_passed(&client->core, later_ns, 64, &client->out)) {
		assert_int_equal(client->out.count, 0); /* nobody is reset */
	}
	assert_int_equal(dysco_find(&client->core, &late.tuple, late.host, DYSCO_OUT),
			 DYSCO_NO_SLOT);
	assert_false(dysco_core_late_forget(&client->core, slot));
	rig_free(w->rig);
}

static void what_is_not_possible_is_refused(void **state)
{
	struct world *w = established();

	(void)state;
	assert_int_equal(reconfigure(w, path_of(CLIENT, SERVER)), DYSCO_NO_ATTEMPT);
	assert_int_equal(w->reason, DYSCO_NACK_INVALID);
	reconfigure(w, path_of(BOX, SERVER)); /* the box would be on both paths */
	assert_int_equal(w->reason, DYSCO_NACK_INVALID);
	assert_int_equal(w->failed, 2);
	assert_int_equal(w->done, 0);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

static void a_box_that_is_not_frozen_refuses(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	struct dysco_offsets delta = {0};
	uint32_t left = box->sim.legs[right_leg(w, BOX)].partner;

	(void)state;
	assert_true(dysco_core_freeze(&box->core, left, &delta, false));
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->reason, DYSCO_NACK_NOT_READY);
	assert_true(dysco_core_freeze(&box->core, left, &delta, true));
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	rig_free(w->rig);
}

/* The boxes that the answer came through have closed: for them another RST would be invalid. */
static void a_refused_new_path_is_not_reset_again(void **state)
{
	struct world *w = established();

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	w->box_refuses = true;
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(w->reason, DYSCO_NACK_NEW_PATH);
	assert_int_equal(w->resets[CLIENT], 0);
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_box_is_left_out),
	    cmocka_unit_test(the_right_anchor_has_forgotten),
	    cmocka_unit_test(a_box_comes_back),
	    cmocka_unit_test(a_box_asks_to_be_left_out),
	    cmocka_unit_test(an_agent_need_not_obey_boxes),
	    cmocka_unit_test(a_box_asks_with_patience),
	    cmocka_unit_test(a_mandatory_box_is_not_left_out),
	    cmocka_unit_test(the_ends_do_without_a_dead_box),
	    cmocka_unit_test(what_had_arrived_is_not_sent_again),
	    cmocka_unit_test(a_session_is_adopted),
	    cmocka_unit_test(an_inserted_box_is_locked_from_the_start),
	    cmocka_unit_test(adopted_sessions_wait_until_all_is_known),
	    cmocka_unit_test(both_ends_may_have_adopted_it),
	    cmocka_unit_test(what_only_watches_is_forgotten),
	    cmocka_unit_test(what_is_not_possible_is_refused),
	    cmocka_unit_test(a_box_that_is_not_frozen_refuses),
	    cmocka_unit_test(a_refused_new_path_is_not_reset_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
