/* SPDX-License-Identifier: BSD-2-Clause */
/* Edits that change a packet's length: undone they leave no trace, and every sum stays right. */
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
	memset(f, 0, sizeof(*f));
	f->bytes = packet_make(f->data, r);
	assert_int_equal(dysco_packet_parse(&f->p, f->data, f->data + f->bytes, (uint32_t)f->bytes),
			 DYSCO_PARSE_TCP);
}

static void make_random(struct fixture *f, struct random *random, struct random_packet *made)
{
	random_recipe(random, made);
	make(f, &made->recipe);
}

/* Lengths, sums, and *p is what the parser says. */
static void assert_right(const struct fixture *f)
{
	const char *wrong = packet_wrong(f->data, f->bytes, f->p.l4);
	struct dysco_packet p;

	if (wrong) {
		fail_msg("%s", wrong);
	}
	assert_int_equal(dysco_packet_parse(&p, f->data, f->data + f->bytes, (uint32_t)f->bytes),
			 DYSCO_PARSE_TCP);
	assert_memory_equal(&p, &f->p, sizeof(p));
}

static void assert_same(const struct fixture *f, const struct fixture *before)
{
	assert_int_equal(f->bytes, before->bytes);
	assert_memory_equal(f->data, before->data, f->bytes);
	assert_memory_equal(&f->p, &before->p, sizeof(f->p));
}

static bool add_mark(struct fixture *f, size_t capacity)
{
	return dysco_edit_add_option(&f->p, f->data, &f->bytes, capacity, DYSCO_EXID_MARK, NULL);
}

static bool insert(struct fixture *f, const void *payload, size_t n, size_t limit)
{
	return dysco_edit_insert_payload(&f->p, f->data, &f->bytes, sizeof(f->data), payload, n,
					 limit);
}

static uint16_t find(const struct fixture *f, uint16_t exid)
{
	return dysco_packet_option(&f->p, f->data, f->data + f->bytes, exid);
}

static void an_option_added_and_removed_leaves_no_trace(void **state)
{
	struct random random = {31};
	struct random_packet made;
	struct fixture f, before;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint32_t tag = random_next(&random);
		bool is_tag = random_below(&random, 2);
		uint16_t exid = is_tag ? DYSCO_EXID_TAG : DYSCO_EXID_MARK;
		size_t n = is_tag ? 8 : 4;

		make_random(&f, &random, &made);
		before = f;
		if (made.recipe.option_bytes + n > 40) {
			assert_false(dysco_edit_add_option(&f.p, f.data, &f.bytes, sizeof(f.data),
							   exid, is_tag ? &tag : NULL));
			assert_same(&f, &before);
			continue;
		}
		assert_true(dysco_edit_add_option(&f.p, f.data, &f.bytes, sizeof(f.data), exid,
						  is_tag ? &tag : NULL));
		assert_right(&f);
		assert_int_equal(f.bytes, before.bytes + n);
		assert_int_equal(find(&f, exid), f.p.l4 + 20);
		if (is_tag) {
			assert_int_equal(dysco_get32(f.data + f.p.l4 + 24), tag);
		}
		assert_true(dysco_edit_remove_option(&f.p, f.data, &f.bytes, exid));
		assert_same(&f, &before);
	}
}

static void an_option_is_found_though_the_list_had_ended(void **state)
{
	static const uint8_t options[4] = {1, 0, 0, 0};
	struct random random = {32};
	struct recipe r = {
	    .tuple = random_tuple(&random, true), .options = options, .option_bytes = 4};
	struct fixture f;

	(void)state;
	make(&f, &r);
	assert_true(add_mark(&f, sizeof(f.data)));
	assert_int_not_equal(find(&f, DYSCO_EXID_MARK), 0);
}

static void an_option_is_removed_from_between_others(void **state)
{
	static const uint8_t options[16] = {2,	  4, 5, 0xb4, 253, 8, 0xd7, 0x5d,
					    0xff, 0, 1, 2,    4,   2, 1,    1};
	static const uint8_t rest[8] = {2, 4, 5, 0xb4, 4, 2, 1, 1};
	struct random random = {33};
	struct recipe r = {
	    .tuple = random_tuple(&random, false), .options = options, .option_bytes = 16};
	struct fixture f, expected;

	(void)state;
	make(&f, &r);
	assert_true(dysco_edit_remove_option(&f.p, f.data, &f.bytes, DYSCO_EXID_TAG));
	assert_right(&f);
	r.options = rest;
	r.option_bytes = 8;
	make(&expected, &r);
	assert_same(&f, &expected);
	assert_false(dysco_edit_remove_option(&f.p, f.data, &f.bytes, DYSCO_EXID_TAG));
	assert_same(&f, &expected);
}

static void an_option_at_an_odd_place_is_removed_with_right_sums(void **state)
{
	static const uint8_t options[8] = {1, 253, 4, 0xd7, 0x5c, 3, 3, 7};
	struct random random = {34};
	struct recipe r = {
	    .tuple = random_tuple(&random, true), .options = options, .option_bytes = 8};
	struct fixture f;

	(void)state;
	make(&f, &r);
	assert_true(dysco_edit_remove_option(&f.p, f.data, &f.bytes, DYSCO_EXID_MARK));
	assert_right(&f);
	assert_memory_equal(f.data + f.p.l4 + 20, "\x01\x03\x03\x07", 4);
}

static void an_option_needs_capacity(void **state)
{
	struct random random = {35};
	struct recipe r = {.tuple = random_tuple(&random, false)};
	struct fixture f, before;

	(void)state;
	make(&f, &r);
	before = f;
	assert_false(add_mark(&f, f.bytes + 3));
	assert_same(&f, &before);
	assert_true(add_mark(&f, f.bytes + 4));
	assert_right(&f);
}

static void a_payload_inserted_and_stripped_leaves_no_trace(void **state)
{
	struct random random = {36};
	struct random_packet made;
	struct fixture f, before;
	uint8_t message[800];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		size_t n = random_below(&random, sizeof(message) + 1);

		random_fill(&random, message, n);
		make_random(&f, &random, &made);
		before = f;
		assert_true(insert(&f, message, n, sizeof(f.data)));
		assert_right(&f);
		assert_int_equal(f.p.payload_bytes, before.p.payload_bytes + n);
		assert_memory_equal(f.data + f.p.payload, message, n);
		assert_memory_equal(f.data + f.p.payload + n, made.payload, before.p.payload_bytes);
		dysco_edit_strip_payload(&f.p, f.data, &f.bytes, n);
		assert_same(&f, &before);
	}
}

static void a_payload_beyond_the_limit_is_cut_from_its_end(void **state)
{
	static const uint8_t payload[] = "abcdefghij";
	struct random random = {37};
	struct recipe r = {
	    .tuple = random_tuple(&random, false), .payload = payload, .payload_bytes = 10};
	struct fixture f, before;

	(void)state;
	for (size_t keep = 0; keep <= 10; keep++) {
		make(&f, &r);
		assert_true(insert(&f, "MSG", 3, 40 + 3 + keep));
		assert_right(&f);
		assert_int_equal(f.p.payload_bytes, 3 + keep);
		assert_memory_equal(f.data + f.p.payload, "MSG", 3);
		assert_memory_equal(f.data + f.p.payload + 3, payload, keep);
	}
	make(&f, &r);
	before = f;
	assert_false(insert(&f, "MSG", 3, 42));
	assert_false(insert(&f, "MSG", 3, 2));
	assert_same(&f, &before);
}

static void a_payload_needs_capacity(void **state)
{
	struct random random = {38};
	struct recipe r = {.tuple = random_tuple(&random, true)};
	struct fixture f, before;

	(void)state;
	make(&f, &r);
	before = f;
	assert_false(dysco_edit_insert_payload(&f.p, f.data, &f.bytes, f.bytes + 2,
					       (const uint8_t *)"MSG", 3, 1500));
	assert_same(&f, &before);
	assert_true(dysco_edit_insert_payload(&f.p, f.data, &f.bytes, f.bytes + 3,
					      (const uint8_t *)"MSG", 3, 1500));
	assert_right(&f);
}

static void more_than_the_payload_is_not_stripped(void **state)
{
	struct random random = {39};
	struct recipe r = {.tuple = random_tuple(&random, true),
			   .payload = (const uint8_t *)"abc",
			   .payload_bytes = 3};
	struct fixture f, before;

	(void)state;
	make(&f, &r);
	before = f;
	dysco_edit_strip_payload(&f.p, f.data, &f.bytes, 4);
	assert_same(&f, &before);
	dysco_edit_strip_payload(&f.p, f.data, &f.bytes, 3);
	assert_right(&f);
	assert_int_equal(f.p.payload_bytes, 0);
}

static void link_padding_is_dropped(void **state)
{
	struct random random = {40};
	struct recipe r = {.tuple = random_tuple(&random, false)};
	struct fixture f;

	(void)state;
	make(&f, &r);
	f.bytes += 6;
	assert_true(add_mark(&f, sizeof(f.data)));
	assert_int_equal(f.bytes, 44);
	assert_right(&f);
}

static void a_wrong_checksum_stays_wrong(void **state)
{
	struct random random = {41};
	struct random_packet made;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 500; i++) {
		make_random(&f, &random, &made);
		f.data[f.p.l4 + 16] ^= 0x20;
		assert_true(insert(&f, "odd", 3, sizeof(f.data)));
		assert_string_equal(packet_wrong(f.data, f.bytes, f.p.l4), "TCP checksum");
	}
}

/* The whole way of a SYN: marked, filled and readdressed by one agent, undone by the next. */
static void a_syn_comes_out_of_a_subsession_as_it_went_in(void **state)
{
	struct random random = {42};
	struct random_packet made;
	struct fixture f, before;
	uint8_t message[300];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct dysco_tuple session, wire;
		bool marked;

		make_random(&f, &random, &made);
		random_fill(&random, message, sizeof(message));
		before = f;
		session = f.p.tuple;
		wire = random_tuple(&random, f.p.version == 6);
		dysco_edit_apply(&f.p, f.data,
				 dysco_edit_tuple(&f.p, f.data, f.data + f.bytes, &wire));
		marked = add_mark(&f, sizeof(f.data));
		assert_true(insert(&f, message, sizeof(message), sizeof(f.data)));
		assert_right(&f);
		dysco_edit_strip_payload(&f.p, f.data, &f.bytes, sizeof(message));
		assert_int_equal(dysco_edit_remove_option(&f.p, f.data, &f.bytes, DYSCO_EXID_MARK),
				 marked);
		dysco_edit_apply(&f.p, f.data,
				 dysco_edit_tuple(&f.p, f.data, f.data + f.bytes, &session));
		assert_same(&f, &before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_option_added_and_removed_leaves_no_trace),
	    cmocka_unit_test(an_option_is_found_though_the_list_had_ended),
	    cmocka_unit_test(an_option_is_removed_from_between_others),
	    cmocka_unit_test(an_option_at_an_odd_place_is_removed_with_right_sums),
	    cmocka_unit_test(an_option_needs_capacity),
	    cmocka_unit_test(a_payload_inserted_and_stripped_leaves_no_trace),
	    cmocka_unit_test(a_payload_beyond_the_limit_is_cut_from_its_end),
	    cmocka_unit_test(a_payload_needs_capacity),
	    cmocka_unit_test(more_than_the_payload_is_not_stripped),
	    cmocka_unit_test(link_padding_is_dropped),
	    cmocka_unit_test(a_wrong_checksum_stays_wrong),
	    cmocka_unit_test(a_syn_comes_out_of_a_subsession_as_it_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
