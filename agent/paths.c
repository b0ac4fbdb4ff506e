/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths of sessions (health.h). A session whose data is not acknowledged, whichever end
 * sends it, is looked at: the agents of all hosts of its chain are asked what they have
 * seen, both ends send a segment that changes nothing, and they are asked again. What has
 * arrived at the other end says that the path is whole, whoever is silent or slow there;
 * and if nothing has, the counts say how far it came.
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

static bool has_boxes(const struct dysco_leg *leg, const struct dysco_address_list *list)
{
	return leg->role == DYSCO_ROLE_FIRST ? list->next + 1 < list->count
					     : leg->role == DYSCO_ROLE_LAST && list->next > 0;
}

/* Is it an end of a session with boxes, which carries data by one path, and could recover? */
static bool carries_data(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_leg *leg = leg_of(agent, slot);
	const struct dysco_leg_cold *cold = cold_of(agent, slot);
	enum dysco_leg_state state;

	if (leg->mode != DYSCO_MODE_FAST || !has_boxes(leg, &cold->list)) {
		return false;
	}
	state = dysco_leg_state(leg);
	return (state == DYSCO_STATE_ESTABLISHED || state == DYSCO_STATE_HALF_CLOSED) &&
	       (cold->attempt == DYSCO_NO_ATTEMPT ||
		dysco_core_attempt_gives_way(&agent->core, slot));
}

static bool is_looked_at(const struct dysco_agent *agent, uint32_t slot)
{
	for (int i = 0; i < DYSCO_CHECKS_MAX; i++) {
		if (agent->health->check[i].slot == slot) {
			return true;
		}
	}
	return false;
}

static bool still_there(const struct dysco_agent *agent, const struct dysco_check *c)
{
	return carries_data(agent, c->slot) && leg_of(agent, c->slot)->role == DYSCO_ROLE_FIRST &&
	       memcmp(&cold_of(agent, c->slot)->id, &c->id, sizeof(c->id)) == 0;
}

/* ---- what it comes to ---- */

static void is_not_broken(struct dysco_watch *w)
{
	w->broken_ns = 0;
	w->tried = false;
}

/* What this host did not let through, though it came in. */
static bool is_stuck(const struct dysco_hop_view *v, bool left, bool right)
{
	return (!right && grew(v, LEFT_IN) && !grew(v, RIGHT_OUT)) ||
	       (!left && grew(v, RIGHT_IN) && !grew(v, LEFT_OUT));
}

static enum dysco_box_cause fault_of(const struct dysco_agent *agent,
				     const struct dysco_hop_view *v, bool left, bool right)
{
	if (!v->answered) {
		return dysco_health_can_blame(agent, &v->addr) ? DYSCO_CAUSE_NO_ANSWER
							       : DYSCO_CAUSE_NONE;
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

		v->fault = (uint8_t)fault_of(agent, v, left, right);
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
	struct dysco_watch *w = &agent->health->watch[c->slot];

	if (find_faults(agent, now_ns, c)) {
		dysco_mend_begin(agent, now_ns, c);
		w->broken_ns = w->broken_ns ? w->broken_ns : now_ns;
		return;
	}
	is_not_broken(w);
	agent->core.stats.counters[DYSCO_COUNTER_UNLOCATED]++;
	dysco_health_say(agent, "path_broken", c->slot, NULL,
			 right_end(c)->known ? "no_box_to_blame" : "other_end_silent");
}

static void end(struct dysco_agent *agent, uint64_t now_ns, struct dysco_check *c, bool whole)
{
	struct dysco_watch *w = &agent->health->watch[c->slot];

	w->looked_ns = now_ns;
	if (whole) {
		is_not_broken(w);
		for (uint8_t i = 0; i + 1 < c->hops; i++) {
			dysco_health_passes(agent, now_ns, &c->hop[i].addr);
		}
	} else {
		conclude(agent, now_ns, c);
	}
	c->slot = DYSCO_NO_SLOT;
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
	end(agent, now_ns, c, whole);
}

/* false: too many are under way. */
static bool begin(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	const struct dysco_address_list *list = &cold_of(agent, slot)->list;
	struct dysco_check *c = NULL;

	for (int i = 0; i < DYSCO_CHECKS_MAX && !c; i++) {
		c = agent->health->check[i].slot == DYSCO_NO_SLOT ? &agent->health->check[i] : NULL;
	}
	if (!c) {
		return false;
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
	return true;
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

/* Nothing that the host sends is acknowledged, or all is. */
static void see(struct dysco_watch *w, const struct dysco_leg *leg, uint64_t now_ns)
{
	const struct dysco_leg_run *out = &leg->run[DYSCO_OUT], *in = &leg->run[DYSCO_IN];
	bool waits = (in->seen & DYSCO_SEEN_ACK) && dysco_seq_after(out->seq_end, in->ack);

	if (in->ack != w->acked) {
		w->acked = in->ack;
		w->acked_ns = now_ns;
		is_not_broken(w);
	}
	if (!waits) {
		w->acked_ns = now_ns;
	}
}

/* Does it go by a box that is down? */
static bool goes_by_failed(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_address_list *list = &cold_of(agent, slot)->list;

	for (uint8_t h = list->next; h < list->count; h++) {
		int box = dysco_box_by_address(&agent->config->setup, &list->hops[h].addr);

		if (box >= 0 && agent->health->box[box].state == DYSCO_BOX_DOWN) {
			return true;
		}
	}
	return false;
}

/* A box has failed since this session was looked at last, and it is one of its own. */
static bool has_lost_a_box(const struct dysco_agent *agent, struct dysco_watch *w, uint32_t slot)
{
	if (w->epoch == agent->health->epoch) {
		return false;
	}
	if (leg_of(agent, slot)->role == DYSCO_ROLE_FIRST && goes_by_failed(agent, slot)) {
		return true;
	}
	w->epoch = agent->health->epoch;
	return false;
}

/*
 * A session on which nothing waits needs no look, and gets none: the segments of a look
 * would pass for its own. What waits is looked at rarer and rarer, as TCP sends it again.
 */
static bool is_due(const struct dysco_agent *agent, struct dysco_watch *w, uint32_t slot,
		   uint64_t now_ns)
{
	uint64_t interval_ns = agent->config->health.interval_ms * DYSCO_NS_PER_MS;
	uint64_t wait_ns = w->looked_ns > w->acked_ns ? w->looked_ns - w->acked_ns : 0;

	if (now_ns - w->looked_ns < interval_ns) {
		return false;
	}
	if (w->asked || w->broken_ns || has_lost_a_box(agent, w, slot)) {
		return true;
	}
	return now_ns - w->acked_ns >= interval_ns &&
	       now_ns - w->looked_ns >= (wait_ns < SLOWEST_NS ? wait_ns : SLOWEST_NS);
}

/* So that the box can be asked: any session that goes there will do. */
static void note_boxes(struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_address_list *list = &cold_of(agent, slot)->list;

	for (uint8_t h = list->next; h < list->count; h++) {
		int i = dysco_box_by_address(&agent->config->setup, &list->hops[h].addr);
		struct dysco_box_health *b = &agent->health->box[i < 0 ? 0 : i];

		if (i >= 0 && b->beside == DYSCO_NO_SLOT) {
			b->beside = slot;
			b->host = leg_of(agent, slot)->host;
			b->addr = list->hops[h].addr;
		}
	}
}

static bool find_strangers(const struct dysco_agent *agent)
{
	for (uint16_t i = 0; i < agent->config->setup.n_boxes; i++) {
		if (agent->core.box_sessions[i] > 0 &&
		    agent->health->box[i].beside == DYSCO_NO_SLOT) {
			return true;
		}
	}
	return false;
}

/* The right end cannot tell which box it is; the agent of the left one can. */
static void call(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	const struct dysco_leg_cold *cold = cold_of(agent, slot);
	struct dysco_question q = {.to = &cold->session.src,
				   .beside = slot,
				   .nonce = dysco_health_nonce(agent->health),
				   .flags = DYSCO_PROBE_LOOK,
				   .id = &cold->id};

	agent->health->watch[slot].looked_ns = now_ns;
	dysco_health_ask(agent, now_ns, &q);
}

/* Only noted: the tick does what follows. */
void dysco_paths_called(struct dysco_agent *agent, uint32_t slot)
{
	agent->health->watch[slot].asked = true;
}

/* The box has another address for the left end than the hosts behind it. */
static void pass_on(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	struct dysco_watch *w = &agent->health->watch[slot];
	uint64_t interval_ns = agent->config->health.interval_ms * DYSCO_NS_PER_MS;

	if (w->asked && now_ns - w->looked_ns >= interval_ns) {
		w->asked = false;
		call(agent, now_ns, slot);
	}
}

static void attend(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	struct dysco_health *health = agent->health;
	uint64_t cost_ns = 1000000000ull / agent->config->health.rate;

	if (health->allowance_ns < cost_ns) {
		return;
	}
	if (leg_of(agent, slot)->role != DYSCO_ROLE_FIRST) {
		call(agent, now_ns, slot);
	} else if (!begin(agent, now_ns, slot)) {
		return;
	}
	health->allowance_ns -= cost_ns;
	health->watch[slot].asked = false;
	health->watch[slot].epoch = health->epoch;
}

static void watch(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	struct dysco_watch *w = &agent->health->watch[slot];
	const struct dysco_leg *leg = leg_of(agent, slot);

	if (leg->role == DYSCO_ROLE_LEFT && leg->mode == DYSCO_MODE_FAST) {
		pass_on(agent, now_ns, slot);
		dysco_astray_look(agent, now_ns, slot);
		return;
	}
	if (!carries_data(agent, slot)) {
		return;
	}
	if (w->created_ns != leg->created_ns) {
		*w = (struct dysco_watch){.created_ns = leg->created_ns,
					  .acked = leg->run[DYSCO_IN].ack,
					  .acked_ns = now_ns,
					  .epoch = agent->health->epoch};
	}
	see(w, leg, now_ns);
	if (agent->health->strangers && leg->role == DYSCO_ROLE_FIRST) {
		note_boxes(agent, slot);
	}
	if (is_due(agent, w, slot, now_ns) && !is_looked_at(agent, slot) &&
	    !dysco_mend_has(agent, slot)) {
		attend(agent, now_ns, slot);
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
	health->strangers = find_strangers(agent);
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
