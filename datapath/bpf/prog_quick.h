/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The short way through the fast path, for most packets of bulk data: an
 * ordinary IPv4 segment of a leg whose slot is remembered. What it has to read
 * and execute is a fraction of the long way's (prog_hooks.h), which decides
 * about everything else; the two do the same to a packet.
 *
 * Map `flows` remembers slots by a hash of the five-tuple, one an entry. It is
 * a hint: the leg itself says whether it is the packet's.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_QUICK_H
#define DYSCO_DATAPATH_BPF_PROG_QUICK_H

#include "datapath/bpf/prog_fast.h"

static __always_inline uint32_t flow_of(const struct dysco_packet *p,
					enum dysco_direction direction)
{
	uint64_t x = (uint64_t)p->tuple.src.w_be[3] << 32 | p->tuple.dst.w_be[3];

	x ^= ((uint64_t)p->tuple.sport_be << 24 | (uint64_t)p->tuple.dport_be << 8 |
	      self.host << 1 | (uint32_t)direction) *
	     0x9e3779b97f4a7c15u;
	x *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(x >> (64 - DYSCO_BPF_FLOWS_SHIFT));
}

/* The long way has found a leg. */
static __always_inline void flow_remember(const struct dysco_packet *p,
					  enum dysco_direction direction, uint32_t slot)
{
	uint32_t at = flow_of(p, direction);
	uint32_t *entry;

	if (p->version == 4) {
		entry = bpf_map_lookup_elem(&flows, &at);
		if (entry) {
			*entry = slot;
		}
	}
}

/* Would the packet's key lead to this leg? Both sides IPv4, as the packet is. */
static __always_inline bool flow_is(const struct dysco_leg *leg, const struct dysco_packet *p,
				    enum dysco_direction direction)
{
	const struct dysco_tuple *own =
	    direction == DYSCO_OUT ? &leg->host_tuple : &leg->wire_tuple;
	const struct dysco_addr *src = direction == DYSCO_OUT ? &own->src : &own->dst;
	const struct dysco_addr *dst = direction == DYSCO_OUT ? &own->dst : &own->src;
	dysco_be16 sport_be = direction == DYSCO_OUT ? own->sport_be : own->dport_be;
	dysco_be16 dport_be = direction == DYSCO_OUT ? own->dport_be : own->sport_be;

	return leg->host == self.host && src->w_be[3] == p->tuple.src.w_be[3] &&
	       dst->w_be[3] == p->tuple.dst.w_be[3] && sport_be == p->tuple.sport_be &&
	       dport_be == p->tuple.dport_be && dysco_addr_is_ip4(&leg->host_tuple.src) &&
	       dysco_addr_is_ip4(&leg->wire_tuple.src);
}

/* The next hop, where it is known to be only a matter of MAC addresses, or of none. */
static __always_inline bool quick_hop(struct __sk_buff *skb, struct dysco_leg *leg, uint64_t now_ns)
{
	const struct dysco_bpf_hop *hop = hop_at(leg);

	if (self.mode == DYSCO_ATTACH_PORT && self.bridge_ifindex == 0) {
		return true;
	}
	if (hop->window != (uint32_t)(now_ns >> DYSCO_BPF_HOP_WINDOW_SHIFT)) {
		return false;
	}
	return hop->kind == HOP_STAY || (hop->kind == HOP_MACS && rewrite_macs(skb, hop));
}

/*
 * The time, asked of the kernel by the first packet of a tick: a call costs as
 * much as a third of all the rest here. (65,536 ticks are over a minute; a
 * packet that comes just then is taken for an older one, once.)
 */
static __always_inline uint64_t quick_now(struct dysco_leg_run *run)
{
	struct dysco_bpf_hop *own = (struct dysco_bpf_hop *)run->provider;
	uint16_t tick = (uint16_t)bpf_jiffies64();

	if (own->tick == tick) {
		return run->last_ns;
	}
	own->tick = tick;
	return bpf_ktime_get_coarse_ns();
}

/* p: of dysco_packet_plain(). true: done with this packet. */
static __always_inline bool quick(struct __sk_buff *skb, struct dysco_packet *p,
				  enum dysco_direction direction)
{
	enum dysco_reason reason = DYSCO_REASON_NONE;
	uint32_t at = flow_of(p, direction);
	uint32_t *slot = bpf_map_lookup_elem(&flows, &at);
	struct dysco_leg *leg = slot ? leg_of(*slot) : (struct dysco_leg *)0;
	struct dysco_tuple to;
	uint64_t now_ns;

	if (self.mirror_ifindex || !leg || !flow_is(leg, p, direction) ||
	    (leg->flags & (DYSCO_LEG_OFFSETS | DYSCO_LEG_SETTLING)) ||
	    dysco_step(leg, p, direction, false, &reason) != DYSCO_VERDICT_FAST) {
		return false;
	}
	now_ns = quick_now(&leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN]);
	if (direction == DYSCO_OUT && !quick_hop(skb, leg, now_ns)) {
		return false;
	}
	see(skb, p, leg, direction, now_ns);
	to = direction == DYSCO_OUT ? leg->wire_tuple : dysco_tuple_reverse(&leg->host_tuple);
	rewrite(skb, p, &to, 0);
	return true;
}

#endif
