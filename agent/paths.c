/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths of sessions (health.h). A session on which nothing has come in for a while, or
 * whose bytes are not acknowledged, is looked at: the agents of all hosts of its chain
 * are asked what they have seen, both ends send a segment that changes nothing, and
 * they are asked again. What has arrived at the other end says that the path is whole,
 * whoever is silent or slow there; and if nothing has, the counts say how far it came.
 */
#include <string.h>

#include "agent/health.h"
#include "datapath/step.h"

#define SCAN_SLOTS    4096 /* legs looked at in a tick */
#define SLOWEST_NS    (60 * 1000000000ull)
#define ALLOWANCE_MAX 1000000000ull

enum place { LEFT_IN = 0, LEFT_OUT, RIGHT_IN, RIGHT_OUT };

static const struct dysco_leg *leg_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->legs[slot];
}

static const struct dysco_leg_cold *cold_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->cold[slot];
}

/* ---- views ---- */

static void read_counts(uint64_t counts[4], const struct dysco_report *r)
{
	counts[LEFT_IN] = r->left.packets_in;
	counts[LEFT_OUT] = r->left.packets_out;
	counts[RIGHT_IN] = r->right.packets_in;
	counts[RIGHT_OUT] = r->right.packets_out;
}

static void read_view(struct dysco_hop_view *v, const struct dysco_msg_probe_reply *reply)
{
	v->answered = true;
	v->known = reply->known;
	if (!v->known) {
		return;
	}
	read_counts(v->now, &reply->report);
	if (v->isn_left == 0) {
		memcpy(v->first, v->now, sizeof(v->first));
	}
	v->left_host = reply->report.left.host;
	v->left_from = reply->report.left.wire.dst;
	v->right_to = reply->report.right.wire.dst;
	v->isn_left = reply->numbers.seq | (reply->numbers.seq == 0);
	v->isn_right = reply->numbers.base | (reply->numbers.base == 0);
}

static bool grew(const struct dysco_hop_view *v, enum place at)
{
	return v->now[at] != v->first[at];
}

static const struct dysco_hop_view *right_end(const struct dysco_check *c)
{
	return &c->hop[c->hops - 1];
}

/* A box that terminates sessions answers in the place of the right end. */
static bool terminates(const struct dysco_agent *agent, const struct dysco_check *c)
{
	uint32_t isn = cold_of(agent, c->slot)->isn;

	for (uint8_t i = 0; i < c->hops; i++) {
		const struct dysco_hop_view *v = &c->hop[i];

		if (v->known && (v->isn_left != v->isn_right ||
				 (v->last && v->isn_left != (isn | (isn == 0))))) {
			return true;
		}
	}
	return false;
}

static bool left_whole(const struct dysco_agent *agent, const struct dysco_check *c)
{
	return leg_of(agent, c->slot)->run[DYSCO_IN].packets != c->packets;
}

static bool right_whole(const struct dysco_agent *agent, const struct dysco_check *c)
{
	return terminates(agent, c) ? left_whole(agent, c) : grew(right_end(c), LEFT_IN);
}

/* ---- looking ---- */

static void ask_all(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c)
{
	struct dysco_question q = {.beside = c->slot, .nonce = c->nonce, .id = &c->id};

	for (uint8_t i = 0; i < c->hops; i++) {
		q.to = &c->hop[i].addr;
		q.flags = c->round > 0 && c->hop[i].last ? DYSCO_PROBE_NUDGE : 0;
		dysco_health_ask(agent, now_ns, &q);
	}
	c->next_ns = now_ns + agent->config->health.timeout_ms * DYSCO_NS_PER_MS;
}

static void next_round(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c)
{
	c->round++;
	if (dysco_core_nudge(&agent->core, c->slot, &agent->actions)) {
		dysco_agent_perform(agent, NULL);
	}
	ask_all(agent, now_ns, c);
}

/* Is it the session that was looked at, and does it carry data by one path? */
static bool may_be_looked_at(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_leg *leg = leg_of(agent, slot);
	const struct dysco_leg_cold *cold = cold_of(agent, slot);
	enum dysco_leg_state state = dysco_leg_state(leg);

	return leg->mode == DYSCO_MODE_FAST && leg->role == DYSCO_ROLE_FIRST &&
	       (state == DYSCO_STATE_ESTABLISHED || state == DYSCO_STATE_HALF_CLOSED) &&
	       cold->attempt == DYSCO_NO_ATTEMPT && cold->list.next + 1 < cold->list.count;
}

static bool still_there(const struct dysco_agent *agent, const struct dysco_check *c)
{
	return may_be_looked_at(agent, c->slot) &&
	       memcmp(&cold_of(agent, c->slot)->id, &c->id, sizeof(c->id)) == 0;
}

/* ---- what it comes to ---- */

/* What this host did not let through, though it came in. */
static bool is_stuck(const struct dysco_hop_view *v, bool left, bool right)
{
	return (!right && grew(v, LEFT_IN) && !grew(v, RIGHT_OUT)) ||
	       (!left && grew(v, RIGHT_IN) && !grew(v, LEFT_OUT));
}

static enum dysco_box_cause fault_of(const struct dysco_hop_view *v, bool left, bool right)
{
	if (!v->answered) {
		return DYSCO_CAUSE_NO_ANSWER;
	}
	if (!v->known) {
		return DYSCO_CAUSE_FORGOTTEN;
	}
	return is_stuck(v, left, right) ? DYSCO_CAUSE_NO_FORWARD : DYSCO_CAUSE_NONE;
}

/* Finds the boxes to blame; false: none, or there is nobody at the other end to ask. */
static bool find_faults(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c)
{
	bool left = left_whole(agent, c), right = right_whole(agent, c), any = false;

	if (!right_end(c)->known) {
		return false;
	}
	for (uint8_t i = 0; i + 1 < c->hops; i++) {
		struct dysco_hop_view *v = &c->hop[i];

		v->fault = (uint8_t)fault_of(v, left, right);
		any = any || v->fault != DYSCO_CAUSE_NONE;
		if (v->fault == DYSCO_CAUSE_NO_FORWARD) {
			dysco_health_stuck(agent, now_ns, &v->addr);
		} else if (v->fault == DYSCO_CAUSE_NO_ANSWER) {
			dysco_health_silent(agent, now_ns, &v->addr);
		}
	}
	return any;
}

static void conclude(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c)
{
	if (find_faults(agent, now_ns, c)) {
		dysco_mend_begin(agent, now_ns, c);
	} else {
		agent->core.stats.counters[DYSCO_COUNTER_UNLOCATED]++;
		dysco_health_say(agent, "path_broken", c->slot, NULL,
				 right_end(c)->known ? "no_box_to_blame" : "other_end_silent");
	}
}

/* The segments of the look itself are no sign of life. */
static void note_looked_at(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_check *c)
{
	struct dysco_watch *w = &agent->health->watch[c->slot];

	w->packets = leg_of(agent, c->slot)->run[DYSCO_IN].packets;
	w->checked_ns = now_ns;
	w->acked_ns = now_ns;
}

static void step(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c)
{
	bool whole = c->round > 0 && left_whole(agent, c) && right_whole(agent, c);

	if (!still_there(agent, c)) {
		c->slot = DYSCO_NO_SLOT;
		return;
	}
	if (!whole && now_ns < c->next_ns && !(c->round == 0 && right_end(c)->known)) {
		return;
	}
	if (!whole && c->round <= agent->config->health.failures) {
		next_round(agent, now_ns, c);
		return;
	}
	note_looked_at(agent, now_ns, c);
	if (!whole) {
		conclude(agent, now_ns, c);
	}
	c->slot = DYSCO_NO_SLOT;
}

static void begin(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	const struct dysco_address_list *list = &cold_of(agent, slot)->list;
	struct dysco_check *c = NULL;

	for (int i = 0; i < DYSCO_CHECKS_MAX && !c; i++) {
		c = agent->health->check[i].slot == DYSCO_NO_SLOT ? &agent->health->check[i] : NULL;
	}
	if (!c) {
		return;
	}
	memset(c, 0, sizeof(*c));
	c->slot = slot;
	c->id = cold_of(agent, slot)->id;
	c->nonce = dysco_health_nonce(agent->health);
	c->packets = leg_of(agent, slot)->run[DYSCO_IN].packets;
	for (uint8_t i = list->next; i < list->count; i++) {
		c->hop[c->hops].last = i + 1 == list->count;
		c->hop[c->hops++].addr = list->hops[i].addr;
	}
	agent->core.stats.counters[DYSCO_COUNTER_PATHS_CHECKED]++;
	ask_all(agent, now_ns, c);
}

void dysco_paths_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			  const struct dysco_msg_probe_reply *reply)
{
	for (int i = 0; i < DYSCO_CHECKS_MAX; i++) {
		struct dysco_check *c = &agent->health->check[i];

		if (c->slot == DYSCO_NO_SLOT || c->nonce != reply->trace.nonce) {
			continue;
		}
		for (uint8_t h = 0; h < c->hops; h++) {
			if (dysco_addr_equal(&c->hop[h].addr, from)) {
				read_view(&c->hop[h], reply);
			}
		}
	}
}

/* ---- which sessions ---- */

static void see(struct dysco_watch *w, const struct dysco_leg *leg, uint64_t now_ns)
{
	const struct dysco_leg_run *in = &leg->run[DYSCO_IN];

	if (in->packets != w->packets) {
		w->packets = in->packets;
		w->since_ns = now_ns;
		w->checked_ns = 0;
	}
	if (in->ack != w->acked || !dysco_seq_after(leg->run[DYSCO_OUT].seq_end, in->ack)) {
		w->acked = in->ack;
		w->acked_ns = now_ns;
	}
}

/* Rarer and rarer, as long as nothing comes; at once when a box has failed. */
static bool is_due(const struct dysco_agent *agent, const struct dysco_watch *w, uint64_t now_ns)
{
	uint64_t interval_ns = agent->config->health.interval_ms * DYSCO_NS_PER_MS;
	uint64_t wait_ns = interval_ns;

	if (now_ns - w->acked_ns >= 2 * interval_ns) {
		return true;
	}
	if (now_ns - w->since_ns < interval_ns) {
		return false;
	}
	if (w->checked_ns == 0 || w->box_epoch != agent->health->epoch) {
		return true;
	}
	wait_ns = w->checked_ns - w->since_ns > wait_ns ? w->checked_ns - w->since_ns : wait_ns;
	return now_ns - w->checked_ns >= (wait_ns < SLOWEST_NS ? wait_ns : SLOWEST_NS);
}

/* So that the box can be asked: any session that goes there will do. */
static void note_boxes(struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_address_list *list = &cold_of(agent, slot)->list;
	const struct dysco_setup *setup = &agent->config->setup;

	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		struct dysco_box_health *b = &agent->health->box[i];

		for (uint8_t h = list->next; b->beside == DYSCO_NO_SLOT && h < list->count; h++) {
			const struct dysco_addr *addr = &list->hops[h].addr;

			if (dysco_addr_equal(addr, &setup->boxes[i].ip4) ||
			    dysco_addr_equal(addr, &setup->boxes[i].ip6)) {
				b->beside = slot;
				b->host = leg_of(agent, slot)->host;
				b->addr = *addr;
			}
		}
	}
}

static void watch(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	struct dysco_health *health = agent->health;
	struct dysco_watch *w = &health->watch[slot];
	uint64_t cost_ns = 1000000000ull / agent->config->health.rate;

	if (!may_be_looked_at(agent, slot) || dysco_mend_has(agent, slot)) {
		w->since_ns = now_ns;
		w->acked_ns = now_ns;
		return;
	}
	see(w, leg_of(agent, slot), now_ns);
	note_boxes(agent, slot);
	for (int i = 0; i < DYSCO_CHECKS_MAX; i++) {
		if (health->check[i].slot == slot) {
			return;
		}
	}
	if (is_due(agent, w, now_ns) && health->allowance_ns >= cost_ns) {
		health->allowance_ns -= cost_ns;
		w->box_epoch = health->epoch;
		begin(agent, now_ns, slot);
	}
}

void dysco_paths_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	struct dysco_health *health = agent->health;
	uint32_t high =
	    agent->core.high_slot < health->watches ? agent->core.high_slot : health->watches - 1;

	health->allowance_ns += health->ticked_ns ? now_ns - health->ticked_ns : 0;
	if (health->allowance_ns > ALLOWANCE_MAX) {
		health->allowance_ns = ALLOWANCE_MAX;
	}
	health->ticked_ns = now_ns;
	for (int i = 0; i < DYSCO_CHECKS_MAX; i++) {
		if (health->check[i].slot != DYSCO_NO_SLOT) {
			step(agent, now_ns, &health->check[i]);
		}
	}
	for (uint32_t n = 0; n < SCAN_SLOTS && n < high; n++) {
		health->scan = health->scan < high ? health->scan + 1 : 1;
		watch(agent, now_ns, health->scan);
	}
}
