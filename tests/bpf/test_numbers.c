// SPDX-License-Identifier: BSD-2-Clause
/*
 * What reconfiguration asks of the tc programs: the numbers of a leg with
 * offsets come out as the host side's arithmetic makes them, whatever options
 * the segment has; the options of a SYN-ACK are noted; legs that are the core's are punted.
 */
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rewrite/numbers.h"
#include "tests/bpf/kit.h"

struct world {
	struct dysco_tuple host, wire;
};

static struct world ip4(void)
{
	return (struct world){.host = kit_tuple("10.0.0.1", 40000, "192.0.2.9", 80),
			      .wire = kit_tuple("10.0.0.1", 61001, "10.0.0.2", 61002)};
}

static struct world ip6(void)
{
	return (struct world){.host = kit_tuple("fd00::1", 40000, "2001:db8::9", 80),
			      .wire = kit_tuple("fd00::1", 61001, "fd00::2", 61002)};
}

#define TS   8, 10, 1, 2, 3, 4, 5, 6, 7, 8
#define EDGE 0x11, 0x22, 0x33, 0x44

static const struct {
	const char *what;
	uint8_t n; /* a multiple of 4 */
	uint8_t b[40];
} cases[] = {
    {"none", 0, {0}},
    {"timestamps", 12, {1, 1, TS}},
    {"timestamps at an odd place", 12, {1, TS, 0}},
    {"timestamps first", 12, {TS, 1, 1}},
    {"timestamps and two blocks", 32, {1, 1, TS, 1, 1, 5, 18, EDGE, EDGE, EDGE, EDGE}},
    {"four blocks at an odd place",
     36,
     {1, 5, 34, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE, 0}},
    {"an end before them", 16, {0, 1, 1, 1, 1, 1, TS}},
    {"one of length 0", 16, {1, 77, 0, 1, 1, 1, TS}},
    {"one that is too long", 12, {1, 5, 34, EDGE, EDGE, 1}},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

/* A segment with these options. */
static void segment(struct kit_frame *f, const struct dysco_tuple *tuple, uint8_t flags, size_t of)
{
	uint8_t rest[44] = {0};
	struct dysco_packet p;
	uint8_t *data = f->b + ETH_HLEN;
	size_t bytes;

	memcpy(rest, cases[of].b, cases[of].n);
	memcpy(rest + cases[of].n, "data", 4);
	kit_segment(f, tuple, flags, rest, cases[of].n + ((flags & DYSCO_TCP_SYN) ? 0u : 4u));
	bytes = f->bytes - ETH_HLEN;
	dysco_packet_parse(&p, data, data + bytes, (uint32_t)bytes);
	data[p.l4 + 12] = (uint8_t)(data[p.l4 + 12] + (cases[of].n / 4 << 4));
	dysco_edit_checksum(&p, data, bytes);
}

static struct dysco_leg *fresh_leg(struct kit *k, const struct world *w)
{
	struct dysco_leg *leg;

	kit_reset(k);
	kit_load(k);
	leg = kit_leg(k, 3, DYSCO_MODE_FAST, &w->host, &w->wire);
	leg->offsets = (struct dysco_offsets){
	    .seq_out = 0xfffff123, .seq_in = 77777, .ts_out = 0x80000001, .ts_in = 12345};
	leg->flags = DYSCO_LEG_OFFSETS;
	return leg;
}

static void expect(struct kit_frame *f, const struct dysco_leg *leg, const struct dysco_tuple *to,
		   bool outward)
{
	uint8_t *data = f->b + ETH_HLEN;
	uint8_t *end = f->b + f->bytes;
	struct dysco_packet p;

	dysco_packet_parse(&p, data, end, f->bytes - ETH_HLEN);
	dysco_edit_apply(&p, data, dysco_edit_numbers(&p, data, end, &leg->offsets, outward));
	dysco_edit_apply(&p, data, dysco_edit_tuple(&p, data, end, to));
	assert_true(dysco_edit_checksum_ok(&p, data, f->bytes - ETH_HLEN));
}

static void translates(struct kit *k, struct world w, bool outward, size_t of)
{
	struct dysco_tuple from = outward ? w.host : dysco_tuple_reverse(&w.wire);
	struct dysco_tuple to = outward ? w.wire : dysco_tuple_reverse(&w.host);
	struct dysco_leg *leg = fresh_leg(k, &w);
	const struct dysco_leg_run *run = &leg->run[outward ? DYSCO_OUT : DYSCO_IN];
	struct kit_frame f, expected;

	segment(&f, &from, DYSCO_TCP_ACK, of);
	expected = f;
	expect(&expected, leg, &to, outward);
	kit_run(k, outward ? "host_out" : "host_in", &f);
	assert_int_equal(f.bytes, expected.bytes);
	if (memcmp(f.b + ETH_HLEN, expected.b + ETH_HLEN, f.bytes - ETH_HLEN) != 0) {
		fail_msg("%s, %s", cases[of].what, outward ? "out" : "in");
	}
	/* the record has the host's numbers */
	assert_int_equal(run->seq_end, outward ? 1004 : 1004 + leg->offsets.seq_in);
	assert_int_equal(run->ack, outward ? 2000 : 2000 - leg->offsets.seq_out);
}

static void offsets_are_added(void **state)
{
	for (size_t of = 0; of < CASES; of++) {
		translates(*state, ip4(), true, of);
		translates(*state, ip4(), false, of);
		translates(*state, ip6(), true, of);
		translates(*state, ip6(), false, of);
	}
}

static void options_of_a_syn_ack_are_noted(void **state)
{
	static const uint8_t offered[] = {2, 4, 5, 180, 4, 2, TS, 1, 3, 3, 7};
	struct world w = ip4();
	struct dysco_tuple from = dysco_tuple_reverse(&w.wire);
	struct dysco_leg *leg = fresh_leg(*state, &w);
	const struct dysco_syn_options *o = &leg->options[DYSCO_IN];
	struct dysco_packet p;
	struct kit_frame f;
	uint8_t *data = f.b + ETH_HLEN;

	leg->flags = 0;
	kit_segment(&f, &from, DYSCO_TCP_SYN | DYSCO_TCP_ACK, offered, sizeof(offered));
	dysco_packet_parse(&p, data, f.b + f.bytes, f.bytes - ETH_HLEN);
	data[p.l4 + 12] = (uint8_t)(data[p.l4 + 12] + (sizeof(offered) / 4 << 4));
	kit_run(*state, "host_in", &f);
	assert_int_equal(o->mss, 1460);
	assert_int_equal(o->wscale, 7);
	assert_int_equal(o->flags, DYSCO_SYN_NOTED | DYSCO_SYN_SACK | DYSCO_SYN_TS);
	assert_int_equal(leg->options[DYSCO_OUT].flags, 0);
}

static void what_is_the_cores_is_punted(void **state)
{
	struct world w = ip4();
	struct dysco_leg *leg = fresh_leg(*state, &w);
	struct kit_frame f;

	kit_heartbeat(*state);
	leg->flags |= DYSCO_LEG_SETTLING;
	segment(&f, &w.host, DYSCO_TCP_ACK, 1);
	assert_int_equal(kit_run(*state, "host_out", &f), TC_ACT_REDIRECT);
	assert_int_equal(kit_counter(*state, DYSCO_COUNTER_PUNTED), 1);
	leg->flags = DYSCO_LEG_OFFSETS | DYSCO_LEG_FLOOR;
	leg->floor = 1001;
	segment(&f, &w.host, DYSCO_TCP_ACK, 1);
	assert_int_equal(kit_run(*state, "host_out", &f), TC_ACT_REDIRECT);
	assert_int_equal(kit_counter(*state, DYSCO_COUNTER_PUNTED), 2);
	leg->floor = 1000;
	segment(&f, &w.host, DYSCO_TCP_ACK, 1);
	kit_run(*state, "host_out", &f);
	assert_int_equal(kit_counter(*state, DYSCO_COUNTER_PUNTED), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offsets_are_added),
	    cmocka_unit_test(options_of_a_syn_ack_are_noted),
	    cmocka_unit_test(what_is_the_cores_is_punted),
	};

	return cmocka_run_group_tests_name("fast", tests, kit_setup, kit_teardown) +
	       cmocka_run_group_tests_name("plain", tests, kit_setup_plain, kit_teardown);
}
