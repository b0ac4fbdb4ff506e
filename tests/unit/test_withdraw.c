/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains that are given up, and called back (docs/protocol.md 7.7). The client's
 * policy fails open after two SYNs.
 */
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ISN 7u

static struct rig *open_rig(void)
{
	struct rig *rig = rig_new();

	rig->agent[CLIENT].setup.policies[0].fail = DYSCO_FAIL_OPEN;
	return rig;
}

static uint8_t type_of(const struct rig_packet *packet)
{
	struct dysco_header hdr = {0};

	return packet->bytes > 0 && dysco_message_open(&hdr, packet->data + packet->p.payload,
						       packet->p.payload_bytes, NULL, 0) == 0
		   ? hdr.type
		   : 0;
}

/* Milliseconds pass at one agent; what it sends in that time. */
static struct rig_packet after(struct rig *rig, int agent, unsigned int ms)
{
	struct rig_agent *a = &rig->agent[agent];
	struct rig_packet packet = {0};

	rig->now_ns += ms * 1000000ull;
	while (dysco_core_time_passed(&a->core, rig->now_ns, 16, &a->out)) {
	}
	for (uint32_t i = 0; i < a->out.count; i++) {
		const struct dysco_action *action = &a->out.list[i];

		if (action->kind == DYSCO_ACT_SEND) {
			assert_int_equal(packet.bytes, 0);
			memcpy(packet.data, &a->out.arena[action->offset], action->bytes);
			packet.bytes = action->bytes;
			dysco_packet_parse(&packet.p, packet.data, packet.data + packet.bytes,
					   action->bytes);
		}
	}
	return packet;
}

/* The client's SYN until it goes without its chain; the first one on the wire. */
static struct rig_packet give_up(struct rig *rig, const struct rig_packet *syn)
{
	struct rig_packet first = rig_out(rig, CLIENT, syn), wire = rig_out(rig, CLIENT, syn);

	assert_int_equal(type_of(&first), DYSCO_MSG_SYN);
	assert_int_equal(type_of(&wire), DYSCO_MSG_SYN);
	wire = rig_out(rig, CLIENT, syn);
	assert_memory_equal(wire.data, syn->data, syn->bytes);
	return first;
}

static enum dysco_leg_mode mode_of(const struct rig *rig, int agent, uint32_t slot)
{
	return (enum dysco_leg_mode)rig->agent[agent].sim.legs[slot].mode;
}

/* ---- who gives up ---- */

static void withdraw_looks_like_the_syn_and_is_said_three_times(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), again;

	(void)state;
	for (int i = 0; i < 3; i++) {
		again = after(rig, CLIENT, 1000u << (i ? i - 1 : 0));
		assert_int_equal(type_of(&again), DYSCO_MSG_WITHDRAW);
		assert_true(dysco_tuple_equal(&again.p.tuple, &first.p.tuple));
		assert_int_equal(again.p.seq, ISN);
		assert_int_equal(again.p.flags, DYSCO_TCP_SYN);
		assert_int_equal(after(rig, CLIENT, 900).bytes, 0);
	}
	assert_int_equal(after(rig, CLIENT, 60000).bytes, 0);
	assert_int_equal(rig_counter(rig, CLIENT, DYSCO_COUNTER_WITHDREW), 1);
	rig_free(rig);
}

static void an_agent_that_comes_back_goes_on_saying_it(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), again;

	(void)state;
	give_up(rig, &syn);
	assert_true(after(rig, CLIENT, 1).bytes > 0);
	rig_restart(rig, CLIENT);
	again = after(rig, CLIENT, 1000);
	assert_int_equal(type_of(&again), DYSCO_MSG_WITHDRAW);
	rig_free(rig);
}

static void fail_closed_withdraws_nothing(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, ISN);

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_true(rig_out(rig, CLIENT, &syn).bytes > 0);
	}
	assert_int_equal(after(rig, CLIENT, 1000).bytes, 0);
	rig_free(rig);
}

/* The application has given up and connects once more from the same port. */
static void a_host_that_tries_anew_calls_the_old_chain_back(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, ISN), anew = rig_syn(40000, 99), first, wire;

	(void)state;
	first = rig_out(rig, CLIENT, &syn);
	wire = rig_out(rig, CLIENT, &anew);
	assert_int_equal(type_of(&wire), DYSCO_MSG_SYN);
	wire = after(rig, CLIENT, 1);
	assert_int_equal(type_of(&wire), DYSCO_MSG_WITHDRAW);
	assert_true(dysco_tuple_equal(&wire.p.tuple, &first.p.tuple));
	assert_int_equal(wire.p.seq, ISN);
	rig_free(rig);
}

/* ---- who is told ---- */

static void the_box_keeps_what_comes_out_late(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), held, data;
	struct rig_packet withdraw = after(rig, CLIENT, 1);
	struct dysco_tuple session = rig_session(40000, true);

	(void)state;
	held = rig_in(rig, BOX, &first);
	assert_true(held.bytes > 0);
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_true(rig_event(rig, BOX, DYSCO_EVENT_WITHDRAWN));
	assert_int_equal(rig_out(rig, BOX, &held).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 1);
	assert_int_equal(rig_in(rig, BOX, &first).bytes, 0); /* a copy that took long */
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 2);
	/* The living session may pass this host. */
	data = rig_segment(&session, ISN + 1, 501, DYSCO_TCP_ACK, "x", 1);
	assert_memory_equal(rig_out(rig, BOX, &data).data, data.data, data.bytes);
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0); /* once more */
	assert_int_equal(rig_counter(rig, BOX, DYSCO_COUNTER_WITHDRAWN), 1);
	rig_wait(rig, 62);
	assert_int_equal(rig->agent[BOX].core.live_legs, 0);
	rig_free(rig);
}

/* Two SYNs went into the box; without tags they are told from others by their number only. */
static void as_many_syns_as_the_box_got_are_kept(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), withdraw;

	(void)state;
	withdraw = after(rig, CLIENT, 1);
	assert_true(rig_in(rig, BOX, &first).bytes > 0);
	assert_true(rig_in(rig, BOX, &first).bytes > 0);
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_out(rig, BOX, &syn).bytes, 0);
	assert_int_equal(rig_out(rig, BOX, &syn).bytes, 0);
	assert_memory_equal(rig_out(rig, BOX, &syn).data, syn.data, syn.bytes);
	rig_free(rig);
}

/* Of two chains that had the five-tuple in turn, while the second one waits for its box. */
static void syns_of_two_chains_are_told_apart(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), anew, wire;

	(void)state;
	assert_true(rig_in(rig, BOX, &first).bytes > 0);
	wire = after(rig, CLIENT, 1);
	assert_int_equal(rig_in(rig, BOX, &wire).bytes, 0);
	anew = rig_syn(40000, 99);
	wire = rig_out(rig, CLIENT, &anew);
	assert_true(rig_in(rig, BOX, &wire).bytes > 0);
	assert_int_equal(rig_out(rig, BOX, &syn).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 1);
	wire = rig_out(rig, BOX, &anew);
	assert_int_equal(type_of(&wire), DYSCO_MSG_SYN);
	assert_int_equal(wire.p.seq, 99);
	rig_free(rig);
}

static void withdraw_may_overtake_its_syn(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn);
	struct rig_packet withdraw = after(rig, CLIENT, 1), other;

	(void)state;
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_in(rig, BOX, &first).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 1);
	syn = rig_syn(40001, ISN); /* another session is not concerned */
	other = rig_out(rig, CLIENT, &syn);
	assert_true(rig_in(rig, BOX, &other).bytes > 0);
	rig_wait(rig, 62);
	assert_int_equal(mode_of(rig, BOX, 1), DYSCO_MODE_FREE);
	rig_free(rig);
}

/*
 * The window: the chain's SYN comes to the server between the plain one and the answer,
 * and its leg takes what the server says, for an initiator that does not listen there.
 */
static void the_server_is_given_back_to_the_living_session(void **state)
{
	struct rig *rig = open_rig();
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), packet, synack;

	(void)state;
	assert_true(rig_in(rig, SERVER, &syn).bytes > 0);
	packet = rig_in(rig, BOX, &first);
	packet = rig_out(rig, BOX, &packet);
	assert_true(rig_in(rig, SERVER, &packet).bytes > 0);
	synack = rig_segment(&back, 500, ISN + 1, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	packet = rig_out(rig, SERVER, &synack);
	assert_false(dysco_tuple_equal(&packet.p.tuple, &back)); /* for nobody */
	packet = after(rig, CLIENT, 1);
	packet = rig_in(rig, BOX, &packet);
	assert_int_equal(type_of(&packet), DYSCO_MSG_WITHDRAW);
	assert_int_equal(rig_in(rig, SERVER, &packet).bytes, 0);
	assert_memory_equal(rig_out(rig, SERVER, &synack).data, synack.data, synack.bytes);
	assert_int_equal(rig_counter(rig, SERVER, DYSCO_COUNTER_WITHDRAWN), 1);
	rig_free(rig);
}

/* After that the five-tuple is free for a session with a chain again. */
static void the_five_tuple_may_be_used_again(void **state)
{
	struct rig *rig = open_rig();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn), packet;

	(void)state;
	packet = rig_in(rig, BOX, &first);
	packet = rig_out(rig, BOX, &packet);
	assert_true(rig_in(rig, SERVER, &packet).bytes > 0);
	packet = after(rig, CLIENT, 1);
	packet = rig_in(rig, BOX, &packet);
	assert_int_equal(rig_in(rig, SERVER, &packet).bytes, 0);
	rig_connect(rig, &session);
	rig_free(rig);
}

/* ---- what is refused ---- */

static void an_established_session_stays(void **state)
{
	struct rig *rig = open_rig();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet data = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, "x", 1), packet;

	(void)state;
	rig_connect(rig, &session);
	dysco_withdraw(&rig->agent[CLIENT].core, 1);
	packet = after(rig, CLIENT, 1);
	assert_int_equal(type_of(&packet), DYSCO_MSG_WITHDRAW);
	assert_int_equal(rig_in(rig, BOX, &packet).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_CONTROL), 1);
	assert_true(rig_to_server(rig, &data).bytes > 0);
	rig_free(rig);
}

static void another_session_on_the_ports_stays(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn);
	struct rig_packet withdraw = after(rig, CLIENT, 1);

	(void)state;
	assert_true(rig_in(rig, BOX, &first).bytes > 0);
	rig->agent[BOX].sim.cold[1].id.b[0] ^= 1;
	rig->agent[BOX].sim.cold[2].id.b[0] ^= 1;
	rig_restart(rig, BOX); /* the ids are in its index */
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_CONTROL), 1);
	assert_int_equal(mode_of(rig, BOX, 1), DYSCO_MODE_FAST);
	rig_free(rig);
}

static void withdraw_is_believed_with_a_key_only(void **state)
{
	struct rig *rig = open_rig();
	struct rig_packet syn = rig_syn(40000, ISN), first, withdraw;

	(void)state;
	rig_sign(rig, 1);
	first = give_up(rig, &syn);
	assert_true(rig_in(rig, BOX, &first).bytes > 0);
	withdraw = after(rig, CLIENT, 1);
	rig->agent[BOX].setup.keys[0].bytes[0] = 2;
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_MSG_FORGED), 1);
	rig->agent[BOX].setup.keys[0].bytes[0] = 1;
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_counter(rig, BOX, DYSCO_COUNTER_WITHDRAWN), 1);
	assert_int_equal(rig_in(rig, BOX, &withdraw).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_MSG_REPLAY), 1);
	rig_free(rig);
}

/* Of chains that nobody here knows: there is room left for those that come. */
static void what_is_remembered_takes_no_last_place(void **state)
{
	struct rig *rig = open_rig();
	struct rig_agent *box = &rig->agent[BOX];
	struct rig_packet syn = rig_syn(40000, ISN), first = give_up(rig, &syn);
	struct rig_packet withdraw = after(rig, CLIENT, 1), other;
	struct dysco_tuple session = rig_session(40001, true);

	(void)state;
	for (uint16_t i = 0; i < DYSCO_SIM_LEGS_MAX; i++) {
		struct dysco_tuple tuple = first.p.tuple;

		tuple.sport_be = DYSCO_BE16(1000 + i);
		other = rig_segment(&tuple, ISN, 0, DYSCO_TCP_SYN,
				    withdraw.data + withdraw.p.payload, withdraw.p.payload_bytes);
		assert_int_equal(rig_in(rig, BOX, &other).bytes, 0);
	}
	assert_true(box->core.live_legs > 0);
	rig_connect(rig, &session);
	rig_free(rig);
}

/* ---- in mid-chain ---- */

/* The box's own policy sends the session by the extra host, which is silent. */
static void hops_that_a_box_added_are_called_back(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *box = &rig->agent[BOX].setup;
	struct rig_packet syn = rig_syn(40000, ISN), first, held, wire, withdraw, late;
	struct dysco_tuple back;

	(void)state;
	box->n_policies = 1;
	box->policies[0] = rig->agent[CLIENT].setup.policies[0];
	memcpy(box->policies[0].name, "more", sizeof("more"));
	box->policies[0].tag = dysco_policy_tag("more");
	box->policies[0].hops[0].index = EXTRA;
	box->policies[0].fail = DYSCO_FAIL_OPEN;
	box->policies[0].retries = 1;
	rig_restart(rig, BOX);
	first = rig_out(rig, CLIENT, &syn);
	held = rig_in(rig, BOX, &first);
	wire = rig_out(rig, BOX, &held);
	assert_true(rig_in(rig, EXTRA, &wire).bytes > 0);
	back = dysco_tuple_reverse(&wire.p.tuple);
	first = rig_out(rig, BOX, &held);
	assert_true(dysco_addr_equal(&first.p.tuple.dst, &syn.p.tuple.dst));
	withdraw = after(rig, BOX, 1);
	assert_int_equal(type_of(&withdraw), DYSCO_MSG_WITHDRAW);
	assert_true(dysco_tuple_equal(&withdraw.p.tuple, &wire.p.tuple));
	assert_int_equal(rig_in(rig, EXTRA, &withdraw).bytes, 0);
	assert_int_equal(rig_counter(rig, EXTRA, DYSCO_COUNTER_WITHDRAWN), 1);
	/* What the chain that was given up answers is not for the box's stack. */
	late = rig_segment(&back, 900, ISN + 1, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	assert_int_equal(rig_in(rig, BOX, &late).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 1);
	assert_true(rig_in(rig, SERVER, &first).bytes > 0); /* the session goes on */
	rig_free(rig);
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(withdraw_looks_like_the_syn_and_is_said_three_times),
	    TEST(an_agent_that_comes_back_goes_on_saying_it),
	    TEST(fail_closed_withdraws_nothing),
	    TEST(a_host_that_tries_anew_calls_the_old_chain_back),
	    TEST(the_box_keeps_what_comes_out_late),
	    TEST(as_many_syns_as_the_box_got_are_kept),
	    TEST(syns_of_two_chains_are_told_apart),
	    TEST(withdraw_may_overtake_its_syn),
	    TEST(the_server_is_given_back_to_the_living_session),
	    TEST(the_five_tuple_may_be_used_again),
	    TEST(an_established_session_stays),
	    TEST(another_session_on_the_ports_stays),
	    TEST(withdraw_is_believed_with_a_key_only),
	    TEST(what_is_remembered_takes_no_last_place),
	    TEST(hops_that_a_box_added_are_called_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
