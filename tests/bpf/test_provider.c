// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bpf provider without packets: pinned state over restarts, attachments,
 * and what it says when something is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/pkt_sched.h>

#include <cmocka.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/tcx.h"
#include "tests/bpf/kit.h"

static struct dysco_attachment nic(void)
{
	return (struct dysco_attachment){
	    .id = 1, .host = KIT_HOST, .mode = DYSCO_ATTACH_NIC, .ifname = "t0"};
}

static void shell(const char *command)
{
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): fixed words */
}

static bool there(const char *ifname)
{
	struct dysco_link link;

	return dysco_link_get(&link, 0, ifname) == 0;
}

static int filters(const struct kit *k)
{
	return dysco_link_count_filters(k->ifindex, TC_H_MIN_INGRESS) +
	       dysco_link_count_filters(k->ifindex, TC_H_MIN_EGRESS) +
	       dysco_tcx_count(k->ifindex, false) + dysco_tcx_count(k->ifindex, true);
}

static void assert_error_names(struct kit *k, const char *word)
{
	if (!strstr(k->dp.error, word)) {
		fail_msg("'%s' does not name %s", k->dp.error, word);
	}
}

static void state_outlives_the_agent(void **state)
{
	struct kit *k = *state;
	struct dysco_tuple t = kit_tuple("10.0.0.1", 1, "10.0.0.2", 2);
	struct dysco_leg_key key = {t, KIT_HOST, DYSCO_OUT, 0};

	kit_leg(k, 5, DYSCO_MODE_FAST, &t, NULL);
	k->dp.table.cold[5].isn = 77;
	k->dp.table.lasting->sender = 99;
	k->dp.ops->close(&k->dp);
	/* A table that is there keeps its size. */
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, 2 * KIT_CAPACITY), 0);
	assert_int_equal(k->dp.table.capacity, KIT_CAPACITY);
	assert_int_equal(k->dp.table.legs[5].mode, DYSCO_MODE_FAST);
	assert_int_equal(k->dp.table.cold[5].isn, 77);
	assert_int_equal(k->dp.table.lasting->sender, 99);
	assert_int_equal(k->dp.table.ops->find(&k->dp.table, &key), 5);
	kit_reset(k);
}

static void a_renamed_interface_is_detached(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();
	struct dysco_link link;

	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	shell("ip link set t0 down; ip link set t0 name t9");
	assert_int_equal(dysco_link_get(&link, 0, "t9"), 0);
	assert_int_equal(filters(k), 2);
	assert_int_not_equal(k->dp.ops->detach(&k->dp, &a), 0);
	assert_int_equal(filters(k), 0);
	shell("ip link set t9 name t0; ip link set t0 up");
}

static void one_agent_at_a_time(void **state)
{
	struct kit *k = *state;
	struct dysco_datapath dp = {.ops = &dysco_datapath_bpf};

	assert_int_equal(dp.ops->open(&dp, k->path, KIT_CAPACITY), -EBUSY);
	assert_non_null(strstr(dp.error, "another agent"));
	dp.ops->close(&dp);
}

static void keys_are_bound_once(void **state)
{
	struct kit *k = *state;
	struct dysco_table *table = &k->dp.table;
	struct dysco_leg_key key = {kit_tuple("fd00::1", 1, "fd00::2", 2), KIT_HOST, DYSCO_IN, 0};
	int result = 0;

	kit_reset(k);
	assert_int_equal(table->ops->find(table, &key), DYSCO_NO_SLOT);
	assert_int_equal(table->ops->bind(table, &key, 3), 0);
	assert_int_equal(table->ops->bind(table, &key, 4), DYSCO_TABLE_EXISTS);
	assert_int_equal(table->ops->find(table, &key), 3);
	table->ops->unbind(table, &key);
	table->ops->unbind(table, &key);
	assert_int_equal(table->ops->find(table, &key), DYSCO_NO_SLOT);
	/* All legs have room for both their keys; in the end it is full. */
	for (uint16_t i = 0; i < 4 * KIT_CAPACITY && result == 0; i++) {
		key.tuple.sport_be = i;
		result = table->ops->bind(table, &key, 1);
		assert_true(result == 0 || i >= 2 * KIT_CAPACITY);
	}
	assert_int_equal(result, DYSCO_TABLE_FULL);
	kit_reset(k);
}

static void another_layout_is_refused_and_wiped(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	dysco_bpf_of(&k->dp)->agent->layout++;
	k->dp.ops->close(&k->dp);
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY), -EPROTO);
	assert_error_names(k, "dyscod --wipe");
	assert_int_equal(k->dp.ops->wipe(&k->dp), 0);
	assert_int_not_equal(access(k->path, F_OK), 0);
	assert_int_equal(filters(k), 0);
	assert_false(there("dysco0"));
	k->dp.ops->close(&k->dp);
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY), 0);
}

static void a_half_made_directory_is_made_anew(void **state)
{
	struct kit *k = *state;
	char pin[128];

	(void)snprintf(pin, sizeof(pin), "%s/agent", k->path);
	k->dp.ops->close(&k->dp);
	assert_int_equal(unlink(pin), 0);
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY), 0);
	assert_int_equal(k->dp.table.legs[5].mode, DYSCO_MODE_FREE);
}

static void a_path_elsewhere_is_refused(void **state)
{
	struct dysco_datapath dp = {.ops = &dysco_datapath_bpf};

	(void)state;
	assert_int_equal(dp.ops->open(&dp, "/tmp", KIT_CAPACITY), -EINVAL);
	assert_non_null(strstr(dp.error, "BPF file system"));
	dp.ops->close(&dp);
}

static void attaching_again_replaces(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(filters(k), 2);
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(filters(k), 2);
	/* The next agent finds the TAP device and uses it again. */
	k->dp.ops->close(&k->dp);
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY), 0);
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(filters(k), 2);
	assert_true(there("dysco0"));
	assert_false(there("dysco1"));
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	assert_false(there("dysco0"));
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), -ENOENT);
}

static void the_next_agent_injects_where_it_has_not_attached(void **state)
{
	struct kit *k = *state;
	struct dysco_tuple t = kit_tuple("10.0.0.1", 1, "10.0.0.2", 2);
	struct dysco_action reset = {.kind = DYSCO_ACT_SEND, .attachment = 1};
	struct dysco_attachment a = nic();
	struct kit_frame f;

	kit_segment(&f, &t, DYSCO_TCP_RST, NULL, 0);
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	k->dp.ops->close(&k->dp);
	assert_int_equal(k->dp.ops->open(&k->dp, k->path, KIT_CAPACITY), 0);
	assert_int_equal(
	    k->dp.ops->inject(&k->dp, &reset, f.b + ETH_HLEN, f.bytes - ETH_HLEN, NULL), 0);
	assert_false(there("dysco1"));
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	assert_false(there("dysco0"));
	assert_int_equal(
	    k->dp.ops->inject(&k->dp, &reset, f.b + ETH_HLEN, f.bytes - ETH_HLEN, NULL), -ENODEV);
}

static void programs_that_were_taken_off_are_missed(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	assert_int_equal(k->dp.ops->attached(&k->dp, &a), -ENOENT);
	for (int egress = 0; egress <= 1; egress++) {
		assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
		assert_int_equal(k->dp.ops->attached(&k->dp, &a), 1);
		if (dysco_tcx_clear(k->ifindex, egress) != 0) {
			shell(egress ? "tc filter del dev t0 egress"
				     : "tc filter del dev t0 ingress");
		}
		assert_int_equal(k->dp.ops->attached(&k->dp, &a), 0);
	}
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	(void)snprintf(a.netns, sizeof(a.netns), "/proc/%d/ns/net", getppid());
	assert_int_equal(k->dp.ops->attached(&k->dp, &a), -ENOENT);
	a = nic();
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
}

static void kernels_without_tcx_get_filters(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	dysco_bpf_tcx = false;
	attaching_again_replaces(state);
	programs_that_were_taken_off_are_missed(state);
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(dysco_link_count_filters(k->ifindex, TC_H_MIN_INGRESS), 1);
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	shell("! tc qdisc show dev t0 | grep -q clsact");
	dysco_bpf_tcx = true;
}

static void what_others_put_on_an_interface_stays(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	shell("tc qdisc add dev t0 clsact; "
	      "tc filter add dev t0 egress pref 9 protocol ip u32 match u32 0 0 flowid 1:1");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	shell("tc filter show dev t0 egress | grep -q u32 && tc qdisc del dev t0 clsact");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	shell("! tc qdisc show dev t0 | grep -q clsact");
}

static void a_mirror_comes_and_goes(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	strcpy(a.mirror, "view");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_true(there("view"));
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	assert_false(there("view"));
	strcpy(a.mirror, "fourteen-bytes");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -ENAMETOOLONG);
	a.mode = DYSCO_ATTACH_PORT;
	strcpy(a.mirror, "view");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -EOPNOTSUPP);
	assert_false(there("view"));
}

static void links_without_ethernet_are_nics_only(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	shell("ip tuntap add mode tun t2");
	strcpy(a.ifname, "t2");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), 0);
	assert_int_equal(dysco_bpf_of(&k->dp)->attachments[1].l2_bytes, 0);
	assert_int_equal(k->dp.ops->detach(&k->dp, &a), 0);
	a.mode = DYSCO_ATTACH_PORT;
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -EOPNOTSUPP);
	assert_error_names(k, "t2");
}

static void what_is_not_there_is_named(void **state)
{
	struct kit *k = *state;
	struct dysco_attachment a = nic();

	strcpy(a.ifname, "nowhere0");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -ENODEV);
	assert_error_names(k, "nowhere0");
	strcpy(a.netns, "no-such-netns");
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -ENOENT);
	assert_error_names(k, "no-such-netns");
	a = nic();
	a.id = 0;
	assert_int_equal(k->dp.ops->attach(&k->dp, &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(state_outlives_the_agent),
	    cmocka_unit_test(one_agent_at_a_time),
	    cmocka_unit_test(a_renamed_interface_is_detached),
	    cmocka_unit_test(keys_are_bound_once),
	    cmocka_unit_test(another_layout_is_refused_and_wiped),
	    cmocka_unit_test(a_half_made_directory_is_made_anew),
	    cmocka_unit_test(a_path_elsewhere_is_refused),
	    cmocka_unit_test(attaching_again_replaces),
	    cmocka_unit_test(the_next_agent_injects_where_it_has_not_attached),
	    cmocka_unit_test(programs_that_were_taken_off_are_missed),
	    cmocka_unit_test(kernels_without_tcx_get_filters),
	    cmocka_unit_test(what_others_put_on_an_interface_stays),
	    cmocka_unit_test(a_mirror_comes_and_goes),
	    cmocka_unit_test(links_without_ethernet_are_nics_only),
	    cmocka_unit_test(what_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
