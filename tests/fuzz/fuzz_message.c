/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: the payload of a SYN or control segment (wire/message.h).
 *
 * What is let through must survive being written, signed and read again. A
 * fuzzer does not guess a signature, so the key also signs what it made.
 */
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

static const struct dysco_key key = {.id = 7, .bytes = "the key of the fuzzer's messages"};

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

union message {
	struct dysco_msg_syn syn;
	struct dysco_msg_trace trace;
	struct dysco_msg_trace_reply reply;
	struct dysco_msg_control control;
	struct dysco_msg_probe_reply probe_reply;
	struct dysco_msg_chain chain;
	struct dysco_session_id id;
};

static void read_message(union message *msg, uint8_t type, const uint8_t *payload)
{
	memset(msg, 0, sizeof(*msg));
	switch (type) {
	case DYSCO_MSG_SYN:
		dysco_message_read_syn(&msg->syn, payload);
		break;
	case DYSCO_MSG_TRACE:
	case DYSCO_MSG_PROBE:
		dysco_message_read_trace(&msg->trace, payload);
		break;
	case DYSCO_MSG_TRACE_REPLY:
		dysco_message_read_trace_reply(&msg->reply, payload);
		break;
	case DYSCO_MSG_PROBE_REPLY:
		dysco_message_read_probe_reply(&msg->probe_reply, payload);
		break;
	case DYSCO_MSG_CHAIN:
		dysco_message_read_chain(&msg->chain, payload);
		break;
	case DYSCO_MSG_WITHDRAW:
		dysco_message_read_withdraw(&msg->id, payload);
		break;
	default:
		demand(dysco_message_is_control(type));
		dysco_message_read_control(&msg->control, payload);
		break;
	}
}

static size_t write_message(uint8_t *out, const struct dysco_header *hdr, const union message *msg)
{
	switch (hdr->type) {
	case DYSCO_MSG_SYN:
		return dysco_message_write_syn(out, hdr, &msg->syn, &key);
	case DYSCO_MSG_TRACE:
		return dysco_message_write_trace(out, hdr, &msg->trace, &key);
	case DYSCO_MSG_TRACE_REPLY:
		return dysco_message_write_trace_reply(out, hdr, &msg->reply, &key);
	case DYSCO_MSG_PROBE:
		return dysco_message_write_probe(out, hdr, &msg->trace, &key);
	case DYSCO_MSG_PROBE_REPLY:
		return dysco_message_write_probe_reply(out, hdr, &msg->probe_reply, &key);
	case DYSCO_MSG_CHAIN:
		return dysco_message_write_chain(out, hdr, &msg->chain, &key);
	case DYSCO_MSG_WITHDRAW:
		return dysco_message_write_withdraw(out, hdr, &msg->id, &key);
	default:
		return dysco_message_write_control(out, hdr, &msg->control, &key);
	}
}

static void check_accepted(const struct dysco_header *hdr, const uint8_t *payload)
{
	uint8_t again[DYSCO_MESSAGE_MAX];
	struct dysco_header read_hdr;
	union message first, second;
	size_t bytes;

	read_message(&first, hdr->type, payload);
	bytes = write_message(again, hdr, &first);
	demand(bytes <= sizeof(again));
	demand(dysco_message_open(&read_hdr, again, bytes, &key, 1) == DYSCO_DECODE_OK);
	demand(read_hdr.type == hdr->type && read_hdr.counter == hdr->counter &&
	       read_hdr.sender == hdr->sender && read_hdr.total_bytes == bytes);
	read_message(&second, hdr->type, again);
	demand(memcmp(&first, &second, sizeof(first)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct dysco_header hdr;
	int open = dysco_message_open(&hdr, data, bytes, NULL, 0);
	int with_key;

	if (open == DYSCO_DECODE_OK) {
		demand(hdr.total_bytes <= bytes);
		check_accepted(&hdr, data);
	}
	with_key = dysco_message_open(&hdr, data, bytes, &key, 1);
	demand(with_key != DYSCO_DECODE_OK || open == DYSCO_DECODE_OK);
	return 0;
}
