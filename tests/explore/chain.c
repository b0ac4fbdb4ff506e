// SPDX-License-Identifier: BSD-2-Clause
/* The chain where nothing happens any more: as legs have it, as plans have made it, as hosts know
 * it. */
#include "tests/explore/explore.h"
#include "core/reconfig.h"

static bool lives(const struct dysco_leg *leg)
{
	enum dysco_leg_state state = dysco_leg_state(leg);

	return leg->mode != DYSCO_MODE_FREE && leg->role != DYSCO_ROLE_CONTROL &&
	       state != DYSCO_STATE_DEAD && state != DYSCO_STATE_RESET &&
	       state != DYSCO_STATE_TIME_WAIT;
}

static uint32_t leg_with_role(const struct xp_host *h, enum dysco_leg_role role)
{
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		if (lives(&h->dp.legs[slot]) && h->dp.legs[slot].role == role) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* The leg at the other end of a subsession, and its host. */
static uint32_t other_end(struct xp *x, const struct dysco_leg *leg, uint8_t *host)
{
	struct dysco_tuple in = dysco_tuple_reverse(&leg->wire_tuple);
	struct xp_host *h;

	*host = xp_host_of(&leg->wire_tuple.dst);
	if (*host >= x->config->hosts) {
		return DYSCO_NO_SLOT;
	}
	h = xp_host_load(x, *host);
	for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
		if (lives(&h->dp.legs[slot]) &&
		    dysco_tuple_equal(&h->dp.legs[slot].wire_tuple, &in)) {
			return slot;
		}
	}
	return DYSCO_NO_SLOT;
}

/* A leg that only watches is forgotten some time. */
static bool watches(const struct xp *x, const struct dysco_leg *leg)
{
	return x->config->late && dysco_tuple_equal(&leg->host_tuple, &leg->wire_tuple);
}

static uint32_t count_live(struct xp *x)
{
	uint32_t live = 0;

	for (uint8_t host = 0; host < x->config->hosts; host++) {
		const struct xp_host *h = xp_host_load(x, host);

		if (xp_is_dead(x, host)) {
			continue;
		}

		for (uint32_t slot = 1; slot <= h->core.high_slot; slot++) {
			live += lives(&h->dp.legs[slot]) && !watches(x, &h->dp.legs[slot]);
		}
	}
	return live;
}

/* Hosts from the initiator on; of each but the last the leg that faces right. */
struct path {
	uint8_t host[XP_HOSTS + 1], n;
	uint32_t slot[XP_HOSTS + 1];
};

/* false: it does not lead to the destination. */
static bool walk_path(struct xp *x, uint32_t slot, struct path *p)
{
	uint8_t host = 0;

	p->n = 0;
	while (slot != DYSCO_NO_SLOT && p->n < XP_HOSTS) {
		p->host[p->n] = host;
		p->slot[p->n++] = slot;
		slot = other_end(x, &x->hosts[host].dp.legs[slot], &host);
		if (slot != DYSCO_NO_SLOT && host == 1) {
			p->host[p->n] = host;
			p->slot[p->n++] = slot;
			return true;
		}
		slot = slot != DYSCO_NO_SLOT ? x->hosts[host].dp.legs[slot].partner : slot;
	}
	xp_fail(x, "the chain is broken at host %u", host);
	return false;
}

static void check_plans(struct xp *x, const struct path *p)
{
	uint8_t there = 0, planned = 0;

	for (uint8_t i = 0; i < XP_SCRIPT_MAX; i++) {
		planned |= x->config->script[i].ask == XP_ASK_WITH ||
			   x->config->script[i].ask == XP_ASK_WITHOUT;
	}
	for (uint8_t i = 1; i + 1 < p->n; i++) {
		there |= (uint8_t)(1u << p->host[i]);
	}
	if (planned && there != x->w.wanted) {
		xp_fail(x, "hosts %#x are in the chain, plans have made it %#x", there,
			x->w.wanted);
	}
}

/* What each host of the chain thinks of it. */
static void check_known(struct xp *x, const struct path *p)
{
	for (uint8_t i = 0; i < p->n; i++) {
		const struct dysco_address_list *list =
		    &x->hosts[p->host[i]].dp.cold[p->slot[i]].list;
		uint8_t next = i + 1 < p->n ? i : (uint8_t)(i - 1);

		if (list->count != p->n - 1 || list->next != next) {
			xp_fail(x, "host %u knows %u hosts of the chain, and is at %u", p->host[i],
				list->count, list->next);
			return;
		}
		for (uint8_t k = 0; k < list->count; k++) {
			if (xp_host_of(&list->hops[k].addr) != p->host[k + 1]) {
				xp_fail(x, "host %u takes another one for host %u of the chain",
					p->host[i], k);
				return;
			}
		}
	}
}

/* Nothing was disturbed, or all were told once more since. */
static bool all_know(const struct xp *x)
{
	bool calm = true, traced = false;

	for (int i = 0; i < XP_FREE; i++) {
		calm = calm && x->w.spent[i] == 0;
	}
	for (uint8_t i = 0; i < XP_SCRIPT_MAX; i++) {
		traced |= x->config->script[i].ask == XP_ASK_TRACE && ((x->w.scripted >> i) & 1);
	}
	return x->config->knows && (calm || traced);
}

void xp_check_path(struct xp *x)
{
	uint32_t slot = leg_with_role(xp_host_load(x, 0), DYSCO_ROLE_FIRST);
	bool alive = x->end[0].state == XP_TCP_OPEN && x->end[1].state == XP_TCP_OPEN;
	bool lost = x->w.spent[XP_LOSS] != 0;
	struct path p;

	if (!alive) {
		/* A RST that was lost may leave half of a connection open, as everywhere. */
		if (!lost && count_live(x)) {
			xp_fail(x, "half-open: %u legs live after the end", count_live(x));
		}
		return;
	}
	if (x->config->late && slot == DYSCO_NO_SLOT) {
		return; /* nobody has adopted it */
	}
	if (x->config->late && dysco_core_only_watches(&x->hosts[0].core, slot)) {
		return; /* nobody has given it a chain */
	}
	if (!walk_path(x, slot, &p)) {
		return;
	}
	if (!lost && count_live(x) != 2u * (p.n - 1)) {
		xp_fail(x, "half-open: %u legs live, %u are on the path", count_live(x),
			2 * (p.n - 1));
	}
	check_plans(x, &p);
	if (all_know(x)) {
		check_known(x, &p);
	}
}
