// SPDX-License-Identifier: BSD-2-Clause
/* Middleboxes, the NAT that knows nothing of Dysco, and what a stack says to strays. */
#include "tests/sim/world.h"

#include <string.h>

enum { SLOW_MS = 200, SLOWEST_MS = 6000 };

void sim_stack_refuse(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		      enum sim_origin origin)
{
	struct sim_segment s, reply;
	struct sim_packet *out;

	if (!sim_segment_read(&s, packet->data, packet->bytes) || (s.flags & SIM_RST)) {
		return;
	}
	out = sim_packet_new(w);
	if (!out) {
		return;
	}
	memset(&reply, 0, sizeof(reply));
	reply.tuple = dysco_tuple_reverse(&s.tuple);
	if (s.flags & SIM_ACK) {
		reply.seq = s.ack;
		reply.flags = SIM_RST;
	} else {
		reply.ack = sim_segment_end(&s);
		reply.flags = SIM_RST | SIM_ACK;
	}
	out->meta.origin = (uint8_t)origin;
	out->meta.flow = packet->meta.flow;
	out->meta.side = !packet->meta.side;
	out->bytes = (uint16_t)sim_segment_write(out->data, &reply);
	sim_emit(w, node, out);
}

/* ---- address translation ---- */

static struct sim_nat_place *nat_find(struct sim_node *nat, const struct dysco_tuple *inside,
				      const struct dysco_tuple *outside)
{
	for (int i = 0; i < SIM_NAT_PLACES; i++) {
		struct sim_nat_place *place = &nat->nat[i];

		if (place->used && (!inside || dysco_tuple_equal(&place->inside, inside)) &&
		    (!outside || dysco_tuple_equal(&place->outside, outside))) {
			return place;
		}
	}
	return NULL;
}

static struct sim_nat_place *nat_make(struct sim_world *w, struct sim_node *nat,
				      const struct dysco_tuple *inside, bool keep_address)
{
	for (int i = 0; i < SIM_NAT_PLACES; i++) {
		struct sim_nat_place *place = &nat->nat[i];

		if (!place->used) {
			place->used = true;
			place->inside = *inside;
			place->outside = *inside;
			if (!keep_address) {
				place->outside.src = nat->addr;
			}
			/* No two of them share a source: port ranges of their own. */
			place->outside.sport_be =
			    DYSCO_BE16(20000 + 100 * (nat - w->nodes) + nat->next_port++);
			return place;
		}
	}
	sim_fail(w, "simulator: NAT table full");
	return NULL;
}

/* Both ways; false: nothing known and nothing to be made. */
static bool nat_translate(struct sim_world *w, struct sim_node *nat, struct sim_packet *packet,
			  const struct sim_segment *s, bool make, bool keep_address)
{
	struct dysco_tuple back = dysco_tuple_reverse(&s->tuple);
	struct sim_nat_place *place = nat_find(nat, NULL, &back);
	struct dysco_tuple to;

	if (place) {
		to = dysco_tuple_reverse(&place->inside);
	} else {
		place = nat_find(nat, &s->tuple, NULL);
		if (!place && make) {
			place = nat_make(w, nat, &s->tuple, keep_address);
		}
		if (!place) {
			return false;
		}
		to = place->outside;
	}
	sim_segment_readdress(packet->data, packet->bytes, &to);
	return true;
}

/*
 * A NAT on the way: a session without chain just looks different from then on;
 * one with a chain has the NAT's source on the far side too, since the agents
 * follow it (paper IV-B).
 */
static void follow_wire_nat(struct sim_world *w, struct sim_meta *meta,
			    const struct dysco_tuple *before, const struct dysco_tuple *after,
			    bool outwards)
{
	struct sim_flow *flow;

	if (meta->flow >= w->n_flows) {
		return;
	}
	flow = &w->flows[meta->flow];
	if (dysco_tuple_equal(&meta->view, before)) {
		meta->view = *after;
	} else if (outwards) {
		flow->inner = meta->view;
		meta->view.src = after->src;
		meta->view.sport_be = after->sport_be;
	} else {
		meta->view.dst = flow->inner.src;
		meta->view.dport_be = flow->inner.sport_be;
	}
}

void sim_wire_nat(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_node *nat = &w->nodes[node];
	struct sim_segment s, after;
	bool outwards;

	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_packet_free(w, packet);
		return;
	}
	outwards = !dysco_addr_equal(&s.tuple.dst, &nat->addr);
	if (!nat_translate(w, nat, packet, &s, outwards, false)) {
		sim_packet_free(w, packet);
		return;
	}
	sim_segment_read(&after, packet->data, packet->bytes);
	follow_wire_nat(w, &packet->meta, &s.tuple, &after.tuple, outwards);
	sim_send(w, node, packet);
}

/* ---- boxes ---- */

/* False: the box takes it off the way. */
static bool box_lets_syn_out(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
			     const struct dysco_tuple *tuple)
{
	struct sim_node *box = &w->nodes[node];

	switch (box->box) {
	case SIM_BOX_DROP_SYN:
		return false;
	case SIM_BOX_DROP_SOME:
		if (box->syns_to_drop) {
			box->syns_to_drop--;
			return false;
		}
		return true;
	case SIM_BOX_REFUSE:
		sim_stack_refuse(w, node, packet, SIM_BY_BOX);
		return false;
	case SIM_BOX_DELTA:
		return sim_agent_freeze(w, node, tuple);
	default:
		return true;
	}
}

void sim_box_receive(struct sim_world *w, uint8_t node, struct sim_packet *packet)
{
	struct sim_node *box = &w->nodes[node];
	struct sim_meta *meta = &packet->meta;
	bool nat = box->box == SIM_BOX_NAT || box->box == SIM_BOX_PORT_NAT;
	struct sim_segment s;

	if (!sim_segment_read(&s, packet->data, packet->bytes)) {
		sim_packet_free(w, packet);
		return;
	}
	w->outcomes[SIM_N_BOXED]++;
	if (meta->n_visits < SIM_VISITS) {
		meta->visits[meta->n_visits++] = node;
	}
	if (sim_node_of(w, &s.tuple.dst) == node &&
	    !(nat && nat_find(box, NULL,
			      &(struct dysco_tuple){s.tuple.dst, s.tuple.src, s.tuple.dport_be,
						    s.tuple.sport_be}))) {
		sim_stack_refuse(w, node, packet, SIM_BY_STACK);
	} else if ((s.flags & (SIM_SYN | SIM_ACK)) == SIM_SYN &&
		   !box_lets_syn_out(w, node, packet, &s.tuple)) {
		sim_say(w, "    box %u keeps the SYN", node);
	} else if (box->box == SIM_BOX_SLOW && (s.flags & (SIM_SYN | SIM_ACK)) == SIM_SYN) {
		packet->to = node;
		sim_at(w, w->now_ns + (SLOW_MS + sim_random(w, SLOWEST_MS - SLOW_MS)) * SIM_MS,
		       SIM_EV_LET_OUT, sim_packet_index(w, packet));
		return;
	} else if (box->box == SIM_BOX_STRICT && !sim_strict_passes(w, node, packet, &s)) {
		sim_say(w, "    box %u drops it", node);
	} else if (!nat || nat_translate(w, box, packet, &s, (s.flags & SIM_SYN) != 0,
					 box->box == SIM_BOX_PORT_NAT)) {
		if (box->box == SIM_BOX_DELTA) {
			sim_delta_apply(w, node, packet, &s);
		}
		sim_emit(w, node, packet);
		return;
	}
	sim_packet_free(w, packet);
}
