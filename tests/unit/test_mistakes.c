// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mistakes of our own that seeds of the simulator found (docs/verification.md), in the quiet
 * world of world.h: a seed means another run once the simulator has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

static uint32_t attempts_at(const struct world *w, int agent)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < DYSCO_SIM_ATTEMPTS; i++) {
		n += w->rig->agent[agent].sim.attempts[i].role != DYSCO_PART_NONE;
	}
	return n;
}

/* ---- a failed attempt before ---- */

/* As if a box had changed the ports meanwhile: the next SYN does not meet these legs. */
static void have_other_ports(struct rig_agent *a)
{
	for (uint32_t slot = 1; slot <= a->core.high_slot; slot++) {
		assert_int_equal(dysco_leg_state(&a->sim.legs[slot]), DYSCO_STATE_RESET);
		dysco_leg_unbind(&a->core, slot, DYSCO_OUT);
		a->sim.legs[slot].host_tuple.sport_be ^= 1;
		a->sim.legs[slot].host_tuple.dport_be ^= 1;
		assert_int_equal(dysco_leg_bind(&a->core, slot, DYSCO_OUT), 0);
	}
}

/*
 * The box puts another one in behind itself, which has legs of a failed attempt already: the
 * server has refused its SYN. The client is not told.
 */
static struct world *inserted_at_the_second_try(void)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(EXTRA, SERVER);
	uint32_t index;

	w->lost_type = DYSCO_MSG_CHAIN;
	index = dysco_core_reconfigure(&box->core, w->rig->now_ns, right_leg(w, BOX),
				       DYSCO_KIND_ORDINARY, &path, &box->out);
	carry_out(w, BOX, NULL, DYSCO_OUT);
	while (attempts_at(w, EXTRA) == 0 && step(w)) {
	}
	w->resets_lost = true;
	assert_true(dysco_core_attempt_cancel(&box->core, w->rig->now_ns, index, &box->out));
	carry_out(w, BOX, NULL, DYSCO_OUT);
	while (w->failed == 0 && step(w)) {
	}
	assert_int_equal(w->failed, 1);
	w->resets_lost = false;
	run(w);
	have_other_ports(&w->rig->agent[EXTRA]);
	reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path);
	assert_int_equal(w->done, 2);
	assert_int_equal(w->rig->agent[EXTRA].core.live_legs, 4);
	return w;
}

/* What is first found of the session at a host may be over, and the session there all the same. */
static void a_box_does_not_come_in_twice(void **state)
{
	struct world *w = inserted_at_the_second_try();

	(void)state;
	reconfigure(w, path_of(EXTRA, BOX));
	assert_int_equal(w->done, 2);
	assert_int_equal(w->failed, 2);
	assert_int_equal(w->reason, DYSCO_NACK_NEW_PATH);
	talks(w, true);
	rig_free(w->rig);
}

static void close_ends_the_legs_in_use(void **state)
{
	struct world *w = inserted_at_the_second_try();
	struct rig_agent *client = &w->rig->agent[CLIENT], *extra = &w->rig->agent[EXTRA];
	struct dysco_addr addr = rig_addr(EXTRA, true);
	struct dysco_msg_trace probe = {.nonce = 7, .flags = DYSCO_PROBE_CLOSE};
	uint32_t channel, slot = right_leg(w, CLIENT);

	(void)state;
	probe.id = client->sim.cold[slot].id;
	channel = dysco_core_channel_open(&client->core, w->rig->now_ns, slot, &addr);
	assert_true(dysco_core_probe(&client->core, w->rig->now_ns, channel, &probe, &client->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(extra->sim.legs[3].mode, DYSCO_MODE_DEAD);
	assert_int_equal(extra->sim.legs[4].mode, DYSCO_MODE_DEAD);
	rig_free(w->rig);
}

/* The box asks to be left out, and is heard when another one has come between. */
static void a_box_does_not_ask_away_who_came_between(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	uint32_t left = box->sim.legs[right_leg(w, BOX)].partner;
	struct dysco_address_list path = path_of(SERVER, -1);

	(void)state;
	w->lost_type = DYSCO_MSG_TRIGGER;
	assert_int_not_equal(dysco_core_trigger(&box->core, w->rig->now_ns, left, &path, &box->out),
			     DYSCO_NO_ATTEMPT);
	carry_out(w, BOX, NULL, DYSCO_OUT);
	run(w);
	reconfigure(w, path_of(EXTRA, BOX));
	assert_int_equal(w->done, 2);
	w->lost_type = 0;
	again(w, BOX);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_CHANGED);
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* ---- attempts whose session is over ---- */

/* The session has ended in two paths, and its ports are used again: nobody waits for its end. */
static void ports_used_again_end_two_paths(void **state)
{
	struct dysco_tuple tuple = rig_session(4000, true), back = dysco_tuple_reverse(&tuple);
	struct world *w = established();
	uint32_t slot = right_leg(w, CLIENT);
	struct rig_packet packet;

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure(w, path_of(SERVER, -1));
	packet = rig_segment(&tuple, 106, 506, DYSCO_TCP_ACK | DYSCO_TCP_FIN, NULL, 0);
	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	run(w);
	packet = rig_segment(&back, 506, 107, DYSCO_TCP_ACK | DYSCO_TCP_FIN, NULL, 0);
	enqueue(w, SERVER, DYSCO_OUT, &packet);
	run(w);
	say(w, CLIENT, 107, 507, "");
	assert_int_equal(attempts_at(w, CLIENT), 1);
	assert_true(dysco_leg_is_over(&w->rig->agent[CLIENT].sim.legs[slot]));
	packet = rig_segment(&tuple, 900000, 0, DYSCO_TCP_SYN, NULL, 0);
	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	run(w);
	assert_int_equal(attempts_at(w, CLIENT), 0);
	assert_int_equal(w->rig->agent[CLIENT].sim.legs[slot].mode, DYSCO_MODE_DEAD);
	rig_free(w->rig);
}

/* Between the client and what is behind it two paths do not end. */
static bool client_is_never_done(struct world *w, int agent, const struct rig_packet *packet)
{
	struct dysco_addr client = rig_addr(CLIENT, true);

	(void)w;
	return message_type(packet) == DYSCO_MSG_DONE &&
	       (agent == CLIENT || dysco_addr_equal(&packet->p.tuple.src, &client));
}

/* The box is an anchor on both sides; on its right the peer's host has reset the session. */
static void a_reset_ends_the_attempt_of_the_other_side(void **state)
{
	struct dysco_tuple tuple = rig_session(4000, true), back = dysco_tuple_reverse(&tuple);
	struct world *w = established_over(client_is_never_done);
	struct rig_packet packet;

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure(w, path_of(BOX, -1));
	reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path_of(SERVER, -1));
	assert_int_equal(attempts_at(w, BOX), 2);
	packet = rig_segment(&back, 506, 106, DYSCO_TCP_ACK | DYSCO_TCP_RST, NULL, 0);
	rig_pass(w->rig, SERVER, DYSCO_OUT, &packet); /* lost on both paths */
	assert_int_equal(attempts_at(w, SERVER), 0);
	assert_int_equal(attempts_at(w, BOX), 2);
	w->lost_type = 0;
	again(w, BOX);
	assert_int_equal(attempts_at(w, BOX), 0);
	rig_free(w->rig);
}

/* ---- what comes late ---- */

static struct rig_packet late;

/* What the client, as left anchor, says by the new path when its handshake is over. */
static bool keeps_last_ack(struct world *w, int agent, const struct rig_packet *packet)
{
	const struct dysco_sim *client = &w->rig->agent[CLIENT].sim;
	const struct dysco_attempt *a = &client->attempts[1];

	if (agent == SERVER && packet->p.flags == DYSCO_TCP_ACK && packet->p.payload_bytes == 0 &&
	    a->state >= DYSCO_ATTEMPT_PROVING && a->state <= DYSCO_ATTEMPT_CUTTING &&
	    dysco_tuple_equal(&packet->p.tuple, &client->legs[a->new_slot].wire_tuple)) {
		late = *packet;
	}
	return false;
}

/* The window in it was counted before the cuts: the host must not take it (RFC 9293 3.10.7.4). */
static void a_window_of_before_the_cut_comes_late(void **state)
{
	struct world *w = established_over(keeps_last_ack);

	(void)state;
	late.bytes = 0;
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	assert_true(late.bytes > 0);
	enqueue(w, SERVER, DYSCO_IN, &late);
	run(w);
	assert_true(dysco_seq_after(106, w->last[SERVER].p.seq)); /* what it expects */
	talks(w, false);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_box_does_not_come_in_twice),
	    cmocka_unit_test(close_ends_the_legs_in_use),
	    cmocka_unit_test(a_box_does_not_ask_away_who_came_between),
	    cmocka_unit_test(ports_used_again_end_two_paths),
	    cmocka_unit_test(a_reset_ends_the_attempt_of_the_other_side),
	    cmocka_unit_test(a_window_of_before_the_cut_comes_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
