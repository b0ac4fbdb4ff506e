/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent between its socket and the core: requests and their answers,
 * changes that are all or nothing (agent/agent.h).
 */
#include "tests/unit/asking.h"

/* ---- questions ---- */

static void status_tells_what_is_there(void **state)
{
	(void)state;
	expect("status", "agent", "\"a1\"");
	expect("status", "datapath", "\"fake\"");
	expect("status", "hosts/1/addresses/0", "\"10.1.0.0/16\"");
	expect("status", "attachments/1/mode", "\"port\"");
	expect("status", "attachments/1/netns", "\"ns1\"");
	expect("status", "attachments/0/up", "true");
	expect("status", "signed", "false");
	expect("status", "hosts/0/ports_held", "0");
	dysco_agent_tick(&fake->agent, dysco_now_ns());
	expect("status", "hosts/0/ports_held", "1");
	expect("status", "hosts/1/ports_held", "0");
	expect("status", "ports", "\"61000-65535\"");
	expect("version", "version", "\"" DYSCO_VERSION "\"");
}

static void lists_tell_what_is_configured(void **state)
{
	(void)state;
	expect("policy list", "policies/0/via", "[\"fw\",\"ids\"]");
	expect("policy list", "policies/0/filter", "\"tcp dst port 80\"");
	expect("policy list", "policies/0/fail", "\"closed\"");
	expect("box list", "boxes/0/addresses", "[\"10.0.0.2\",\"fd00::2\"]");
	expect("type list", "types/0/select", "\"round-robin\"");
	expect("stats", "counters/fast_out", "3");
	expect("stats", "drops/12/name", "\"no_ports\"");
	expect("session list", "total", "0");
}

static void a_policy_can_be_tried(void **state)
{
	(void)state;
	expect("policy test 10.0.0.1:4000 10.9.0.1:80", "verdict", "\"chain\"");
	expect("policy test 10.0.0.1:4000 10.9.0.1:80", "hops",
	       "[\"10.0.0.2\",\"10.0.0.3\",\"10.9.0.1\"]");
	expect("policy test 10.0.0.1:4000 10.9.0.1:81", "verdict", "\"plain\"");
	expect("policy test 10.0.0.1:4000 10.9.0.1:81", "policy", "null");
	/* the ids has no IPv6 address */
	expect("policy test [fd00::1]:4000 [fd00::9]:80", "verdict", "\"drop\"");
	expect("policy test [fd00::1]:4000 [fd00::9]:80", "reason", "\"no_family\"");
	expect_refused("policy test 10.0.0.1 10.9.0.1:80", "bad_address");
	expect_refused("policy test 10.77.0.1:1 10.9.0.1:80", "unknown_host");
	expect("policy test 10.77.0.1:1 10.9.0.1:80 host web", "host", "\"web\"");
	expect_refused("policy test 10.77.0.1:1 10.9.0.1:80 host mars", "unknown_host");
	expect_refused("policy test 10.77.0.1:1 10.9.0.1:80 hostess web", "syntax");
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	expect_refused("", "syntax");
	expect_refused("   # nothing", "syntax");
	expect_refused("'open", "syntax");
	expect_refused("status please", "syntax");
	expect_refused("session", "unknown_command");
	expect_refused("session show", "syntax");
	expect_refused("session show xyz", "syntax");
	expect_refused("session show abcd", "unknown_session");
	expect_refused("session show 10.0.0.1:1 10.0.0.2:2", "unknown_session");
	expect_refused("session trace abcd", "unknown_session");
	expect_refused("session kill abcd", "unknown_session");
	expect_refused("session list limit many", "bad_value");
	expect_refused("session list colour blue", "syntax");
	expect_refused("session list state", "syntax");
	expect_refused("session list peer mars", "bad_address");
	expect_refused("reboot", "unknown_command");
	expect_refused("key 1 00", "unknown_command");
}

/* ---- changes ---- */

static void changes_are_made_at_run_time(void **state)
{
	(void)state;
	expect_done("box add fw2 10.0.0.9");
	expect_done("policy add ssh priority 200 via fw2 fail open filter tcp dst port 22");
	assert_int_equal(fake->n_rules, 2);
	expect("policy list", "policies/0/name", "\"ssh\"");
	expect_done("policy replace ssh via fw filter tcp dst port 2222");
	expect("policy list", "policies/1/filter", "\"tcp dst port 2222\"");
	expect_done("policy remove ssh");
	assert_int_equal(fake->n_rules, 1);
	expect_done("attach nic eth2 host web");
	assert_int_equal(fake->attached, 3);
	expect_done("detach eth2");
	assert_int_equal(fake->detached, 1);
	assert_int_equal(fake->stored, 6);
}

static void a_refused_change_leaves_everything(void **state)
{
	const struct dysco_config *before = fake->agent.config;

	(void)state;
	expect_refused("policy add p via fw9 filter tcp", "unknown_box");
	expect_refused("policy replace nosuch via fw filter tcp", "unknown_policy");
	expect_refused("policy replace http via fw,fw filter tcp", "loop");
	expect_refused("policy replace http via fw filter tcp porrt 80", "bad_filter");
	expect_refused("attach nic eth5 netns nowhere host web", "unknown_netns");
	expect_refused("attach nic wlan0 host web", "unknown_interface");
	fake->refuse_attach = true;
	expect_refused("attach nic eth5 host web", "datapath");
	fake->refuse_attach = false;
	fake->refuse_classifier = true;
	expect_refused("policy remove http", "datapath");
	fake->refuse_classifier = false;
	assert_ptr_equal(fake->agent.config, before);
	assert_int_equal(fake->n_rules, 1);
	expect("policy list", "policies/0/filter", "\"tcp dst port 80\"");
	assert_int_equal(fake->agent.journal->count, 0);
}

/* ---- sessions ---- */

static void a_session_gets_its_chain(void **state)
{
	(void)state;
	fake->listening = true;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	assert_int_equal(fake->injected, 1);
	assert_int_equal(fake->sent_kind, DYSCO_ACT_SEND);
	assert_string_equal(json_string_value(json_object_get(fake->last_event, "event")),
			    "session_started");
	expect("session list", "sessions/0/role", "\"first\"");
	expect("session list", "sessions/0/session/src", "\"10.0.0.1:4000\"");
	expect("session list", "sessions/0/peer_right", "\"10.0.0.2\"");
	expect("session list state syn_sent policy http host web peer 10.0.0.2", "total", "1");
	expect("session list state established", "total", "0");
	expect("session list host lan", "total", "0");
	expect("session list limit 0", "sessions", "[]");
	expect("session list limit 0", "total", "1");
	expect("session show 10.0.0.1:4000 10.9.0.1:80", "sessions/0/chain/1/address",
	       "\"10.0.0.3\"");
	expect("session show 10.9.0.1:80 10.0.0.1:4000", "sessions/0/legs/0/side", "\"right\"");
	expect("session why 10.0.0.1:4000 10.9.0.1:80", "policy", "\"http\"");
	expect("policy list", "policies/0/matched", "1");
	expect("policy list", "policies/0/sessions", "1");
	expect("box list", "boxes/0/sessions", "1");
}

/* Only what it says for a box, and only of a box. */
static void boxes_may_ask_for_little(void **state)
{
	static const char *const granted[] = {
	    "version",
	    "session remove 1234 self",
	    "session replace a:1 b:2 self fw host web",
	    "session insert 1234 fw before self",
	    "session insert a:1 b:2 fw before self host web",
	    "session freeze 1234",
	    "session thaw 1234",
	    "",
	    "\"",
	};
	static const char *const denied[] = {
	    "status",
	    "metrics",
	    "monitor",
	    "version 1",
	    "session list",
	    "session",
	    "session kill 1234",
	    "session remove 1234 fw",
	    "session remove 1234 fw self",
	    "session insert 1234 self",
	    "session insert 1234 fw after self",
	    "session replace 1234 fw self",
	    "session show self",
	    "box add self 10.0.0.9",
	    "triggers none",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(granted) / sizeof(granted[0]); i++) {
		assert_true(dysco_box_may_ask(granted[i], strlen(granted[i])));
	}
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		assert_false(dysco_box_may_ask(denied[i], strlen(denied[i])));
	}
}

static void a_host_that_is_no_box_cannot_leave(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect_refused("session remove 10.0.0.1:4000 10.9.0.1:80 self", "unknown_session");
	expect_refused("session freeze 10.0.0.1:4000 10.9.0.1:80", "unknown_session");
	expect_refused("session thaw 10.0.0.1:4000", "syntax");
	expect_refused("session remove", "syntax");
}

static void metrics_tell_what_is_there(void **state)
{
	json_t *answer;
	const char *text;

	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	answer = fake_agent_ask(fake, "metrics");
	text = json_string_value(json_object_get(answer, "metrics"));
	assert_non_null(text);
	assert_non_null(strstr(text, "\ndysco_sessions{state=\"syn_sent\"} 1\n"));
	assert_non_null(strstr(text, "\ndysco_policy_matched_total{policy=\"http\"} 1\n"));
	assert_non_null(strstr(text, "\ndysco_box_sessions{box=\"fw\"} 1\n"));
	json_decref(answer);
}

static void a_session_is_found_by_its_id(void **state)
{
	json_t *answer, *id;
	char line[64];

	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	send_syn("10.0.0.1:4001", "10.9.0.1:80");
	answer = fake_agent_ask(fake, "session list");
	id = json_object_get(json_array_get(json_object_get(answer, "sessions"), 0), "id");
	snprintf(line, sizeof(line), "session show %.6s", json_string_value(id));
	json_decref(answer);
	expect(line, "sessions/0/role", "\"first\"");
	expect(line, "sessions/1", "nothing");
}

static void other_sessions_pass(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:22");
	assert_int_equal(fake->sent_kind, DYSCO_ACT_PASS);
	expect("session list", "total", "0");
}

static void a_trace_ends_without_answers(void **state)
{
	json_t *hops;
	uint64_t now_ns = dysco_now_ns();

	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	assert_null(fake_agent_ask(fake, "session trace 10.0.0.1:4000 10.9.0.1:80"));
	for (unsigned int i = 1; i <= 5; i++) {
		assert_null(fake->last_answer);
		dysco_agent_tick(&fake->agent, now_ns + i * 250000000u);
	}
	hops = json_object_get(fake->last_answer, "hops");
	assert_int_equal(json_array_size(hops), 4);
	assert_true(json_is_true(json_object_get(json_array_get(hops, 0), "answered")));
	assert_true(json_is_false(json_object_get(json_array_get(hops, 2), "answered")));
	assert_true(json_is_false(json_object_get(fake->last_answer, "complete")));
}

static void a_client_that_left_gets_no_trace(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	assert_null(fake_agent_ask(fake, "session trace 10.0.0.1:4000 10.9.0.1:80"));
	dysco_trace_forget(&fake->agent, fake);
	dysco_agent_tick(&fake->agent, dysco_now_ns() + 250000000u);
	assert_null(fake->last_answer);
}

static void traces_are_bounded(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	for (int i = 0; i < DYSCO_TRACES_MAX; i++) {
		assert_null(fake_agent_ask(fake, "session trace 10.0.0.1:4000 10.9.0.1:80"));
	}
	expect_refused("session trace 10.0.0.1:4000 10.9.0.1:80", "limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(status_tells_what_is_there),
	    TEST(lists_tell_what_is_configured),
	    TEST(a_policy_can_be_tried),
	    TEST(nonsense_is_refused),
	    TEST(changes_are_made_at_run_time),
	    TEST(a_refused_change_leaves_everything),
	    TEST(a_session_gets_its_chain),
	    TEST(boxes_may_ask_for_little),
	    TEST(a_host_that_is_no_box_cannot_leave),
	    TEST(metrics_tell_what_is_there),
	    TEST(a_session_is_found_by_its_id),
	    TEST(other_sessions_pass),
	    TEST(a_trace_ends_without_answers),
	    TEST(a_client_that_left_gets_no_trace),
	    TEST(traces_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
