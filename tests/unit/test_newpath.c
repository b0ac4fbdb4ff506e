// SPDX-License-Identifier: BSD-2-Clause
/*
 * The set-up of a new path from client to server through the box (world.h, docs/protocol.md
 * 12.4): what it does without one more round trip, and what it does not believe too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/anchor.h"
#include "tests/unit/world.h"

/* Segments of one kind that are lost on one leg of the new path. */
static struct {
	int from, to; /* agents */
	uint8_t mask; /* of these flags */
	uint8_t flags;
	unsigned int count; /* how many */
} lost;

static bool loses(struct world *w, int agent, const struct rig_packet *packet)
{
	(void)w;
	if (lost.count == 0 || agent != lost.to || agent_of(&packet->p.tuple.src) != lost.from ||
	    (packet->p.flags & lost.mask) != lost.flags) {
		return false;
	}
	lost.count--;
	return true;
}

static void loses_next(int from, int to, uint8_t mask, uint8_t flags, unsigned int count)
{
	lost.from = from;
	lost.to = to;
	lost.mask = mask;
	lost.flags = flags;
	lost.count = count;
}

/* The client and the server alone: the box comes in next. */
static struct world *direct(void)
{
	struct world *w = established();

	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	memset(&lost, 0, sizeof(lost));
	w->between = loses;
	return w;
}

static uint8_t state_at(const struct world *w, int agent)
{
	return w->rig->agent[agent].sim.attempts[1].state;
}

/* Of what follows, nothing is left: the session goes through the box, or not. */
static void ends(struct world *w, bool boxed)
{
	assert_int_equal(w->done, boxed ? 4 : 2);
	assert_int_equal(w->failed, !boxed);
	nothing_is_left(w);
	w->between = NULL;
	talks(w, boxed);
	rig_free(w->rig);
}

/* One way there, one back; and its CUT, which comes first by the old path, need not come again. */
static void the_left_anchor_cuts_without_another_round_trip(void **state)
{
	struct world *w = direct();
	struct rig_agent *client = &w->rig->agent[CLIENT];
	struct dysco_address_list path = path_of(BOX, SERVER);

	(void)state;
	dysco_core_reconfigure(&client->core, w->rig->now_ns, right_leg(w, CLIENT),
			       DYSCO_KIND_ORDINARY, &path, &client->out);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	while (state_at(w, CLIENT) != DYSCO_ATTEMPT_CUTTING && step(w)) {
	}
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_CUTTING);
	assert_int_equal(state_at(w, SERVER), DYSCO_ATTEMPT_WAITING);
	run(w);
	ends(w, true);
}

static void ready_comes_before_the_syn_ack(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(BOX, CLIENT, DYSCO_TCP_SYN, DYSCO_TCP_SYN, 1);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_SETTING_UP);
	again(w, CLIENT);
	ends(w, true);
}

/* A strict box takes no window from it; the client must not take it for shown. */
static void an_opening_ack_does_not_overtake_at_a_box(void **state)
{
	struct world *w = direct();
	unsigned int boxed = w->boxed;

	(void)state;
	loses_next(SERVER, BOX, DYSCO_TCP_SYN | DYSCO_TCP_ACK, DYSCO_TCP_SYN | DYSCO_TCP_ACK, 1);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(w->boxed - boxed, 1); /* the SYN */
	assert_int_equal(rig_drops(w->rig, BOX, DYSCO_REASON_PENDING), 1);
	again(w, CLIENT);
	ends(w, true);
}

/* The ACK is lost, and what is with it: the server does not use a path that it has not heard of. */
static void the_cut_waits_for_the_ack(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(BOX, SERVER, DYSCO_TCP_SYN, 0, 3); /* ACK, once more with the window, CUT */
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(lost.count, 0);
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_CUTTING);
	assert_int_equal(state_at(w, SERVER), DYSCO_ATTEMPT_WAITING);
	again(w, CLIENT);
	ends(w, true);
}

/* A box lets SYN and SYN-ACK through, and no more: what has gone there is sent again. */
static void a_path_that_takes_no_more_is_left_soon(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(BOX, SERVER, DYSCO_TCP_SYN, 0, 100);
	reconfigure(w, path_of(BOX, SERVER));
	say(w, CLIENT, 106, 506, "more");
	assert_int_equal(w->delivered[SERVER], 5);
	for (int cut = 2; cut <= 4; cut++) {
		assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_CUTTING);
		again(w, CLIENT);
	}
	assert_int_equal(w->reason, DYSCO_NACK_NEW_PATH);
	w->rig->now_ns += DYSCO_LEASE_NS;
	again(w, BOX); /* which was told of the end by a RST, but of no attempt's */
	ends(w, false);
}

/* On a path whose ACK alone is lost the CUT comes through: it is no dead end. */
static void a_cut_by_the_new_path_shows_that_it_lives(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(BOX, SERVER, 0xff, DYSCO_TCP_ACK, 100);
	reconfigure(w, path_of(BOX, SERVER));
	for (int cut = 2; cut <= 8; cut++) {
		assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_CUTTING);
		again(w, CLIENT);
	}
	assert_int_equal(w->failed, 0);
	assert_int_equal(state_at(w, SERVER), DYSCO_ATTEMPT_WAITING);
	lost.count = 0;
	again(w, CLIENT);
	ends(w, true);
}

/* What the client gets by the new path, as if from the server through the box. */
static void reset_arrives(struct world *w, uint32_t seq)
{
	const struct dysco_sim *sim = &w->rig->agent[CLIENT].sim;
	struct dysco_tuple in =
	    dysco_tuple_reverse(&sim->legs[sim->attempts[1].new_slot].wire_tuple);
	struct rig_packet reset = rig_segment(&in, seq, 0, DYSCO_TCP_RST, NULL, 0);

	enqueue(w, CLIENT, DYSCO_IN, &reset);
	run(w);
}

/* Before the client knows the server's number, nobody can have it right. */
static void a_blind_reset_does_not_end_a_new_path(void **state)
{
	struct world *w = direct();

	(void)state;
	w->lost_type = DYSCO_MSG_READY;
	loses_next(BOX, CLIENT, DYSCO_TCP_SYN, DYSCO_TCP_SYN, 1);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_SETTING_UP);
	reset_arrives(w, 1);
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_SETTING_UP);
	w->lost_type = 0;
	again(w, CLIENT);
	ends(w, true);
}

static void a_reset_with_the_number_that_ready_has_told_ends_it(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(BOX, CLIENT, DYSCO_TCP_SYN, DYSCO_TCP_SYN, 1);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_SETTING_UP);
	reset_arrives(w, w->rig->agent[CLIENT].sim.attempts[1].peer_isn + 1);
	assert_int_equal(w->reason, DYSCO_NACK_NEW_PATH);
	w->rig->now_ns += DYSCO_LEASE_NS;
	again(w, BOX);
	ends(w, false);
}

static bool embryonic_at_box(const struct world *w)
{
	const struct dysco_leg *legs = w->rig->agent[BOX].sim.legs;
	const struct dysco_leg *right = &legs[right_leg(w, BOX)];

	return dysco_leg_is_embryonic(right) && dysco_leg_is_embryonic(&legs[right->partner]);
}

/* The server's opening ACK is no sign that the client has not given the path up. */
static void a_path_is_embryonic_without_the_left_anchors_ack(void **state)
{
	struct world *w = direct();

	(void)state;
	loses_next(CLIENT, BOX, DYSCO_TCP_SYN, 0, 3);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(lost.count, 0);
	assert_true(embryonic_at_box(w));
	again(w, CLIENT);
	assert_false(embryonic_at_box(w));
	ends(w, true);
}

/* ---- a path on which the hosts have said nothing yet ---- */

/* Its handshake's window was counted from other numbers than the hosts'. */
static void nothing_is_granted_by_a_handshake(void **state)
{
	struct world *w = direct();
	struct rig_agent *box = &w->rig->agent[BOX];
	const struct dysco_leg *leg;

	(void)state;
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(w->done, 4);
	leg = &box->sim.legs[right_leg(w, BOX)];
	assert_int_equal(leg->run[DYSCO_IN].base, DYSCO_BASE_AGENTS);
	loses_next(BOX, EXTRA, 0, 0, 100);
	reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path_of(EXTRA, SERVER));
	assert_int_equal(dysco_anchor_edge(&box->core, box->sim.cold[right_leg(w, BOX)].attempt),
			 leg->run[DYSCO_IN].ack);
	rig_free(w->rig);
}

static unsigned int by_the_old_path;

static bool counts_pushed(struct world *w, int agent, const struct rig_packet *packet)
{
	(void)w;
	by_the_old_path += agent == SERVER && agent_of(&packet->p.tuple.src) == CLIENT &&
			   packet->p.flags == (DYSCO_TCP_ACK | DYSCO_TCP_PSH);
	return false;
}

/* Sent before the cut, where the old path began: without PSH it would be the handshake's. */
static void what_comes_late_at_the_old_bases_is_the_hosts(void **state)
{
	struct world *w = direct();

	(void)state;
	say(w, CLIENT, 106, 506, "more");
	say(w, SERVER, 506, 110, "");
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(state_at(w, CLIENT), DYSCO_ATTEMPT_DONE);
	w->between = counts_pushed;
	by_the_old_path = 0;
	say(w, CLIENT, 106, 506, "");
	assert_int_equal(by_the_old_path, 1);
	assert_int_equal(w->last[SERVER].p.seq, 106);
	rig_free(w->rig);
}

/* ---- what comes by the new path first ---- */

static bool overtaken; /* data of the client's by the new path, the rest of its old path to come */

static bool asks_whether_overtaken(struct world *w, int agent, const struct rig_packet *packet)
{
	struct dysco_input in = {.attachment = 1,
				 .host = w->rig->agent[agent].setup.hosts[0].id,
				 .direction = DYSCO_IN,
				 .data = packet->data,
				 .bytes = (uint32_t)packet->bytes,
				 .mtu = 1500};
	bool is = dysco_core_overtakes(&w->rig->agent[agent].core, &in);

	assert_true(!is || (agent == SERVER && message_type(packet) == 0));
	overtaken |= is;
	return false;
}

static void data_that_overtakes_the_old_path_is_known(void **state)
{
	struct world *w = direct();

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	loses_next(CLIENT, SERVER, 0xff, DYSCO_TCP_ACK, 1);
	say(w, CLIENT, 106, 506, "more");
	assert_int_equal(lost.count, 0);
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(state_at(w, SERVER), DYSCO_ATTEMPT_TWO_PATHS);
	w->between = asks_whether_overtaken;
	overtaken = false;
	say(w, CLIENT, 110, 506, "");
	say(w, CLIENT, 106, 506, "mo");
	assert_false(overtaken); /* no data, or by the old path */
	say(w, CLIENT, 110, 506, "then");
	assert_true(overtaken);
	overtaken = false;
	say(w, CLIENT, 114, 506, "then");
	assert_false(overtaken); /* the server's host has seen later data already */
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_left_anchor_cuts_without_another_round_trip),
	    cmocka_unit_test(ready_comes_before_the_syn_ack),
	    cmocka_unit_test(an_opening_ack_does_not_overtake_at_a_box),
	    cmocka_unit_test(the_cut_waits_for_the_ack),
	    cmocka_unit_test(a_path_that_takes_no_more_is_left_soon),
	    cmocka_unit_test(a_cut_by_the_new_path_shows_that_it_lives),
	    cmocka_unit_test(a_blind_reset_does_not_end_a_new_path),
	    cmocka_unit_test(a_reset_with_the_number_that_ready_has_told_ends_it),
	    cmocka_unit_test(a_path_is_embryonic_without_the_left_anchors_ack),
	    cmocka_unit_test(nothing_is_granted_by_a_handshake),
	    cmocka_unit_test(what_comes_late_at_the_old_bases_is_the_hosts),
	    cmocka_unit_test(data_that_overtakes_the_old_path_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
