// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions that lost a box, and sessions that began without Dysco (world.h,
 * docs/protocol.md 12.8 and 12.9).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

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

/*
 * The server has bytes that it has not acknowledged when it is asked: boxes of the new path
 * must not see that before the bytes.
 */
static void what_a_host_holds_comes_once_more(void **state)
{
	struct world *w = established();

	(void)state;
	say(w, CLIENT, 106, 506, "held");
	w->box_dead = true;
	reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1));
	assert_int_equal(w->done, 0);
	say(w, SERVER, 506, 110, "");
	assert_int_equal(w->last[CLIENT].p.ack, 106);
	say(w, CLIENT, 106, 506, "held");
	assert_int_equal(w->last[SERVER].p.seq, 106);
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	say(w, SERVER, 506, 110, "");
	assert_int_equal(w->last[CLIENT].p.ack, 110);
	rig_free(w->rig);
}

static bool extra_is_dead(struct world *w, int agent, const struct rig_packet *packet)
{
	(void)w;
	(void)packet;
	return agent == EXTRA;
}

/*
 * The box lives, and its old path is gone with the new one's SYN, which gets no further: the
 * ends still know their session.
 */
static void a_recovery_that_fails_at_a_survivor_is_followed_by_another(void **state)
{
	struct world *w = established_over(extra_is_dead);
	struct dysco_address_list path = path_of(BOX, EXTRA);

	(void)state;
	path.hops[path.count++].addr = rig_addr(SERVER, true);
	reconfigure_as(w, DYSCO_KIND_RECOVERY, path);
	for (int s = 0; s < 60 && w->failed == 0; s++) {
		w->rig->now_ns += DYSCO_NS_PER_S;
		dysco_core_time_passed(&w->rig->agent[CLIENT].core, w->rig->now_ns, 64,
				       &w->rig->agent[CLIENT].out);
		carry_out(w, CLIENT, NULL, DYSCO_OUT);
		run(w);
	}
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_NEW_PATH);
	say(w, CLIENT, 106, 506, "lost");
	assert_int_equal(w->delivered[SERVER], 5);
	reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	talks(w, false);
	rig_free(w->rig);
}

/* A change asks in vain, or has come further, when the box dies on its old path. */
static void an_ordinary_change_gives_way(void **state)
{
	static const uint8_t lost[] = {DYSCO_MSG_LOCK, DYSCO_MSG_LOCKED, DYSCO_MSG_READY};

	(void)state;
	for (size_t i = 0; i < sizeof(lost); i++) {
		struct world *w = established();

		w->lost_type = lost[i];
		reconfigure(w, path_of(EXTRA, SERVER));
		assert_int_equal(w->done + w->failed, 0);
		w->lost_type = 0;
		w->box_dead = true;
		say(w, CLIENT, 106, 506, "lost");
		assert_int_not_equal(reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1)),
				     DYSCO_NO_ATTEMPT);
		assert_int_equal(w->done, 2);
		say(w, CLIENT, 106, 506, "lost");
		assert_int_equal(w->delivered[SERVER], 9);
		rig_free(w->rig);
	}
}

/* In two paths there is no way back. */
static void a_change_that_has_cut_does_not_give_way(void **state)
{
	struct world *w = established();

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure(w, path_of(EXTRA, SERVER));
	assert_int_equal(w->done, 0);
	assert_int_equal(reconfigure_as(w, DYSCO_KIND_RECOVERY, path_of(SERVER, -1)),
			 DYSCO_NO_ATTEMPT);
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

/* Neither where its packets go by nor what its SYNs said is known where it is adopted (a port). */
static void the_other_end_tells_of_the_syns(void **state)
{
	struct world *w = established();
	struct dysco_tuple tuple = rig_session(4001, true), back = dysco_tuple_reverse(&tuple);
	struct dysco_syn_options said[2] = {{1460, 9, DYSCO_SYN_NOTED | DYSCO_SYN_SACK},
					    {1400, 7, DYSCO_SYN_NOTED | DYSCO_SYN_SACK}};
	struct dysco_late late = {
	    .host = CLIENT + 1, .attachment = 7, .initiator = true, .tuple = tuple, .learns = true};
	struct rig_agent *client = &w->rig->agent[CLIENT], *server = &w->rig->agent[SERVER];
	struct dysco_address_list path = path_of(BOX, SERVER);
	uint32_t slot, other, index = DYSCO_NO_ATTEMPT;
	struct rig_packet packet;

	(void)state;
	slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	assert_true(dysco_core_only_watches(&client->core, slot));
	assert_int_equal(client->core.table->legs[slot].mode, DYSCO_MODE_PUNT);
	for (int round = 0; round < 2; round++) {
		packet = rig_segment(&tuple, 1000, 2000, DYSCO_TCP_ACK, NULL, 0);
		enqueue(w, CLIENT, DYSCO_OUT, &packet);
		packet = rig_segment(&back, 2000, 1000, DYSCO_TCP_ACK, NULL, 0);
		enqueue(w, SERVER, DYSCO_OUT, &packet);
		run(w);
		if (round == 0) {
			assert_int_equal(client->core.table->legs[slot].mode, DYSCO_MODE_FAST);
			assert_int_not_equal(client->core.table->legs[slot].attachment, 7);
			dysco_core_late_known(&client->core, slot);
			index = dysco_core_reconfigure(&client->core, w->rig->now_ns, slot,
						       DYSCO_KIND_LATE, &path, &client->out);
			assert_int_not_equal(index, DYSCO_NO_ATTEMPT);
			carry_out(w, CLIENT, NULL, DYSCO_OUT);
			run(w);
		}
	}
	assert_true(dysco_core_attempt_due(&client->core, w->rig->now_ns, index, &client->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->done, 0); /* nobody knows it yet */
	other = dysco_core_late_find(&server->core, SERVER + 1, &back);
	assert_int_not_equal(other, DYSCO_NO_SLOT);
	dysco_core_late_options(&server->core, other, said);
	assert_true(dysco_core_attempt_due(&client->core, w->rig->now_ns, index, &client->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->done, 2);
	slot = dysco_core_late_find(&client->core, CLIENT + 1, &tuple);
	assert_int_equal(client->core.table->legs[slot].options[DYSCO_OUT].wscale, 7);
	assert_int_equal(client->core.table->legs[slot].options[DYSCO_IN].wscale, 9);
	assert_int_equal(client->core.table->legs[slot].options[DYSCO_OUT].mss, 1400);
	nothing_is_left(w);
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

/* The client says its last word; the server may still speak. */
static void unknown_session_ends(struct world *w, uint32_t client_seq)
{
	struct dysco_tuple tuple = rig_session(4001, true), back = dysco_tuple_reverse(&tuple);
	struct rig_packet packet =
	    rig_segment(&tuple, client_seq, 2000, DYSCO_TCP_ACK | DYSCO_TCP_FIN, NULL, 0);

	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	packet = rig_segment(&back, 2000, client_seq + 1, DYSCO_TCP_ACK, NULL, 0);
	enqueue(w, SERVER, DYSCO_OUT, &packet);
	run(w);
}

/* Among what the client's agent has just made. */
static int resets_of(const struct world *w, const struct dysco_tuple *tuple)
{
	const struct rig_agent *client = &w->rig->agent[CLIENT];
	int resets = 0;

	for (uint32_t i = 0; i < client->out.count; i++) {
		const struct dysco_action *a = &client->out.list[i];

		if (a->kind == DYSCO_ACT_SEND || a->kind == DYSCO_ACT_DELIVER) {
			struct rig_packet p = parsed(client->out.arena + a->offset, a->bytes);

			resets +=
			    (p.p.flags & DYSCO_TCP_RST) && p.p.tuple.sport_be == tuple->sport_be;
			resets +=
			    (p.p.flags & DYSCO_TCP_RST) && p.p.tuple.dport_be == tuple->sport_be;
		}
	}
	return resets;
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

/* Half of it has ended: that is waited for no longer than a chain would wait, and not reset. */
static void a_half_closed_one_is_not_reset(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	uint64_t later_ns;

	(void)state;
	dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	unknown_session_ends(w, 1000);
	later_ns = w->rig->now_ns + (client->core.setup->timeouts.half_closed + 1) * DYSCO_NS_PER_S;
	while (dysco_core_time_passed(&client->core, later_ns, 64, &client->out)) {
		assert_int_equal(resets_of(w, &late.tuple), 0);
	}
	assert_int_equal(dysco_find(&client->core, &late.tuple, late.host, DYSCO_OUT),
			 DYSCO_NO_SLOT);
	rig_free(w->rig);
}

/* There is nobody who would take a control segment out. */
static void an_adopted_one_is_not_traced_on(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	uint32_t slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);

	(void)state;
	unknown_session_says(w, 1000);
	assert_int_not_equal(dysco_core_trace(&client->core, slot, &client->out), 0);
	assert_int_equal(client->out.count, 1);
	assert_int_equal(client->out.list[0].event, DYSCO_EVENT_TRACE);
	rig_free(w->rig);
}

/* What is asked of hosts that know nothing of it any more would keep the leg for ever. */
static void what_is_over_is_not_provoked(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	uint32_t slot = dysco_core_adopt(&client->core, w->rig->now_ns, &late);
	struct dysco_tuple back = dysco_tuple_reverse(&late.tuple);
	struct rig_packet packet = rig_segment(&back, 2000, 1000, DYSCO_TCP_ACK, NULL, 0);

	(void)state;
	enqueue(w, SERVER, DYSCO_OUT, &packet);
	run(w);
	dysco_core_late_provoke(&client->core, slot, &client->out);
	assert_int_equal(client->out.count, 1);
	packet = rig_segment(&late.tuple, 1000, 2000, DYSCO_TCP_RST | DYSCO_TCP_ACK, NULL, 0);
	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	run(w);
	dysco_core_late_provoke(&client->core, slot, &client->out);
	assert_int_equal(client->out.count, 0);
	rig_free(w->rig);
}

/* Its hosts say something whenever they are asked, but never what belongs to it. */
static void what_is_never_seen_each_way_is_forgotten(void **state)
{
	struct world *w = established();
	struct dysco_late late = unknown_session();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	uint64_t since_ns = w->rig->now_ns;
	struct rig_packet packet = rig_segment(&late.tuple, 1000, 0, DYSCO_TCP_RST, NULL, 0);

	(void)state;
	dysco_core_adopt(&client->core, since_ns, &late);
	for (uint32_t s = 0; s <= client->core.setup->timeouts.embryonic; s += 10) {
		w->rig->now_ns = since_ns + s * DYSCO_NS_PER_S;
		enqueue(w, CLIENT, DYSCO_OUT, &packet);
		run(w);
	}
	w->rig->now_ns += DYSCO_NS_PER_S;
	while (dysco_core_time_passed(&client->core, w->rig->now_ns, 64, &client->out)) {
	}
	assert_int_equal(dysco_find(&client->core, &late.tuple, late.host, DYSCO_OUT),
			 DYSCO_NO_SLOT);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_ends_do_without_a_dead_box),
	    cmocka_unit_test(what_had_arrived_is_not_sent_again),
	    cmocka_unit_test(what_a_host_holds_comes_once_more),
	    cmocka_unit_test(a_recovery_that_fails_at_a_survivor_is_followed_by_another),
	    cmocka_unit_test(an_ordinary_change_gives_way),
	    cmocka_unit_test(a_change_that_has_cut_does_not_give_way),
	    cmocka_unit_test(a_session_is_adopted),
	    cmocka_unit_test(the_other_end_tells_of_the_syns),
	    cmocka_unit_test(an_inserted_box_is_locked_from_the_start),
	    cmocka_unit_test(adopted_sessions_wait_until_all_is_known),
	    cmocka_unit_test(both_ends_may_have_adopted_it),
	    cmocka_unit_test(what_only_watches_is_forgotten),
	    cmocka_unit_test(a_half_closed_one_is_not_reset),
	    cmocka_unit_test(an_adopted_one_is_not_traced_on),
	    cmocka_unit_test(what_is_over_is_not_provoked),
	    cmocka_unit_test(what_is_never_seen_each_way_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
