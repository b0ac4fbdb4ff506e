// SPDX-License-Identifier: BSD-2-Clause
/* The seeded bugs: see mutant.h. */
#include "tests/sim/mutant.h"

#include <string.h>
#include <time.h>

static bool is(const struct sim_world *w, enum sim_mutant mutant)
{
	return w->mutant == mutant;
}

static bool read_flags(const struct sim_packet *packet, struct sim_segment *s, uint8_t mask,
		       uint8_t flags)
{
	return sim_segment_read(s, packet->data, packet->bytes) && (s->flags & mask) == flags;
}

/* ---- the table ---- */

static const struct dysco_table_ops *real_ops;

static int forgetful_bind(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	return real_ops->bind(table, key, slot);
}

static void forgetful_unbind(struct dysco_table *table, const struct dysco_leg_key *key)
{
	if (key->direction == DYSCO_OUT) {
		real_ops->unbind(table, key);
	}
}

static uint32_t forgetful_find(struct dysco_table *table, const struct dysco_leg_key *key)
{
	return real_ops->find(table, key);
}

static void forgetful_move(struct dysco_table *table, const struct dysco_leg_key *key,
			   uint32_t slot)
{
	real_ops->move(table, key, slot);
}

static const struct dysco_table_ops forgetful_ops = {
    .bind = forgetful_bind,
    .unbind = forgetful_unbind,
    .move = forgetful_move,
    .find = forgetful_find,
};

void sim_mutate_table(struct sim_world *w, struct dysco_sim *dp)
{
	if (is(w, SIM_MUTANT_UNBIND)) {
		real_ops = dp->table.ops;
		dp->table.ops = &forgetful_ops;
	}
}

void sim_mutate_restart(struct sim_world *w, uint8_t agent)
{
	struct dysco_sim *dp = &w->agents[agent].dp;

	if (is(w, SIM_MUTANT_LOSE_TABLE) && w->agents[agent].starts > 0) {
		uint32_t rules = dp->n_rules;
		struct dysco_sim_rule kept[DYSCO_SIM_RULES_MAX];

		memcpy(kept, dp->rules, sizeof(kept));
		dysco_sim_open(dp, dp->table.capacity);
		memcpy(dp->rules, kept, sizeof(kept));
		dp->n_rules = rules;
	}
	if (is(w, SIM_MUTANT_LOSE_ATTEMPTS) && w->agents[agent].starts > 0) {
		memset(dp->attempts, 0, sizeof(dp->attempts));
	}
}

bool sim_mutate_freeze(const struct sim_world *w)
{
	return is(w, SIM_MUTANT_NO_DELTA);
}

/* ---- the fast path ---- */

static void rewrite_with(struct sim_packet *packet, const struct sim_segment *like,
			 const uint8_t *payload, uint16_t payload_bytes)
{
	struct sim_segment s = *like;
	uint8_t copy[SIM_PACKET_BYTES];

	s.payload = payload;
	s.payload_bytes = payload_bytes;
	packet->bytes = (uint16_t)sim_segment_write(copy, &s);
	memcpy(packet->data, copy, packet->bytes);
}

static void spoil_translated(struct sim_world *w, struct sim_packet *packet, struct sim_segment *s,
			     enum dysco_sim_fate *fate)
{
	uint8_t payload[SIM_PACKET_BYTES];
	size_t l4 = packet->data[0] >> 4 == 4 ? 20 : 40;

	memcpy(payload, s->payload, s->payload_bytes);
	if (is(w, SIM_MUTANT_TCP_CHECKSUM)) {
		packet->data[l4 + 17]++;
	} else if (is(w, SIM_MUTANT_IP_CHECKSUM) && l4 == 20) {
		packet->data[11]++;
	} else if (is(w, SIM_MUTANT_GROW) && s->payload_bytes) {
		memset(payload + s->payload_bytes, 0, 4);
		rewrite_with(packet, s, payload, (uint16_t)(s->payload_bytes + 4));
	} else if (is(w, SIM_MUTANT_FLIP_DATA) && packet->direction == DYSCO_OUT &&
		   s->payload_bytes > 3) {
		payload[3] ^= 0x10;
		rewrite_with(packet, s, payload, s->payload_bytes);
	} else if (is(w, SIM_MUTANT_WRONG_PORT) && sim_chance(w, 100)) {
		s->tuple.sport_be = (dysco_be16)(s->tuple.sport_be ^ DYSCO_BE16(1));
		rewrite_with(packet, s, payload, s->payload_bytes);
	} else if (is(w, SIM_MUTANT_UNTRANSLATED) && packet->direction == DYSCO_OUT &&
		   sim_chance(w, 50)) {
		sim_segment_readdress(packet->data, packet->bytes, &packet->meta.view);
	} else if (is(w, SIM_MUTANT_SWALLOW_FIN) && (s->flags & SIM_FIN)) {
		*fate = DYSCO_SIM_DROP;
	}
}

void sim_mutate_fast(struct sim_world *w, struct sim_packet *packet,
		     const struct dysco_sim_result *result, enum dysco_sim_fate *fate)
{
	struct sim_agent *a = &w->agents[w->hosts[packet->host].agent];
	struct sim_segment s;

	if (is(w, SIM_MUTANT_NONE) || !read_flags(packet, &s, 0, 0)) {
		return;
	}
	if (result->translated) {
		const struct dysco_leg *leg = &a->dp.legs[result->slot];

		if (is(w, SIM_MUTANT_STALE_NUMBERS) && packet->direction == DYSCO_OUT &&
		    (leg->flags & DYSCO_LEG_OFFSETS)) {
			uint8_t payload[SIM_PACKET_BYTES], options[40];

			memcpy(payload, s.payload, s.payload_bytes);
			memcpy(options, s.options, s.options_bytes);
			s.options = options;
			s.seq -= leg->offsets.seq_out;
			rewrite_with(packet, &s, payload, s.payload_bytes);
		}
		spoil_translated(w, packet, &s, fate);
		if (is(w, SIM_MUTANT_BLIND)) {
			memset(a->dp.legs[result->slot].run, 0, sizeof(a->dp.legs[0].run));
		}
	}
	if (is(w, SIM_MUTANT_OPEN_WITHOUT_AGENT) && *fate == DYSCO_SIM_DROP &&
	    result->reason == DYSCO_REASON_NO_AGENT && packet->direction == DYSCO_OUT) {
		*fate = DYSCO_SIM_ONWARD;
	}
	if (is(w, SIM_MUTANT_UNSTEADY)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		w->random ^= (uint64_t)now.tv_nsec >> 6 & 1;
	}
}

/* ---- the core ---- */

bool sim_mutate_punt(struct sim_world *w, const struct sim_packet *packet)
{
	struct sim_agent *a = &w->agents[w->hosts[packet->host].agent];
	struct sim_segment s;

	if (is(w, SIM_MUTANT_BELIEVE_ALL)) {
		a->setup.n_keys = packet->direction == DYSCO_IN ? 0 : w->signed_messages;
	}
	if (is(w, SIM_MUTANT_NO_REPLAY_WINDOW)) {
		memset(a->dp.lasting.replay, 0, sizeof(a->dp.lasting.replay));
		a->dp.lasting.replay_floor = 0;
	}
	if (is(w, SIM_MUTANT_SWALLOW_SYN) && packet->direction == DYSCO_OUT &&
	    read_flags(packet, &s, SIM_SYN | SIM_ACK, SIM_SYN)) {
		struct dysco_leg_key key = {s.tuple, w->hosts[packet->host].id, DYSCO_OUT, 0};
		uint32_t slot = a->dp.table.ops->find(&a->dp.table, &key);

		return slot != DYSCO_NO_SLOT && a->dp.legs[slot].mode == DYSCO_MODE_FAST;
	}
	return false;
}

/* The event that a session has ended becomes a RST to the box it passed. */
static void reset_box(struct sim_world *w, uint8_t agent, struct dysco_action *action)
{
	const struct dysco_leg *leg = &w->agents[agent].dp.legs[action->slot];
	struct sim_segment s = {.tuple = dysco_tuple_reverse(&leg->host_tuple), .flags = SIM_RST};

	if (action->kind == DYSCO_ACT_EVENT && action->event == DYSCO_EVENT_CLOSED &&
	    leg->role == DYSCO_ROLE_LEFT) {
		action->kind = DYSCO_ACT_DELIVER;
		action->attachment = leg->host;
		action->offset = w->actions.used;
		action->bytes = (uint32_t)sim_segment_write(w->actions.arena + w->actions.used, &s);
		w->actions.used += action->bytes;
	}
}

static bool sends_withdraw(const struct sim_world *w, const struct dysco_action *action)
{
	struct sim_segment s;

	return action->kind == DYSCO_ACT_SEND &&
	       sim_segment_read(&s, w->actions.arena + action->offset, action->bytes) &&
	       sim_is_withdraw(&s);
}

void sim_mutate_actions(struct sim_world *w, uint8_t agent, const struct sim_packet *from)
{
	struct dysco_actions *actions = &w->actions;

	for (uint32_t i = 0; i < actions->count; i++) {
		struct dysco_action *action = &actions->list[i];

		if (is(w, SIM_MUTANT_SYN_TWICE) && from && action->kind == DYSCO_ACT_SEND &&
		    actions->count < DYSCO_ACTIONS_MAX) {
			actions->list[actions->count++] = *action;
			return;
		}
		if (is(w, SIM_MUTANT_SILENT_DROP) && action->kind == DYSCO_ACT_DROP) {
			w->agents[agent].core.stats.drops[action->reason]--;
		}
		if (is(w, SIM_MUTANT_BYPASS_CLOSED) && action->kind == DYSCO_ACT_DROP && from &&
		    from->direction == DYSCO_OUT && from->meta.origin == SIM_BY_ENDPOINT) {
			action->kind = DYSCO_ACT_PASS;
		}
		if (is(w, SIM_MUTANT_LOSE_WITHDRAW) && sends_withdraw(w, action)) {
			action->kind = DYSCO_ACT_EVENT;
		}
		if (is(w, SIM_MUTANT_RESET_CLOSED)) {
			reset_box(w, agent, action);
		}
		if (is(w, SIM_MUTANT_NO_RESET) && !from &&
		    (action->kind == DYSCO_ACT_SEND || action->kind == DYSCO_ACT_DELIVER)) {
			action->kind = DYSCO_ACT_EVENT;
		}
	}
}

void sim_mutate_output(struct sim_world *w, const struct dysco_action *action,
		       const struct sim_packet *from, struct sim_packet *packet)
{
	struct sim_segment s, was;

	if (!from || !read_flags(from, &was, SIM_SYN | SIM_ACK, SIM_SYN) ||
	    !read_flags(packet, &s, 0, 0)) {
		return;
	}
	if ((is(w, SIM_MUTANT_KEEP_MESSAGE) && action->kind == DYSCO_ACT_DELIVER) ||
	    (is(w, SIM_MUTANT_KEEP_TAG) && action->kind == DYSCO_ACT_SEND)) {
		was.tuple = s.tuple;
		rewrite_with(packet, &was, was.payload, was.payload_bytes);
	}
}

/* ---- boxes, time ---- */

bool sim_mutate_box(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;

	if (is(w, SIM_MUTANT_SKIP_BOX) && w->nodes[node].host != SIM_NONE &&
	    read_flags(packet, &s, SIM_SYN | SIM_RST, 0) && s.payload_bytes && sim_chance(w, 50)) {
		sim_host_out(w, node, packet);
		return true;
	}
	return false;
}

bool sim_mutate_tick(const struct sim_world *w)
{
	return is(w, SIM_MUTANT_NO_EXPIRY);
}
