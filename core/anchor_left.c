/* SPDX-License-Identifier: BSD-2-Clause */
/* The left anchor (anchor.c): what it asks for, what it is told, what it repeats. */
#include "core/anchor.h"

void dysco_anchor_lock(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	msg.subsession = old->wire_tuple;
	msg.list = a->list;
	if (a->kind == DYSCO_KIND_RECOVERY) {
		msg.numbers = dysco_recovery_numbers(core, a->old_slot);
	} else if (a->kind == DYSCO_KIND_LATE) {
		msg.numbers = dysco_late_numbers(core, a->old_slot);
	} else {
		msg.numbers.seq = old->offsets.seq_out;
		msg.numbers.ts = old->offsets.ts_out;
	}
	dysco_ctl_send(core, out, a->to_right, DYSCO_MSG_LOCK, &msg);
	dysco_anchor_keep_warm(core, out, index, DYSCO_MSG_LOCK, &msg);
	if (a->kind == DYSCO_KIND_LATE && a->state == DYSCO_ATTEMPT_REQUESTING) {
		dysco_late_probe(core, a->old_slot, out);
	}
}

/*
 * R answers with its window of then, and that fits unless L has heard of a farther edge meanwhile:
 * asked again for the same one, by whatever comes, the two would never come to rest. What is lost
 * is for the timer.
 */
static void ask_for_window(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t edge = dysco_anchor_edge(core, index);

	if (a->awaits && a->awaited_edge == edge) {
		return;
	}
	a->awaits = 1;
	a->awaited_edge = edge;
	a->seen &= (uint8_t)~DYSCO_ATTEMPT_OPENED;
	dysco_new_path_show(core, index, out);
}

/* Behind a box with deltas the edge is the box's, which R need never reach: it is asked once. */
static bool window_fits(const struct dysco_core *core, uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	return dysco_anchor_window_shown(core, index) || (a->offset_in != 0 && a->awaits);
}

static void maybe_cut(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const uint8_t both = DYSCO_ATTEMPT_READY_IN | DYSCO_ATTEMPT_OPENED;
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);

	if (a->state != DYSCO_ATTEMPT_PROVING || (a->seen & both) != both) {
		return;
	}
	if (dysco_anchor_is_closing(old)) {
		dysco_anchor_cancel(core, w->now_ns, index, DYSCO_NACK_CLOSING, w->out);
		return;
	}
	if (!window_fits(core, index)) {
		ask_for_window(core, index, w->out);
		return;
	}
	dysco_new_path_show(core, index, w->out); /* with the window that R's cut has to fit into */
	dysco_anchor_make_cut(core, index);
	dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_CUTTING);
	dysco_anchor_tell_cut(core, w->out, index, 0);
}

/* Why the old path as it is, which LOCKED tells, must not be left; what it is is known then. */
static enum dysco_nack old_path_refuses(struct dysco_core *core, const struct dysco_mail *mail,
					uint32_t index)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_address_list *told = &mail->msg.chain;
	bool known = told->count == 0 || a->kind != DYSCO_KIND_ORDINARY ||
		     dysco_chain_is_known(core, a->old_slot, told, &a->right);

	dysco_chain_learn(core, a->old_slot, told);
	if (known || !core->keeps_chains) {
		return DYSCO_NACK_NONE;
	}
	if (a->to_left == DYSCO_NO_SLOT) {
		return DYSCO_NACK_CHANGED;
	}
	/* a box has asked, for a path from here: only what must not be left is in its way */
	return dysco_leaves_mandatory(core, a->old_slot, &a->list) ? DYSCO_NACK_POLICY
								   : DYSCO_NACK_NONE;
}

static void left_locked(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	uint32_t kept = a->kept;
	enum dysco_nack reason;

	if (a->state != DYSCO_ATTEMPT_REQUESTING) {
		return;
	}
	a->kept = DYSCO_NO_ATTEMPT;
	if (kept != DYSCO_NO_ATTEMPT) {
		dysco_kept_refuse(core, mail->w->out, mail->w->now_ns, kept, DYSCO_NACK_BUSY);
	}
	if (a->kind == DYSCO_KIND_RECOVERY) {
		a->fixed_cut = mail->msg.numbers.base; /* the ends' numbers are the same */
	} else {
		a->offset_in = mail->msg.numbers.seq + old->offsets.seq_in;
		a->ts_in = mail->msg.numbers.ts + old->offsets.ts_in;
	}
	if (a->kind == DYSCO_KIND_LATE) {
		dysco_late_locked(core, a->old_slot, &mail->msg.numbers);
	}
	reason = old_path_refuses(core, mail, index);
	if (reason == DYSCO_NACK_NONE) {
		reason = dysco_leg_not_ready(old);
	}
	if (reason == DYSCO_NACK_NONE &&
	    !dysco_new_path_begin(core, mail->w->now_ns, index, mail->w->out)) {
		reason = DYSCO_NACK_RESOURCES;
	}
	if (reason != DYSCO_NACK_NONE) {
		dysco_anchor_cancel(core, mail->w->now_ns, index, reason, mail->w->out);
		return;
	}
	dysco_attempt_enter(core, mail->w->now_ns, index, DYSCO_ATTEMPT_SETTING_UP);
}

static void left_refused(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint8_t reason = mail->msg.attempt.reason;

	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTING:
		a->reason = reason;
		dysco_chain_learn(core, a->old_slot, &mail->msg.chain);
		dysco_anchor_end_request(core, mail->w->now_ns, index, mail->w->out);
		break;
	case DYSCO_ATTEMPT_SETTING_UP:
	case DYSCO_ATTEMPT_PROVING:
	case DYSCO_ATTEMPT_CUTTING:
		dysco_anchor_cancel(core, mail->w->now_ns, index, (enum dysco_nack)reason,
				    mail->w->out);
		break;
	case DYSCO_ATTEMPT_CANCELLING:
		if (reason == DYSCO_NACK_EXPIRED) {
			dysco_anchor_end_request(core, mail->w->now_ns, index, mail->w->out);
		}
		break;
	default:
		dysco_anchor_peer_gone(core, mail, index);
		break;
	}
}

/* By a path of its own: it may come before the SYN-ACK, whose number is compared then. */
static void left_ready(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_numbers *n = &mail->msg.numbers;

	if (a->state != DYSCO_ATTEMPT_SETTING_UP && a->state != DYSCO_ATTEMPT_PROVING) {
		return;
	}
	if (n->seq != a->isn || ((a->seen & DYSCO_ATTEMPT_ANSWERED) && n->ts != a->peer_isn)) {
		dysco_anchor_cancel(core, mail->w->now_ns, index, DYSCO_NACK_RENUMBERED,
				    mail->w->out);
		return;
	}
	a->peer_isn = n->ts;
	a->seen |= DYSCO_ATTEMPT_READY_IN;
	maybe_cut(core, mail->w, index);
}

/* A plain CUT says nothing to one who has cancelled: it may be older than the CANCEL. */
static void left_cut(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool refused = mail->msg.attempt.flags & DYSCO_CONTROL_REFUSED;

	if (a->state == DYSCO_ATTEMPT_CUTTING ||
	    (a->state == DYSCO_ATTEMPT_CANCELLING && a->cut_made && refused)) {
		dysco_relay_peer_cut(core, a, mail->msg.numbers.seq);
		dysco_new_path_grant(core, index, mail->w->out);
		a->seen |= DYSCO_ATTEMPT_PEER_CUT | DYSCO_ATTEMPT_CUT_SEEN;
		a->reason = DYSCO_NACK_NONE;
		dysco_attempt_enter(core, mail->w->now_ns, index, DYSCO_ATTEMPT_TWO_PATHS);
	}
	if (a->seen & DYSCO_ATTEMPT_PEER_CUT) {
		dysco_anchor_answer_cut(core, mail, index, DYSCO_CONTROL_SEEN);
		dysco_anchor_progress(core, mail->w, index);
	}
}

/* By both paths: agents on either have opened their locks then. */
static void left_released(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	a->released |= mail->new_path ? 2 : 1;
	if (a->state == DYSCO_ATTEMPT_RELEASING && a->released == 3) {
		dysco_anchor_end_completed(core, mail->w->now_ns, index, mail->w->out);
	}
}

void dysco_left_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	dysco_attempt_heard(core, mail->w->now_ns, index);
	switch (mail->type) {
	case DYSCO_MSG_LOCKED:
		left_locked(core, mail, index);
		break;
	case DYSCO_MSG_NACK:
		left_refused(core, mail, index);
		break;
	case DYSCO_MSG_CANCELLED:
		if (a->state == DYSCO_ATTEMPT_CANCELLING) {
			dysco_anchor_end_request(core, mail->w->now_ns, index, mail->w->out);
		}
		break;
	case DYSCO_MSG_READY:
		left_ready(core, mail, index);
		break;
	case DYSCO_MSG_CUT:
		left_cut(core, mail, index);
		break;
	case DYSCO_MSG_DONE:
		dysco_anchor_peer_done(core, mail, index);
		break;
	case DYSCO_MSG_RELEASED:
		left_released(core, mail, index);
		break;
	default:
		break;
	}
}

static void first_syn_ack(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool renumbered = (a->seen & DYSCO_ATTEMPT_READY_IN) && a->peer_isn != w->p.seq;

	a->seen |= DYSCO_ATTEMPT_ANSWERED;
	a->peer_isn = w->p.seq;
	a->peer_ts = dysco_packet_tsval(&w->p, w->in->data, w->in->data + w->in->bytes);
	if (renumbered) {
		dysco_anchor_cancel(core, w->now_ns, index, DYSCO_NACK_RENUMBERED, w->out);
	} else {
		dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_PROVING);
	}
}

/*
 * SYN-ACK, opening ACK, RST: before there are two paths. An opening ACK that comes before the
 * SYN-ACK may have come to a box before it, too, which took no window from it then.
 */
void dysco_left_handshake(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool acks_syn = (w->p.flags & DYSCO_TCP_ACK) && w->p.ack == a->isn + 1;

	if (w->p.flags & DYSCO_TCP_RST) {
		bool knows_isn = a->seen & (DYSCO_ATTEMPT_ANSWERED | DYSCO_ATTEMPT_READY_IN);

		if (acks_syn || (knows_isn && w->p.seq == a->peer_isn + 1)) {
			a->seen |= DYSCO_ATTEMPT_REFUSED;
			dysco_anchor_cancel(core, w->now_ns, index, DYSCO_NACK_NEW_PATH, w->out);
		}
		return;
	}
	if (!acks_syn) {
		return;
	}
	if (w->p.flags & DYSCO_TCP_SYN) {
		if (a->state == DYSCO_ATTEMPT_SETTING_UP) {
			first_syn_ack(core, w, index);
		}
		if (a->state == DYSCO_ATTEMPT_PROVING && w->p.seq == a->peer_isn) {
			dysco_new_path_ack(core, index, w->out);
		}
	} else if (a->state == DYSCO_ATTEMPT_PROVING && w->p.seq == a->peer_isn + 1) {
		a->seen |= DYSCO_ATTEMPT_OPENED;
		dysco_anchor_window_came(core, &w->p, index);
		maybe_cut(core, w, index);
	}
}

/*
 * The last two say so, since one may be lost: what is between has nothing to wait for then, though
 * R, or what is on the way to it, is silent (docs/protocol.md 12.6).
 */
static void tell_release(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	bool last = dysco_attempt_at(core, index)->tries >= DYSCO_TRIES_MAX;

	dysco_anchor_tell_plain(core, out, index, DYSCO_MSG_RELEASE, last ? DYSCO_CONTROL_LAST : 0,
				true);
}

void dysco_left_repeat(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		       struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTING:
		dysco_anchor_lock(core, index, out);
		break;
	case DYSCO_ATTEMPT_SETTING_UP:
		dysco_new_path_syn(core, index, out);
		break;
	case DYSCO_ATTEMPT_PROVING:
		dysco_new_path_ack(core, index, out);
		break;
	case DYSCO_ATTEMPT_CUTTING:
		dysco_new_path_show(core, index, out); /* the window may have grown */
		dysco_anchor_tell_cut(core, out, index, 0);
		break;
	case DYSCO_ATTEMPT_TWO_PATHS:
		dysco_anchor_lock(core, index, out); /* the lease */
		a->next_ns = now_ns + DYSCO_RENEW_NS;
		break;
	case DYSCO_ATTEMPT_DONE:
		dysco_anchor_tell_done(core, out, index);
		break;
	case DYSCO_ATTEMPT_RELEASING:
		tell_release(core, index, out);
		break;
	default:
		if (!a->cut_made) {
			dysco_new_path_reset(core, index, out);
		}
		dysco_anchor_tell_plain(core, out, index, DYSCO_MSG_CANCEL, 0, false);
		break;
	}
}

void dysco_left_too_often(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			  struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	switch (a->state) {
	case DYSCO_ATTEMPT_REQUESTING:
		dysco_anchor_cancel(core, now_ns, index, DYSCO_NACK_TIMEOUT, out);
		break;
	case DYSCO_ATTEMPT_SETTING_UP:
	case DYSCO_ATTEMPT_PROVING:
	case DYSCO_ATTEMPT_CUTTING:
		dysco_anchor_cancel(core, now_ns, index, DYSCO_NACK_NEW_PATH, out);
		break;
	case DYSCO_ATTEMPT_RELEASING:
		tell_release(core, index, out);
		dysco_anchor_end_completed(core, now_ns, index, out);
		break;
	case DYSCO_ATTEMPT_CANCELLING:
		if (!a->cut_made) {
			dysco_anchor_end_request(core, now_ns, index, out);
			break;
		}
		dysco_left_repeat(core, now_ns, index,
				  out); /* only R can say what has become of it */
		break;
	case DYSCO_ATTEMPT_DONE: /* R is not, and needs the old path perhaps for long */
		dysco_left_repeat(core, now_ns, index, out);
		dysco_anchor_lock(core, index, out);
		a->next_ns = now_ns + DYSCO_RENEW_NS;
		break;
	default:
		dysco_left_repeat(core, now_ns, index, out);
		break;
	}
}
