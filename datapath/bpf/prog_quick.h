/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The short way through the fast path, for most packets of bulk data: an
 * ordinary IPv4 segment of a leg whose slot is remembered. What it has to read
 * and execute is a fraction of the long way's (prog_hooks.h), which decides
 * about everything else; the two do the same to a packet.
 *
 * Its instructions and data are seldom in the cache, since what it passes by are
 * packets of 64 KB: few lines of both, in a straight line, are what counts.
 *
 * Map `flows` remembers slots by a hash of the five-tuple, one an entry. It is
 * a hint: the leg itself says whether it is the packet's.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_QUICK_H
#define DYSCO_DATAPATH_BPF_PROG_QUICK_H

#include "datapath/bpf/prog_fast.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

/* An IPv4 five-tuple; words as they lie in a packet. */
struct tuple4 {
	uint32_t src_be, dst_be, ports_be;
};

static __always_inline struct tuple4 tuple4_of_packet(const uint8_t *ip)
{
	struct tuple4 t = {dysco_load32(ip + 12), dysco_load32(ip + 16),
			   dysco_load32(ip + DYSCO_IP4_BYTES)};

	return t;
}

static __always_inline struct tuple4 tuple4_of(const struct dysco_tuple *t, bool reversed)
{
	uint32_t ports_be = dysco_load32((const uint8_t *)&t->sport_be);
	struct tuple4 straight = {t->src.w_be[3], t->dst.w_be[3], ports_be};
	struct tuple4 back = {t->dst.w_be[3], t->src.w_be[3], ports_be << 16 | ports_be >> 16};

	return reversed ? back : straight;
}

static __always_inline uint32_t flow_of(const struct tuple4 *t, enum dysco_direction direction)
{
	uint64_t x = (uint64_t)t->src_be << 32 | t->dst_be;

	x ^= ((uint64_t)t->ports_be << 17 | SELF(host) << 1 | (uint32_t)direction) *
	     0x9e3779b97f4a7c15u;
	x *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(x >> (64 - DYSCO_BPF_FLOWS_SHIFT));
}

static __always_inline struct dysco_bpf_hop *own_of(struct dysco_leg *leg,
						    enum dysco_direction direction)
{
	return (struct dysco_bpf_hop *)leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN]
	    .provider;
}

/* The long way has found a leg, IPv4 on both sides as the packet is. */
static __always_inline void flow_remember(const struct dysco_packet *p, struct dysco_leg *leg,
					  enum dysco_direction direction, uint32_t slot)
{
	struct tuple4 t = tuple4_of(&p->tuple, false);
	uint32_t at = flow_of(&t, direction);
	uint32_t *entry;

	if (p->version == 4 && dysco_addr_is_ip4(&leg->wire_tuple.src) &&
	    dysco_addr_is_ip4(&leg->host_tuple.src) && dysco_step_settled(leg, direction)) {
		entry = bpf_map_lookup_elem(&flows, &at);
		if (entry) {
			own_of(leg, direction)->plain = 1;
			*entry = slot;
		}
	}
}

/* The next hop, where it is known to be only a matter of MAC addresses, or of none. */
static __always_inline bool quick_hop(struct __sk_buff *skb, struct dysco_leg *leg, uint64_t now_ns)
{
	const struct dysco_bpf_hop *hop = hop_at(leg);

	if (SELF(mode) == DYSCO_ATTACH_PORT && SELF(bridge_ifindex) == 0) {
		return true;
	}
	if (!LIKELY(hop->window == (uint32_t)(now_ns >> DYSCO_BPF_HOP_WINDOW_SHIFT))) {
		return false;
	}
	return LIKELY(hop->kind == HOP_MACS) ? rewrite_macs(skb, hop) : hop->kind == HOP_STAY;
}

/*
 * The time, asked of the kernel by the first packet of a tick: a call costs as
 * much as a third of all the rest here. (65,536 ticks are over a minute; a
 * packet that comes just then is taken for an older one, once.)
 */
static __always_inline uint64_t quick_now(const struct dysco_leg_run *run,
					  struct dysco_bpf_hop *own)
{
	uint16_t tick = (uint16_t)bpf_jiffies64();

	if (LIKELY(own->tick == tick)) {
		return run->last_ns;
	}
	own->tick = tick;
	return bpf_ktime_get_coarse_ns();
}

/* As dysco_edit_tuple() and rewrite() do it. */
static __always_inline void quick_rewrite(struct __sk_buff *skb, uint8_t *ip,
					  const struct tuple4 *from, const struct tuple4 *to)
{
	uint64_t addresses =
	    (uint64_t)(uint32_t)~from->src_be + (uint32_t)~from->dst_be + to->src_be + to->dst_be;
	uint64_t ports = (uint64_t)(uint32_t)~from->ports_be + to->ports_be;
	uint8_t *tcp = ip + DYSCO_IP4_BYTES;
	enum sum_state state = sum_state(skb);
	uint16_t pseudo;

	dysco_store32(ip + 12, to->src_be);
	dysco_store32(ip + 16, to->dst_be);
	dysco_store32(tcp, to->ports_be);
	pseudo = dysco_csum_fold16(addresses);
	dysco_csum_absorb16(ip + 10, pseudo);
	if (LIKELY(state == SUM_PSEUDO)) {
		dysco_store16(tcp + 16, dysco_csum_add16(dysco_load16(tcp + 16), pseudo));
	} else if (state == SUM_FINISHED) {
		dysco_csum_absorb16(tcp + 16, dysco_csum_fold16(ports + pseudo));
	} else {
		struct dysco_csum_diff diff = {pseudo, dysco_csum_fold32(ports)};

		fix_by_helper(skb, DYSCO_IP4_BYTES, 4, diff);
	}
}

/* true: done with this packet. */
static __always_inline bool quick(struct __sk_buff *skb, enum dysco_direction direction)
{
	uint8_t *ip = packet_data(skb);
	uint32_t bytes = skb->len - (uint32_t)SELF(l2_bytes), at, *slot;
	struct dysco_leg *leg;
	struct dysco_leg_run *run;
	struct dysco_bpf_hop *own;
	struct tuple4 from, here, to;
	uint64_t now_ns;

	if (SELF(mirror_ifindex) || !LIKELY(dysco_packet_is_plain(ip, packet_end(skb), bytes))) {
		return false;
	}
	from = tuple4_of_packet(ip);
	at = flow_of(&from, direction);
	slot = bpf_map_lookup_elem(&flows, &at);
	if (!LIKELY(slot)) {
		return false;
	}
	leg = bpf_map_lookup_elem(&legs, slot);
	if (!LIKELY(leg)) {
		return false;
	}
	run = &leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN];
	own = own_of(leg, direction);
	here = direction == DYSCO_OUT ? tuple4_of(&leg->host_tuple, false)
				      : tuple4_of(&leg->wire_tuple, true);
	if (!LIKELY(here.src_be == from.src_be && here.dst_be == from.dst_be &&
		    here.ports_be == from.ports_be && leg->host == SELF(host) && own->plain &&
		    dysco_step_plain(leg, run))) {
		return false;
	}
	now_ns = quick_now(run, own);
	if (direction == DYSCO_OUT && !LIKELY(quick_hop(skb, leg, now_ns))) {
		return false;
	}
	dysco_step_see_plain(run, ip, bytes, now_ns);
	to = direction == DYSCO_OUT ? tuple4_of(&leg->wire_tuple, false)
				    : tuple4_of(&leg->host_tuple, true);
	quick_rewrite(skb, ip, &from, &to);
	return true;
}

#endif
