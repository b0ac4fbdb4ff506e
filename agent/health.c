/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boxes: up, suspect or down, by the answers of their agents (health.h). Only boxes
 * that sessions of ours go through are asked, and those that are not up.
 */
#include "agent/health.h"

#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/show.h"

#define HELD_INTERVALS 10 /* a box that does not forward stays down at least so long */
#define ROUNDS_APART   3  /* time-outs without a question, after which a channel is closed */

static const char *const state_names[] = {"up", "suspect", "down"};

const char *dysco_cause_name(unsigned int cause)
{
	static const char *const names[] = {"none", "no_answer", "no_forward", "forgotten"};

	return cause < sizeof(names) / sizeof(names[0]) ? names[cause] : "unknown";
}

static const struct dysco_health_setup *setup_of(const struct dysco_agent *agent)
{
	return &agent->config->health;
}

static void count(struct dysco_agent *agent, enum dysco_counter counter)
{
	agent->core.stats.counters[counter]++;
}

/* Only boxes in use are asked, and those that are to come back. */
static bool is_asked(const struct dysco_agent *agent, uint16_t box)
{
	return agent->core.box_sessions[box] > 0 || agent->health->box[box].state != DYSCO_BOX_UP;
}

/* ---- channels ---- */

static const struct dysco_leg *leg_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->legs[slot];
}

/* Its leg may be gone, and its slot another's. */
static bool is_channel_leg(const struct dysco_agent *agent, const struct dysco_channel *c)
{
	const struct dysco_leg *leg = leg_of(agent, c->slot);

	return leg->role == DYSCO_ROLE_CONTROL && leg->mode == DYSCO_MODE_PUNT &&
	       leg->host == c->host && dysco_addr_equal(&leg->wire_tuple.dst, &c->to);
}

static struct dysco_channel *find_channel(struct dysco_health *health, uint16_t host,
					  const struct dysco_addr *to)
{
	struct dysco_channel *room = NULL;

	for (int i = 0; i < DYSCO_CHANNELS_MAX; i++) {
		struct dysco_channel *c = &health->channel[i];

		if (c->slot == DYSCO_NO_SLOT) {
			room = room ? room : c;
		} else if (!c->closed && c->host == host && dysco_addr_equal(&c->to, to)) {
			return c;
		}
	}
	if (room) {
		*room = (struct dysco_channel){.host = host, .to = *to};
	}
	return room;
}

/* Its leg is there for as long as the other side has not answered. */
static void close_channel(struct dysco_agent *agent, uint64_t now_ns, struct dysco_channel *c)
{
	if (is_channel_leg(agent, c)) {
		dysco_core_channel_close(&agent->core, now_ns, c->slot, &agent->actions);
		dysco_agent_perform(agent, NULL);
	}
	if (is_channel_leg(agent, c) && c->closed++ >= setup_of(agent)->failures) {
		dysco_core_channel_forget(&agent->core, c->slot);
	}
	c->used_ns = now_ns;
	if (!is_channel_leg(agent, c)) {
		c->slot = DYSCO_NO_SLOT;
	}
}

static bool open_channel(struct dysco_agent *agent, uint64_t now_ns, struct dysco_channel *c,
			 uint32_t beside)
{
	uint32_t slot = dysco_core_channel_open(&agent->core, now_ns, beside, &c->to);

	if (c->slot != DYSCO_NO_SLOT && is_channel_leg(agent, c)) {
		dysco_core_channel_close(&agent->core, now_ns, c->slot, &agent->actions);
		dysco_agent_perform(agent, NULL);
		dysco_core_channel_forget(&agent->core, c->slot);
	}
	c->slot = slot; /* it may have been made beside the other one */
	c->missed = 0;
	return c->slot != DYSCO_NO_SLOT;
}

static bool say(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_channel *c,
		const struct dysco_msg_trace *probe)
{
	if (c->slot == DYSCO_NO_SLOT || !is_channel_leg(agent, c) ||
	    !dysco_core_probe(&agent->core, now_ns, c->slot, probe, &agent->actions)) {
		return false;
	}
	dysco_agent_perform(agent, NULL);
	return true;
}

/*
 * A channel that was answered and is not any more may have been forgotten by a firewall
 * on the way: after some questions in vain another one is opened.
 */
static bool is_worn_out(struct dysco_agent *agent, const struct dysco_channel *c)
{
	return c->missed > setup_of(agent)->failures && is_channel_leg(agent, c) &&
	       dysco_core_channel_answered(&agent->core, c->slot);
}

bool dysco_health_ask(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_question *q)
{
	struct dysco_channel *c =
	    find_channel(agent->health, leg_of(agent, q->beside)->host, q->to);
	struct dysco_msg_trace probe = {.nonce = q->nonce, .flags = q->flags};
	bool asked;

	if (q->id) {
		probe.id = *q->id;
	}
	if (!c) {
		return false;
	}
	c->used_ns = now_ns;
	asked = !is_worn_out(agent, c) && say(agent, now_ns, c, &probe);
	if (!asked) {
		asked = open_channel(agent, now_ns, c, q->beside) && say(agent, now_ns, c, &probe);
	}
	c->missed = (uint8_t)(c->missed + (c->missed < UINT8_MAX));
	return asked;
}

/* A box that is asked all the time keeps its channel. */
static bool is_needed(const struct dysco_agent *agent, const struct dysco_channel *c)
{
	int i = dysco_box_by_address(&agent->config->setup, &c->to);

	return !setup_of(agent)->off && !c->closed && i >= 0 &&
	       agent->health->box[i].host == c->host && is_asked(agent, (uint16_t)i);
}

static void close_idle_channels(struct dysco_agent *agent, uint64_t now_ns)
{
	uint64_t timeout_ns = setup_of(agent)->timeout_ms * DYSCO_NS_PER_MS;

	for (int i = 0; i < DYSCO_CHANNELS_MAX; i++) {
		struct dysco_channel *c = &agent->health->channel[i];
		uint64_t idle_ns = c->closed ? timeout_ns : ROUNDS_APART * timeout_ns;

		if (c->slot != DYSCO_NO_SLOT && !is_needed(agent, c) &&
		    (now_ns - c->used_ns >= idle_ns || setup_of(agent)->off)) {
			close_channel(agent, now_ns, c);
		}
	}
}

/* Those that the agent before this one has left open: questions go on there, or they are closed. */
static void take_over_channels(struct dysco_agent *agent)
{
	struct dysco_channel *c = agent->health->channel;

	for (uint32_t slot = 1; slot <= agent->core.high_slot; slot++) {
		const struct dysco_leg *leg = leg_of(agent, slot);

		if ((leg->flags & DYSCO_LEG_OPENER) && dysco_core_is_channel(&agent->core, slot) &&
		    c < &agent->health->channel[DYSCO_CHANNELS_MAX]) {
			*c++ = (struct dysco_channel){
			    .slot = slot, .host = leg->host, .to = leg->wire_tuple.dst};
		}
	}
}

/* ---- a box's state ---- */

uint32_t dysco_health_nonce(struct dysco_health *health)
{
	health->nonce += health->nonce == UINT32_MAX ? 2 : 1;
	return health->nonce;
}

static void enter(struct dysco_agent *agent, uint64_t now_ns, uint16_t i,
		  enum dysco_box_state state, enum dysco_box_cause cause)
{
	struct dysco_box_health *b = &agent->health->box[i];
	char name[64];

	if (b->state == state) {
		return;
	}
	dysco_config_box_text(name, &agent->config->setup.boxes[i]);
	if (state == DYSCO_BOX_DOWN) {
		agent->health->epoch++;
		count(agent, DYSCO_COUNTER_BOXES_DOWN);
		dysco_log(DYSCO_LOG_INFO, "box %s is down: %s", name, dysco_cause_name(cause));
		dysco_health_say(agent, "box_down", DYSCO_NO_SLOT, name, dysco_cause_name(cause));
	} else if (b->state == DYSCO_BOX_DOWN) {
		count(agent, DYSCO_COUNTER_BOXES_UP);
		dysco_log(DYSCO_LOG_INFO, "box %s is up again", name);
		dysco_health_say(agent, "box_up", DYSCO_NO_SLOT, name, NULL);
	}
	b->state = (uint8_t)state;
	b->cause = (uint8_t)cause;
	b->since_ns = now_ns;
	agent->core.box_down[i] = state == DYSCO_BOX_DOWN;
}

static void box_missed(struct dysco_agent *agent, uint64_t now_ns, uint16_t i)
{
	struct dysco_box_health *b = &agent->health->box[i];

	b->nonce = 0;
	b->successes = 0;
	b->next_ns = now_ns + setup_of(agent)->interval_ms * DYSCO_NS_PER_MS;
	if (b->mute) {
		return;
	}
	b->failures++;
	if (b->failures >= setup_of(agent)->failures) {
		enter(agent, now_ns, i, DYSCO_BOX_DOWN, DYSCO_CAUSE_NO_ANSWER);
	} else if (b->state == DYSCO_BOX_UP) {
		enter(agent, now_ns, i, DYSCO_BOX_SUSPECT, DYSCO_CAUSE_NO_ANSWER);
	}
	if (b->state == DYSCO_BOX_SUSPECT) {
		b->next_ns = now_ns; /* what is in doubt is asked again at once */
	}
}

static void box_answered(struct dysco_agent *agent, uint64_t now_ns, uint16_t i)
{
	struct dysco_box_health *b = &agent->health->box[i];

	b->nonce = 0;
	b->answered = true;
	b->mute = false;
	b->failures = 0;
	b->successes++;
	b->rtt_us = (uint32_t)((now_ns - b->asked_ns) / 1000);
	if (b->state == DYSCO_BOX_SUSPECT ||
	    (b->state == DYSCO_BOX_DOWN && b->successes >= setup_of(agent)->successes &&
	     now_ns >= b->held_ns)) {
		enter(agent, now_ns, i, DYSCO_BOX_UP, DYSCO_CAUSE_NONE);
	}
}

bool dysco_health_can_blame(const struct dysco_agent *agent, const struct dysco_addr *addr)
{
	int i = dysco_box_by_address(&agent->config->setup, addr);

	return i < 0 || !agent->health->box[i].mute;
}

void dysco_health_passes(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box)
{
	int i = dysco_box_by_address(&agent->config->setup, box);
	struct dysco_box_health *b = &agent->health->box[i < 0 ? 0 : i];

	if (i >= 0 && b->state == DYSCO_BOX_DOWN && !b->answered) {
		b->mute = true;
		enter(agent, now_ns, (uint16_t)i, DYSCO_BOX_UP, DYSCO_CAUSE_NONE);
	}
}

void dysco_health_stuck(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box)
{
	int i = dysco_box_by_address(&agent->config->setup, box);

	if (i >= 0) {
		agent->health->box[i].held_ns = now_ns + (uint64_t)HELD_INTERVALS *
							     setup_of(agent)->interval_ms *
							     DYSCO_NS_PER_MS;
		enter(agent, now_ns, (uint16_t)i, DYSCO_BOX_DOWN, DYSCO_CAUSE_NO_FORWARD);
	}
}

void dysco_health_silent(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_addr *box)
{
	int i = dysco_box_by_address(&agent->config->setup, box);

	if (i >= 0) {
		agent->health->box[i].successes = 0;
		enter(agent, now_ns, (uint16_t)i, DYSCO_BOX_DOWN, DYSCO_CAUSE_NO_ANSWER);
	}
}

/* ---- asking boxes ---- */

/* The leg that was known may be gone; paths.c finds another one. */
static uint32_t beside_box(const struct dysco_agent *agent, const struct dysco_box_health *b)
{
	const struct dysco_leg *leg = leg_of(agent, b->beside);
	const struct dysco_channel *c;

	if (b->beside != DYSCO_NO_SLOT && leg->mode != DYSCO_MODE_FREE && leg->host == b->host &&
	    dysco_addr_is_ip4(&leg->wire_tuple.src) == dysco_addr_is_ip4(&b->addr)) {
		return b->beside;
	}
	c = b->host ? find_channel(agent->health, b->host, &b->addr) : NULL;
	return c && c->slot != DYSCO_NO_SLOT && is_channel_leg(agent, c) ? c->slot
									 : (uint32_t)DYSCO_NO_SLOT;
}

static void ask_box(struct dysco_agent *agent, uint64_t now_ns, uint16_t i)
{
	struct dysco_box_health *b = &agent->health->box[i];
	struct dysco_question q = {.to = &b->addr, .beside = beside_box(agent, b)};

	if (q.beside == DYSCO_NO_SLOT) {
		b->beside = DYSCO_NO_SLOT;
		return;
	}
	b->next_ns = now_ns + setup_of(agent)->interval_ms * DYSCO_NS_PER_MS;
	q.nonce = dysco_health_nonce(agent->health);
	if (dysco_health_ask(agent, now_ns, &q)) {
		b->nonce = q.nonce;
		b->asked_ns = now_ns;
	}
}

static void look_at_box(struct dysco_agent *agent, uint64_t now_ns, uint16_t i)
{
	struct dysco_box_health *b = &agent->health->box[i];

	if (b->nonce != 0 &&
	    now_ns - b->asked_ns >= setup_of(agent)->timeout_ms * DYSCO_NS_PER_MS) {
		box_missed(agent, now_ns, i);
	}
	if (b->nonce == 0 && now_ns >= b->next_ns && is_asked(agent, i)) {
		ask_box(agent, now_ns, i);
	}
}

/* ---- the agent's calls ---- */

int dysco_health_start(struct dysco_agent *agent)
{
	struct dysco_health *health = calloc(1, sizeof(*health));

	if (!health) {
		return -1;
	}
	health->watches = agent->core.table->capacity;
	health->watch = calloc(health->watches, sizeof(*health->watch));
	health->nonce = (uint32_t)dysco_now_ns();
	health->epoch = 1;
	agent->health = health;
	take_over_channels(agent);
	return health->watch ? 0 : -1;
}

void dysco_health_stop(struct dysco_agent *agent)
{
	if (agent->health) {
		free(agent->health->watch);
	}
	free(agent->health);
	agent->health = NULL;
}

void dysco_health_changed(struct dysco_agent *agent, const struct dysco_config *old)
{
	struct dysco_box_health before[DYSCO_BOXES_MAX];
	const struct dysco_setup *setup = &agent->config->setup;

	memcpy(before, agent->health->box, sizeof(before));
	memset(agent->health->box, 0, sizeof(before));
	memset(agent->core.box_down, 0, sizeof(agent->core.box_down));
	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		int was = dysco_config_find_box(old, setup->boxes[i].name);

		if (was >= 0 && !setup_of(agent)->off) {
			agent->health->box[i] = before[was];
			agent->core.box_down[i] = before[was].state == DYSCO_BOX_DOWN;
		}
	}
}

void dysco_health_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	close_idle_channels(agent, now_ns);
	dysco_mend_tick(agent, now_ns);
	if (setup_of(agent)->off) {
		return;
	}
	for (uint16_t i = 0; i < agent->config->setup.n_boxes; i++) {
		look_at_box(agent, now_ns, i);
	}
	dysco_astray_tick(agent, now_ns);
	dysco_paths_tick(agent, now_ns);
}

static void probed(struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_msg_probe_reply *reply = &agent->actions.probe;
	const struct dysco_leg *leg = leg_of(agent, slot);
	struct dysco_addr from = leg->wire_tuple.dst;
	uint64_t now_ns = dysco_now_ns();

	for (int i = 0; i < DYSCO_CHANNELS_MAX; i++) {
		if (agent->health->channel[i].slot == slot) {
			agent->health->channel[i].missed = 0;
		}
	}
	for (uint16_t i = 0; i < agent->config->setup.n_boxes; i++) {
		if (agent->health->box[i].nonce != 0 &&
		    agent->health->box[i].nonce == reply->trace.nonce) {
			box_answered(agent, now_ns, i);
			return;
		}
	}
	dysco_paths_answered(agent, &from, reply);
	dysco_mend_answered(agent, &from, reply);
	dysco_astray_answered(agent, &from, reply);
}

void dysco_health_event(struct dysco_agent *agent, const struct dysco_action *action)
{
	if (!agent->health) {
		return;
	}
	if (action->event == DYSCO_EVENT_PROBED) {
		probed(agent, action->slot);
	} else if (action->event == DYSCO_EVENT_LOOK) {
		dysco_paths_called(agent, action->slot);
	} else {
		dysco_mend_event(agent, action);
	}
}

/* ---- showing ---- */

enum dysco_box_state dysco_health_state(const struct dysco_agent *agent, uint16_t box)
{
	return agent->health ? (enum dysco_box_state)agent->health->box[box].state : DYSCO_BOX_UP;
}

void dysco_health_show_box(const struct dysco_agent *agent, uint16_t box, json_t *o)
{
	const struct dysco_box_health *b = &agent->health->box[box];
	bool watched = !setup_of(agent)->off && (b->answered || b->state != DYSCO_BOX_UP);

	json_object_set_new(o, "state", watched ? json_string(state_names[b->state]) : json_null());
	json_object_set_new(o, "cause",
			    b->cause != DYSCO_CAUSE_NONE ? json_string(dysco_cause_name(b->cause))
							 : json_null());
	json_object_set_new(o, "since_s",
			    b->since_ns ? json_real((double)(dysco_now_ns() - b->since_ns) / 1e9)
					: json_null());
	json_object_set_new(o, "rtt_us", b->rtt_us ? json_integer(b->rtt_us) : json_null());
}

json_t *dysco_health_show(const struct dysco_agent *agent)
{
	const struct dysco_health_setup *h = setup_of(agent);

	return json_pack("{s:b, s:i, s:i, s:i, s:i, s:i, s:i}", "on", !h->off, "interval_ms",
			 (int)h->interval_ms, "timeout_ms", (int)h->timeout_ms, "failures",
			 (int)h->failures, "successes", (int)h->successes, "rate", (int)h->rate,
			 "patience_ms", (int)h->patience_ms);
}

const char *dysco_on_failure_name(enum dysco_on_failure on_failure)
{
	static const char *const names[] = {"replace", "bypass", "close", "none"};

	return names[on_failure];
}
