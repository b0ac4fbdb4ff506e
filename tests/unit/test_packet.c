/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of packets: what it finds, what it leaves alone, what it refuses. */
#include "rewrite/packet.h"
#include "tests/unit/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dysco_tuple tuple_of(bool ip6)
{
	struct random r = {7};

	return random_tuple(&r, ip6);
}

static void assert_same(const struct dysco_packet *a, const struct dysco_packet *b)
{
	assert_true(dysco_tuple_equal(&a->tuple, &b->tuple));
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->ack, b->ack);
	assert_int_equal(a->window, b->window);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->l3, b->l3);
	assert_int_equal(a->l4, b->l4);
	assert_int_equal(a->payload, b->payload);
	assert_int_equal(a->payload_bytes, b->payload_bytes);
	assert_int_equal(a->first, b->first);
}

/* In memory of just that size, so that a sanitizer sees a byte too many being read. */
static enum dysco_parse parse_exactly(struct dysco_packet *p, const uint8_t *data, size_t bytes,
				      uint32_t total)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct dysco_packet plain;
	enum dysco_parse result;

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	result = dysco_packet_parse(p, copy, copy + bytes, total);
	/* Whatever the short way takes, the long way takes alike. */
	if (dysco_packet_plain(&plain, copy, copy + bytes, total)) {
		assert_true(dysco_packet_is_plain(copy, copy + bytes, total));
		assert_int_equal(result, DYSCO_PARSE_TCP);
		assert_same(&plain, p);
	}
	if (result == DYSCO_PARSE_TCP) {
		dysco_packet_option(p, copy, copy + bytes, DYSCO_EXID_MARK);
	}
	free(copy);
	return result;
}

static enum dysco_parse parse_recipe(struct dysco_packet *p, const struct recipe *r)
{
	uint8_t data[PACKET_BYTES];
	size_t bytes = packet_make(data, r);

	return parse_exactly(p, data, bytes, (uint32_t)bytes);
}

static void assert_found(const struct dysco_packet *p, const struct recipe *r, size_t l4)
{
	assert_true(dysco_tuple_equal(&p->tuple, &r->tuple));
	assert_int_equal(p->seq, r->seq);
	assert_int_equal(p->ack, r->ack);
	assert_int_equal(p->window, r->window);
	assert_int_equal(p->flags, r->flags & 0x3f);
	assert_int_equal(p->l3, 0);
	assert_int_equal(p->l4, l4);
	assert_int_equal(p->payload, l4 + 20 + r->option_bytes);
	assert_int_equal(p->payload_bytes, r->payload_bytes);
}

static void tcp_packets_are_read_whatever_they_hold(void **state)
{
	struct random r = {1};
	struct random_packet made;
	struct dysco_packet p;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		bool ip4;

		random_recipe(&r, &made);
		ip4 = dysco_addr_is_ip4(&made.recipe.tuple.src);
		assert_int_equal(parse_recipe(&p, &made.recipe), DYSCO_PARSE_TCP);
		assert_int_equal(p.version, ip4 ? 4 : 6);
		assert_found(&p, &made.recipe, ip4 ? 20 : 40);
	}
}

static bool is_plain(const struct recipe *r)
{
	uint8_t data[PACKET_BYTES];
	size_t bytes = packet_make(data, r);
	struct dysco_packet p;

	return dysco_packet_plain(&p, data, data + bytes, (uint32_t)bytes);
}

static void the_short_way_takes_plain_segments_only(void **state)
{
	static const uint8_t options[40] = {1, 1, 1, 1};
	const struct recipe plain = {.tuple = tuple_of(false),
				     .flags = DYSCO_TCP_ACK,
				     .payload = options,
				     .payload_bytes = 9};
	struct recipe r;

	(void)state;
	for (unsigned int flags = 0; flags < 0x40; flags++) {
		r = plain;
		r.flags = (uint8_t)flags;
		assert_int_equal(is_plain(&r),
				 (flags & ~(unsigned int)DYSCO_TCP_PSH) == DYSCO_TCP_ACK);
	}
	r = plain;
	r.options = options;
	r.option_bytes = 12;
	assert_true(is_plain(&r));
	r = plain;
	r.ip = options;
	r.ip_bytes = 4;
	assert_false(is_plain(&r));
	r = plain;
	r.ip4_fragment = 0x2000;
	assert_false(is_plain(&r));
	r = plain;
	r.protocol = 17;
	assert_false(is_plain(&r));
	r = plain;
	r.tuple = tuple_of(true);
	assert_false(is_plain(&r));
}

static void ip4_options_are_passed_over(void **state)
{
	static const uint8_t options[40] = {1, 1, 1, 1};
	struct recipe r = {.tuple = tuple_of(false), .ip = options, .payload_bytes = 0};
	struct dysco_packet p;

	(void)state;
	for (r.ip_bytes = 0; r.ip_bytes <= 40; r.ip_bytes += 4) {
		assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_TCP);
		assert_found(&p, &r, 20 + r.ip_bytes);
	}
}

/* Hop-by-hop, destination options (16 bytes), used-up routing header, atomic fragment. */
static const uint8_t extensions[] = {
    60, 0, 1, 4,  0, 0, 0, 0,			      /* hop-by-hop */
    43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* destination options */
    44, 0, 4, 0,  0, 0, 0, 0,			      /* routing, no segment left */
    6,	0, 0, 0,  1, 2, 3, 4,			      /* fragment, the only one */
};

static void ip6_extension_headers_are_walked(void **state)
{
	struct recipe r = {.tuple = tuple_of(true),
			   .ip = extensions,
			   .ip_bytes = sizeof(extensions),
			   .ip6_next = 0,
			   .flags = DYSCO_TCP_SYN};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_TCP);
	assert_found(&p, &r, 40 + sizeof(extensions));
}

static void too_many_ip6_extension_headers_are_refused(void **state)
{
	uint8_t chain[8 * (DYSCO_EXTENSIONS_MAX + 1)] = {0};
	struct recipe r = {.tuple = tuple_of(true), .ip = chain, .ip6_next = 60};
	struct dysco_packet p;

	(void)state;
	for (size_t n = 1; n <= DYSCO_EXTENSIONS_MAX + 1; n++) {
		memset(chain, 0, sizeof(chain));
		for (size_t i = 0; i < n; i++) {
			chain[8 * i] = i + 1 == n ? 6 : 60;
		}
		r.ip_bytes = 8 * n;
		assert_int_equal(parse_recipe(&p, &r),
				 n <= DYSCO_EXTENSIONS_MAX ? DYSCO_PARSE_TCP : DYSCO_PARSE_BAD);
	}
}

static void a_source_routed_packet_on_its_way_is_not_ours(void **state)
{
	static const uint8_t routing[8] = {6, 0, 4, 1};
	struct recipe r = {.tuple = tuple_of(true), .ip = routing, .ip_bytes = 8, .ip6_next = 43};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_OTHER);
}

static void ip4_fragments_are_told(void **state)
{
	struct recipe r = {.tuple = tuple_of(false), .ip4_fragment = 0x2000};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_FRAGMENT);
	assert_true(p.first);
	assert_true(dysco_tuple_equal(&p.tuple, &r.tuple));
	r.ip4_fragment = 0x2001;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_FRAGMENT);
	assert_false(p.first);
	r.ip4_fragment = 0x0001;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_FRAGMENT);
	assert_false(p.first);
	r.ip4_fragment = 0x4000; /* don't fragment */
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_TCP);
	r.ip4_fragment = 0x2000;
	r.protocol = 17;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_OTHER);
}

static void ip6_fragments_are_told(void **state)
{
	uint8_t header[8] = {6, 0, 0, 1, 9, 9, 9, 9};
	struct recipe r = {.tuple = tuple_of(true), .ip = header, .ip_bytes = 8, .ip6_next = 44};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_FRAGMENT);
	assert_true(p.first);
	assert_true(dysco_tuple_equal(&p.tuple, &r.tuple));
	header[3] = 8;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_FRAGMENT);
	assert_false(p.first);
	header[0] = 60; /* what follows is in the first fragment, not here */
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_OTHER);
}

static void other_protocols_are_left_alone(void **state)
{
	struct recipe r = {.tuple = tuple_of(false), .protocol = 17};
	uint8_t data[PACKET_BYTES] = {0x50};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_OTHER);
	r.tuple = tuple_of(true);
	assert_int_equal(parse_recipe(&p, &r), DYSCO_PARSE_OTHER);
	assert_int_equal(parse_exactly(&p, data, 100, 100), DYSCO_PARSE_OTHER);
	assert_int_equal(parse_exactly(&p, data, 0, 0), DYSCO_PARSE_OTHER);
}

static void mapped_addresses_on_the_wire_are_refused(void **state)
{
	struct recipe r = {.tuple = tuple_of(true)};
	uint8_t data[PACKET_BYTES];
	size_t bytes = packet_make(data, &r);
	struct dysco_addr mapped = dysco_addr_from_ip4(1);
	struct dysco_packet p;

	(void)state;
	memcpy(data + 24, &mapped, sizeof(mapped));
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
}

/* Of everything but the payload: the lengths in the packet do not fit what is there. */
static void every_proper_prefix_is_refused(void **state)
{
	struct random random = {3};
	struct random_packet made;
	uint8_t data[PACKET_BYTES];
	struct dysco_packet p;

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t bytes;

		random_recipe(&random, &made);
		bytes = packet_make(data, &made.recipe);
		for (size_t n = 0; n < bytes; n++) {
			assert_int_equal(parse_exactly(&p, data, n, (uint32_t)n),
					 n == 0 ? DYSCO_PARSE_OTHER : DYSCO_PARSE_BAD);
		}
	}
}

static void the_payload_may_lie_elsewhere_but_the_headers_may_not(void **state)
{
	static const uint8_t payload[1000];
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct recipe r = {.tuple = tuple_of(true),
			   .options = options,
			   .option_bytes = 8,
			   .payload = payload,
			   .payload_bytes = sizeof(payload)};
	uint8_t data[PACKET_BYTES];
	uint32_t bytes = (uint32_t)packet_make(data, &r);
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_exactly(&p, data, 68, bytes), DYSCO_PARSE_TCP);
	assert_int_equal(p.payload_bytes, sizeof(payload));
	assert_int_equal(parse_exactly(&p, data, 67, bytes), DYSCO_PARSE_BAD);
}

static void link_padding_is_no_payload(void **state)
{
	struct recipe r = {.tuple = tuple_of(false)};
	uint8_t data[PACKET_BYTES] = {0};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(packet_make(data, &r), 40);
	assert_int_equal(parse_exactly(&p, data, 46, 46), DYSCO_PARSE_TCP);
	assert_int_equal(p.payload_bytes, 0);
}

/* A GSO packet of more than 64 KiB has 0 in its length field (Linux, "BIG TCP"). */
static void a_length_of_zero_is_for_giants_only(void **state)
{
	struct dysco_packet p;
	uint8_t data[PACKET_BYTES];

	(void)state;
	for (int ip6 = 0; ip6 <= 1; ip6++) {
		struct recipe r = {.tuple = tuple_of(ip6)};
		size_t bytes = packet_make(data, &r);

		packet_put16(data + (ip6 ? 4 : 2), 0);
		assert_int_equal(parse_exactly(&p, data, bytes, 70000), DYSCO_PARSE_TCP);
		assert_int_equal(p.payload_bytes, 70000 - bytes);
		assert_int_equal(parse_exactly(&p, data, bytes, 60000), DYSCO_PARSE_BAD);
	}
}

static void headers_that_lie_are_refused(void **state)
{
	struct recipe r = {.tuple = tuple_of(false)};
	uint8_t good[PACKET_BYTES], data[PACKET_BYTES];
	size_t bytes = packet_make(good, &r);
	struct dysco_packet p;

	(void)state;
	memcpy(data, good, bytes);
	data[0] = 0x44; /* header length 16 */
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
	memcpy(data, good, bytes);
	packet_put16(data + 2, 39); /* ends inside the TCP header */
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
	packet_put16(data + 2, 41); /* longer than it is */
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
	memcpy(data, good, bytes);
	data[32] = 0x40; /* data offset 16 */
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
	data[32] = 0x60; /* options that are not there */
	assert_int_equal(parse_exactly(&p, data, bytes, (uint32_t)bytes), DYSCO_PARSE_BAD);
}

/* A packet with these options; returns where the parser finds ours, from the first on; -1: nowhere.
 */
static int find(const uint8_t *options, size_t n, uint16_t exid)
{
	struct recipe r = {.tuple = tuple_of(true), .options = options, .option_bytes = n};
	uint8_t data[PACKET_BYTES];
	size_t bytes = packet_make(data, &r);
	uint8_t *copy = malloc(bytes);
	struct dysco_packet p;
	uint16_t at;

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	assert_int_equal(dysco_packet_parse(&p, copy, copy + bytes, (uint32_t)bytes),
			 DYSCO_PARSE_TCP);
	at = dysco_packet_option(&p, copy, copy + bytes, exid);
	free(copy);
	return at == 0 ? -1 : at - 60;
}

#define FIND(exid, ...)                                                                            \
	find((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), exid)

static void our_options_are_found_among_others(void **state)
{
	(void)state;
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 4, 0xd7, 0x5c), 0);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 2, 4, 5, 0xb4, 4, 2, 1, 253, 4, 0xd7, 0x5c, 0), 7);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 4, 1, 1, 253, 4, 0xd7, 0x5c), 4);
	assert_int_equal(FIND(DYSCO_EXID_TAG, 253, 8, 0xd7, 0x5d, 1, 2, 3, 4), 0);
	assert_int_equal(FIND(DYSCO_EXID_TAG, 253, 4, 0xd7, 0x5c, 253, 8, 0xd7, 0x5d, 1, 2, 3, 4),
			 4);
}

static void our_option_is_found_behind_as_many_others_as_there_can_be(void **state)
{
	uint8_t options[40];

	(void)state;
	memset(options, 1, sizeof(options));
	memcpy(options + 36, (const uint8_t[]){253, 4, 0xd7, 0x5c}, 4);
	assert_int_equal(find(options, sizeof(options), DYSCO_EXID_MARK), 36);
	memcpy(options + 32, (const uint8_t[]){253, 8, 0xd7, 0x5d, 0, 0, 0, 0}, 8);
	assert_int_equal(find(options, sizeof(options), DYSCO_EXID_TAG), 32);
}

static void options_that_are_not_ours_are_not_found(void **state)
{
	(void)state;
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 4, 0xd7, 0x5d), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 254, 4, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 6, 0xd7, 0x5c, 0, 0, 1, 1), -1);
	assert_int_equal(FIND(DYSCO_EXID_TAG, 253, 4, 0xd7, 0x5d), -1);
	/* inside the value of another option, behind the end of the list */
	assert_int_equal(FIND(DYSCO_EXID_MARK, 8, 10, 253, 4, 0xd7, 0x5c, 0, 0, 0, 0, 1, 1), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 0, 0, 0, 0, 253, 4, 0xd7, 0x5c), -1);
}

static void options_with_lengths_that_lie_end_the_walk(void **state)
{
	(void)state;
	assert_int_equal(FIND(DYSCO_EXID_MARK, 8, 0, 1, 1, 253, 4, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 8, 1, 1, 1, 253, 4, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 0, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 253, 1, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_MARK, 8, 255, 1, 1, 253, 4, 0xd7, 0x5c), -1);
	assert_int_equal(FIND(DYSCO_EXID_TAG, 253, 8, 0xd7, 0x5d), -1);
	assert_int_equal(FIND(DYSCO_EXID_TAG, 1, 253, 8, 0xd7, 0x5d, 1, 2, 3), -1);
}

static size_t make_error(uint8_t *out, bool ip6, uint8_t type, const struct recipe *quoted,
			 size_t quoted_bytes)
{
	struct dysco_tuple outer = tuple_of(ip6);
	uint8_t inner[PACKET_BYTES];

	packet_make(inner, quoted);
	return packet_make_error(out, &outer, type, inner, quoted_bytes);
}

static enum dysco_parse parse_error(struct dysco_packet *p, bool ip6, uint8_t type,
				    const struct recipe *quoted, size_t quoted_bytes)
{
	uint8_t data[PACKET_BYTES];
	size_t bytes = make_error(data, ip6, type, quoted, quoted_bytes);

	return parse_exactly(p, data, bytes, (uint32_t)bytes);
}

static void icmp_errors_describe_the_packet_they_quote(void **state)
{
	static const uint8_t types[2][3] = {{3, 11, 12}, {1, 2, 3}};
	struct random random = {5};
	struct dysco_packet p;

	(void)state;
	for (int ip6 = 0; ip6 <= 1; ip6++) {
		struct recipe r = {.tuple = random_tuple(&random, ip6), .seq = 77};
		size_t header = ip6 ? 40 : 20;

		for (size_t t = 0; t < 3; t++) {
			assert_int_equal(parse_error(&p, ip6, types[ip6][t], &r, header + 8),
					 DYSCO_PARSE_ICMP_ERROR);
			assert_true(dysco_tuple_equal(&p.tuple, &r.tuple));
			assert_int_equal(p.seq, 77);
			assert_int_equal(p.l3, header + 8);
			assert_int_equal(p.l4, 2 * header + 8);
			assert_int_equal(p.payload_bytes, 0);
		}
		assert_int_equal(parse_error(&p, ip6, types[ip6][0], &r, header + 7),
				 DYSCO_PARSE_OTHER);
	}
}

static void other_icmp_is_left_alone(void **state)
{
	struct recipe r = {.tuple = tuple_of(false)};
	struct dysco_packet p;

	(void)state;
	assert_int_equal(parse_error(&p, false, 5, &r, 28), DYSCO_PARSE_OTHER); /* redirect */
	assert_int_equal(parse_error(&p, false, 8, &r, 28), DYSCO_PARSE_OTHER); /* echo */
	r.ip4_fragment = 1;
	assert_int_equal(parse_error(&p, false, 3, &r, 28), DYSCO_PARSE_OTHER);
	r.ip4_fragment = 0;
	r.protocol = 17;
	assert_int_equal(parse_error(&p, false, 3, &r, 28), DYSCO_PARSE_OTHER);
	r.tuple = tuple_of(true);
	r.protocol = 0;
	assert_int_equal(parse_error(&p, true, 128, &r, 48), DYSCO_PARSE_OTHER); /* echo */
	assert_int_equal(parse_error(&p, true, 137, &r, 48), DYSCO_PARSE_OTHER); /* redirect */
}

static void prefixes_of_icmp_errors_are_left_alone(void **state)
{
	struct recipe r = {
	    .tuple = tuple_of(true), .ip = extensions, .ip_bytes = 8, .ip6_next = 60};
	uint8_t data[PACKET_BYTES];
	size_t bytes = make_error(data, true, 2, &r, 60);
	struct dysco_packet p;

	(void)state;
	for (size_t n = 40; n < bytes; n++) {
		enum dysco_parse result = parse_exactly(&p, data, n, (uint32_t)n);

		assert_true(result == DYSCO_PARSE_OTHER || result == DYSCO_PARSE_ICMP_ERROR);
	}
}

static void flipped_bits_never_lead_outside(void **state)
{
	static const uint8_t options[12] = {253, 4, 0xd7, 0x5c, 8, 8, 1, 1, 1, 1, 1, 0};
	struct recipe recipes[] = {
	    {.tuple = tuple_of(false), .options = options, .option_bytes = 12},
	    {.tuple = tuple_of(true),
	     .ip = extensions,
	     .ip_bytes = sizeof(extensions),
	     .options = options,
	     .option_bytes = 12},
	};
	uint8_t data[PACKET_BYTES];
	struct dysco_packet p;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t bytes = packet_make(data, &recipes[i]);

		for (size_t bit = 0; bit < 8 * bytes; bit++) {
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (parse_exactly(&p, data, bytes, (uint32_t)bytes) == DYSCO_PARSE_TCP) {
				assert_true(p.payload + p.payload_bytes <= bytes);
			}
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tcp_packets_are_read_whatever_they_hold),
	    cmocka_unit_test(the_short_way_takes_plain_segments_only),
	    cmocka_unit_test(ip4_options_are_passed_over),
	    cmocka_unit_test(ip6_extension_headers_are_walked),
	    cmocka_unit_test(too_many_ip6_extension_headers_are_refused),
	    cmocka_unit_test(a_source_routed_packet_on_its_way_is_not_ours),
	    cmocka_unit_test(ip4_fragments_are_told),
	    cmocka_unit_test(ip6_fragments_are_told),
	    cmocka_unit_test(other_protocols_are_left_alone),
	    cmocka_unit_test(mapped_addresses_on_the_wire_are_refused),
	    cmocka_unit_test(every_proper_prefix_is_refused),
	    cmocka_unit_test(the_payload_may_lie_elsewhere_but_the_headers_may_not),
	    cmocka_unit_test(link_padding_is_no_payload),
	    cmocka_unit_test(a_length_of_zero_is_for_giants_only),
	    cmocka_unit_test(headers_that_lie_are_refused),
	    cmocka_unit_test(our_options_are_found_among_others),
	    cmocka_unit_test(our_option_is_found_behind_as_many_others_as_there_can_be),
	    cmocka_unit_test(options_that_are_not_ours_are_not_found),
	    cmocka_unit_test(options_with_lengths_that_lie_end_the_walk),
	    cmocka_unit_test(icmp_errors_describe_the_packet_they_quote),
	    cmocka_unit_test(other_icmp_is_left_alone),
	    cmocka_unit_test(prefixes_of_icmp_errors_are_left_alone),
	    cmocka_unit_test(flipped_bits_never_lead_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
