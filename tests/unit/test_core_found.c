/* SPDX-License-Identifier: BSD-2-Clause */
/* What the simulator found wrong in the core, one small test each. */
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A stack without an agent acknowledges SYN and message; the client would not take such a RST. */
static void refusal_acknowledges_what_the_client_sent(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, rst;
	struct dysco_tuple back;

	(void)state;
	wire = rig_out(rig, CLIENT, &syn);
	back = dysco_tuple_reverse(&wire.p.tuple);
	rst =
	    rig_segment(&back, 0, 8 + wire.p.payload_bytes, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	rst = rig_in(rig, CLIENT, &rst);
	assert_int_equal(rst.p.ack, 8);
	assert_true(dysco_addr_equal(&rst.p.tuple.dst, &syn.p.tuple.src));
	assert_int_equal(dysco_leg_state(&rig->agent[CLIENT].sim.legs[1]), DYSCO_STATE_RESET);
	rig_free(rig);
}

/* The server's RST is lost before the box; the client's SYN comes again. */
static void syn_after_a_lost_refusal_has_its_message(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), rst, again;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);

	(void)state;
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	rst = rig_segment(&back, 0, 8, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	rst = rig_out(rig, SERVER, &rst);
	rst = rig_in(rig, BOX, &rst);
	assert_true(rst.bytes > 0);
	rig_out(rig, BOX, &rst); /* and is lost */
	rig_wait(rig, 1);
	again = rig_to_server(rig, &syn);
	assert_memory_equal(again.data, syn.data, syn.bytes);
	assert_int_equal(dysco_leg_state(&rig->agent[SERVER].sim.legs[1]), DYSCO_STATE_SYN_SENT);
	rig_free(rig);
}

/* A duplicate of the loser's SYN comes when the winner is established. */
static void late_loser_of_a_simultaneous_open_is_dropped(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *server = &rig->agent[SERVER].setup;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet theirs = rig_segment(&back, 500, 0, DYSCO_TCP_SYN, NULL, 0), late, data;

	(void)state;
	server->n_policies = 1;
	server->policies[0] = rig->agent[CLIENT].setup.policies[0];
	rig_restart(rig, SERVER);
	late = rig_out(rig, SERVER, &theirs);
	late = rig_in(rig, BOX, &late);
	late = rig_out(rig, BOX, &late);
	rig_connect(rig, &session);
	assert_int_equal(rig_in(rig, CLIENT, &late).bytes, 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_SIMULTANEOUS), 1);
	data = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, "x", 1);
	assert_true(rig_to_server(rig, &data).bytes > 0);
	rig_free(rig);
}

/* The same when the winner is over but for the server's FIN, which comes again. */
static void late_loser_does_not_take_what_lingers(void **state)
{
	static const uint8_t fin = DYSCO_TCP_FIN | DYSCO_TCP_ACK;
	struct rig *rig = rig_new();
	struct dysco_setup *server = &rig->agent[SERVER].setup;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet syn = rig_segment(&back, 500, 0, DYSCO_TCP_SYN, NULL, 0), late;
	struct rig_packet ours = rig_segment(&session, 101, 501, fin, NULL, 0);
	struct rig_packet theirs = rig_segment(&back, 501, 102, fin, "bytes", 5);
	struct rig_packet last = rig_segment(&session, 102, 507, DYSCO_TCP_ACK, NULL, 0);

	(void)state;
	server->n_policies = 1;
	server->policies[0] = rig->agent[CLIENT].setup.policies[0];
	rig_restart(rig, SERVER);
	late = rig_out(rig, SERVER, &syn);
	late = rig_in(rig, BOX, &late);
	late = rig_out(rig, BOX, &late);
	rig_connect(rig, &session);
	assert_true(rig_to_server(rig, &ours).bytes > 0);
	assert_true(rig_to_client(rig, &theirs).bytes > 0);
	assert_true(rig_out(rig, CLIENT, &last).bytes > 0); /* and is lost */
	assert_int_equal(rig_in(rig, CLIENT, &late).bytes, 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_SIMULTANEOUS), 1);
	assert_true(rig_to_client(rig, &theirs).bytes > 0);
	assert_true(rig_to_server(rig, &last).bytes > 0);
	syn = rig_segment(&back, 70000, 0, DYSCO_TCP_SYN, NULL, 0);
	assert_true(rig_to_client(rig, &syn).bytes > 0); /* ports used again, this way round */
	rig_free(rig);
}

/* The loser's SYN comes out of the box when the winner's legs are there already. */
static void losers_syn_out_of_the_box_is_dropped(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *server = &rig->agent[SERVER].setup;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet theirs = rig_segment(&back, 500, 0, DYSCO_TCP_SYN, NULL, 0);
	struct rig_packet ours = rig_syn(40000, 7), wire;

	(void)state;
	server->n_policies = 1;
	server->policies[0] = rig->agent[CLIENT].setup.policies[0];
	rig_restart(rig, SERVER);
	wire = rig_out(rig, SERVER, &theirs);
	assert_true(rig_in(rig, BOX, &wire).bytes > 0);
	wire = rig_out(rig, CLIENT, &ours);
	assert_true(rig_in(rig, BOX, &wire).bytes > 0);
	assert_int_equal(rig_out(rig, BOX, &theirs).bytes, 0); /* without its tag */
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_SIMULTANEOUS), 1);
	rig_free(rig);
}

/* The chain's SYN-ACK comes after the session went without: the host's stack would refuse it. */
static void late_answer_of_a_bypassed_chain_is_dropped(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, answer;
	struct dysco_tuple back;

	(void)state;
	rig->agent[CLIENT].setup.policies[0].fail = DYSCO_FAIL_OPEN;
	wire = rig_out(rig, CLIENT, &syn);
	while (wire.p.payload_bytes > 0) {
		back = dysco_tuple_reverse(&wire.p.tuple);
		wire = rig_out(rig, CLIENT, &syn);
	}
	answer = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	assert_int_equal(rig_in(rig, CLIENT, &answer).bytes, 0);
	assert_int_equal(rig->agent[CLIENT].sim.stats.drops[DYSCO_REASON_LATE], 1);
	rig_free(rig);
}

/* A box forwards the RST that its own agent made for it. */
static void reset_of_a_killed_session_does_not_leave_the_box(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct dysco_actions *out = &rig->agent[BOX].out;
	struct rig_packet rst = rig_segment(&session, 101, 501, DYSCO_TCP_RST, NULL, 0);

	(void)state;
	rig_connect(rig, &session);
	assert_true(dysco_core_kill(&rig->agent[BOX].core, rig->now_ns, 1, out));
	assert_int_equal(rig_out(rig, BOX, &rst).bytes, 0);
	assert_int_equal(rig->agent[BOX].sim.stats.drops[DYSCO_REASON_LATE], 1);
	rig_free(rig);
}

/* A server that takes data in the SYN may acknowledge before the handshake is over. */
static void plain_syn_takes_over_from_an_unconfirmed_chain(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), ack, got;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);

	(void)state;
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	ack = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	rig_out(rig, SERVER, &ack);
	ack = rig_segment(&back, 501, 8, DYSCO_TCP_ACK, NULL, 0);
	rig_out(rig, SERVER, &ack);
	assert_true(rig_in(rig, SERVER, &syn).bytes > 0);
	got = rig_out(rig, SERVER, &ack);
	assert_true(dysco_tuple_equal(&got.p.tuple, &back));
	rig_free(rig);
}

/* The chain's SYN comes when the session is established without it. */
static void slow_chain_gives_way_to_the_session_without_it(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), ack, got;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);

	(void)state;
	assert_true(rig_in(rig, SERVER, &syn).bytes > 0);
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	ack = rig_segment(&back, 501, 8, DYSCO_TCP_ACK, NULL, 0);
	for (int i = 0; i < 2; i++) {
		got = rig_out(rig, SERVER, &ack);
		assert_true(dysco_tuple_equal(&got.p.tuple, &back));
	}
	rig_free(rig);
}

/* Agents pass on SYNs, datapaths what follows: copies of a SYN, by which way each agent gets it. */
struct copies {
	struct rig_packet from_client, to_box, from_box, to_server;
};

static struct copies send_syn(struct rig *rig, const struct dysco_tuple *session)
{
	struct copies c = {.from_client = rig_segment(session, 100, 0, DYSCO_TCP_SYN, NULL, 0)};

	c.to_box = rig_out(rig, CLIENT, &c.from_client);
	c.from_box = rig_in(rig, BOX, &c.to_box);
	c.to_server = rig_out(rig, BOX, &c.from_box);
	assert_true(rig_in(rig, SERVER, &c.to_server).bytes > 0);
	return c;
}

/* How many of the copies go on. */
static unsigned int go_on(struct rig *rig, const struct copies *c)
{
	struct rig_packet got[] = {
	    rig_out(rig, CLIENT, &c->from_client),
	    rig_in(rig, BOX, &c->to_box),
	    rig_out(rig, BOX, &c->from_box),
	    rig_in(rig, SERVER, &c->to_server),
	};
	unsigned int n = 0;

	for (unsigned int i = 0; i < 4; i++) {
		n += got[i].bytes > 0;
	}
	return n;
}

static struct dysco_leg *leg(struct rig *rig, int agent)
{
	return &rig->agent[agent].sim.legs[1];
}

static void syn_that_was_overtaken_goes_no_further(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet synack =
	    rig_segment(&back, 500, 101, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	struct rig_packet ack = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, NULL, 0);
	struct copies c = send_syn(rig, &session);

	(void)state;
	assert_int_equal(go_on(rig, &c), 4);
	rig_to_client(rig, &synack);
	assert_int_equal(go_on(rig, &c), 4); /* that may have been lost further on */
	rig_to_server(rig, &ack);
	assert_int_equal(go_on(rig, &c), 0);
	rig_close(rig, &session);
	assert_int_equal(go_on(rig, &c), 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_LATE), 2);
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LATE), 4);
	assert_int_equal(rig_drops(rig, SERVER, DYSCO_REASON_LATE), 2);
	assert_int_equal(rig_counter(rig, CLIENT, DYSCO_COUNTER_SESSIONS_STARTED), 1);
	rig_free(rig);
}

/* The last acknowledgement counted at neither end. */
static struct rig *closing(const struct dysco_tuple *session)
{
	struct rig *rig = rig_new();

	rig_connect(rig, session);
	rig_close(rig, session);
	leg(rig, CLIENT)->run[DYSCO_IN].seen &= (uint8_t)~DYSCO_SEEN_FINACK;
	leg(rig, SERVER)->run[DYSCO_OUT].seen &= (uint8_t)~DYSCO_SEEN_FINACK;
	assert_int_equal(dysco_leg_state(leg(rig, CLIENT)), DYSCO_STATE_CLOSING);
	assert_int_equal(dysco_leg_state(leg(rig, SERVER)), DYSCO_STATE_CLOSING);
	return rig;
}

static void end_that_is_silent_after_both_fins_has_ended(void **state)
{
	struct dysco_tuple session = rig_session(40000, true);
	struct rig *rig = closing(&session);
	struct rig_packet fin =
	    rig_segment(&session, 101, 502, DYSCO_TCP_FIN | DYSCO_TCP_ACK, NULL, 0);

	(void)state;
	rig_wait(rig, 230);
	rig_out(rig, CLIENT, &fin); /* this end still tries */
	rig_wait(rig, 71);
	assert_int_equal(rig->agent[SERVER].core.live_legs, 0);
	assert_int_equal(rig->agent[CLIENT].core.live_legs, 1);
	rig_wait(rig, 230);
	assert_int_equal(rig->agent[CLIENT].core.live_legs, 0);
	for (int i = 0; i <= SERVER; i++) {
		assert_int_equal(rig_counter(rig, i, DYSCO_COUNTER_SESSIONS_ENDED), 1);
		assert_int_equal(rig_counter(rig, i, DYSCO_COUNTER_EXPIRED_IDLE), 0);
	}
	rig_free(rig);
}

/* Of a host that waits for bytes before the FIN the network may be down. */
static void end_that_waits_for_more_stays(void **state)
{
	struct dysco_tuple session = rig_session(40000, true);
	struct rig *rig = closing(&session);

	(void)state;
	leg(rig, CLIENT)->run[DYSCO_OUT].ack = 501;
	leg(rig, SERVER)->run[DYSCO_IN].ack = 500; /* or for an acknowledgement */
	rig_wait(rig, 1000);
	assert_int_equal(rig->agent[CLIENT].core.live_legs, 1);
	assert_int_equal(rig->agent[SERVER].core.live_legs, 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refusal_acknowledges_what_the_client_sent),
	    cmocka_unit_test(syn_after_a_lost_refusal_has_its_message),
	    cmocka_unit_test(late_loser_of_a_simultaneous_open_is_dropped),
	    cmocka_unit_test(late_loser_does_not_take_what_lingers),
	    cmocka_unit_test(losers_syn_out_of_the_box_is_dropped),
	    cmocka_unit_test(late_answer_of_a_bypassed_chain_is_dropped),
	    cmocka_unit_test(reset_of_a_killed_session_does_not_leave_the_box),
	    cmocka_unit_test(plain_syn_takes_over_from_an_unconfirmed_chain),
	    cmocka_unit_test(slow_chain_gives_way_to_the_session_without_it),
	    cmocka_unit_test(syn_that_was_overtaken_goes_no_further),
	    cmocka_unit_test(end_that_is_silent_after_both_fins_has_ended),
	    cmocka_unit_test(end_that_waits_for_more_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
