// SPDX-License-Identifier: BSD-2-Clause
/* Time, chance and the life of one run of the simulator: see world.h. */
#include "tests/sim/scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* xorshift64*: small, and the same everywhere. */
uint32_t sim_random(struct sim_world *w, uint32_t below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return below ? (uint32_t)((w->random * 0x2545f4914f6cdd1dull >> 32) % below) : 0;
}

bool sim_chance(struct sim_world *w, uint32_t per_mille)
{
	return sim_random(w, 1000) < per_mille;
}

void sim_has(struct sim_world *w, enum sim_feature feature)
{
	w->features[feature] = true;
}

const char *sim_tuple_text(const struct dysco_tuple *t, char text[static 96])
{
	uint32_t src = DYSCO_HOST32(t->src.w_be[3]), dst = DYSCO_HOST32(t->dst.w_be[3]);

	snprintf(text, 96, "%u.%u:%u>%u.%u:%u", src >> 8 & 0xff, src & 0xff,
		 DYSCO_HOST16(t->sport_be), dst >> 8 & 0xff, dst & 0xff, DYSCO_HOST16(t->dport_be));
	return text;
}

void sim_fail(struct sim_world *w, const char *format, ...)
{
	char text[sizeof(w->failure)];
	va_list args;

	/* clang-tidy 14 loses va_start() when it reads a file for the second time. */
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args); /* NOLINT(clang-analyzer-valist.*) */
	va_end(args);
	if (!w->failed) {
		w->failed = true;
		memcpy(w->failure, text, sizeof(text));
		sim_say(w, "FAILED: %s", text);
	}
}

void sim_print(const struct sim_world *w, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args); /* NOLINT(clang-analyzer-valist.*) */
	va_end(args);
	printf("%12.6f %s\n", (double)w->now_ns / (double)SIM_S, text);
}

/* ---- the queue of events ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_at(struct sim_world *w, uint64_t at_ns, enum sim_event_kind kind, uint16_t a)
{
	struct sim_event event = {at_ns, w->order++, (uint8_t)kind, a};
	uint32_t at = w->n_events;

	if (at == SIM_EVENTS) {
		sim_fail(w, "simulator: more than %d events", SIM_EVENTS);
		return;
	}
	w->n_events++;
	while (at > 0 && before(&event, &w->events[(at - 1) / 2])) {
		w->events[at] = w->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	w->events[at] = event;
}

static struct sim_event take_first(struct sim_world *w)
{
	struct sim_event first = w->events[0];
	struct sim_event last = w->events[--w->n_events];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= w->n_events) {
			break;
		}
		if (child + 1 < w->n_events && before(&w->events[child + 1], &w->events[child])) {
			child++;
		}
		if (before(&last, &w->events[child])) {
			break;
		}
		w->events[at] = w->events[child];
		at = child;
	}
	w->events[at] = last;
	return first;
}

static void happen(struct sim_world *w, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EV_ARRIVE:
		sim_arrive(w, &w->packets[event->a]);
		break;
	case SIM_EV_PUNT:
		sim_agent_punted(w, &w->packets[event->a]);
		break;
	case SIM_EV_CONN:
		sim_tcp_timer(w, (uint8_t)event->a);
		break;
	case SIM_EV_TICK:
		sim_agent_tick(w, (uint8_t)event->a);
		break;
	case SIM_EV_FLOW:
		sim_tcp_open(w, (uint8_t)event->a);
		break;
	case SIM_EV_CRASH:
		sim_agent_crash(w, (uint8_t)event->a);
		break;
	case SIM_EV_RESTART:
		sim_agent_start(w, (uint8_t)event->a);
		break;
	case SIM_EV_KILL:
		sim_agent_kill(w, (uint8_t)event->a);
		break;
	case SIM_EV_TRACE:
		sim_agent_trace(w, (uint8_t)event->a);
		break;
	case SIM_EV_RECONFIGURE:
		sim_reconfigure(w);
		break;
	case SIM_EV_CANCEL:
		sim_reconf_cancel(w);
		break;
	case SIM_EV_DEATH:
		sim_box_dies(w, (uint8_t)event->a);
		break;
	case SIM_EV_RECOVER:
		sim_recover(w, (uint8_t)event->a);
		break;
	case SIM_EV_ADOPT:
		sim_adopt(w, (uint8_t)event->a);
		break;
	case SIM_EV_PROBE:
		sim_probe(w, (uint8_t)event->a);
		break;
	case SIM_EV_LET_OUT:
		sim_emit(w, w->packets[event->a].to, &w->packets[event->a]);
		break;
	default:
		sim_enemy_act(w);
		break;
	}
}

static void next_event(struct sim_world *w)
{
	struct sim_event event = take_first(w);

	w->now_ns = event.at_ns;
	w->hash = sim_bytes_hash(w->hash, &event.at_ns, sizeof(event.at_ns));
	w->hash ^= (uint64_t)event.kind << 16 | event.a;
	w->outcomes[SIM_N_EVENTS]++;
	happen(w, &event);
}

/* Nothing on its way and nothing planned but timers. */
static bool is_quiet(const struct sim_world *w)
{
	for (uint32_t i = 0; i < w->n_events; i++) {
		if (w->events[i].kind != SIM_EV_TICK && w->events[i].kind != SIM_EV_CONN) {
			return false;
		}
	}
	return true;
}

static bool agent_empty(const struct sim_world *w, const struct sim_agent *a)
{
	for (uint32_t i = 1; w->moving && i < DYSCO_SIM_ATTEMPTS; i++) {
		if (a->dp.attempts[i].role != DYSCO_PART_NONE) {
			return false;
		}
	}
	return a->alive && a->core.live_legs == 0;
}

static bool agents_empty(const struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_agents; i++) {
		if (!agent_empty(w, &w->agents[i])) {
			return false;
		}
	}
	return true;
}

static void live(struct sim_world *w)
{
	uint64_t deadline_ns = w->calm_ns + 240 * SIM_S;

	while (!w->failed && w->n_events && w->now_ns < deadline_ns &&
	       !(sim_flows_over(w) && is_quiet(w))) {
		next_event(w);
	}
	if (!w->failed) {
		sim_check_flows(w);
	}
}

/* How long an agent between remembers an attempt whose lease is over. */
enum { LAPSED_S = 340 };

/* Legs outlive their session for as long as a time-out may be, and then must be gone. */
static void age(struct sim_world *w)
{
	uint64_t patience_s = (uint64_t)w->timeouts.established + w->timeouts.half_closed +
			      w->timeouts.embryonic + 3ull * w->timeouts.linger + 10 +
			      (w->moving ? (uint64_t)LAPSED_S : 0);
	uint64_t deadline_ns = w->now_ns + patience_s * SIM_S;

	while (!w->failed && w->n_events && w->now_ns < deadline_ns &&
	       !(agents_empty(w) && is_quiet(w))) {
		next_event(w);
	}
	if (!w->failed) {
		sim_check_leaks(w);
		sim_check_attempts(w);
		sim_strict_count(w);
	}
}

bool sim_run(struct sim_world *w, uint64_t seed, uint8_t mutant, bool trace)
{
	memset(w, 0, offsetof(struct sim_world, packets));
	w->seed = seed;
	w->random = seed * 0x9e3779b97f4a7c15ull + 0xd1b54a32d192ed03ull;
	w->mutant = mutant;
	w->trace = trace;
	w->sniff.used = false;
	for (uint16_t i = 0; i < SIM_PACKETS; i++) {
		w->free_list[i] = i;
	}
	w->free_packet = SIM_PACKETS;
	for (uint32_t i = 0; i < 4; i++) {
		sim_random(w, 1);
	}
	sim_scenario(w);
	live(w);
	if (!w->failed) {
		age(w);
	}
	return !w->failed;
}
