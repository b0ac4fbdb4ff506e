/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Messages of reconfiguration, of chains, and WITHDRAW: the rest of the code behind wire/message.h.
 */
#ifndef DYSCO_WIRE_CONTROL_IMPL_H
#define DYSCO_WIRE_CONTROL_IMPL_H

DYSCO_INLINE void dysco_read_numbers(struct dysco_numbers *numbers, const uint8_t *v)
{
	numbers->seq = dysco_get32(v);
	numbers->ts = dysco_get32(v + 4);
	numbers->base = dysco_get32(v + 8);
	numbers->edge = dysco_get32(v + 12);
}

DYSCO_FUNC void dysco_message_read_control(struct dysco_msg_control *msg, const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_id(&msg->id, &tlvs, payload);
	dysco_read_attempt(&msg->attempt, payload + tlvs.at[DYSCO_TLV_ATTEMPT]);
	if (tlvs.at[DYSCO_TLV_SUBSESSION]) {
		msg->subsession = dysco_get_tuple(payload + tlvs.at[DYSCO_TLV_SUBSESSION]);
	}
	if (tlvs.at[DYSCO_TLV_ADDRESSES]) {
		dysco_read_addresses(&msg->list, payload + tlvs.at[DYSCO_TLV_ADDRESSES]);
	}
	if (tlvs.at[DYSCO_TLV_NUMBERS]) {
		dysco_read_numbers(&msg->numbers, payload + tlvs.at[DYSCO_TLV_NUMBERS]);
	}
	if (tlvs.at[DYSCO_TLV_CHAIN]) {
		dysco_read_addresses(&msg->chain, payload + tlvs.at[DYSCO_TLV_CHAIN]);
	}
}

DYSCO_FUNC void dysco_message_read_chain(struct dysco_msg_chain *msg, const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_id(&msg->id, &tlvs, payload);
	dysco_read_addresses(&msg->list, payload + tlvs.at[DYSCO_TLV_CHAIN]);
}

DYSCO_FUNC void dysco_message_read_withdraw(struct dysco_session_id *id, const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_id(id, &tlvs, payload);
}

DYSCO_INLINE size_t dysco_write_numbers(uint8_t *out, size_t at,
					const struct dysco_numbers *numbers)
{
	at = dysco_write_tlv(out, at, DYSCO_TLV_NUMBERS, DYSCO_NUMBERS_BYTES);
	dysco_put32(out + at, numbers->seq);
	dysco_put32(out + at + 4, numbers->ts);
	dysco_put32(out + at + 8, numbers->base);
	dysco_put32(out + at + 12, numbers->edge);
	return at + DYSCO_NUMBERS_BYTES;
}

DYSCO_FUNC size_t dysco_message_write_control(uint8_t *out, const struct dysco_header *hdr,
					      const struct dysco_msg_control *msg,
					      const struct dysco_key *key)
{
	unsigned int needs = dysco_message_control_needs(hdr->type);
	size_t at = dysco_write_id(out, DYSCO_HEADER_BYTES, &msg->id);

	at = dysco_write_attempt(out, at, &msg->attempt);
	if (needs & 1u << DYSCO_TLV_SUBSESSION) {
		at = dysco_write_tuple(out, at, DYSCO_TLV_SUBSESSION, &msg->subsession);
	}
	if (needs & 1u << DYSCO_TLV_ADDRESSES) {
		at = dysco_write_addresses(out, at, DYSCO_TLV_ADDRESSES, &msg->list);
	}
	if (needs & 1u << DYSCO_TLV_NUMBERS) {
		at = dysco_write_numbers(out, at, &msg->numbers);
	}
	if (msg->chain.count > 0 &&
	    (hdr->type == DYSCO_MSG_LOCKED || hdr->type == DYSCO_MSG_NACK)) {
		at = dysco_write_addresses(out, at, DYSCO_TLV_CHAIN, &msg->chain);
	}
	return dysco_write_finish(out, at, (enum dysco_message_type)hdr->type, hdr, key);
}

DYSCO_FUNC size_t dysco_message_write_chain(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_chain *msg,
					    const struct dysco_key *key)
{
	size_t at = dysco_write_id(out, DYSCO_HEADER_BYTES, &msg->id);

	at = dysco_write_addresses(out, at, DYSCO_TLV_CHAIN, &msg->list);
	return dysco_write_finish(out, at, DYSCO_MSG_CHAIN, hdr, key);
}

DYSCO_FUNC size_t dysco_message_write_withdraw(uint8_t *out, const struct dysco_header *hdr,
					       const struct dysco_session_id *id,
					       const struct dysco_key *key)
{
	return dysco_write_finish(out, dysco_write_id(out, DYSCO_HEADER_BYTES, id),
				  DYSCO_MSG_WITHDRAW, hdr, key);
}

#endif
