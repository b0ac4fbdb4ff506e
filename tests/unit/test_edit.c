/* SPDX-License-Identifier: BSD-2-Clause */
/* Edits that keep a packet's length, and packets of our own: every sum as if made afresh. */
#include "rewrite/edit.h"
#include "tests/unit/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	uint8_t data[PACKET_BYTES];
	size_t bytes;
	struct dysco_packet p;
};

static void make(struct fixture *f, const struct recipe *r)
{
	f->bytes = packet_make(f->data, r);
	assert_int_equal(dysco_packet_parse(&f->p, f->data, f->data + f->bytes, (uint32_t)f->bytes),
			 DYSCO_PARSE_TCP);
}

static bool is_ip6(const struct recipe *r)
{
	return !dysco_addr_is_ip4(&r->tuple.src);
}

static void assert_right(const struct fixture *f)
{
	const char *wrong = packet_wrong(f->data, f->bytes, f->p.l4);

	if (wrong) {
		fail_msg("%s", wrong);
	}
}

static struct dysco_csum_diff edit(struct fixture *f, const struct dysco_tuple *to)
{
	return dysco_edit_tuple(&f->p, f->data, f->data + f->bytes, to);
}

static void a_new_tuple_gives_the_packet_made_with_it(void **state)
{
	struct random random = {11};
	struct random_packet made;
	struct fixture f, expected;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct dysco_tuple to;

		random_recipe(&random, &made);
		make(&f, &made.recipe);
		to = random_tuple(&random, is_ip6(&made.recipe));
		dysco_edit_apply(&f.p, f.data, edit(&f, &to));
		made.recipe.tuple = to;
		make(&expected, &made.recipe);
		assert_int_equal(f.bytes, expected.bytes);
		assert_memory_equal(f.data, expected.data, f.bytes);
		assert_memory_equal(&f.p, &expected.p, sizeof(f.p));
	}
}

static void a_tuple_is_replaced_behind_ip_options_and_extensions(void **state)
{
	static const uint8_t extension[8] = {6, 0, 1, 4, 0, 0, 0, 0};
	static const uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 0};
	struct random random = {12};
	struct fixture f;

	(void)state;
	for (int ip6 = 0; ip6 <= 1; ip6++) {
		struct recipe r = {.tuple = random_tuple(&random, ip6),
				   .ip = ip6 ? extension : options,
				   .ip_bytes = 8,
				   .ip6_next = 60};
		struct dysco_tuple to = random_tuple(&random, ip6);

		make(&f, &r);
		dysco_edit_apply(&f.p, f.data, edit(&f, &to));
		assert_right(&f);
		assert_int_equal(
		    dysco_packet_parse(&f.p, f.data, f.data + f.bytes, (uint32_t)f.bytes),
		    DYSCO_PARSE_TCP);
		assert_true(dysco_tuple_equal(&f.p.tuple, &to));
	}
}

/* Payload whose last word makes the checksum just this. */
static void force_checksum(struct fixture *f, uint16_t wanted)
{
	uint8_t *word = f->data + f->p.payload;

	for (uint32_t v = 0; v <= 0xffff; v++) {
		packet_put16(word, (uint16_t)v);
		if (packet_tcp_checksum(f->data, f->bytes, f->p.l4) == wanted) {
			packet_put16(f->data + f->p.l4 + 16, wanted);
			return;
		}
	}
	fail_msg("no payload has the checksum %#x", wanted);
}

/* From and to the two zeros of one's complement arithmetic (RFC 1624 3). */
static void checksums_of_all_zeros_and_all_ones_are_survived(void **state)
{
	static const uint8_t payload[2];
	struct random random = {13};
	struct fixture f;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct recipe r = {
		    .tuple = random_tuple(&random, i % 2), .payload = payload, .payload_bytes = 2};
		struct dysco_tuple from = r.tuple;
		struct dysco_tuple to = random_tuple(&random, i % 2);

		make(&f, &r);
		force_checksum(&f, 0);
		dysco_edit_apply(&f.p, f.data, edit(&f, &to));
		assert_right(&f);
		dysco_edit_apply(&f.p, f.data, edit(&f, &from));
		assert_right(&f);
		assert_int_equal(packet_get16(f.data + f.p.l4 + 16), 0);
		/* the other zero, which other software may have written */
		packet_put16(f.data + f.p.l4 + 16, 0xffff);
		dysco_edit_apply(&f.p, f.data, edit(&f, &to));
		assert_right(&f);
	}
}

/* RFC 1624 4, the example: a header where the older formula fails. */
static void the_example_of_rfc_1624_comes_out(void **state)
{
	uint8_t check[2] = {0xdd, 0x2f};
	uint16_t from = DYSCO_BE16(0x5555), to = DYSCO_BE16(0x3285);

	(void)state;
	dysco_csum_absorb(check, (uint64_t)(uint16_t)~from + to);
	assert_int_equal(packet_get16(check), 0x0000);
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	struct random random = {14};
	struct random_packet made;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 500; i++) {
		struct dysco_tuple to;

		random_recipe(&random, &made);
		make(&f, &made.recipe);
		f.data[f.p.l4 + 17] ^= 0x10;
		to = random_tuple(&random, is_ip6(&made.recipe));
		dysco_edit_apply(&f.p, f.data, edit(&f, &to));
		assert_string_equal(packet_wrong(f.data, f.bytes, f.p.l4), "TCP checksum");
	}
}

/* a + b as one's complement numbers in the packet's byte order, given and taken in host order */
static uint16_t ones_add(uint16_t a, uint32_t diff)
{
	uint8_t sum[2];

	dysco_store16(sum, dysco_csum_fold16((uint64_t)DYSCO_BE16(a) + diff));
	return packet_get16(sum);
}

/*
 * A packet with CHECKSUM_PARTIAL carries the sum of the pseudo-header, not
 * inverted; the pseudo part alone keeps it right, and the card finishes it.
 */
static void the_pseudo_part_alone_serves_unfinished_checksums(void **state)
{
	struct random random = {15};
	struct random_packet made;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct dysco_csum_diff diff;
		struct dysco_tuple to;
		uint16_t seed;

		random_recipe(&random, &made);
		make(&f, &made.recipe);
		seed = packet_pseudo_sum(f.data, f.bytes, f.p.l4);
		to = random_tuple(&random, is_ip6(&made.recipe));
		diff = edit(&f, &to);
		/* modulo 0xffff: there are two zeros */
		assert_int_equal(ones_add(seed, diff.pseudo) % 0xffff,
				 packet_pseudo_sum(f.data, f.bytes, f.p.l4) % 0xffff);
	}
}

static void the_plain_part_is_that_of_the_ports(void **state)
{
	struct random random = {16};
	struct recipe r = {.tuple = random_tuple(&random, true)};
	struct dysco_tuple to = r.tuple;
	struct fixture f;
	struct dysco_csum_diff diff;

	(void)state;
	make(&f, &r);
	diff = edit(&f, &to);
	assert_int_equal(dysco_csum_fold16(diff.plain) % 0xffff, 0);
	assert_int_equal(dysco_csum_fold16(diff.pseudo) % 0xffff, 0);
	to.sport_be = (uint16_t)(to.sport_be + DYSCO_BE16(1));
	diff = edit(&f, &to);
	assert_int_equal(dysco_csum_fold16(diff.plain), DYSCO_BE16(1));
	assert_int_equal(dysco_csum_fold16(diff.pseudo) % 0xffff, 0);
}

static void a_header_that_is_cut_off_is_left_alone(void **state)
{
	struct random random = {17};
	struct recipe r = {.tuple = random_tuple(&random, false)};
	struct dysco_tuple to = random_tuple(&random, false);
	struct dysco_csum_diff diff;
	uint8_t before[PACKET_BYTES];
	struct fixture f;

	(void)state;
	make(&f, &r);
	memcpy(before, f.data, f.bytes);
	diff = dysco_edit_tuple(&f.p, f.data, f.data + f.p.l4 + 19, &to);
	assert_int_equal(diff.pseudo | diff.plain, 0);
	assert_memory_equal(f.data, before, f.bytes);
}

static void checksums_from_scratch_are_right(void **state)
{
	struct random random = {18};
	struct random_packet made;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		random_recipe(&random, &made);
		make(&f, &made.recipe);
		assert_true(dysco_edit_checksum_ok(&f.p, f.data, f.bytes));
		f.data[f.p.l4 + 16] ^= 1;
		assert_false(dysco_edit_checksum_ok(&f.p, f.data, f.bytes));
		dysco_edit_checksum(&f.p, f.data, f.bytes);
		assert_right(&f);
		assert_false(dysco_edit_checksum_ok(&f.p, f.data, f.bytes - 1));
	}
}

static void segments_of_our_own_are_whole(void **state)
{
	static const uint8_t payload[] = {1, 2, 3, 4, 5};
	struct random random = {19};
	uint8_t out[PACKET_BYTES];
	struct dysco_packet p;

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct dysco_tuple t = random_tuple(&random, i & 1);
		uint16_t exid = (i & 2) ? DYSCO_EXID_MARK : 0;
		size_t n = (i & 4) ? sizeof(payload) : 0;
		size_t bytes =
		    dysco_edit_make_segment(out, sizeof(out), &t, 7, 9,
					    DYSCO_TCP_URG | DYSCO_TCP_ACK, 512, exid, payload, n);

		assert_int_equal(bytes, ((i & 1) ? 60 : 40) + (exid ? 4u : 0u) + n);
		assert_int_equal(dysco_packet_parse(&p, out, out + bytes, (uint32_t)bytes),
				 DYSCO_PARSE_TCP);
		assert_null(packet_wrong(out, bytes, p.l4));
		assert_true(dysco_tuple_equal(&p.tuple, &t));
		assert_true(p.seq == 7 && p.ack == 9 && p.window == 512);
		assert_int_equal(p.flags, DYSCO_TCP_URG | DYSCO_TCP_ACK);
		assert_int_equal(p.payload_bytes, n);
		assert_memory_equal(out + p.payload, payload, n);
		assert_int_equal(dysco_packet_option(&p, out, out + bytes, DYSCO_EXID_MARK),
				 exid ? p.l4 + 20 : 0);
		assert_int_equal(out[(i & 1) ? 7 : 8], 64);
		assert_memory_equal(out, (i & 1) ? "\x60\0\0\0" : "\x45\0\0", (i & 1) ? 4 : 3);
	}
}

static void a_segment_that_does_not_fit_is_not_made(void **state)
{
	struct random random = {20};
	struct dysco_tuple t = random_tuple(&random, true);
	uint8_t out[PACKET_BYTES];

	(void)state;
	assert_int_equal(dysco_edit_make_segment(out, 63, &t, 0, 0, 0, 0, DYSCO_EXID_MARK, NULL, 0),
			 0);
	assert_int_equal(dysco_edit_make_segment(out, 64, &t, 0, 0, 0, 0, DYSCO_EXID_MARK, NULL, 0),
			 64);
	assert_int_equal(dysco_edit_make_segment(out, SIZE_MAX, &t, 0, 0, 0, 0, 0, out, 0xffff), 0);
	assert_int_equal(dysco_edit_make_segment(out, SIZE_MAX, &t, 0, 0, 0, 0, 0, out, SIZE_MAX),
			 0);
}

/* An ICMP error about a packet of `quoted`, n bytes of its TCP part quoted. */
static size_t make_error(uint8_t *out, const struct random_packet *made,
			 const struct dysco_tuple *outer, const struct dysco_tuple *quoted,
			 size_t n)
{
	bool ip6 = !dysco_addr_is_ip4(&quoted->src);
	struct recipe r = made->recipe;
	uint8_t inner[PACKET_BYTES];

	r.tuple = *quoted;
	packet_make(inner, &r);
	return packet_make_error(out, outer, ip6 ? 2 : 3, inner, (ip6 ? 40 : 20) + n);
}

static void a_rewritten_icmp_error_is_the_one_about_the_other_packet(void **state)
{
	struct random random = {21};
	struct random_packet made;
	uint8_t data[PACKET_BYTES], expected[PACKET_BYTES];
	struct dysco_packet p;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		bool ip6 = random_below(&random, 2);
		struct dysco_tuple outer = random_tuple(&random, ip6);
		struct dysco_tuple outer_to = random_tuple(&random, ip6);
		struct dysco_tuple from = random_tuple(&random, ip6);
		struct dysco_tuple to = random_tuple(&random, ip6);
		bool keep_src = random_below(&random, 2);
		size_t n, bytes;

		random_recipe(&random, &made);
		n = 8 + random_below(&random, (uint32_t)(13 + made.recipe.payload_bytes));
		if (n == 17) {
			n = 18; /* of half a checksum the new value cannot be told */
		}
		if (keep_src) {
			outer_to.src = outer.src;
		}
		bytes = make_error(data, &made, &outer, &from, n);
		assert_int_equal(dysco_packet_parse(&p, data, data + bytes, (uint32_t)bytes),
				 DYSCO_PARSE_ICMP_ERROR);
		dysco_edit_icmp(&p, data, bytes, &to, keep_src ? NULL : &outer_to.src,
				&outer_to.dst);
		assert_int_equal(make_error(expected, &made, &outer_to, &to, n), bytes);
		assert_memory_equal(data, expected, bytes);
		assert_true(dysco_tuple_equal(&p.tuple, &to));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_tuple_gives_the_packet_made_with_it),
	    cmocka_unit_test(a_tuple_is_replaced_behind_ip_options_and_extensions),
	    cmocka_unit_test(checksums_of_all_zeros_and_all_ones_are_survived),
	    cmocka_unit_test(the_example_of_rfc_1624_comes_out),
	    cmocka_unit_test(a_wrong_checksum_stays_wrong),
	    cmocka_unit_test(the_pseudo_part_alone_serves_unfinished_checksums),
	    cmocka_unit_test(the_plain_part_is_that_of_the_ports),
	    cmocka_unit_test(a_header_that_is_cut_off_is_left_alone),
	    cmocka_unit_test(checksums_from_scratch_are_right),
	    cmocka_unit_test(segments_of_our_own_are_whole),
	    cmocka_unit_test(a_segment_that_does_not_fit_is_not_made),
	    cmocka_unit_test(a_rewritten_icmp_error_is_the_one_about_the_other_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
