/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery from the death of transparent boxes (docs/protocol.md 12.9): the two
 * ends of the session build a new path without the old one. Each direction is
 * cut at what the receiving host has acknowledged; the rest is sent again.
 */
#include "core/reconfig.h"

#define UNDER_WAY_MAX 0x40000000u /* more than any window (RFC 7323 2.3) */

bool dysco_recovery_begin(struct dysco_core *core, uint32_t index)
{
	struct dysco_leg *leg = dysco_leg_at(core, dysco_attempt_at(core, index)->old_slot);

	if (leg->role != DYSCO_ROLE_FIRST) {
		return false;
	}
	/* Nothing more is taken from it or sent on it: what both ends say of their numbers stays
	 * true. */
	__atomic_store_n(&leg->mode, DYSCO_MODE_PUNT, __ATOMIC_RELEASE);
	return true;
}

struct dysco_numbers dysco_recovery_numbers(const struct dysco_core *core, uint32_t slot)
{
	const struct dysco_leg *leg = dysco_leg_at(core, slot);
	struct dysco_numbers n = {.seq = leg->run[DYSCO_OUT].seq_end,
				  .ts = leg->run[DYSCO_IN].ack,
				  .base = leg->run[DYSCO_OUT].ack,
				  .edge = dysco_cold_at(core, slot)->isn};

	return n;
}

/* `acked` <= `taken` <= `sent`: what a host has acknowledged, by what its peer knows and has sent.
 */
static bool between(uint32_t acked, uint32_t taken, uint32_t sent)
{
	return taken - acked < UNDER_WAY_MAX && sent - taken < UNDER_WAY_MAX;
}

bool dysco_recovery_fits(const struct dysco_core *core, const struct dysco_mail *mail,
			 uint32_t left)
{
	struct dysco_numbers own = dysco_recovery_numbers(core, left);
	const struct dysco_numbers *its = &mail->msg.numbers;

	return dysco_leg_at(core, left)->role == DYSCO_ROLE_LAST && own.edge == its->edge &&
	       between(its->ts, own.base, its->seq) && between(own.ts, its->base, own.seq);
}
