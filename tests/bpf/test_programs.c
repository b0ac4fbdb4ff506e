// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tc programs, one packet at a time: what comes out, with what verdict, and
 * what was counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <cmocka.h>

#include "tests/bpf/kit.h"

/* Session client 10.0.0.1 -> server 10.0.9.9, first hop the neighbour 10.0.0.2. */
struct world {
	struct dysco_tuple host, wire;
};

static struct world ip4(void)
{
	return (struct world){kit_tuple("10.0.0.1", 4000, "10.0.9.9", 80),
			      kit_tuple("10.0.0.1", 61000, "10.0.0.2", 61001)};
}

static struct world ip6(void)
{
	return (struct world){kit_tuple("fd00::1", 4000, "fd00:9::9", 80),
			      kit_tuple("fd00::1", 61000, "fd00::2", 61001)};
}

static struct dysco_packet parsed(struct kit_frame *f)
{
	struct dysco_packet p;
	uint8_t *data = f->b + ETH_HLEN;

	assert_int_equal(dysco_packet_parse(&p, data, f->b + f->bytes, f->bytes - ETH_HLEN),
			 DYSCO_PARSE_TCP);
	return p;
}

static void assert_carries(struct kit_frame *f, const struct dysco_tuple *tuple)
{
	struct dysco_packet p = parsed(f);

	assert_true(dysco_tuple_equal(&p.tuple, tuple));
	assert_true(dysco_edit_checksum_ok(&p, f->b + ETH_HLEN, f->bytes - ETH_HLEN));
}

static void assert_punted(struct kit_frame *f, const struct kit_frame *original,
			  enum dysco_direction direction, enum dysco_bpf_punt_kind kind)
{
	struct dysco_bpf_punt_header header;

	memcpy(&header, f->b, sizeof(header));
	assert_int_equal(header.magic_be, DYSCO_BE32(DYSCO_MAGIC));
	assert_int_equal(header.type_be, DYSCO_BE16(DYSCO_BPF_PUNT_TYPE));
	assert_int_equal(header.attachment, 1);
	assert_int_equal(header.direction, direction);
	assert_int_equal(header.kind, kind);
	assert_int_equal(header.l2_bytes, ETH_HLEN);
	assert_int_equal(f->bytes, original->bytes + sizeof(header));
	assert_memory_equal(f->b + sizeof(header), original->b, original->bytes);
}

/* Empty maps, and the programs loaded. */
static void fresh(struct kit *k)
{
	kit_reset(k);
	kit_load(k);
}

static struct dysco_leg *fresh_with_leg(struct kit *k, enum dysco_leg_mode mode,
					const struct world *w)
{
	fresh(k);
	return kit_leg(k, 3, mode, &w->host, &w->wire);
}

/* Runs a segment of that tuple; *f is what came out, *original what went in. */
static uint32_t send(struct kit *k, const char *program, const struct dysco_tuple *tuple,
		     uint8_t flags, struct kit_frame *f, struct kit_frame *original)
{
	kit_segment(f, tuple, flags, "data", flags & DYSCO_TCP_SYN ? 0 : 4);
	*original = *f;
	return kit_run(k, program, f);
}

/*
 * The first packet in a quarter of a second goes by the kernel's neighbour
 * table (TC_ACT_REDIRECT), those after it stay on the device.
 */
static void fast_out(struct kit *k, struct world w)
{
	struct dysco_leg *leg;
	struct kit_frame f, original;
	uint32_t verdict = 0;
	int runs = 0;

	leg = fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	while (runs < 8 && verdict != KIT_UNSPEC) {
		verdict = send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original);
		runs++;
		assert_true(verdict == TC_ACT_REDIRECT || verdict == KIT_UNSPEC);
		assert_int_equal(verdict == TC_ACT_REDIRECT || runs > 1, true);
		assert_carries(&f, &w.wire);
	}
	assert_int_equal(verdict, KIT_UNSPEC);
	assert_memory_equal(f.b, KIT_PEER_MAC, ETH_ALEN);
	assert_int_equal(leg->run[DYSCO_OUT].packets, runs);
	assert_int_equal(leg->run[DYSCO_OUT].bytes, (f.bytes - ETH_HLEN) * (uint32_t)runs);
	assert_int_equal(leg->run[DYSCO_OUT].seq_end, 1004);
	assert_int_equal(leg->run[DYSCO_IN].packets, 0);
}

static void fast_out_translates(void **state)
{
	fast_out(*state, ip4());
	fast_out(*state, ip6());
}

static void fast_in(struct kit *k, struct world w)
{
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct dysco_tuple delivered = dysco_tuple_reverse(&w.host);
	struct dysco_leg *leg;
	struct kit_frame f, original;

	leg = fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	assert_int_equal(
	    send(k, "host_in", &arriving, DYSCO_TCP_SYN | DYSCO_TCP_ACK, &f, &original),
	    KIT_UNSPEC);
	assert_carries(&f, &delivered);
	assert_memory_equal(f.b, original.b, ETH_HLEN);
	assert_int_equal(leg->run[DYSCO_IN].packets, 1);
	assert_true(leg->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK);
}

static void fast_in_translates(void **state)
{
	fast_in(*state, ip4());
	fast_in(*state, ip6());
}

/* Four packets of an established session: the last of them by the short way, if no window of time
 * ended. */
static void go_short(struct kit *k, struct dysco_leg *leg, const char *program,
		     const struct dysco_tuple *tuple)
{
	struct kit_frame f, original;

	leg->role = DYSCO_ROLE_FIRST;
	leg->run[DYSCO_OUT].seen = DYSCO_SEEN_SYN;
	leg->run[DYSCO_IN].seen = DYSCO_SEEN_SYNACK;
	for (int i = 0; i < 4; i++) {
		send(k, program, tuple, DYSCO_TCP_ACK, &f, &original);
	}
}

/*
 * The short way needs no key, which is how it is told from the long one; the
 * leg's decision holds there, too.
 */
static void short_way(struct kit *k, const char *program, enum dysco_direction direction)
{
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct dysco_tuple delivered = dysco_tuple_reverse(&w.host);
	struct dysco_tuple from = direction == DYSCO_OUT ? w.host : arriving;
	struct dysco_leg_key key = {from, KIT_HOST, (uint8_t)direction, 0};
	struct dysco_leg *leg = fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	struct kit_frame f, original;
	bool taken = false;

	for (int tries = 0; tries < 8 && !taken; tries++) {
		go_short(k, leg, program, &from);
		k->dp.table.ops->unbind(&k->dp.table, &key);
		assert_int_equal(send(k, program, &from, DYSCO_TCP_ACK, &f, &original), KIT_UNSPEC);
		taken = memcmp(f.b, original.b, original.bytes) != 0;
		assert_int_equal(k->dp.table.ops->bind(&k->dp.table, &key, 3), 0);
	}
	assert_true(taken);
	assert_carries(&f, direction == DYSCO_OUT ? &w.wire : &delivered);
	leg->flags = DYSCO_LEG_SETTLING;
	assert_int_equal(send(k, program, &from, DYSCO_TCP_ACK, &f, &original), TC_ACT_REDIRECT);
	assert_punted(&f, &original, direction, DYSCO_BPF_PUNT_PACKET);
	leg->flags = 0;
	leg->mode = DYSCO_MODE_DEAD;
	assert_int_equal(send(k, program, &from, DYSCO_TCP_ACK, &f, &original), TC_ACT_SHOT);
}

static void bulk_goes_the_short_way(void **state)
{
	short_way(*state, "host_out", DYSCO_OUT);
	short_way(*state, "host_in", DYSCO_IN);
}

/* FIN both ways, each acknowledged: the record alone tells it. */
static void record_tells_the_end(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct kit_frame f, original;
	struct dysco_leg *leg;

	leg = fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	send(k, "host_in", &arriving, DYSCO_TCP_SYN | DYSCO_TCP_ACK, &f, &original);
	assert_int_equal(dysco_leg_state(leg), DYSCO_STATE_SYN_RECEIVED);
	send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original);
	assert_int_equal(dysco_leg_state(leg), DYSCO_STATE_ESTABLISHED);
	send(k, "host_out", &w.host, DYSCO_TCP_FIN | DYSCO_TCP_ACK, &f, &original);
	assert_int_equal(dysco_leg_state(leg), DYSCO_STATE_HALF_CLOSED);
	assert_int_equal(leg->run[DYSCO_OUT].fin_end, 1005);
	/* Every segment of the kit acknowledges 2000, which is more. */
	send(k, "host_in", &arriving, DYSCO_TCP_FIN | DYSCO_TCP_ACK, &f, &original);
	assert_true(leg->run[DYSCO_IN].seen & DYSCO_SEEN_FINACK);
	send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original);
	assert_int_equal(dysco_leg_state(leg), DYSCO_STATE_TIME_WAIT);
	send(k, "host_in", &arriving, DYSCO_TCP_RST, &f, &original);
	assert_int_equal(dysco_leg_state(leg), DYSCO_STATE_RESET);
}

static void modes_are_obeyed(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct kit_frame f, original;
	struct dysco_leg *leg;

	leg = fresh_with_leg(k, DYSCO_MODE_DEAD, &w);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original), TC_ACT_SHOT);
	assert_int_equal(kit_drops(k, DYSCO_REASON_LATE), 1);
	leg->mode = DYSCO_MODE_PASS;
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original), KIT_UNSPEC);
	assert_memory_equal(f.b, original.b, original.bytes);
	leg->mode = DYSCO_MODE_PUNT;
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original),
			 TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
	assert_int_equal(kit_counter(k, DYSCO_COUNTER_PUNTED), 1);
	leg->mode = DYSCO_MODE_FREE;
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original), KIT_UNSPEC);
	assert_int_equal(leg->run[DYSCO_OUT].packets, 0);
}

static void what_is_of_no_leg_passes(void **state)
{
	struct kit *k = *state;
	struct world w = ip6();
	struct kit_frame f, original;

	fresh(k);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_ACK, &f, &original), KIT_UNSPEC);
	assert_memory_equal(f.b, original.b, original.bytes);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original), KIT_UNSPEC);
	assert_int_equal(send(k, "host_in", &w.host, DYSCO_TCP_SYN, &f, &original), KIT_UNSPEC);
	assert_memory_equal(f.b, original.b, original.bytes);
}

static void a_syn_of_a_leg_is_punted(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct kit_frame f, original;

	fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original),
			 TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
	assert_int_equal(send(k, "host_in", &arriving, DYSCO_TCP_SYN, &f, &original),
			 TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_IN, DYSCO_BPF_PUNT_PACKET);
	k->dp.ops->heartbeat(&k->dp, 0);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original), TC_ACT_SHOT);
	assert_int_equal(kit_drops(k, DYSCO_REASON_NO_AGENT), 1);
}

/* A segment with our experimental option. */
static void with_option(struct kit_frame *f, const struct dysco_tuple *tuple, uint8_t flags,
			uint16_t exid)
{
	struct dysco_packet p;
	uint32_t tag = 5;
	size_t bytes;

	kit_segment(f, tuple, flags, "data", 4);
	p = parsed(f);
	bytes = f->bytes - ETH_HLEN;
	assert_true(dysco_edit_add_option(&p, f->b + ETH_HLEN, &bytes, sizeof(f->b) - ETH_HLEN,
					  exid, exid == DYSCO_EXID_TAG ? &tag : NULL));
	f->bytes = (uint32_t)bytes + ETH_HLEN;
}

static void control_segments_are_punted(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct kit_frame f, original;

	fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	with_option(&original, &arriving, DYSCO_TCP_URG | DYSCO_TCP_ACK, DYSCO_EXID_MARK);
	f = original;
	assert_int_equal(kit_run(k, "host_in", &f), TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_IN, DYSCO_BPF_PUNT_CONTROL);
	/* Urgent data of an application is none. */
	assert_int_equal(
	    send(k, "host_in", &arriving, DYSCO_TCP_URG | DYSCO_TCP_ACK, &f, &original),
	    KIT_UNSPEC);
}

static void syns_from_the_wire_are_inspected(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct dysco_tuple plain = dysco_tuple_reverse(&w.host);
	dysco_be32 magic_be = DYSCO_BE32(DYSCO_MAGIC);
	struct kit_frame f, original;

	fresh(k);
	kit_segment(&f, &arriving, DYSCO_TCP_SYN, "not for an agent, this is TCP Fast Open", 39);
	assert_int_equal(kit_run(k, "host_in", &f), KIT_UNSPEC);
	assert_int_equal(kit_counter(k, DYSCO_COUNTER_FOREIGN_SYN_DATA), 1);
	kit_segment(&f, &arriving, DYSCO_TCP_SYN, &magic_be, sizeof(magic_be));
	original = f;
	assert_int_equal(kit_run(k, "host_in", &f), TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_IN, DYSCO_BPF_PUNT_PACKET);
	with_option(&f, &arriving, DYSCO_TCP_SYN, DYSCO_EXID_MARK);
	assert_int_equal(kit_run(k, "host_in", &f), TC_ACT_REDIRECT);
	/* A plain SYN of a session that has a chain. */
	kit_leg(k, 3, DYSCO_MODE_FAST, &w.host, &w.wire);
	assert_int_equal(send(k, "host_in", &plain, DYSCO_TCP_SYN, &f, &original), TC_ACT_REDIRECT);
	assert_int_equal(kit_counter(k, DYSCO_COUNTER_FOREIGN_SYN_DATA), 1);
}

static void a_local_socket_on_our_ports_is_refused(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct kit_frame f, original;

	fresh_with_leg(k, DYSCO_MODE_FAST, &w);
	assert_int_equal(send(k, "host_out", &w.wire, DYSCO_TCP_SYN, &f, &original), TC_ACT_SHOT);
	assert_int_equal(kit_drops(k, DYSCO_REASON_PORT_CONFLICT), 1);
}

static const struct sock_filter match_all[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
static const struct sock_filter match_none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

static void policies_hold_with_and_without_agent(void **state)
{
	struct kit *k = *state;
	struct world w = ip6();
	struct dysco_classifier_rule rules[2] = {
	    {.insns = match_none, .n_insns = 1, .fail = DYSCO_FAIL_OPEN},
	    {.insns = match_all, .n_insns = 1, .fail = DYSCO_FAIL_CLOSED}};
	struct kit_frame f, original;

	fresh(k);
	assert_int_equal(k->dp.ops->set_classifier(&k->dp, rules, 2), 0);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original),
			 TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
	k->dp.ops->heartbeat(&k->dp, 0);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original), TC_ACT_SHOT);
	assert_int_equal(kit_drops(k, DYSCO_REASON_NO_AGENT), 1);
	rules[1].fail = DYSCO_FAIL_OPEN;
	assert_int_equal(k->dp.ops->set_classifier(&k->dp, rules, 2), 0);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original), KIT_UNSPEC);
	assert_int_equal(kit_counter(k, DYSCO_COUNTER_BYPASS), 1);
	kit_heartbeat(k);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original),
			 TC_ACT_REDIRECT);
	/* Another host's policy. */
	rules[1].n_at = 1;
	rules[1].at[0] = KIT_HOST + 1;
	assert_int_equal(k->dp.ops->set_classifier(&k->dp, rules, 2), 0);
	assert_int_equal(send(k, "host_out", &w.host, DYSCO_TCP_SYN, &f, &original), KIT_UNSPEC);
	assert_memory_equal(f.b, original.b, original.bytes);
}

static void a_tagged_syn_needs_no_policy(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct kit_frame f, original;

	fresh(k);
	with_option(&original, &w.host, DYSCO_TCP_SYN, DYSCO_EXID_TAG);
	f = original;
	assert_int_equal(kit_run(k, "host_out", &f), TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
}

static void fragments_do_not_slip_past_policies(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple arriving = dysco_tuple_reverse(&w.wire);
	struct dysco_classifier_rule rule = {.insns = match_all, .n_insns = 1};
	struct kit_frame f;

	fresh(k);
	kit_segment(&f, &w.host, DYSCO_TCP_ACK, "data", 4);
	f.b[ETH_HLEN + 7] = 8; /* offset 64 */
	assert_int_equal(kit_run(k, "host_out", &f), KIT_UNSPEC);
	assert_int_equal(k->dp.ops->set_classifier(&k->dp, &rule, 1), 0);
	assert_int_equal(kit_run(k, "host_out", &f), TC_ACT_SHOT);
	assert_int_equal(kit_run(k, "host_in", &f), KIT_UNSPEC);
	kit_leg(k, 3, DYSCO_MODE_FAST, &w.host, &w.wire);
	kit_segment(&f, &arriving, DYSCO_TCP_ACK, "data", 4);
	f.b[ETH_HLEN + 6] = 0x20; /* the first of several */
	assert_int_equal(kit_run(k, "host_in", &f), TC_ACT_SHOT);
	assert_int_equal(kit_drops(k, DYSCO_REASON_FRAGMENT), 2);
}

/* Destination unreachable about the first bytes of a packet of that tuple, to 10.0.0.1. */
static void icmp_about(struct kit_frame *f, const struct dysco_tuple *quoted)
{
	struct kit_frame inner;
	uint8_t *ip = f->b + ETH_HLEN;

	kit_segment(&inner, quoted, DYSCO_TCP_ACK, NULL, 0);
	*f = inner;
	memset(ip, 0, 28);
	ip[0] = 0x45;
	ip[3] = 28 + 40;
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, "\x0a\x00\x05\x05\x0a\x00\x00\x01", 8);
	ip[20] = 3;
	ip[21] = 4;
	memcpy(ip + 28, inner.b + ETH_HLEN, 40);
	f->bytes = ETH_HLEN + 28 + 40;
}

static void icmp_errors_about_a_leg_are_punted(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct dysco_tuple delivered = dysco_tuple_reverse(&w.host);
	struct kit_frame f, original;

	fresh(k);
	icmp_about(&original, &w.wire);
	f = original;
	assert_int_equal(kit_run(k, "host_in", &f), KIT_UNSPEC);
	kit_leg(k, 3, DYSCO_MODE_FAST, &w.host, &w.wire);
	assert_int_equal(kit_run(k, "host_in", &f), TC_ACT_REDIRECT);
	assert_punted(&f, &original, DYSCO_IN, DYSCO_BPF_PUNT_PACKET);
	/* The host itself complains about what it was delivered. */
	icmp_about(&f, &delivered);
	assert_int_equal(kit_run(k, "host_out", &f), TC_ACT_REDIRECT);
}

/* Cut anywhere, and with every length byte a lie: dropped or passed, counted when dropped. */
static void hostile(struct kit *k, const struct kit_frame *good, const char *program)
{
	static const uint8_t values[] = {0,    1,    2,	   0x0f, 0x20, 0x40, 0x44, 0x46,
					 0x4f, 0x60, 0x7f, 0x80, 0xc0, 0xf0, 0xff};
	uint64_t dropped = kit_drops(k, DYSCO_REASON_BAD_PACKET), shot = 0;
	struct kit_frame f;

	/* BPF_PROG_RUN itself wants the IP header. */
	for (uint32_t bytes = ETH_HLEN + (good->b[12] == 8 ? 20 : 40); bytes < good->bytes;
	     bytes++) {
		f = *good;
		f.bytes = bytes;
		shot += kit_run(k, program, &f) == TC_ACT_SHOT;
	}
	assert_true(shot > 0);
	assert_int_equal(kit_drops(k, DYSCO_REASON_BAD_PACKET) - dropped, shot);
	for (uint32_t at = ETH_HLEN; at < good->bytes; at++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			f = *good;
			f.b[at] = values[i];
			(void)kit_run(k, program, &f);
			assert_true(f.bytes == good->bytes ||
				    f.bytes == good->bytes + sizeof(struct dysco_bpf_punt_header));
		}
	}
}

static void hostile_packets_do_no_harm(void **state)
{
	struct kit *k = *state;
	struct world worlds[] = {ip4(), ip6()};
	struct kit_frame f;

	for (size_t i = 0; i < 2; i++) {
		struct dysco_tuple arriving = dysco_tuple_reverse(&worlds[i].wire);

		kit_reset(k);
		kit_load(k);
		kit_leg(k, 3, DYSCO_MODE_FAST, &worlds[i].host, &worlds[i].wire);
		kit_segment(&f, &worlds[i].host, DYSCO_TCP_ACK, "data", 4);
		hostile(k, &f, "host_out");
		with_option(&f, &arriving, DYSCO_TCP_SYN, DYSCO_EXID_MARK);
		hostile(k, &f, "host_in");
		with_option(&f, &worlds[i].wire, DYSCO_TCP_SYN, DYSCO_EXID_TAG);
		hostile(k, &f, "host_out");
	}
}

/* Options of length 0 and 1 in a SYN of nobody's: it passes as it came. */
static void bad_options_end_the_walk(void **state)
{
	struct kit *k = *state;
	struct world w = ip4();
	struct kit_frame f, original;

	fresh(k);
	for (uint8_t length = 0; length < 2; length++) {
		with_option(&original, &w.host, DYSCO_TCP_SYN, DYSCO_EXID_MARK);
		original.b[ETH_HLEN + 41] = length;
		f = original;
		assert_int_equal(kit_run(k, "host_in", &f), KIT_UNSPEC);
		assert_memory_equal(f.b, original.b, original.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fast_out_translates),
	    cmocka_unit_test(fast_in_translates),
	    cmocka_unit_test(bulk_goes_the_short_way),
	    cmocka_unit_test(record_tells_the_end),
	    cmocka_unit_test(modes_are_obeyed),
	    cmocka_unit_test(what_is_of_no_leg_passes),
	    cmocka_unit_test(a_syn_of_a_leg_is_punted),
	    cmocka_unit_test(control_segments_are_punted),
	    cmocka_unit_test(syns_from_the_wire_are_inspected),
	    cmocka_unit_test(a_local_socket_on_our_ports_is_refused),
	    cmocka_unit_test(policies_hold_with_and_without_agent),
	    cmocka_unit_test(a_tagged_syn_needs_no_policy),
	    cmocka_unit_test(fragments_do_not_slip_past_policies),
	    cmocka_unit_test(icmp_errors_about_a_leg_are_punted),
	    cmocka_unit_test(hostile_packets_do_no_harm),
	    cmocka_unit_test(bad_options_end_the_walk),
	};

	return cmocka_run_group_tests_name("fast", tests, kit_setup, kit_teardown) +
	       cmocka_run_group_tests_name("plain", tests, kit_setup_plain, kit_teardown);
}
