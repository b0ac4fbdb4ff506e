// SPDX-License-Identifier: BSD-2-Clause
/*
 * The network: any node reaches any other in one hop that may lose, duplicate,
 * delay and reorder, until w->calm_ns. A node may sit behind a NAT, or have its
 * way to everyone but boxes lead through the exit of a chain.
 */
#include "tests/sim/mutant.h"
#include "tests/sim/world.h"

#include <string.h>

uint16_t sim_packet_index(const struct sim_world *w, const struct sim_packet *packet)
{
	return (uint16_t)(packet - w->packets);
}

struct sim_packet *sim_packet_new(struct sim_world *w)
{
	struct sim_packet *packet;

	if (w->free_packet == 0) {
		sim_fail(w, "simulator: more than %d packets", SIM_PACKETS);
		return NULL;
	}
	packet = &w->packets[w->free_list[--w->free_packet]];
	memset(packet, 0, offsetof(struct sim_packet, data));
	packet->used = true;
	return packet;
}

void sim_packet_free(struct sim_world *w, struct sim_packet *packet)
{
	packet->used = false;
	w->free_list[w->free_packet++] = sim_packet_index(w, packet);
}

/* 10.0.0.0/16 or fd00::/112, the last two bytes number the nodes from 256 on. */
struct dysco_addr sim_address(const struct sim_world *w, uint8_t node)
{
	uint32_t low = 256u + node;
	struct dysco_addr a = {{DYSCO_BE32(0xfd000000u), 0, 0, DYSCO_BE32(low)}};

	return w->ip6 ? a : dysco_addr_from_ip4(DYSCO_BE32(0x0a000000u + low));
}

uint8_t sim_node_of(const struct sim_world *w, const struct dysco_addr *addr)
{
	uint32_t low = DYSCO_HOST32(addr->w_be[3]) & 0xffff;
	uint8_t node = (uint8_t)(low - 256);

	if (low < 256 || node >= w->n_nodes || !dysco_addr_equal(addr, &w->nodes[node].addr)) {
		return SIM_NONE;
	}
	return node;
}

void sim_emit(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;

	if (sim_segment_read(&s, packet->data, packet->bytes)) {
		packet->meta.view = s.tuple;
	}
	if (w->nodes[node].kind == SIM_ENDPOINT) {
		packet->meta.born_ns = w->now_ns;
	}
	packet->meta.view_bytes = packet->bytes;
	packet->meta.view_hash = sim_segment_hash(packet->data, packet->bytes);
	if (w->trace) {
		char text[96];

		sim_say(w, "node %u emits flow %u %s seq %u ack %u win %u flags %02x payload %u",
			node, packet->meta.flow, sim_tuple_text(&s.tuple, text), s.seq, s.ack,
			s.window, s.flags, s.payload_bytes);
	}
	if (w->nodes[node].host != SIM_NONE) {
		sim_host_out(w, node, packet);
	} else {
		sim_send(w, node, packet);
	}
}

static void launch(struct sim_world *w, struct sim_packet *packet)
{
	uint64_t delay_ns = w->delay_ns;

	if (w->now_ns < w->calm_ns && sim_chance(w, w->reorder)) {
		delay_ns += w->delay_ns * sim_random(w, 8);
	}
	w->hash = sim_bytes_hash(w->hash, packet->data, packet->bytes);
	sim_at(w, w->now_ns + delay_ns, SIM_EV_ARRIVE, sim_packet_index(w, packet));
}

static void maybe_duplicate(struct sim_world *w, const struct sim_packet *packet)
{
	struct sim_packet *copy;

	if (w->now_ns >= w->calm_ns || !sim_chance(w, w->duplicate)) {
		return;
	}
	copy = sim_packet_new(w);
	if (copy) {
		memcpy(copy, packet, offsetof(struct sim_packet, data) + packet->bytes);
		w->outcomes[SIM_N_DUPLICATED]++;
		launch(w, copy);
	}
}

/* The node that the network takes this packet to. */
static uint8_t route(struct sim_world *w, uint8_t node, struct sim_packet *packet,
		     const struct sim_segment *s)
{
	uint8_t to = sim_node_of(w, &s->tuple.dst);
	const struct sim_node *from = &w->nodes[node];

	packet->plain = false;
	if (from->behind != SIM_NONE) {
		return from->behind;
	}
	if (from->way_back != SIM_NONE && to != from->way_back) {
		packet->plain = sim_random(w, 2) != 0;
		return from->way_back;
	}
	return to;
}

void sim_send(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;

	if (sim_is_dead(w, node)) {
		sim_packet_free(w, packet);
		return;
	}
	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_fail(w, "node %u sends what is no TCP packet", node);
		sim_packet_free(w, packet);
		return;
	}
	sim_check_wire(w, node, packet);
	w->outcomes[SIM_N_PACKETS]++;
	packet->to = route(w, node, packet, &s);
	if (w->trace) {
		char text[96];

		sim_say(w, "  wire %u>%u flow %u %s seq %u ack %u win %u flags %02x payload %u",
			node, packet->to, packet->meta.flow, sim_tuple_text(&s.tuple, text), s.seq,
			s.ack, s.window, s.flags, s.payload_bytes);
	}
	if (packet->to == SIM_NONE || (w->now_ns < w->calm_ns && sim_chance(w, w->loss))) {
		sim_say(w, "  lost");
		w->outcomes[SIM_N_LOST]++;
		sim_packet_free(w, packet);
		return;
	}
	maybe_duplicate(w, packet);
	launch(w, packet);
}

void sim_arrive(struct sim_world *w, struct sim_packet *packet)
{
	uint8_t node = packet->to;

	if (sim_is_dead(w, node)) {
		sim_packet_free(w, packet);
	} else if (w->nodes[node].kind == SIM_WIRE_NAT) {
		sim_wire_nat(w, node, packet);
	} else if (w->nodes[node].host != SIM_NONE && !packet->plain) {
		sim_host_in(w, node, packet);
	} else {
		sim_deliver(w, node, packet);
	}
}

void sim_deliver(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_segment s;

	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_fail(w, "node %u gets what is no TCP packet", node);
		sim_packet_free(w, packet);
		return;
	}
	if (w->trace) {
		char text[96];

		sim_say(w, "    node %u gets flow %u %s seq %u ack %u win %u flags %02x payload %u",
			node, packet->meta.flow, sim_tuple_text(&s.tuple, text), s.seq, s.ack,
			s.window, s.flags, s.payload_bytes);
	}
	sim_check_delivery(w, node, packet);
	if (w->failed) {
		sim_packet_free(w, packet);
	} else if (w->nodes[node].kind == SIM_BOX) {
		if (!sim_mutate_box(w, node, packet)) {
			sim_box_receive(w, node, packet);
		}
	} else {
		sim_tcp_receive(w, node, packet);
	}
}
