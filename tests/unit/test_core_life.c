/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a session in the core: refusal, expiry, reuse, ends, restarts, hostile messages. */
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct dysco_leg *leg(struct rig *rig, int agent, uint32_t slot)
{
	return &rig->agent[agent].sim.legs[slot];
}

static uint32_t live(const struct rig *rig, int agent)
{
	return rig->agent[agent].core.live_legs;
}

static void session_ends_lingers_and_is_forgotten(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet late;

	(void)state;
	rig_connect(rig, &session);
	rig_close(rig, &session);
	rig_wait(rig, 30);
	assert_int_equal(live(rig, CLIENT), 1);
	late = rig_segment(&session, 101, 501, DYSCO_TCP_FIN | DYSCO_TCP_ACK, NULL, 0);
	assert_true(rig_to_server(rig, &late).bytes >
		    0); /* a retransmitted FIN still finds its way */
	rig_wait(rig, 61);
	for (int i = 0; i <= SERVER; i++) {
		assert_int_equal(live(rig, i), 0);
		assert_int_equal(rig->agent[i].sim.n_keys, 0);
		assert_int_equal(rig_counter(rig, i, DYSCO_COUNTER_SESSIONS_ENDED), 1);
	}
	rig_free(rig);
}

static void five_tuple_is_reused_while_it_lingers(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct dysco_tuple old_wire;

	(void)state;
	rig_connect(rig, &session);
	old_wire = leg(rig, CLIENT, 1)->wire_tuple;
	rig_close(rig, &session);
	rig_connect_from(rig, &session, 200);
	assert_false(dysco_tuple_equal(&leg(rig, CLIENT, 2)->wire_tuple, &old_wire));
	rig_wait(rig, 61);
	assert_int_equal(live(rig, CLIENT), 1); /* the old one is gone, the new one lives */
	assert_int_equal(live(rig, BOX), 2);
	rig_free(rig);
}

static void syn_on_a_living_session_is_the_peers_to_judge(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn = rig_syn(40000, 99), got;

	(void)state;
	rig_connect(rig, &session);
	got = rig_to_server(rig, &syn);
	assert_memory_equal(got.data, syn.data, syn.bytes);
	assert_int_equal(live(rig, BOX), 2);
	assert_int_equal(dysco_leg_state(leg(rig, CLIENT, 1)), DYSCO_STATE_ESTABLISHED);
	rig_free(rig);
}

static void unanswered_session_expires(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7);

	(void)state;
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	rig_wait(rig, 131);
	assert_int_equal(rig_counter(rig, BOX, DYSCO_COUNTER_EXPIRED_EMBRYONIC), 1);
	rig_wait(rig, 200);
	for (int i = 0; i < RIG_AGENTS; i++) {
		assert_int_equal(live(rig, i), 0);
		assert_int_equal(rig->agent[i].sim.n_keys, 0);
	}
	rig_free(rig);
}

static void idle_session_is_reset_with_the_numbers_expected(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_agent *a = &rig->agent[CLIENT];
	struct dysco_packet p;
	uint32_t resets = 0;

	(void)state;
	rig_connect(rig, &session);
	rig->now_ns += 7501 * DYSCO_NS_PER_S;
	dysco_core_time_passed(&a->core, rig->now_ns, 4, &a->out);
	for (uint32_t i = 0; i < a->out.count; i++) {
		const struct dysco_action *action = &a->out.list[i];
		uint8_t *data = &a->out.arena[action->offset];

		if (action->kind == DYSCO_ACT_EVENT) {
			continue;
		}
		assert_int_equal(dysco_packet_parse(&p, data, data + action->bytes, action->bytes),
				 DYSCO_PARSE_TCP);
		assert_true(p.flags & DYSCO_TCP_RST);
		assert_int_equal(p.seq, action->kind == DYSCO_ACT_SEND ? 101 : 501);
		resets++;
	}
	assert_int_equal(resets, 2);
	assert_true(rig_event(rig, CLIENT, DYSCO_EVENT_EXPIRED));
	rig_free(rig);
}

/* The receiver may have refused that RST: before the legs go, the host is told for good. */
static void session_ended_by_a_reset_is_told_before_it_is_forgotten(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet rst = rig_segment(&session, 101, 0, DYSCO_TCP_RST, NULL, 0), data;
	struct rig_agent *a = &rig->agent[CLIENT];

	(void)state;
	rig_connect(rig, &session);
	assert_true(rig_to_server(rig, &rst).bytes > 0);
	assert_int_equal(dysco_leg_state(leg(rig, CLIENT, 1)), DYSCO_STATE_RESET);
	rig_wait(rig, 10);
	rig->now_ns += 60 * DYSCO_NS_PER_S;
	dysco_core_time_passed(&a->core, rig->now_ns, 4, &a->out);
	assert_int_equal(a->out.list[0].kind, DYSCO_ACT_DELIVER);
	data = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, "x", 1);
	assert_int_equal(rig_out(rig, CLIENT, &data).bytes, 0); /* not past the chain */
	rig_wait(rig, 61);
	assert_int_equal(live(rig, CLIENT), 0);
	rig_free(rig);
}

static void refusal_comes_back(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple back, session = rig_session(40000, true);
	struct rig_packet syn = rig_syn(40000, 7), rst, got;

	(void)state;
	back = dysco_tuple_reverse(&session);
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	rst = rig_segment(&back, 0, 8, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	got = rig_to_client(rig, &rst);
	assert_memory_equal(got.data, rst.data, rst.bytes);
	rig_wait(rig, 1);
	assert_int_equal(rig_counter(rig, CLIENT, DYSCO_COUNTER_REFUSED), 1);
	rig_free(rig);
}

static void fail_closed_stays_on_its_chain(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7);

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct rig_packet wire = rig_out(rig, CLIENT, &syn);

		assert_true(wire.p.payload_bytes > 0);
	}
	assert_int_equal(rig_counter(rig, CLIENT, DYSCO_COUNTER_BYPASS), 0);
	rig_free(rig);
}

static void fail_open_goes_without_after_its_tries(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), got;
	struct dysco_tuple session = rig_session(40000, true);

	(void)state;
	rig->agent[CLIENT].setup.policies[0].fail = DYSCO_FAIL_OPEN;
	assert_true(rig_out(rig, CLIENT, &syn).p.payload_bytes > 0);
	assert_true(rig_out(rig, CLIENT, &syn).p.payload_bytes > 0);
	got = rig_out(rig, CLIENT, &syn);
	assert_memory_equal(got.data, syn.data, syn.bytes);
	got = rig_segment(&session, 8, 500, DYSCO_TCP_ACK, "data", 4);
	got = rig_out(rig, CLIENT, &got);
	assert_true(dysco_tuple_equal(&got.p.tuple, &session));
	assert_int_equal(rig_counter(rig, CLIENT, DYSCO_COUNTER_BYPASS), 1);
	rig_free(rig);
}

static void fail_open_goes_without_after_a_refusal(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, rst;
	struct dysco_tuple back;

	(void)state;
	rig->agent[CLIENT].setup.policies[0].fail = DYSCO_FAIL_OPEN;
	wire = rig_out(rig, CLIENT, &syn);
	back = dysco_tuple_reverse(&wire.p.tuple);
	rst = rig_segment(&back, 0, 8, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	assert_int_equal(rig_in(rig, CLIENT, &rst).bytes, 0); /* withheld from the client */
	wire = rig_out(rig, CLIENT, &syn);
	assert_memory_equal(wire.data, syn.data, syn.bytes);
	rig_free(rig);
}

static void plain_syn_takes_over_where_a_chain_was_given_up(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), got;
	struct dysco_tuple session = rig_session(40000, true), back;
	struct rig_packet synack;

	(void)state;
	back = dysco_tuple_reverse(&session);
	assert_true(rig_to_server(rig, &syn).bytes > 0);
	got = rig_in(rig, SERVER, &syn);
	assert_memory_equal(got.data, syn.data, syn.bytes);
	synack = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	got = rig_out(rig, SERVER, &synack);
	assert_true(dysco_tuple_equal(&got.p.tuple, &back)); /* answered in plain */
	rig_free(rig);
}

static void plain_syn_does_not_break_a_living_chain(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet spoofed = rig_syn(40000, 9999), data, got;

	(void)state;
	rig_connect(rig, &session);
	assert_true(rig_in(rig, SERVER, &spoofed).bytes > 0); /* the server's TCP challenges it */
	data = rig_segment(&back, 501, 101, DYSCO_TCP_ACK, "x", 1);
	got = rig_out(rig, SERVER, &data);
	assert_false(dysco_tuple_equal(&got.p.tuple, &back));
	rig_free(rig);
}

/* Both ends open at once, each through the box: the smaller address's session goes on. */
static void simultaneous_open_has_one_winner(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *server = &rig->agent[SERVER].setup;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet ours = rig_syn(40000, 7);
	struct rig_packet theirs = rig_segment(&back, 500, 0, DYSCO_TCP_SYN, NULL, 0);
	struct rig_packet a, b;

	(void)state;
	server->n_policies = 1;
	server->policies[0] = rig->agent[CLIENT].setup.policies[0];
	rig_restart(rig, SERVER);
	a = rig_out(rig, CLIENT, &ours);
	b = rig_out(rig, SERVER, &theirs);
	b = rig_in(rig, BOX, &b);
	b = rig_out(rig, BOX, &b);
	a = rig_in(rig, BOX, &a);
	assert_true(a.bytes > 0);
	a = rig_out(rig, BOX, &a);
	assert_true(a.bytes > 0);
	assert_int_equal(rig_in(rig, CLIENT, &b).bytes, 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_SIMULTANEOUS), 1);
	a = rig_in(rig, SERVER, &a);
	assert_memory_equal(a.data, ours.data, ours.bytes);
	a = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	b = rig_to_client(rig, &a);
	assert_memory_equal(b.data, a.data, a.bytes);
	rig_free(rig);
}

static void ports_run_out_and_come_back(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), other = rig_syn(40001, 7);

	(void)state;
	rig->agent[CLIENT].setup.port_last = DYSCO_PORT_FIRST;
	assert_true(rig_out(rig, CLIENT, &syn).bytes > 0);
	assert_int_equal(rig_out(rig, CLIENT, &other).bytes, 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_NO_PORTS), 1);
	assert_true(
	    dysco_core_kill(&rig->agent[CLIENT].core, rig->now_ns, 1, &rig->agent[CLIENT].out));
	assert_int_equal(rig_out(rig, CLIENT, &other).bytes, 0); /* quarantine */
	rig_wait(rig, 62);
	assert_true(rig_out(rig, CLIENT, &other).bytes > 0);
	rig_free(rig);
}

static void ports_of_local_sockets_are_left_alone(void **state)
{
	struct rig *rig = rig_new();
	static struct dysco_port_bitmap held;
	struct rig_packet syn = rig_syn(40000, 7), wire;

	(void)state;
	rig->agent[CLIENT].setup.port_last = DYSCO_PORT_FIRST + 1;
	held.host = 1;
	held.bits[0] = 1;
	dysco_core_ports_held(&rig->agent[CLIENT].core, &held);
	wire = rig_out(rig, CLIENT, &syn);
	assert_int_equal(DYSCO_HOST16(wire.p.tuple.sport_be), DYSCO_PORT_FIRST + 1);
	rig_free(rig);
}

static void full_table_is_said_and_survived(void **state)
{
	struct rig *rig = rig_new();
	int started = 0;

	(void)state;
	for (uint16_t i = 0; i < 20; i++) {
		struct rig_packet syn = rig_syn((uint16_t)(40000 + i), 7);

		started += rig_to_server(rig, &syn).bytes > 0;
	}
	assert_int_equal(started, 7); /* the box needs two of its 15 legs for each */
	assert_int_equal(rig_drops(rig, BOX, DYSCO_REASON_LEGS_FULL) +
			     rig_drops(rig, CLIENT, DYSCO_REASON_LEGS_FULL),
			 13);
	rig_free(rig);
}

static void restarted_agent_knows_its_sessions(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true), other = rig_session(40001, true);
	struct rig_packet data;

	(void)state;
	rig_connect(rig, &session);
	for (int i = 0; i < RIG_AGENTS; i++) {
		rig_restart(rig, i);
		assert_null(dysco_core_invariants(&rig->agent[i].core));
	}
	data = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, "x", 1);
	assert_true(rig_to_server(rig, &data).bytes > 0);
	rig_connect(rig, &other);
	rig_close(rig, &session);
	rig_wait(rig, 62);
	assert_int_equal(live(rig, BOX), 2);
	rig_free(rig);
}

static unsigned int legs_named(const struct rig *rig, int agent, const struct dysco_session_id *id,
			       const struct dysco_tuple *session)
{
	const struct dysco_core *core = &rig->agent[agent].core;
	uint32_t by_id = DYSCO_NO_SLOT, by_session = DYSCO_NO_SLOT, before = DYSCO_NO_SLOT;
	uint16_t host = (uint16_t)(agent + 1);
	unsigned int n = 0;

	for (;; n++) {
		by_id = dysco_leg_by_id(core, host, id, by_id);
		by_session = dysco_leg_by_session(core, host, session, by_session);
		assert_int_equal(by_id, by_session);
		if (by_id == DYSCO_NO_SLOT) {
			return n;
		}
		assert_true(by_id > before);
		before = by_id;
	}
}

static void legs_are_found_by_the_names_of_their_session(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true), other = rig_session(40001, true);
	struct dysco_tuple back = dysco_tuple_reverse(&session);
	struct dysco_session_id id;

	(void)state;
	rig_connect(rig, &session);
	rig_connect(rig, &other);
	id = rig->agent[CLIENT].sim.cold[1].id;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(legs_named(rig, CLIENT, &id, &session), 1);
		assert_int_equal(legs_named(rig, BOX, &id, &back), 2);
		assert_int_equal(legs_named(rig, SERVER, &id, &session), 1);
		rig_restart(rig, BOX); /* what it knew of them was not lasting */
	}
	rig_close(rig, &session);
	rig_wait(rig, 62);
	assert_int_equal(legs_named(rig, BOX, &id, &session), 0);
	rig_free(rig);
}

/* ---- messages that must not be believed ---- */

static void expect_refused(struct rig *rig, const struct rig_packet *wire, enum dysco_reason reason)
{
	uint64_t before = rig_drops(rig, BOX, reason);
	uint32_t legs = live(rig, BOX);

	assert_int_equal(rig_in(rig, BOX, wire).bytes, 0);
	assert_int_equal(rig_drops(rig, BOX, reason), before + 1);
	assert_int_equal(live(rig, BOX), legs);
}

static void signed_messages_are_taken_once(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire;

	(void)state;
	rig_sign(rig, 0xaa);
	wire = rig_out(rig, CLIENT, &syn);
	assert_true(rig_in(rig, BOX, &wire).bytes > 0);
	expect_refused(rig, &wire, DYSCO_REASON_MSG_REPLAY);
	rig_restart(rig, BOX);
	expect_refused(rig, &wire, DYSCO_REASON_MSG_REPLAY); /* remembered over a restart */
	rig_free(rig);
}

static void unsigned_forged_and_misdirected_messages_are_refused(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire;

	(void)state;
	wire = rig_out(rig, CLIENT, &syn);
	rig_sign(rig, 0xaa);
	expect_refused(rig, &wire, DYSCO_REASON_MSG_UNSIGNED);
	wire = rig_out(rig, CLIENT, &syn);
	wire.data[wire.bytes - 40] ^= 1;
	expect_refused(rig, &wire, DYSCO_REASON_MSG_FORGED);
	rig->agent[BOX].setup.keys[0].id = 8;
	wire = rig_out(rig, CLIENT, &syn);
	expect_refused(rig, &wire, DYSCO_REASON_MSG_KEY);
	rig->agent[BOX].setup.keys[0].id = 7;
	rig->agent[BOX].setup.hosts[0].prefixes[0].addr = rig_addr(9, true);
	wire = rig_out(rig, CLIENT, &syn);
	expect_refused(rig, &wire, DYSCO_REASON_NOT_ADDRESSED);
	rig_free(rig);
}

static void replay_window_slides(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_core *core = &rig->agent[BOX].core;

	(void)state;
	assert_int_equal(dysco_replay_check(core, 5, 1000), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 1000), DYSCO_REASON_MSG_REPLAY);
	assert_int_equal(dysco_replay_check(core, 5, 1100), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 1000), DYSCO_REASON_MSG_REPLAY);
	assert_int_equal(dysco_replay_check(core, 5, 1001), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 1100 - 255), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 1100 - 256), DYSCO_REASON_MSG_REPLAY);
	assert_int_equal(dysco_replay_check(core, 5, 5000), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 4999), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 5, 1100), DYSCO_REASON_MSG_REPLAY);
	assert_int_equal(dysco_replay_check(core, 0, 1), DYSCO_REASON_MSG_MALFORMED);
	rig_free(rig);
}

static void forgotten_sender_cannot_be_replayed(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_core *core = &rig->agent[BOX].core;

	(void)state;
	for (uint64_t s = 1; s <= DYSCO_REPLAY_SENDERS; s++) {
		assert_int_equal(dysco_replay_check(core, s, 1000 + s), DYSCO_REASON_NONE);
	}
	assert_int_equal(dysco_replay_check(core, 99999, 1000), DYSCO_REASON_SENDERS_FULL);
	assert_int_equal(dysco_replay_check(core, 99999, 5000), DYSCO_REASON_NONE);
	assert_int_equal(dysco_replay_check(core, 1, 1001), DYSCO_REASON_SENDERS_FULL);
	rig_free(rig);
}

/* ---- traces ---- */

static void trace_asks_along_the_chain(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_agent *client = &rig->agent[CLIENT], *box = &rig->agent[BOX];
	struct rig_packet question = {0}, on, answer;
	const struct dysco_action *send;

	(void)state;
	rig_sign(rig, 0xaa);
	rig_connect(rig, &session);
	assert_true(dysco_core_trace(&client->core, 1, &client->out) != 0);
	assert_string_equal(client->out.trace.report.host, "client");
	send = &client->out.list[0];
	assert_int_equal(send->kind, DYSCO_ACT_SEND);
	question.bytes = send->bytes;
	memcpy(question.data, &client->out.arena[send->offset], send->bytes);
	dysco_packet_parse(&question.p, question.data, question.data + question.bytes,
			   (uint32_t)question.bytes);
	answer = rig_in(rig, BOX, &question); /* the first packet is the answer ... */
	assert_true(rig_in(rig, CLIENT, &answer).bytes == 0);
	assert_true(rig_event(rig, CLIENT, DYSCO_EVENT_TRACE));
	assert_string_equal(client->out.trace.report.host, "box");
	assert_int_equal(client->out.trace.trace.hop, 1);
	assert_true(client->out.trace.report.left.present &&
		    client->out.trace.report.right.present);
	send = &box->out.list[2]; /* ... the second the question, passed on */
	memset(&on, 0, sizeof(on));
	on.bytes = send->bytes;
	memcpy(on.data, &box->out.arena[send->offset], send->bytes);
	dysco_packet_parse(&on.p, on.data, on.data + on.bytes, (uint32_t)on.bytes);
	answer = rig_in(rig, SERVER, &on);
	answer = rig_in(rig, BOX, &answer);
	rig_in(rig, CLIENT, &answer);
	assert_string_equal(client->out.trace.report.host, "server");
	assert_int_equal(client->out.trace.trace.hop, 2);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(session_ends_lingers_and_is_forgotten),
	    cmocka_unit_test(five_tuple_is_reused_while_it_lingers),
	    cmocka_unit_test(syn_on_a_living_session_is_the_peers_to_judge),
	    cmocka_unit_test(unanswered_session_expires),
	    cmocka_unit_test(idle_session_is_reset_with_the_numbers_expected),
	    cmocka_unit_test(session_ended_by_a_reset_is_told_before_it_is_forgotten),
	    cmocka_unit_test(refusal_comes_back),
	    cmocka_unit_test(fail_closed_stays_on_its_chain),
	    cmocka_unit_test(fail_open_goes_without_after_its_tries),
	    cmocka_unit_test(fail_open_goes_without_after_a_refusal),
	    cmocka_unit_test(plain_syn_takes_over_where_a_chain_was_given_up),
	    cmocka_unit_test(plain_syn_does_not_break_a_living_chain),
	    cmocka_unit_test(simultaneous_open_has_one_winner),
	    cmocka_unit_test(ports_run_out_and_come_back),
	    cmocka_unit_test(ports_of_local_sockets_are_left_alone),
	    cmocka_unit_test(full_table_is_said_and_survived),
	    cmocka_unit_test(restarted_agent_knows_its_sessions),
	    cmocka_unit_test(legs_are_found_by_the_names_of_their_session),
	    cmocka_unit_test(signed_messages_are_taken_once),
	    cmocka_unit_test(unsigned_forged_and_misdirected_messages_are_refused),
	    cmocka_unit_test(replay_window_slides),
	    cmocka_unit_test(forgotten_sender_cannot_be_replayed),
	    cmocka_unit_test(trace_asks_along_the_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
