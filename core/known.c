/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a host knows of its session's chain, and how it learns what other hosts have
 * made of it (docs/protocol.md 9, CHAIN, and 12.3). Who tells speaks for itself and
 * for what lies behind it; the other side is known better by who is told.
 *
 * The legs of a box have one list between them: `next` of the right one is one
 * higher, and it has the hops of the box's own policy, so it is the one that counts.
 */
#include "core/reconfig.h"

static bool faces_right(const struct dysco_leg *leg)
{
	return leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT;
}

void dysco_chain_at(const struct dysco_core *core, uint32_t slot, struct dysco_address_list *list)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);

	*list = dysco_cold_at(core, slot)->list;
	if (!faces_right(leg) && leg->partner != DYSCO_NO_SLOT) {
		*list = dysco_cold_at(core, leg->partner)->list;
		list->next--;
	}
}

static void append(struct dysco_address_list *list, const struct dysco_address_list *from,
		   uint8_t first, uint8_t end)
{
	for (uint8_t i = first; i < end && list->count < DYSCO_HOPS_MAX; i++) {
		list->hops[list->count++] = from->hops[i];
	}
}

static const struct dysco_hop *find(const struct dysco_address_list *list, uint8_t first,
				    uint8_t end, const struct dysco_addr *addr)
{
	for (uint8_t i = first; i < end && i < list->count; i++) {
		if (dysco_addr_equal(&list->hops[i].addr, addr)) {
			return &list->hops[i];
		}
	}
	return NULL;
}

/*
 * A box may have translated the destination: this host goes on by the one it knows. The
 * boxes that this agent counts as its own are those it put there, as far as the last of them.
 */
static void set_list(struct dysco_core *core, uint32_t slot, struct dysco_address_list fresh)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_leg_cold *cold = dysco_cold_at(core, slot);
	const struct dysco_address_list *old = &cold->list;
	uint8_t own_end = (uint8_t)(old->next + cold->own_hops), own = 0;
	bool counted =
	    (leg->mode == DYSCO_MODE_FAST || leg->mode == DYSCO_MODE_PUNT) && cold->ended_ns == 0;

	if (dysco_addr_equal(&old->hops[old->count - 1].addr, &cold->session.dst)) {
		fresh.hops[fresh.count - 1].addr = cold->session.dst;
	}
	for (uint8_t i = fresh.next; i < fresh.count; i++) {
		if (find(old, old->next, own_end, &fresh.hops[i].addr)) {
			own = (uint8_t)(i - fresh.next + 1);
		}
	}
	dysco_count_boxes(core, slot, counted ? -1 : 0);
	cold->list = fresh;
	cold->own_hops = own;
	dysco_count_boxes(core, slot, counted ? 1 : 0);
}

void dysco_chain_share(struct dysco_core *core, uint32_t slot)
{
	uint32_t partner = dysco_leg_at(core, slot)->partner;
	struct dysco_address_list list;

	if (partner != DYSCO_NO_SLOT) {
		dysco_chain_at(core, partner, &list);
		set_list(core, partner, list);
	}
}

/* What the policy of the first host says of a box counts, as long as the box is there. */
static void keep_policy(const struct dysco_address_list *old, struct dysco_address_list *fresh)
{
	for (uint8_t i = fresh->next; i < fresh->count; i++) {
		struct dysco_hop *hop = &fresh->hops[i];
		const struct dysco_hop *was = find(old, old->next, old->count, &hop->addr);

		if (was) {
			hop->policy = was->policy;
			hop->flags = (uint16_t)((hop->flags & DYSCO_HOP_EXIT) |
						(was->flags & DYSCO_HOP_MANDATORY));
		}
	}
}

/* The right neighbour of this leg says what lies to the right. */
static void learn_right(struct dysco_core *core, uint32_t slot,
			const struct dysco_address_list *told)
{
	const struct dysco_address_list *old = &dysco_cold_at(core, slot)->list;
	struct dysco_address_list fresh = {.next = old->next};

	append(&fresh, old, 0, old->next);
	append(&fresh, told, told->next, told->count);
	if (dysco_leg_at(core, slot)->role == DYSCO_ROLE_FIRST) {
		keep_policy(old, &fresh);
	}
	set_list(core, slot, fresh);
	dysco_chain_share(core, slot);
}

/* The left neighbour says what lies to the left; its `next` is this host. */
static void learn_left(struct dysco_core *core, uint32_t slot,
		       const struct dysco_address_list *told)
{
	uint32_t partner = dysco_leg_at(core, slot)->partner;
	struct dysco_address_list own, fresh = {.next = told->next};

	dysco_chain_at(core, slot, &own);
	append(&fresh, told, 0, told->next);
	append(&fresh, &own, own.next, own.count);
	if (partner == DYSCO_NO_SLOT) {
		set_list(core, slot, fresh);
	} else if (fresh.next + 1 < fresh.count) {
		fresh.next++;
		set_list(core, partner, fresh);
		dysco_chain_share(core, partner);
	}
}

void dysco_chain_learn(struct dysco_core *core, uint32_t slot,
		       const struct dysco_address_list *told)
{
	if (told->count == 0) {
		return;
	}
	if (faces_right(dysco_leg_at(core, slot))) {
		learn_right(core, slot, told);
	} else {
		learn_left(core, slot, told);
	}
}

bool dysco_chain_is_known(const struct dysco_core *core, uint32_t slot,
			  const struct dysco_address_list *told, const struct dysco_addr *right)
{
	const struct dysco_address_list *known = &dysco_cold_at(core, slot)->list;

	for (uint8_t i = 0; known->next + i < known->count && told->next + i < told->count; i++) {
		const struct dysco_addr *addr = &known->hops[known->next + i].addr;

		if (!dysco_addr_equal(addr, &told->hops[told->next + i].addr)) {
			return false;
		}
		if (dysco_addr_equal(addr, right)) {
			return true;
		}
	}
	return false;
}

/* ---- CHAIN ---- */

void dysco_chain_tell(struct dysco_core *core, struct dysco_actions *out, uint32_t slot)
{
	uint8_t message[DYSCO_MESSAGE_MAX];
	struct dysco_msg_chain msg;
	struct dysco_header hdr = {.type = DYSCO_MSG_CHAIN};
	const struct dysco_key *key;

	if (!core->keeps_chains || slot == DYSCO_NO_SLOT ||
	    dysco_leg_at(core, slot)->mode != DYSCO_MODE_FAST) {
		return; /* in two paths: the anchors tell when there is one */
	}
	msg.id = dysco_cold_at(core, slot)->id;
	dysco_chain_at(core, slot, &msg.list);
	key = dysco_sign(core, &hdr);
	dysco_send_control(core, out, slot, message,
			   dysco_message_write_chain(message, &hdr, &msg, key));
}

/* LOCKED, which is on its way, is compared with what was known when it was asked for. */
static bool is_asking(const struct dysco_core *core, uint32_t slot)
{
	uint32_t index = dysco_cold_at(core, slot)->attempt;

	return index != DYSCO_NO_ATTEMPT &&
	       dysco_attempt_at(core, index)->role == DYSCO_PART_LEFT_ANCHOR &&
	       dysco_attempt_at(core, index)->state == DYSCO_ATTEMPT_REQUESTING;
}

/* `next` of what the left neighbour tells is this host. */
static bool is_addressed(const struct dysco_core *core, const struct dysco_leg *leg,
			 const struct dysco_address_list *told)
{
	const struct dysco_host *host = dysco_setup_host(core->setup, leg->host);

	return host && dysco_host_has(host, &told->hops[told->next].addr);
}

void dysco_chain_told(struct dysco_core *core, struct dysco_work *w, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_msg_chain msg;

	dysco_message_read_chain(&msg, w->in->data + w->p.payload);
	if (faces_right(leg) ? is_asking(core, slot) : !is_addressed(core, leg, &msg.list)) {
		return;
	}
	dysco_chain_learn(core, slot, &msg.list);
	dysco_chain_tell(core, w->out, leg->partner);
}
