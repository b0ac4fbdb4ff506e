/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signed messages are taken once: a sliding window of counters for each signing
 * agent, as IPsec keeps it (RFC 4303 3.4.3). It lies in lasting memory, so that
 * an agent that comes back does not take old messages again.
 */
#include "core/internal.h"

#define WINDOW_BITS 256u

static struct dysco_replay_sender *find_sender(struct dysco_core *core, uint64_t sender)
{
	struct dysco_replay_sender *all = core->table->lasting->replay;
	uint32_t at = (uint32_t)((sender ^ (sender >> 32)) % DYSCO_REPLAY_SENDERS);

	for (uint32_t i = 0; i < DYSCO_REPLAY_SENDERS; i++) {
		struct dysco_replay_sender *s = &all[(at + i) % DYSCO_REPLAY_SENDERS];

		if (s->sender == sender || s->sender == 0) {
			return s;
		}
	}
	return NULL;
}

/*
 * A table full of senders forgets the one silent for longest. Counters begin at
 * the wall clock, so they order senders by age; what was forgotten cannot be
 * replayed, because a new sender must count above it.
 */
static struct dysco_replay_sender *forget_oldest(struct dysco_lasting *lasting)
{
	struct dysco_replay_sender *oldest = &lasting->replay[0];

	for (uint32_t i = 1; i < DYSCO_REPLAY_SENDERS; i++) {
		if (lasting->replay[i].highest < oldest->highest) {
			oldest = &lasting->replay[i];
		}
	}
	if (oldest->highest > lasting->replay_floor) {
		lasting->replay_floor = oldest->highest;
	}
	return oldest;
}

static enum dysco_reason new_sender(struct dysco_core *core, struct dysco_replay_sender *s,
				    uint64_t sender, uint64_t counter)
{
	struct dysco_lasting *lasting = core->table->lasting;

	if (!s) {
		s = forget_oldest(lasting);
	}
	if (counter <= lasting->replay_floor) {
		return DYSCO_REASON_SENDERS_FULL;
	}
	*s = (struct dysco_replay_sender){.sender = sender, .highest = counter, .window = {1}};
	return DYSCO_REASON_NONE;
}

static void shift(uint64_t window[4], uint64_t by)
{
	uint64_t words = by / 64, bits = by % 64;

	for (int i = 3; i >= 0; i--) {
		uint64_t low = (uint64_t)i >= words ? window[(uint64_t)i - words] : 0;
		uint64_t lower = (uint64_t)i >= words + 1 ? window[(uint64_t)i - words - 1] : 0;

		window[i] = bits ? (low << bits) | (lower >> (64 - bits)) : low;
	}
}

enum dysco_reason dysco_replay_check(struct dysco_core *core, uint64_t sender, uint64_t counter)
{
	struct dysco_replay_sender *s = find_sender(core, sender);
	uint64_t age;

	if (sender == 0) {
		return DYSCO_REASON_MSG_MALFORMED;
	}
	if (!s || s->sender == 0) {
		return new_sender(core, s, sender, counter);
	}
	if (counter > s->highest) {
		uint64_t by = counter - s->highest;

		shift(s->window, by < WINDOW_BITS ? by : WINDOW_BITS);
		s->window[0] |= 1;
		s->highest = counter;
		return DYSCO_REASON_NONE;
	}
	age = s->highest - counter;
	if (age >= WINDOW_BITS || ((s->window[age / 64] >> (age % 64)) & 1)) {
		return DYSCO_REASON_MSG_REPLAY;
	}
	s->window[age / 64] |= 1ull << (age % 64);
	return DYSCO_REASON_NONE;
}
