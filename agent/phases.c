/* SPDX-License-Identifier: BSD-2-Clause */
/* Reconfigurations as the agent sees them go by (phases.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/show.h"

/* ---- names ---- */

const char *dysco_change_name(unsigned int change)
{
	static const char *const names[DYSCO_CHANGES] = {"unknown", "insert", "remove", "replace"};

	return change < DYSCO_CHANGES ? names[change] : "unknown";
}

static enum dysco_part_seen part_of(const struct dysco_sight *s)
{
	switch (s->role) {
	case DYSCO_PART_LEFT_ANCHOR:
		return DYSCO_SEEN_LEFT;
	case DYSCO_PART_RIGHT_ANCHOR:
		return DYSCO_SEEN_RIGHT;
	default:
		return DYSCO_SEEN_BOX;
	}
}

/* ---- what kind of change ---- */

static bool is_in(const struct dysco_addr *addr, const struct dysco_address_list *list,
		  uint8_t from, uint8_t to)
{
	for (uint8_t i = from; i < to; i++) {
		if (dysco_addr_equal(addr, &list->hops[i].addr)) {
			return true;
		}
	}
	return false;
}

/* The left anchor knows the chain: its boxes up to the right anchor are the old path's. */
static enum dysco_change change_at_left(const struct dysco_agent *agent,
					const struct dysco_attempt *a)
{
	const struct dysco_address_list *old = &agent->core.table->cold[a->old_slot].list;
	uint8_t comes = a->list.count ? (uint8_t)(a->list.count - 1) : 0, end = old->next;
	bool stay = true;

	while (end < old->count && end < DYSCO_HOPS_MAX &&
	       !dysco_addr_equal(&old->hops[end].addr, &a->right)) {
		stay = stay && is_in(&old->hops[end].addr, &a->list, 0, comes);
		end++;
	}
	if (stay) {
		return DYSCO_CHANGE_INSERT;
	}
	for (uint8_t i = 0; i < comes; i++) {
		if (!is_in(&a->list.hops[i].addr, old, old->next, end)) {
			return DYSCO_CHANGE_REPLACE;
		}
	}
	return DYSCO_CHANGE_REMOVE;
}

/* What a box asks for: itself as right anchor means that it stays. */
static enum dysco_change change_at_box(const struct dysco_agent *agent,
				       const struct dysco_attempt *a)
{
	const struct dysco_leg *leg = &agent->core.table->legs[a->asked_slot];

	if (dysco_addr_equal(&leg->wire_tuple.src, &a->right)) {
		return DYSCO_CHANGE_INSERT;
	}
	return a->list.count > 1 ? DYSCO_CHANGE_REPLACE : DYSCO_CHANGE_REMOVE;
}

static enum dysco_change change_of(const struct dysco_agent *agent, const struct dysco_attempt *a)
{
	switch (a->role) {
	case DYSCO_PART_LEFT_ANCHOR:
		return change_at_left(agent, a);
	case DYSCO_PART_TRIGGER:
		return change_at_box(agent, a);
	default:
		return DYSCO_CHANGE_UNKNOWN;
	}
}

/* ---- watching ---- */

static bool is_watched(const struct dysco_attempt *a)
{
	return a->role == DYSCO_PART_LEFT_ANCHOR || a->role == DYSCO_PART_RIGHT_ANCHOR ||
	       a->role == DYSCO_PART_TRIGGER;
}

static void leave_phase(struct dysco_sight *s, uint64_t now_ns)
{
	s->spent_ns[s->state] += now_ns - s->entered_ns;
	s->entered_ns = now_ns;
}

static void enter_phase(struct dysco_agent *agent, struct dysco_sight *s, uint8_t state)
{
	s->state = state < DYSCO_ATTEMPT_STATES ? state : (uint8_t)DYSCO_ATTEMPT_NONE;
	if (s->n_order < DYSCO_ATTEMPT_STATES &&
	    !memchr(s->order, s->state, s->n_order)) { /* CANCELLING may go back to TWO_PATHS */
		s->order[s->n_order++] = s->state;
	}
	dysco_phase_event(agent, s);
}

/* The phase that follows, if all goes well; DYSCO_ATTEMPT_NONE: none does. */
static uint8_t phase_after(const struct dysco_sight *s)
{
	static const uint8_t left[DYSCO_ATTEMPT_STATES] = {
	    [DYSCO_ATTEMPT_REQUESTING] = DYSCO_ATTEMPT_SETTING_UP,
	    [DYSCO_ATTEMPT_SETTING_UP] = DYSCO_ATTEMPT_PROVING,
	    [DYSCO_ATTEMPT_PROVING] = DYSCO_ATTEMPT_CUTTING,
	    [DYSCO_ATTEMPT_CUTTING] = DYSCO_ATTEMPT_TWO_PATHS,
	    [DYSCO_ATTEMPT_TWO_PATHS] = DYSCO_ATTEMPT_DONE,
	    [DYSCO_ATTEMPT_DONE] = DYSCO_ATTEMPT_RELEASING,
	};
	static const uint8_t right[DYSCO_ATTEMPT_STATES] = {
	    [DYSCO_ATTEMPT_REQUESTED] = DYSCO_ATTEMPT_WAITING,
	    [DYSCO_ATTEMPT_WAITING] = DYSCO_ATTEMPT_READY,
	    [DYSCO_ATTEMPT_READY] = DYSCO_ATTEMPT_TWO_PATHS,
	    [DYSCO_ATTEMPT_TWO_PATHS] = DYSCO_ATTEMPT_DONE,
	    [DYSCO_ATTEMPT_DONE] = DYSCO_ATTEMPT_FREED,
	};

	return s->role == DYSCO_PART_LEFT_ANCHOR ? left[s->state] : right[s->state];
}

static bool is_ahead(struct dysco_sight s, uint8_t state)
{
	while (s.state != DYSCO_ATTEMPT_NONE && s.state != state) {
		s.state = phase_after(&s);
	}
	return s.state == state;
}

/* One packet may have taken it through several phases: the others took no time. */
static void change_phase(struct dysco_agent *agent, struct dysco_sight *s, uint8_t state)
{
	bool ahead = is_ahead(*s, state);

	while (ahead && s->state != state) {
		enter_phase(agent, s, phase_after(s));
	}
	if (s->state != state) {
		enter_phase(agent, s, state);
	}
}

static void begin(struct dysco_agent *agent, struct dysco_sight *s, const struct dysco_attempt *a,
		  uint64_t now_ns)
{
	uint32_t slot = a->role == DYSCO_PART_TRIGGER ? a->asked_slot : a->old_slot;

	*s = (struct dysco_sight){.nonce = a->nonce,
				  .role = a->role,
				  .kind = a->kind,
				  .change = (uint8_t)change_of(agent, a),
				  .slot = slot,
				  .new_slot = a->new_slot,
				  .host = a->host,
				  .id = a->id,
				  .session = agent->core.table->cold[slot].session,
				  .left = a->left,
				  .right = a->right,
				  .started_ns = now_ns,
				  .entered_ns = now_ns};
	enter_phase(agent, s, a->state);
}

static void look_at(struct dysco_agent *agent, uint32_t index, uint64_t now_ns)
{
	const struct dysco_attempt *a = &agent->core.table->attempts[index];
	struct dysco_sight *s = &agent->phases.now[index];
	bool same = is_watched(a) && a->nonce == s->nonce && a->role == s->role;

	if (s->nonce != 0 && !same && !s->over) {
		leave_phase(s, now_ns);
		s->over = true;
		s->ended_ns = now_ns;
	} else if (s->nonce == 0 && is_watched(a)) {
		begin(agent, s, a, now_ns);
	} else if (s->nonce != 0 && same) {
		s->new_slot = a->new_slot;
		s->reason = a->reason;
		if (s->state != a->state) {
			leave_phase(s, now_ns);
			change_phase(agent, s, a->state);
		}
	}
}

static bool make_room(struct dysco_agent *agent)
{
	struct dysco_phases *p = &agent->phases;

	if (!p->now) {
		p->now = calloc(agent->core.table->n_attempts, sizeof(*p->now));
		p->n_now = p->now ? agent->core.table->n_attempts : 0;
	}
	return p->now != NULL;
}

void dysco_phases_look(struct dysco_agent *agent)
{
	struct dysco_phases *p = &agent->phases;
	uint64_t now_ns;

	if (p->moves == agent->core.attempt_moves || !make_room(agent)) {
		return;
	}
	now_ns = dysco_now_ns();
	for (uint32_t i = 1; i < p->n_now; i++) {
		look_at(agent, i, now_ns);
	}
}

/* ---- how it ended ---- */

static bool is_meant(const struct dysco_sight *s, const struct dysco_action *action)
{
	if (s->nonce == 0 || s->outcome != DYSCO_OUTCOME_NONE) {
		return false;
	}
	if (s->role == DYSCO_PART_TRIGGER) { /* its leg may have gone before the answer came */
		return s->over && (action->slot == s->slot || action->slot == DYSCO_NO_SLOT);
	}
	return action->event == DYSCO_EVENT_RECONFIGURED ? action->slot == s->new_slot
							 : s->over && action->slot == s->slot;
}

static void observe(struct dysco_histogram *h, uint64_t ns)
{
	static const double bounds[DYSCO_BUCKETS] = DYSCO_BUCKETS_SECONDS;

	h->count++;
	h->sum_ns += ns;
	for (int i = 0; i < DYSCO_BUCKETS; i++) {
		h->upto[i] += (double)ns <= bounds[i] * 1e9;
	}
}

static void count_outcome(struct dysco_phases *p, const struct dysco_sight *s)
{
	enum dysco_part_seen part = part_of(s);

	if (s->outcome == DYSCO_OUTCOME_FAILED) {
		p->failed[part][s->change][s->reason < DYSCO_NACK_COUNT ? s->reason : 0]++;
		return;
	}
	p->completed[part][s->change]++;
	if (part == DYSCO_SEEN_LEFT) {
		observe(&p->took[s->change], s->moved_ns - s->started_ns);
	}
}

const struct dysco_sight *dysco_phases_outcome(struct dysco_agent *agent,
					       const struct dysco_action *action)
{
	struct dysco_phases *p = &agent->phases;
	bool done = action->event == DYSCO_EVENT_RECONFIGURED;

	for (uint32_t i = 1; i < p->n_now; i++) {
		struct dysco_sight *s = &p->now[i];

		if (!is_meant(s, action)) {
			continue;
		}
		s->outcome = done ? DYSCO_OUTCOME_COMPLETED : DYSCO_OUTCOME_FAILED;
		s->reason = done ? 0 : action->reason;
		s->moved_ns = done ? s->entered_ns : 0;
		count_outcome(p, s);
		return s;
	}
	if (!done && action->reason < DYSCO_NACK_COUNT) {
		p->failed[DYSCO_SEEN_LEFT][DYSCO_CHANGE_UNKNOWN][action->reason]++;
	}
	return NULL;
}

/* A right anchor hears of a failure without an event. */
static void end(struct dysco_agent *agent, struct dysco_sight *s)
{
	struct dysco_phases *p = &agent->phases;

	if (s->outcome == DYSCO_OUTCOME_NONE) {
		s->outcome = DYSCO_OUTCOME_FAILED;
		count_outcome(p, s);
	}
	for (uint8_t i = 0; s->role == DYSCO_PART_LEFT_ANCHOR && i < s->n_order; i++) {
		observe(&p->phase[s->order[i]], s->spent_ns[s->order[i]]);
	}
	dysco_phase_event(agent, s);
	p->past[p->n_past++ % DYSCO_PAST_MAX] = *s;
	memset(s, 0, sizeof(*s));
}

void dysco_phases_settle(struct dysco_agent *agent)
{
	struct dysco_phases *p = &agent->phases;
	uint64_t now_ns;

	if (p->moves == agent->core.attempt_moves || !p->now) {
		return;
	}
	p->moves = agent->core.attempt_moves;
	now_ns = dysco_now_ns();
	for (uint32_t i = 1; i < p->n_now; i++) {
		if (p->now[i].over) {
			end(agent, &p->now[i]);
			look_at(agent, i, now_ns); /* its record may be another's already */
		}
	}
}

void dysco_phases_free(struct dysco_phases *phases)
{
	free(phases->now);
	phases->now = NULL;
	phases->n_now = 0;
}

/* ---- for answers ---- */

const struct dysco_sight *dysco_phases_of(const struct dysco_agent *agent, uint32_t index)
{
	const struct dysco_phases *p = &agent->phases;

	return index < p->n_now && p->now[index].nonce != 0 ? &p->now[index] : NULL;
}

const struct dysco_sight *dysco_phases_asked(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_phases *p = &agent->phases;

	for (uint32_t i = 1; i < p->n_now; i++) {
		if (p->now[i].role == DYSCO_PART_TRIGGER && p->now[i].slot == slot) {
			return &p->now[i];
		}
	}
	return NULL;
}

const struct dysco_sight *dysco_phases_last(const struct dysco_agent *agent,
					    const struct dysco_session_id *id, uint16_t host)
{
	const struct dysco_phases *p = &agent->phases;
	uint32_t n = p->n_past < DYSCO_PAST_MAX ? p->n_past : DYSCO_PAST_MAX;

	for (uint32_t i = 1; i <= n; i++) {
		const struct dysco_sight *s = &p->past[(p->n_past - i) % DYSCO_PAST_MAX];

		if (s->host == host && memcmp(&s->id, id, sizeof(*id)) == 0) {
			return s;
		}
	}
	return NULL;
}

static json_t *phases_array(const struct dysco_sight *s, uint64_t now_ns)
{
	json_t *phases = json_array();

	for (uint8_t i = 0; i < s->n_order; i++) {
		uint8_t state = s->order[i];
		uint64_t ns = s->spent_ns[state];

		if (!s->over && state == s->state && now_ns > s->entered_ns) {
			ns += now_ns - s->entered_ns;
		}
		json_array_append_new(phases, json_pack("{s:s, s:f}", "phase",
							dysco_attempt_state_name(state), "us",
							(double)ns / 1000.0));
	}
	return phases;
}

/* The phase that a failure ended: CANCELLING is what followed. */
static json_t *failed_in(const struct dysco_sight *s)
{
	uint8_t n = s->n_order;

	if (s->outcome != DYSCO_OUTCOME_FAILED || n == 0) {
		return json_null();
	}
	n = (uint8_t)(n > 1 && s->order[n - 1] == DYSCO_ATTEMPT_CANCELLING ? n - 2 : n - 1);
	return json_string(dysco_attempt_state_name(s->order[n]));
}

json_t *dysco_phases_json(const struct dysco_sight *sight, uint64_t now_ns)
{
	static const char *const kinds[] = {"ordinary", "recovery", "late"};
	static const char *const outcomes[] = {"under_way", "completed", "failed"};
	uint64_t until_ns = sight->over ? sight->ended_ns : now_ns;
	json_t *o = json_object();
	char nonce[17];

	snprintf(nonce, sizeof(nonce), "%016llx", (unsigned long long)sight->nonce);
	json_object_set_new(o, "nonce", json_string(nonce));
	json_object_set_new(o, "part", json_string(dysco_part_name(sight->role)));
	json_object_set_new(o, "kind",
			    json_string(sight->kind < 3 ? kinds[sight->kind] : "unknown"));
	json_object_set_new(o, "change", json_string(dysco_change_name(sight->change)));
	json_object_set_new(
	    o, "state", json_string(sight->over ? "over" : dysco_attempt_state_name(sight->state)));
	json_object_set_new(o, "result", json_string(outcomes[sight->outcome % 3]));
	json_object_set_new(o, "cause",
			    sight->outcome == DYSCO_OUTCOME_FAILED ? dysco_json_nack(sight->reason)
								   : json_null());
	json_object_set_new(o, "failed_in", failed_in(sight));
	json_object_set_new(o, "left", dysco_json_addr(&sight->left));
	json_object_set_new(o, "right", dysco_json_addr(&sight->right));
	json_object_set_new(o, "age_s", json_real((double)(until_ns - sight->started_ns) / 1e9));
	json_object_set_new(o, "took_us",
			    sight->moved_ns
				? json_real((double)(sight->moved_ns - sight->started_ns) / 1000.0)
				: json_null());
	json_object_set_new(o, "phases", phases_array(sight, now_ns));
	return o;
}
