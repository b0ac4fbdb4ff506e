/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The code behind wire/message.h; included by it and by nothing else.
 *
 * Decoding is in three passes: structure (every length, every TLV once, the set
 * that the type asks for), signature, values. After that reading cannot fail.
 */
#ifndef DYSCO_WIRE_MESSAGE_IMPL_H
#define DYSCO_WIRE_MESSAGE_IMPL_H

#include "wire/sha256.h"

#define DYSCO_TLV_CRITICAL     0x01 /* flag: refuse the message if the type is not known */
#define DYSCO_SESSION_ID_BYTES 16
#define DYSCO_TUPLE_BYTES      36
#define DYSCO_LIST_BYTES       4 /* of the address list, before the hops */
#define DYSCO_TRACE_BYTES      8
#define DYSCO_ATTEMPT_BYTES    44
#define DYSCO_NUMBERS_BYTES    16
#define DYSCO_REPORT_LEG_BYTES (2 * DYSCO_TUPLE_BYTES + 4 * 8 + 2)
#define DYSCO_REPORT_BYTES     (2 * DYSCO_NAME_BYTES + 2 * DYSCO_REPORT_LEG_BYTES)

_Static_assert(DYSCO_HEADER_BYTES + 6 * DYSCO_TLV_BYTES + DYSCO_SESSION_ID_BYTES +
		       DYSCO_ATTEMPT_BYTES + 2 * DYSCO_TUPLE_BYTES + DYSCO_LIST_BYTES +
		       DYSCO_HOPS_MAX * DYSCO_HOP_BYTES + DYSCO_HMAC_BYTES <=
		   DYSCO_MESSAGE_MAX,
	       "the longest SYN message fits");

DYSCO_INLINE uint16_t dysco_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

DYSCO_INLINE uint32_t dysco_get32(const uint8_t *at)
{
	return (uint32_t)dysco_get16(at) << 16 | dysco_get16(at + 2);
}

DYSCO_INLINE uint64_t dysco_get64(const uint8_t *at)
{
	return (uint64_t)dysco_get32(at) << 32 | dysco_get32(at + 4);
}

DYSCO_INLINE void dysco_put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

DYSCO_INLINE void dysco_put32(uint8_t *at, uint32_t v)
{
	dysco_put16(at, (uint16_t)(v >> 16));
	dysco_put16(at + 2, (uint16_t)v);
}

DYSCO_INLINE void dysco_put64(uint8_t *at, uint64_t v)
{
	dysco_put32(at, (uint32_t)(v >> 32));
	dysco_put32(at + 4, (uint32_t)v);
}

/* A five-tuple in memory is what it is on the wire. */
DYSCO_INLINE struct dysco_tuple dysco_get_tuple(const uint8_t *at)
{
	struct dysco_tuple t;

	__builtin_memcpy(&t, at, DYSCO_TUPLE_BYTES);
	return t;
}

DYSCO_INLINE void dysco_put_tuple(uint8_t *at, const struct dysco_tuple *t)
{
	__builtin_memcpy(at, t, DYSCO_TUPLE_BYTES);
}

/* Decoding: structure */

/* Offsets of the values of the types we know; 0: not there. */
struct dysco_tlvs {
	uint16_t at[DYSCO_TLV_TYPES];
};

DYSCO_INLINE bool dysco_tlv_known(uint8_t type)
{
	return type >= DYSCO_TLV_SESSION_ID && type < DYSCO_TLV_TYPES;
}

/* Of a known type; the address list is only held to its bounds here. */
DYSCO_INLINE bool dysco_tlv_length_ok(uint8_t type, size_t length)
{
	switch (type) {
	case DYSCO_TLV_SESSION_ID:
		return length == DYSCO_SESSION_ID_BYTES;
	case DYSCO_TLV_SESSION:
	case DYSCO_TLV_SUBSESSION:
		return length == DYSCO_TUPLE_BYTES;
	case DYSCO_TLV_ADDRESSES:
	case DYSCO_TLV_CHAIN:
		return length >= DYSCO_LIST_BYTES + DYSCO_HOP_BYTES &&
		       length <= DYSCO_LIST_BYTES + DYSCO_HOPS_MAX * DYSCO_HOP_BYTES;
	case DYSCO_TLV_TRACE:
		return length == DYSCO_TRACE_BYTES;
	case DYSCO_TLV_REPORT:
		return length == DYSCO_REPORT_BYTES;
	case DYSCO_TLV_ATTEMPT:
		return length == DYSCO_ATTEMPT_BYTES;
	case DYSCO_TLV_NUMBERS:
		return length == DYSCO_NUMBERS_BYTES;
	default:
		return length == DYSCO_HMAC_BYTES;
	}
}

/* One TLV at m[at], of which room bytes are there; returns its length, 0: refused. */
DYSCO_INLINE size_t dysco_message_scan_tlv(struct dysco_tlvs *tlvs, const uint8_t *m, size_t at,
					   size_t room)
{
	uint8_t type, flags;
	size_t length;

	if (room < DYSCO_TLV_BYTES) {
		return 0;
	}
	type = m[at];
	flags = m[at + 1];
	length = dysco_get16(m + at + 2);
	if (length > room - DYSCO_TLV_BYTES) {
		return 0;
	}
	if (!dysco_tlv_known(type)) {
		return (flags & DYSCO_TLV_CRITICAL) ? 0 : DYSCO_TLV_BYTES + length;
	}
	if ((flags & ~DYSCO_TLV_CRITICAL) != 0 || !dysco_tlv_length_ok(type, length)) {
		return 0;
	}
	tlvs->at[type] = (uint16_t)(at + DYSCO_TLV_BYTES);
	return DYSCO_TLV_BYTES + length;
}

DYSCO_FUNC bool dysco_message_scan(struct dysco_tlvs *tlvs, const uint8_t *m, size_t total)
{
	uint32_t seen[256 / 32] = {0};
	size_t at = DYSCO_HEADER_BYTES;

	__builtin_memset(tlvs, 0, sizeof(*tlvs));
	while (at < total) {
		size_t length = dysco_message_scan_tlv(tlvs, m, at, total - at);
		uint8_t type = m[at];

		if (length == 0 || (seen[type / 32] & 1u << type % 32)) {
			return false;
		}
		seen[type / 32] |= 1u << type % 32;
		at += length;
	}
	return true;
}

/* Beside session id and attempt. */
DYSCO_INLINE unsigned int dysco_message_control_needs(uint8_t type)
{
	switch (type) {
	case DYSCO_MSG_LOCK:
		return 1u << DYSCO_TLV_SUBSESSION | 1u << DYSCO_TLV_ADDRESSES |
		       1u << DYSCO_TLV_NUMBERS;
	case DYSCO_MSG_LOCKED:
	case DYSCO_MSG_READY:
	case DYSCO_MSG_CUT:
		return 1u << DYSCO_TLV_NUMBERS;
	case DYSCO_MSG_TRIGGER:
		return 1u << DYSCO_TLV_ADDRESSES;
	default:
		return 0;
	}
}

/* The TLVs of a type of message, HMAC left aside, as a set of bits; 0: type not known. */
DYSCO_INLINE unsigned int dysco_message_needs(uint8_t type)
{
	switch (type) {
	case DYSCO_MSG_SYN:
		return 1u << DYSCO_TLV_SESSION_ID | 1u << DYSCO_TLV_SESSION |
		       1u << DYSCO_TLV_SUBSESSION | 1u << DYSCO_TLV_ADDRESSES;
	case DYSCO_MSG_TRACE:
	case DYSCO_MSG_PROBE:
	case DYSCO_MSG_PROBE_REPLY:
		return 1u << DYSCO_TLV_SESSION_ID | 1u << DYSCO_TLV_TRACE;
	case DYSCO_MSG_CHAIN:
		return 1u << DYSCO_TLV_SESSION_ID | 1u << DYSCO_TLV_CHAIN;
	case DYSCO_MSG_WITHDRAW:
		return 1u << DYSCO_TLV_SESSION_ID;
	case DYSCO_MSG_TRACE_REPLY:
		return 1u << DYSCO_TLV_SESSION_ID | 1u << DYSCO_TLV_TRACE | 1u << DYSCO_TLV_REPORT;
	default:
		return dysco_message_is_control(type)
			   ? 1u << DYSCO_TLV_SESSION_ID | 1u << DYSCO_TLV_ATTEMPT |
				 dysco_message_control_needs(type)
			   : 0;
	}
}

/* Just the TLVs of this type, and the HMAC as the last one if and only if it is signed. */
DYSCO_INLINE bool dysco_message_set_ok(const struct dysco_tlvs *tlvs,
				       const struct dysco_header *hdr)
{
	unsigned int needs = dysco_message_needs(hdr->type);
	unsigned int found = 0;

	for (unsigned int type = 0; type < DYSCO_TLV_TYPES; type++) {
		found |= (unsigned int)(tlvs->at[type] != 0) << type;
	}
	if (hdr->type == DYSCO_MSG_SYN) {
		needs |= found & 1u << DYSCO_TLV_ATTEMPT; /* of a new path */
	}
	if (hdr->type == DYSCO_MSG_LOCKED || hdr->type == DYSCO_MSG_NACK) {
		needs |= found & 1u << DYSCO_TLV_CHAIN;
	}
	if (hdr->type == DYSCO_MSG_PROBE_REPLY && (found & 1u << DYSCO_TLV_REPORT)) {
		needs |=
		    1u << DYSCO_TLV_REPORT | 1u << DYSCO_TLV_NUMBERS; /* it knows the session */
	}
	if (needs == 0) {
		return false;
	}
	if (hdr->key_id == 0) {
		return found == needs;
	}
	return found == (needs | 1u << DYSCO_TLV_HMAC) &&
	       tlvs->at[DYSCO_TLV_HMAC] + DYSCO_HMAC_BYTES == hdr->total_bytes;
}

/* The fixed part. A message of another version may look different behind its version. */
DYSCO_INLINE int dysco_message_open_header(struct dysco_header *hdr, const uint8_t *m, size_t bytes)
{
	if (!dysco_message_is_ours(m, bytes)) {
		return DYSCO_DECODE_NOT_OURS;
	}
	if (bytes < DYSCO_HEADER_BYTES) {
		return DYSCO_DECODE_TRUNCATED;
	}
	if (m[4] != DYSCO_VERSION_WIRE) {
		return DYSCO_DECODE_VERSION;
	}
	hdr->type = m[5];
	hdr->total_bytes = dysco_get16(m + 6);
	hdr->key_id = dysco_get16(m + 8);
	hdr->sender = dysco_get64(m + 12);
	hdr->counter = dysco_get64(m + 20);
	if (hdr->total_bytes < DYSCO_HEADER_BYTES || hdr->total_bytes > DYSCO_MESSAGE_MAX ||
	    dysco_get16(m + 10) != 0) {
		return DYSCO_DECODE_MALFORMED;
	}
	return hdr->total_bytes > bytes ? DYSCO_DECODE_TRUNCATED : DYSCO_DECODE_OK;
}

/* Decoding: signature */

DYSCO_FUNC int dysco_message_verify(const struct dysco_header *hdr, const uint8_t *m,
				    const struct dysco_key *keys, size_t n_keys)
{
	size_t signed_bytes = (size_t)hdr->total_bytes - DYSCO_HMAC_BYTES;
	uint8_t hmac[DYSCO_HMAC_BYTES];

	if (n_keys == 0) {
		return DYSCO_DECODE_OK;
	}
	if (hdr->key_id == 0) {
		return DYSCO_DECODE_UNSIGNED;
	}
	for (size_t i = 0; i < n_keys; i++) {
		if (keys[i].id == hdr->key_id) {
			dysco_hmac_sha256(hmac, keys[i].bytes, m, signed_bytes);
			return dysco_hmac_equal(hmac, m + signed_bytes) ? DYSCO_DECODE_OK
									: DYSCO_DECODE_FORGED;
		}
	}
	return DYSCO_DECODE_KEY;
}

/* Decoding: values */

DYSCO_INLINE bool dysco_value_tuple_ok(const uint8_t *v)
{
	struct dysco_tuple t = dysco_get_tuple(v);

	return dysco_addr_is_ip4(&t.src) == dysco_addr_is_ip4(&t.dst);
}

/* A hop has an address; an exit is the last one. */
DYSCO_INLINE bool dysco_value_hop_ok(const uint8_t *v, bool last)
{
	struct dysco_addr addr;
	uint16_t flags = dysco_get16(v + 16);

	__builtin_memcpy(&addr, v, sizeof(addr));
	return !dysco_addr_is_zero(&addr) &&
	       !(flags & ~(unsigned int)(DYSCO_HOP_EXIT | DYSCO_HOP_MANDATORY)) &&
	       (last || !(flags & DYSCO_HOP_EXIT)) && dysco_get16(v + 18) == 0;
}

/* v: the value; its length stands before it. */
DYSCO_INLINE bool dysco_value_addresses_ok(const uint8_t *v)
{
	size_t length = dysco_get16(v - 2);
	uint8_t next = v[0];
	uint8_t count = v[1];

	if (count > DYSCO_HOPS_MAX ||
	    length != DYSCO_LIST_BYTES + (size_t)count * DYSCO_HOP_BYTES || next >= count ||
	    dysco_get16(v + 2) != 0) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!dysco_value_hop_ok(v + DYSCO_LIST_BYTES + i * DYSCO_HOP_BYTES,
					i + 1u == count)) {
			return false;
		}
	}
	return true;
}

DYSCO_INLINE bool dysco_value_trace_ok(const uint8_t *v, uint8_t flags)
{
	return (v[5] & ~flags) == 0 && dysco_get16(v + 6) == 0;
}

/* Visible ASCII, then NULs to the end, one at least: names reach terminals. */
DYSCO_INLINE bool dysco_value_name_ok(const uint8_t *v)
{
	bool ended = false;

	for (size_t i = 0; i < DYSCO_NAME_BYTES; i++) {
		if (ended ? v[i] != 0 : v[i] != 0 && (v[i] <= ' ' || v[i] > '~')) {
			return false;
		}
		ended = v[i] == 0;
	}
	return ended;
}

DYSCO_INLINE bool dysco_value_report_leg_ok(const uint8_t *v)
{
	return dysco_value_tuple_ok(v) && dysco_value_tuple_ok(v + DYSCO_TUPLE_BYTES) &&
	       v[DYSCO_REPORT_LEG_BYTES - 1] <= 1;
}

DYSCO_INLINE bool dysco_value_report_ok(const uint8_t *v)
{
	const uint8_t *legs = v + (size_t)2 * DYSCO_NAME_BYTES;

	return dysco_value_name_ok(v) && dysco_value_name_ok(v + DYSCO_NAME_BYTES) &&
	       dysco_value_report_leg_ok(legs) &&
	       dysco_value_report_leg_ok(legs + DYSCO_REPORT_LEG_BYTES);
}

DYSCO_INLINE bool dysco_value_attempt_ok(const uint8_t *v)
{
	struct dysco_addr left, right;

	__builtin_memcpy(&left, v + 8, sizeof(left));
	__builtin_memcpy(&right, v + 24, sizeof(right));
	return dysco_get64(v) != 0 && !dysco_addr_is_zero(&left) && !dysco_addr_is_zero(&right) &&
	       dysco_addr_is_ip4(&left) == dysco_addr_is_ip4(&right) && v[40] <= DYSCO_KIND_LATE &&
	       v[41] < DYSCO_NACK_COUNT &&
	       (dysco_get16(v + 42) &
		~(DYSCO_CONTROL_SEEN | DYSCO_CONTROL_REFUSED | DYSCO_CONTROL_LAST)) == 0;
}

/* Those of its TLVs that not every value is right for. */
DYSCO_INLINE bool dysco_message_control_ok(const struct dysco_tlvs *tlvs, const uint8_t *m)
{
	return dysco_value_attempt_ok(m + tlvs->at[DYSCO_TLV_ATTEMPT]) &&
	       (!tlvs->at[DYSCO_TLV_SUBSESSION] ||
		dysco_value_tuple_ok(m + tlvs->at[DYSCO_TLV_SUBSESSION])) &&
	       (!tlvs->at[DYSCO_TLV_ADDRESSES] ||
		dysco_value_addresses_ok(m + tlvs->at[DYSCO_TLV_ADDRESSES])) &&
	       (!tlvs->at[DYSCO_TLV_CHAIN] ||
		dysco_value_addresses_ok(m + tlvs->at[DYSCO_TLV_CHAIN]));
}

DYSCO_INLINE bool dysco_message_values_ok(const struct dysco_tlvs *tlvs, uint8_t type,
					  const uint8_t *m)
{
	if (dysco_message_is_control(type)) {
		return dysco_message_control_ok(tlvs, m);
	}
	switch (type) {
	case DYSCO_MSG_SYN:
		return (!tlvs->at[DYSCO_TLV_ATTEMPT] ||
			dysco_value_attempt_ok(m + tlvs->at[DYSCO_TLV_ATTEMPT])) &&
		       dysco_value_tuple_ok(m + tlvs->at[DYSCO_TLV_SESSION]) &&
		       dysco_value_tuple_ok(m + tlvs->at[DYSCO_TLV_SUBSESSION]) &&
		       dysco_value_addresses_ok(m + tlvs->at[DYSCO_TLV_ADDRESSES]);
	case DYSCO_MSG_CHAIN:
		return dysco_value_addresses_ok(m + tlvs->at[DYSCO_TLV_CHAIN]);
	case DYSCO_MSG_WITHDRAW:
		return true; /* any id is one */
	case DYSCO_MSG_TRACE_REPLY:
		return dysco_value_trace_ok(m + tlvs->at[DYSCO_TLV_TRACE], DYSCO_TRACE_LEFTWARD) &&
		       dysco_value_report_ok(m + tlvs->at[DYSCO_TLV_REPORT]);
	case DYSCO_MSG_PROBE:
	case DYSCO_MSG_PROBE_REPLY:
		return dysco_value_trace_ok(m + tlvs->at[DYSCO_TLV_TRACE], DYSCO_PROBE_NUDGE |
									       DYSCO_PROBE_CLOSE |
									       DYSCO_PROBE_LOOK) &&
		       (!tlvs->at[DYSCO_TLV_REPORT] ||
			dysco_value_report_ok(m + tlvs->at[DYSCO_TLV_REPORT]));
	default:
		return dysco_value_trace_ok(m + tlvs->at[DYSCO_TLV_TRACE], DYSCO_TRACE_LEFTWARD);
	}
}

DYSCO_FUNC int dysco_message_open(struct dysco_header *hdr, const uint8_t *payload, size_t bytes,
				  const struct dysco_key *keys, size_t n_keys)
{
	struct dysco_header h = {0};
	struct dysco_tlvs tlvs;
	int result = dysco_message_open_header(&h, payload, bytes);

	if (result != DYSCO_DECODE_OK) {
		return result;
	}
	if (!dysco_message_scan(&tlvs, payload, h.total_bytes) ||
	    !dysco_message_set_ok(&tlvs, &h)) {
		return DYSCO_DECODE_MALFORMED;
	}
	result = dysco_message_verify(&h, payload, keys, n_keys);
	if (result != DYSCO_DECODE_OK) {
		return result;
	}
	if (!dysco_message_values_ok(&tlvs, h.type, payload)) {
		return DYSCO_DECODE_MALFORMED;
	}
	*hdr = h;
	return DYSCO_DECODE_OK;
}

/* Reading what dysco_message_open() has let through */

DYSCO_INLINE void dysco_read_id(struct dysco_session_id *id, const struct dysco_tlvs *tlvs,
				const uint8_t *m)
{
	__builtin_memcpy(id->b, m + tlvs->at[DYSCO_TLV_SESSION_ID], sizeof(id->b));
}

DYSCO_INLINE void dysco_read_hop(struct dysco_hop *hop, const uint8_t *v)
{
	__builtin_memcpy(&hop->addr, v, sizeof(hop->addr));
	hop->flags = dysco_get16(v + 16);
	hop->policy = dysco_get32(v + 20);
}

DYSCO_INLINE void dysco_read_addresses(struct dysco_address_list *list, const uint8_t *v)
{
	list->next = v[0];
	list->count = v[1];
	for (size_t i = 0; i < DYSCO_HOPS_MAX && i < list->count; i++) {
		dysco_read_hop(&list->hops[i], v + DYSCO_LIST_BYTES + i * DYSCO_HOP_BYTES);
	}
}

DYSCO_INLINE void dysco_read_attempt(struct dysco_attempt_name *name, const uint8_t *v)
{
	name->nonce = dysco_get64(v);
	__builtin_memcpy(&name->left, v + 8, sizeof(name->left));
	__builtin_memcpy(&name->right, v + 24, sizeof(name->right));
	name->kind = v[40];
	name->reason = v[41];
	name->flags = dysco_get16(v + 42);
}

DYSCO_FUNC void dysco_message_read_syn(struct dysco_msg_syn *msg, const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_id(&msg->id, &tlvs, payload);
	msg->session = dysco_get_tuple(payload + tlvs.at[DYSCO_TLV_SESSION]);
	msg->subsession = dysco_get_tuple(payload + tlvs.at[DYSCO_TLV_SUBSESSION]);
	dysco_read_addresses(&msg->list, payload + tlvs.at[DYSCO_TLV_ADDRESSES]);
	if (tlvs.at[DYSCO_TLV_ATTEMPT]) {
		dysco_read_attempt(&msg->attempt, payload + tlvs.at[DYSCO_TLV_ATTEMPT]);
	}
}

DYSCO_INLINE void dysco_read_trace(struct dysco_msg_trace *msg, const struct dysco_tlvs *tlvs,
				   const uint8_t *m)
{
	const uint8_t *v = m + tlvs->at[DYSCO_TLV_TRACE];

	dysco_read_id(&msg->id, tlvs, m);
	msg->nonce = dysco_get32(v);
	msg->hop = v[4];
	msg->flags = v[5];
}

DYSCO_FUNC void dysco_message_read_trace(struct dysco_msg_trace *msg, const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_trace(msg, &tlvs, payload);
}

DYSCO_INLINE void dysco_read_report_leg(struct dysco_report_leg *leg, const uint8_t *v)
{
	const uint8_t *counters = v + (size_t)2 * DYSCO_TUPLE_BYTES;

	leg->host = dysco_get_tuple(v);
	leg->wire = dysco_get_tuple(v + DYSCO_TUPLE_BYTES);
	leg->packets_out = dysco_get64(counters);
	leg->bytes_out = dysco_get64(counters + 8);
	leg->packets_in = dysco_get64(counters + 16);
	leg->bytes_in = dysco_get64(counters + 24);
	leg->state = counters[32];
	leg->present = counters[33];
}

DYSCO_INLINE void dysco_read_report(struct dysco_report *report, const uint8_t *v)
{
	__builtin_memcpy(report->agent, v, DYSCO_NAME_BYTES);
	__builtin_memcpy(report->host, v + DYSCO_NAME_BYTES, DYSCO_NAME_BYTES);
	v += (size_t)2 * DYSCO_NAME_BYTES;
	dysco_read_report_leg(&report->left, v);
	dysco_read_report_leg(&report->right, v + DYSCO_REPORT_LEG_BYTES);
}

DYSCO_FUNC void dysco_message_read_trace_reply(struct dysco_msg_trace_reply *msg,
					       const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_trace(&msg->trace, &tlvs, payload);
	dysco_read_report(&msg->report, payload + tlvs.at[DYSCO_TLV_REPORT]);
}

#include "wire/encode_impl.h"

#endif
