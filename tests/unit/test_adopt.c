/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Late attach at the agent (agent/late.c): what it asks of the host's stack,
 * what it waits for, and whom it answers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/log.h"
#include "conf/parse.h"
#include "tests/unit/fake_agent.h"

#define SECOND_NS 1000000000ull
#define ENDS	  "10.0.0.1:4000 10.9.0.1:80"

static const char config[] = "agent a1\n"
			     "attach nic eth0 host web address 10.0.0.1 fd00::1 10.4.0.0/16\n"
			     "attach port eth1 host beyond address 10.0.0.7\n"
			     "box fw 10.0.0.2 fd00::2\n";

static struct fake_agent *fake;

static int set_up(void **state)
{
	struct dysco_conf_error error;
	struct dysco_syn_options options = {1460, 7, DYSCO_SYN_NOTED | DYSCO_SYN_SACK};

	(void)state;
	fake = fake_agent_new(config, &error);
	if (fake) {
		fake->socket.options[DYSCO_OUT] = options;
		fake->socket.options[DYSCO_IN] = options;
	}
	return fake ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	fake_agent_free(fake);
	return 0;
}

/* Code of the error that was answered at once, or of the one that came later. */
static const char *code_of(const json_t *answer)
{
	const char *code =
	    json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	return code ? code : "none";
}

static void expect_refused(const char *line, const char *code)
{
	json_t *answer = fake_agent_ask(fake, line);

	assert_non_null(answer);
	assert_string_equal(code_of(answer), code);
	json_decref(answer);
}

/* The only leg there is. */
static struct dysco_leg *leg(void)
{
	assert_int_equal(fake->agent.core.live_legs, 1);
	return &fake->agent.core.table->legs[fake->agent.core.high_slot];
}

/* Packets of it, up to these numbers of its host; the peer has acknowledged `acked`. */
static void seen(uint32_t sent, uint32_t acked)
{
	struct dysco_leg_run *out = &leg()->run[DYSCO_OUT], *in = &leg()->run[DYSCO_IN];

	out->seq_end = sent;
	out->seen |= DYSCO_SEEN_ANY | DYSCO_SEEN_ACK | DYSCO_SEEN_CONFIRM;
	in->ack = acked;
	in->seen |= DYSCO_SEEN_ANY | DYSCO_SEEN_ACK | DYSCO_SEEN_CONFIRM;
}

static void tick(uint64_t after_ns)
{
	dysco_agent_tick(&fake->agent, dysco_now_ns() + after_ns);
}

static void a_session_is_known_when_enough_was_seen(void **state)
{
	json_t *again;

	(void)state;
	fake->listening = true;
	fake->socket.unacked = 500;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	assert_int_equal(leg()->options[DYSCO_OUT].wscale, 7);
	assert_string_equal(json_string_value(json_object_get(fake->last_event, "event")),
			    "adopted");
	tick(0);
	assert_null(fake->last_answer);
	seen(1000, 900); /* 500 after 900 are under way, and 100 of them have been seen */
	tick(0);
	assert_null(fake->last_answer);
	seen(1399, 900);
	tick(0);
	assert_null(fake->last_answer);
	seen(1400, 1400);
	tick(0);
	assert_non_null(json_object_get(fake->last_answer, "id"));
	assert_false(leg()->flags & DYSCO_LEG_LATE);
	again = fake_agent_ask(fake, "session adopt " ENDS);
	assert_true(json_equal(again, fake->last_answer));
	json_decref(again);
}

/* The peer knows of bytes that were sent before anybody watched. */
static void numbers_that_were_acknowledged_unseen_are_waited_for(void **state)
{
	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	seen(1000, 2000);
	tick(0);
	assert_null(fake->last_answer);
	seen(2000, 2000);
	tick(0);
	assert_string_equal(code_of(fake->last_answer), "none");
}

static void an_idle_session_is_watched(void **state)
{
	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	tick(11 * SECOND_NS);
	assert_string_equal(code_of(fake->last_answer), "not_adopted");
	assert_true(leg()->flags & DYSCO_LEG_LATE);
	seen(1000, 1000);
	tick(0);
	assert_false(leg()->flags & DYSCO_LEG_LATE);
}

static void what_cannot_be_adopted_is_refused(void **state)
{
	(void)state;
	expect_refused("session adopt 10.9.0.1:80 10.0.0.1:4000", "unknown_session");
	expect_refused("session adopt 3fa4", "unknown_session");
	expect_refused("session adopt x y", "syntax");
	expect_refused("session adopt", "syntax");
	fake->no_socket = -ENOTCONN;
	expect_refused("session adopt " ENDS, "unknown_session");
	fake->no_socket = -EPERM;
	expect_refused("session adopt " ENDS, "internal");
	fake->no_socket = 0;
	fake->socket.accepted = true;
	expect_refused("session adopt " ENDS, "not_adopted");
	assert_int_equal(fake->agent.core.live_legs, 0);
}

/* A port has no stack to ask, nor has a gateway's that lets the session pass. */
static void what_passes_by_is_watched(void **state)
{
	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt 10.0.0.7:4000 10.9.0.1:80"));
	assert_int_equal(leg()->mode, DYSCO_MODE_PUNT);
	assert_int_equal(leg()->options[DYSCO_OUT].flags, 0);
	tick(SECOND_NS); /* idle: the other end is made to speak */
	assert_int_equal(fake->sent_kind, DYSCO_ACT_SEND);
	fake->no_socket = -ENOTCONN;
	assert_null(fake_agent_ask(fake, "session adopt 10.4.1.1:4000 10.9.0.1:80"));
	assert_int_equal(fake->agent.core.live_legs, 2);
	expect_refused("detach eth2", "unknown_attachment");
	json_decref(fake_agent_ask(fake, "detach eth1"));
	expect_refused("session adopt 10.0.0.7:4001 10.9.0.1:80", "unknown_session");
}

static void a_connection_that_is_gone_is_forgotten(void **state)
{
	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	seen(1000, 1000);
	fake->no_socket = -ENOTCONN;
	tick(0);
	assert_string_equal(code_of(fake->last_answer), "not_adopted");
	assert_int_equal(fake->agent.core.live_legs, 0);
}

static void a_change_adopts_first(void **state)
{
	(void)state;
	expect_refused("session remove " ENDS " fw", "unknown_session"); /* it has no chain */
	expect_refused("session insert 10.0.0.9:1 10.9.0.1:80 fw", "unknown_session");
	assert_null(fake_agent_ask(fake, "session insert " ENDS " fw"));
	expect_refused("session insert " ENDS " nowhere", "unknown_box");
	seen(1000, 1000);
	tick(0);
	assert_string_equal(code_of(fake->last_answer), "not_reconfigured"); /* no room */
	assert_false(leg()->flags & DYSCO_LEG_LATE);
}

static void clients_that_left_get_no_answer(void **state)
{
	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	dysco_late_forget(&fake->agent, fake);
	seen(1000, 1000);
	tick(0);
	assert_null(fake->last_answer);
}

static void adopted_sessions_outlive_their_attachment(void **state)
{
	json_t *answer;

	(void)state;
	assert_null(fake_agent_ask(fake, "session adopt " ENDS));
	seen(1000, 1000);
	tick(0);
	answer = fake_agent_ask(fake, "detach eth0");
	assert_int_equal(json_integer_value(json_object_get(answer, "ended")), 0);
	assert_int_equal(fake->injected, 0); /* nobody is reset */
	json_decref(answer);
}

static void connection(const char *src, const char *dst)
{
	assert_true(dysco_parse_tuple(src, dst, &fake->connections[fake->n_connections++]));
}

/* Count of a job's, or of a dry run's answer. */
static int count_of(const char *line, const char *member)
{
	json_t *answer = fake_agent_ask(fake, line);
	int count;

	answer = answer ? answer : json_incref(fake->last_answer);
	assert_non_null(json_object_get(answer, member));
	count = (int)json_integer_value(json_object_get(answer, member));
	json_decref(answer);
	return count;
}

static void connections(void)
{
	connection("10.0.0.1:4000", "10.9.0.1:80");
	connection("10.0.0.1:4001", "10.9.0.1:25");
	connection("10.0.0.1:4002", "10.0.0.1:80"); /* passes no interface */
	connection("10.0.0.5:4003", "10.9.0.1:80"); /* another host's */
}

static void jobs_adopt_what_stacks_have_opened(void **state)
{
	(void)state;
	connections();
	assert_int_equal(count_of("session adopt --filter tcp --dry-run", "would"), 2);
	assert_int_equal(fake->agent.core.live_legs, 0);
	assert_int_equal(count_of("session adopt --filter 'dst port 80'", "job"), 2);
	assert_int_equal(count_of("job show 2", "running"), 1);
	seen(1000, 1000);
	tick(0);
	assert_int_equal(count_of("job show 2", "done"), 1);
	assert_int_equal(count_of("session adopt --filter tcp --dry-run", "would"), 1);
	fake->no_socket = -ENOTCONN;
	assert_int_equal(count_of("session adopt --filter tcp", "job"), 4);
	assert_int_equal(count_of("job show 4", "gone"), 1);
}

static void passing(const char *src, const char *dst)
{
	assert_true(dysco_parse_tuple(src, dst, &fake->passing[fake->n_passing++]));
}

/* Beyond the port, and behind the gateway; not what the gateway's own stack has told. */
static void jobs_adopt_what_is_tracked(void **state)
{
	(void)state;
	passing("10.0.0.7:5000", "10.9.0.1:80");
	passing("10.4.0.9:5001", "10.9.0.1:80");
	passing("10.0.0.1:5002", "10.9.0.1:80");
	passing("10.9.0.1:5003", "10.0.0.7:80");
	assert_int_equal(count_of("session adopt --filter tcp --dry-run", "would"), 2);
	fake->passing_wrong = -ENOENT; /* as far as it came */
	assert_int_equal(count_of("session adopt --filter 'src port 5000' --dry-run", "would"), 1);
}

static void jobs_give_up(void **state)
{
	(void)state;
	connections();
	assert_int_equal(count_of("session adopt --filter 'dst port 80'", "job"), 1);
	tick(11 * SECOND_NS);
	assert_int_equal(count_of("job show 1", "skipped"), 1);
	assert_int_equal(count_of("session adopt --filter 'dst port 25'", "job"), 2);
	assert_int_equal(count_of("job abort 2", "running"), 0);
	assert_int_equal(count_of("job show 2", "skipped"), 1);
}

/* Once it is known it is treated like any other: here there is no room for an attempt. */
static void policies_that_move_adopt_first(void **state)
{
	(void)state;
	connections();
	assert_int_equal(
	    count_of("policy add web via fw existing move filter tcp dst port 80", "job"), 1);
	tick(0);
	assert_int_equal(count_of("job show 1", "running"), 1);
	seen(1000, 1000);
	tick(0);
	assert_int_equal(count_of("job show 1", "retried"), 1);
	fake->connections[1] = fake->connections[0]; /* no chain for it: nothing to adopt for */
	fake->connections[1].sport_be = 5;
	assert_int_equal(
	    count_of("policy add plain priority 200 existing move filter tcp dst port 80", "job"),
	    2);
	tick(0);
	assert_int_equal(fake->agent.core.live_legs, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(a_session_is_known_when_enough_was_seen),
	    CASE(numbers_that_were_acknowledged_unseen_are_waited_for),
	    CASE(an_idle_session_is_watched),
	    CASE(what_cannot_be_adopted_is_refused),
	    CASE(what_passes_by_is_watched),
	    CASE(a_connection_that_is_gone_is_forgotten),
	    CASE(a_change_adopts_first),
	    CASE(clients_that_left_get_no_answer),
	    CASE(adopted_sessions_outlive_their_attachment),
	    CASE(jobs_adopt_what_stacks_have_opened),
	    CASE(jobs_adopt_what_is_tracked),
	    CASE(jobs_give_up),
	    CASE(policies_that_move_adopt_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
