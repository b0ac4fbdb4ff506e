/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens by itself: legs are looked at in turn, changes of state are
 * reported, what ended lingers and is freed, what is idle for too long is reset
 * (so that it cannot go on without its chain). Also resets on request.
 */
#include "core/reconfig.h"

/* A TCP repeats itself within 120 s at most; twice the lifetime of a segment (RFC 9293 3.4.2). */
#define CLOSING_SILENCE_NS (240 * DYSCO_NS_PER_S)

/* A leg and its partner are judged together and go together. */
struct pair {
	uint32_t slot[2]; /* the second DYSCO_NO_SLOT at an end of the chain */
	uint64_t idle_ns; /* since the last packet on either */
	bool over;	  /* both have ended */
};

static uint64_t last_packet(const struct dysco_leg *leg)
{
	uint64_t last = leg->created_ns;

	for (int d = 0; d < 2; d++) {
		if (leg->run[d].last_ns > last) {
			last = leg->run[d].last_ns;
		}
	}
	return last;
}

static struct pair pair_of(const struct dysco_core *core, uint32_t slot, uint64_t now_ns)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct pair pair = {{slot, leg->partner}, 0, dysco_leg_is_over(leg)};
	uint64_t last = last_packet(leg);

	if (leg->partner != DYSCO_NO_SLOT) {
		const struct dysco_leg *partner = dysco_leg_at(core, leg->partner);
		uint64_t other = last_packet(partner);

		last = other > last ? other : last;
		pair.over = pair.over && dysco_leg_is_over(partner);
	}
	/* The datapath's clock may be a tick behind or ahead of ours. */
	pair.idle_ns = now_ns > last ? now_ns - last : 0;
	return pair;
}

static void free_pair(struct dysco_core *core, uint64_t now_ns, const struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		if (pair->slot[i] != DYSCO_NO_SLOT) {
			dysco_leg_ended(core, now_ns, pair->slot[i]);
			dysco_leg_free(core, pair->slot[i]);
		}
	}
}

static bool at_end(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_address_list *list = &dysco_cold_at(core, slot)->list;
	uint8_t role = dysco_leg_at(core, slot)->role;

	return role == DYSCO_ROLE_FIRST ||
	       (role == DYSCO_ROLE_LAST && !(list->hops[list->next].flags & DYSCO_HOP_EXIT));
}

/*
 * A host that has acknowledged the peer's FIN, and all of whose bytes are acknowledged, waits for
 * nothing but the acknowledgement of its own FIN, for which it sends that again: it has that (the
 * leg missed it), or has given up. One that still waits for bytes, or for the acknowledgement of
 * some, may have lost the network, and be silent itself.
 */
static bool has_fallen_silent(const struct dysco_core *core, uint32_t slot, uint64_t now_ns)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_run *host = &leg->run[DYSCO_OUT], *peer = &leg->run[DYSCO_IN];

	return dysco_leg_state(leg) == DYSCO_STATE_CLOSING && at_end(core, slot) &&
	       (host->seen & peer->seen & DYSCO_SEEN_ACK) &&
	       !dysco_seq_after(peer->fin_end, host->ack) &&
	       !dysco_seq_after(host->fin_end - 1, peer->ack) &&
	       now_ns >= last_packet(leg) + CLOSING_SILENCE_NS;
}

static void take_for_closed(struct dysco_leg *leg)
{
	dysco_step_add_seen(&leg->run[DYSCO_OUT], DYSCO_SEEN_FINACK);
	dysco_step_add_seen(&leg->run[DYSCO_IN], DYSCO_SEEN_FINACK);
}

/* ---- resets ---- */

/* RST with exactly the number the receiver expects (RFC 5961 3.2). */
static void reset_wire(struct dysco_core *core, struct dysco_actions *out, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_run *sent = &leg->run[DYSCO_OUT], *got = &leg->run[DYSCO_IN];
	uint32_t seq = (got->seen & DYSCO_SEEN_ACK) ? got->ack : sent->seq_end;

	if (leg->mode == DYSCO_MODE_FAST) {
		dysco_emit_segment(core, out, DYSCO_ACT_SEND, slot, DYSCO_TCP_RST | DYSCO_TCP_ACK,
				   seq, sent->ack, 0, NULL, 0);
	}
}

/*
 * The host expects what it acknowledged last, or, when it delays that (RFC 9293
 * 3.8.6.3), what has come in since: it gets both; the wrong one has no effect.
 */
static void reset_host(struct dysco_core *core, struct dysco_actions *out, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	const struct dysco_leg_run *sent = &leg->run[DYSCO_OUT], *got = &leg->run[DYSCO_IN];
	uint32_t seq = (sent->seen & DYSCO_SEEN_ACK) ? sent->ack : got->seq_end;
	uint32_t ack = (got->seen & DYSCO_SEEN_ACK) ? got->ack : sent->seq_end;

	if (leg->mode != DYSCO_MODE_FAST) {
		return;
	}
	dysco_emit_segment(core, out, DYSCO_ACT_DELIVER, slot, DYSCO_TCP_RST | DYSCO_TCP_ACK, seq,
			   ack, 0, NULL, 0);
	if ((got->seen & DYSCO_SEEN_ANY) && dysco_seq_after(got->seq_end, seq)) {
		dysco_emit_segment(core, out, DYSCO_ACT_DELIVER, slot,
				   DYSCO_TCP_RST | DYSCO_TCP_ACK, got->seq_end, ack, 0, NULL, 0);
	}
}

/* What the box forwards of it finds a leg that is DEAD: it never leaves the host. */
void dysco_leave_box(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		     struct dysco_actions *out)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t partner = leg->partner;

	if (leg->mode == DYSCO_MODE_DEAD || leg->mode == DYSCO_MODE_FREE) {
		return;
	}
	dysco_attempts_over(core, now_ns, slot, out);
	reset_host(core, out, slot);
	if (partner != DYSCO_NO_SLOT) {
		reset_host(core, out, partner);
	}
	dysco_leg_stop(core, now_ns, slot);
}

/* Ends a session here and now: both neighbours and the host are told. */
static void reset_pair(struct dysco_core *core, uint64_t now_ns, const struct pair *pair,
		       struct dysco_actions *out)
{
	for (int i = 0; i < 2 && pair->slot[i] != DYSCO_NO_SLOT; i++) {
		reset_wire(core, out, pair->slot[i]);
		reset_host(core, out, pair->slot[i]);
	}
	dysco_leg_stop(core, now_ns, pair->slot[0]);
}

void dysco_reset_session(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			 struct dysco_actions *out)
{
	struct pair pair = pair_of(core, slot, now_ns);

	dysco_attempts_over(core, now_ns, slot, out);
	reset_pair(core, now_ns, &pair, out);
}

bool dysco_kill_session(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			struct dysco_actions *out)
{
	struct pair pair = pair_of(core, slot, now_ns);

	if (pair.over || dysco_leg_at(core, slot)->role == DYSCO_ROLE_CONTROL) {
		return false;
	}
	dysco_attempts_over(core, now_ns, slot, out);
	reset_pair(core, now_ns, &pair, out);
	dysco_count(core, DYSCO_COUNTER_KILLED);
	dysco_event(out, DYSCO_EVENT_KILLED, slot, DYSCO_REASON_NONE);
	return true;
}

bool dysco_core_kill(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		     struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	return slot != DYSCO_NO_SLOT && slot <= core->high_slot &&
	       dysco_leg_at(core, slot)->mode != DYSCO_MODE_FREE &&
	       dysco_kill_session(core, now_ns, slot, out);
}

/* ---- reports ---- */

static enum dysco_event_kind event_of(enum dysco_leg_state state, const struct dysco_leg *leg)
{
	switch (state) {
	case DYSCO_STATE_ESTABLISHED:
		return DYSCO_EVENT_ESTABLISHED;
	case DYSCO_STATE_TIME_WAIT:
		return DYSCO_EVENT_CLOSED;
	case DYSCO_STATE_RESET:
		return (leg->run[DYSCO_IN].seen | leg->run[DYSCO_OUT].seen) & DYSCO_SEEN_SYNACK
			   ? DYSCO_EVENT_RESET
			   : DYSCO_EVENT_REFUSED;
	default:
		return (enum dysco_event_kind)0;
	}
}

static void report_changes(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			   struct dysco_actions *out)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	enum dysco_leg_state state = dysco_leg_state(leg);
	enum dysco_event_kind event = event_of(state, leg);
	enum dysco_event_kind first = (enum dysco_event_kind)0;

	if (cold->reported == state) {
		return;
	}
	/* A session too short to be seen established was established all the same. */
	if (state > DYSCO_STATE_ESTABLISHED && state <= DYSCO_STATE_RESET &&
	    cold->reported < DYSCO_STATE_ESTABLISHED && event != DYSCO_EVENT_REFUSED) {
		first = DYSCO_EVENT_ESTABLISHED;
	}
	cold->reported = (uint8_t)state;
	if (event == DYSCO_EVENT_REFUSED) {
		cold->refused = 1;
		dysco_count(core, DYSCO_COUNTER_REFUSED);
	}
	if (dysco_leg_is_over(leg)) {
		dysco_leg_ended(core, now_ns, slot);
	}
	if (leg->role == DYSCO_ROLE_RIGHT) {
		return; /* its partner speaks for both */
	}
	if (first) {
		dysco_event(out, first, slot, DYSCO_REASON_NONE);
	}
	if (event) {
		dysco_event(out, event, slot, DYSCO_REASON_NONE);
	}
}

/* ---- expiry ---- */

static void expire_embryonic(struct dysco_core *core, uint64_t now_ns, const struct pair *pair,
			     struct dysco_actions *out)
{
	if (dysco_leg_at(core, pair->slot[0])->mode == DYSCO_MODE_PASS) {
		free_pair(core, now_ns, pair); /* went without its chain: nothing to tell */
		return;
	}
	dysco_count(core, DYSCO_COUNTER_EXPIRED_EMBRYONIC);
	dysco_event(out, DYSCO_EVENT_EXPIRED, pair->slot[0], DYSCO_REASON_NONE);
	dysco_leg_stop(core, now_ns, pair->slot[0]);
}

static void expire_idle(struct dysco_core *core, uint64_t now_ns, const struct pair *pair,
			struct dysco_actions *out)
{
	reset_pair(core, now_ns, pair, out);
	dysco_count(core, DYSCO_COUNTER_EXPIRED_IDLE);
	dysco_event(out, DYSCO_EVENT_EXPIRED, pair->slot[0], DYSCO_REASON_NONE);
}

/* Without a chain there is nothing that it must not go on without. */
static bool forget_watcher(struct dysco_core *core, uint64_t now_ns, const struct pair *pair)
{
	const struct dysco_leg *leg = dysco_leg_at(core, pair->slot[0]);
	const struct dysco_timeouts *t = &core->setup->timeouts;
	uint8_t both = leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen;
	uint32_t most = t->established;
	uint64_t idle_ns = pair->idle_ns;

	if (!(both & DYSCO_SEEN_ACK)) { /* a host that does not know it may answer for ever */
		most = t->embryonic;
		idle_ns = now_ns - leg->created_ns;
	} else if (dysco_leg_state(leg) > DYSCO_STATE_ESTABLISHED && t->half_closed < most) {
		most = t->half_closed;
	}
	return dysco_core_only_watches(core, pair->slot[0]) && idle_ns >= most * DYSCO_NS_PER_S &&
	       dysco_core_late_forget(core, pair->slot[0]);
}

static bool pair_embryonic(const struct dysco_core *core, const struct pair *pair)
{
	return dysco_leg_is_embryonic(dysco_leg_at(core, pair->slot[0])) ||
	       (pair->slot[1] != DYSCO_NO_SLOT &&
		dysco_leg_is_embryonic(dysco_leg_at(core, pair->slot[1])));
}

/*
 * A RST ended the session, so far as the leg can tell; its receiver may have
 * judged otherwise (RFC 5961 3.2), and would go on without its chain once the
 * leg is gone. So at an end of the chain the host is told with exact numbers.
 */
static bool host_may_live_on(const struct dysco_core *core, const struct pair *pair)
{
	const struct dysco_leg *leg = dysco_leg_at(core, pair->slot[0]);
	uint8_t seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;

	return at_end(core, pair->slot[0]) && dysco_leg_state(leg) == DYSCO_STATE_RESET &&
	       (seen & DYSCO_SEEN_SYNACK);
}

/* It has ended and lingered; a leg that is DEAD after its last word lingers once more. */
static void let_go(struct dysco_core *core, uint64_t now_ns, const struct pair *pair,
		   struct dysco_actions *out)
{
	if (!host_may_live_on(core, pair)) {
		free_pair(core, now_ns, pair);
		return;
	}
	reset_host(core, out, pair->slot[0]);
	dysco_leg_stop(core, now_ns, pair->slot[0]);
	dysco_cold_at(core, pair->slot[0])->ended_ns = now_ns;
}

/* The old path of somebody's attempt: the session may be busy on the other one. */
static bool is_locked(const struct dysco_core *core, const struct pair *pair)
{
	for (int i = 0; i < 2 && pair->slot[i] != DYSCO_NO_SLOT; i++) {
		uint32_t index = dysco_cold_at(core, pair->slot[i])->attempt;

		if (dysco_attempt_at(core, index)->role == DYSCO_PART_BETWEEN) {
			return true; /* on a lease */
		}
	}
	return false;
}

static void look_at_pair(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			 struct dysco_actions *out)
{
	const struct dysco_timeouts *t = &core->setup->timeouts;
	struct pair pair = pair_of(core, slot, now_ns);
	bool established = dysco_leg_state(dysco_leg_at(core, slot)) == DYSCO_STATE_ESTABLISHED;

	if (pair.over) {
		uint64_t ended = dysco_cold_at(core, slot)->ended_ns;

		if (pair.idle_ns >= t->linger * DYSCO_NS_PER_S &&
		    now_ns >= ended + t->linger * DYSCO_NS_PER_S) {
			let_go(core, now_ns, &pair, out);
		}
	} else if (forget_watcher(core, now_ns, &pair)) {
		return;
	} else if (pair_embryonic(core, &pair)) {
		if (pair.idle_ns >= t->embryonic * DYSCO_NS_PER_S) {
			expire_embryonic(core, now_ns, &pair, out);
		}
	} else if (pair.idle_ns >=
		       (established ? t->established : t->half_closed) * DYSCO_NS_PER_S &&
		   !is_locked(core, &pair)) {
		expire_idle(core, now_ns, &pair, out);
	}
}

/* A control session lingers, to answer what still comes, and is gone. */
static void look_at_control(struct dysco_core *core, uint64_t now_ns, uint32_t slot)
{
	const struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	uint64_t last = last_packet(dysco_leg_at(core, slot));
	uint64_t linger_ns = core->setup->timeouts.linger * DYSCO_NS_PER_S;

	if (dysco_channel_is_open(core, slot) && linger_ns < DYSCO_CHANNEL_IDLE_NS) {
		linger_ns = DYSCO_CHANNEL_IDLE_NS;
	}
	last = cold->ended_ns > last ? cold->ended_ns : last;
	if (cold->attempt == DYSCO_NO_ATTEMPT && now_ns >= last + linger_ns) {
		dysco_leg_free(core, slot);
	}
}

/* An anchor's leg, or the partner of one, while its fate is open. */
static bool in_attempt(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	uint32_t of[2] = {slot, leg->partner};

	for (int i = 0; i < 2 && of[i] != DYSCO_NO_SLOT; i++) {
		uint32_t index = dysco_cold_at(core, of[i])->attempt;

		if (index != DYSCO_NO_ATTEMPT &&
		    dysco_leg_at(core, of[i])->mode == DYSCO_MODE_PUNT) {
			return true;
		}
	}
	return false;
}

/*
 * Two anchors in two paths wait until both directions are drained, and no lease ends
 * that. When the ends have left by another way, or without a word, nothing ever is.
 */
static void expire_in_attempt(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
			      struct dysco_actions *out)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;
	struct pair pair = pair_of(core, slot, now_ns);

	if (index == DYSCO_NO_ATTEMPT || !dysco_attempt_is_anchor(core, index) ||
	    dysco_attempt_at(core, index)->old_slot != slot ||
	    pair.idle_ns < core->setup->timeouts.established * DYSCO_NS_PER_S) {
		return;
	}
	dysco_attempts_over(core, now_ns, slot, out);
	expire_idle(core, now_ns, &pair, out);
}

static void look_at(struct dysco_core *core, uint64_t now_ns, uint32_t slot,
		    struct dysco_actions *out)
{
	struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (leg->mode == DYSCO_MODE_FREE) {
		return;
	}
	dysco_withdraw_due(core, now_ns, slot, out);
	if (leg->role == DYSCO_ROLE_CONTROL) {
		look_at_control(core, now_ns, slot);
		return;
	}
	if (in_attempt(core, slot)) {
		expire_in_attempt(core, now_ns, slot, out); /* else its attempt's timers decide */
		return;
	}
	if (has_fallen_silent(core, slot, now_ns)) {
		take_for_closed(leg);
	}
	report_changes(core, now_ns, slot, out);
	if (leg->role != DYSCO_ROLE_RIGHT || leg->partner == DYSCO_NO_SLOT) {
		look_at_pair(core, now_ns, slot, out);
	}
}

/* Actions one slot can cause: three resets for each leg of a pair, three events, a WITHDRAW. */
#define ACTIONS_PER_SLOT 10

bool dysco_core_time_passed(struct dysco_core *core, uint64_t now_ns, uint32_t max_slots,
			    struct dysco_actions *out)
{
	out->count = 0;
	out->used = 0;
	for (uint32_t i = 1; i < core->table->n_attempts; i++) {
		if (dysco_attempt_due_at(core, now_ns, i)) {
			return dysco_core_attempt_due(core, now_ns, i, out);
		}
	}
	for (uint32_t n = 0; n < max_slots; n++) {
		if (core->scan_slot >= core->high_slot) {
			core->scan_slot = 0;
			return false;
		}
		look_at(core, now_ns, ++core->scan_slot, out);
		if (out->count + ACTIONS_PER_SLOT > DYSCO_ACTIONS_MAX) {
			return true;
		}
	}
	return true;
}
