/* SPDX-License-Identifier: BSD-2-Clause */
/* The right anchor (anchor.c): what it grants, what it is told, what it repeats. */
#include "core/anchor.h"

/* CUTs by the old path with nothing by the new one: the last of these comes 1.75 s after the first.
 */
#define CUTS_ALONE 4

static void tell_locked(struct dysco_core *core, struct dysco_actions *out, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	if (a->kind == DYSCO_KIND_RECOVERY) {
		msg.numbers = dysco_recovery_numbers(core, a->old_slot);
	} else {
		if (a->kind == DYSCO_KIND_LATE) {
			msg.numbers = dysco_late_numbers(core, a->old_slot);
		}
		msg.numbers.seq = a->locked.seq_out;
		msg.numbers.ts = a->locked.ts_out;
	}
	dysco_chain_at(core, a->old_slot, &msg.chain);
	dysco_ctl_send(core, out, a->to_left, DYSCO_MSG_LOCKED, &msg);
	dysco_anchor_keep_warm(core, out, index, DYSCO_MSG_LOCKED, &msg);
}

static void tell_ready(struct dysco_core *core, struct dysco_actions *out, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	msg.numbers.seq = a->peer_isn;
	msg.numbers.ts = a->isn;
	dysco_new_path_ack(core, index, out); /* the opening ACK */
	dysco_ctl_send(core, out, a->to_left, DYSCO_MSG_READY, &msg);
}

/*
 * A recovery: the old path is gone, and with it whatever another attempt, for which R has
 * not cut, still had to say there.
 */
static void give_way(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (mail->msg.attempt.kind == DYSCO_KIND_RECOVERY && a->role == DYSCO_PART_RIGHT_ANCHOR &&
	    (a->state == DYSCO_ATTEMPT_REQUESTED || a->state == DYSCO_ATTEMPT_WAITING ||
	     a->state == DYSCO_ATTEMPT_READY)) {
		dysco_new_path_reset(core, index, mail->w->out);
		dysco_anchor_end_failed(core, mail->w->now_ns, index, mail->w->out);
	}
}

void dysco_anchor_requested(struct dysco_core *core, const struct dysco_mail *mail, uint32_t left)
{
	const struct dysco_leg *leg = dysco_leg_at(core, left);
	struct dysco_leg_cold *cold = dysco_cold_at(core, left);
	uint32_t index = DYSCO_NO_ATTEMPT;
	enum dysco_nack reason;
	struct dysco_attempt *a;

	give_way(core, mail, cold->attempt);
	reason = cold->attempt != DYSCO_NO_ATTEMPT ? DYSCO_NACK_BUSY : dysco_leg_not_ready(leg);

	if (reason == DYSCO_NACK_NONE) {
		index = dysco_attempt_make(core, DYSCO_PART_RIGHT_ANCHOR, mail->host, &mail->msg);
		reason = DYSCO_NACK_RESOURCES;
	}
	if (index == DYSCO_NO_ATTEMPT) {
		dysco_nonce_over(core, mail->msg.attempt.nonce, false);
		dysco_reply(core, mail, DYSCO_MSG_NACK, reason, 0);
		return;
	}
	a = dysco_attempt_at(core, index);
	a->old_slot = left;
	a->to_left = mail->via;
	a->started_ns = mail->w->now_ns;
	a->locked = leg->offsets;
	if (a->kind == DYSCO_KIND_RECOVERY) {
		a->fixed_cut = mail->msg.numbers.base;
		dysco_anchor_set_mode(core, left, DYSCO_MODE_PUNT);
	} else if (a->kind == DYSCO_KIND_ORDINARY) {
		a->offset_in = mail->msg.numbers.seq + leg->offsets.seq_in;
		a->ts_in = mail->msg.numbers.ts + leg->offsets.ts_in;
	}
	cold->attempt = index;
	dysco_cold_at(core, mail->via)->attempt = index;
	dysco_cold_at(core, mail->via)->ended_ns = 0;
	dysco_attempt_enter(core, mail->w->now_ns, index, DYSCO_ATTEMPT_REQUESTED);
	dysco_attempt_heard(core, mail->w->now_ns, index);
	tell_locked(core, mail->w->out, index);
}

void dysco_right_answer_syn(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	dysco_new_path_syn(core, index, out);
	tell_ready(core, out, index);
}

/* Before it has cut, R may end an attempt by itself: it has not used the new path. */
static void right_refuse(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index,
			 enum dysco_nack reason)
{
	dysco_reply(core, mail, DYSCO_MSG_NACK, reason, 0);
	dysco_anchor_end_failed(core, mail->w->now_ns, index, mail->w->out);
}

/*
 * L's ACK has come by the new path: its boxes have let it through, and know L's window. Behind a
 * box with deltas the edge is the box's, which L need never reach.
 */
static bool may_cut(const struct dysco_core *core, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	return a->state == DYSCO_ATTEMPT_READY &&
	       (a->offset_in != 0 || dysco_anchor_window_shown(core, index));
}

static void make_cut(struct dysco_core *core, uint64_t now_ns, uint32_t index, uint32_t peer_cut)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	dysco_anchor_make_cut(core, index);
	dysco_relay_peer_cut(core, a, peer_cut);
	a->seen |= DYSCO_ATTEMPT_PEER_CUT;
	dysco_attempt_enter(core, now_ns, index, DYSCO_ATTEMPT_TWO_PATHS);
}

/*
 * L cuts before it knows that its ACK comes through. Its CUT is kept for the ACK; when it comes
 * again and again by the old path alone, something on the new one lets SYN and SYN-ACK through
 * and nothing else, and L's host waits for what it has sent there.
 */
static void cut_waits(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	a->asked = mail->msg.numbers;
	a->cuts = mail->new_path || a->cuts == 0 ? 1 : a->cuts;
	a->cuts = (uint8_t)(a->cuts + (!mail->new_path && a->cuts <= CUTS_ALONE));
	if (a->state == DYSCO_ATTEMPT_WAITING && a->cuts > CUTS_ALONE) {
		right_refuse(core, mail, index, DYSCO_NACK_NEW_PATH);
	}
}

static void right_cut(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_WAITING || a->state == DYSCO_ATTEMPT_READY) {
		if (mail->msg.numbers.base != a->peer_isn + 1) {
			right_refuse(core, mail, index, DYSCO_NACK_RENUMBERED);
			return;
		}
		if (dysco_anchor_is_closing(dysco_leg_at(core, a->old_slot))) {
			right_refuse(core, mail, index, DYSCO_NACK_CLOSING);
			return;
		}
		if (!may_cut(core, index)) {
			cut_waits(core, mail, index);
			return;
		}
		make_cut(core, mail->w->now_ns, index, mail->msg.numbers.seq);
	}
	if (mail->msg.attempt.flags & DYSCO_CONTROL_SEEN) {
		a->seen |= DYSCO_ATTEMPT_CUT_SEEN;
	} else if (a->seen & DYSCO_ATTEMPT_PEER_CUT) {
		dysco_anchor_answer_cut(core, mail, index, DYSCO_CONTROL_SEEN);
	}
	dysco_anchor_progress(core, mail->w, index);
}

/* Only R can undo the cuts: it alone knows whether anything was taken from the new path. */
static void right_cancel(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_FREED || (a->seen & DYSCO_ATTEMPT_TAKEN) ||
	    (a->seen & DYSCO_ATTEMPT_CUT_SEEN)) {
		a->seen |= DYSCO_ATTEMPT_TAKEN; /* refused once, refused for ever */
		dysco_anchor_answer_cut(core, mail, index,
					DYSCO_CONTROL_SEEN | DYSCO_CONTROL_REFUSED);
		return;
	}
	dysco_reply(core, mail, DYSCO_MSG_CANCELLED, DYSCO_NACK_NONE, 0);
	dysco_new_path_reset(core, index, mail->w->out); /* L's may be lost */
	dysco_anchor_end_failed(core, mail->w->now_ns, index, mail->w->out);
}

static void right_release(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_DONE) {
		a->seen |= DYSCO_ATTEMPT_PEER_DONE;
		dysco_anchor_finish(core, mail->w, index);
	}
	if (a->state == DYSCO_ATTEMPT_FREED) {
		dysco_reply(core, mail, DYSCO_MSG_RELEASED, DYSCO_NACK_NONE, 0);
		dysco_anchor_end_completed(core, mail->w->now_ns, index, mail->w->out);
	}
}

void dysco_right_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	dysco_attempt_heard(core, mail->w->now_ns, index);
	switch (mail->type) {
	case DYSCO_MSG_LOCK:
		dysco_attempt_heard_by(core, index, mail->via, mail->w->now_ns);
		tell_locked(core, mail->w->out, index);
		break;
	case DYSCO_MSG_CUT:
		right_cut(core, mail, index);
		break;
	case DYSCO_MSG_DONE:
		dysco_anchor_peer_done(core, mail, index);
		break;
	case DYSCO_MSG_CANCEL:
		right_cancel(core, mail, index);
		break;
	case DYSCO_MSG_RELEASE:
		right_release(core, mail, index);
		break;
	case DYSCO_MSG_NACK:
		dysco_anchor_peer_gone(core, mail, index);
		break;
	default:
		break;
	}
}

void dysco_right_handshake(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	if (w->p.flags & DYSCO_TCP_RST) {
		if (w->p.seq == a->peer_isn + 1 && a->state != DYSCO_ATTEMPT_REQUESTED) {
			a->seen |= DYSCO_ATTEMPT_REFUSED;
			msg.attempt.reason = DYSCO_NACK_NEW_PATH;
			dysco_ctl_send(core, w->out, a->to_left, DYSCO_MSG_NACK, &msg);
			dysco_anchor_end_failed(core, w->now_ns, index, w->out);
		}
		return;
	}
	if ((w->p.flags & DYSCO_TCP_SYN) || w->p.ack != a->isn + 1) {
		return;
	}
	dysco_anchor_window_came(core, &w->p, index);
	if (a->state == DYSCO_ATTEMPT_WAITING) {
		dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_READY);
	}
	if (a->cuts > 0 && may_cut(core, index) &&
	    !dysco_anchor_is_closing(dysco_leg_at(core, a->old_slot))) {
		make_cut(core, w->now_ns, index, a->asked.seq);
		dysco_anchor_tell_cut(core, w->out, index, DYSCO_CONTROL_SEEN);
		return;
	}
	tell_ready(core, w->out, index);
}

void dysco_right_due(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		     struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool lapsed = now_ns >= a->lease_ns;

	switch (a->state) {
	case DYSCO_ATTEMPT_WAITING:
	case DYSCO_ATTEMPT_REQUESTED:
	case DYSCO_ATTEMPT_READY:
		if (lapsed) {
			dysco_new_path_reset(core, index, out);
			dysco_anchor_end_failed(core, now_ns, index, out);
		} else if (a->state == DYSCO_ATTEMPT_WAITING) {
			dysco_right_answer_syn(core, index, out);
		} else if (a->state == DYSCO_ATTEMPT_READY) {
			tell_ready(core, out, index);
		}
		break;
	case DYSCO_ATTEMPT_TWO_PATHS:
		if (!(a->seen & DYSCO_ATTEMPT_CUT_SEEN)) {
			dysco_anchor_tell_cut(core, out, index, DYSCO_CONTROL_SEEN);
		}
		break;
	case DYSCO_ATTEMPT_DONE:
		dysco_anchor_tell_done(core, out, index);
		break;
	default:
		if (lapsed) {
			dysco_anchor_end_completed(core, now_ns, index, out);
		}
		break;
	}
}
