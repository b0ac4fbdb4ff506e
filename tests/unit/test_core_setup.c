/* SPDX-License-Identifier: BSD-2-Clause */
/* The core sets up chains: what SYNs become at the client, in the box, at the server. */
#include "tests/unit/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct dysco_msg_syn read_message(const struct rig_packet *packet, struct dysco_header *hdr)
{
	const uint8_t *payload = packet->data + packet->p.payload;
	struct dysco_msg_syn msg;

	assert_int_equal(dysco_message_open(hdr, payload, packet->p.payload_bytes, NULL, 0),
			 DYSCO_DECODE_OK);
	dysco_message_read_syn(&msg, payload);
	return msg;
}

static bool in_range(dysco_be16 port_be)
{
	return DYSCO_HOST16(port_be) >= DYSCO_PORT_FIRST;
}

static void first_syn_carries_the_chain(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn = rig_syn(40000, 7), wire = rig_out(rig, CLIENT, &syn);
	struct dysco_addr box = rig_addr(BOX, true), server = rig_addr(SERVER, true);
	struct dysco_header hdr;
	struct dysco_msg_syn msg = read_message(&wire, &hdr);

	(void)state;
	assert_true(dysco_addr_equal(&wire.p.tuple.src, &session.src));
	assert_true(dysco_addr_equal(&wire.p.tuple.dst, &box));
	assert_true(in_range(wire.p.tuple.sport_be) && in_range(wire.p.tuple.dport_be));
	assert_true(
	    dysco_packet_option(&wire.p, wire.data, wire.data + wire.bytes, DYSCO_EXID_MARK) != 0);
	assert_int_equal(wire.p.seq, 7);
	assert_true(dysco_tuple_equal(&msg.session, &session));
	assert_true(dysco_tuple_equal(&msg.subsession, &wire.p.tuple));
	assert_int_equal(msg.list.count, 2);
	assert_int_equal(msg.list.next, 0);
	assert_true(dysco_addr_equal(&msg.list.hops[0].addr, &box));
	assert_true(dysco_addr_equal(&msg.list.hops[1].addr, &server));
	assert_int_equal(msg.list.hops[1].policy, 0);
	assert_true(rig_event(rig, CLIENT, DYSCO_EVENT_SESSION_STARTED));
	rig_free(rig);
}

static void box_and_server_see_the_session_header(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn = rig_syn(40000, 7), wire = rig_out(rig, CLIENT, &syn);
	struct rig_packet inside = rig_in(rig, BOX, &wire), next, end;
	const uint8_t *stop = inside.data + inside.bytes;

	(void)state;
	assert_true(dysco_tuple_equal(&inside.p.tuple, &session));
	assert_int_equal(inside.p.payload_bytes, 0);
	assert_true(dysco_packet_option(&inside.p, inside.data, stop, DYSCO_EXID_MARK) == 0);
	assert_true(dysco_packet_option(&inside.p, inside.data, stop, DYSCO_EXID_TAG) != 0);
	next = rig_out(rig, BOX, &inside);
	assert_true(
	    dysco_packet_option(&next.p, next.data, next.data + next.bytes, DYSCO_EXID_TAG) == 0);
	end = rig_in(rig, SERVER, &next);
	assert_int_equal(end.bytes, syn.bytes);
	assert_memory_equal(end.data, syn.data, syn.bytes);
	rig_free(rig);
}

static void both_families_connect(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	for (int ip4 = 0; ip4 < 2; ip4++) {
		struct dysco_tuple session = rig_session(40001, ip4 != 0);
		struct rig_packet data, got;

		rig_connect(rig, &session);
		data = rig_segment(&session, 101, 501, DYSCO_TCP_ACK, "hello", 5);
		got = rig_to_server(rig, &data);
		assert_int_equal(got.bytes, data.bytes);
		assert_memory_equal(got.data, data.data, data.bytes);
	}
	rig_free(rig);
}

static void retransmission_keeps_session_and_ports(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), a, b;
	struct dysco_header hdr_a, hdr_b;
	struct dysco_msg_syn msg_a, msg_b;

	(void)state;
	a = rig_out(rig, CLIENT, &syn);
	b = rig_out(rig, CLIENT, &syn);
	msg_a = read_message(&a, &hdr_a);
	msg_b = read_message(&b, &hdr_b);
	assert_true(dysco_tuple_equal(&a.p.tuple, &b.p.tuple));
	assert_memory_equal(&msg_a.id, &msg_b.id, sizeof(msg_a.id));
	assert_true(hdr_b.counter > hdr_a.counter);
	assert_int_equal(rig->agent[CLIENT].core.live_legs, 1);
	rig_in(rig, BOX, &a);
	assert_true(rig_in(rig, BOX, &b).bytes > 0);
	assert_int_equal(rig->agent[BOX].core.live_legs, 2);
	rig_free(rig);
}

static void new_isn_is_a_new_session(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), again = rig_syn(40000, 8), a, b;
	struct dysco_header hdr;
	struct dysco_msg_syn msg_a, msg_b;

	(void)state;
	a = rig_out(rig, CLIENT, &syn);
	b = rig_out(rig, CLIENT, &again);
	msg_a = read_message(&a, &hdr);
	msg_b = read_message(&b, &hdr);
	assert_memory_not_equal(&msg_a.id, &msg_b.id, sizeof(msg_a.id));
	assert_false(dysco_tuple_equal(&a.p.tuple, &b.p.tuple));
	rig_free(rig);
}

static void fast_open_data_stays(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn =
	    rig_segment(&session, 7, 0, DYSCO_TCP_SYN, "GET / HTTP/1.0\r\n\r\n", 18);
	struct rig_packet got = rig_to_server(rig, &syn);

	(void)state;
	assert_int_equal(got.bytes, syn.bytes);
	assert_memory_equal(got.data, syn.data, syn.bytes);
	rig_free(rig);
}

static void fast_open_data_gives_way_to_the_mtu(void **state)
{
	static uint8_t data[1400];
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn, wire, got;

	(void)state;
	memset(data, 'x', sizeof(data));
	syn = rig_segment(&session, 7, 0, DYSCO_TCP_SYN, data, sizeof(data));
	wire = rig_out(rig, CLIENT, &syn);
	assert_true(wire.bytes > 0 && wire.bytes <= 1500);
	got = rig_in(rig, BOX, &wire);
	assert_true(got.p.payload_bytes > 1000 && got.p.payload_bytes < sizeof(data));
	assert_memory_equal(got.data + got.p.payload, data, got.p.payload_bytes);
	rig_free(rig);
}

static void foreign_syn_data_passes(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_tuple session = rig_session(40000, true);
	struct rig_packet syn = rig_segment(&session, 7, 0, DYSCO_TCP_SYN,
					    "forty bytes of data that are nobody's....", 40);
	struct rig_packet got = rig_in(rig, SERVER, &syn);

	(void)state;
	assert_memory_equal(got.data, syn.data, syn.bytes);
	assert_int_equal(rig_counter(rig, SERVER, DYSCO_COUNTER_FOREIGN_SYN_DATA), 1);
	rig_free(rig);
}

static void policy_without_boxes_joins_the_ends(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, got;
	struct dysco_addr server = rig_addr(SERVER, true);

	(void)state;
	rig->agent[CLIENT].setup.policies[0].n_hops = 0;
	wire = rig_out(rig, CLIENT, &syn);
	assert_true(dysco_addr_equal(&wire.p.tuple.dst, &server));
	got = rig_in(rig, SERVER, &wire);
	assert_memory_equal(got.data, syn.data, syn.bytes);
	assert_int_equal(rig->agent[SERVER].core.live_legs, 1);
	rig_free(rig);
}

static void exit_ends_the_chain(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, inside, out;
	struct dysco_tuple session = rig_session(40000, true), back = dysco_tuple_reverse(&session);
	struct rig_packet synack;

	(void)state;
	rig->agent[CLIENT].setup.policies[0].hops[0].exit = true;
	wire = rig_out(rig, CLIENT, &syn);
	inside = rig_in(rig, BOX, &wire);
	assert_true(dysco_tuple_equal(&inside.p.tuple, &session));
	out = rig_out(rig, BOX, &inside);
	assert_memory_equal(out.data, syn.data,
			    syn.bytes); /* no tag, no message: routing takes it */
	synack = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	out = rig_out(rig, BOX, &synack);
	out = rig_in(rig, CLIENT, &out);
	assert_memory_equal(out.data, synack.data, synack.bytes);
	rig_free(rig);
}

static void box_that_changes_the_five_tuple_is_followed(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, inside, out, got;
	struct dysco_tuple natted = rig_session(50000, true), back;
	struct rig_packet synack;

	(void)state;
	natted.src = rig_addr(BOX, true);
	wire = rig_out(rig, CLIENT, &syn);
	inside = rig_in(rig, BOX, &wire);
	dysco_edit_apply(
	    &inside.p, inside.data,
	    dysco_edit_tuple(&inside.p, inside.data, inside.data + inside.bytes, &natted));
	out = rig_out(rig, BOX, &inside);
	assert_int_equal(rig_counter(rig, BOX, DYSCO_COUNTER_TAGGED), 1);
	got = rig_in(rig, SERVER, &out);
	assert_true(dysco_tuple_equal(&got.p.tuple, &natted));
	back = dysco_tuple_reverse(&natted);
	synack = rig_segment(&back, 500, 8, DYSCO_TCP_SYN | DYSCO_TCP_ACK, NULL, 0);
	out = rig_out(rig, SERVER, &synack);
	got = rig_in(rig, BOX, &out);
	assert_true(dysco_tuple_equal(&got.p.tuple, &back));
	rig_free(rig);
}

static void tag_of_nobody_does_not_leave(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7);
	uint32_t tag = 0x00003123;

	(void)state;
	assert_true(dysco_edit_add_option(&syn.p, syn.data, &syn.bytes, sizeof(syn.data),
					  DYSCO_EXID_TAG, &tag));
	assert_int_equal(rig_out(rig, CLIENT, &syn).bytes, 0);
	assert_int_equal(rig_drops(rig, CLIENT, DYSCO_REASON_LATE), 1);
	rig_free(rig);
}

static void nat_between_agents_shows(void **state)
{
	struct rig *rig = rig_new();
	struct rig_packet syn = rig_syn(40000, 7), wire, inside;
	struct dysco_tuple public;

	(void)state;
	wire = rig_out(rig, CLIENT, &syn);
	public = wire.p.tuple;
	public.src = dysco_addr_from_ip4(DYSCO_BE32(0xc0000201u));
	public.sport_be = DYSCO_BE16(1234);
	dysco_edit_apply(&wire.p, wire.data,
			 dysco_edit_tuple(&wire.p, wire.data, wire.data + wire.bytes, &public));
	inside = rig_in(rig, BOX, &wire);
	assert_true(dysco_addr_equal(&inside.p.tuple.src, &public.src));
	assert_int_equal(inside.p.tuple.sport_be, public.sport_be);
	assert_int_equal(inside.p.tuple.dport_be, DYSCO_BE16(80));
	assert_int_equal(rig_counter(rig, BOX, DYSCO_COUNTER_NAT_SEEN), 1);
	rig_free(rig);
}

/* The box's agent has a policy, too: `web` applies once, `more` adds what is missing. */
static void agents_on_the_way_add_hops_once(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *box = &rig->agent[BOX].setup;
	struct rig_packet syn = rig_syn(40000, 7), wire, inside;
	struct dysco_header hdr;
	struct dysco_msg_syn msg;

	(void)state;
	box->n_policies = 1;
	box->policies[0] = rig->agent[CLIENT].setup.policies[0];
	rig_restart(rig, BOX);
	wire = rig_out(rig, CLIENT, &syn);
	inside = rig_in(rig, BOX, &wire);
	wire = rig_out(rig, BOX, &inside);
	msg = read_message(&wire, &hdr);
	assert_int_equal(msg.list.count, 2);

	box->boxes[0].ip4 = dysco_addr_from_ip4(DYSCO_BE32(0x0a000009u));
	snprintf(box->policies[0].name, sizeof(box->policies[0].name), "more");
	box->policies[0].tag = dysco_policy_tag("more");
	box->policies[0].hops[0].index = 0;
	syn = rig_syn(40001, 7);
	wire = rig_out(rig, CLIENT, &syn);
	inside = rig_in(rig, BOX, &wire);
	wire = rig_out(rig, BOX, &inside);
	msg = read_message(&wire, &hdr);
	assert_int_equal(msg.list.count, 3);
	assert_int_equal(msg.list.next, 1);
	assert_true(dysco_addr_equal(&msg.list.hops[1].addr, &box->boxes[0].ip4));
	assert_true(dysco_addr_equal(&wire.p.tuple.dst, &box->boxes[0].ip4));
	rig_free(rig);
}

/* ---- choosing instances ---- */

static void make_type(struct dysco_setup *setup, enum dysco_select select, uint16_t count)
{
	struct dysco_type *type = &setup->types[0];

	setup->n_types = 1;
	snprintf(type->name, sizeof(type->name), "firewall");
	type->select = select;
	type->count = count;
	for (uint16_t i = 0; i < count; i++) {
		uint16_t n = (uint16_t)(3 + i);

		snprintf(setup->boxes[n].name, sizeof(setup->boxes[n].name), "fw%u", i);
		setup->boxes[n].ip4 = dysco_addr_from_ip4(DYSCO_BE32(0x0a000100u + i));
		type->boxes[i] = n;
	}
	setup->n_boxes = (uint16_t)(3 + count);
	setup->policies[0].hops[0] = (struct dysco_policy_hop){.kind = DYSCO_HOP_TYPE};
}

static int instance(struct rig *rig, uint16_t sport)
{
	struct rig_packet syn = rig_syn(sport, 7), wire = rig_out(rig, CLIENT, &syn);

	assert_true(wire.bytes > 0);
	return (int)(DYSCO_HOST32(wire.p.tuple.dst.w_be[3]) & 0xff);
}

static void round_robin_takes_turns(void **state)
{
	struct rig *rig = rig_new();

	(void)state;
	make_type(&rig->agent[CLIENT].setup, DYSCO_SELECT_ROUND_ROBIN, 3);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(instance(rig, (uint16_t)(40000 + i)), i % 3);
	}
	rig_free(rig);
}

static void least_sessions_evens_out(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_core *core = &rig->agent[CLIENT].core;
	uint32_t *sessions = core->box_sessions;
	int freed;

	(void)state;
	make_type(&rig->agent[CLIENT].setup, DYSCO_SELECT_LEAST_SESSIONS, 3);
	for (int i = 0; i < 9; i++) {
		instance(rig, (uint16_t)(40000 + i));
	}
	assert_int_equal(sessions[3], 3);
	assert_int_equal(sessions[4], 3);
	assert_int_equal(sessions[5], 3);
	freed = (int)(DYSCO_HOST32(core->table->legs[1].wire_tuple.dst.w_be[3]) & 0xff);
	assert_true(dysco_core_kill(core, rig->now_ns, 1, &rig->agent[CLIENT].out));
	assert_int_equal(sessions[3 + freed], 2);
	assert_int_equal(instance(rig, 41000), freed);
	rig_restart(rig, CLIENT);
	assert_int_equal(sessions[3 + freed], 3); /* counted anew from the table */
	rig_free(rig);
}

/* Without the box taken out, each session keeps its box. */
static void consistent_hash_moves_only_what_it_must(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *setup = &rig->agent[CLIENT].setup;
	struct dysco_forecast with, without;
	int moved = 0, counts[4] = {0};

	(void)state;
	for (uint16_t port = 1000; port < 1400; port++) {
		struct dysco_tuple session = rig_session(port, true);
		int a, b;

		make_type(setup, DYSCO_SELECT_CONSISTENT_HASH, 4);
		dysco_core_forecast(&rig->agent[CLIENT].core, 1, 0, &session, &with);
		make_type(setup, DYSCO_SELECT_CONSISTENT_HASH, 3);
		dysco_core_forecast(&rig->agent[CLIENT].core, 1, 0, &session, &without);
		a = (int)(DYSCO_HOST32(with.list.hops[0].addr.w_be[3]) & 0xff);
		b = (int)(DYSCO_HOST32(without.list.hops[0].addr.w_be[3]) & 0xff);
		assert_true(a == b || a == 3);
		moved += a != b;
		counts[a]++;
	}
	assert_in_range(moved, 60, 140);
	for (int i = 0; i < 4; i++) {
		assert_in_range(counts[i], 60, 140);
	}
	rig_free(rig);
}

/* ---- setups that are refused ---- */

static void wrong_setups_are_named(void **state)
{
	struct rig *rig = rig_new();
	struct dysco_setup *s = &rig->agent[CLIENT].setup;
	struct dysco_policy *p = &s->policies[0];
	uint16_t policy, hop;

	(void)state;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_OK);
	p->n_hops = 2;
	p->hops[1] = p->hops[0];
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_LOOP);
	assert_int_equal(hop, 1);
	p->hops[1].index = SERVER;
	p->hops[0].exit = true;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_EXIT);
	p->hops[0].exit = false;
	p->hops[1] = (struct dysco_policy_hop){.kind = DYSCO_HOP_TYPE};
	s->n_types = 1;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_EMPTY_TYPE);
	s->types[0].count = 1;
	s->types[0].boxes[0] = BOX;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_LOOP);
	p->n_hops = 1;
	p->n_at = 1;
	p->at[0] = 1;
	p->hops[0].index = CLIENT;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_SELF);
	p->hops[0].index = BOX;
	s->port_first = 0;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_PORTS);
	s->port_first = 61000;
	s->n_policies = 2;
	s->policies[1] = *p;
	assert_int_equal(dysco_setup_check(s, &policy, &hop), DYSCO_SETUP_NAME);
	assert_int_equal(policy, 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_syn_carries_the_chain),
	    cmocka_unit_test(box_and_server_see_the_session_header),
	    cmocka_unit_test(both_families_connect),
	    cmocka_unit_test(retransmission_keeps_session_and_ports),
	    cmocka_unit_test(new_isn_is_a_new_session),
	    cmocka_unit_test(fast_open_data_stays),
	    cmocka_unit_test(fast_open_data_gives_way_to_the_mtu),
	    cmocka_unit_test(foreign_syn_data_passes),
	    cmocka_unit_test(policy_without_boxes_joins_the_ends),
	    cmocka_unit_test(exit_ends_the_chain),
	    cmocka_unit_test(box_that_changes_the_five_tuple_is_followed),
	    cmocka_unit_test(tag_of_nobody_does_not_leave),
	    cmocka_unit_test(nat_between_agents_shows),
	    cmocka_unit_test(agents_on_the_way_add_hops_once),
	    cmocka_unit_test(round_robin_takes_turns),
	    cmocka_unit_test(least_sessions_evens_out),
	    cmocka_unit_test(consistent_hash_moves_only_what_it_must),
	    cmocka_unit_test(wrong_setups_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
