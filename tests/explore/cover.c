// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which event met which state of an attempt: every message that can come to a
 * role, its timer, its lease, and the packets of the new path's handshake. Rows
 * that no configuration reaches are explained here, or the report names them.
 */
#include "tests/explore/explore.h"

#include <stdio.h>
#include <string.h>

enum { TYPE_AT = 5 };

static const char *const role_names[] = {"-",	     "left", "right", "between",
					 "inserted", "kept", "asking"};
static const char *const state_names[DYSCO_ATTEMPT_STATES] = {
    [DYSCO_ATTEMPT_REQUESTING] = "REQUESTING", [DYSCO_ATTEMPT_SETTING_UP] = "SETTING_UP",
    [DYSCO_ATTEMPT_PROVING] = "PROVING",       [DYSCO_ATTEMPT_CUTTING] = "CUTTING",
    [DYSCO_ATTEMPT_TWO_PATHS] = "TWO_PATHS",   [DYSCO_ATTEMPT_DONE] = "DONE",
    [DYSCO_ATTEMPT_RELEASING] = "RELEASING",   [DYSCO_ATTEMPT_CANCELLING] = "CANCELLING",
    [DYSCO_ATTEMPT_REQUESTED] = "REQUESTED",   [DYSCO_ATTEMPT_WAITING] = "WAITING",
    [DYSCO_ATTEMPT_READY] = "READY",	       [DYSCO_ATTEMPT_FREED] = "FREED",
    [DYSCO_ATTEMPT_LOCKED] = "LOCKED",	       [DYSCO_ATTEMPT_LAPSED] = "LAPSED",
};
static const char *const event_names[XP_EVENTS] = {
    [DYSCO_MSG_LOCK] = "LOCK",
    [DYSCO_MSG_LOCKED] = "LOCKED",
    [DYSCO_MSG_NACK] = "NACK",
    [DYSCO_MSG_CANCEL] = "CANCEL",
    [DYSCO_MSG_CANCELLED] = "CANCELLED",
    [DYSCO_MSG_READY] = "READY",
    [DYSCO_MSG_CUT] = "CUT",
    [DYSCO_MSG_DONE] = "DONE",
    [DYSCO_MSG_RELEASE] = "RELEASE",
    [DYSCO_MSG_RELEASED] = "RELEASED",
    [DYSCO_MSG_TRIGGER_REPLY] = "TRIGGER_REPLY",
    [DYSCO_MSG_PROBE] = "PROBE",
    [DYSCO_MSG_CHAIN] = "CHAIN",
    [XP_EVENT_TIMER] = "timer",
    [XP_EVENT_LEASE] = "lease",
};

/* What can come to whom, and in what states it can be then. */
struct row {
	uint8_t role;
	uint32_t states, events; /* bits */
};
#define S(name) (1u << DYSCO_ATTEMPT_##name)
#define E(name) (1u << DYSCO_MSG_##name)
#define TIMER	(1u << XP_EVENT_TIMER)
#define LEASE	(1u << XP_EVENT_LEASE)
#define ANY	(E(CHAIN) | E(PROBE)) /* of the session, not of the attempt */
static const struct row rows[] = {
    {DYSCO_PART_LEFT_ANCHOR,
     S(REQUESTING) | S(SETTING_UP) | S(PROVING) | S(CUTTING) | S(TWO_PATHS) | S(DONE) |
	 S(RELEASING) | S(CANCELLING),
     E(LOCKED) | E(NACK) | E(CANCELLED) | E(READY) | E(CUT) | E(DONE) | E(RELEASED) | TIMER | ANY},
    {DYSCO_PART_RIGHT_ANCHOR,
     S(REQUESTED) | S(WAITING) | S(READY) | S(TWO_PATHS) | S(DONE) | S(FREED),
     E(LOCK) | E(CUT) | E(DONE) | E(CANCEL) | E(RELEASE) | TIMER | LEASE | ANY},
    {DYSCO_PART_BETWEEN, S(REQUESTING) | S(LOCKED) | S(LAPSED),
     E(LOCK) | E(LOCKED) | E(NACK) | E(CANCEL) | E(CANCELLED) | E(READY) | E(CUT) | E(DONE) |
	 E(RELEASE) | E(RELEASED) | LEASE | ANY},
    {DYSCO_PART_INSERTED, S(LOCKED), E(CUT) | E(DONE) | E(RELEASE) | LEASE | ANY},
    {DYSCO_PART_KEPT, S(REQUESTING), E(LOCK) | E(CANCEL) | LEASE | ANY},
    {DYSCO_PART_TRIGGER, S(REQUESTING), E(TRIGGER_REPLY) | TIMER | ANY},
};

/* Rows that are not reached, and why not. */
struct explained {
	uint8_t role, state, event;
	const char *why;
};
static const struct explained list[] = {
#include "tests/explore/unreached.h"
};

void xp_cover(struct xp *x, uint8_t host, const uint8_t *data, uint32_t bytes)
{
	const struct xp_host *h;
	struct sim_segment s;
	uint64_t nonce_be;
	uint32_t at;

	if (!x->coverage || !sim_segment_read(&s, data, bytes) ||
	    !dysco_message_is_ours(s.payload, s.payload_bytes)) {
		return;
	}
	h = xp_host_load(x, host);
	for (uint8_t i = 1; i < h->dp.table.n_attempts; i++) {
		const struct dysco_attempt *a = &h->dp.attempts[i];

		if (a->role && ((ANY >> s.payload[TYPE_AT]) & 1)) {
			x->coverage->met[a->role][a->state][s.payload[TYPE_AT]]++;
			continue;
		}
		nonce_be = __builtin_bswap64(a->nonce);
		for (at = 28; a->role && at + 8 <= s.payload_bytes; at++) {
			if (memcmp(s.payload + at, &nonce_be, sizeof(nonce_be)) == 0) {
				x->coverage->met[a->role][a->state][s.payload[TYPE_AT]]++;
				break;
			}
		}
	}
}

void xp_cover_timer(struct xp *x, uint8_t host, uint8_t attempt, bool lease)
{
	const struct dysco_attempt *a = &x->hosts[host].dp.attempts[attempt];

	if (x->coverage) {
		x->coverage->met[a->role][a->state][lease ? XP_EVENT_LEASE : XP_EVENT_TIMER]++;
	}
}

static const char *reason(uint8_t role, uint32_t state, uint32_t event)
{
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (list[i].role == role && list[i].event == event &&
		    (list[i].state == state || list[i].state == 0)) {
			return list[i].why;
		}
	}
	return NULL;
}

static void tell_row(const struct xp_coverage *c, const struct row *r, uint32_t state,
		     uint32_t count[3])
{
	for (uint32_t event = 0; event < XP_EVENTS; event++) {
		const char *why = reason(r->role, state, event);

		if (!((r->events >> event) & 1)) {
			continue;
		}
		if (c->met[r->role][state][event]) {
			count[0]++;
		} else if (why) {
			count[1]++;
		} else {
			count[2]++;
			printf("not met: %s %s, %s\n", role_names[r->role], state_names[state],
			       event_names[event]);
		}
	}
}

/* How many are met, are explained, are neither. */
void xp_cover_report(const struct xp_coverage *c)
{
	uint32_t count[3] = {0, 0, 0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t state = 0; state < DYSCO_ATTEMPT_STATES; state++) {
			if ((rows[i].states >> state) & 1) {
				tell_row(c, &rows[i], state, count);
			}
		}
	}
	printf("state x event: %u met, %u explained, %u neither\n", count[0], count[1], count[2]);
}
