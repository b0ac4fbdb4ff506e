/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Valid messages for the tests of the codec, one of each type, with and
 * without a signature.
 */
#ifndef DYSCO_TESTS_UNIT_MESSAGES_H
#define DYSCO_TESTS_UNIT_MESSAGES_H

#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

static const struct dysco_key sample_key = {.id = 7, .bytes = {0x0f, 1, 2, 3, 0xff}};

struct sample {
	const char *name;
	uint8_t type; /* enum dysco_message_type */
	uint8_t hops; /* of a SYN, a CHAIN */
	bool ip6;
	bool is_signed;
};

static const struct sample samples[] = {
    {"SYN, IPv4, destination only", DYSCO_MSG_SYN, 1, false, false},
    {"SYN, IPv4, destination only, signed", DYSCO_MSG_SYN, 1, false, true},
    {"SYN, IPv6, 16 boxes, signed", DYSCO_MSG_SYN, 17, true, true},
    {"SYN, IPv6, longest list", DYSCO_MSG_SYN, DYSCO_HOPS_MAX, true, false},
    {"SYN, IPv6, longest list, signed", DYSCO_MSG_SYN, DYSCO_HOPS_MAX, true, true},
    {"TRACE", DYSCO_MSG_TRACE, 0, false, false},
    {"TRACE, signed", DYSCO_MSG_TRACE, 0, false, true},
    {"TRACE_REPLY", DYSCO_MSG_TRACE_REPLY, 0, false, false},
    {"TRACE_REPLY, signed", DYSCO_MSG_TRACE_REPLY, 0, true, true},
    {"PROBE, signed", DYSCO_MSG_PROBE, 0, false, true},
    {"PROBE_REPLY, session not known", DYSCO_MSG_PROBE_REPLY, 0, false, false},
    {"PROBE_REPLY, session known, signed", DYSCO_MSG_PROBE_REPLY, 1, true, true},
    {"CHAIN", DYSCO_MSG_CHAIN, 3, true, false},
    {"CHAIN, longest, signed", DYSCO_MSG_CHAIN, DYSCO_HOPS_MAX, false, true},
    {"WITHDRAW", DYSCO_MSG_WITHDRAW, 0, false, false},
    {"WITHDRAW, signed", DYSCO_MSG_WITHDRAW, 0, false, true},
};
#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static inline struct dysco_addr sample_addr(bool ip6, uint8_t n)
{
	struct dysco_addr ip6_addr = {{DYSCO_BE32(0x20010db8), 0, DYSCO_BE32(n), DYSCO_BE32(1)}};

	return ip6 ? ip6_addr : dysco_addr_from_ip4(DYSCO_BE32(0xc0000200u | n));
}

static inline struct dysco_tuple sample_tuple(bool ip6, uint8_t src, uint8_t dst)
{
	struct dysco_tuple t = {sample_addr(ip6, src), sample_addr(ip6, dst),
				DYSCO_BE16(40000u + src), DYSCO_BE16(80)};

	return t;
}

/* memset: they are compared whole, padding included */
static inline void sample_syn(struct dysco_msg_syn *msg, bool ip6, uint8_t hops)
{
	memset(msg, 0, sizeof(*msg));
	memset(msg->id.b, 0xa5, sizeof(msg->id.b));
	msg->session = sample_tuple(ip6, 1, 200);
	msg->subsession = sample_tuple(ip6, 2, 3);
	msg->list.count = hops;
	msg->list.next = hops / 2;
	for (uint8_t i = 0; i < hops; i++) {
		msg->list.hops[i].addr = sample_addr(ip6, (uint8_t)(10 + i));
		msg->list.hops[i].policy = 0x1000u + i;
	}
	msg->list.hops[hops - 1].flags = DYSCO_HOP_EXIT;
}

static inline void sample_chain(struct dysco_msg_chain *msg, bool ip6, uint8_t hops)
{
	struct dysco_msg_syn like;

	sample_syn(&like, ip6, hops);
	memset(msg, 0, sizeof(*msg));
	msg->id = like.id;
	memcpy(&msg->list, &like.list, sizeof(like.list));
}

static inline void sample_trace(struct dysco_msg_trace *msg)
{
	memset(msg, 0, sizeof(*msg));
	memset(msg->id.b, 0x5a, sizeof(msg->id.b));
	msg->nonce = 0xdecafbad;
	msg->hop = 3;
	msg->flags = DYSCO_TRACE_LEFTWARD;
}

static inline void sample_leg(struct dysco_report_leg *leg, bool ip6)
{
	leg->host = sample_tuple(ip6, 1, 200);
	leg->wire = sample_tuple(ip6, 2, 3);
	leg->packets_out = 1;
	leg->bytes_out = UINT64_C(0x0102030405060708);
	leg->packets_in = UINT64_MAX;
	leg->bytes_in = 4;
	leg->state = 4;
	leg->present = 1;
}

static inline void sample_reply(struct dysco_msg_trace_reply *msg, bool ip6)
{
	memset(msg, 0, sizeof(*msg));
	sample_trace(&msg->trace);
	memcpy(msg->report.agent, "edge-1", sizeof("edge-1"));
	memcpy(msg->report.host, "a-name-of-the-longest-kind-is-31", DYSCO_NAME_BYTES - 1);
	sample_leg(&msg->report.right, ip6);
}

/* hops: is the session known? */
static inline void sample_probe_reply(struct dysco_msg_probe_reply *msg, bool ip6, uint8_t hops)
{
	struct dysco_msg_trace_reply like;

	memset(msg, 0, sizeof(*msg));
	sample_reply(&like, ip6);
	msg->trace = like.trace;
	msg->trace.flags = DYSCO_PROBE_NUDGE | DYSCO_PROBE_CLOSE;
	msg->known = hops > 0;
	if (msg->known) {
		memcpy(&msg->report, &like.report, sizeof(like.report));
		msg->numbers = (struct dysco_numbers){.seq = 0x01020304, .base = 0xfffffffe};
	}
}

/* Encodes it; returns its bytes. */
static inline size_t sample_write(uint8_t out[DYSCO_MESSAGE_MAX], const struct sample *s)
{
	static const struct dysco_header hdr = {.sender = UINT64_C(0x1122334455667788),
						.counter = 42};
	const struct dysco_key *key = s->is_signed ? &sample_key : NULL;
	struct dysco_msg_probe_reply probe_reply;
	struct dysco_msg_trace_reply reply;
	struct dysco_msg_trace trace;
	struct dysco_msg_chain chain;
	struct dysco_msg_syn syn;

	switch (s->type) {
	case DYSCO_MSG_CHAIN:
		sample_chain(&chain, s->ip6, s->hops);
		return dysco_message_write_chain(out, &hdr, &chain, key);
	case DYSCO_MSG_WITHDRAW:
		sample_trace(&trace);
		return dysco_message_write_withdraw(out, &hdr, &trace.id, key);
	case DYSCO_MSG_SYN:
		sample_syn(&syn, s->ip6, s->hops);
		return dysco_message_write_syn(out, &hdr, &syn, key);
	case DYSCO_MSG_TRACE:
		sample_trace(&trace);
		return dysco_message_write_trace(out, &hdr, &trace, key);
	case DYSCO_MSG_PROBE:
		sample_trace(&trace);
		trace.flags = DYSCO_PROBE_NUDGE;
		return dysco_message_write_probe(out, &hdr, &trace, key);
	case DYSCO_MSG_PROBE_REPLY:
		sample_probe_reply(&probe_reply, s->ip6, s->hops);
		return dysco_message_write_probe_reply(out, &hdr, &probe_reply, key);
	default:
		sample_reply(&reply, s->ip6);
		return dysco_message_write_trace_reply(out, &hdr, &reply, key);
	}
}

/* Decodes from memory of just that size, so that a sanitizer sees a byte too many being read. */
static inline int open_exactly(struct dysco_header *hdr, const uint8_t *m, size_t bytes,
			       const struct dysco_key *keys, size_t n_keys)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	int result;

	if (!copy) {
		abort();
	}
	memcpy(copy, m, bytes);
	result = dysco_message_open(hdr, bytes ? copy : copy + 1, bytes, keys, n_keys);
	free(copy);
	return result;
}

#endif
