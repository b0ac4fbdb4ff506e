// SPDX-License-Identifier: BSD-2-Clause
/* How worlds end: without further disturbance, and by random walks from their beginning. */
#include "tests/explore/explore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WALK_STEPS = 4000, WIND_UPS = 6 };

static bool all_delivered(const struct xp *x)
{
	for (int side = 0; side < 2; side++) {
		const struct xp_end *to = &x->end[!side];
		uint32_t units = x->config->app[side].units;

		if (to->rcv_nxt < 1 + units) {
			return false;
		}
	}
	return true;
}

/* Legs go when all is over; while the session lives they stay. */
static void wind_up(struct xp *x)
{
	bool gone = false;

	for (uint32_t i = 0; i < WIND_UPS && !gone && !x->failed; i++) {
		gone = true;
		for (uint8_t host = 0; host < x->config->hosts; host++) {
			gone = (xp_is_dead(x, host) || xp_host_wind_up(x, host, i)) && gone;
		}
	}
	if (!gone) {
		xp_fail(x, "legs are left when all is over");
	}
}

void xp_check_end(struct xp *x)
{
	bool over = true;

	xp_load_small(x);
	for (uint8_t side = 0; side < 2; side++) {
		if (!xp_end_quiet(x, side)) {
			xp_fail(x, "nothing happens any more, and end %u waits in state %u", side,
				x->end[side].state);
			return;
		}
		over = over && x->end[side].state != XP_TCP_OPEN;
	}
	if (xp_attempts_under_way(x)) {
		xp_fail(x, "nothing happens any more, and an attempt is left");
		return;
	}
	if (!x->w.reset_sent) {
		xp_check_path(x);
		xp_check_asked(x);
	}
	if (!x->w.reset_sent && !all_delivered(x)) {
		xp_fail(x, "the end, and not all is delivered");
		return;
	}
	over = over && x->w.spent[XP_LOSS] == 0 &&
	       (!x->w.reset_sent || x->end[0].reset || x->end[1].reset);
	for (uint8_t host = 2; over && host < x->config->hosts; host++) {
		if (x->config->box[host] == XP_BOX_STRICT && !xp_is_dead(x, host) &&
		    !xp_box_closed(&x->box[host])) {
			xp_fail(x, "the box of host %u still believes in the connection", host);
			return;
		}
	}
	if (over) {
		wind_up(x);
	}
	xp_abandon(x);
}

static void say_choice(struct xp *x, const struct xp_choice *c)
{
	char text[256];

	if (x->talk) {
		xp_choice_say(x, c, text, sizeof(text));
		xp_say(x, "     %s", text);
	}
}

/* A number that tells the world, the same in every run. */
static uint64_t name_of(const struct xp *x)
{
	uint64_t name = 1;

	for (uint8_t i = 0; i < x->config->hosts; i++) {
		name = name * 31 + xp_pool_hash(&x->pool, x->w.host[i]);
	}
	for (uint8_t i = 0; i < x->w.n_flying; i++) {
		name = name * 31 + xp_pool_hash(&x->pool, x->w.flying[i]);
	}
	return name * 31 + xp_pool_hash(&x->pool, x->w.end[0]) +
	       xp_pool_hash(&x->pool, x->w.end[1]);
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*random >> 33) % below;
}

/* Everything that will be taken has the same chance, so each comes in the end. */
bool xp_complete(struct xp *x)
{
	uint8_t budget = x->total;

	x->total = 0;
	xp_walk(x, name_of(x), 0);
	x->total = budget;
	return !x->failed;
}

/* disturb: chance in 256 of a choice that need not be, or costs. */
void xp_walk(struct xp *x, uint64_t random, uint32_t disturb)
{
	struct xp_choice list[XP_CHOICES];
	uint32_t steps, n, at;

	x->walked.count = 0;
	for (steps = 0; steps < WALK_STEPS && !x->failed && !x->cut; steps++) {
		n = xp_choices(x, list);
		if (x->pressing == 0) {
			xp_check_end(x);
			return;
		}
		at = draw(&random, draw(&random, 256) < disturb ? n : x->pressing);
		say_choice(x, &list[at]);
		xp_trace_add(&x->walked, list[at]);
		xp_take(x, &list[at]);
	}
	if (steps == WALK_STEPS) {
		xp_fail(x, "no end after %d steps", WALK_STEPS);
	}
}
