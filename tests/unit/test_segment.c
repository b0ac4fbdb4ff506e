/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets and their numbers: core/segment.h; offsets in place: rewrite/numbers.h. */
#include "core/segment.h"
#include "rewrite/numbers.h"
#include "tests/unit/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 20000

static struct dysco_packet parse(const uint8_t *data, size_t bytes)
{
	struct dysco_packet p;

	assert_int_equal(dysco_packet_parse(&p, data, data + bytes, (uint32_t)bytes),
			 DYSCO_PARSE_TCP);
	return p;
}

/* Two blocks and timestamps, each behind an odd number of bytes, as no stack sends them. */
static const uint8_t odd_options[40] = {1, 5, 18, 0, 0,	 1, 0, 0, 0, 1, 9, 0, 0, 2, 0, 0, 0, 2,
					9, 1, 1,  8, 10, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0};
/* Timestamps and one block, as Linux sends them. */
static const uint8_t plain_options[24] = {1, 1, 8, 10, 0,    0,	   0, 7, 0, 0, 0,    3,
					  1, 1, 5, 10, 0xff, 0xff, 0, 0, 0, 0, 0x20, 0};

static struct recipe data_recipe(const uint8_t *options, size_t option_bytes,
				 const uint8_t *payload, size_t bytes)
{
	struct recipe r = {.tuple = {.src = dysco_addr_from_ip4(DYSCO_BE32(0x0a000001)),
				     .dst = dysco_addr_from_ip4(DYSCO_BE32(0x0a000002)),
				     .sport_be = DYSCO_BE16(4000),
				     .dport_be = DYSCO_BE16(80)},
			   .seq = 0xffffff00u,
			   .ack = 1000,
			   .flags = DYSCO_TCP_ACK | DYSCO_TCP_PSH,
			   .window = 500,
			   .options = options,
			   .option_bytes = option_bytes,
			   .payload = payload,
			   .payload_bytes = bytes};

	return r;
}

static void reads_what_is_there(void **state)
{
	uint8_t data[PACKET_BYTES];
	struct recipe r = data_recipe(odd_options, 36, (const uint8_t *)"hello", 5);
	size_t bytes = packet_make(data, &r);
	struct dysco_packet p = parse(data, bytes);
	struct dysco_segment s;

	(void)state;
	data[p.l4 + 13] |= DYSCO_TCP_ECE;
	dysco_segment_read(&s, &p, data, 7);
	assert_int_equal(s.seq, 0xffffff00u);
	assert_int_equal(s.ack, 1000);
	assert_int_equal(s.edge, 1000 + (500 << 7));
	assert_int_equal(s.bytes, 5);
	assert_int_equal(s.flags, DYSCO_TCP_ACK | DYSCO_TCP_PSH | DYSCO_TCP_ECE);
	assert_int_equal(s.n_sack, 2);
	assert_int_equal(s.sack[0].from, 0x100);
	assert_int_equal(s.sack[0].to, 0x109);
	assert_int_equal(s.sack[1].from, 0x200);
	assert_true(s.has_ts);
	assert_int_equal(s.tsval, 7);
	assert_int_equal(s.tsecr, 3);
}

/* An option that ends the header early, or lies about its length, is none; nothing is read past it.
 */
static void odd_options_are_none(void **state)
{
	static const uint8_t cases[][8] = {
	    {5, 10, 0, 0, 0, 1, 0, 0}, /* longer than the header */
	    {5, 1, 0, 0, 0, 1, 0, 0},  /* shorter than an option */
	    {5, 7, 0, 0, 0, 0, 0, 0},  /* no whole block */
	    {0, 5, 2, 8, 2, 1, 1, 1},  /* behind the end of the list */
	    {1, 1, 1, 1, 1, 1, 1, 8},  /* its length is missing */
	    {8, 6, 0, 0, 0, 0, 1, 1},  /* not of a timestamp's length */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t data[PACKET_BYTES], before[PACKET_BYTES];
		struct recipe r = data_recipe(cases[i], 8, NULL, 0);
		size_t bytes = packet_make(data, &r);
		struct dysco_packet p = parse(data, bytes);
		struct dysco_offsets o = {0, 0, 5, 5};
		struct dysco_segment s;

		dysco_segment_read(&s, &p, data, 0);
		assert_int_equal(s.n_sack, 0);
		assert_false(s.has_ts);
		memcpy(before, data, bytes);
		dysco_edit_apply(&p, data, dysco_edit_numbers(&p, data, data + bytes, &o, true));
		assert_memory_equal(before, data, bytes);
	}
}

static struct dysco_offsets random_offsets(struct random *r)
{
	struct dysco_offsets o = {random_next(r), random_next(r), random_next(r), random_next(r)};

	return o;
}

/* Options of a random packet: SACK and timestamps at any place, or noise. */
static void fill_options(struct random *r, struct random_packet *p)
{
	size_t at = random_below(r, 4);

	if (random_below(r, 3) == 0) {
		random_fill(r, p->options, sizeof(p->options));
		p->recipe.option_bytes = (size_t)random_below(r, 11) * 4;
		return;
	}
	p->recipe.option_bytes = 40;
	memset(p->options, 1, sizeof(p->options));
	if (random_below(r, 2)) {
		random_fill(r, p->options + at, 10);
		p->options[at] = 8;
		p->options[at + 1] = 10;
		at += 10 + random_below(r, 3);
	}
	if (random_below(r, 2)) {
		uint8_t blocks = (uint8_t)(1 + random_below(r, at + 26 <= 40 ? 3 : 2));

		random_fill(r, p->options + at, (size_t)2 + 8u * blocks);
		p->options[at] = 5;
		p->options[at + 1] = (uint8_t)(2 + 8 * blocks);
	}
}

/* In place and by way of struct dysco_segment come to the same packet, checksums right. */
static void in_place_is_as_by_segment(void **state)
{
	struct random r = {0x5eed};

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		static uint8_t data[PACKET_BYTES], made[PACKET_BYTES];
		struct random_packet packet;
		struct dysco_offsets o = random_offsets(&r);
		struct dysco_segment s;
		struct dysco_packet p;
		size_t bytes, n;
		bool outward = random_below(&r, 2);

		random_recipe(&r, &packet);
		fill_options(&r, &packet);
		packet.recipe.flags &= DYSCO_TCP_FIN | DYSCO_TCP_PSH | DYSCO_TCP_ACK;
		packet.recipe.flags |= DYSCO_TCP_ACK;
		bytes = packet_make(data, &packet.recipe);
		p = parse(data, bytes);
		dysco_segment_read(&s, &p, data, 0);
		if (outward) {
			dysco_offsets_out(&o, &s);
		} else {
			dysco_offsets_in(&o, &s);
		}
		n = dysco_segment_write(made, sizeof(made), &p, data, &s, 0, &p.tuple);
		assert_int_equal(n, bytes);
		assert_null(packet_wrong(made, n, p.l4));
		dysco_edit_apply(&p, data, dysco_edit_numbers(&p, data, data + bytes, &o, outward));
		assert_int_equal(p.seq, s.seq);
		assert_int_equal(p.ack, s.ack);
		if (s.n_sack || s.has_ts || packet.options[0] == 1) {
			assert_null(packet_wrong(data, bytes, p.l4));
			assert_memory_equal(data + p.l4, made + p.l4, 16);
		}
	}
}

/* There and back again is what it was, whatever the options are. */
static void out_and_in_are_inverse(void **state)
{
	struct random r = {0xabc};

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		static uint8_t data[PACKET_BYTES], was[PACKET_BYTES];
		struct random_packet packet;
		struct dysco_offsets o = random_offsets(&r);
		struct dysco_offsets back = {0u - o.seq_in, 0u - o.seq_out, 0u - o.ts_in,
					     0u - o.ts_out};
		struct dysco_packet p;
		size_t bytes;

		random_recipe(&r, &packet);
		fill_options(&r, &packet);
		bytes = packet_make(data, &packet.recipe);
		memcpy(was, data, bytes);
		p = parse(data, bytes);
		dysco_edit_apply(&p, data, dysco_edit_numbers(&p, data, data + bytes, &o, true));
		assert_null(packet_wrong(data, bytes, p.l4));
		dysco_edit_apply(&p, data,
				 dysco_edit_numbers(&p, data, data + bytes, &back, false));
		assert_null(packet_wrong(data, bytes, p.l4));
		/* Of two checksums that mean the same either may stand there. */
		memcpy(data + p.l4 + 16, was + p.l4 + 16, 2);
		assert_memory_equal(data, was, bytes);
	}
}

static void a_part_is_a_packet(void **state)
{
	uint8_t data[PACKET_BYTES], out[PACKET_BYTES];
	struct recipe r = data_recipe(odd_options, 36, (const uint8_t *)"0123456789", 10);
	size_t bytes = packet_make(data, &r), n;
	struct dysco_packet p = parse(data, bytes), q;
	struct dysco_tuple to = {.src = dysco_addr_from_ip4(DYSCO_BE32(0x0a000009)),
				 .dst = dysco_addr_from_ip4(DYSCO_BE32(0x0a000008)),
				 .sport_be = 1,
				 .dport_be = 2};
	struct dysco_segment s, t;

	(void)state;
	dysco_segment_read(&s, &p, data, 2);
	s.seq += 4;
	s.skip = 4;
	s.bytes = 3;
	s.ack = 900;
	s.edge = 900 + 4321;
	s.n_sack = 1;
	s.tsval = 99;
	s.flags = DYSCO_TCP_ACK | DYSCO_TCP_URG;
	s.urgent = 2;
	n = dysco_segment_write(out, sizeof(out), &p, data, &s, 2, &to);
	assert_int_equal(n, bytes - 7);
	assert_null(packet_wrong(out, n, p.l4));
	q = parse(out, n);
	assert_true(dysco_tuple_equal(&q.tuple, &to));
	assert_memory_equal(out + q.payload, "456", 3);
	assert_int_equal(q.window, 4321 >> 2);
	dysco_segment_read(&t, &q, out, 2);
	assert_int_equal(t.n_sack, 1);
	assert_int_equal(t.sack[0].to, 0x109);
	assert_int_equal(t.tsval, 99);
	assert_int_equal(t.urgent, 2);
	s.n_sack = 0;
	n = dysco_segment_write(out, sizeof(out), &p, data, &s, 2, &to);
	q = parse(out, n);
	dysco_segment_read(&t, &q, out, 2);
	assert_int_equal(t.n_sack, 0);
	assert_true(t.has_ts);
}

static void what_does_not_fit(void **state)
{
	uint8_t data[PACKET_BYTES], out[PACKET_BYTES];
	struct recipe r = data_recipe(plain_options, 24, (const uint8_t *)"0123456789", 10);
	size_t bytes = packet_make(data, &r);
	struct dysco_packet p = parse(data, bytes), q;
	struct dysco_tuple ip6 = {.src = {{1, 0, 0, 1}}, .dst = {{1, 0, 0, 2}}};
	struct dysco_segment s;

	(void)state;
	dysco_segment_read(&s, &p, data, 0);
	assert_int_equal(dysco_segment_write(out, bytes - 1, &p, data, &s, 0, &p.tuple), 0);
	assert_int_equal(dysco_segment_write(out, sizeof(out), &p, data, &s, 0, &ip6), 0);
	s.skip = 1;
	assert_int_equal(dysco_segment_write(out, sizeof(out), &p, data, &s, 0, &p.tuple), 0);
	s.skip = 0xffffffffu;
	assert_int_equal(dysco_segment_write(out, sizeof(out), &p, data, &s, 0, &p.tuple), 0);
	s.skip = 0;
	s.edge = s.ack + 70000;
	s.flags |= DYSCO_TCP_URG;
	s.urgent = 70000;
	assert_int_equal(dysco_segment_write(out, sizeof(out), &p, data, &s, 0, &p.tuple), bytes);
	q = parse(out, bytes);
	assert_int_equal(q.window, 0xffff);
	assert_int_equal(q.flags & DYSCO_TCP_URG, 0);
}

/* 64 KB, as segmentation offload hands them over, divided in the middle of an odd byte. */
static void a_large_one_is_divided(void **state)
{
	static uint8_t data[65536], out[65536];
	static const uint8_t none[1];
	struct dysco_tuple tuple = {.src = dysco_addr_from_ip4(1),
				    .dst = dysco_addr_from_ip4(2),
				    .sport_be = 3,
				    .dport_be = 4};
	size_t bytes, n;
	struct dysco_packet p;
	struct dysco_segment s;

	(void)state;
	bytes =
	    dysco_edit_make_segment(data, sizeof(data), &tuple, 5, 6, DYSCO_TCP_ACK, 7, 0, none, 0);
	for (size_t i = bytes; i < 65535; i++) {
		data[i] = (uint8_t)(i * 7);
	}
	p = parse(data, bytes);
	dysco_edit_ip_length(&p, data, 65535);
	p = parse(data, 65535);
	assert_int_equal(p.payload_bytes, 65535 - 40);
	dysco_segment_read(&s, &p, data, 0);
	s.skip = 32767;
	s.bytes -= 32767;
	n = dysco_segment_write(out, sizeof(out), &p, data, &s, 0, &tuple);
	assert_int_equal(n, 65535 - 32767);
	assert_null(packet_wrong(out, n, p.l4));
	assert_memory_equal(out + 40, data + 40 + 32767, s.bytes);
}

/* The number quoted in an ICMP error, both checksums right; cut short behind 8 bytes too. */
static void quoted_number(void **state)
{
	uint8_t data[PACKET_BYTES], error[PACKET_BYTES];
	struct recipe r = data_recipe(plain_options, 24, (const uint8_t *)"0123456789", 10);
	size_t bytes = packet_make(data, &r), n;
	struct dysco_tuple back = dysco_tuple_reverse(&r.tuple);

	(void)state;
	for (size_t quoted = 28; quoted <= bytes; quoted += 2) {
		struct dysco_packet p;
		uint32_t sum = 0;

		n = packet_make_error(error, &back, 3, data, quoted);
		assert_int_equal(dysco_packet_parse(&p, error, error + n, (uint32_t)n),
				 DYSCO_PARSE_ICMP_ERROR);
		dysco_edit_quoted_seq(&p, error, n, 0x12345678);
		for (size_t i = 20; i < n; i += 2) {
			sum += packet_get16(error + i);
			sum = (sum & 0xffff) + (sum >> 16);
		}
		assert_int_equal(sum, 0xffff);
		assert_int_equal(DYSCO_HOST32(dysco_load32(error + p.l4 + 4)),
				 0xffffff00u + 0x12345678u);
		if (quoted == bytes) {
			assert_null(packet_wrong(error + 28, quoted, 20));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_is_there),	 cmocka_unit_test(odd_options_are_none),
	    cmocka_unit_test(in_place_is_as_by_segment), cmocka_unit_test(out_and_in_are_inverse),
	    cmocka_unit_test(a_part_is_a_packet),	 cmocka_unit_test(what_does_not_fit),
	    cmocka_unit_test(a_large_one_is_divided),	 cmocka_unit_test(quoted_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
