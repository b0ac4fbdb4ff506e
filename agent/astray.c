/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Legs of boxes whose session is gone (health.h, docs/protocol.md 12.14). A box that is left
 * out of a chain is told so, and one that stays sees the session's end; but who was to
 * tell may have died, and a FIN or RST may have been lost when nobody sent it again. So
 * when nothing comes by any more, the agents of both neighbours are asked. One that knows
 * nothing of the session sends nothing here and takes nothing from here; since a
 * NAT's agent may have answered in its place, the session itself is asked, too, by a
 * segment that changes nothing. Only when that stays without an answer, twice, the box is
 * told that the session is over.
 */
#include <string.h>

#include "agent/health.h"

#define ROUNDS 3 /* of questions; a segment of the session between each two */

static const struct dysco_leg *leg_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->legs[slot];
}

static const struct dysco_leg_cold *cold_of(const struct dysco_agent *agent, uint32_t slot)
{
	return &agent->core.table->cold[slot];
}

/* ---- which legs ---- */

static bool is_of_box(const struct dysco_agent *agent, uint32_t slot)
{
	const struct dysco_leg *left = leg_of(agent, slot), *right = leg_of(agent, left->partner);

	return left->role == DYSCO_ROLE_LEFT && left->partner != DYSCO_NO_SLOT &&
	       left->mode == DYSCO_MODE_FAST && right->mode == DYSCO_MODE_FAST &&
	       dysco_leg_state(left) >= DYSCO_STATE_ESTABLISHED &&
	       dysco_leg_state(right) >= DYSCO_STATE_ESTABLISHED;
}

static bool is_over(const struct dysco_leg *leg)
{
	return (leg->flags & DYSCO_LEG_WITHDRAWN) || dysco_leg_state(leg) >= DYSCO_STATE_TIME_WAIT;
}

static bool has_ended(const struct dysco_agent *agent, uint32_t slot)
{
	return is_over(leg_of(agent, slot)) && is_over(leg_of(agent, leg_of(agent, slot)->partner));
}

/* Is it a pair of legs that has not ended, and that nobody is changing? */
static bool is_at_rest(const struct dysco_agent *agent, uint32_t slot)
{
	uint32_t right = leg_of(agent, slot)->partner;

	return is_of_box(agent, slot) && !has_ended(agent, slot) &&
	       cold_of(agent, slot)->attempt == DYSCO_NO_ATTEMPT &&
	       cold_of(agent, right)->attempt == DYSCO_NO_ATTEMPT;
}

static uint64_t last_packet(const struct dysco_leg *leg)
{
	uint64_t out_ns = leg->run[DYSCO_OUT].last_ns, in_ns = leg->run[DYSCO_IN].last_ns;

	return out_ns > in_ns ? out_ns : in_ns;
}

static uint64_t linger_ns(const struct dysco_agent *agent)
{
	return agent->config->setup.timeouts.linger * 1000000000ull;
}

static uint64_t idle_ns(const struct dysco_agent *agent, uint32_t slot, uint64_t now_ns)
{
	uint64_t left_ns = last_packet(leg_of(agent, slot));
	uint64_t right_ns = last_packet(leg_of(agent, leg_of(agent, slot)->partner));
	uint64_t last_ns = left_ns > right_ns ? left_ns : right_ns;

	return now_ns > last_ns ? now_ns - last_ns : 0;
}

/* Most legs are: of them no more is looked at than this. */
static bool is_busy(const struct dysco_agent *agent, uint32_t slot, uint64_t now_ns)
{
	return last_packet(leg_of(agent, slot)) + linger_ns(agent) > now_ns;
}

/*
 * Not before what the session's end leaves on the way has come, which legs linger for. One
 * that is open may be silent for hours: it is asked about rarer and rarer.
 */
static bool is_due(const struct dysco_agent *agent, uint32_t slot, uint64_t now_ns)
{
	uint64_t idle = idle_ns(agent, slot, now_ns);
	uint64_t asked_ns = now_ns - agent->health->watch[slot].looked_ns;
	bool open = dysco_leg_state(leg_of(agent, slot)) == DYSCO_STATE_ESTABLISHED;

	return idle >= linger_ns(agent) && asked_ns >= linger_ns(agent) &&
	       asked_ns >= (open ? idle / 2 : 0);
}

/* ---- asking ---- */

static uint32_t slot_towards(const struct dysco_agent *agent, const struct dysco_stray *s, int side)
{
	return side == 0 ? s->slot : leg_of(agent, s->slot)->partner;
}

static void ask(struct dysco_agent *agent, uint64_t now_ns, struct dysco_stray *s)
{
	s->nonce = dysco_health_nonce(agent->health);
	s->next_ns = now_ns + agent->config->health.interval_ms * DYSCO_NS_PER_MS;
	for (int side = 0; side < 2; side++) {
		uint32_t slot = slot_towards(agent, s, side);
		struct dysco_question q = {.to = &leg_of(agent, slot)->wire_tuple.dst,
					   .beside = slot,
					   .nonce = s->nonce,
					   .id = &s->id};

		s->unknown[side] = false;
		dysco_health_ask(agent, now_ns, &q);
	}
}

void dysco_astray_look(struct dysco_agent *agent, uint64_t now_ns, uint32_t slot)
{
	struct dysco_stray *s = NULL;

	if (is_busy(agent, slot, now_ns) || !is_at_rest(agent, slot) ||
	    !is_due(agent, slot, now_ns)) {
		return;
	}
	for (int i = 0; i < DYSCO_STRAYS_MAX && !s; i++) {
		s = agent->health->stray[i].slot == DYSCO_NO_SLOT ? &agent->health->stray[i] : NULL;
	}
	if (!s) {
		return;
	}
	*s = (struct dysco_stray){.slot = slot, .id = cold_of(agent, slot)->id};
	for (int side = 0; side < 2; side++) {
		const struct dysco_leg *leg = leg_of(agent, slot_towards(agent, s, side));

		s->packets[side] = leg->run[DYSCO_IN].packets;
		s->there[side] = is_over(leg); /* the box may have to finish with the other */
	}
	agent->health->watch[slot].looked_ns = now_ns;
	ask(agent, now_ns, s);
}

void dysco_astray_answered(struct dysco_agent *agent, const struct dysco_addr *from,
			   const struct dysco_msg_probe_reply *reply)
{
	for (int i = 0; i < DYSCO_STRAYS_MAX; i++) {
		struct dysco_stray *s = &agent->health->stray[i];

		for (int side = 0; side < 2 && s->slot != DYSCO_NO_SLOT; side++) {
			const struct dysco_leg *leg = leg_of(agent, slot_towards(agent, s, side));

			if (s->nonce == reply->trace.nonce && !reply->known &&
			    dysco_addr_equal(&leg->wire_tuple.dst, from)) {
				s->unknown[side] = true;
			}
		}
	}
}

/* ---- what it comes to ---- */

static bool is_its_session(const struct dysco_agent *agent, const struct dysco_stray *s)
{
	return is_of_box(agent, s->slot) &&
	       memcmp(&cold_of(agent, s->slot)->id, &s->id, sizeof(s->id)) == 0;
}

/* A RST is what a host answers that has no such connection. */
static bool has_answered(const struct dysco_agent *agent, const struct dysco_stray *s, int side)
{
	const struct dysco_leg_run *in =
	    &leg_of(agent, slot_towards(agent, s, side))->run[DYSCO_IN];

	return in->packets != s->packets[side] && !(in->seen & DYSCO_SEEN_RST);
}

/* The neighbour on one side has known nothing of the session all the time, and nothing has come
 * from there. */
static bool is_astray(const struct dysco_agent *agent, struct dysco_stray *s)
{
	for (int side = 0; side < 2; side++) {
		s->there[side] =
		    s->there[side] || !s->unknown[side] || has_answered(agent, s, side);
	}
	return !s->there[0] || !s->there[1];
}

static void nudge(struct dysco_agent *agent, const struct dysco_stray *s)
{
	for (int side = 0; side < 2; side++) {
		if (!s->there[side] &&
		    dysco_core_nudge(&agent->core, slot_towards(agent, s, side), &agent->actions)) {
			dysco_agent_perform(agent, NULL);
		}
	}
}

/* Or the host has answered by RST, which the box has let through. */
static void is_gone(struct dysco_agent *agent, uint64_t now_ns, const struct dysco_stray *s)
{
	agent->core.stats.counters[DYSCO_COUNTER_LEFT_BEHIND]++;
	if (is_at_rest(agent, s->slot)) {
		dysco_core_leave(&agent->core, now_ns, s->slot, &agent->actions);
		dysco_agent_perform(agent, NULL);
	}
}

static void step(struct dysco_agent *agent, uint64_t now_ns, struct dysco_stray *s)
{
	bool there = is_its_session(agent, s), rests = there && is_at_rest(agent, s->slot);
	bool astray = rests && is_astray(agent, s);

	if (astray && ++s->rounds < ROUNDS) {
		nudge(agent, s);
		ask(agent, now_ns, s);
		return;
	}
	if (astray || (s->rounds > 0 && there && has_ended(agent, s->slot))) {
		is_gone(agent, now_ns, s);
	}
	s->slot = DYSCO_NO_SLOT;
}

void dysco_astray_tick(struct dysco_agent *agent, uint64_t now_ns)
{
	for (int i = 0; i < DYSCO_STRAYS_MAX; i++) {
		struct dysco_stray *s = &agent->health->stray[i];

		if (s->slot != DYSCO_NO_SLOT && now_ns >= s->next_ns) {
			step(agent, now_ns, s);
		}
	}
}
