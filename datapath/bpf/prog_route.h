/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where a packet goes whose destination has changed: the kernel resolved the
 * next hop for the old one, so it is resolved afresh here.
 *
 * Routes are looked up as if the packet had come in by the TAP device of the
 * namespace, on which forwarding is on, whatever the host's own setting is.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_ROUTE_H
#define DYSCO_DATAPATH_BPF_PROG_ROUTE_H

#include "datapath/bpf/prog_maps.h"

/* How a packet is to leave. */
struct route {
	int found;			/* BPF_FIB_LKUP_RET_* */
	uint32_t ifindex;		/* of the device, 0: not known */
	uint8_t dst_mac[6], src_mac[6]; /* with BPF_FIB_LKUP_RET_SUCCESS */
};

static __always_inline void route_lookup(struct __sk_buff *skb, const struct dysco_tuple *to,
					 uint32_t tap_ifindex, struct route *route)
{
	struct bpf_fib_lookup fib;

	__builtin_memset(&fib, 0, sizeof(fib));
	fib.ifindex = tap_ifindex;
	fib.l4_protocol = DYSCO_PROTO_TCP;
	fib.sport = to->sport_be;
	fib.dport = to->dport_be;
	if (dysco_addr_is_ip4(&to->dst)) {
		fib.family = AF_INET;
		fib.ipv4_src = to->src.w_be[3];
		fib.ipv4_dst = to->dst.w_be[3];
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &to->src, sizeof(to->src));
		__builtin_memcpy(fib.ipv6_dst, &to->dst, sizeof(to->dst));
	}
	route->found = (int)bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	route->ifindex =
	    route->found == BPF_FIB_LKUP_RET_SUCCESS || route->found == BPF_FIB_LKUP_RET_NO_NEIGH
		? fib.ifindex
		: 0;
	__builtin_memcpy(route->dst_mac, fib.dmac, 6);
	__builtin_memcpy(route->src_mac, fib.smac, 6);
}

static __always_inline bool route_refused(const struct route *route)
{
	return route->found == BPF_FIB_LKUP_RET_BLACKHOLE ||
	       route->found == BPF_FIB_LKUP_RET_UNREACHABLE ||
	       route->found == BPF_FIB_LKUP_RET_PROHIBIT;
}

/* Through the kernel's neighbour table, which asks for the MAC address when it has to. */
static __always_inline int route_neighbour(uint32_t ifindex)
{
	return (int)bpf_redirect_neigh(ifindex, (void *)0, 0, 0);
}

#endif
