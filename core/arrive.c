/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SYN arrives at a host (paper II-A): its message is checked, the host's legs
 * are made, and the host gets the SYN with the session's own header.
 */
#include "core/reconfig.h"

#include <string.h>

#define STREAM_MAX 0x40000000u /* how far back a number is taken for an old one */

static void refuse_message(struct dysco_core *core, struct dysco_work *w, enum dysco_reason reason)
{
	dysco_drop(core, w, DYSCO_NO_SLOT, reason);
}

/* ---- delivering ---- */

static void deliver_syn(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			size_t message_bytes)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_tuple to = dysco_tuple_reverse(&leg->host_tuple);
	struct dysco_copy copy;

	if (!dysco_copy_input(w, &copy)) {
		dysco_drop(core, w, slot, DYSCO_REASON_SYN_TOO_LONG);
		return;
	}
	dysco_edit_strip_payload(&copy.p, copy.data, &copy.bytes, message_bytes);
	dysco_edit_remove_option(&copy.p, copy.data, &copy.bytes, DYSCO_EXID_MARK);
	dysco_edit_apply(&copy.p, copy.data,
			 dysco_edit_tuple(&copy.p, copy.data, copy.data + copy.bytes, &to));
	if (leg->role == DYSCO_ROLE_LEFT && leg->partner != DYSCO_NO_SLOT) {
		uint32_t tag = dysco_tag_of(core, leg->partner);

		/* No room: the box must not change the five-tuple then. */
		dysco_edit_add_option(&copy.p, copy.data, &copy.bytes, copy.capacity,
				      DYSCO_EXID_TAG, &tag);
	}
	dysco_step_note_syn(leg, &w->p, w->in->data, w->in->data + w->in->bytes, DYSCO_IN);
	/* The SYN counts as the host's peer sent it, without our message. */
	dysco_step_see(leg, &copy.p, DYSCO_IN, w->in->bytes, w->now_ns);
	dysco_emit(w, DYSCO_ACT_DELIVER, slot, &copy);
}

/* ---- making the legs ---- */

static void fill_leg(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		     const struct dysco_msg_syn *msg, enum dysco_leg_role role)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	leg->role = (uint8_t)role;
	leg->host = w->in->host;
	leg->attachment = w->in->attachment;
	leg->created_ns = w->now_ns;
	cold->id = msg->id;
	cold->session = msg->session;
	cold->list = msg->list;
	cold->isn = w->p.seq;
	cold->syn_count = 1;
	cold->l2 = w->in->l2;
	dysco_leg_named(core, slot);
}

static bool make_left(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		      const struct dysco_msg_syn *msg, enum dysco_leg_role role)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	fill_leg(core, w, slot, msg, role);
	leg->host_tuple = dysco_tuple_reverse(&msg->session);
	leg->wire_tuple = dysco_tuple_reverse(&w->p.tuple);
	return dysco_leg_bind(core, slot, DYSCO_OUT) == 0 &&
	       dysco_leg_bind(core, slot, DYSCO_IN) == 0;
}

/* Waits in mode PUNT for the SYN to come out of the box. */
static bool make_right(struct dysco_core *core, struct dysco_work *w, uint32_t slot, uint32_t left,
		       const struct dysco_msg_syn *msg)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	fill_leg(core, w, slot, msg, DYSCO_ROLE_RIGHT);
	leg->host_tuple = msg->session;
	leg->partner = left;
	dysco_leg_at(core, left)->partner = slot;
	dysco_cold_at(core, slot)->list.next++;
	return dysco_leg_bind(core, slot, DYSCO_OUT) == 0;
}

static uint32_t make_legs(struct dysco_core *core, struct dysco_work *w,
			  const struct dysco_msg_syn *msg)
{
	bool last = msg->list.next + 1 == msg->list.count;
	uint32_t left, right = DYSCO_NO_SLOT;

	if (!dysco_legs_available(core, last ? 1 : 2)) {
		return DYSCO_NO_SLOT;
	}
	left = dysco_leg_alloc(core);
	if (!last) {
		right = dysco_leg_alloc(core);
	}
	if (!make_left(core, w, left, msg, last ? DYSCO_ROLE_LAST : DYSCO_ROLE_LEFT) ||
	    (!last && !make_right(core, w, right, left, msg))) {
		dysco_leg_free(core, left);
		if (right != DYSCO_NO_SLOT) {
			dysco_leg_free(core, right);
		}
		return DYSCO_NO_SLOT;
	}
	if (!last) {
		__atomic_store_n(&dysco_leg_at(core, right)->mode, DYSCO_MODE_PUNT,
				 __ATOMIC_RELEASE);
	}
	__atomic_store_n(&dysco_leg_at(core, left)->mode, DYSCO_MODE_FAST, __ATOMIC_RELEASE);
	return left;
}

/* ---- who has the five-tuple already ---- */

/* Which of two sessions on one five-tuple goes on when both ends open at once. */
static bool wins_tie(const struct dysco_tuple *session)
{
	int order = memcmp(&session->src, &session->dst, sizeof(session->src));

	if (order == 0) {
		order = DYSCO_HOST16(session->sport_be) - DYSCO_HOST16(session->dport_be);
	}
	return order < 0;
}

/*
 * A number of the peer's stream on a leg that has closed but lingers: whoever uses the ports anew
 * begins beyond it (RFC 6191), or else comes again when the leg is forgotten. Every octet of it
 * has come in a packet, so it is no longer than these.
 */
static bool sent_before(const struct dysco_leg *leg, uint32_t seq)
{
	const struct dysco_leg_run *in = &leg->run[DYSCO_IN];
	uint32_t back = in->seq_end - seq;

	return dysco_leg_state(leg) == DYSCO_STATE_TIME_WAIT && back != 0 && back <= in->bytes &&
	       back < STREAM_MAX;
}

/*
 * Makes the OUT key free for this session; false: the session on it stays
 * (simultaneous open, also when the loser's SYN comes late).
 */
static bool make_way(struct dysco_core *core, struct dysco_work *w, const struct dysco_msg_syn *msg,
		     const struct dysco_tuple *out_tuple)
{
	uint32_t slot = dysco_find(core, out_tuple, w->in->host, DYSCO_OUT);
	struct dysco_tuple reversed = dysco_tuple_reverse(&msg->session);

	if (slot == DYSCO_NO_SLOT) {
		return true;
	}
	/* This very session, established by another way: a copy that took long. */
	if (!dysco_leg_is_over(dysco_leg_at(core, slot)) &&
	    !dysco_leg_is_embryonic(dysco_leg_at(core, slot)) &&
	    memcmp(&dysco_cold_at(core, slot)->id, &msg->id, sizeof(msg->id)) == 0) {
		return false;
	}
	if (dysco_tuple_equal(&dysco_cold_at(core, slot)->session, &reversed) &&
	    !wins_tie(&msg->session) &&
	    (!dysco_leg_is_over(dysco_leg_at(core, slot)) ||
	     sent_before(dysco_leg_at(core, slot), w->p.seq))) {
		return false;
	}
	dysco_leg_retire(core, w->now_ns, slot, w->out);
	return true;
}

static bool five_tuple_free(struct dysco_core *core, struct dysco_work *w,
			    const struct dysco_msg_syn *msg)
{
	struct dysco_tuple reversed = dysco_tuple_reverse(&msg->session);

	return make_way(core, w, msg, &reversed) &&
	       (msg->list.next + 1 == msg->list.count || make_way(core, w, msg, &msg->session));
}

/* ---- SYNs with a message ---- */

static void new_subsession(struct dysco_core *core, struct dysco_work *w,
			   const struct dysco_header *hdr, const struct dysco_msg_syn *msg)
{
	uint32_t slot;

	if (!five_tuple_free(core, w, msg)) {
		refuse_message(core, w, DYSCO_REASON_SIMULTANEOUS);
		return;
	}
	slot = make_legs(core, w, msg);
	if (slot == DYSCO_NO_SLOT) {
		refuse_message(core, w, DYSCO_REASON_LEGS_FULL);
		return;
	}
	dysco_cold_at(core, slot)->key_id = hdr->key_id;
	if (msg->attempt.nonce != 0) {
		dysco_new_path_joined(core, w, msg, slot);
	}
	dysco_count(core, DYSCO_COUNTER_SESSIONS_JOINED);
	deliver_syn(core, w, slot, hdr->total_bytes);
	dysco_event(w->out, DYSCO_EVENT_SESSION_JOINED, slot, DYSCO_REASON_NONE);
}

/* A NAT between the agents: on this side of it the session bears the public source (paper IV-B). */
static void follow_nat(struct dysco_core *core, const struct dysco_work *w,
		       struct dysco_msg_syn *msg)
{
	const struct dysco_tuple *seen = &w->p.tuple, *sent = &msg->subsession;

	if (dysco_addr_equal(&seen->src, &sent->src) && seen->sport_be == sent->sport_be) {
		return;
	}
	msg->session.src = seen->src;
	msg->session.sport_be = seen->sport_be;
	dysco_count(core, DYSCO_COUNTER_NAT_SEEN);
}

static enum dysco_reason check_addressed(const struct dysco_core *core, const struct dysco_work *w,
					 const struct dysco_msg_syn *msg)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, w->in->host);

	if (!host || !dysco_host_has(host, &msg->list.hops[msg->list.next].addr)) {
		return DYSCO_REASON_NOT_ADDRESSED;
	}
	if (dysco_addr_is_ip4(&msg->session.src) != dysco_addr_is_ip4(&w->p.tuple.src)) {
		return DYSCO_REASON_FAMILY_MIX;
	}
	return DYSCO_REASON_NONE;
}

/*
 * A late copy of the SYN of a path that the session has left (docs/protocol.md
 * 12.6): it was established on this leg, which has ended since. Or it is of a chain
 * that was given up (7.7).
 */
static bool has_left(const struct dysco_core *core, uint32_t slot, const struct dysco_msg_syn *msg)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	return leg->mode == DYSCO_MODE_DEAD &&
	       ((seen & DYSCO_SEEN_SYNACK) || (leg->flags & DYSCO_LEG_WITHDRAWN)) &&
	       memcmp(&dysco_cold_at(core, slot)->id, &msg->id, sizeof(msg->id)) == 0;
}

/* After both FINs a firewall in this box would take it for a new connection, and forget this one.
 */
static void syn_again(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
		      size_t message_bytes)
{
	if (dysco_leg_outran_syn(dysco_leg_at(core, slot), DYSCO_IN)) {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
		return;
	}
	dysco_cold_at(core, slot)->syn_count++;
	dysco_count(core, DYSCO_COUNTER_SYN_RETRANSMITTED);
	dysco_leg_revive(core, slot);
	deliver_syn(core, w, slot, message_bytes);
}

static void message_arrived(struct dysco_core *core, struct dysco_work *w,
			    const struct dysco_header *hdr, uint32_t slot)
{
	struct dysco_msg_syn msg;
	enum dysco_reason reason;

	dysco_message_read_syn(&msg, w->in->data + w->p.payload);
	reason = check_addressed(core, w, &msg);
	if (reason != DYSCO_REASON_NONE) {
		refuse_message(core, w, reason);
		return;
	}
	follow_nat(core, w, &msg);
	if (msg.attempt.nonce != 0 && dysco_new_path_arrived(core, w, &msg, slot)) {
		return;
	}
	if (!dysco_ctl_gives_way(core, &slot)) {
		refuse_message(core, w, DYSCO_REASON_CONTROL);
		return;
	}
	if (slot != DYSCO_NO_SLOT) {
		struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

		if (dysco_leg_at(core, slot)->mode == DYSCO_MODE_FAST &&
		    memcmp(&cold->id, &msg.id, sizeof(msg.id)) == 0) {
			syn_again(core, w, slot, hdr->total_bytes);
			return;
		}
		if (has_left(core, slot, &msg)) {
			refuse_message(core, w, DYSCO_REASON_LATE);
			return;
		}
		dysco_leg_retire(core, w->now_ns, slot, w->out);
		dysco_leg_unbind(core, slot, DYSCO_IN); /* the peer uses the ports anew */
	}
	new_subsession(core, w, hdr, &msg);
}

/* ---- SYNs without one ---- */

/*
 * A plain SYN for this host while a chained session holds its five-tuple: it
 * takes over from one that is over, or from its own first try when a fail-open
 * policy gave the chain up. Of a living session the peer's TCP is the judge.
 */
static void plain_syn(struct dysco_core *core, struct dysco_work *w)
{
	struct dysco_tuple reversed = dysco_tuple_reverse(&w->p.tuple);
	uint32_t slot = dysco_find(core, &reversed, w->in->host, DYSCO_OUT);
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (slot != DYSCO_NO_SLOT && leg->role != DYSCO_ROLE_FIRST &&
	    (dysco_leg_is_over(leg) || (!(leg->run[DYSCO_IN].seen & DYSCO_SEEN_CONFIRM) &&
					dysco_cold_at(core, slot)->isn == w->p.seq))) {
		dysco_leg_retire(core, w->now_ns, slot, w->out);
	}
	if (w->p.payload_bytes > 0) {
		dysco_count(core, DYSCO_COUNTER_FOREIGN_SYN_DATA);
	}
	dysco_pass(w, DYSCO_NO_SLOT);
}

static void foreign_syn(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	if (slot == DYSCO_NO_SLOT) {
		plain_syn(core, w);
	} else if (dysco_leg_at(core, slot)->mode == DYSCO_MODE_FAST) {
		dysco_forward(core, w, slot);
	} else {
		dysco_drop(core, w, slot, DYSCO_REASON_LATE);
	}
}

/* The five-tuple of this leg's session had another chain here, which still lingers. */
static bool had_chain(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_tuple *session = &dysco_cold_at(core, slot)->session;
	uint16_t host = dysco_leg_at(core, slot)->host;
	uint32_t other = dysco_leg_by_session(core, host, session, DYSCO_NO_SLOT);

	while (other == slot || (dysco_leg_at(core, other)->flags & DYSCO_LEG_WITHDRAWN)) {
		other = dysco_leg_by_session(core, host, session, other);
	}
	return other != DYSCO_NO_SLOT;
}

/*
 * The host has had this very SYN already, without any chain: a fail-open policy
 * gave the chain up, and it was slower. It gives way. What acknowledges another
 * stream, or had a chain, is an older connection's, and goes back along this
 * one; so does what a server says early that took data with the SYN.
 */
void dysco_syn_superseded(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	uint32_t first = dysco_cold_at(core, slot)->isn + 1;
	bool data_in_syn = dysco_leg_at(core, slot)->run[DYSCO_IN].seq_end != first;

	if ((w->p.flags & DYSCO_TCP_ACK) && w->p.ack - first < 0x40000000u && !data_in_syn &&
	    !had_chain(core, slot)) {
		dysco_leg_retire(core, w->now_ns, slot, w->out);
		dysco_pass(w, slot);
	} else {
		dysco_forward(core, w, slot);
	}
}

void dysco_syn_arrived(struct dysco_core *core, struct dysco_work *w)
{
	uint32_t slot = dysco_find(core, &w->p.tuple, w->in->host, DYSCO_IN);
	const uint8_t *payload = w->in->data + w->p.payload;
	struct dysco_header hdr;
	enum dysco_reason reason;

	if (w->p.payload + w->p.payload_bytes > w->in->bytes) {
		refuse_message(core, w, DYSCO_REASON_BAD_PACKET);
		return;
	}
	if (!dysco_message_is_ours(payload, w->p.payload_bytes)) {
		foreign_syn(core, w, slot);
		return;
	}
	reason = dysco_open_message(core, &hdr, payload, w->p.payload_bytes);
	if (reason == DYSCO_REASON_NONE &&
	    (dysco_message_is_control(hdr.type) || hdr.type == DYSCO_MSG_PROBE)) {
		dysco_ctl_syn_arrived(core, w, &hdr, slot);
		return;
	}
	if (reason == DYSCO_REASON_NONE && hdr.type == DYSCO_MSG_WITHDRAW) {
		dysco_withdraw_arrived(core, w, slot);
		return;
	}
	if (reason == DYSCO_REASON_NONE && hdr.type != DYSCO_MSG_SYN) {
		reason = DYSCO_REASON_MSG_MALFORMED;
	}
	if (reason != DYSCO_REASON_NONE) {
		refuse_message(core, w, reason);
		return;
	}
	message_arrived(core, w, &hdr, slot);
}
