// SPDX-License-Identifier: BSD-2-Clause
/*
 * What hosts know of a chain that others change (docs/protocol.md 9, CHAIN, and 12.3):
 * the box puts another one behind itself, and the client changes its own part then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/world.h"

static const struct dysco_address_list *list_at(const struct world *w, int agent)
{
	const struct dysco_sim *sim = &w->rig->agent[agent].sim;

	for (uint32_t slot = 1; slot < sim->table.capacity; slot++) {
		if (sim->legs[slot].mode == DYSCO_MODE_FAST &&
		    sim->legs[slot].role == DYSCO_ROLE_LAST) {
			return &sim->cold[slot].list;
		}
	}
	return &sim->cold[right_leg(w, agent)].list;
}

/* Hosts of the chain behind the client, -1 at the end; and where in it this one is. */
static void knows(const struct world *w, int agent, const int *hosts, uint8_t next)
{
	const struct dysco_address_list *list = list_at(w, agent);
	uint8_t n = 0;

	for (; hosts[n] >= 0; n++) {
		struct dysco_addr addr = rig_addr(hosts[n], true);

		assert_true(n < list->count);
		assert_true(dysco_addr_equal(&list->hops[n].addr, &addr));
	}
	assert_int_equal(list->count, n);
	assert_int_equal(list->next, next);
}

static const int two_boxes[] = {BOX, EXTRA, SERVER, -1};
static const int one_box[] = {BOX, SERVER, -1};

static void box_inserts(struct world *w, uint16_t flags)
{
	struct dysco_address_list path = path_of(EXTRA, SERVER);
	unsigned int done = w->done;

	path.hops[0].flags = flags;
	assert_int_not_equal(reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path), DYSCO_NO_ATTEMPT);
	assert_int_equal(w->done, done + 2);
	nothing_is_left(w);
}

static struct world *box_has_inserted(bool told)
{
	struct world *w = established();

	w->lost_type = told ? 0 : DYSCO_MSG_CHAIN;
	box_inserts(w, DYSCO_HOP_MANDATORY);
	w->done = 0;
	return w;
}

static void all_hosts_are_told(void **state)
{
	struct world *w = box_has_inserted(true);

	(void)state;
	knows(w, CLIENT, two_boxes, 0);
	knows(w, BOX, two_boxes, 1);
	knows(w, EXTRA, two_boxes, 2);
	knows(w, SERVER, two_boxes, 2);
	assert_int_equal(list_at(w, CLIENT)->hops[1].flags, DYSCO_HOP_MANDATORY);
	rig_free(w->rig);
}

/* The client would take a box out of which it has not heard: it hears of it first. */
static void what_is_not_known_is_not_left_out(void **state)
{
	struct world *w = box_has_inserted(false);

	(void)state;
	knows(w, CLIENT, one_box, 0);
	reconfigure(w, path_of(SERVER, -1));
	assert_int_equal(w->done, 0);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_CHANGED);
	nothing_is_left(w);
	knows(w, CLIENT, two_boxes, 0);
	assert_int_equal(list_at(w, CLIENT)->hops[1].flags, DYSCO_HOP_MANDATORY);
	reconfigure(w, path_of(EXTRA, -1));
	assert_int_equal(w->done, 2);
	nothing_is_left(w);
	talks(w, false);
	rig_free(w->rig);
}

/* The right anchor has gone: the refusal tells what is there instead. */
static void a_refusal_tells_the_chain(void **state)
{
	struct world *w = box_has_inserted(true);

	(void)state;
	w->lost_type = DYSCO_MSG_CHAIN;
	reconfigure_at(w, BOX, DYSCO_KIND_ORDINARY, path_of(SERVER, -1));
	assert_int_equal(w->done, 2);
	knows(w, CLIENT, two_boxes, 0);
	reconfigure(w, path_of(EXTRA, -1));
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->reason, DYSCO_NACK_NO_ANCHOR);
	knows(w, CLIENT, one_box, 0);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

static void tracing_mends_what_was_lost(void **state)
{
	struct world *w = box_has_inserted(false);
	struct rig_agent *client = &w->rig->agent[CLIENT];

	(void)state;
	w->lost_type = 0;
	assert_int_not_equal(dysco_core_trace(&client->core, right_leg(w, CLIENT), &client->out),
			     0);
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	knows(w, CLIENT, two_boxes, 0);
	knows(w, BOX, two_boxes, 1);
	rig_free(w->rig);
}

/* The box asks to be left out, and what is behind it too; that must stay. */
static void a_box_does_not_ask_others_away(void **state)
{
	struct world *w = box_has_inserted(false);
	struct rig_agent *box = &w->rig->agent[BOX];
	struct dysco_address_list path = path_of(SERVER, -1);

	(void)state;
	dysco_core_trigger(&box->core, w->rig->now_ns, box->sim.legs[right_leg(w, BOX)].partner,
			   &path, &box->out);
	carry_out(w, BOX, NULL, DYSCO_OUT);
	run(w);
	assert_int_equal(w->done, 0);
	assert_int_equal(w->failed, 2); /* the client's attempt, and so what the box asked for */
	assert_int_equal(w->reason, DYSCO_NACK_POLICY);
	nothing_is_left(w);
	talks(w, true);
	rig_free(w->rig);
}

/* What the first host has from its policy is not what a box came in with. */
static void the_policy_of_the_first_host_counts(void **state)
{
	struct world *w = established();
	struct dysco_hop *hop = &w->rig->agent[CLIENT].sim.cold[right_leg(w, CLIENT)].list.hops[0];

	(void)state;
	hop->policy = 77;
	hop->flags = DYSCO_HOP_MANDATORY;
	box_inserts(w, 0);
	knows(w, CLIENT, two_boxes, 0);
	assert_int_equal(hop->policy, 77);
	assert_int_equal(hop->flags, DYSCO_HOP_MANDATORY);
	assert_int_equal(list_at(w, SERVER)->hops[0].policy, dysco_policy_tag("web"));
	rig_free(w->rig);
}

/* One box of the client's policy, wherever others come and go. */
static void boxes_stay_counted(void **state)
{
	struct world *w = box_has_inserted(true);
	const struct dysco_core *client = &w->rig->agent[CLIENT].core;

	(void)state;
	assert_int_equal(client->box_sessions[BOX], 1);
	assert_int_equal(client->box_sessions[EXTRA], 0);
	reconfigure(w, path_of(EXTRA, -1));
	assert_int_equal(w->done, 2);
	knows(w, CLIENT, &two_boxes[1], 0);
	knows(w, EXTRA, &two_boxes[1], 1);
	knows(w, SERVER, &two_boxes[1], 1);
	assert_int_equal(client->box_sessions[BOX], 0);
	rig_free(w->rig);
}

/* Where there is no room to tell of all hosts, those at the far end are left out. */
static void long_chains_are_cut(void **state)
{
	struct world *w = established();
	struct dysco_core *core = &w->rig->agent[CLIENT].core;
	uint32_t slot = right_leg(w, CLIENT);
	struct dysco_address_list told = {.next = 0, .count = DYSCO_HOPS_MAX};

	(void)state;
	for (uint8_t i = 0; i < told.count; i++) {
		told.hops[i].addr = rig_addr(100 + i, true);
	}
	dysco_chain_learn(core, slot, &told);
	assert_int_equal(list_at(w, CLIENT)->count, DYSCO_HOPS_MAX);
	core = &w->rig->agent[BOX].core;
	slot = right_leg(w, BOX);
	dysco_chain_learn(core, slot, &told);
	assert_int_equal(list_at(w, BOX)->count, DYSCO_HOPS_MAX);
	assert_int_equal(list_at(w, BOX)->next, 1);
	told.next = DYSCO_HOPS_MAX - 1; /* no room for what is behind the box */
	dysco_chain_learn(core, dysco_leg_at(core, slot)->partner, &told);
	assert_int_equal(list_at(w, BOX)->next, 1);
	rig_free(w->rig);
}

/* LOCKED will tell what lies to the right, and nothing of the other side. */
static void who_asks_to_the_right_hears_of_its_left(void **state)
{
	static const int told[] = {EXTRA, BOX, SERVER, -1};
	struct world *w = established();
	struct rig_agent *client = &w->rig->agent[CLIENT], *box = &w->rig->agent[BOX];
	struct dysco_address_list *list = &client->sim.cold[right_leg(w, CLIENT)].list;
	struct dysco_address_list path = path_of(SERVER, -1);

	(void)state;
	assert_int_not_equal(dysco_core_reconfigure(&box->core, w->rig->now_ns, right_leg(w, BOX),
						    DYSCO_KIND_ORDINARY, &path, &box->out),
			     DYSCO_NO_ATTEMPT); /* its LOCK is still on its way */
	*list = (struct dysco_address_list){.next = 1, .count = 3};
	for (uint8_t i = 0; i < list->count; i++) {
		list->hops[i].addr = rig_addr(told[i], true);
	}
	client->out.count = 0;
	dysco_chain_tell(&client->core, &client->out, right_leg(w, CLIENT));
	carry_out(w, CLIENT, NULL, DYSCO_OUT);
	run(w);
	knows(w, BOX, told, 2);
	knows(w, SERVER, told, 2);
	rig_free(w->rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_hosts_are_told),
	    cmocka_unit_test(what_is_not_known_is_not_left_out),
	    cmocka_unit_test(a_refusal_tells_the_chain),
	    cmocka_unit_test(tracing_mends_what_was_lost),
	    cmocka_unit_test(a_box_does_not_ask_others_away),
	    cmocka_unit_test(the_policy_of_the_first_host_counts),
	    cmocka_unit_test(boxes_stay_counted),
	    cmocka_unit_test(long_chains_are_cut),
	    cmocka_unit_test(who_asks_to_the_right_hears_of_its_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
