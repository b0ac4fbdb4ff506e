/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks of the subsessions between the anchors (docs/protocol.md 12.3; paper
 * III-B). The lock of a subsession is the attempt its right-facing leg refers
 * to: none is UNLOCKED, state REQUESTING is PENDING, LOCKED is LOCKED. Agents
 * between decide about locks only; everything else they pass on. What renews a
 * lock goes along the subsession itself, too: a NAT that sees nothing of it for
 * long forgets it, and the old path is needed until both anchors have said DONE.
 */
#include "core/reconfig.h"

#include <string.h>

enum dysco_nack dysco_leg_not_settled(const struct dysco_leg *leg)
{
	uint8_t both = leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen;
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	if (dysco_leg_is_over(leg) || (seen & DYSCO_SEEN_FIN)) {
		return DYSCO_NACK_CLOSING;
	}
	if (!dysco_leg_runs(leg) || !(seen & DYSCO_SEEN_SYNACK) || !(both & DYSCO_SEEN_ACK) ||
	    (leg->flags & DYSCO_LEG_LATE)) {
		return DYSCO_NACK_NOT_READY;
	}
	return DYSCO_NACK_NONE;
}

enum dysco_nack dysco_leg_not_ready(const struct dysco_leg *leg)
{
	enum dysco_nack reason = dysco_leg_not_settled(leg);
	uint8_t both = leg->options[DYSCO_OUT].flags & leg->options[DYSCO_IN].flags;

	return reason == DYSCO_NACK_NONE && !(both & DYSCO_SYN_NOTED) ? DYSCO_NACK_NOT_READY
								      : reason;
}

/* Both legs of the host between are that of one session; the right one holds the lock. */
static void fill_between(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index,
			 uint32_t left)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	a->left_slot = left;
	a->old_slot = dysco_leg_at(core, left)->partner;
	a->to_left = mail->via;
	a->asked = mail->msg.numbers;
	dysco_cold_at(core, mail->via)->attempt = index;
	dysco_cold_at(core, mail->via)->ended_ns = 0;
	dysco_attempt_heard(core, mail->w->now_ns, index);
}

/* ---- passing on ---- */

/* What the path adds here on the way to the right, to the left. */
static void add_right(const struct dysco_core *core, const struct dysco_attempt *a,
		      struct dysco_numbers *n)
{
	const struct dysco_leg *left = dysco_leg_at(core, a->left_slot);
	const struct dysco_leg *right = dysco_leg_at(core, a->old_slot);
	const struct dysco_leg_cold *box = dysco_cold_at(core, a->left_slot);

	n->seq += left->offsets.seq_in + box->delta_right + right->offsets.seq_out;
	n->ts += left->offsets.ts_in + box->ts_right + right->offsets.ts_out;
}

static void add_left(const struct dysco_core *core, const struct dysco_attempt *a,
		     struct dysco_numbers *n)
{
	const struct dysco_leg *left = dysco_leg_at(core, a->left_slot);
	const struct dysco_leg *right = dysco_leg_at(core, a->old_slot);
	const struct dysco_leg_cold *box = dysco_cold_at(core, a->left_slot);

	n->seq += right->offsets.seq_in + box->delta_left + left->offsets.seq_out;
	n->ts += right->offsets.ts_in + box->ts_left + left->offsets.ts_out;
}

static void forward_lock(struct dysco_core *core, struct dysco_actions *out, uint64_t now_ns,
			 uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = dysco_attempt_message(core, index);

	if (a->to_right == DYSCO_NO_SLOT) {
		a->to_right = dysco_ctl_open(core, now_ns, a->old_slot, index, NULL);
	}
	msg.subsession = dysco_leg_at(core, a->old_slot)->wire_tuple;
	msg.list = a->list;
	msg.numbers = a->asked;
	add_right(core, a, &msg.numbers);
	dysco_ctl_send(core, out, a->to_right, DYSCO_MSG_LOCK, &msg);
	if (a->state != DYSCO_ATTEMPT_REQUESTING) {
		dysco_ctl_along(core, out, a->old_slot, DYSCO_MSG_LOCK, &msg);
	}
}

/* ---- the request that waits ---- */

void dysco_kept_forget(struct dysco_core *core, uint32_t kept)
{
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		if (dysco_attempt_at(core, i)->kept == kept) {
			dysco_attempt_at(core, i)->kept = DYSCO_NO_ATTEMPT;
		}
	}
}

void dysco_kept_refuse(struct dysco_core *core, struct dysco_actions *out, uint64_t now_ns,
		       uint32_t kept, enum dysco_nack reason)
{
	struct dysco_attempt *a = dysco_attempt_at(core, kept);
	struct dysco_msg_control msg = dysco_attempt_message(core, kept);

	msg.attempt.reason = (uint8_t)reason;
	dysco_nonce_over(core, a->nonce, false);
	dysco_ctl_send(core, out, a->to_left, DYSCO_MSG_NACK, &msg);
	dysco_attempt_end(core, now_ns, kept);
}

void dysco_kept_resume(struct dysco_core *core, struct dysco_work *w, uint32_t kept)
{
	struct dysco_attempt *a = dysco_attempt_at(core, kept);
	struct dysco_mail mail = {
	    .w = w, .via = a->to_left, .host = a->host, .type = DYSCO_MSG_LOCK};

	mail.msg = dysco_attempt_message(core, kept);
	mail.msg.list = a->list;
	mail.msg.numbers = a->asked;
	mail.msg.subsession = dysco_tuple_reverse(&dysco_leg_at(core, a->left_slot)->wire_tuple);
	dysco_attempt_end(core, w->now_ns, kept);
	dysco_lock_requested(core, &mail);
}

/* One request can wait for another one's answer; a third has to come again. */
static bool keep(struct dysco_core *core, const struct dysco_mail *mail, uint32_t left,
		 uint32_t holder)
{
	struct dysco_attempt *a = dysco_attempt_at(core, holder);
	uint32_t kept = DYSCO_NO_ATTEMPT;

	if (a->state == DYSCO_ATTEMPT_REQUESTING && a->kept == DYSCO_NO_ATTEMPT) {
		kept = dysco_attempt_make(core, DYSCO_PART_KEPT, mail->host, &mail->msg);
	}
	if (kept == DYSCO_NO_ATTEMPT) {
		return false;
	}
	fill_between(core, mail, kept, left);
	dysco_attempt_enter(core, mail->w->now_ns, kept, DYSCO_ATTEMPT_REQUESTING);
	a->kept = kept;
	return true;
}

/* ---- a new request ---- */

static bool on_new_path(const struct dysco_core *core, uint16_t host,
			const struct dysco_address_list *list)
{
	const struct dysco_host *own = dysco_setup_host(core->setup, host);

	for (uint8_t i = 0; own && i < list->count; i++) {
		if (dysco_host_has(own, &list->hops[i].addr)) {
			return true;
		}
	}
	return false;
}

/* Why this host, between the anchors, cannot pass the request on. */
static enum dysco_nack refuse_between(const struct dysco_core *core, const struct dysco_mail *mail,
				      uint32_t left)
{
	const struct dysco_leg *leg = dysco_leg_at(core, left);
	const struct dysco_leg_cold *box = dysco_cold_at(core, left);
	enum dysco_nack reason;

	if (leg->partner == DYSCO_NO_SLOT) {
		return DYSCO_NACK_NO_ANCHOR;
	}
	if (box->attempt != DYSCO_NO_ATTEMPT) {
		return DYSCO_NACK_BUSY; /* in two paths on that side */
	}
	reason = dysco_leg_not_ready(leg);
	if (reason == DYSCO_NACK_NONE) {
		const struct dysco_leg *right = dysco_leg_at(core, leg->partner);
		uint32_t holder = dysco_cold_at(core, leg->partner)->attempt;

		reason = right->mode == DYSCO_MODE_PUNT && holder != DYSCO_NO_ATTEMPT
			     ? DYSCO_NACK_BUSY
			     : dysco_leg_not_ready(right);
	}
	if (reason == DYSCO_NACK_NONE && on_new_path(core, mail->host, &mail->msg.list)) {
		reason = DYSCO_NACK_INVALID;
	}
	return reason == DYSCO_NACK_NONE && box->thawed ? DYSCO_NACK_NOT_READY : reason;
}

static void refuse(struct dysco_core *core, const struct dysco_mail *mail, enum dysco_nack reason)
{
	dysco_nonce_over(core, mail->msg.attempt.nonce, false);
	dysco_reply(core, mail, DYSCO_MSG_NACK, reason, 0);
}

/* The left anchor knows another chain than there is, perhaps: it is told, and may ask again. */
static void refuse_knowing(struct dysco_core *core, const struct dysco_mail *mail, uint32_t left,
			   enum dysco_nack reason)
{
	struct dysco_msg_control msg = {.id = mail->msg.id, .attempt = mail->msg.attempt};

	msg.attempt.reason = (uint8_t)reason;
	dysco_chain_at(core, left, &msg.chain);
	dysco_nonce_over(core, mail->msg.attempt.nonce, false);
	dysco_ctl_send(core, mail->w->out, mail->via, DYSCO_MSG_NACK, &msg);
}

static void pass_between(struct dysco_core *core, const struct dysco_mail *mail, uint32_t left)
{
	uint32_t right = dysco_leg_at(core, left)->partner;
	uint32_t holder = dysco_cold_at(core, right)->attempt;
	uint32_t index;

	if (holder != DYSCO_NO_ATTEMPT) {
		if (!keep(core, mail, left, holder)) {
			refuse(core, mail, DYSCO_NACK_BUSY);
		}
		return;
	}
	index = dysco_attempt_make(core, DYSCO_PART_BETWEEN, mail->host, &mail->msg);
	if (index == DYSCO_NO_ATTEMPT) {
		refuse(core, mail, DYSCO_NACK_RESOURCES);
		return;
	}
	fill_between(core, mail, index, left);
	dysco_cold_at(core, right)->attempt = index;
	dysco_attempt_enter(core, mail->w->now_ns, index, DYSCO_ATTEMPT_REQUESTING);
	forward_lock(core, mail->w->out, mail->w->now_ns, index);
}

/* The leg of the host that faces left. */
static uint32_t left_leg(const struct dysco_core *core, const struct dysco_mail *mail)
{
	uint32_t slot = dysco_leg_of_session(core, mail->host, &mail->msg);
	uint8_t role = dysco_leg_at(core, slot)->role;

	if (slot != DYSCO_NO_SLOT && role == DYSCO_ROLE_RIGHT) {
		slot = dysco_leg_at(core, slot)->partner;
		role = dysco_leg_at(core, slot)->role;
	}
	return role == DYSCO_ROLE_LEFT || role == DYSCO_ROLE_LAST ? slot : DYSCO_NO_SLOT;
}

void dysco_lock_requested(struct dysco_core *core, const struct dysco_mail *mail)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, mail->host);
	uint32_t left = left_leg(core, mail);
	enum dysco_nack reason;

	if (mail->msg.attempt.kind == DYSCO_KIND_LATE) {
		if (left == DYSCO_NO_SLOT) {
			left = dysco_late_arrived(core, mail);
		}
		if (left != DYSCO_NO_SLOT &&
		    dysco_leg_not_ready(dysco_leg_at(core, left)) == DYSCO_NACK_NOT_READY) {
			return; /* it comes again: until then the session may be seen */
		}
	}
	if (left == DYSCO_NO_SLOT || !host) {
		refuse(core, mail, DYSCO_NACK_UNKNOWN);
		return;
	}
	if (mail->msg.attempt.kind == DYSCO_KIND_RECOVERY &&
	    !dysco_recovery_fits(core, mail, left)) {
		refuse(core, mail, DYSCO_NACK_NOT_READY);
		return;
	}
	if (dysco_host_has(host, &mail->msg.attempt.right)) {
		dysco_anchor_requested(core, mail, left);
		return;
	}
	reason = refuse_between(core, mail, left);
	if (reason == DYSCO_NACK_NO_ANCHOR || reason == DYSCO_NACK_INVALID) {
		refuse_knowing(core, mail, left, reason);
		return;
	}
	if (reason != DYSCO_NACK_NONE) {
		refuse(core, mail, reason);
		return;
	}
	pass_between(core, mail, left);
}

/* ---- messages that pass ---- */

/* What is told of the chain is learned, and passed on with this host in it. */
static void pass_chain(struct dysco_core *core, const struct dysco_attempt *a,
		       struct dysco_address_list *chain)
{
	if (chain->count > 0) {
		dysco_chain_learn(core, a->old_slot, chain);
		dysco_chain_at(core, a->left_slot, chain);
	}
}

/* Nothing is waited for any more: the lock opens. */
static void is_over(struct dysco_core *core, struct dysco_work *w, uint32_t index, bool completed)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t kept = a->kept, left = a->left_slot;

	dysco_nonce_over(core, a->nonce, completed);
	dysco_attempt_end(core, w->now_ns, index);
	if (completed) {
		dysco_leave_box(core, w->now_ns, left, w->out);
	}
	if (kept != DYSCO_NO_ATTEMPT) {
		dysco_kept_resume(core, w, kept);
	}
}

/* The last word of the right anchor, or a refusal, passed on. */
static void last_word(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = mail->msg;

	pass_chain(core, a, &msg.chain);
	dysco_ctl_send(core, mail->w->out, a->to_left, (enum dysco_message_type)mail->type, &msg);
	is_over(core, mail->w, index, mail->type == DYSCO_MSG_RELEASED);
}

static void locked(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_msg_control msg = mail->msg;
	bool renewed = a->state != DYSCO_ATTEMPT_REQUESTING;
	uint32_t kept = a->kept;

	if (!renewed) {
		dysco_attempt_enter(core, mail->w->now_ns, index, DYSCO_ATTEMPT_LOCKED);
		a->kept = DYSCO_NO_ATTEMPT;
		if (kept != DYSCO_NO_ATTEMPT) {
			dysco_kept_refuse(core, mail->w->out, mail->w->now_ns, kept,
					  DYSCO_NACK_BUSY);
		}
	}
	add_left(core, a, &msg.numbers);
	pass_chain(core, a, &msg.chain);
	dysco_ctl_send(core, mail->w->out, a->to_left, DYSCO_MSG_LOCKED, &msg);
	if (renewed) {
		dysco_ctl_along(core, mail->w->out, a->left_slot, DYSCO_MSG_LOCKED, &msg);
	}
}

static void from_left(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	struct dysco_work *w = mail->w;
	bool last =
	    mail->type == DYSCO_MSG_RELEASE && (mail->msg.attempt.flags & DYSCO_CONTROL_LAST);

	if (mail->type == DYSCO_MSG_LOCK) {
		forward_lock(core, w->out, w->now_ns, index);
		return;
	}
	dysco_ctl_send(core, w->out, a->to_right, (enum dysco_message_type)mail->type, &mail->msg);
	if (last && a->state != DYSCO_ATTEMPT_REQUESTING) {
		is_over(core, w, index, true);
	}
}

static void from_right(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	switch (mail->type) {
	case DYSCO_MSG_LOCKED:
		locked(core, mail, index);
		break;
	case DYSCO_MSG_NACK:
	case DYSCO_MSG_CANCELLED:
	case DYSCO_MSG_RELEASED:
		last_word(core, mail, index);
		break;
	default:
		dysco_ctl_send(core, mail->w->out, dysco_attempt_at(core, index)->to_left,
			       (enum dysco_message_type)mail->type, &mail->msg);
		break;
	}
}

void dysco_between_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	dysco_attempt_heard(core, mail->w->now_ns, index);
	if (mail->via == a->to_right) {
		from_right(core, mail, index);
	} else {
		dysco_attempt_heard_by(core, index, mail->via, mail->w->now_ns);
		from_left(core, mail, index);
	}
}

/* Its owner may give up while it waits. */
void dysco_kept_mail(struct dysco_core *core, const struct dysco_mail *mail, uint32_t index)
{
	dysco_attempt_heard(core, mail->w->now_ns, index);
	if (mail->type != DYSCO_MSG_CANCEL) {
		return;
	}
	dysco_kept_forget(core, index);
	dysco_nonce_over(core, mail->msg.attempt.nonce, false);
	dysco_reply(core, mail, DYSCO_MSG_CANCELLED, DYSCO_NACK_NONE, 0);
	dysco_attempt_end(core, mail->w->now_ns, index);
}

/*
 * Nobody has spoken of it for long: the lock opens. The record stays, to pass on
 * what may still come, until another one needs its place.
 */
void dysco_lease_over(struct dysco_core *core, uint64_t now_ns, uint32_t index,
		      struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t kept = a->kept;

	if (a->role == DYSCO_PART_KEPT) {
		dysco_kept_forget(core, index);
		dysco_kept_refuse(core, out, now_ns, index, DYSCO_NACK_EXPIRED);
		return;
	}
	a->kept = DYSCO_NO_ATTEMPT;
	if (kept != DYSCO_NO_ATTEMPT) {
		dysco_kept_refuse(core, out, now_ns, kept, DYSCO_NACK_BUSY);
	}
	if (a->state == DYSCO_ATTEMPT_LAPSED || a->role == DYSCO_PART_INSERTED) {
		dysco_attempt_end(core, now_ns, index);
		return;
	}
	if (a->old_slot != DYSCO_NO_SLOT && dysco_cold_at(core, a->old_slot)->attempt == index) {
		dysco_cold_at(core, a->old_slot)->attempt = DYSCO_NO_ATTEMPT;
	}
	dysco_attempt_enter(core, now_ns, index, DYSCO_ATTEMPT_LAPSED);
	a->lease_ns = now_ns + 10 * DYSCO_LEASE_NS;
}
