// SPDX-License-Identifier: BSD-2-Clause
/*
 * Questions of health between agents (core/probe.c, docs/protocol.md 12.14), in a quiet
 * world (world.h): channels, what is answered, and what follows from the flags.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

static struct rig_agent *client_of(struct world *w)
{
	return &w->rig->agent[CLIENT];
}

static uint32_t channel_to(struct world *w, int agent)
{
	struct dysco_addr addr = rig_addr(agent, true);
	uint32_t slot = dysco_core_channel_open(&client_of(w)->core, w->rig->now_ns,
						right_leg(w, CLIENT), &addr);

	assert_int_not_equal(slot, DYSCO_NO_SLOT);
	return slot;
}

static bool asks(struct world *w, uint32_t channel, uint8_t flags)
{
	struct dysco_msg_trace probe = {.nonce = 7, .flags = flags};

	probe.id = client_of(w)->sim.cold[right_leg(w, CLIENT)].id;
	if (!dysco_core_probe(&client_of(w)->core, w->rig->now_ns, channel, &probe,
			      &client_of(w)->out)) {
		return false;
	}
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	return true;
}

static void closes(struct world *w, uint32_t channel)
{
	dysco_core_channel_close(&client_of(w)->core, w->rig->now_ns, channel, &client_of(w)->out);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
}

static void legs_are(const struct world *w, uint32_t client, uint32_t box, uint32_t server)
{
	assert_int_equal(w->rig->agent[CLIENT].core.live_legs, client);
	assert_int_equal(w->rig->agent[BOX].core.live_legs, box);
	assert_int_equal(w->rig->agent[SERVER].core.live_legs, server);
}

static void a_channel_is_gone_when_both_have_ended_it(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, SERVER);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(asks(w, channel, 0));
		run(w);
	}
	assert_int_equal(rig_counter(w->rig, SERVER, DYSCO_COUNTER_PROBES_ANSWERED), 3);
	assert_true(dysco_core_channel_answered(&client_of(w)->core, channel));
	legs_are(w, 2, 2, 2);
	closes(w, channel);
	legs_are(w, 1, 2, 1);
	assert_false(asks(w, channel, 0));
	talks(w, true);
	rig_free(w->rig);
}

static void a_fin_that_was_lost_can_be_repeated(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, BOX);

	(void)state;
	assert_true(asks(w, channel, 0));
	run(w);
	w->box_dead = true;
	closes(w, channel);
	assert_false(asks(w, channel, 0)); /* nothing is sent behind a FIN */
	legs_are(w, 2, 3, 1);
	w->box_dead = false;
	closes(w, channel);
	legs_are(w, 1, 2, 1);
	rig_free(w->rig);
}

static void without_an_answer_nothing_is_left(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, BOX);

	(void)state;
	w->box_dead = true;
	assert_true(asks(w, channel, 0));
	run(w);
	legs_are(w, 2, 2, 1);
	closes(w, channel);
	legs_are(w, 1, 2, 1);
	rig_free(w->rig);
}

/* The other agent has lost its table: its host's stack knows no such connection. */
static void a_forgotten_channel_is_gone_at_once(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, SERVER);
	struct dysco_tuple back;
	struct rig_packet reset;

	(void)state;
	assert_true(asks(w, channel, 0));
	run(w);
	back = dysco_tuple_reverse(&client_of(w)->sim.legs[channel].wire_tuple);
	reset = rig_segment(&back, client_of(w)->sim.legs[channel].run[DYSCO_OUT].ack, 0,
			    DYSCO_TCP_RST, NULL, 0);
	enqueue(w, CLIENT, DYSCO_IN, &reset);
	run(w);
	assert_false(asks(w, channel, 0));
	assert_int_equal(client_of(w)->core.live_legs, 1);
	rig_free(w->rig);
}

static void a_nudge_changes_nothing(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, SERVER);
	unsigned int boxed = w->boxed;

	(void)state;
	assert_true(asks(w, channel, DYSCO_PROBE_NUDGE));
	run(w);
	assert_int_equal(w->boxed, boxed + 1);
	assert_int_equal(w->last[CLIENT].p.seq, 505); /* one below what was acknowledged */
	assert_int_equal(w->last[CLIENT].p.payload_bytes, 0);
	assert_true(
	    dysco_core_nudge(&client_of(w)->core, right_leg(w, CLIENT), &client_of(w)->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->boxed, boxed + 2);
	assert_int_equal(w->last[SERVER].p.seq, 105);
	closes(w, channel);
	talks(w, true);
	rig_free(w->rig);
}

static void a_wish_for_a_look_is_told(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, BOX);
	unsigned int boxed = w->boxed;

	(void)state;
	assert_true(asks(w, channel, DYSCO_PROBE_LOOK));
	while (!rig_event(w->rig, BOX, DYSCO_EVENT_LOOK) && step(w)) {
	}
	assert_true(rig_event(w->rig, BOX, DYSCO_EVENT_LOOK));
	run(w);
	assert_int_equal(w->boxed, boxed); /* the session carries nothing for it */
	rig_free(w->rig);
}

static void whose_session_is_over_is_told(void **state)
{
	struct world *w = established();
	uint32_t channel = channel_to(w, SERVER);

	(void)state;
	assert_true(asks(w, channel, DYSCO_PROBE_CLOSE));
	run(w);
	assert_true(w->last[SERVER].p.flags & DYSCO_TCP_RST);
	assert_true(w->last[CLIENT].p.flags & DYSCO_TCP_RST);
	assert_int_equal(rig_counter(w->rig, SERVER, DYSCO_COUNTER_KILLED), 1);
	rig_free(w->rig);
}

/* The box has swallowed the RST of the left end: only its left leg knows that it is over. */
static void half_a_session_is_closed_too(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	uint32_t channel = channel_to(w, BOX), right = right_leg(w, BOX);
	uint32_t left = box->sim.legs[right].partner;

	(void)state;
	box->sim.legs[left].run[DYSCO_IN].seen |= DYSCO_SEEN_RST;
	assert_true(asks(w, channel, DYSCO_PROBE_CLOSE));
	run(w);
	assert_int_equal(box->sim.legs[left].mode, DYSCO_MODE_DEAD);
	assert_int_equal(box->sim.legs[right].mode, DYSCO_MODE_DEAD);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_channel_is_gone_when_both_have_ended_it),
	    cmocka_unit_test(a_fin_that_was_lost_can_be_repeated),
	    cmocka_unit_test(without_an_answer_nothing_is_left),
	    cmocka_unit_test(a_forgotten_channel_is_gone_at_once),
	    cmocka_unit_test(a_nudge_changes_nothing),
	    cmocka_unit_test(a_wish_for_a_look_is_told),
	    cmocka_unit_test(whose_session_is_over_is_told),
	    cmocka_unit_test(half_a_session_is_closed_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
