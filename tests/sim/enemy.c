// SPDX-License-Identifier: BSD-2-Clause
/*
 * The enemy: sees Dysco SYNs on the wire, keeps one, and sends it again, bent
 * or whole, or makes up its own. None of it may reach a host.
 */
#include "tests/sim/world.h"

#include <string.h>

static bool is_dysco_syn(const struct sim_packet *packet, struct sim_segment *s)
{
	dysco_be32 magic_be;

	if (!sim_segment_read(s, packet->data, packet->bytes) ||
	    (s->flags & (SIM_SYN | SIM_ACK)) != SIM_SYN || s->payload_bytes < DYSCO_HEADER_BYTES) {
		return false;
	}
	memcpy(&magic_be, s->payload, sizeof(magic_be));
	return magic_be == DYSCO_BE32(DYSCO_MAGIC);
}

/*
 * Keeps the first that an agent has got, and later ones now and then. (What
 * the network lost, the enemy may deliver: nobody can tell.)
 */
void sim_enemy_sniff(struct sim_world *w, const struct sim_packet *packet)
{
	struct sim_segment s;

	if (!w->enemy || packet->direction != DYSCO_IN || packet->meta.origin == SIM_BY_ENEMY ||
	    !is_dysco_syn(packet, &s) || (w->sniff.used && !sim_chance(w, 200))) {
		return;
	}
	memcpy(&w->sniff, packet, offsetof(struct sim_packet, data) + packet->bytes);
}

/* From another port: on the five-tuple itself it could not be told from a duplicate. */
static void change_port(struct sim_world *w, struct sim_segment *s)
{
	s->tuple.sport_be = DYSCO_BE16(30000 + sim_random(w, 1000));
}

static void bend(struct sim_world *w, struct sim_segment *s, uint8_t *payload)
{
	uint32_t message =
	    (uint32_t)s->payload[6] << 8 | s->payload[7]; /* what follows is the host's */
	uint32_t bit;

	memcpy(payload, s->payload, s->payload_bytes);
	s->payload = payload;
	switch (w->enemy) {
	case SIM_HAS_ENEMY_FLIP:
		bit = 32 + sim_random(w, (message - 4) * 8);
		payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (sim_chance(w, 500)) {
			change_port(w, s);
		}
		break;
	case SIM_HAS_ENEMY_TRUNCATED:
		s->payload_bytes = (uint16_t)(4 + sim_random(w, message - 4));
		change_port(w, s);
		break;
	case SIM_HAS_ENEMY_MAGIC:
		for (uint32_t i = 4; i < s->payload_bytes; i++) {
			payload[i] = (uint8_t)sim_random(w, 256);
		}
		change_port(w, s);
		break;
	default:
		if (sim_chance(w, 700)) {
			change_port(w, s);
		}
		break;
	}
}

void sim_enemy_draw(struct sim_world *w)
{
	static const uint8_t kinds[] = {SIM_HAS_ENEMY_FLIP, SIM_HAS_ENEMY_REPLAY,
					SIM_HAS_ENEMY_TRUNCATED, SIM_HAS_ENEMY_MAGIC};

	w->enemy = kinds[sim_random(w, 4)];
	if (w->enemy == SIM_HAS_ENEMY_FLIP || w->enemy == SIM_HAS_ENEMY_REPLAY) {
		w->signed_messages = true;
	}
	sim_has(w, (enum sim_feature)w->enemy);
	for (uint8_t i = 0; i < 6; i++) {
		sim_at(w, sim_random(w, i < 4 ? 2000 : 16000) * SIM_MS, SIM_EV_ENEMY, 0);
	}
}

void sim_enemy_act(struct sim_world *w)
{
	uint8_t payload[SIM_PACKET_BYTES];
	struct sim_packet *packet;
	struct sim_segment s;
	uint8_t to;

	if (!w->sniff.used || !is_dysco_syn(&w->sniff, &s)) {
		return;
	}
	bend(w, &s, payload);
	to = sim_node_of(w, &s.tuple.dst);
	packet = to == SIM_NONE ? NULL : sim_packet_new(w);
	if (!packet) {
		return;
	}
	w->outcomes[SIM_N_ENEMY]++;
	packet->meta.origin = SIM_BY_ENEMY;
	packet->meta.flow = SIM_NONE;
	packet->to = to;
	packet->bytes = (uint16_t)sim_segment_write(packet->data, &s);
	sim_say(w, "enemy sends to %u", to);
	sim_at(w, w->now_ns + SIM_MS, SIM_EV_ARRIVE, sim_packet_index(w, packet));
}
