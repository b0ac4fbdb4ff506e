// SPDX-License-Identifier: BSD-2-Clause
/* Health of boxes and paths (agent/health.h), looked at from where the sessions begin. */
#include "tests/unit/health_world.h"

static void an_idle_session_is_left_alone(void **state)
{
	(void)state;
	ordinary_session();
	pass(20000);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 0);
	assert_int_equal(world.nudges, 0);
	state_of(FW, "\"up\"");
	state_of(IDS, "\"up\"");
}

static void what_is_acknowledged_in_time_is_not_looked_at(void **state)
{
	(void)state;
	ordinary_session();
	for (int i = 0; i < 100; i++) {
		has_unanswered_data();
		pass(300);
		leg()->run[DYSCO_IN].ack += 100;
	}
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 0);
}

/* A dead endpoint: its host's agent says that the segments arrive. */
static void a_whole_path_is_looked_at_rarer_and_rarer(void **state)
{
	(void)state;
	ordinary_session();
	has_unanswered_data();
	pass(2000);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 1);
	pass(60000);
	assert_in_range(fake->agent.core.stats.counters[DYSCO_COUNTER_PATHS_CHECKED], 3, 8);
	expect_count(DYSCO_COUNTER_UNLOCATED, 0);
	expect_count(DYSCO_COUNTER_BOXES_DOWN, 0);
	assert_int_equal(world.resets, 0);
}

static void the_other_end_can_ask_for_a_look(void **state)
{
	struct dysco_msg_trace probe = {.nonce = 5, .flags = DYSCO_PROBE_LOOK};
	struct dysco_header hdr = {.type = DYSCO_MSG_PROBE};
	uint8_t message[DYSCO_MESSAGE_MAX], packet[600];
	struct dysco_tuple tuple;
	size_t n;

	(void)state;
	ordinary_session();
	pass(1000);
	probe.id = fake->cold[world.slot].id;
	n = dysco_message_write_probe(message, &hdr, &probe, NULL);
	assert_true(dysco_parse_tuple("10.9.0.1:61000", "10.0.0.1:61000", &tuple));
	n = dysco_edit_make_segment(packet, sizeof(packet), &tuple, 1, 0, DYSCO_TCP_SYN, 1000,
				    DYSCO_EXID_MARK, message, n);
	fake_agent_punt(fake, fake->agent.config->attachments[0].id, DYSCO_IN, packet, (uint32_t)n);
	world.taken = world.sent = 0; /* its answer */
	pass(1000);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 1);
	pass(5000);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 1);
}

static void the_right_end_asks_the_left_one(void **state)
{
	struct dysco_address_list *list;

	(void)state;
	ordinary_session();
	list = &fake->cold[world.slot].list;
	leg()->role = DYSCO_ROLE_LAST; /* as if it had come in here */
	list->next = (uint8_t)(list->count - 1);
	fake->cold[world.slot].session = dysco_tuple_reverse(&fake->cold[world.slot].session);
	has_unanswered_data();
	pass(1900);
	assert_int_equal(world.looks_asked, 1);
	pass(60000);
	assert_in_range(world.looks_asked, 3, 8);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 0);
	leg()->role = DYSCO_ROLE_FIRST;
}

static void an_agent_that_is_soon_back_is_not_missed(void **state)
{
	(void)state;
	ordinary_session();
	pass(3000);
	world.host[FW].answers = false;
	for (int i = 0; i < 20 && dysco_health_state(&fake->agent, 0) == DYSCO_BOX_UP; i++) {
		pass(100);
	}
	state_of(FW, "\"suspect\"");
	world.host[FW].answers = true;
	pass(2000);
	state_of(FW, "\"up\"");
	expect_count(DYSCO_COUNTER_BOXES_DOWN, 0);
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 0);
}

/* Its agent is dead, its kernel goes on: one look, also at an idle session, and that is all. */
static void a_box_without_agent_keeps_its_sessions(void **state)
{
	(void)state;
	ordinary_session();
	pass(3000);
	world.host[FW].answers = false;
	pass(60000);
	state_of(FW, "\"down\"");
	expect("box list", "boxes/0/cause", "\"no_answer\"");
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 1);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	assert_int_equal(world.resets, 0);
	world.host[FW].answers = true;
	pass(5000);
	state_of(FW, "\"up\"");
}

/* Questions do not reach it, sessions do: it is not watched, and not to blame for others. */
static void what_was_never_reached_is_not_down(void **state)
{
	(void)state;
	ordinary_session();
	world.host[FW].answers = false;
	pass(20000);
	state_of(FW, "null");
	expect_count(DYSCO_COUNTER_PATHS_CHECKED, 1);
	has_unanswered_data();
	world.host[END].passes = false;
	world.host[IDS].passes = false;
	pass(10000);
	state_of(FW, "null");
	state_of(IDS, "\"down\"");
	expect("box list", "boxes/1/cause", "\"no_forward\"");
}

static void a_session_waits_for_its_box(void **state)
{
	(void)state;
	ordinary_session();
	pass(3000);
	has_unanswered_data();
	world.host[FW].answers = world.host[FW].passes = false;
	pass(20000);
	state_of(FW, "\"down\"");
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	world.host[FW].answers = world.host[FW].passes = true;
	pass(10000);
	state_of(FW, "\"up\"");
	leg()->run[DYSCO_IN].ack = leg()->run[DYSCO_OUT].seq_end;
	pass(60000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	assert_int_equal(leg()->mode, DYSCO_MODE_FAST);
}

static void patience_has_an_end(void **state)
{
	(void)state;
	ordinary_session();
	pass(3000);
	has_unanswered_data();
	world.host[FW].answers = world.host[FW].passes = false;
	pass(30000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	pass(10000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 1);
	assert_int_not_equal(leg()->mode, DYSCO_MODE_FAST);
}

static void on_failure_close_has_none(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure close " FILTER);
	pass(3000);
	has_unanswered_data();
	world.host[IDS].passes = false;
	pass(5000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 1);
	expect("box list", "boxes/1/cause", "\"no_forward\"");
	state_of(FW, "\"up\"");
}

static void on_failure_none_does_nothing(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure none " FILTER);
	pass(3000);
	has_unanswered_data();
	world.host[IDS].passes = false;
	pass(60000);
	state_of(IDS, "\"down\"");
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	expect_count(DYSCO_COUNTER_RECOVERY_FAILED, 0);
}

/* Nobody answers: this host may be the one that is cut off. */
static void nothing_is_done_without_the_other_end(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure close " FILTER);
	pass(3000);
	has_unanswered_data();
	for (int i = 0; i < HOSTS; i++) {
		world.host[i].answers = world.host[i].passes = false;
	}
	pass(20000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	assert_int_not_equal(fake->agent.core.stats.counters[DYSCO_COUNTER_UNLOCATED], 0);
}

/* The path that the first recovery is about; its LOCK stays unanswered. */
static const struct dysco_address_list *new_path(void)
{
	fake->agent.core.table->n_attempts = 4;
	pass(3000);
	has_unanswered_data();
	world.host[FW].passes = false;
	pass(4500);
	assert_int_equal(fake->agent.health->mend[0].state, DYSCO_MEND_RECOVERS);
	return &fake->agent.health->mend[0].path;
}

/* The hosts of the new path are silent for longer than patience lasts. */
static void what_cannot_be_recovered_is_closed(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure bypass " FILTER);
	new_path();
	pass(40000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
	pass(100000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 1);
}

/* While it was tried, the old path was none; that is no sign that it is broken still. */
static void a_session_whose_path_is_whole_again_is_not_closed(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure bypass " FILTER);
	new_path();
	world.host[FW].passes = true;
	pass(140000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 0);
}

static void bypass_leaves_the_box_out(void **state)
{
	const struct dysco_address_list *path;

	(void)state;
	session_by("policy replace http via fw,ids1 on-failure bypass " FILTER);
	path = new_path();
	assert_int_equal(path->count, 2);
	assert_true(dysco_addr_equal(&path->hops[0].addr, &world.host[IDS].addr));
	assert_true(dysco_addr_equal(&path->hops[1].addr, &world.host[END].addr));
}

static void replace_takes_another_box_that_is_up(void **state)
{
	const struct dysco_address_list *path;
	struct dysco_addr other;

	(void)state;
	expect_done("box add fw2 10.0.0.4");
	expect_done("box add fw3 10.0.0.5");
	expect_done("type add fws fw fw2 fw3 select consistent-hash");
	fake->agent.core.round_robin[0] = 0;
	session_by("policy replace http via fws,ids1 " FILTER);
	if (!host_at(&leg()->wire_tuple.dst)) { /* which instance it is is the hash's choice */
		world.host[FW].addr = leg()->wire_tuple.dst;
	}
	path = new_path();
	assert_int_equal(path->count, 3);
	other = path->hops[0].addr;
	assert_false(dysco_addr_equal(&other, &world.host[FW].addr));
	assert_true(dysco_box_by_address(&fake->agent.config->setup, &other) >= 0);
}

static void a_mandatory_box_is_never_left_out(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 mandatory fw on-failure bypass " FILTER);
	fake->agent.core.table->n_attempts = 4;
	pass(3000);
	has_unanswered_data();
	world.host[FW].passes = false;
	pass(10000);
	assert_int_equal(fake->agent.health->mend[0].state, DYSCO_MEND_NONE);
	pass(30000);
	expect_count(DYSCO_COUNTER_CLOSED_FAILED, 1);
}

/* A box that has other numbers, or another neighbour than ours: nobody may cut it out. */
static void a_chain_that_is_not_as_known_is_not_recovered(void **state)
{
	(void)state;
	session_by("policy replace http via fw,ids1 on-failure bypass " FILTER);
	fake->agent.core.table->n_attempts = 4;
	pass(3000);
	assert_true(dysco_parse_addr("10.0.0.77", &world.host[IDS].addr));
	world.host[FW].passes = false;
	has_unanswered_data();
	pass(10000);
	assert_int_equal(fake->agent.health->mend[0].state, DYSCO_MEND_NONE);
}

static uint32_t legs_used(void)
{
	return fake->agent.core.live_legs;
}

/* One channel a box while sessions go there; none afterwards. */
static void channels_are_gone_with_their_sessions(void **state)
{
	(void)state;
	ordinary_session();
	pass(5000);
	assert_int_equal(legs_used(), 3);
	leg()->run[DYSCO_IN].seen |= DYSCO_SEEN_RST;
	pass(2500);
	assert_int_equal(legs_used(), 1);
}

static void a_lost_fin_is_sent_again(void **state)
{
	(void)state;
	ordinary_session();
	pass(5000);
	world.lost_fins = 2; /* one of each channel */
	leg()->run[DYSCO_IN].seen |= DYSCO_SEEN_RST;
	pass(3500);
	assert_int_equal(world.lost_fins, 0);
	assert_int_equal(legs_used(), 1);
}

static void an_unanswered_channel_leaves_nothing(void **state)
{
	(void)state;
	ordinary_session();
	world.host[IDS].answers = false;
	pass(900);
	assert_int_equal(legs_used(), 3);
	expect_done("health off");
	pass(200);
	assert_int_equal(legs_used(), 1);
}

static void off_means_off(void **state)
{
	(void)state;
	expect_done("health off");
	ordinary_session();
	has_unanswered_data();
	pass(20000);
	assert_int_equal(world.questions, 0);
	state_of(FW, "null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_idle_session_is_left_alone),
	    TEST(what_is_acknowledged_in_time_is_not_looked_at),
	    TEST(a_whole_path_is_looked_at_rarer_and_rarer),
	    TEST(the_other_end_can_ask_for_a_look),
	    TEST(the_right_end_asks_the_left_one),
	    TEST(an_agent_that_is_soon_back_is_not_missed),
	    TEST(a_box_without_agent_keeps_its_sessions),
	    TEST(what_was_never_reached_is_not_down),
	    TEST(a_session_waits_for_its_box),
	    TEST(patience_has_an_end),
	    TEST(on_failure_close_has_none),
	    TEST(on_failure_none_does_nothing),
	    TEST(nothing_is_done_without_the_other_end),
	    TEST(what_cannot_be_recovered_is_closed),
	    TEST(a_session_whose_path_is_whole_again_is_not_closed),
	    TEST(bypass_leaves_the_box_out),
	    TEST(replace_takes_another_box_that_is_up),
	    TEST(a_mandatory_box_is_never_left_out),
	    TEST(a_chain_that_is_not_as_known_is_not_recovered),
	    TEST(channels_are_gone_with_their_sessions),
	    TEST(a_lost_fin_is_sent_again),
	    TEST(an_unanswered_channel_leaves_nothing),
	    TEST(off_means_off),
	};

	dysco_log_set_level(DYSCO_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
