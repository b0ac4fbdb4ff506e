/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wishes for many sessions (agent/wish.h, plan.h, job.h): what statements mean,
 * which sessions they concern, what the new chains are, and how a job goes on
 * when sessions are refused, end, or are not waited for.
 */
#define ASKING_CONFIG                                                                              \
	"agent a1\n"                                                                               \
	"host web address 10.0.0.1 fd00::1\n"                                                      \
	"attach nic eth0 host web\n"                                                               \
	"box fw 10.0.0.2 fd00::2\n"                                                                \
	"box fw2 10.0.0.3\n"                                                                       \
	"box fw3 10.0.0.4\n"                                                                       \
	"type fws fw fw2 fw3\n"                                                                    \
	"policy http via fw filter tcp dst port 80\n"                                              \
	"policy mail via fw,fw2 filter tcp dst port 25\n"
#include "agent/job.h"
#include "tests/unit/asking.h"

static uint64_t now_ns;

static int begin(void **state)
{
	now_ns = dysco_now_ns();
	return set_up(state);
}

static void pass(unsigned int ms)
{
	now_ns += ms * 1000000ull;
	dysco_jobs_tick(&fake->agent, now_ns);
}

/* ---- statements ---- */

static void statements_are_parsed(void **state)
{
	(void)state;
	expect_refused("session insert --policy http", "syntax");
	expect_refused("session insert --policy http fw9", "unknown_box");
	expect_refused("session insert --policy", "syntax");
	expect_refused("session insert --policy http fw2 after nobody", "unknown_box");
	expect_refused("session replace --policy http fw", "syntax");
	expect_refused("session remove --filter 'udp' fw", "bad_filter");
	expect_refused("session remove --box fw9 fw", "unknown_box");
	expect_refused("session remove --policy http fws", "unknown_box"); /* a type is no box */
	expect_refused("session remove --policy http fw --rate 0", "bad_value");
	expect_refused("session remove --policy http fw --rate 5/m", "bad_value");
	expect_refused("session remove --policy http fw --parallel 129", "bad_value");
	expect_refused("session remove --policy http fw --timeout -1", "bad_value");
	expect_refused("session remove --policy http fw --to fw2", "syntax");
	expect_refused("session remove 10.0.0.1:1 10.9.0.1:80 fw --rate 3", "syntax");
	expect_refused("session remove --policy http fw --never", "syntax");
	expect_refused("box drain", "syntax");
	expect_refused("box drain fw fw2", "syntax");
	expect_refused("box drain fws", "unknown_box");
	expect_refused("box drain fw --to fw", "bad_value");
	expect_refused("box drain fw --to 10.0.0.2 --rate", "syntax");
	expect_refused("box undrain fw9", "unknown_box");
	expect_refused("job show 1", "unknown_job");
	expect_refused("job abort 0", "unknown_job");
	expect_refused("job show", "syntax");
	expect("job list", "jobs", "[]");
}

static void every_option_has_its_effect(void **state)
{
	struct dysco_conf_error error;
	struct dysco_words words;
	struct dysco_order *order;
	char wrong[100];
	const char line[] = "session replace --filter 'tcp port 80' --box fw --rate 5/s --parallel "
			    "7 --timeout 60 --force --dry-run fw fws fw3";

	(void)state;
	assert_int_equal(dysco_words_split(&words, line, sizeof(line) - 1, wrong, sizeof(wrong)),
			 0);
	order = dysco_order_parse(&fake->agent, &words, &error);
	assert_non_null(order);
	assert_true(order->group && order->dry_run && order->wish.force);
	assert_int_equal(order->rate, 5);
	assert_int_equal(order->parallel, 7);
	assert_int_equal(order->timeout_s, 60);
	assert_int_equal(order->wish.kind, DYSCO_WISH_REPLACE);
	assert_int_equal(order->wish.n_out, 1);
	assert_int_equal(order->wish.n_in, 2);
	assert_true(order->wish.in[0].type && !order->wish.in[1].type);
	assert_string_equal(order->selection.box.text, "fw");
	assert_string_equal(order->what, "session replace --filter 'tcp port 80' --box fw --rate "
					 "5/s --parallel 7 --timeout 60 --force fw fws fw3");
	dysco_order_free(order);
}

static void clauses_of_policies(void **state)
{
	(void)state;
	expect("policy list", "policies/0/existing", "\"keep\"");
	expect("policy list", "policies/1/mandatory", "[]");
	expect("policy replace mail via fws mandatory fws existing keep filter tcp dst "
	       "port 25",
	       "error", "nothing");
	expect("policy list", "policies/1/mandatory", "[\"fws\"]");
	expect("policy add new via 10.0.0.2 mandatory 10.0.0.2 existing move filter tcp", "job",
	       "1");
	expect("policy list", "policies/2/mandatory", "[\"fw\"]");
	expect("policy list", "policies/2/existing", "\"move\"");
	expect_refused("policy add bad mandatory fw via fw filter tcp", "unknown_box");
	expect_refused("policy add bad via fw existing leave filter tcp", "bad_value");
}

/* ---- plans ---- */

/* The rule of the type always says the box that is there already. */
static void a_box_that_is_down_is_the_last_choice(void **state)
{
	int had, first, second;

	(void)state;
	expect("type add hashed fw fw2 fw3 select consistent-hash", "error", "nothing");
	expect("policy replace http via hashed filter tcp dst port 80", "error", "nothing");
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	had = dysco_box_by_address(&fake->agent.config->setup, &fake->legs[1].wire_tuple.dst);
	assert_in_range(had, 0, 2);
	first = had == 0;
	second = had == 2 ? 1 : 2;
	for (int down = 0; down < 2; down++) {
		const struct dysco_setup *setup = &fake->agent.config->setup;
		char line[120], wanted[100], addr[DYSCO_ENDPOINT_TEXT];

		fake->agent.core.box_down[first] = down;
		dysco_format_addr(addr, &setup->boxes[down ? second : first].ip4);
		snprintf(wanted, sizeof(wanted), "\"%s\"", addr);
		snprintf(line, sizeof(line), "session replace --policy http %.63s hashed --dry-run",
			 setup->boxes[had].name);
		expect(line, "sessions/0/to/0", wanted);
	}
}

static void dry_runs_tell_every_session(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	send_syn("10.0.0.1:4001", "10.9.0.1:80");
	send_syn("10.0.0.1:4002", "10.9.0.1:25");
	expect("box drain fw --dry-run", "would", "3");
	expect("box drain fw --dry-run", "sessions/0/from", "[\"10.0.0.2\",\"10.9.0.1\"]");
	expect("box drain fw --dry-run", "sessions/0/to", "[\"10.9.0.1\"]");
	expect("session insert --policy http fws --dry-run", "unchanged", "2");
	expect("session replace --policy http fw fws --dry-run", "sessions/0/to/0", "\"10.0.0.3\"");
	expect("session replace --policy http fw fws --dry-run", "sessions/1/to/0", "\"10.0.0.4\"");
	expect("session replace --policy http fw fws --dry-run", "sessions/0/to/0",
	       "\"10.0.0.3\""); /* nobody has had a turn */
	expect("session remove --filter 'port 4001' fw --dry-run", "would", "1");
	expect("session remove --policy mail fw2 --dry-run", "causes/0/cause",
	       "\"unknown_host\""); /* behind fw, whose agent can do it */
	expect("session remove --policy mail fw2 --dry-run", "sessions/0/message",
	       "\"'fw2' does not follow a host of this agent in the session's chain\"");
	expect("session remove --policy mail fw fw2 --dry-run", "sessions/0/to", "[\"10.9.0.1\"]");
	expect("session remove --policy mail fw fw3 --dry-run", "causes/0/cause",
	       "\"unknown_box\"");
	expect("session remove 10.0.0.1:4000 10.9.0.1:80 fw --dry-run", "would", "1");
	expect("job list", "jobs", "[]");
}

static void mandatory_boxes_stay(void **state)
{
	(void)state;
	expect("policy replace http via fw mandatory fw filter tcp dst port 80", "error",
	       "nothing");
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect("session show 10.0.0.1:4000 10.9.0.1:80", "sessions/0/chain/0/mandatory", "true");
	expect("session show 10.0.0.1:4000 10.9.0.1:80", "sessions/0/chain/1/mandatory", "false");
	expect_refused("session remove 10.0.0.1:4000 10.9.0.1:80 fw", "mandatory");
	expect("session remove --policy http fw --dry-run", "causes/0/cause", "\"mandatory\"");
	expect("session remove --policy http fw --force --dry-run", "would", "1");
	expect("session replace --policy http fw fw2 --dry-run", "would", "1");
	expect("type remove fws", "error", "nothing");
	expect("session replace --policy http fw fw2 --dry-run", "causes/0/cause", "\"mandatory\"");
}

/* ---- draining ---- */

static void a_draining_box_gets_no_sessions(void **state)
{
	(void)state;
	expect("box drain fw2", "policies", "[\"mail\"]");
	expect("box list", "boxes/1/draining", "true");
	expect("policy replace http via fws filter tcp dst port 80", "error", "nothing");
	for (int i = 0; i < 4; i++) {
		char src[32];

		snprintf(src, sizeof(src), "10.0.0.1:%d", 4000 + i);
		send_syn(src, "10.9.0.1:80");
	}
	expect("session list peer 10.0.0.3", "total", "0");
	expect("box drain fw", "policies", "[\"mail\"]");
	expect_refused("box drain fw3", "in_use");
	expect("box drain fw3 --force --dry-run", "error", "nothing");
	expect("box list", "boxes/2/draining", "false");
	expect("box drain 10.0.0.4 --force", "error", "nothing");
	expect("box list", "boxes/2/draining", "true");
	expect("policy test 10.0.0.1:9 10.9.0.1:80", "verdict", "\"drop\"");
	expect("box undrain fw3", "error", "nothing");
	expect("policy test 10.0.0.1:9 10.9.0.1:80", "hops/0", "\"10.0.0.4\"");
}

static void draining_survives_a_reload(void **state)
{
	struct dysco_config *base = dysco_config_new(fake->agent.ids);
	struct dysco_conf_error error;

	(void)state;
	expect("box drain fw2", "error", "nothing");
	expect("box drain fw3", "error", "nothing");
	expect("box undrain fw3", "error", "nothing");
	assert_int_equal(dysco_config_read(base, "t", config, strlen(config), &error), 0);
	assert_int_equal(dysco_agent_reload(&fake->agent, base, &error), 0);
	expect("box list", "boxes/1/draining", "true");
	expect("box list", "boxes/2/draining", "false");
}

/* ---- jobs ---- */

static void what_is_refused_for_a_moment_is_tried_again(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80"); /* not established: not ready */
	expect("session remove --policy http fw", "job", "1");
	for (unsigned int i = 1; i < DYSCO_JOB_TRIES; i++) {
		expect("job show 1", "state", "\"running\"");
		pass(4000);
	}
	expect("job show 1", "state", "\"done\"");
	expect("job show 1", "failed", "1");
	expect("job show 1", "retried", "5");
	expect("job show 1", "causes/0/cause", "\"not_ready\"");
	expect_refused("job pause 1", "unknown_job");
}

static void jobs_are_steered(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect("session remove --policy http fw --rate 1", "job", "1");
	expect("job pause 1", "state", "\"paused\"");
	pass(10000);
	expect("job show 1", "retried", "1");
	expect("job resume 1", "state", "\"running\"");
	pass(10000);
	pass(10000);
	expect("job show 1", "retried", "2");
	expect("job abort 1", "state", "\"aborted\"");
	expect("job show 1", "causes/0/cause", "\"aborted\"");
	expect("job show 1", "skipped", "1");
}

static void time_can_be_over(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect("session remove --policy http fw --timeout 5", "job", "1");
	pass(4000);
	expect("job show 1", "state", "\"running\"");
	pass(2000);
	expect("job show 1", "state", "\"done\"");
	expect("job show 1", "causes/0/cause", "\"timeout\"");
}

static void sessions_that_end_are_gone(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect("session remove --policy http fw", "job", "1");
	expect("session kill 10.0.0.1:4000 10.9.0.1:80", "killed", "1");
	pass(4000);
	pass(4000);
	expect("job show 1", "gone", "1");
	expect("job show 1", "failed", "0");
}

static void jobs_are_bounded(void **state)
{
	char line[64];

	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	for (int i = 0; i < DYSCO_JOBS_MAX; i++) {
		expect("session remove --policy http fw", "error", "nothing");
	}
	expect_refused("session remove --policy http fw", "limit");
	expect("job abort 7", "state", "\"aborted\"");
	snprintf(line, sizeof(line), "%d", DYSCO_JOBS_MAX + 1);
	expect("session remove --policy http fw", "job", line);
	expect_refused("job show 7", "unknown_job");
}

static void a_client_that_left_gets_no_dry_run(void **state)
{
	(void)state;
	dysco_jobs_forget(&fake->agent, fake);
	assert_null(fake_agent_ask(fake, "session remove --policy http fw --dry-run"));
	json_decref(fake->last_answer);
	fake->last_answer = NULL;
	dysco_jobs_forget(&fake->agent, fake);
	pass(1000);
	assert_null(fake->last_answer);
}

/* ---- policies that move ---- */

static void only_those_that_differ_are_moved(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	send_syn("10.0.0.1:4001", "10.9.0.1:25");
	expect("policy replace http via fw existing move filter tcp dst port 80", "job",
	       "nothing"); /* no other chain */
	expect("policy replace http via fw2 existing move filter tcp dst port 80", "job", "1");
	pass(1);
	expect("job show 1", "pending", "1");
	expect("job show 1", "what", "\"existing: move http\"");
	expect("policy add all priority 200 via fw existing move filter tcp dst port 80", "job",
	       "2");
	pass(1);
	expect("job show 2", "unchanged", "1");
	expect("session list policy all", "total", "1"); /* it is that policy's now */
	expect("policy replace mail via fw3 filter tcp dst port 25", "job", "nothing");
	expect("policy remove all", "job", "3");
	pass(1);
	expect("job show 3", "pending", "1");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(statements_are_parsed),
	    CASE(every_option_has_its_effect),
	    CASE(clauses_of_policies),
	    CASE(a_box_that_is_down_is_the_last_choice),
	    CASE(dry_runs_tell_every_session),
	    CASE(mandatory_boxes_stay),
	    CASE(a_draining_box_gets_no_sessions),
	    CASE(draining_survives_a_reload),
	    CASE(what_is_refused_for_a_moment_is_tried_again),
	    CASE(jobs_are_steered),
	    CASE(time_can_be_over),
	    CASE(sessions_that_end_are_gone),
	    CASE(jobs_are_bounded),
	    CASE(a_client_that_left_gets_no_dry_run),
	    CASE(only_those_that_differ_are_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
