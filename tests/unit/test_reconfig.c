// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reconfigurations of a session between client, box and server (world.h): boxes that
 * are left out and come back, that ask for it, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

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
	again(w, CLIENT);
	assert_int_equal(w->failed, 0);
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

static uint32_t attempts_at(const struct world *w, int agent)
{
	const struct dysco_table *table = w->rig->agent[agent].core.table;
	uint32_t n = 0;

	for (uint32_t i = 1; i < table->n_attempts; i++) {
		n += table->attempts[i].role != DYSCO_PART_NONE;
	}
	return n;
}

/* The left anchor gets no last word, and says at the end that it waits for none any more. */
static void a_box_hears_that_nobody_waits(void **state)
{
	struct world *w = established();
	uint32_t left = w->rig->agent[BOX].sim.legs[right_leg(w, BOX)].partner;

	(void)state;
	w->lost_type = DYSCO_MSG_RELEASED;
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	for (int i = 0; i < DYSCO_TRIES_MAX; i++) {
		assert_int_equal(attempts_at(w, CLIENT), 1);
		again(w, CLIENT);
	}
	assert_int_equal(attempts_at(w, BOX), 0); /* one more could be lost */
	again(w, CLIENT);
	assert_int_equal(w->failed, 0);
	nothing_is_left(w);
	assert_int_equal(w->rig->agent[BOX].sim.legs[left].mode, DYSCO_MODE_DEAD);
	talks(w, false);
	rig_free(w->rig);
}

/* Its ends have left without a word, or by another way: nothing will ever be drained. */
static void two_paths_of_nobody_expire(void **state)
{
	struct world *w = established();
	uint64_t idle_s = w->rig->agent[CLIENT].core.setup->timeouts.established + 1;

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(attempts_at(w, CLIENT), 1);
	assert_int_equal(attempts_at(w, SERVER), 1);
	w->rig->now_ns += idle_s * DYSCO_NS_PER_S;
	for (int i = 0; i < RIG_AGENTS; i++) {
		struct rig_agent *a = &w->rig->agent[i];

		while (dysco_core_time_passed(&a->core, w->rig->now_ns, 64, &a->out)) {
		}
	}
	assert_int_equal(attempts_at(w, CLIENT), 0);
	assert_int_equal(attempts_at(w, SERVER), 0);
	rig_free(w->rig);
}

/* Whose numbers would be asked for when they are about to be others? */
static void two_paths_are_not_locked(void **state)
{
	struct world *w = established();

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path_of(EXTRA, SERVER));
	assert_int_equal(attempts_at(w, BOX), 1);
	assert_int_equal(w->failed, 0);
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_BUSY);
	assert_int_equal(attempts_at(w, CLIENT), 0);
	rig_free(w->rig);
}

/* The client begins anew on the same ports while the box is an anchor in two paths. */
static void a_syn_does_not_open_an_anchor_again(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(SERVER, -1);
	uint32_t slot = right_leg(w, BOX);
	struct dysco_tuple was = dysco_leg_at(&box->core, slot)->wire_tuple;
	struct rig_packet syn;

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	dysco_core_reconfigure(&box->core, w->rig->now_ns, slot, DYSCO_KIND_ORDINARY, &path,
			       &box->out);
	carry_out(w, BOX, NULL, DYSCO_OUT);
	run(w);
	syn = rig_segment(&dysco_leg_at(&box->core, slot)->host_tuple, 900000, 0, DYSCO_TCP_SYN,
			  NULL, 0);
	enqueue(w, BOX, DYSCO_OUT, &syn);
	run(w);
	assert_true(dysco_tuple_equal(&was, &dysco_leg_at(&box->core, slot)->wire_tuple));
	rig_free(w->rig);
}

/* A host that is told to leave the session while it is an anchor of an attempt. */
static void who_leaves_ends_its_attempt(void **state)
{
	struct world *w = established();
	struct rig_agent *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(SERVER, -1);
	uint32_t slot = right_leg(w, BOX);

	(void)state;
	w->lost_type = DYSCO_MSG_DONE;
	assert_int_not_equal(dysco_core_reconfigure(&box->core, w->rig->now_ns, slot,
						    DYSCO_KIND_ORDINARY, &path, &box->out),
			     DYSCO_NO_ATTEMPT);
	carry_out(w, BOX, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(attempts_at(w, BOX), 1);
	dysco_leave_box(&box->core, w->rig->now_ns, dysco_leg_at(&box->core, slot)->partner,
			&box->out);
	assert_int_equal(attempts_at(w, BOX), 0);
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

/* The box never hears that the first attempt was given up; the second one comes at once. */
static void a_retry_after_a_cancel_comes_through(void **state)
{
	struct world *w = established();
	struct rig_agent *client = &w->rig->agent[CLIENT], *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(BOX, SERVER);
	uint32_t index;

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	index = dysco_core_reconfigure(&client->core, w->rig->now_ns, right_leg(w, CLIENT),
				       DYSCO_KIND_ORDINARY, &path, &client->out);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	while (box->sim.attempts[1].role != DYSCO_PART_INSERTED && step(w)) {
	}
	w->resets_lost = true;
	assert_true(dysco_core_attempt_cancel(&client->core, w->rig->now_ns, index, &client->out));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->reason, DYSCO_NACK_CANCELLED);
	w->resets_lost = false;
	reconfigure(w, path);
	again(w, CLIENT); /* its SYN ended what was there */
	assert_int_equal(w->done, 4);
	assert_int_equal(w->failed, 1);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

static uint32_t left_leg(const struct world *w, int agent)
{
	const struct rig_agent *a = &w->rig->agent[agent];

	for (uint32_t slot = 1; slot < a->sim.table.capacity; slot++) {
		if (a->sim.legs[slot].mode == DYSCO_MODE_FAST &&
		    (a->sim.legs[slot].role == DYSCO_ROLE_LAST ||
		     a->sim.legs[slot].role == DYSCO_ROLE_LEFT)) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* What the other end's host may send is beyond all that its agent shows: asked once, not for ever.
 */
static void a_window_is_not_asked_for_in_a_circle(void **state)
{
	struct world *w = established();
	struct dysco_leg_run *server;

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	server = &w->rig->agent[SERVER].sim.legs[left_leg(w, SERVER)].run[DYSCO_OUT];
	assert_int_equal(server->window, 1000);
	server->window = 10;
	reconfigure(w, path_of(BOX, SERVER)); /* everything arrives, and it comes to rest */
	assert_int_equal(w->done, 2);
	server->window = 1000;
	again(w, CLIENT);
	assert_int_equal(w->done, 4);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* A box that has come in is an anchor next: what it promises must be what the host has granted. */
static void a_new_box_knows_what_the_host_grants(void **state)
{
	struct dysco_tuple tuple = rig_session(4000, true);
	struct world *w = established();
	struct rig_packet packet;

	(void)state;
	reconfigure(w, path_of(SERVER, -1));
	reconfigure(w, path_of(BOX, SERVER));
	assert_int_equal(w->rig->agent[BOX].sim.legs[right_leg(w, BOX)].run[DYSCO_OUT].window,
			 1000);
	packet = rig_segment_in(&tuple, 106, 506, DYSCO_TCP_ACK, 400, "more", 4);
	enqueue(w, CLIENT, DYSCO_OUT, &packet);
	run(w);
	assert_int_equal(w->rig->agent[BOX].sim.legs[right_leg(w, BOX)].run[DYSCO_OUT].window, 400);
	assert_int_equal(w->rig->agent[BOX].sim.legs[left_leg(w, BOX)].run[DYSCO_IN].window, 400);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_window_is_not_asked_for_in_a_circle),
	    cmocka_unit_test(a_new_box_knows_what_the_host_grants),
	    cmocka_unit_test(a_box_is_left_out),
	    cmocka_unit_test(the_right_anchor_has_forgotten),
	    cmocka_unit_test(a_box_comes_back),
	    cmocka_unit_test(a_box_hears_that_nobody_waits),
	    cmocka_unit_test(two_paths_of_nobody_expire),
	    cmocka_unit_test(who_leaves_ends_its_attempt),
	    cmocka_unit_test(two_paths_are_not_locked),
	    cmocka_unit_test(a_syn_does_not_open_an_anchor_again),
	    cmocka_unit_test(a_box_asks_to_be_left_out),
	    cmocka_unit_test(an_agent_need_not_obey_boxes),
	    cmocka_unit_test(a_box_asks_with_patience),
	    cmocka_unit_test(a_mandatory_box_is_not_left_out),
	    cmocka_unit_test(what_is_not_possible_is_refused),
	    cmocka_unit_test(a_box_that_is_not_frozen_refuses),
	    cmocka_unit_test(a_refused_new_path_is_not_reset_again),
	    cmocka_unit_test(a_retry_after_a_cancel_comes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
