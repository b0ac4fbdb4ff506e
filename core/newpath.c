/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake of a new path (docs/protocol.md 12.4): a TCP handshake of the
 * anchors' agents, with the options that the session has, so that the boxes on
 * the way see a connection that begins, with plausible numbers.
 */
#include "core/reconfig.h"

#include <string.h>

#define OPTIONS_MAX   24
#define OPT_MSS	      2
#define OPT_WSCALE    3
#define OPT_SACK      4
#define OPT_TIMESTAMP 8

bool dysco_leg_has_timestamps(const struct dysco_leg *leg)
{
	return leg->options[DYSCO_OUT].flags & leg->options[DYSCO_IN].flags & DYSCO_SYN_TS;
}

uint32_t dysco_packet_tsval(const struct dysco_packet *p, const uint8_t *data, const uint8_t *end)
{
	struct dysco_leg noted = {0};
	struct dysco_packet as_syn = *p;

	as_syn.flags |= DYSCO_TCP_SYN;
	dysco_step_note_syn(&noted, &as_syn, data, end, DYSCO_OUT);
	return noted.ts_first;
}

/* ---- segments of our own, with options ---- */

size_t dysco_put_timestamp(uint8_t *at, uint32_t tsval, uint32_t tsecr)
{
	at[0] = 1; /* no-operation, to align what follows */
	at[1] = 1;
	at[2] = OPT_TIMESTAMP;
	at[3] = 10;
	dysco_put32(at + 4, tsval);
	dysco_put32(at + 8, tsecr);
	return 12;
}

/* Of a SYN or SYN-ACK; a multiple of 4. */
static size_t put_syn_options(uint8_t *at, const struct dysco_syn_options *o)
{
	size_t n = 0;

	if (o->mss) {
		at[n++] = OPT_MSS;
		at[n++] = 4;
		dysco_put16(at + n, o->mss);
		n += 2;
	}
	if (o->wscale != DYSCO_NO_WSCALE) {
		at[n++] = 1;
		at[n++] = OPT_WSCALE;
		at[n++] = 3;
		at[n++] = o->wscale;
	}
	if (o->flags & DYSCO_SYN_SACK) {
		at[n++] = 1;
		at[n++] = 1;
		at[n++] = OPT_SACK;
		at[n++] = 2;
	}
	return n;
}

/* A segment on the new leg: its options go in as the first bytes behind the fixed header. */
static void emit(struct dysco_core *core, struct dysco_actions *out, uint32_t index, uint8_t flags,
		 uint32_t seq, uint32_t ack, const uint8_t *message, size_t bytes)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *leg = dysco_leg_at(core, a->new_slot);
	uint8_t rest[OPTIONS_MAX + 4 + DYSCO_MESSAGE_MAX];
	bool syn = flags & DYSCO_TCP_SYN, syn_ack = syn && (flags & DYSCO_TCP_ACK);
	size_t n = 0;

	if (syn) {
		struct dysco_syn_options o = leg->options[DYSCO_OUT];

		/* A SYN-ACK offers only what the SYN did (RFC 7323 2.2, RFC 2018 2). */
		if (syn_ack && leg->options[DYSCO_IN].wscale == DYSCO_NO_WSCALE) {
			o.wscale = DYSCO_NO_WSCALE;
		}
		o.flags &= syn_ack ? leg->options[DYSCO_IN].flags : 0xff;
		n = put_syn_options(rest, &o);
	}
	if (dysco_leg_has_timestamps(leg)) {
		n += dysco_put_timestamp(rest + n, leg->ts_first,
					 (flags & DYSCO_TCP_ACK) ? a->peer_ts : 0);
	}
	if (bytes) {
		memcpy(rest + n, message, bytes);
	}
	dysco_emit_tcp(core, out, a->new_slot, flags, seq, ack, rest, n, n + bytes);
}

/*
 * A late one of the new path's handshake, or the peer's own, sent again, since the last ACK of
 * the session's handshake was lost behind the right anchor. The host must not see the first,
 * and whoever sends the second waits for an ACK.
 */
void dysco_handshake_is_over(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_run *sent = &leg->run[DYSCO_OUT];
	const uint8_t *data = w->in->data;
	uint8_t rest[16];
	size_t n = 0;

	if (dysco_leg_has_timestamps(leg)) {
		n = dysco_put_timestamp(rest, leg->ts_first + leg->offsets.ts_out,
					dysco_packet_tsval(&w->p, data, data + w->in->bytes));
	}
	dysco_drop(core, w, slot, DYSCO_REASON_LATE);
	/* PSH: with the numbers and the window of the host, not of the handshake. */
	dysco_emit_tcp(core, w->out, slot, DYSCO_TCP_ACK | DYSCO_TCP_PSH,
		       sent->seq_end + leg->offsets.seq_out, sent->ack - leg->offsets.seq_in, rest,
		       n, n);
}

void dysco_new_path_syn(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *leg = dysco_leg_at(core, a->new_slot);
	const struct dysco_leg_cold *cold = dysco_cold_at(core, a->new_slot);
	struct dysco_msg_syn msg = {.id = a->id,
				    .session = cold->session,
				    .subsession = leg->wire_tuple,
				    .list = a->list,
				    .attempt = dysco_attempt_name_of(core, index)};
	struct dysco_header hdr = {.type = DYSCO_MSG_SYN};
	uint8_t message[DYSCO_MESSAGE_MAX];
	const struct dysco_key *key;

	if (a->role == DYSCO_PART_RIGHT_ANCHOR) {
		emit(core, out, index, DYSCO_TCP_SYN | DYSCO_TCP_ACK, a->isn, a->peer_isn + 1, NULL,
		     0);
		return;
	}
	key = dysco_sign(core, &hdr);
	emit(core, out, index, DYSCO_TCP_SYN, a->isn, 0, message,
	     dysco_message_write_syn(message, &hdr, &msg, key));
}

/* Before the cut the new leg has no numbers of the host's but these. */
static void show_window(struct dysco_core *core, const struct dysco_attempt *a)
{
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);

	if (!a->cut_made) {
		dysco_leg_at(core, a->new_slot)->run[DYSCO_OUT].window =
		    (uint16_t)(dysco_window_of(old, DYSCO_OUT) >> dysco_shift_of(old, DYSCO_OUT));
	}
}

void dysco_new_path_ack(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	show_window(core, a);
	emit(core, out, index, DYSCO_TCP_ACK, a->isn + 1, a->peer_isn + 1, NULL, 0);
}

/*
 * Its number is below what the other host expects: boxes take its window, but a host that
 * gets it late, when the new path is the session's, does not (RFC 9293 3.10.7.4). One below the
 * base while nothing has gone there; then that would be too old for boxes with a small window.
 */
void dysco_new_path_show(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	bool sent = a->cut_made && a->two.sent_end != a->two.cut;

	show_window(core, a);
	emit(core, out, index, DYSCO_TCP_ACK, a->isn + sent, a->peer_isn + 1, NULL, 0);
}

/*
 * While the cut was unknown, less than the host granted may have been told. Who
 * still has bytes under way hears of it by their acknowledgements.
 */
void dysco_new_path_grant(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_two *two = &a->two;

	if (two->host_ack == two->peer_cut &&
	    dysco_after(two->host_edge, two->told_edge[DYSCO_PATH_OLD])) {
		emit(core, out, index, DYSCO_TCP_ACK | DYSCO_TCP_PSH,
		     a->isn + 1 + (two->sent_end - two->cut), a->peer_isn + 1, NULL, 0);
	}
}

void dysco_new_path_reset(struct dysco_core *core, uint32_t index, struct dysco_actions *out)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	bool answered = a->seen & DYSCO_ATTEMPT_ANSWERED;

	/* Where a RST has come from, the boxes have closed: another one would be invalid there. */
	if (a->new_slot != DYSCO_NO_SLOT && !(a->seen & DYSCO_ATTEMPT_REFUSED)) {
		dysco_emit_tcp(core, out, a->new_slot,
			       DYSCO_TCP_RST | (answered ? DYSCO_TCP_ACK : 0), a->isn + 1,
			       answered ? a->peer_isn + 1 : 0, NULL, 0, 0);
	}
}

/* ---- the anchors' new legs ---- */

/*
 * Beside the old leg: the host side is shared, so the OUT key stays with the old
 * leg until the new one takes over. Numbers begin with what the host has sent.
 */
static uint32_t make_leg(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			 const struct dysco_tuple *wire)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);
	uint32_t slot =
	    dysco_legs_available(core, 1) ? dysco_leg_alloc(core) : (uint32_t)DYSCO_NO_SLOT;
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (slot == DYSCO_NO_SLOT) {
		return slot;
	}
	leg->role = old->role;
	leg->host = old->host;
	leg->attachment = old->attachment;
	leg->created_ns = now_ns;
	leg->host_tuple = old->host_tuple;
	leg->wire_tuple = *wire;
	memcpy(leg->options, old->options, sizeof(leg->options));
	leg->ts_first = old->ts_first;
	leg->run[DYSCO_OUT].window =
	    (uint16_t)(dysco_window_of(old, DYSCO_OUT) >> dysco_shift_of(old, DYSCO_OUT));
	*dysco_cold_at(core, slot) = *dysco_cold_at(core, a->old_slot);
	dysco_cold_at(core, slot)->own_hops = 0;
	dysco_cold_at(core, slot)->attempt = index;
	dysco_leg_named(core, slot);
	if (dysco_leg_bind(core, slot, DYSCO_IN) != 0) {
		dysco_leg_free(core, slot);
		return DYSCO_NO_SLOT;
	}
	__atomic_store_n(&leg->mode, DYSCO_MODE_PUNT, __ATOMIC_RELEASE);
	return slot;
}

/* Where the new path's numbers begin: with the next the host sends, or sends again. */
static uint32_t first_number(const struct dysco_attempt *a, const struct dysco_leg *old)
{
	return a->kind == DYSCO_KIND_RECOVERY ? a->fixed_cut : old->run[DYSCO_OUT].seq_end;
}

bool dysco_new_path_begin(struct dysco_core *core, uint64_t now_ns, uint32_t index,
			  struct dysco_actions *out)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_tuple wire = old->wire_tuple;

	wire.dst = a->list.hops[0].addr;
	if (!dysco_ports_choose(core, a->host, &wire)) {
		return false;
	}
	a->new_slot = make_leg(core, now_ns, index, &wire);
	if (a->new_slot == DYSCO_NO_SLOT) {
		return false;
	}
	a->isn = first_number(a, old) - 1;
	dysco_new_path_syn(core, index, out);
	return true;
}

/* ---- a SYN of a new path arrives ---- */

static void refuse_syn(struct dysco_core *core, struct dysco_work *w)
{
	struct dysco_tuple to = dysco_tuple_reverse(&w->p.tuple);

	dysco_act(w->out, DYSCO_ACT_DROP, DYSCO_NO_SLOT)->reason = DYSCO_REASON_CONTROL;
	core->stats.drops[DYSCO_REASON_CONTROL]++;
	dysco_emit_reset(w, &to, 0, w->p.seq + 1);
}

/* A late copy of one that has done its work. */
static void old_syn(struct dysco_core *core, struct dysco_work *w)
{
	dysco_drop(core, w, DYSCO_NO_SLOT, DYSCO_REASON_LATE);
}

static void answer_syn(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	dysco_act(w->out, DYSCO_ACT_DROP, DYSCO_NO_SLOT); /* it ends here */
	dysco_attempt_heard(core, w->now_ns, index);
	dysco_right_answer_syn(core, index, w->out);
}

static bool anchor_waits(struct dysco_core *core, struct dysco_work *w, uint32_t index)
{
	struct dysco_attempt *a = dysco_attempt_at(core, index);
	const struct dysco_leg *old = dysco_leg_at(core, a->old_slot);
	struct dysco_tuple wire = dysco_tuple_reverse(&w->p.tuple);

	a->new_slot = make_leg(core, w->now_ns, index, &wire);
	if (a->new_slot == DYSCO_NO_SLOT) {
		return false;
	}
	a->isn = first_number(a, old) - 1;
	a->seen |= DYSCO_ATTEMPT_ANSWERED;
	a->peer_isn = w->p.seq;
	a->peer_ts = dysco_packet_tsval(&w->p, w->in->data, w->in->data + w->in->bytes);
	dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_WAITING);
	return true;
}

/* At the right anchor; false: refused. */
static bool anchor_syn(struct dysco_core *core, struct dysco_work *w, uint32_t index, uint32_t slot)
{
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (a->state == DYSCO_ATTEMPT_REQUESTED && slot == DYSCO_NO_SLOT) {
		return anchor_waits(core, w, index);
	}
	return slot != DYSCO_NO_SLOT && slot == a->new_slot &&
	       (a->state == DYSCO_ATTEMPT_WAITING || a->state == DYSCO_ATTEMPT_READY) &&
	       w->p.seq == a->peer_isn;
}

/* An attempt that was given up may have left a leg whose SYN the box never let out. */
static bool leg_lives(const struct dysco_core *core, const struct dysco_leg *leg)
{
	return !dysco_leg_is_over(leg) && (leg->partner == DYSCO_NO_SLOT ||
					   !dysco_leg_is_over(dysco_leg_at(core, leg->partner)));
}

/* Its leg at a host that has the session already, which cannot be a box of its new path then. */
static uint32_t has_session(const struct dysco_core *core, uint16_t host,
			    const struct dysco_msg_syn *msg)
{
	uint32_t slot = dysco_leg_by_id(core, host, &msg->id, DYSCO_NO_SLOT);

	while (slot != DYSCO_NO_SLOT && (dysco_leg_at(core, slot)->mode == DYSCO_MODE_DEAD ||
					 !leg_lives(core, dysco_leg_at(core, slot)))) {
		slot = dysco_leg_by_id(core, host, &msg->id, slot);
	}
	return slot;
}

/*
 * A recovery comes back to a box that has survived (docs/protocol.md 12.9): it is told
 * that the old path is over, and has forgotten it when the SYN comes again.
 */
static bool left_for_recovery(struct dysco_core *core, struct dysco_work *w,
			      const struct dysco_msg_syn *msg)
{
	uint32_t slot = has_session(core, w->in->host, msg);
	uint8_t role = dysco_leg_at(core, slot)->role;

	if (msg->attempt.kind != DYSCO_KIND_RECOVERY || slot == DYSCO_NO_SLOT ||
	    (role != DYSCO_ROLE_LEFT && role != DYSCO_ROLE_RIGHT)) {
		return false;
	}
	dysco_drop(core, w, slot, DYSCO_REASON_PENDING);
	dysco_leave_box(core, w->now_ns, slot, w->out);
	return true;
}

/* R's opening ACK, which may be there before, is no sign that L goes on. */
static bool left_has_acked(const struct dysco_core *core, const struct dysco_attempt *inserted)
{
	return dysco_leg_at(core, inserted->left_slot)->run[DYSCO_IN].seen & DYSCO_SEEN_CONFIRM;
}

/*
 * The left anchor has given an attempt up and made another one, and its RST was lost or came
 * before its SYN (docs/protocol.md 12.4): what the first one made here goes likewise. Once
 * its handshake is over it may be in use, and this SYN a late one.
 */
static bool given_up_before(struct dysco_core *core, struct dysco_work *w,
			    const struct dysco_msg_syn *msg)
{
	uint32_t slot = has_session(core, w->in->host, msg);
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t right = leg->role == DYSCO_ROLE_LEFT ? leg->partner : slot;
	uint32_t index = dysco_cold_at(core, right)->attempt;
	const struct dysco_attempt *a = dysco_attempt_at(core, index);

	if (slot == DYSCO_NO_SLOT || right == DYSCO_NO_SLOT || index == DYSCO_NO_ATTEMPT ||
	    a->role != DYSCO_PART_INSERTED || left_has_acked(core, a) ||
	    a->nonce == msg->attempt.nonce || !dysco_addr_equal(&a->left, &msg->attempt.left)) {
		return false;
	}
	dysco_drop(core, w, slot, DYSCO_REASON_PENDING);
	dysco_nonce_over(core, a->nonce, false);
	dysco_attempt_end(core, w->now_ns, index);
	dysco_leave_box(core, w->now_ns, slot, w->out);
	return true;
}

/* Without a record a box's agent could not tell the new path's SYN from an ordinary one. */
static bool has_room(const struct dysco_core *core)
{
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		if (core->table->attempts[i].role == DYSCO_PART_NONE) {
			return true;
		}
	}
	return false;
}

bool dysco_new_path_arrived(struct dysco_core *core, struct dysco_work *w,
			    const struct dysco_msg_syn *msg, uint32_t slot)
{
	uint32_t index = dysco_attempt_find(core, w->in->host, msg->attempt.nonce);
	uint8_t role = index ? dysco_attempt_at(core, index)->role : (uint8_t)DYSCO_PART_NONE;
	enum dysco_nonce_fate fate = dysco_nonce_fate(core, msg->attempt.nonce);

	if (role == DYSCO_PART_RIGHT_ANCHOR) {
		if (anchor_syn(core, w, index, slot)) {
			answer_syn(core, w, index);
		} else if (slot != DYSCO_NO_SLOT &&
			   slot == dysco_attempt_at(core, index)->new_slot) {
			old_syn(core, w);
		} else {
			refuse_syn(core, w);
		}
		return true;
	}
	if (role == DYSCO_PART_INSERTED && slot == dysco_attempt_at(core, index)->left_slot) {
		return false; /* once more: delivered again like any SYN */
	}
	if (fate == DYSCO_NONCE_COMPLETED || slot != DYSCO_NO_SLOT) {
		old_syn(core, w);
		return true;
	}
	if (index == DYSCO_NO_ATTEMPT && fate == DYSCO_NONCE_UNKNOWN &&
	    (left_for_recovery(core, w, msg) || given_up_before(core, w, msg))) {
		return true;
	}
	if (index != DYSCO_NO_ATTEMPT || msg->list.next + 1 == msg->list.count ||
	    fate != DYSCO_NONCE_UNKNOWN || !has_room(core) ||
	    has_session(core, w->in->host, msg) != DYSCO_NO_SLOT) {
		refuse_syn(core, w);
		return true;
	}
	return false;
}

struct dysco_attempt_name dysco_new_path_name(const struct dysco_core *core, uint32_t slot)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;
	bool made =
	    index != DYSCO_NO_ATTEMPT && dysco_attempt_at(core, index)->role == DYSCO_PART_INSERTED;

	return dysco_attempt_name_of(core, made ? index : DYSCO_NO_ATTEMPT);
}

/* Both directions of both legs show windows of anchors' agents first. */
static void begins_at_base(struct dysco_core *core, uint32_t slot)
{
	if (slot != DYSCO_NO_SLOT) {
		dysco_leg_at(core, slot)->run[DYSCO_OUT].base = DYSCO_BASE_AGENTS;
		dysco_leg_at(core, slot)->run[DYSCO_IN].base = DYSCO_BASE_AGENTS;
	}
}

void dysco_new_path_joined(struct dysco_core *core, struct dysco_work *w,
			   const struct dysco_msg_syn *msg, uint32_t left)
{
	struct dysco_msg_control of = {.id = msg->id, .attempt = msg->attempt, .list = msg->list};
	uint32_t right = dysco_leg_at(core, left)->partner;
	uint32_t index = dysco_attempt_make(core, DYSCO_PART_INSERTED, w->in->host, &of);
	struct dysco_attempt *a = dysco_attempt_at(core, index);

	begins_at_base(core, left);
	begins_at_base(core, right);
	if (index == DYSCO_NO_ATTEMPT || right == DYSCO_NO_SLOT) {
		return; /* it begins unlocked, then; anchors refuse what must not be */
	}
	a->left_slot = left;
	a->old_slot = right;
	dysco_cold_at(core, right)->attempt = index;
	dysco_attempt_enter(core, w->now_ns, index, DYSCO_ATTEMPT_LOCKED);
	dysco_attempt_heard(core, w->now_ns, index);
}
