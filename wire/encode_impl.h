/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Encoding: the second half of the code behind wire/message.h. */
#ifndef DYSCO_WIRE_ENCODE_IMPL_H
#define DYSCO_WIRE_ENCODE_IMPL_H

/* Encoding; `at` is the offset written up to */

DYSCO_INLINE size_t dysco_write_tlv(uint8_t *out, size_t at, enum dysco_tlv_type type,
				    size_t length)
{
	out[at] = (uint8_t)type;
	/* what tells of chains may be skipped by who does not know it */
	out[at + 1] = type == DYSCO_TLV_CHAIN ? 0 : DYSCO_TLV_CRITICAL;
	dysco_put16(out + at + 2, (uint16_t)length);
	return at + DYSCO_TLV_BYTES;
}

DYSCO_INLINE size_t dysco_write_id(uint8_t *out, size_t at, const struct dysco_session_id *id)
{
	at = dysco_write_tlv(out, at, DYSCO_TLV_SESSION_ID, sizeof(id->b));
	__builtin_memcpy(out + at, id->b, sizeof(id->b));
	return at + sizeof(id->b);
}

DYSCO_INLINE size_t dysco_write_tuple(uint8_t *out, size_t at, enum dysco_tlv_type type,
				      const struct dysco_tuple *t)
{
	at = dysco_write_tlv(out, at, type, DYSCO_TUPLE_BYTES);
	dysco_put_tuple(out + at, t);
	return at + DYSCO_TUPLE_BYTES;
}

DYSCO_INLINE void dysco_write_hop(uint8_t *out, const struct dysco_hop *hop)
{
	__builtin_memcpy(out, &hop->addr, sizeof(hop->addr));
	dysco_put16(out + 16, hop->flags);
	dysco_put16(out + 18, 0);
	dysco_put32(out + 20, hop->policy);
}

DYSCO_INLINE size_t dysco_write_addresses(uint8_t *out, size_t at, enum dysco_tlv_type type,
					  const struct dysco_address_list *list)
{
	size_t count = list->count < DYSCO_HOPS_MAX ? list->count : DYSCO_HOPS_MAX;

	at = dysco_write_tlv(out, at, type, DYSCO_LIST_BYTES + count * DYSCO_HOP_BYTES);
	out[at] = list->next;
	out[at + 1] = (uint8_t)count;
	dysco_put16(out + at + 2, 0);
	at += DYSCO_LIST_BYTES;
	for (size_t i = 0; i < count; i++, at += DYSCO_HOP_BYTES) {
		dysco_write_hop(out + at, &list->hops[i]);
	}
	return at;
}

DYSCO_INLINE size_t dysco_write_attempt(uint8_t *out, size_t at,
					const struct dysco_attempt_name *name)
{
	at = dysco_write_tlv(out, at, DYSCO_TLV_ATTEMPT, DYSCO_ATTEMPT_BYTES);
	dysco_put64(out + at, name->nonce);
	__builtin_memcpy(out + at + 8, &name->left, sizeof(name->left));
	__builtin_memcpy(out + at + 24, &name->right, sizeof(name->right));
	out[at + 40] = name->kind;
	out[at + 41] = name->reason;
	dysco_put16(out + at + 42, name->flags);
	return at + DYSCO_ATTEMPT_BYTES;
}

DYSCO_INLINE size_t dysco_write_trace(uint8_t *out, size_t at, const struct dysco_msg_trace *msg)
{
	at = dysco_write_id(out, at, &msg->id);
	at = dysco_write_tlv(out, at, DYSCO_TLV_TRACE, DYSCO_TRACE_BYTES);
	dysco_put32(out + at, msg->nonce);
	out[at + 4] = msg->hop;
	out[at + 5] = msg->flags;
	dysco_put16(out + at + 6, 0);
	return at + DYSCO_TRACE_BYTES;
}

DYSCO_INLINE size_t dysco_write_report_leg(uint8_t *out, size_t at,
					   const struct dysco_report_leg *leg)
{
	uint8_t *counters = out + at + (size_t)2 * DYSCO_TUPLE_BYTES;

	dysco_put_tuple(out + at, &leg->host);
	dysco_put_tuple(out + at + DYSCO_TUPLE_BYTES, &leg->wire);
	dysco_put64(counters, leg->packets_out);
	dysco_put64(counters + 8, leg->bytes_out);
	dysco_put64(counters + 16, leg->packets_in);
	dysco_put64(counters + 24, leg->bytes_in);
	counters[32] = leg->state;
	counters[33] = leg->present;
	return at + DYSCO_REPORT_LEG_BYTES;
}

DYSCO_INLINE size_t dysco_write_report(uint8_t *out, size_t at, const struct dysco_report *report)
{
	at = dysco_write_tlv(out, at, DYSCO_TLV_REPORT, DYSCO_REPORT_BYTES);
	__builtin_memcpy(out + at, report->agent, DYSCO_NAME_BYTES);
	__builtin_memcpy(out + at + DYSCO_NAME_BYTES, report->host, DYSCO_NAME_BYTES);
	at += (size_t)2 * DYSCO_NAME_BYTES;
	at = dysco_write_report_leg(out, at, &report->left);
	return dysco_write_report_leg(out, at, &report->right);
}

/* Header and, with a key, signature: last, since both depend on the length. */
DYSCO_FUNC size_t dysco_write_finish(uint8_t *out, size_t at, enum dysco_message_type type,
				     const struct dysco_header *hdr, const struct dysco_key *key)
{
	size_t total = at;

	if (key) {
		at = dysco_write_tlv(out, at, DYSCO_TLV_HMAC, DYSCO_HMAC_BYTES);
		total = at + DYSCO_HMAC_BYTES;
	}
	dysco_put32(out, DYSCO_MAGIC);
	out[4] = DYSCO_VERSION_WIRE;
	out[5] = (uint8_t)type;
	dysco_put16(out + 6, (uint16_t)total);
	dysco_put16(out + 8, key ? key->id : 0);
	dysco_put16(out + 10, 0);
	dysco_put64(out + 12, hdr->sender);
	dysco_put64(out + 20, hdr->counter);
	if (key) {
		dysco_hmac_sha256(out + at, key->bytes, out, at);
	}
	return total;
}

DYSCO_FUNC size_t dysco_message_write_syn(uint8_t *out, const struct dysco_header *hdr,
					  const struct dysco_msg_syn *msg,
					  const struct dysco_key *key)
{
	size_t at = dysco_write_id(out, DYSCO_HEADER_BYTES, &msg->id);

	at = dysco_write_tuple(out, at, DYSCO_TLV_SESSION, &msg->session);
	at = dysco_write_tuple(out, at, DYSCO_TLV_SUBSESSION, &msg->subsession);
	at = dysco_write_addresses(out, at, DYSCO_TLV_ADDRESSES, &msg->list);
	if (msg->attempt.nonce != 0) {
		at = dysco_write_attempt(out, at, &msg->attempt);
	}
	return dysco_write_finish(out, at, DYSCO_MSG_SYN, hdr, key);
}

DYSCO_FUNC size_t dysco_message_write_trace(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_trace *msg,
					    const struct dysco_key *key)
{
	size_t at = dysco_write_trace(out, DYSCO_HEADER_BYTES, msg);

	return dysco_write_finish(out, at, DYSCO_MSG_TRACE, hdr, key);
}

DYSCO_FUNC size_t dysco_message_write_trace_reply(uint8_t *out, const struct dysco_header *hdr,
						  const struct dysco_msg_trace_reply *msg,
						  const struct dysco_key *key)
{
	size_t at = dysco_write_trace(out, DYSCO_HEADER_BYTES, &msg->trace);

	at = dysco_write_report(out, at, &msg->report);
	return dysco_write_finish(out, at, DYSCO_MSG_TRACE_REPLY, hdr, key);
}

#endif
