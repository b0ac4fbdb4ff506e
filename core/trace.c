/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures, and control segments: TCP segments on a subsession's own
 * five-tuple (URG|ACK and the MARK option, paper IV-A) that agents send each
 * other and hosts never see: the questions of `session trace`, and what a
 * reconfiguration says on its new path (reconfig.h).
 */
#include "core/reconfig.h"

#include <string.h>

/* ---- messages ---- */

static enum dysco_reason reason_of(int decoded)
{
	switch (decoded) {
	case DYSCO_DECODE_OK:
		return DYSCO_REASON_NONE;
	case DYSCO_DECODE_TRUNCATED:
		return DYSCO_REASON_MSG_TRUNCATED;
	case DYSCO_DECODE_VERSION:
		return DYSCO_REASON_MSG_VERSION;
	case DYSCO_DECODE_UNSIGNED:
		return DYSCO_REASON_MSG_UNSIGNED;
	case DYSCO_DECODE_KEY:
		return DYSCO_REASON_MSG_KEY;
	case DYSCO_DECODE_FORGED:
		return DYSCO_REASON_MSG_FORGED;
	default:
		return DYSCO_REASON_MSG_MALFORMED;
	}
}

enum dysco_reason dysco_open_message(struct dysco_core *core, struct dysco_header *hdr,
				     const uint8_t *payload, size_t bytes)
{
	const struct dysco_setup *setup = core->setup;
	enum dysco_reason reason =
	    reason_of(dysco_message_open(hdr, payload, bytes, setup->keys, setup->n_keys));

	if (reason == DYSCO_REASON_NONE && setup->n_keys > 0) {
		reason = dysco_replay_check(core, hdr->sender, hdr->counter);
	}
	return reason;
}

/* Completes the header of a message of ours; the key to sign it with, or NULL. */
const struct dysco_key *dysco_sign(struct dysco_core *core, struct dysco_header *hdr)
{
	hdr->sender = core->sender;
	hdr->counter = ++core->counter;
	return core->setup->n_keys > 0 ? &core->setup->keys[0] : NULL;
}

/* ---- sending ---- */

/*
 * What the host of this leg has sent and acknowledged. In two paths a leg speaks of
 * its own path only: the new one's numbers begin at the peer's cut, and the old one's
 * end at both cuts.
 */
static void numbers_on(const struct dysco_core *core, uint32_t slot, struct dysco_segment *s)
{
	const struct dysco_leg_run *sent = &dysco_leg_at(core, slot)->run[DYSCO_OUT];
	uint32_t index = dysco_cold_at(core, slot)->attempt;
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	*s = (struct dysco_segment){.seq = sent->seq_end, .ack = sent->ack};
	if (index == DYSCO_NO_ATTEMPT || !a->cut_made) {
		return;
	}
	if (slot == a->old_slot) {
		dysco_two_reset_part(&a->two, DYSCO_PATH_OLD, s);
	} else if (slot == a->new_slot && !a->two.peer_cut_far) {
		s->ack = dysco_seq_max(s->ack, a->two.peer_cut);
	}
}

/* On a leg, as if it were the last bytes its host sent: inside every strict window (RFC 9293 3.10).
 */
bool dysco_send_control(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
			const uint8_t *message, size_t bytes)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint8_t seen = leg->run[DYSCO_IN].seen | leg->run[DYSCO_OUT].seen;
	struct dysco_segment s;

	if (!dysco_leg_runs(leg) || !(seen & DYSCO_SEEN_SYNACK) ||
	    dysco_core_only_watches(core, slot)) {
		return false; /* the last: nobody may be there to take it out */
	}
	numbers_on(core, slot, &s);
	return dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_URG | DYSCO_TCP_ACK,
				  s.seq - (uint32_t)bytes, s.ack, DYSCO_EXID_MARK, message, bytes);
}

static void send_question(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
			  const struct dysco_msg_trace *trace)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = DYSCO_MSG_TRACE};
	const struct dysco_key *key = dysco_sign(core, &hdr);

	dysco_send_control(core, out, slot, message,
			   dysco_message_write_trace(message, &hdr, trace, key));
}

static void send_answer(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
			const struct dysco_msg_trace_reply *reply)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = DYSCO_MSG_TRACE_REPLY};
	const struct dysco_key *key = dysco_sign(core, &hdr);

	dysco_send_control(core, out, slot, message,
			   dysco_message_write_trace_reply(message, &hdr, reply, key));
}

/* ---- reports ---- */

static void report_leg(const struct dysco_core *core, uint32_t slot,
		       struct dysco_report_leg *report)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	report->host = leg->host_tuple;
	report->wire = leg->wire_tuple;
	report->packets_out = leg->run[DYSCO_OUT].packets;
	report->bytes_out = leg->run[DYSCO_OUT].bytes;
	report->packets_in = leg->run[DYSCO_IN].packets;
	report->bytes_in = leg->run[DYSCO_IN].bytes;
	report->state = (uint8_t)dysco_leg_state(leg);
	report->present = 1;
}

static bool faces_left(const struct dysco_leg *leg)
{
	return leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_LAST;
}

void dysco_report_fill(const struct dysco_core *core, uint32_t slot, struct dysco_report *report)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_host *host = dysco_setup_host(core->setup, leg->host);
	bool left = faces_left(leg);

	memset(report, 0, sizeof(*report));
	memcpy(report->agent, core->setup->agent, sizeof(report->agent));
	if (host) {
		memcpy(report->host, host->name, sizeof(report->host));
	}
	report_leg(core, slot, left ? &report->left : &report->right);
	if (leg->partner != DYSCO_NO_SLOT) {
		report_leg(core, leg->partner, left ? &report->right : &report->left);
	}
}

/* ---- asking ---- */

static uint32_t new_nonce(struct dysco_core *core)
{
	uint32_t nonce = (uint32_t)dysco_random(core) | 1;

	core->trace_nonces[core->traces++ % DYSCO_TRACE_NONCES] = nonce;
	return nonce;
}

static bool asked(const struct dysco_core *core, uint32_t nonce)
{
	for (unsigned int i = 0; i < DYSCO_TRACE_NONCES; i++) {
		if (core->trace_nonces[i] == nonce && nonce != 0) {
			return true;
		}
	}
	return false;
}

static void ask_along(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		      struct dysco_msg_trace trace)
{
	trace.flags = faces_left(dysco_leg_at(core, slot)) ? DYSCO_TRACE_LEFTWARD : 0;
	send_question(core, out, slot, &trace);
}

uint32_t dysco_core_trace(struct dysco_core *core, uint32_t slot, struct dysco_actions *out)
{
	struct dysco_msg_trace trace = {.hop = 1};
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	out->count = 0;
	out->used = 0;
	if (slot == DYSCO_NO_SLOT || slot > core->high_slot || leg->mode == DYSCO_MODE_FREE) {
		return 0;
	}
	trace.id = dysco_cold_at(core, slot)->id;
	trace.nonce = new_nonce(core);
	memset(&out->trace, 0, sizeof(out->trace));
	out->trace.trace = trace;
	out->trace.trace.hop = 0;
	dysco_report_fill(core, slot, &out->trace.report);
	ask_along(core, out, slot, trace);
	if (leg->partner != DYSCO_NO_SLOT) {
		ask_along(core, out, leg->partner, trace);
	}
	dysco_event(out, DYSCO_EVENT_TRACE, slot, DYSCO_REASON_NONE);
	return trace.nonce;
}

/* ---- answering ---- */

static void question_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			     const uint8_t *payload)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_msg_trace_reply reply = {0};

	dysco_message_read_trace(&reply.trace, payload);
	dysco_report_fill(core, slot, &reply.report);
	send_answer(core, w->out, slot, &reply);
	dysco_count(core, DYSCO_COUNTER_TRACE_ANSWERED);
	if (leg->partner != DYSCO_NO_SLOT && reply.trace.hop < DYSCO_HOPS_MAX) {
		reply.trace.hop++;
		send_question(core, w->out, leg->partner, &reply.trace);
	} else if (leg->partner == DYSCO_NO_SLOT) {
		dysco_chain_tell(core, w->out, slot); /* where CHAIN was lost, all know again */
	}
}

static void answer_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			   const uint8_t *payload)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	dysco_message_read_trace_reply(&w->out->trace, payload);
	if (asked(core, w->out->trace.trace.nonce)) {
		dysco_event(w->out, DYSCO_EVENT_TRACE, slot, DYSCO_REASON_NONE);
	} else if (leg->partner != DYSCO_NO_SLOT) {
		send_answer(core, w->out, leg->partner, &w->out->trace);
	}
}

/* A leg that data runs on, or a new one of an anchor. */
static bool leg_listens(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return dysco_leg_runs(leg) ||
	       (leg->mode == DYSCO_MODE_PUNT && leg->role != DYSCO_ROLE_CONTROL &&
		dysco_cold_at(core, slot)->attempt != DYSCO_NO_ATTEMPT);
}

static void reconfiguration_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
				    uint8_t type)
{
	struct dysco_mail mail = {.w = w,
				  .via = slot,
				  .host = dysco_leg_at(core, slot)->host,
				  .type = type,
				  .new_path = true};

	dysco_message_read_control(&mail.msg, w->in->data + w->p.payload);
	dysco_mail_arrived(core, &mail);
}

static enum dysco_reason open_control(struct dysco_core *core, const struct dysco_work *w,
				      uint32_t slot, struct dysco_header *hdr)
{
	const uint8_t *payload = w->in->data + w->p.payload;
	struct dysco_msg_control control;
	struct dysco_msg_trace trace;
	struct dysco_msg_chain chain;
	enum dysco_reason reason;

	if (slot == DYSCO_NO_SLOT || !leg_listens(core, slot) ||
	    w->p.payload + w->p.payload_bytes > w->in->bytes) {
		return DYSCO_REASON_CONTROL;
	}
	reason = dysco_open_message(core, hdr, payload, w->p.payload_bytes);
	if (reason != DYSCO_REASON_NONE) {
		return reason;
	}
	if (dysco_message_is_control(hdr->type)) {
		dysco_message_read_control(&control, payload);
		trace.id = control.id;
	} else if (hdr->type == DYSCO_MSG_CHAIN) {
		dysco_message_read_chain(&chain, payload);
		trace.id = chain.id;
	} else if (hdr->type == DYSCO_MSG_TRACE || hdr->type == DYSCO_MSG_TRACE_REPLY) {
		dysco_message_read_trace(&trace, payload);
	} else {
		return DYSCO_REASON_MSG_MALFORMED;
	}
	return memcmp(&trace.id, &dysco_cold_at(core, slot)->id, sizeof(trace.id)) == 0
		   ? DYSCO_REASON_NONE
		   : DYSCO_REASON_CONTROL;
}

void dysco_control_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_header hdr;
	enum dysco_reason reason = open_control(core, w, slot, &hdr);

	if (reason != DYSCO_REASON_NONE) {
		dysco_drop(core, w, slot, reason);
		return;
	}
	dysco_act(w->out, DYSCO_ACT_DROP,
		  slot); /* it ends here; the answers are packets of our own */
	if (dysco_message_is_control(hdr.type)) {
		reconfiguration_arrived(core, w, slot, hdr.type);
	} else if (hdr.type == DYSCO_MSG_CHAIN) {
		dysco_chain_told(core, w, slot);
	} else if (hdr.type == DYSCO_MSG_TRACE) {
		question_arrived(core, w, slot, w->in->data + w->p.payload);
	} else {
		answer_arrived(core, w, slot, w->in->data + w->p.payload);
	}
}
