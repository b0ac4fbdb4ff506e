/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files that plan the change of one session share (wish.h):
 *
 *   plan.c         hosts and boxes of chains; insert, remove, replace
 *   plan_policy.c  the chain that the policies give
 *
 * A function that refuses has set plan->error.
 */
#ifndef DYSCO_AGENT_PLAN_H
#define DYSCO_AGENT_PLAN_H

#include "agent/wish.h"

enum dysco_plan_result dysco_plan_refuse(struct dysco_plan *plan, const char *code,
					 const char *hint, const char *text, const char *name)
    __attribute__((format(printf, 4, 0)));
const struct dysco_leg *dysco_plan_leg(const struct dysco_plan *plan, uint32_t slot);
const struct dysco_leg_cold *dysco_plan_cold(const struct dysco_plan *plan,
					     const struct dysco_passage *p);
/* Can this host's agent begin a change here? */
bool dysco_plan_is_anchor(const struct dysco_plan *plan, const struct dysco_passage *p);
bool dysco_plan_list_has(const struct dysco_address_list *list, const struct dysco_addr *addr);
/*
 * The leg to the right at the host of this agent that has this address;
 * DYSCO_NO_SLOT: the session is not there.
 */
uint32_t dysco_plan_leg_here(const struct dysco_plan *plan, const struct dysco_session_id *id,
			     const struct dysco_addr *addr);

const struct dysco_addr *dysco_plan_box_address(const struct dysco_plan *plan, int box, bool ip4);
/* The instance of a type that the session has not yet; -1: none. */
int dysco_plan_choose(struct dysco_plan *plan, uint16_t type, const struct dysco_leg_cold *cold);
/* One more host for the path; text: its name, for a refusal. */
enum dysco_plan_result dysco_plan_add_hop(struct dysco_plan *plan, const struct dysco_addr *addr,
					  const char *text, bool ip4);
/* The host behind what is taken out: the right anchor. */
enum dysco_plan_result dysco_plan_end(struct dysco_plan *plan,
				      const struct dysco_address_list *list);
/* Is the policy of this tag one of those that have changed? */
bool dysco_plan_is_changed(const struct dysco_wish *wish, uint32_t tag);
/* What the boxes that go were there for, those in their place take over; not if they are mandatory.
 */
enum dysco_plan_result dysco_plan_hand_over(struct dysco_plan *plan,
					    const struct dysco_address_list *list);

enum dysco_plan_result dysco_plan_policy(struct dysco_plan *plan, const struct dysco_passage *p);

#endif
