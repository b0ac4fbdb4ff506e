// SPDX-License-Identifier: BSD-2-Clause
/* Legs of a box whose session is gone (agent/astray.c): this agent's host is the box. */
#include "tests/unit/health_world.h"

#define LINGER 60000 /* ms */

static uint32_t left_slot(void)
{
	return leg()->partner;
}

static struct dysco_leg *left(void)
{
	return &fake->legs[left_slot()];
}

static void send_message_syn(void)
{
	struct dysco_header hdr = {.type = DYSCO_MSG_SYN};
	struct dysco_msg_syn msg = {.id = {{1, 2, 3}}, .list = {.count = 2}};
	uint8_t message[DYSCO_MESSAGE_MAX], packet[600];
	size_t n;

	assert_true(dysco_parse_tuple(SESSION_IP, "10.9.0.1:81", &msg.session));
	assert_true(dysco_parse_tuple("10.0.0.2:61000", "10.0.0.1:61000", &msg.subsession));
	msg.session.src = world.host[FW].addr;
	assert_true(dysco_parse_addr("10.0.0.1", &msg.list.hops[0].addr));
	assert_true(dysco_parse_addr("10.9.0.1", &msg.list.hops[1].addr));
	n = dysco_message_write_syn(message, &hdr, &msg, NULL);
	n = dysco_edit_make_segment(packet, sizeof(packet), &msg.subsession, 1, 0, DYSCO_TCP_SYN,
				    1000, DYSCO_EXID_MARK, message, n);
	fake_agent_punt(fake, fake->agent.config->attachments[0].id, DYSCO_IN, packet, (uint32_t)n);
}

/* fw ---- web (this box) ---- server, and nothing came by since. */
static void session_through_this_box(void)
{
	begin_world();
	send_message_syn();
	send_syn("10.0.0.2:4000", "10.9.0.1:81");
	while (leg()->role != DYSCO_ROLE_RIGHT) {
		assert_in_range(++world.slot, 1, FAKE_LEGS - 1);
	}
	assert_int_equal(leg()->mode, DYSCO_MODE_FAST);
	establish();
	memcpy(left()->run, leg()->run, sizeof(left()->run));
	left()->run[DYSCO_OUT].seen = leg()->run[DYSCO_IN].seen;
	left()->run[DYSCO_IN].seen = leg()->run[DYSCO_OUT].seen;
	fake->on_sent = note_packet;
}

static void one_has_closed(void)
{
	leg()->run[DYSCO_OUT].seen |= DYSCO_SEEN_FIN;
	left()->run[DYSCO_IN].seen |= DYSCO_SEEN_FIN;
}

static void forgets(int host)
{
	world.host[host].known = false;
}

static void is_left(bool wanted)
{
	expect_count(DYSCO_COUNTER_LEFT_BEHIND, wanted);
	assert_int_equal(leg()->mode == DYSCO_MODE_FAST, !wanted);
}

static void what_is_not_idle_is_not_asked_about(void **state)
{
	(void)state;
	session_through_this_box();
	one_has_closed();
	forgets(FW);
	forgets(END);
	pass(LINGER - 5000);
	assert_int_equal(world.questions, 0);
	is_left(false);
}

static void gone_on_either_side_is_gone(void **state)
{
	(void)state;
	for (int host = FW; host <= END; host += END - FW) {
		session_through_this_box();
		one_has_closed();
		forgets(host);
		fake->agent.core.stats.counters[DYSCO_COUNTER_LEFT_BEHIND] = 0;
		pass(LINGER + 5000);
		is_left(true);
		assert_int_equal(world.resets, 0); /* it is nobody else's affair */
		pass(2 * LINGER);
	}
}

static void what_both_know_stays(void **state)
{
	(void)state;
	session_through_this_box();
	one_has_closed();
	pass(10 * LINGER);
	assert_in_range(world.questions, 8, 24);
	is_left(false);
	forgets(END);
	pass(LINGER + 5000);
	is_left(true);
}

/* An open session may be idle for hours. */
static void an_open_one_is_asked_about_rarer_and_rarer(void **state)
{
	(void)state;
	session_through_this_box();
	pass(30 * LINGER);
	assert_in_range(world.questions, 8, 24);
	is_left(false);
	forgets(FW);
	pass(30 * LINGER);
	is_left(true);
}

static void silence_says_nothing(void **state)
{
	(void)state;
	session_through_this_box();
	one_has_closed();
	for (int i = 0; i < HOSTS; i++) {
		world.host[i].answers = false;
	}
	pass(5 * LINGER);
	is_left(false);
}

/* The agent of a NAT on the way may have answered: what the session answers counts. */
/* A session that has one end closed, and a neighbour that has forgotten it, until it is asked. */
static void asks_at_first(void)
{
	session_through_this_box();
	one_has_closed();
	forgets(FW);
	pass(LINGER + 200);
	assert_in_range(world.questions, 1, 4);
}

static void a_session_that_answers_is_not_gone(void **state)
{
	(void)state;
	session_through_this_box();
	one_has_closed();
	forgets(FW);
	for (int i = 0; i < 3 * LINGER / 100; i++) {
		left()->run[DYSCO_IN].packets += i % 5 == 0;
		pass(100);
	}
	assert_in_range(world.questions, 2, 24);
	is_left(false);
}

static void a_reset_is_no_sign_of_life(void **state)
{
	(void)state;
	asks_at_first();
	left()->run[DYSCO_IN].packets++;
	left()->run[DYSCO_IN].seen |= DYSCO_SEEN_RST; /* the box has kept it to itself */
	pass(5000);
	is_left(true);
}

/* A proxy whose client has gone waits for its server. */
static void a_box_may_finish_with_one_side(void **state)
{
	(void)state;
	session_through_this_box();
	left()->run[DYSCO_IN].seen |= DYSCO_SEEN_RST;
	forgets(FW);
	pass(5 * LINGER);
	assert_in_range(world.questions, 2, 24);
	is_left(false);
}

/* Who answers once that it knows it has had it all the time. */
static void it_takes_more_than_one_answer(void **state)
{
	(void)state;
	asks_at_first();
	world.host[FW].known = true;
	pass(10000);
	is_left(false);
}

static void who_is_under_way_elsewhere_is_left_alone(void **state)
{
	(void)state;
	session_through_this_box();
	one_has_closed();
	forgets(FW);
	fake->cold[world.slot].attempt = 1;
	fake->agent.core.table->n_attempts = 4;
	fake->attempts[1] = (struct dysco_attempt){
	    .role = DYSCO_PART_BETWEEN, .old_slot = world.slot, .lease_ns = UINT64_MAX};
	pass(3 * LINGER);
	assert_int_equal(world.questions, 0);
	is_left(false);
}

static void not_without_health(void **state)
{
	(void)state;
	expect_done("health off");
	session_through_this_box();
	one_has_closed();
	forgets(FW);
	pass(3 * LINGER);
	assert_int_equal(world.questions, 0);
	is_left(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_not_idle_is_not_asked_about),
	    TEST(gone_on_either_side_is_gone),
	    TEST(what_both_know_stays),
	    TEST(an_open_one_is_asked_about_rarer_and_rarer),
	    TEST(silence_says_nothing),
	    TEST(a_session_that_answers_is_not_gone),
	    TEST(a_reset_is_no_sign_of_life),
	    TEST(a_box_may_finish_with_one_side),
	    TEST(it_takes_more_than_one_answer),
	    TEST(who_is_under_way_elsewhere_is_left_alone),
	    TEST(not_without_health),
	};

	dysco_log_set_level(DYSCO_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
