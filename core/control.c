/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control sessions (docs/protocol.md 12.2; paper III-C): one TCP connection of
 * agents beside each subsession of the old path. Its numbers live in the run
 * fields of its leg (role CONTROL, mode PUNT), so that it can answer, and go on
 * after a crash, when the attempt is long over. Messages are repeated by those
 * who made them; here nothing is.
 */
#include "core/reconfig.h"

#include <string.h>

#define WINDOW 0xffffu

/* ---- legs ---- */

static uint32_t make_leg(struct dysco_core *core, uint64_t now_ns, const struct dysco_leg *beside,
			 const struct dysco_l2 *l2, const struct dysco_tuple *wire)
{
	uint32_t slot =
	    dysco_legs_available(core, 1) ? dysco_leg_alloc(core) : (uint32_t)DYSCO_NO_SLOT;
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (slot == DYSCO_NO_SLOT) {
		return slot;
	}
	leg->role = DYSCO_ROLE_CONTROL;
	leg->host = beside->host;
	leg->attachment = beside->attachment;
	leg->created_ns = now_ns;
	leg->wire_tuple = *wire;
	leg->run[DYSCO_OUT].window = WINDOW;
	leg->run[DYSCO_OUT].last_ns = now_ns;
	dysco_cold_at(core, slot)->l2 = *l2;
	dysco_cold_at(core, slot)->isn = (uint32_t)dysco_random(core);
	if (dysco_leg_bind(core, slot, DYSCO_IN) != 0) {
		dysco_leg_free(core, slot);
		return DYSCO_NO_SLOT;
	}
	__atomic_store_n(&leg->mode, DYSCO_MODE_PUNT, __ATOMIC_RELEASE);
	return slot;
}

uint32_t dysco_ctl_open(struct dysco_core *core, uint64_t now_ns, uint32_t session_slot,
			uint32_t index, const struct dysco_addr *to)
{
	const struct dysco_leg *beside = dysco_leg_at(core, session_slot);
	struct dysco_tuple wire = beside->wire_tuple;
	uint32_t slot;

	wire.dst = to ? *to : wire.dst;
	if (!dysco_ports_choose(core, beside->host, &wire)) {
		return DYSCO_NO_SLOT;
	}
	slot = make_leg(core, now_ns, beside, &dysco_cold_at(core, session_slot)->l2, &wire);
	if (slot != DYSCO_NO_SLOT) {
		dysco_leg_at(core, slot)->flags = DYSCO_LEG_OPENER;
		dysco_cold_at(core, slot)->id = dysco_cold_at(core, session_slot)->id;
		dysco_cold_at(core, slot)->attempt = index;
	}
	return slot;
}

void dysco_ctl_close(struct dysco_core *core, uint64_t now_ns, uint32_t slot, uint32_t index)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	if (slot != DYSCO_NO_SLOT && cold->attempt == index) {
		cold->attempt = DYSCO_NO_ATTEMPT;
		cold->ended_ns = now_ns ? now_ns : 1;
	}
}

bool dysco_ctl_gives_way(struct dysco_core *core, uint32_t *slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, *slot);

	if (*slot == DYSCO_NO_SLOT ||
	    (leg->role != DYSCO_ROLE_CONTROL && leg->mode != DYSCO_MODE_PUNT)) {
		return true;
	}
	if (dysco_cold_at(core, *slot)->attempt != DYSCO_NO_ATTEMPT) {
		return false;
	}
	if (leg->role == DYSCO_ROLE_CONTROL) {
		dysco_leg_free(core, *slot);
		*slot = DYSCO_NO_SLOT;
	}
	return true;
}

/* ---- sending ---- */

/* Flags and number of the next segment. */
static uint8_t next_segment(const struct dysco_leg *leg, const struct dysco_leg_cold *cold,
			    uint32_t *seq)
{
	const struct dysco_leg_run *sent = &leg->run[DYSCO_OUT], *got = &leg->run[DYSCO_IN];

	*seq = cold->isn;
	if (leg->flags & DYSCO_LEG_OPENER) {
		if (!(got->seen & DYSCO_SEEN_SYNACK)) {
			return DYSCO_TCP_SYN;
		}
	} else if (cold->syn_count > 0) {
		return DYSCO_TCP_SYN | DYSCO_TCP_ACK;
	}
	*seq = sent->seq_end;
	return DYSCO_TCP_ACK;
}

static void send_segment(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
			 const uint8_t *payload, size_t bytes, bool last)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	struct dysco_leg_run *sent = &leg->run[DYSCO_OUT];
	uint32_t seq, end;
	uint8_t flags = next_segment(leg, cold, &seq);
	bool syn = flags & DYSCO_TCP_SYN;

	if (last && !syn) {
		flags |= DYSCO_TCP_FIN;
		if (sent->seen & DYSCO_SEEN_FIN) {
			seq = sent->fin_end - (uint32_t)bytes - 1; /* once more */
		}
	} else if (bytes && !syn) {
		flags |= DYSCO_TCP_PSH;
	}
	if (!dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, flags, seq, sent->ack,
				syn ? DYSCO_EXID_MARK : 0, payload, bytes)) {
		return;
	}
	end = seq + (uint32_t)bytes + (syn || (flags & DYSCO_TCP_FIN) ? 1 : 0);
	if (syn || dysco_seq_after(end, sent->seq_end)) {
		sent->seq_end = end;
	}
	if (flags & DYSCO_TCP_FIN) {
		sent->fin_end = end;
		sent->seen |= DYSCO_SEEN_FIN;
	}
	if ((flags & DYSCO_TCP_ACK) && syn) {
		cold->syn_count = 0;
	}
}

static bool is_last(enum dysco_message_type type)
{
	return type == DYSCO_MSG_RELEASED || type == DYSCO_MSG_CANCELLED ||
	       type == DYSCO_MSG_NACK || type == DYSCO_MSG_TRIGGER_REPLY;
}

void dysco_ctl_send(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		    enum dysco_message_type type, const struct dysco_msg_control *msg)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = (uint8_t)type};
	const struct dysco_key *key;

	if (slot == DYSCO_NO_SLOT || dysco_leg_at(core, slot)->role != DYSCO_ROLE_CONTROL) {
		return;
	}
	key = dysco_sign(core, &hdr);
	send_segment(core, out, slot, message, dysco_message_write_control(message, &hdr, msg, key),
		     is_last(type));
}

void dysco_ctl_say(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		   const uint8_t *message, size_t bytes)
{
	send_segment(core, out, slot, message, bytes, false);
}

void dysco_ctl_finish(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		      struct dysco_actions *out)
{
	if (dysco_leg_at(core, slot)->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK) {
		send_segment(core, out, slot, NULL, 0, true);
	}
	dysco_leg_at(core, slot)->run[DYSCO_OUT].seen |= DYSCO_SEEN_FIN;
	dysco_cold_at(core, slot)->ended_ns = now_ns ? now_ns : 1;
}

void dysco_ctl_along(struct dysco_core *core, struct dysco_actions *out, uint32_t slot,
		     enum dysco_message_type type, const struct dysco_msg_control *msg)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_header hdr = {.type = (uint8_t)type};
	const struct dysco_key *key = dysco_sign(core, &hdr);

	if (slot != DYSCO_NO_SLOT) {
		dysco_send_control(core, out, slot, message,
				   dysco_message_write_control(message, &hdr, msg, key));
	}
}

/* ---- receiving ---- */

static void note_segment(struct dysco_leg *leg, struct dysco_leg_cold *cold,
			 const struct dysco_packet *p, uint64_t now_ns)
{
	struct dysco_leg_run *got = &leg->run[DYSCO_IN];
	uint32_t end = dysco_step_seq_end(p);

	got->packets++;
	got->last_ns = now_ns;
	if (p->flags & DYSCO_TCP_FIN) {
		got->seen |= DYSCO_SEEN_FIN;
	}
	if (p->flags & DYSCO_TCP_SYN) {
		got->seen |= (p->flags & DYSCO_TCP_ACK) ? DYSCO_SEEN_SYNACK : DYSCO_SEEN_SYN;
		cold->syn_count = !(p->flags & DYSCO_TCP_ACK);
	}
	if (!(got->seen & DYSCO_SEEN_ANY) || dysco_seq_after(end, got->seq_end)) {
		got->seq_end = end;
		got->seen |= DYSCO_SEEN_ANY;
	}
	leg->run[DYSCO_OUT].ack = got->seq_end;
}

/* What came is acknowledged by the answer, if there was one, else by an empty segment. */
static void acknowledge(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			uint32_t before)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->run[DYSCO_OUT].seq_end == before && dysco_cold_at(core, slot)->syn_count == 0 &&
	    (leg->run[DYSCO_IN].seen & (DYSCO_SEEN_SYN | DYSCO_SEEN_SYNACK)) &&
	    (w->p.payload_bytes || (w->p.flags & (DYSCO_TCP_SYN | DYSCO_TCP_FIN)))) {
		bool last =
		    (w->p.flags & DYSCO_TCP_FIN) && !(leg->run[DYSCO_OUT].seen & DYSCO_SEEN_FIN);

		send_segment(core, w->out, slot, NULL, 0, last);
	}
}

static void mail_from(struct dysco_core *core, struct dysco_work *w, uint32_t slot, uint8_t type)
{
	struct dysco_mail mail = {
	    .w = w, .via = slot, .host = dysco_leg_at(core, slot)->host, .type = type};
	uint32_t before = dysco_leg_at(core, slot)->run[DYSCO_OUT].seq_end;

	dysco_act(w->out, DYSCO_ACT_DROP, slot); /* it ends here */
	if (dysco_message_is_probe(type)) {
		dysco_probe_arrived(core, w, slot, type);
	} else {
		dysco_message_read_control(&mail.msg, w->in->data + w->p.payload);
		dysco_mail_arrived(core, &mail);
	}
	acknowledge(core, w, slot, before);
}

/* Any of the host's legs of the session that the new control session can be beside. */
static uint32_t leg_of_session(const struct dysco_core *core, uint16_t host,
			       const struct dysco_msg_control *msg, bool rightward)
{
	struct dysco_tuple in = msg->subsession;
	uint32_t slot = rightward ? dysco_find(core, &in, host, DYSCO_IN) : DYSCO_NO_SLOT;

	if (slot != DYSCO_NO_SLOT &&
	    memcmp(&dysco_cold_at(core, slot)->id, &msg->id, sizeof(msg->id)) == 0) {
		return slot;
	}
	slot = dysco_leg_by_id(core, host, &msg->id, DYSCO_NO_SLOT);
	while (slot != DYSCO_NO_SLOT && dysco_leg_at(core, slot)->mode == DYSCO_MODE_DEAD) {
		slot = dysco_leg_by_id(core, host, &msg->id, slot);
	}
	return slot;
}

void dysco_ctl_syn_arrived(struct dysco_core *core, struct dysco_work *w,
			   const struct dysco_header *hdr, uint32_t slot)
{
	struct dysco_msg_control msg = {.id = {{0}}}; /* that of a channel */
	struct dysco_leg beside = {.host = w->in->host, .attachment = w->in->attachment};
	struct dysco_tuple wire = dysco_tuple_reverse(&w->p.tuple);

	if (!dysco_message_is_probe(hdr->type)) {
		dysco_message_read_control(&msg, w->in->data + w->p.payload);
	} else if (dysco_channel_is_old(core, slot, dysco_step_seq_end(&w->p))) {
		dysco_leg_free(core, slot);
		slot = DYSCO_NO_SLOT;
	}
	if (slot != DYSCO_NO_SLOT &&
	    (dysco_leg_at(core, slot)->role != DYSCO_ROLE_CONTROL ||
	     memcmp(&dysco_cold_at(core, slot)->id, &msg.id, sizeof(msg.id)) != 0)) {
		dysco_drop(core, w, slot, DYSCO_REASON_CONTROL);
		return;
	}
	if (slot == DYSCO_NO_SLOT) {
		slot = make_leg(core, w->now_ns, &beside, &w->in->l2, &wire);
		if (slot == DYSCO_NO_SLOT) {
			dysco_drop(core, w, slot, DYSCO_REASON_LEGS_FULL);
			return;
		}
		dysco_cold_at(core, slot)->id = msg.id;
		dysco_cold_at(core, slot)->ended_ns = w->now_ns ? w->now_ns : 1;
	}
	note_segment(dysco_leg_at(core, slot), dysco_cold_at(core, slot), &w->p, w->now_ns);
	mail_from(core, w, slot, hdr->type);
}

/* The neighbour has no agent, or knows nothing of it: nobody will answer. */
static void reset_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;
	struct dysco_mail mail = {
	    .w = w, .via = slot, .host = dysco_leg_at(core, slot)->host, .type = DYSCO_MSG_NACK};
	bool answers_syn = (dysco_leg_at(core, slot)->flags & DYSCO_LEG_OPENER) &&
			   !(dysco_leg_at(core, slot)->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK) &&
			   w->p.ack == dysco_leg_at(core, slot)->run[DYSCO_OUT].seq_end;

	dysco_act(w->out, DYSCO_ACT_DROP, slot);
	if (dysco_channel_is_heard(core, slot)) {
		dysco_leg_free(core, slot); /* forgotten there: another one has to be opened */
		return;
	}
	if (answers_syn && index != DYSCO_NO_ATTEMPT) {
		mail.msg = dysco_attempt_message(core, index);
		mail.msg.attempt.reason = DYSCO_NACK_UNKNOWN;
		dysco_mail_arrived(core, &mail);
	}
}

/*
 * An empty segment. A channel on which both have said FIN is over at once, without a last
 * acknowledgement: nobody repeats anything on it, and all that is said there is marked as
 * a message, which no session on the same ports takes for data.
 */
static void take_leave(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		       uint32_t before)
{
	if (!dysco_channel_is_over(core, slot)) {
		acknowledge(core, w, slot, before);
	}
	if (dysco_channel_is_over(core, slot)) {
		dysco_leg_free(core, slot);
	}
}

void dysco_ctl_segment_arrived(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const uint8_t *payload = w->in->data + w->p.payload;
	struct dysco_header hdr = {0};
	enum dysco_reason reason = DYSCO_REASON_NONE;
	uint32_t before = dysco_leg_at(core, slot)->run[DYSCO_OUT].seq_end;

	if (w->p.flags & DYSCO_TCP_RST) {
		reset_arrived(core, w, slot);
		return;
	}
	if (w->p.payload + w->p.payload_bytes > w->in->bytes) {
		reason = DYSCO_REASON_BAD_PACKET;
	} else if (w->p.payload_bytes) {
		reason = dysco_open_message(core, &hdr, payload, w->p.payload_bytes);
		if (reason == DYSCO_REASON_NONE && !dysco_message_is_control(hdr.type) &&
		    !dysco_message_is_probe(hdr.type)) {
			reason = DYSCO_REASON_MSG_MALFORMED;
		}
	}
	if (reason != DYSCO_REASON_NONE) {
		dysco_drop(core, w, slot, reason);
		return;
	}
	note_segment(dysco_leg_at(core, slot), dysco_cold_at(core, slot), &w->p, w->now_ns);
	if (w->p.payload_bytes) {
		mail_from(core, w, slot, hdr.type);
	} else {
		dysco_act(w->out, DYSCO_ACT_DROP, slot);
		take_leave(core, w, slot, before);
	}
}

uint32_t dysco_leg_of_session(const struct dysco_core *core, uint16_t host,
			      const struct dysco_msg_control *msg)
{
	return leg_of_session(core, host, msg, msg->subsession.sport_be != 0);
}
