/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two anchors of a reconfiguration (docs/protocol.md 12.4 to 12.7): from the
 * locked old path through the cuts to the new path alone, or back.
 *
 *   left   REQUESTING > SETTING_UP > PROVING > CUTTING > TWO_PATHS > DONE > RELEASING
 *               \____________\__________\_________\> CANCELLING
 *   right  REQUESTED > WAITING > READY > TWO_PATHS > DONE > FREED
 */
#include "core/anchor.h"

#include <string.h>

static uint32_t control_of(const struct dysco_attempt *a)
{
	return a->role == DYSCO_PART_LEFT_ANCHOR ? a->to_right : a->to_left;
}

static void tell(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
		 enum dysco_message_type type, const struct dysco_msg_control *msg, bool both)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (both) {
		dysco_ctl_along(core, out, a->new_slot, type, msg);
	}
	dysco_ctl_send(core, out, control_of(a), type, msg);
}

void dysco_anchor_tell_plain(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			     enum dysco_message_type type, uint16_t flags, bool both)
{
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	msg.attempt.flags = flags;
	tell(core, out, index, type, &msg, both);
}

static struct dysco_msg_control cut_message(const struct dysco_core *core, uint32_t index,
					    uint16_t flags)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	msg.attempt.flags = flags;
	msg.numbers.seq = a->two.cut;
	msg.numbers.base = a->isn + 1;
	return msg;
}

void dysco_anchor_tell_cut(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			   uint16_t flags)
{
	struct dysco_msg_control msg = cut_message(core, index, flags);

	tell(core, out, index, DYSCO_MSG_CUT, &msg, true);
}

/* By the path that the other's CUT came by: what is told on both must not be answered fourfold. */
void dysco_anchor_answer_cut(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index,
			     uint16_t flags)
{
	struct dysco_msg_control msg = cut_message(core, index, flags);

	if (mail->new_path) {
		dysco_ctl_along(core, mail->w->out, mail->via, DYSCO_MSG_CUT, &msg);
	} else {
		dysco_ctl_send(core, mail->w->out, mail->via, DYSCO_MSG_CUT, &msg);
	}
}

void dysco_anchor_tell_done(struct dysco_core *core, struct dysco_actions *out, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool seen = a->seen & DYSCO_ATTEMPT_PEER_DONE;

	dysco_anchor_tell_plain(core, out, index, DYSCO_MSG_DONE, seen ? DYSCO_CONTROL_SEEN : 0,
				true);
}

void dysco_anchor_keep_warm(struct dysco_core *core, struct dysco_actions *out, uint32_t index,
			    enum dysco_message_type type, const struct dysco_msg_control *msg)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (!dysco_attempt_is_two_paths(a)) {
		return;
	}
	if (a->kind != DYSCO_KIND_RECOVERY) {
		dysco_ctl_along(core, out, a->old_slot, type, msg);
	}
	dysco_ctl_along(core, out, a->new_slot, type, msg);
}

void dysco_anchor_set_mode(struct dysco_core *core, uint32_t slot, enum dysco_leg_mode mode)
{
	__atomic_store_n(&dysco_leg_at(core, slot)->mode, (uint8_t)mode, __ATOMIC_RELEASE);
}

/* What comes late on it is dropped; its ports stay in quarantine. */
static void bury(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);

	cold->ended_ns = now_ns ? now_ns : 1;
	cold->own_hops = 0;
	cold->attempt = DYSCO_NO_ATTEMPT;
	dysco_leg_at(core, slot)->partner = DYSCO_NO_SLOT;
	dysco_leg_at(core, slot)->run[DYSCO_OUT].last_ns = now_ns;
	dysco_anchor_set_mode(core, slot, DYSCO_MODE_DEAD);
}

/* The chain as this host knows it: what was before the anchors, the new path, what is behind it. */
static void renew_list(struct dysco_address_list *list, const struct dysco_address_list *path)
{
	struct dysco_address_list fresh = {.next = list->next};
	uint8_t rest = list->next;

	for (uint8_t i = 0; i < list->next; i++) {
		fresh.hops[fresh.count++] = list->hops[i];
	}
	for (uint8_t i = 0; i < path->count && fresh.count < DYSCO_HOPS_MAX; i++) {
		fresh.hops[fresh.count++] = path->hops[i];
	}
	while (rest < list->count &&
	       !dysco_addr_equal(&list->hops[rest].addr, &path->hops[path->count - 1].addr)) {
		rest++;
	}
	for (rest++; rest < list->count && fresh.count < DYSCO_HOPS_MAX; rest++) {
		fresh.hops[fresh.count++] = list->hops[rest];
	}
	*list = fresh;
}

/* Of the hops this agent gave, those that the right anchor and what is behind it keep. */
static uint8_t own_hops_kept(const struct dysco_leg_cold *cold, const struct dysco_addr *right)
{
	uint8_t gone = 0;

	while (cold->list.next + gone < cold->list.count &&
	       !dysco_addr_equal(&cold->list.hops[cold->list.next + gone].addr, right)) {
		gone++;
	}
	return cold->own_hops > gone ? (uint8_t)(cold->own_hops - gone) : 0;
}

static void take_over(struct dysco_core *core, uint64_t now_ns, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_leg *new = dysco_leg_at(core, a->new_slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, a->new_slot);
	uint32_t partner = old->partner;

	for (int d = 0; d < 2; d++) {
		new->run[d].packets += old->run[d].packets;
		new->run[d].bytes += old->run[d].bytes;
		old->run[d].packets = 0;
		old->run[d].bytes = 0;
	}
	dysco_count_boxes(core, a->old_slot, -1);
	cold->list = dysco_cold_at(core, a->old_slot)->list; /* there is news, perhaps */
	dysco_leg_move(core, a->old_slot, a->new_slot);
	new->partner = partner;
	if (partner != DYSCO_NO_SLOT) {
		dysco_leg_at(core, partner)->partner = a->new_slot;
	}
	if (a->role == DYSCO_PART_LEFT_ANCHOR) {
		cold->own_hops =
		    (uint8_t)(a->list.count - 1 +
			      own_hops_kept(dysco_cold_at(core, a->old_slot), &a->right));
		renew_list(&cold->list, &a->list);
	}
	a->cut_made = 0;
	dysco_leg_set_fast(core, a->new_slot);
	dysco_count_boxes(core, a->new_slot, 1);
	if (a->role == DYSCO_PART_LEFT_ANCHOR) {
		dysco_chain_share(core, a->new_slot);
	}
	bury(core, now_ns, a->old_slot);
}

static void give_up_new(struct dysco_core *core, uint64_t now_ns, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->new_slot != DYSCO_NO_SLOT) {
		bury(core, now_ns, a->new_slot);
		a->new_slot = DYSCO_NO_SLOT;
	}
	if (a->cut_made) {
		dysco_relay_end(core, a, DYSCO_PATH_OLD);
		a->cut_made = 0;
	}
	if (dysco_leg_at(core, a->old_slot)->mode == DYSCO_MODE_PUNT) {
		dysco_leg_set_fast(core, a->old_slot);
	}
}

/* With the numbers of that path alone: its boxes know of no other. */
static void reset_after_cut(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	struct dysco_segment s;

	dysco_two_reset_part(&a->two, DYSCO_PATH_NEW, &s);
	dysco_emit_segment(core, out, DYSCO_ACT_SEND, a->new_slot, s.flags, s.seq, s.ack, 0, NULL,
			   0);
}

void dysco_anchor_end_failed(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			     struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t slot = a->old_slot, kept = a->kept;

	if (a->role == DYSCO_PART_LEFT_ANCHOR) {
		dysco_event(out, DYSCO_EVENT_RECONFIG_FAILED, slot, (enum dysco_reason)a->reason);
		if (a->cut_made) {
			reset_after_cut(core, index, out);
		}
		dysco_trigger_answer(core, index, (enum dysco_nack)a->reason, out);
	}
	give_up_new(core, now_ns, index);
	dysco_nonce_over(core, a->nonce, false);
	dysco_attempt_end(core, now_ns, index);
	if (kept != DYSCO_NO_ATTEMPT) {
		dysco_kept_refuse(core, out, now_ns, kept, DYSCO_NACK_BUSY);
	}
}

/* L's request is over while the session lives: the one that waited for it is looked at again. */
void dysco_anchor_end_request(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			      struct dysco_actions *out)
{
	static const struct dysco_input none;
	struct dysco_work w = {.core = core, .in = &none, .out = out, .now_ns = now_ns};
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t kept = a->kept;

	a->kept = DYSCO_NO_ATTEMPT;
	dysco_anchor_end_failed(core, now_ns, index, out);
	if (kept != DYSCO_NO_ATTEMPT) {
		dysco_kept_resume(core, &w, kept);
	}
}

void dysco_anchor_end_completed(struct dysco_core *core, uint64_t now_ns, uint32_t index,
				struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	dysco_trigger_answer(core, index, DYSCO_NACK_NONE, out);
	dysco_chain_tell(core, out, a->new_slot); /* L to the right, R to the left */
	dysco_nonce_over(core, a->nonce, true);
	dysco_attempt_end(core, now_ns, index);
}

void dysco_anchor_cancel(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			 enum dysco_nack reason, struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state >= DYSCO_ATTEMPT_TWO_PATHS || (a->seen & DYSCO_ATTEMPT_TAKEN)) {
		return; /* there is no way back */
	}
	a->reason = (uint8_t)reason;
	if (!a->cut_made) {
		/* After the cut, R might take it for the session's: it waits for R's word. */
		dysco_new_path_reset(core, index, out);
	}
	dysco_attempt_enter(core, now_ns, index, DYSCO_ATTEMPT_CANCELLING);
	dysco_anchor_tell_plain(core, out, index, DYSCO_MSG_CANCEL, 0, false);
}

void dysco_anchor_window_came(struct dysco_core *core, const struct dysco_packet *p, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t window = (uint32_t)p->window
			  << dysco_shift_of(dysco_leg_at(core, a->old_slot), DYSCO_IN);

	a->shown = window > a->shown ? window : a->shown;
}

uint32_t dysco_anchor_edge(const struct dysco_core *core, uint32_t index)
{
	const struct dysco_leg *old = dysco_leg_at(core, dysco_attempt_at(core, index)->old_slot);

	return old->run[DYSCO_IN].ack + dysco_granted(old, DYSCO_IN);
}

/* In the window's scale a right edge may be rounded down. */
bool dysco_anchor_window_shown(const struct dysco_core *core, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	uint32_t rounded = (1u << dysco_shift_of(old, DYSCO_IN)) - 1;

	return !dysco_after(dysco_anchor_edge(core, index),
			    dysco_relay_next_cut(core, a) + a->shown + rounded);
}

/* L: cut, and tell it. R: the same, when L's cut is there. */
void dysco_anchor_make_cut(struct dysco_core *core, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	dysco_anchor_set_mode(core, a->old_slot, DYSCO_MODE_PUNT);
	dysco_relay_begin(core, a);
	a->cut_made = 1;
}

/* A FIN below a cut would never reach the boxes of the new path (docs/protocol.md 12.5). */
bool dysco_anchor_is_closing(const struct dysco_leg *leg)
{
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	return dysco_leg_is_over(leg) || (seen & DYSCO_SEEN_FIN);
}

void dysco_anchor_finish(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool left = a->role == DYSCO_PART_LEFT_ANCHOR;

	dysco_relay_end(core, a, DYSCO_PATH_NEW);
	take_over(core, w->now_ns, index);
	dysco_event(w->out, DYSCO_EVENT_RECONFIGURED, a->new_slot, DYSCO_REASON_NONE);
	if (left) {
		dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_RELEASING);
		dysco_anchor_tell_plain(core, w->out, index, DYSCO_MSG_DONE, DYSCO_CONTROL_SEEN,
					false);
		dysco_anchor_tell_plain(core, w->out, index, DYSCO_MSG_RELEASE, 0, true);
	} else {
		dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_FREED);
	}
}

/* After anything that may have completed a direction. */
void dysco_anchor_progress(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_TWO_PATHS && dysco_two_done(&a->two)) {
		dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_DONE);
		dysco_anchor_tell_done(core, w->out, index);
	}
	if (a->state == DYSCO_ATTEMPT_DONE && (a->seen & DYSCO_ATTEMPT_PEER_DONE)) {
		dysco_anchor_finish(core, w, index);
	}
}

/*
 * Both cuts stood, and the peer knows the attempt as failed: its session was
 * reset, and the RST lost on both paths. Ours ends the same way.
 */
void dysco_anchor_peer_gone(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool moved = a->state == DYSCO_ATTEMPT_RELEASING || a->state == DYSCO_ATTEMPT_FREED;
	uint32_t slot = moved ? a->new_slot : a->old_slot;

	if (mail->msg.attempt.reason != DYSCO_NACK_EXPIRED || !(a->seen & DYSCO_ATTEMPT_PEER_CUT)) {
		return;
	}
	a->reason = DYSCO_NACK_CLOSING;
	if (moved) {
		a->new_slot = DYSCO_NO_SLOT;
		dysco_cold_at(core, slot)->attempt = DYSCO_NO_ATTEMPT;
	}
	dysco_anchor_end_failed(core, mail->w->now_ns, index, mail->w->out);
	dysco_reset_session(core, mail->w->now_ns, slot, mail->w->out);
}

void dysco_anchor_peer_done(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state < DYSCO_ATTEMPT_TWO_PATHS || !(a->seen & DYSCO_ATTEMPT_PEER_CUT)) {
		return;
	}
	a->seen |= DYSCO_ATTEMPT_PEER_DONE | DYSCO_ATTEMPT_CUT_SEEN;
	dysco_relay_peer_done(core, mail->w->now_ns, a, mail->w->out);
	if (a->state != DYSCO_ATTEMPT_TWO_PATHS &&
	    !(mail->msg.attempt.flags & DYSCO_CONTROL_SEEN)) {
		dysco_reply(core, mail, DYSCO_MSG_DONE, DYSCO_NACK_NONE, DYSCO_CONTROL_SEEN);
	}
	dysco_anchor_progress(core, mail->w, index);
}

static void ends_here(struct dysco_work *w, uint32_t slot)
{
	dysco_act(w->out, DYSCO_ACT_DROP, slot);
}

static void new_leg_packet(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_TWO_PATHS || a->state == DYSCO_ATTEMPT_DONE) {
		if ((w->p.flags & DYSCO_TCP_SYN) && a->role == DYSCO_PART_LEFT_ANCHOR) {
			ends_here(w, a->new_slot);
			dysco_new_path_ack(core, index, w->out);
			return;
		}
		dysco_relay_in(core, w, a, DYSCO_PATH_NEW);
		return;
	}
	if (w->p.payload_bytes > 0 || (w->p.flags & DYSCO_TCP_FIN)) {
		dysco_drop(core, w, a->new_slot, DYSCO_REASON_PENDING); /* sooner than the cut */
		return;
	}
	ends_here(w, a->new_slot);
	if (a->role == DYSCO_PART_RIGHT_ANCHOR) {
		dysco_right_handshake(core, w, index);
	} else if (a->state == DYSCO_ATTEMPT_SETTING_UP || a->state == DYSCO_ATTEMPT_PROVING) {
		dysco_left_handshake(core, w, index);
	} else if (a->state == DYSCO_ATTEMPT_CUTTING && (w->p.flags & DYSCO_TCP_SYN)) {
		dysco_new_path_ack(core, index, w->out);
	}
}

/* A RST has ended the session in two paths: both legs are what it left behind. */
static void session_reset(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t old = a->old_slot, new = a->new_slot;

	a->reason = DYSCO_NACK_CLOSING;
	dysco_nonce_over(core, a->nonce, false);
	dysco_event(w->out, DYSCO_EVENT_RECONFIG_FAILED, old, (enum dysco_reason)a->reason);
	dysco_leg_set_fast(core, old);
	dysco_attempt_end(core, w->now_ns, index);
	bury(core, w->now_ns, new);
}

void dysco_anchor_packet(struct dysco_core *core, struct dysco_work *w, uint32_t slot,
			 uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (slot == a->new_slot) {
		new_leg_packet(core, w, index);
	} else if (!dysco_attempt_is_two_paths(a)) {
		dysco_drop(core, w, slot, DYSCO_REASON_PENDING); /* a recovery's old path */
	} else if (w->in->direction == DYSCO_OUT) {
		dysco_relay_out(core, w, a);
	} else {
		dysco_relay_in(core, w, a, DYSCO_PATH_OLD);
	}
	if (a->role == DYSCO_PART_NONE) {
		return;
	}
	if (a->two.reset && dysco_attempt_is_two_paths(a)) {
		session_reset(core, w, index);
		return;
	}
	dysco_anchor_progress(core, w, index);
}

void dysco_anchor_session_over(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			       struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);
	bool left = a->role == DYSCO_PART_LEFT_ANCHOR;

	if (a->state == DYSCO_ATTEMPT_RELEASING || a->state == DYSCO_ATTEMPT_FREED) {
		return; /* the session is the new leg's alone */
	}
	a->reason = DYSCO_NACK_CLOSING;
	if (a->cut_made) {
		reset_after_cut(core, index, out);
		a->cut_made = 0;
	} else {
		dysco_new_path_reset(core, index, out);
		msg.attempt.reason = DYSCO_NACK_CLOSING;
		dysco_ctl_send(core, out, control_of(a), left ? DYSCO_MSG_CANCEL : DYSCO_MSG_NACK,
			       &msg);
	}
	dysco_anchor_end_failed(core, now_ns, index, out);
}

static uint64_t back_off(uint8_t tries)
{
	uint64_t wait = DYSCO_RETRY_FIRST_NS << (tries < 3 ? tries : 3);

	return wait < DYSCO_RETRY_MAX_NS ? wait : DYSCO_RETRY_MAX_NS;
}

void dysco_anchor_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		      struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool before_cut = a->role == DYSCO_PART_LEFT_ANCHOR && a->state < DYSCO_ATTEMPT_CUTTING;

	a->tries = (uint8_t)(a->tries + (a->tries < UINT8_MAX));
	a->next_ns = now_ns + back_off(a->tries);
	if (a->role == DYSCO_PART_RIGHT_ANCHOR) {
		dysco_right_due(core, now_ns, index, out);
	} else if (before_cut && dysco_leg_is_over(dysco_leg_at(core, a->old_slot))) {
		dysco_anchor_cancel(core, now_ns, index, DYSCO_NACK_CLOSING, out);
	} else if (a->tries > DYSCO_TRIES_MAX) {
		dysco_left_too_often(core, now_ns, index, out);
	} else {
		dysco_left_repeat(core, now_ns, index, out);
	}
}
