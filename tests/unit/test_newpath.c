// SPDX-License-Identifier: BSD-2-Clause
/*
 * The set-up of a new path from client to server through the box (world.h, docs/protocol.md
 * 12.4): what it does without one more round trip, and what it does not believe too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_left_anchor_cuts_without_another_round_trip),
	    cmocka_unit_test(ready_comes_before_the_syn_ack),
	    cmocka_unit_test(an_opening_ack_does_not_overtake_at_a_box),
	    cmocka_unit_test(the_cut_waits_for_the_ack),
	    cmocka_unit_test(a_path_that_takes_no_more_is_left_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
