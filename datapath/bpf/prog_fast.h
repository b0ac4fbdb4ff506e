/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The fast path: a packet of a leg in mode FAST is noted, translated and sent
 * on. GSO packets stay whole.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_FAST_H
#define DYSCO_DATAPATH_BPF_PROG_FAST_H

#include "datapath/bpf/prog_numbers.h"
#include "datapath/bpf/prog_route.h"

/* What becomes of the link header. */
enum hop_kind { HOP_STAY, HOP_MACS, HOP_NEIGHBOUR, HOP_REFUSED };

static __always_inline void mirror(struct __sk_buff *skb)
{
	if (SELF(mirror_ifindex)) {
		bpf_clone_redirect(skb, SELF(mirror_ifindex), 0);
	}
}

static __always_inline enum hop_kind hop_nic(const struct route *route)
{
	if (route_refused(route)) {
		return HOP_REFUSED;
	}
	if (route->ifindex != SELF(ifindex)) {
		return HOP_NEIGHBOUR;
	}
	if (SELF(l2_bytes) == 0) {
		return HOP_STAY;
	}
	return route->found == BPF_FIB_LKUP_RET_SUCCESS ? HOP_MACS : HOP_NEIGHBOUR;
}

/* Through the bridge to a neighbour on it; else to the bridge itself, that is, to be routed. */
static __always_inline enum hop_kind hop_port(struct route *route)
{
	if (route->ifindex == 0) {
		return HOP_STAY;
	}
	if (route->ifindex != SELF(bridge_ifindex)) {
		for (int i = 0; i < 6; i++) {
			route->dst_mac[i] = self.bridge_mac[i];
		}
		return HOP_MACS;
	}
	return route->found == BPF_FIB_LKUP_RET_SUCCESS ? HOP_MACS : HOP_NEIGHBOUR;
}

static __always_inline void hop_find(struct __sk_buff *skb, const struct dysco_tuple *to,
				     struct dysco_bpf_hop *hop)
{
	struct route route;

	route_lookup(skb, to, SELF(tap_ifindex), &route);
	hop->kind = SELF(mode) == DYSCO_ATTACH_PORT ? hop_port(&route) : hop_nic(&route);
	hop->ifindex = route.ifindex;
	__builtin_memcpy(hop->dst_mac, route.dst_mac, 6);
	__builtin_memcpy(hop->src_mac, route.src_mac, 6);
}

static __always_inline struct dysco_bpf_hop *hop_at(struct dysco_leg *leg)
{
	return (struct dysco_bpf_hop *)leg->run[DYSCO_OUT].provider;
}

/*
 * The next hop. It is looked up once in a window and kept. The first packet of
 * a leg in a window goes through the neighbour layer, so that the kernel sees
 * the neighbour in use and checks that it is still there (RFC 4861 7.3).
 */
static __always_inline struct dysco_bpf_hop *hop_of(struct __sk_buff *skb, struct dysco_leg *leg,
						    uint64_t now_ns)
{
	struct dysco_bpf_hop *hop = hop_at(leg);
	uint32_t window = (uint32_t)(now_ns >> DYSCO_BPF_HOP_WINDOW_SHIFT);

	if (hop->window == window) {
		return hop;
	}
	hop->window = 0;
	hop_find(skb, &leg->wire_tuple, hop);
	if (window == (uint32_t)(leg->run[DYSCO_OUT].last_ns >> DYSCO_BPF_HOP_WINDOW_SHIFT)) {
		hop->window = window;
	} else if (hop->kind == HOP_MACS &&
		   hop->ifindex ==
		       (SELF(mode) == DYSCO_ATTACH_NIC ? SELF(ifindex) : SELF(bridge_ifindex))) {
		hop->kind = HOP_NEIGHBOUR;
	}
	return hop;
}

/*
 * The kernel tells the pseudo part from the plain part by ip_summed. With a sum
 * over the whole packet (CHECKSUM_COMPLETE) it counts on an IPv4 header whose
 * own checksum makes up for the addresses; IPv6 has none, so that is undone.
 */
static __always_inline void fix_by_helper(struct __sk_buff *skb, uint32_t l4, uint8_t version,
					  struct dysco_csum_diff diff)
{
	uint32_t at = (uint32_t)SELF(l2_bytes) + l4 + 16;

	bpf_l4_csum_replace(skb, at, 0, diff.pseudo, BPF_F_PSEUDO_HDR);
	bpf_l4_csum_replace(skb, at, 0, diff.plain, 0);
	if (version == 6) {
		bpf_csum_update(skb, diff.pseudo);
	}
}

/* numbers: of renumber(), 0 without. */
static __always_inline void rewrite(struct __sk_buff *skb, struct dysco_packet *p,
				    const struct dysco_tuple *to, uint32_t numbers)
{
	struct dysco_csum_diff diff = dysco_edit_tuple(p, packet_data(skb), packet_end(skb), to);
	uint8_t *tcp = packet_data(skb) + dysco_bound(p->l4, DYSCO_OFFSET_MASK);
	enum sum_state state = sum_state(skb);

	diff.plain = dysco_csum_fold32((uint64_t)diff.plain + numbers);
	if (state == SUM_UNKNOWN || tcp + DYSCO_TCP_BYTES > packet_end(skb)) {
		fix_by_helper(skb, p->l4, p->version, diff);
	} else if (state == SUM_FINISHED) {
		dysco_csum_absorb(tcp + 16, (uint64_t)diff.pseudo + diff.plain);
	} else {
		dysco_store16(tcp + 16,
			      dysco_csum_fold16((uint64_t)dysco_load16(tcp + 16) + diff.pseudo));
	}
}

static __always_inline bool rewrite_macs(struct __sk_buff *skb, const struct dysco_bpf_hop *hop)
{
	uint8_t *eth = (uint8_t *)(long)skb->data;

	if (eth + ETH_HLEN > packet_end(skb)) {
		return false;
	}
	dysco_store32(eth, dysco_load32(hop->dst_mac));
	/* A bridge learns from source addresses: the one of a host beyond a port stays. */
	if (SELF(mode) == DYSCO_ATTACH_NIC) {
		dysco_store32(eth + 4, dysco_load32(hop->dst_mac + 4));
		dysco_store32(eth + 8, dysco_load32(hop->dst_mac + 8));
	} else {
		dysco_store16(eth + 4, dysco_load16(hop->dst_mac + 4));
	}
	return true;
}

/*
 * The hook runs again when a redirect leads to the same device. Of another one
 * it does not know whose it is: there, data of no leg passes anyway.
 */
static __always_inline int leave_by(struct __sk_buff *skb, uint32_t ifindex)
{
	if (SELF(mode) == DYSCO_ATTACH_NIC && (ifindex == 0 || ifindex == SELF(ifindex))) {
		set_tc_index(skb, DYSCO_BPF_HANDLED(SELF(id)));
		ifindex = SELF(ifindex);
	}
	return route_neighbour(ifindex);
}

static __always_inline void see(struct __sk_buff *skb, const struct dysco_packet *p,
				struct dysco_leg *leg, enum dysco_direction direction,
				uint64_t now_ns)
{
	dysco_step_see(leg, p, direction, skb->len - SELF(l2_bytes), now_ns);
}

/* Beyond a port without bridge the stack routes it: the link header is right as it is. */
static __always_inline int fast_out(struct __sk_buff *skb, struct dysco_packet *p,
				    struct dysco_leg *leg, uint32_t slot)
{
	bool routed = SELF(mode) == DYSCO_ATTACH_PORT && SELF(bridge_ifindex) == 0;
	uint64_t now_ns = bpf_ktime_get_coarse_ns();
	struct dysco_bpf_hop *hop;
	uint32_t numbers = 0;

	if (dysco_addr_is_ip4(&leg->wire_tuple.src) != (p->version == 4)) {
		return drop(DYSCO_REASON_FAMILY_MIX);
	}
	hop = routed ? (struct dysco_bpf_hop *)0 : hop_of(skb, leg, now_ns);
	if (hop && hop->kind == HOP_REFUSED) {
		return drop(DYSCO_REASON_NO_ROUTE);
	}
	see(skb, p, leg, DYSCO_OUT, now_ns);
	mirror(skb);
	if (hop && hop->kind == HOP_MACS && !rewrite_macs(skb, hop)) {
		return drop(DYSCO_REASON_BAD_PACKET);
	}
	if (leg->flags & DYSCO_LEG_OFFSETS) {
		numbers = renumber(skb, p, slot, DYSCO_OUT);
	}
	rewrite(skb, p, &leg->wire_tuple, numbers);
	return hop && hop->kind == HOP_NEIGHBOUR ? leave_by(skb, hop->ifindex) : TC_ACT_UNSPEC;
}

static __always_inline int fast_in(struct __sk_buff *skb, struct dysco_packet *p,
				   struct dysco_leg *leg, uint32_t slot)
{
	struct dysco_tuple to = dysco_tuple_reverse(&leg->host_tuple);
	uint32_t numbers = 0;

	if (dysco_addr_is_ip4(&to.src) != (p->version == 4)) {
		return drop(DYSCO_REASON_FAMILY_MIX);
	}
	if (leg->flags & DYSCO_LEG_OFFSETS) {
		numbers = renumber(skb, p, slot, DYSCO_IN);
	}
	see(skb, p, leg, DYSCO_IN, bpf_ktime_get_coarse_ns());
	rewrite(skb, p, &to, numbers);
	mirror(skb);
	return TC_ACT_UNSPEC;
}

#endif
