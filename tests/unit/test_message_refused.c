/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that lie, one lie each, and messages whose signature is not right. */
#include "tests/unit/messages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A message being damaged: room enough to append to it. */
struct draft {
	uint8_t m[2 * DYSCO_MESSAGE_MAX];
	size_t bytes;
};

static struct draft draft_of(uint8_t type, bool is_signed)
{
	struct sample s = {"", type, 3, false, is_signed};
	struct draft d = {.bytes = 0};

	d.bytes = sample_write(d.m, &s);
	return d;
}

/* Offset of the TLV of that type (of its type byte). */
static size_t tlv(const struct draft *d, uint8_t type)
{
	size_t at = DYSCO_HEADER_BYTES;

	while (at < d->bytes && d->m[at] != type) {
		at += DYSCO_TLV_BYTES + dysco_get16(d->m + at + 2);
	}
	assert_true(at < d->bytes);
	return at;
}

static size_t value(const struct draft *d, uint8_t type)
{
	return tlv(d, type) + DYSCO_TLV_BYTES;
}

static void set_total(struct draft *d)
{
	dysco_put16(d->m + 6, (uint16_t)d->bytes);
}

static void append(struct draft *d, uint8_t type, uint8_t flags, uint16_t length)
{
	d->m[d->bytes] = type;
	d->m[d->bytes + 1] = flags;
	dysco_put16(d->m + d->bytes + 2, length);
	memset(d->m + d->bytes + DYSCO_TLV_BYTES, 0, length);
	d->bytes += (size_t)DYSCO_TLV_BYTES + length;
	set_total(d);
}

static void take_out(struct draft *d, uint8_t type)
{
	size_t at = tlv(d, type);
	size_t n = (size_t)DYSCO_TLV_BYTES + dysco_get16(d->m + at + 2);

	memmove(d->m + at, d->m + at + n, d->bytes - at - n);
	d->bytes -= n;
	set_total(d);
}

static void sign(struct draft *d)
{
	size_t at = d->bytes - DYSCO_HMAC_BYTES;

	dysco_hmac_sha256(d->m + at, sample_key.bytes, d->m, at);
}

static int result_of(const struct draft *d)
{
	struct dysco_header hdr = {0};

	return open_exactly(&hdr, d->m, d->bytes, NULL, 0);
}

static void assert_result(const struct draft *d, int result)
{
	assert_int_equal(result_of(d), result);
}

#define assert_malformed(d) assert_result(d, DYSCO_DECODE_MALFORMED)

static void other_payloads_are_not_ours(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);

	(void)state;
	d.m[3] ^= 1;
	assert_result(&d, DYSCO_DECODE_NOT_OURS);
	d.bytes = 0;
	assert_result(&d, DYSCO_DECODE_NOT_OURS);
}

static void headers_that_lie_are_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);
	struct draft e = d;

	(void)state;
	e.m[4] = 2;
	assert_result(&e, DYSCO_DECODE_VERSION);
	e = d;
	e.m[5] = 9; /* type */
	assert_malformed(&e);
	e = d;
	dysco_put16(e.m + 6, DYSCO_HEADER_BYTES - 1);
	assert_malformed(&e);
	e = d;
	dysco_put16(e.m + 6, (uint16_t)(d.bytes + 1));
	assert_result(&e, DYSCO_DECODE_TRUNCATED);
	e = d;
	dysco_put16(e.m + 10, 1); /* reserved */
	assert_malformed(&e);
	e = d;
	append(&e, 200, 0, (uint16_t)(DYSCO_MESSAGE_MAX + 1 - d.bytes - DYSCO_TLV_BYTES));
	assert_malformed(&e);
}

static void a_message_of_the_greatest_length_is_read(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);

	(void)state;
	append(&d, 200, 0, (uint16_t)(DYSCO_MESSAGE_MAX - d.bytes - DYSCO_TLV_BYTES));
	assert_int_equal(d.bytes, DYSCO_MESSAGE_MAX);
	assert_result(&d, DYSCO_DECODE_OK);
}

static void tlv_lengths_that_lie_are_refused(void **state)
{
	static const uint8_t types[] = {DYSCO_TLV_SESSION_ID, DYSCO_TLV_SESSION,
					DYSCO_TLV_SUBSESSION, DYSCO_TLV_ADDRESSES};
	static const uint16_t lengths[] = {0, 1, 3, 15, 17, 35, 37, 0x7fff, 0xffff};

	(void)state;
	for (size_t t = 0; t < sizeof(types); t++) {
		for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
			struct draft d = draft_of(DYSCO_MSG_SYN, false);

			dysco_put16(d.m + tlv(&d, types[t]) + 2, lengths[l]);
			assert_malformed(&d);
		}
	}
}

static void tlvs_missing_repeated_or_out_of_place_are_refused(void **state)
{
	static const uint8_t types[] = {DYSCO_MSG_SYN, DYSCO_MSG_TRACE, DYSCO_MSG_TRACE_REPLY};

	(void)state;
	for (size_t m = 0; m < sizeof(types); m++) {
		struct draft d = draft_of(types[m], false);

		for (unsigned int t = DYSCO_TLV_SESSION_ID; t < DYSCO_TLV_HMAC; t++) {
			struct draft e = d;

			if (dysco_message_needs(types[m]) & 1u << t) {
				take_out(&e, (uint8_t)t);
				assert_malformed(&e);
				e = d; /* and twice: */
			}
			append(&e, (uint8_t)t, 1, t == DYSCO_TLV_SESSION_ID ? 16 : 36);
			assert_malformed(&e);
		}
	}
}

static void unknown_tlvs_are_skipped_unless_critical_or_repeated(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);

	(void)state;
	append(&d, 0, 0, 0);
	append(&d, DYSCO_TLV_TYPES, 0xfe, 5);
	append(&d, 255, 0, 1);
	assert_result(&d, DYSCO_DECODE_OK);
	append(&d, 255, 0, 1);
	assert_malformed(&d);
	d = draft_of(DYSCO_MSG_SYN, false);
	append(&d, DYSCO_TLV_TYPES, DYSCO_TLV_CRITICAL, 5);
	assert_malformed(&d);
}

static void a_known_tlv_with_unknown_flags_is_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);

	(void)state;
	d.m[tlv(&d, DYSCO_TLV_SESSION) + 1] = 2;
	assert_malformed(&d);
}

static void hmac_belongs_at_the_end_of_signed_messages_only(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, true);
	struct draft e = d;

	(void)state;
	dysco_put16(e.m + 8, 0);
	assert_malformed(&e);
	e = d;
	take_out(&e, DYSCO_TLV_HMAC);
	assert_malformed(&e);
	e = d;
	append(&e, 200, 0, 4);
	assert_malformed(&e);
}

static void address_lists_that_lie_are_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);
	size_t v = value(&d, DYSCO_TLV_ADDRESSES);
	size_t last = v + DYSCO_LIST_BYTES + (size_t)2 * DYSCO_HOP_BYTES;
	static const uint8_t counts[] = {0, 2, 4, DYSCO_HOPS_MAX, DYSCO_HOPS_MAX + 1, 255};
	struct draft e;

	(void)state;
	for (size_t i = 0; i < sizeof(counts); i++) {
		e = d;
		e.m[v] = 0;
		e.m[v + 1] = counts[i];
		assert_malformed(&e);
	}
	e = d;
	e.m[v] = 3; /* next == count */
	assert_malformed(&e);
	e = d;
	e.m[v + 3] = 1; /* reserved */
	assert_malformed(&e);
	e = d;
	memset(e.m + last, 0, sizeof(struct dysco_addr));
	assert_malformed(&e);
	e = d;
	dysco_put16(e.m + last + 16, 4); /* unknown flag */
	assert_malformed(&e);
	e = d;
	dysco_put16(e.m + last + 18, 1); /* reserved */
	assert_malformed(&e);
	e = d;
	dysco_put16(e.m + last - DYSCO_HOP_BYTES + 16, DYSCO_HOP_EXIT); /* not the last */
	assert_malformed(&e);
}

static void tuples_of_two_families_are_refused(void **state)
{
	static const uint8_t types[] = {DYSCO_TLV_SESSION, DYSCO_TLV_SUBSESSION};

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct draft d = draft_of(DYSCO_MSG_SYN, false);

		d.m[value(&d, types[i])] = 0x20;
		assert_malformed(&d);
	}
}

static void trace_values_that_lie_are_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_TRACE, false);
	size_t v = value(&d, DYSCO_TLV_TRACE);
	struct draft e = d;

	(void)state;
	e.m[v + 5] = 2; /* unknown flag */
	assert_malformed(&e);
	e = d;
	e.m[v + 7] = 1; /* reserved */
	assert_malformed(&e);
}

static void report_values_that_lie_are_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_TRACE_REPLY, false);
	size_t v = value(&d, DYSCO_TLV_REPORT);
	struct draft e = d;

	(void)state;
	memset(e.m + v, 'a', DYSCO_NAME_BYTES); /* not ended */
	assert_malformed(&e);
	e = d;
	e.m[v] = 0x1b; /* a terminal's escape */
	assert_malformed(&e);
	e = d;
	e.m[v + DYSCO_NAME_BYTES - 1] = 'x'; /* goes on behind its end */
	assert_malformed(&e);
	e = d;
	e.m[v + DYSCO_NAME_BYTES] = 0x80; /* the other name */
	assert_malformed(&e);
	e = d;
	e.m[v + DYSCO_REPORT_BYTES - 1] = 2; /* present */
	assert_malformed(&e);
	e = d;
	e.m[v + (size_t)2 * DYSCO_NAME_BYTES + DYSCO_REPORT_LEG_BYTES] = 0x20; /* two families */
	assert_malformed(&e);
}

static void signatures_are_demanded_once_a_key_is_there(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);
	struct dysco_header hdr = {0};

	(void)state;
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, &sample_key, 1), DYSCO_DECODE_UNSIGNED);
}

static void a_signature_needs_the_right_key(void **state)
{
	struct dysco_key keys[2] = {{.id = 9}, sample_key};
	struct draft d = draft_of(DYSCO_MSG_SYN, true);
	struct dysco_header hdr = {0};

	(void)state;
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, keys, 1), DYSCO_DECODE_KEY);
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, keys, 2), DYSCO_DECODE_OK);
	keys[1].bytes[31] ^= 1;
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, keys, 2), DYSCO_DECODE_FORGED);
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, keys, 0), DYSCO_DECODE_OK);
}

static void a_right_signature_does_not_excuse_a_lie(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, true);
	struct dysco_header hdr = {0};

	(void)state;
	d.m[value(&d, DYSCO_TLV_ADDRESSES)] = 3;
	sign(&d);
	assert_int_equal(open_exactly(&hdr, d.m, d.bytes, &sample_key, 1), DYSCO_DECODE_MALFORMED);
}

static void the_header_is_untouched_when_refused(void **state)
{
	struct draft d = draft_of(DYSCO_MSG_SYN, false);
	struct dysco_header hdr = {.type = 77};

	(void)state;
	open_exactly(&hdr, d.m, d.bytes, &sample_key, 1);
	assert_int_equal(hdr.type, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(other_payloads_are_not_ours),
	    cmocka_unit_test(headers_that_lie_are_refused),
	    cmocka_unit_test(a_message_of_the_greatest_length_is_read),
	    cmocka_unit_test(tlv_lengths_that_lie_are_refused),
	    cmocka_unit_test(tlvs_missing_repeated_or_out_of_place_are_refused),
	    cmocka_unit_test(unknown_tlvs_are_skipped_unless_critical_or_repeated),
	    cmocka_unit_test(a_known_tlv_with_unknown_flags_is_refused),
	    cmocka_unit_test(hmac_belongs_at_the_end_of_signed_messages_only),
	    cmocka_unit_test(address_lists_that_lie_are_refused),
	    cmocka_unit_test(tuples_of_two_families_are_refused),
	    cmocka_unit_test(trace_values_that_lie_are_refused),
	    cmocka_unit_test(report_values_that_lie_are_refused),
	    cmocka_unit_test(signatures_are_demanded_once_a_key_is_there),
	    cmocka_unit_test(a_signature_needs_the_right_key),
	    cmocka_unit_test(a_right_signature_does_not_excuse_a_lie),
	    cmocka_unit_test(the_header_is_untouched_when_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
