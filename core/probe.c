/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Health (docs/protocol.md 12.14): an agent asks others, over control sessions of
 * its own (channels), whether they are there and what they have seen of a session.
 * What follows from the answers is for the agent to say (agent/health.c).
 */
#include "core/reconfig.h"

#include <string.h>

#define PROBES_PER_S 2000 /* answered */

static const struct dysco_session_id no_id;

bool dysco_core_is_channel(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return slot != DYSCO_NO_SLOT && slot <= core->high_slot &&
	       leg->role == DYSCO_ROLE_CONTROL && leg->mode == DYSCO_MODE_PUNT &&
	       memcmp(&dysco_cold_at(core, slot)->id, &no_id, sizeof(no_id)) == 0;
}

bool dysco_channel_is_open(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return dysco_core_is_channel(core, slot) &&
	       !((leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen) & DYSCO_SEEN_FIN);
}

bool dysco_channel_is_heard(const struct dysco_core *core, uint32_t slot)
{
	return dysco_core_is_channel(core, slot) && (dysco_leg_at(core, slot)->run[DYSCO_IN].seen &
						     (DYSCO_SEEN_SYN | DYSCO_SEEN_SYNACK));
}

bool dysco_channel_is_over(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	return dysco_core_is_channel(core, slot) &&
	       (leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen & DYSCO_SEEN_FIN);
}

bool dysco_channel_is_old(const struct dysco_core *core, uint32_t slot, uint32_t syn_end)
{
	return dysco_core_is_channel(core, slot) &&
	       (!dysco_channel_is_open(core, slot) ||
		dysco_leg_at(core, slot)->run[DYSCO_IN].seq_end != syn_end);
}

bool dysco_core_channel_answered(const struct dysco_core *core, uint32_t slot)
{
	return dysco_core_is_channel(core, slot) &&
	       (dysco_leg_at(core, slot)->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK);
}

/* ---- asking ---- */

uint32_t dysco_core_channel_open(struct dysco_core *core, uint64_t now_ns, uint32_t beside,
				 const struct dysco_addr *to)
{
	uint32_t slot = DYSCO_NO_SLOT;

	if (beside != DYSCO_NO_SLOT && beside <= core->high_slot &&
	    dysco_leg_at(core, beside)->mode != DYSCO_MODE_FREE &&
	    dysco_addr_is_ip4(&dysco_leg_at(core, beside)->wire_tuple.src) ==
		dysco_addr_is_ip4(to)) {
		slot = dysco_ctl_open(core, now_ns, beside, DYSCO_NO_ATTEMPT, to);
	}
	if (slot != DYSCO_NO_SLOT) {
		dysco_cold_at(core, slot)->id = no_id;
		dysco_cold_at(core, slot)->ended_ns = now_ns ? now_ns : 1;
	}
	return slot;
}

void dysco_core_channel_close(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			      struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	if (!dysco_core_channel_answered(core, slot)) {
		dysco_core_channel_forget(core, slot); /* there is nobody to take leave of */
	} else {
		dysco_ctl_finish(core, now_ns, slot, out);
	}
}

void dysco_core_channel_forget(struct dysco_core *core, uint32_t slot)
{
	if (dysco_core_is_channel(core, slot)) {
		dysco_leg_free(core, slot);
	}
}

bool dysco_core_probe(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      const struct dysco_msg_trace *probe, struct dysco_actions *out)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = DYSCO_MSG_PROBE};
	const struct dysco_key *key;

	out->count = 0;
	out->used = 0;
	if (!dysco_channel_is_open(core, slot)) {
		return false;
	}
	key = dysco_sign(core, &hdr);
	dysco_leg_at(core, slot)->run[DYSCO_OUT].last_ns = now_ns;
	dysco_ctl_say(core, out, slot, message,
		      dysco_message_write_probe(message, &hdr, probe, key));
	dysco_count(core, DYSCO_COUNTER_PROBES);
	return true;
}

/* ---- a segment that changes nothing ---- */

/*
 * As TCP keepalive (RFC 9293 3.8.4): one number below what the peer has acknowledged. It
 * passes what the session passes, and the peer's TCP answers it.
 */
static bool nudge(struct dysco_core *core, uint32_t slot, struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_run *sent = &leg->run[DYSCO_OUT], *got = &leg->run[DYSCO_IN];

	return leg->mode == DYSCO_MODE_FAST && !dysco_leg_is_over(leg) &&
	       (sent->seen & got->seen & DYSCO_SEEN_ACK) &&
	       dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_ACK, got->ack - 1,
				  sent->ack, 0, NULL, 0);
}

bool dysco_core_nudge(struct dysco_core *core, uint32_t slot, struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	return slot != DYSCO_NO_SLOT && slot <= core->high_slot && nudge(core, slot, out);
}

void dysco_core_leave(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	dysco_leave_box(core, now_ns, slot, out);
}

/* ---- answering ---- */

/* A leg of the session behind `after` that is not over; attempts that failed may have left others.
 */
static uint32_t next_leg(const struct dysco_core *core, uint16_t host,
			 const struct dysco_session_id *id, uint32_t after)
{
	uint32_t slot = dysco_leg_by_id(core, host, id, after);

	while (slot != DYSCO_NO_SLOT && dysco_leg_is_over(dysco_leg_at(core, slot))) {
		slot = dysco_leg_by_id(core, host, id, slot);
	}
	return slot;
}

/* The leg of the session at this host that faces left, or its only one. */
static uint32_t find_session(const struct dysco_core *core, uint16_t host,
			     const struct dysco_session_id *id)
{
	struct dysco_msg_control msg = {.id = *id};
	uint32_t slot = DYSCO_NO_SLOT;

	if (memcmp(id, &no_id, sizeof(no_id)) != 0) {
		slot = next_leg(core, host, id, DYSCO_NO_SLOT);
		slot = slot != DYSCO_NO_SLOT ? slot : dysco_leg_of_session(core, host, &msg);
	}
	if (dysco_leg_at(core, slot)->role == DYSCO_ROLE_RIGHT &&
	    dysco_leg_at(core, slot)->partner != DYSCO_NO_SLOT) {
		slot = dysco_leg_at(core, slot)->partner;
	}
	return slot;
}

static void answer(struct dysco_core *core, struct dysco_work *w, uint32_t channel,
		   const struct dysco_msg_trace *probe, uint32_t slot)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = DYSCO_MSG_PROBE_REPLY};
	struct dysco_msg_probe_reply reply = {.trace = *probe, .known = slot != DYSCO_NO_SLOT};
	const struct dysco_key *key = dysco_sign(core, &hdr);

	if (reply.known) {
		uint32_t right = dysco_leg_at(core, slot)->partner;

		dysco_report_fill(core, slot, &reply.report);
		reply.numbers.seq = dysco_cold_at(core, slot)->isn;
		reply.numbers.base = dysco_cold_at(core, right ? right : slot)->isn;
	}
	dysco_ctl_say(core, w->out, channel, message,
		      dysco_message_write_probe_reply(message, &hdr, &reply, key));
}

/* The session has another path, or none: a box is told so inside its host, an end is reset. */
static void close_session(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	uint8_t role = dysco_leg_at(core, slot)->role;

	if (role == DYSCO_ROLE_LEFT || role == DYSCO_ROLE_RIGHT) {
		dysco_leave_box(core, w->now_ns, slot, w->out);
	} else {
		dysco_kill_session(core, w->now_ns, slot, w->out);
	}
}

/*
 * Each ends a pair of legs, so this does end. The first one may be over on one side only: a
 * RST that the box did not let through.
 */
static void close_all(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	struct dysco_session_id id = dysco_cold_at(core, slot)->id;
	uint16_t host = dysco_leg_at(core, slot)->host;

	do {
		close_session(core, w, slot);
		slot = next_leg(core, host, &id, DYSCO_NO_SLOT);
	} while (slot != DYSCO_NO_SLOT);
}

static bool too_many(struct dysco_core *core, uint64_t now_ns)
{
	if (now_ns - core->probes_since_ns >= DYSCO_NS_PER_S) {
		core->probes_since_ns = now_ns;
		core->probes = 0;
	}
	return core->probes++ >= PROBES_PER_S;
}

static void question_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t channel)
{
	struct dysco_msg_trace probe;
	uint32_t slot;

	if (too_many(core, w->now_ns)) {
		dysco_count(core, DYSCO_COUNTER_PROBES_LIMITED);
		return;
	}
	dysco_message_read_trace(&probe, w->in->data + w->p.payload);
	slot = find_session(core, dysco_leg_at(core, channel)->host, &probe.id);
	answer(core, w, channel, &probe, slot);
	dysco_count(core, DYSCO_COUNTER_PROBES_ANSWERED);
	if (slot == DYSCO_NO_SLOT) {
		return;
	}
	if (probe.flags & DYSCO_PROBE_CLOSE) {
		close_all(core, w, slot);
		return;
	}
	if (probe.flags & DYSCO_PROBE_NUDGE) {
		nudge(core, slot, w->out);
	}
	if (probe.flags & DYSCO_PROBE_LOOK) {
		dysco_event(w->out, DYSCO_EVENT_LOOK, slot, DYSCO_REASON_NONE);
	}
}

void dysco_probe_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot, uint8_t type)
{
	if (!dysco_core_is_channel(core, slot)) {
		return; /* a control session of an attempt is not for this */
	}
	if (type == DYSCO_MSG_PROBE) {
		question_arrived(core, w, slot);
	} else {
		dysco_message_read_probe_reply(&w->out->probe, w->in->data + w->p.payload);
		dysco_event(w->out, DYSCO_EVENT_PROBED, slot, DYSCO_REASON_NONE);
	}
}
