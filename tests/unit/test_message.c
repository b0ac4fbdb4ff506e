/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec of messages: hashes, layout, what is written is read, any damage is noticed. */
#include "tests/unit/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
	char text[2 * DYSCO_MESSAGE_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	assert_string_equal(text, hex);
}

static void assert_sha256(const char *text, size_t times, const char *hex)
{
	size_t n = strlen(text);
	uint8_t *data = malloc(n * times + 1);
	uint8_t out[DYSCO_SHA256_BYTES];

	assert_non_null(data);
	for (size_t i = 0; i < times; i++) {
		memcpy(data + i * n, text, n);
	}
	dysco_sha256(out, data, n * times);
	free(data);
	assert_hex(out, sizeof(out), hex);
}

/* FIPS 180-4 examples, and each length around the ends of padding. */
static void sha256_gives_the_published_digests(void **state)
{
	(void)state;
	assert_sha256("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	assert_sha256("a", 1000000,
		      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	assert_sha256("a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	assert_sha256("a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
	assert_sha256("a", 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
	assert_sha256("a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
	assert_sha256("a", 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0");
	assert_sha256("a", 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
	assert_sha256("a", 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c");
}

/* RFC 4231, test cases 1 to 3: shorter keys are the same as zero-filled ones (RFC 2104 2). */
static void hmac_gives_the_published_codes(void **state)
{
	uint8_t key[32] = {0};
	uint8_t data[50];
	uint8_t out[DYSCO_HMAC_BYTES];

	(void)state;
	memset(key, 0x0b, 20);
	dysco_hmac_sha256(out, key, (const uint8_t *)"Hi There", 8);
	assert_hex(out, sizeof(out),
		   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	dysco_hmac_sha256(out, key, (const uint8_t *)"what do ya want for nothing?", 28);
	assert_hex(out, sizeof(out),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, 20);
	memset(data, 0xdd, sizeof(data));
	dysco_hmac_sha256(out, key, data, sizeof(data));
	assert_hex(out, sizeof(out),
		   "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

static void hmac_comparison_sees_every_bit(void **state)
{
	uint8_t a[DYSCO_HMAC_BYTES] = {1, 2, 3};
	uint8_t b[DYSCO_HMAC_BYTES] = {1, 2, 3};

	(void)state;
	assert_true(dysco_hmac_equal(a, b));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(dysco_hmac_equal(a, b));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The picture of docs/protocol.md, byte by byte: it must not change by itself. */
static void syn_message_has_the_documented_layout(void **state)
{
	static const char expected[] = "d75c0c0d"
				       "01"
				       "01"
				       "00a0"
				       "0000"
				       "0000" /* magic .. reserved */
				       "0000000000000009"
				       "0000000000000102" /* sender, counter */
				       "01010010"
				       "07070707070707070707070707070707" /* session id */
				       "02010024"
				       "00000000000000000000ffff0a000001" /* session */
				       "00000000000000000000ffff0a000002"
				       "9c40"
				       "0050"
				       "03010024"
				       "00000000000000000000ffff0a000003" /* subsession */
				       "00000000000000000000ffff0a000004"
				       "ee48"
				       "ee49"
				       "0401001c"
				       "00"
				       "01"
				       "0000" /* address list */
				       "00000000000000000000ffff0a000004"
				       "0001"
				       "0000"
				       "01020304";
	struct dysco_header hdr = {.sender = 9, .counter = 0x102};
	struct dysco_msg_syn msg = {0};
	uint8_t out[DYSCO_MESSAGE_MAX];

	(void)state;
	memset(msg.id.b, 7, sizeof(msg.id.b));
	msg.session.src = dysco_addr_from_ip4(DYSCO_BE32(0x0a000001));
	msg.session.dst = dysco_addr_from_ip4(DYSCO_BE32(0x0a000002));
	msg.session.sport_be = DYSCO_BE16(40000);
	msg.session.dport_be = DYSCO_BE16(80);
	msg.subsession.src = dysco_addr_from_ip4(DYSCO_BE32(0x0a000003));
	msg.subsession.dst = dysco_addr_from_ip4(DYSCO_BE32(0x0a000004));
	msg.subsession.sport_be = DYSCO_BE16(61000);
	msg.subsession.dport_be = DYSCO_BE16(61001);
	msg.list.count = 1;
	msg.list.hops[0].addr = msg.subsession.dst;
	msg.list.hops[0].flags = DYSCO_HOP_EXIT;
	msg.list.hops[0].policy = 0x01020304;
	assert_hex(out, dysco_message_write_syn(out, &hdr, &msg, NULL), expected);
}

static void assert_header(const struct dysco_header *hdr, const struct sample *s, size_t bytes)
{
	assert_int_equal(hdr->type, s->type);
	assert_int_equal(hdr->key_id, s->is_signed ? sample_key.id : 0);
	assert_int_equal(hdr->sender, UINT64_C(0x1122334455667788));
	assert_int_equal(hdr->counter, 42);
	assert_int_equal(hdr->total_bytes, bytes);
}

static void assert_reads_back(const uint8_t *m, const struct sample *s)
{
	struct dysco_msg_probe_reply probe_reply, probe_reply_read;
	struct dysco_msg_trace_reply reply, reply_read;
	struct dysco_msg_trace trace, trace_read;
	struct dysco_msg_chain chain, chain_read;
	struct dysco_msg_syn syn, syn_read;

	if (s->type == DYSCO_MSG_CHAIN) {
		sample_chain(&chain, s->ip6, s->hops);
		dysco_message_read_chain(&chain_read, m);
		assert_memory_equal(&chain, &chain_read, sizeof(chain));
	} else if (s->type == DYSCO_MSG_WITHDRAW) {
		sample_trace(&trace);
		dysco_message_read_withdraw(&trace_read.id, m);
		assert_memory_equal(&trace.id, &trace_read.id, sizeof(trace.id));
	} else if (s->type == DYSCO_MSG_SYN) {
		sample_syn(&syn, s->ip6, s->hops);
		dysco_message_read_syn(&syn_read, m);
		assert_memory_equal(&syn, &syn_read, sizeof(syn));
	} else if (s->type == DYSCO_MSG_TRACE) {
		sample_trace(&trace);
		dysco_message_read_trace(&trace_read, m);
		assert_memory_equal(&trace, &trace_read, sizeof(trace));
	} else if (s->type == DYSCO_MSG_PROBE) {
		sample_trace(&trace);
		trace.flags = DYSCO_PROBE_NUDGE;
		dysco_message_read_trace(&trace_read, m);
		assert_memory_equal(&trace, &trace_read, sizeof(trace));
	} else if (s->type == DYSCO_MSG_PROBE_REPLY) {
		sample_probe_reply(&probe_reply, s->ip6, s->hops);
		dysco_message_read_probe_reply(&probe_reply_read, m);
		assert_memory_equal(&probe_reply, &probe_reply_read, sizeof(probe_reply));
	} else {
		sample_reply(&reply, s->ip6);
		dysco_message_read_trace_reply(&reply_read, m);
		assert_memory_equal(&reply, &reply_read, sizeof(reply));
	}
}

static void what_is_written_is_read(void **state)
{
	uint8_t m[DYSCO_MESSAGE_MAX] = {0};
	struct dysco_header hdr = {0};

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];
		size_t bytes = sample_write(m, s);

		assert_int_equal(open_exactly(&hdr, m, bytes, &sample_key, s->is_signed ? 1 : 0),
				 DYSCO_DECODE_OK);
		assert_header(&hdr, s, bytes);
		assert_reads_back(m, s);
	}
}

/* LOCKED and NACK may tell the chain; who does not know of that skips it. */
static void chains_go_with_the_answers_to_lock(void **state)
{
	static const uint8_t types[] = {DYSCO_MSG_LOCKED, DYSCO_MSG_NACK, DYSCO_MSG_LOCK,
					DYSCO_MSG_CANCELLED};
	struct dysco_msg_control msg, read;
	struct dysco_msg_chain chain;
	uint8_t m[DYSCO_MESSAGE_MAX] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct dysco_header hdr = {.type = types[i], .sender = 1, .counter = 1};
		size_t bytes;

		memset(&msg, 0, sizeof(msg));
		sample_chain(&chain, false, DYSCO_HOPS_MAX);
		msg.id = chain.id;
		msg.attempt.nonce = 5;
		msg.attempt.left = msg.attempt.right = sample_addr(false, 1);
		msg.list.count = 1;
		msg.list.hops[0].addr = sample_addr(false, 9);
		memcpy(&msg.chain, &chain.list, sizeof(chain.list));
		bytes = dysco_message_write_control(m, &hdr, &msg, &sample_key);
		assert_int_equal(open_exactly(&hdr, m, bytes, &sample_key, 1), DYSCO_DECODE_OK);
		dysco_message_read_control(&read, m);
		assert_int_equal(read.chain.count, i < 2 ? DYSCO_HOPS_MAX : 0);
		if (i < 2) {
			assert_memory_equal(&read.chain, &chain.list, sizeof(chain.list));
		}
	}
}

static void foreign_data_behind_a_message_is_left_alone(void **state)
{
	uint8_t m[DYSCO_MESSAGE_MAX + 100] = {0};
	struct dysco_header hdr = {0};

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		size_t bytes = sample_write(m, &samples[i]);

		memset(m + bytes, 0xd7, 100);
		assert_int_equal(open_exactly(&hdr, m, bytes + 100, NULL, 0), DYSCO_DECODE_OK);
		assert_int_equal(hdr.total_bytes, bytes);
	}
}

static void every_proper_prefix_is_refused(void **state)
{
	uint8_t m[DYSCO_MESSAGE_MAX] = {0};
	struct dysco_header hdr = {0};

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		size_t bytes = sample_write(m, &samples[i]);

		for (size_t n = 0; n < bytes; n++) {
			assert_int_equal(open_exactly(&hdr, m, n, NULL, 0),
					 n < 4 ? DYSCO_DECODE_NOT_OURS : DYSCO_DECODE_TRUNCATED);
		}
	}
}

/* Reads and writes again what was let through. */
static size_t rewrite(uint8_t out[DYSCO_MESSAGE_MAX], const struct dysco_header *hdr,
		      const uint8_t *m)
{
	struct dysco_msg_probe_reply probe_reply;
	struct dysco_msg_trace_reply reply;
	struct dysco_msg_trace trace;
	struct dysco_msg_chain chain;
	struct dysco_msg_syn syn;

	switch (hdr->type) {
	case DYSCO_MSG_CHAIN:
		dysco_message_read_chain(&chain, m);
		return dysco_message_write_chain(out, hdr, &chain, NULL);
	case DYSCO_MSG_WITHDRAW:
		dysco_message_read_withdraw(&trace.id, m);
		return dysco_message_write_withdraw(out, hdr, &trace.id, NULL);
	case DYSCO_MSG_SYN:
		dysco_message_read_syn(&syn, m);
		return dysco_message_write_syn(out, hdr, &syn, NULL);
	case DYSCO_MSG_TRACE:
		dysco_message_read_trace(&trace, m);
		return dysco_message_write_trace(out, hdr, &trace, NULL);
	case DYSCO_MSG_PROBE:
		dysco_message_read_trace(&trace, m);
		return dysco_message_write_probe(out, hdr, &trace, NULL);
	case DYSCO_MSG_PROBE_REPLY:
		dysco_message_read_probe_reply(&probe_reply, m);
		return dysco_message_write_probe_reply(out, hdr, &probe_reply, NULL);
	default:
		dysco_message_read_trace_reply(&reply, m);
		return dysco_message_write_trace_reply(out, hdr, &reply, NULL);
	}
}

/* A TLV of a known type may come with its critical flag off; nothing else has two encodings. */
static bool is_critical_flag(const uint8_t *m, size_t bytes, size_t byte)
{
	size_t at = DYSCO_HEADER_BYTES;

	while (at < bytes) {
		if (byte == at + 1) {
			return true;
		}
		at += DYSCO_TLV_BYTES + dysco_get16(m + at + 2);
	}
	return false;
}

static void a_flipped_bit_of_an_unsigned_message_is_refused_or_read_as_it_stands(void **state)
{
	uint8_t m[DYSCO_MESSAGE_MAX] = {0}, again[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {0};
	size_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		size_t bytes = sample_write(m, &samples[i]);

		for (size_t bit = 0; bit < 8 * bytes && !samples[i].is_signed; bit++) {
			m[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (open_exactly(&hdr, m, bytes, NULL, 0) == DYSCO_DECODE_OK &&
			    !is_critical_flag(m, bytes, bit / 8)) {
				assert_int_equal(rewrite(again, &hdr, m), bytes);
				assert_memory_equal(again, m, bytes);
				accepted++;
			}
			m[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	assert_true(accepted > 1000);
}

static void every_flipped_bit_of_a_signed_message_is_refused(void **state)
{
	uint8_t m[DYSCO_MESSAGE_MAX] = {0};
	struct dysco_header hdr = {0};

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		size_t bytes = sample_write(m, &samples[i]);

		for (size_t bit = 0; bit < 8 * bytes && samples[i].is_signed; bit++) {
			m[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(open_exactly(&hdr, m, bytes, &sample_key, 1),
					     DYSCO_DECODE_OK);
			open_exactly(&hdr, m, bytes, NULL, 0);
			m[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256_gives_the_published_digests),
	    cmocka_unit_test(hmac_gives_the_published_codes),
	    cmocka_unit_test(hmac_comparison_sees_every_bit),
	    cmocka_unit_test(syn_message_has_the_documented_layout),
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(chains_go_with_the_answers_to_lock),
	    cmocka_unit_test(foreign_data_behind_a_message_is_left_alone),
	    cmocka_unit_test(every_proper_prefix_is_refused),
	    cmocka_unit_test(a_flipped_bit_of_an_unsigned_message_is_refused_or_read_as_it_stands),
	    cmocka_unit_test(every_flipped_bit_of_a_signed_message_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
