/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Messages of health: PROBE and its answer; the rest of the code behind wire/message.h. */
#ifndef DYSCO_WIRE_PROBE_IMPL_H
#define DYSCO_WIRE_PROBE_IMPL_H

DYSCO_FUNC void dysco_message_read_probe_reply(struct dysco_msg_probe_reply *msg,
					       const uint8_t *payload)
{
	struct dysco_tlvs tlvs;

	__builtin_memset(msg, 0, sizeof(*msg));
	dysco_message_scan(&tlvs, payload, dysco_get16(payload + 6));
	dysco_read_trace(&msg->trace, &tlvs, payload);
	msg->known = tlvs.at[DYSCO_TLV_REPORT] != 0;
	if (msg->known) {
		dysco_read_report(&msg->report, payload + tlvs.at[DYSCO_TLV_REPORT]);
		dysco_read_numbers(&msg->numbers, payload + tlvs.at[DYSCO_TLV_NUMBERS]);
	}
}

DYSCO_FUNC size_t dysco_message_write_probe(uint8_t *out, const struct dysco_header *hdr,
					    const struct dysco_msg_trace *msg,
					    const struct dysco_key *key)
{
	size_t at = dysco_write_trace(out, DYSCO_HEADER_BYTES, msg);

	return dysco_write_finish(out, at, DYSCO_MSG_PROBE, hdr, key);
}

DYSCO_FUNC size_t dysco_message_write_probe_reply(uint8_t *out, const struct dysco_header *hdr,
						  const struct dysco_msg_probe_reply *msg,
						  const struct dysco_key *key)
{
	size_t at = dysco_write_trace(out, DYSCO_HEADER_BYTES, &msg->trace);

	if (msg->known) {
		at = dysco_write_report(out, at, &msg->report);
		at = dysco_write_numbers(out, at, &msg->numbers);
	}
	return dysco_write_finish(out, at, DYSCO_MSG_PROBE_REPLY, hdr, key);
}

#endif
