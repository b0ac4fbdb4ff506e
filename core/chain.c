/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address lists (paper II-A, II-B): from a policy's boxes and types to the
 * addresses a SYN carries, and why these.
 */
#include "core/reconfig.h"

#include <string.h>

void dysco_text_add(struct dysco_text *text, const char *s)
{
	while (*s && text->used + 1 < text->size) {
		text->at[text->used++] = *s++;
	}
	if (text->size > 0) {
		text->at[text->used] = '\0';
	}
}

const struct dysco_addr *dysco_host_address(const struct dysco_host *host, bool ip4)
{
	for (uint8_t i = 0; i < host->n_prefixes; i++) {
		const struct dysco_prefix *p = &host->prefixes[i];

		if (p->bits == 128 && dysco_addr_is_ip4(&p->addr) == ip4) {
			return &p->addr;
		}
	}
	return NULL;
}

int dysco_box_by_address(const struct dysco_setup *setup, const struct dysco_addr *addr)
{
	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		if (dysco_addr_equal(&setup->boxes[i].ip4, addr) ||
		    dysco_addr_equal(&setup->boxes[i].ip6, addr)) {
			return i;
		}
	}
	return -1;
}

bool dysco_chain_has_policy(const struct dysco_address_list *list, uint32_t tag)
{
	for (uint8_t i = 0; i < list->count; i++) {
		if (list->hops[i].policy == tag) {
			return true;
		}
	}
	return false;
}

static bool list_has(const struct dysco_address_list *list, const struct dysco_addr *addr)
{
	for (uint8_t i = 0; i < list->count; i++) {
		if (dysco_addr_equal(&list->hops[i].addr, addr)) {
			return true;
		}
	}
	return false;
}

static const struct dysco_addr *box_address(const struct dysco_box *box, bool ip4)
{
	const struct dysco_addr *addr = ip4 ? &box->ip4 : &box->ip6;

	return dysco_addr_is_zero(addr) ? NULL : addr;
}

static uint64_t mix(uint64_t x) /* finaliser of splitmix64 */
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Rendezvous weight of a box for a session: adding a box moves only what it takes over. */
static uint64_t weight(const struct dysco_box *box, const struct dysco_tuple *session)
{
	const uint8_t *bytes = (const uint8_t *)session;
	uint64_t hash = dysco_policy_tag(box->name);

	for (size_t i = 0; i < sizeof(*session); i++) {
		hash = (hash ^ bytes[i]) * 1099511628211ull;
	}
	return mix(hash);
}

struct choice {
	const struct dysco_core *core;
	const struct dysco_type *type;
	const struct dysco_tuple *session;
	uint32_t turn; /* round robin: where to begin */
};

/* Lower is better; ties go to the box that comes first from `turn` on. */
static uint64_t rank(const struct choice *c, uint16_t box)
{
	switch (c->type->select) {
	case DYSCO_SELECT_LEAST_SESSIONS:
		return c->core->box_sessions[box];
	case DYSCO_SELECT_CONSISTENT_HASH:
		return ~weight(&c->core->setup->boxes[box], c->session);
	default:
		return 0;
	}
}

/* The instance of a type for this session; NULL: none (that is up) has an address in the family. */
static const struct dysco_box *choose_of(const struct choice *c, bool ip4, bool down_too)
{
	const struct dysco_box *boxes = c->core->setup->boxes, *best = NULL;
	uint16_t those[DYSCO_TYPE_BOXES_MAX]; /* that can be taken: turns go round among them */
	uint64_t best_rank = 0;
	uint32_t n = 0;

	for (uint16_t i = 0; i < c->type->count; i++) {
		uint16_t box = c->type->boxes[i];

		if (box_address(&boxes[box], ip4) && !boxes[box].draining &&
		    (down_too || !c->core->box_down[box])) {
			those[n++] = box;
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		uint16_t box = those[(c->turn + i) % n];
		uint64_t r = rank(c, box);

		if (!best || r < best_rank) {
			best = &boxes[box];
			best_rank = r;
		}
	}
	return best;
}

/* A box that is down is better than none: it may have come back. */
static const struct dysco_box *choose(const struct choice *c, bool ip4)
{
	const struct dysco_box *up = choose_of(c, ip4, false);

	return up ? up : choose_of(c, ip4, true);
}

static const char *select_name(enum dysco_select select)
{
	switch (select) {
	case DYSCO_SELECT_LEAST_SESSIONS:
		return "least-sessions";
	case DYSCO_SELECT_CONSISTENT_HASH:
		return "consistent-hash";
	default:
		return "round-robin";
	}
}

static void explain(struct dysco_text *why, const struct dysco_box *box,
		    const struct dysco_type *type)
{
	if (why->used > 0) {
		dysco_text_add(why, ", ");
	}
	dysco_text_add(why, box->name);
	if (type) {
		dysco_text_add(why, " (of ");
		dysco_text_add(why, type->name);
		dysco_text_add(why, ", ");
		dysco_text_add(why, select_name(type->select));
		dysco_text_add(why, ")");
	}
}

static enum dysco_reason insert(struct dysco_address_list *list, uint8_t at,
				const struct dysco_addr *addr, uint32_t policy)
{
	if (list->count >= DYSCO_HOPS_MAX) {
		return DYSCO_REASON_LIST_FULL;
	}
	for (uint8_t i = list->count; i > at; i--) {
		list->hops[i] = list->hops[i - 1];
	}
	memset(&list->hops[at], 0, sizeof(list->hops[at]));
	list->hops[at].addr = *addr;
	list->hops[at].policy = policy;
	list->count++;
	return DYSCO_REASON_NONE;
}

static const struct dysco_box *hop_box(const struct dysco_core *core,
				       const struct dysco_policy_hop *hop,
				       const struct dysco_tuple *session, bool ip4,
				       struct dysco_text *why)
{
	struct choice c = {core, NULL, session, 0};
	const struct dysco_box *box;

	if (hop->kind == DYSCO_HOP_BOX) {
		box = &core->setup->boxes[hop->index];
	} else {
		c.type = &core->setup->types[hop->index];
		c.turn = c.type->select == DYSCO_SELECT_CONSISTENT_HASH
			     ? 0
			     : core->round_robin[hop->index];
		box = choose(&c, ip4);
	}
	if (!box || !box_address(box, ip4)) {
		return NULL;
	}
	explain(why, box, c.type);
	return box;
}

enum dysco_reason dysco_chain_add(const struct dysco_core *core, uint16_t policy,
				  const struct dysco_host *host, const struct dysco_tuple *session,
				  struct dysco_address_list *list, uint8_t at, uint8_t *own,
				  bool *exit, char *why, size_t why_bytes)
{
	const struct dysco_policy *p = &core->setup->policies[policy];
	bool ip4 = dysco_addr_is_ip4(&session->dst);
	struct dysco_text text = {why, 0, why_bytes};

	*own = 0;
	*exit = false;
	for (uint8_t i = 0; i < p->n_hops; i++) {
		const struct dysco_box *box = hop_box(core, &p->hops[i], session, ip4, &text);
		const struct dysco_addr *addr = box ? box_address(box, ip4) : NULL;
		enum dysco_reason reason;

		if (!addr) {
			return DYSCO_REASON_NO_FAMILY;
		}
		*exit = p->hops[i].exit;
		if (list_has(list, addr) || dysco_host_has(host, addr)) {
			continue;
		}
		reason = insert(list, (uint8_t)(at + *own), addr, p->tag);
		if (reason != DYSCO_REASON_NONE) {
			return reason;
		}
		list->hops[at + *own].flags = p->hops[i].mandatory ? DYSCO_HOP_MANDATORY : 0;
		(*own)++;
	}
	return DYSCO_REASON_NONE;
}

enum dysco_reason dysco_chain_first(const struct dysco_core *core, uint16_t policy,
				    const struct dysco_host *host,
				    const struct dysco_tuple *session,
				    struct dysco_address_list *list, uint8_t *own, char *why,
				    size_t why_bytes)
{
	bool exit;
	enum dysco_reason reason;

	memset(list, 0, sizeof(*list));
	reason = dysco_chain_add(core, policy, host, session, list, 0, own, &exit, why, why_bytes);
	if (reason != DYSCO_REASON_NONE) {
		return reason;
	}
	if (exit && list->count > 0) {
		list->hops[list->count - 1].flags |= DYSCO_HOP_EXIT;
		return DYSCO_REASON_NONE;
	}
	if (list->count > 0 && dysco_addr_equal(&list->hops[list->count - 1].addr, &session->dst)) {
		return DYSCO_REASON_NONE; /* the last box is the destination itself */
	}
	return insert(list, list->count, &session->dst, 0);
}

int dysco_core_choose(const struct dysco_core *core, uint16_t type,
		      const struct dysco_tuple *session, uint32_t turn)
{
	struct choice c = {core, &core->setup->types[type], session, turn};
	const struct dysco_box *box;

	if (c.type->select == DYSCO_SELECT_CONSISTENT_HASH) {
		c.turn = 0;
	}
	box = choose(&c, dysco_addr_is_ip4(&session->dst));
	return box ? (int)(box - core->setup->boxes) : -1;
}

void dysco_core_set_policy(struct dysco_core *core, uint32_t slot,
			   const char policy[DYSCO_NAME_BYTES],
			   const struct dysco_address_list *list)
{
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	bool counted = dysco_leg_at(core, slot)->mode == DYSCO_MODE_FAST && cold->ended_ns == 0;

	memcpy(cold->policy, policy, sizeof(cold->policy));
	dysco_count_boxes(core, slot, counted ? -1 : 0);
	cold->list = *list;
	cold->own_hops = (uint8_t)(list->count - list->next - 1);
	dysco_count_boxes(core, slot, counted ? 1 : 0);
}

uint32_t dysco_core_find_session(const struct dysco_core *core, uint16_t host,
				 const struct dysco_session_id *id)
{
	struct dysco_msg_control msg = {.id = *id};
	uint32_t slot = dysco_leg_of_session(core, host, &msg);
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	if (slot != DYSCO_NO_SLOT &&
	    (leg->role == DYSCO_ROLE_LEFT || leg->role == DYSCO_ROLE_LAST)) {
		slot = leg->partner;
	}
	return slot;
}

/* The types of a policy take their next turn. */
void dysco_chain_advance(struct dysco_core *core, uint16_t policy)
{
	const struct dysco_policy *p = &core->setup->policies[policy];

	for (uint8_t i = 0; i < p->n_hops; i++) {
		if (p->hops[i].kind == DYSCO_HOP_TYPE) {
			core->round_robin[p->hops[i].index]++;
		}
	}
}

void dysco_core_forecast(const struct dysco_core *core, uint16_t host_id, uint16_t policy,
			 const struct dysco_tuple *session, struct dysco_forecast *forecast)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, host_id);
	uint8_t own;

	memset(forecast, 0, sizeof(*forecast));
	if (!host || !dysco_host_address(host, dysco_addr_is_ip4(&session->dst))) {
		forecast->result = DYSCO_REASON_NO_FAMILY;
		return;
	}
	forecast->result = (int)dysco_chain_first(core, policy, host, session, &forecast->list,
						  &own, forecast->why, sizeof(forecast->why));
	if (forecast->result == 0 && !dysco_legs_available(core, 1)) {
		forecast->result = DYSCO_REASON_LEGS_FULL;
	}
}
