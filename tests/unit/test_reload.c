/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's sessions and run-time changes, when attachments go, and over a
 * reload or a restart (agent/agent.h).
 */
#include "tests/unit/asking.h"

/* ---- sessions that lose their attachment ---- */

static void expect_reset_before_detach(void)
{
	assert_int_equal(fake->detached, 1);
	/* one to the host, one to the next hop */
	assert_int_equal(fake->injected, 3);
	assert_int_equal(fake->injected_before_detach, 3);
	expect("session list state syn_sent", "total", "0");
}

static void detach_ends_its_sessions_first(void **state)
{
	(void)state;
	begin_session();
	expect("detach eth0", "ended", "1");
	expect_reset_before_detach();
}

static void detach_leaves_the_others_alone(void **state)
{
	(void)state;
	begin_session();
	expect("detach eth1 netns ns1", "ended", "0");
	assert_int_equal(fake->injected, 1);
	expect("session list state syn_sent", "total", "1");
}

/* ---- reload and restart ---- */

static int reload(const char *text)
{
	struct dysco_config *base = dysco_config_new(fake->agent.ids);
	struct dysco_conf_error error;

	assert_non_null(base);
	if (dysco_config_read(base, "test.conf", text, strlen(text), &error) != 0 ||
	    dysco_agent_reload(&fake->agent, base, &error) != 0) {
		dysco_config_free(base);
		return -1;
	}
	return 0;
}

/* A file that is good, but not to the datapath. */
static void expect_reload_refused(const char *text)
{
	fake->refuse_classifier = true;
	assert_int_equal(reload(text), -1);
	fake->refuse_classifier = false;
}

static void a_reload_ends_sessions_without_attachment(void **state)
{
	(void)state;
	begin_session();
	assert_int_equal(reload("host lan address 10.1.0.0/16\n"
				"attach port eth1 netns ns1 host lan\n"),
			 0);
	expect_reset_before_detach();
}

static void a_reload_ends_sessions_of_another_host(void **state)
{
	(void)state;
	begin_session();
	assert_int_equal(reload("host db address 10.0.0.1\nattach nic eth0 host db\n"), 0);
	assert_int_equal(fake->injected, 3);
	expect("session list state syn_sent", "total", "0");
}

static void a_refused_reload_ends_no_session(void **state)
{
	(void)state;
	begin_session();
	expect_reload_refused("host web address 10.0.0.1\n");
	assert_int_equal(fake->injected, 1);
}

static void run_time_changes_survive_a_reload(void **state)
{
	(void)state;
	expect_done("box add fw2 10.0.0.9");
	expect_done("policy add ssh via fw2 filter tcp dst port 22");
	expect_done("policy remove http");
	assert_int_equal(reload(config), 0);
	expect("policy list", "policies/0/name", "\"ssh\"");
	expect("policy list", "policies/1", "nothing");
}

static void a_policy_added_and_replaced_survives_a_reload(void **state)
{
	(void)state;
	expect_done("policy add ssh via fw filter tcp dst port 22");
	expect_done("policy replace ssh via fw filter tcp dst port 2222");
	expect_done("policy replace http via fw filter tcp dst port 8080");
	assert_int_equal(fake->agent.journal->count, 2);
	assert_int_equal(reload(config), 0);
	expect("policy list", "policies/0/filter", "\"tcp dst port 2222\"");
	expect("policy list", "policies/1/filter", "\"tcp dst port 8080\"");
	expect("policy list", "policies/2", "nothing");
}

static void what_no_longer_fits_is_forgotten(void **state)
{
	(void)state;
	expect_done("policy add ssh via ids1 filter tcp dst port 22");
	assert_int_equal(reload("host web address 10.0.0.1\nattach nic eth0 host web\n"), 0);
	expect("policy list", "policies", "[]");
	assert_int_equal(fake->agent.journal->count, 0);
	assert_int_equal(fake->detached, 1);
}

static void what_does_not_fit_a_refused_file_stays(void **state)
{
	(void)state;
	expect_done("policy add ssh via ids1 filter tcp dst port 22");
	expect_reload_refused("host web address 10.0.0.1\nattach nic eth0 host web\n");
	assert_int_equal(fake->agent.journal->count, 1);
	assert_int_equal(reload(config), 0);
	assert_int_equal(fake->agent.journal->count, 1);
	expect("policy list", "policies/1/name", "\"ssh\"");
}

static void a_reload_is_all_or_nothing(void **state)
{
	(void)state;
	expect_reload_refused("host web address 10.0.0.1\n");
	expect("policy list", "policies/0/name", "\"http\"");
	expect("status", "attachments/1/interface", "\"eth1\"");
}

static void a_change_and_its_undoing_leave_no_trace(void **state)
{
	(void)state;
	expect_done("box add fw2 10.0.0.9");
	expect_done("policy add ssh via fw2 filter tcp dst port 22");
	expect_done("policy replace ssh via fw filter tcp dst port 22");
	expect_done("box remove fw2");
	assert_int_equal(fake->agent.journal->count, 1);
	expect_done("policy remove ssh");
	assert_int_equal(fake->agent.journal->count, 0);
	/* what the file says must stay removed */
	expect_done("policy remove http");
	expect_done("detach eth1 netns ns1");
	assert_int_equal(fake->agent.journal->count, 2);
}

static void counts_go_with_a_policys_name(void **state)
{
	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect_done("policy add first priority 900 filter tcp dst port 1");
	expect("policy list", "policies/1/matched", "1");
	expect("policy list", "policies/0/matched", "0");
}

static void an_interface_that_comes_later_is_attached_then(void **state)
{
	(void)state;
	fake->refuse_attach = true;
	assert_int_equal(reload("host web address 10.0.0.1\nattach nic eth3 host web\n"), 0);
	expect("status", "attachments/0/up", "false");
	fake->refuse_attach = false;
	dysco_agent_check_attachments(&fake->agent);
	expect("status", "attachments/0/up", "true");
}

static void programs_that_somebody_took_off_are_put_back(void **state)
{
	(void)state;
	dysco_agent_check_attachments(&fake->agent);
	assert_int_equal(fake->attached, 2);
	expect("status", "attachments/0/restored", "0");
	fake->still_attached = 0;
	dysco_agent_check_attachments(&fake->agent);
	assert_int_equal(fake->attached, 3);
	expect("status", "attachments/0/restored", "1");
	expect("status", "attachments/0/up", "true");
	expect("status", "attachments/1/restored", "0");
}

static void a_namespace_of_the_same_name_is_attached_anew(void **state)
{
	(void)state;
	fake->still_attached = -ENOENT;
	dysco_agent_check_attachments(&fake->agent);
	assert_int_equal(fake->attached, 3);
	expect("status", "attachments/0/restored", "0");
}

static void what_cannot_be_put_back_is_down(void **state)
{
	(void)state;
	fake->still_attached = 0;
	fake->refuse_attach = true;
	dysco_agent_check_attachments(&fake->agent);
	expect("status", "attachments/0/up", "false");
	dysco_agent_check_attachments(&fake->agent);
	expect("status", "attachments/0/restored", "1");
	fake->refuse_attach = false;
	dysco_agent_check_attachments(&fake->agent);
	expect("status", "attachments/0/up", "true");
}

/* Its programs are the first that it loses: nobody took them off. */
static void an_interface_that_is_being_removed_is_gone(void **state)
{
	(void)state;
	fake->still_attached = 0;
	fake->going = true;
	dysco_agent_check_attachments(&fake->agent);
	expect("status", "attachments/0/up", "false");
	expect("status", "attachments/0/restored", "0");
}

static void numbers_are_kept_while_a_session_bears_them(void **state)
{
	const struct dysco_id_attachment *known = fake->agent.ids->attachments;
	uint16_t eth0 = fake->agent.config->attachments[0].id;
	uint16_t eth1 = fake->agent.config->attachments[1].id;

	(void)state;
	send_syn("10.0.0.1:4000", "10.9.0.1:80");
	expect_done("detach eth0");
	expect_done("detach eth1 netns ns1");
	dysco_agent_prune_ids(&fake->agent);
	assert_int_equal(known[eth0].id, eth0);
	assert_int_equal(known[eth1].id, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(detach_ends_its_sessions_first),
	    TEST(detach_leaves_the_others_alone),
	    TEST(a_reload_ends_sessions_without_attachment),
	    TEST(a_reload_ends_sessions_of_another_host),
	    TEST(a_refused_reload_ends_no_session),
	    TEST(run_time_changes_survive_a_reload),
	    TEST(a_policy_added_and_replaced_survives_a_reload),
	    TEST(what_no_longer_fits_is_forgotten),
	    TEST(what_does_not_fit_a_refused_file_stays),
	    TEST(a_reload_is_all_or_nothing),
	    TEST(a_change_and_its_undoing_leave_no_trace),
	    TEST(counts_go_with_a_policys_name),
	    TEST(numbers_are_kept_while_a_session_bears_them),
	    TEST(an_interface_that_comes_later_is_attached_then),
	    TEST(programs_that_somebody_took_off_are_put_back),
	    TEST(a_namespace_of_the_same_name_is_attached_anew),
	    TEST(what_cannot_be_put_back_is_down),
	    TEST(an_interface_that_is_being_removed_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
