/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The slow path: packets to the agent and back, by the TAP device of the
 * namespace.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_SLOW_H
#define DYSCO_DATAPATH_BPF_PROG_SLOW_H

#include "datapath/bpf/prog_fast.h"

/* To the agent. Without one nobody can answer, and the packet must not get past its chain. */
static __always_inline int punt(struct __sk_buff *skb, enum dysco_direction direction,
				enum dysco_bpf_punt_kind kind)
{
	struct dysco_bpf_punt_header *header;

	if (!agent_runs()) {
		return drop(DYSCO_REASON_NO_AGENT);
	}
	if (direction == DYSCO_OUT) {
		mirror(skb);
	}
	if (bpf_skb_change_head(skb, sizeof(*header), 0)) {
		return drop(DYSCO_REASON_SLOW_PATH);
	}
	header = (void *)(long)skb->data;
	if ((void *)(header + 1) > (void *)(long)skb->data_end) {
		return drop(DYSCO_REASON_SLOW_PATH);
	}
	header->magic_be = DYSCO_BE32(DYSCO_MAGIC);
	header->attachment = SELF(id);
	header->direction = (uint8_t)direction;
	header->kind = (uint8_t)kind;
	header->l2_bytes = SELF(l2_bytes);
	__builtin_memset(header->zero, 0, sizeof(header->zero));
	header->type_be = DYSCO_BE16(DYSCO_BPF_PUNT_TYPE);
	header->zero2 = 0;
	count(DYSCO_COUNTER_PUNTED, 1);
	return (int)bpf_redirect(SELF(tap_ifindex), 0);
}

/* The injected packet's addresses and ports, as far as routing looks at them. */
static __always_inline bool injected_tuple(struct __sk_buff *skb, struct dysco_tuple *tuple)
{
	uint8_t *ip = (uint8_t *)(long)skb->data + ETH_HLEN;
	uint8_t *end = (uint8_t *)(long)skb->data_end;

	__builtin_memset(tuple, 0, sizeof(*tuple));
	if (ip + DYSCO_IP4_BYTES > end) {
		return false;
	}
	if (ip[0] >> 4 == 4) {
		tuple->src = dysco_addr_from_ip4(dysco_load32(ip + 12));
		tuple->dst = dysco_addr_from_ip4(dysco_load32(ip + 16));
		return true;
	}
	if (ip + DYSCO_IP6_BYTES > end) {
		return false;
	}
	tuple->src = dysco_load_ip6(ip + 8);
	tuple->dst = dysco_load_ip6(ip + 24);
	return true;
}

static __always_inline int injected_send_nic(struct __sk_buff *skb,
					     const struct dysco_bpf_attachment *to,
					     const struct route *route)
{
	uint32_t ifindex = route->ifindex ? route->ifindex : to->ifindex;

	if (route_refused(route)) {
		return drop(DYSCO_REASON_NO_ROUTE);
	}
	set_tc_index(skb, DYSCO_BPF_HANDLED(ifindex == to->ifindex ? to->id : 0u));
	return route_neighbour(ifindex);
}

/* As hop_port(): back to the interface it came from, with the link header that leads on. */
static __always_inline int injected_send_port(struct __sk_buff *skb,
					      const struct dysco_bpf_attachment *to,
					      const struct route *route)
{
	uint8_t *eth = (uint8_t *)(long)skb->data;

	if (eth + ETH_HLEN > (uint8_t *)(long)skb->data_end) {
		return drop(DYSCO_REASON_INJECT);
	}
	if (to->bridge_ifindex == 0) {
		__builtin_memcpy(eth, to->mac, 6);
	} else if (route->ifindex != to->bridge_ifindex) {
		__builtin_memcpy(eth, to->bridge_mac, 6);
	} else if (route->found == BPF_FIB_LKUP_RET_SUCCESS) {
		__builtin_memcpy(eth, route->dst_mac, 6);
	} else {
		return route_neighbour(route->ifindex);
	}
	set_tc_index(skb, DYSCO_BPF_HANDLED(to->id));
	return (int)bpf_redirect(to->ifindex, BPF_F_INGRESS);
}

static __always_inline int injected_send(struct __sk_buff *skb,
					 const struct dysco_bpf_attachment *to)
{
	struct dysco_tuple tuple;
	struct route route;

	if (!injected_tuple(skb, &tuple)) {
		return drop(DYSCO_REASON_INJECT);
	}
	route_lookup(skb, &tuple, skb->ifindex, &route);
	return to->mode == DYSCO_ATTACH_NIC ? injected_send_nic(skb, to, &route)
					    : injected_send_port(skb, to, &route);
}

static __always_inline int injected_to(struct __sk_buff *skb, const struct dysco_bpf_attachment *to,
				       uint8_t verb)
{
	if (verb == DYSCO_BPF_SEND) {
		return injected_send(skb, to);
	}
	set_tc_index(skb, DYSCO_BPF_HANDLED(to->id));
	if (verb == DYSCO_BPF_RETURN) {
		return (int)bpf_redirect(to->ifindex, BPF_F_INGRESS);
	}
	if (to->mode == DYSCO_ATTACH_PORT) {
		return (int)bpf_redirect(to->ifindex, 0);
	}
	if (to->mirror_ifindex) {
		bpf_clone_redirect(skb, to->mirror_ifindex, 0);
	}
	return (int)bpf_redirect(to->ifindex, BPF_F_INGRESS);
}

static __always_inline void injected_macs(uint8_t *eth, const struct dysco_bpf_attachment *to,
					  uint8_t verb)
{
	if (to->mode == DYSCO_ATTACH_NIC) {
		__builtin_memcpy(eth, to->mac, 6);
	} else if (verb == DYSCO_BPF_DELIVER) {
		__builtin_memcpy(eth, eth + 6, 6);
		__builtin_memcpy(eth + 6, to->bridge_ifindex ? to->bridge_mac : to->mac, 6);
	}
}

static __always_inline int injected_gso(struct __sk_buff *skb)
{
	uint8_t *eth = (uint8_t *)(long)skb->data;
	struct dysco_bpf_attachment *to;
	struct dysco_bpf_inject_head head;
	uint32_t id;

	if (eth + ETH_HLEN + DYSCO_IP4_BYTES > (uint8_t *)(long)skb->data_end) {
		return drop(DYSCO_REASON_INJECT);
	}
	__builtin_memcpy(&head, eth, sizeof(head));
	id = head.attachment;
	to = bpf_map_lookup_elem(&attachments, &id);
	if (head.magic[0] != DYSCO_BPF_INJECT_MAGIC0 || head.magic[1] != DYSCO_BPF_INJECT_MAGIC1 ||
	    head.verb == DYSCO_BPF_RETURN || !to || to->ifindex == 0 ||
	    to->tap_ifindex != skb->ifindex) {
		return drop(DYSCO_REASON_INJECT);
	}
	injected_macs(eth, to, head.verb);
	return injected_to(skb, to, head.verb);
}

static __always_inline int injected(struct __sk_buff *skb)
{
	struct dysco_bpf_inject_trailer trailer;
	uint32_t bytes = skb->len - (uint32_t)sizeof(trailer);
	struct dysco_bpf_attachment *to;
	uint32_t id;

	if (skb->len < ETH_HLEN + DYSCO_IP4_BYTES + sizeof(trailer) ||
	    bpf_skb_load_bytes(skb, bytes, &trailer, sizeof(trailer)) ||
	    trailer.magic_be != DYSCO_BE32(DYSCO_MAGIC) || bpf_skb_change_tail(skb, bytes, 0)) {
		return drop(DYSCO_REASON_INJECT);
	}
	id = trailer.attachment;
	to = bpf_map_lookup_elem(&attachments, &id);
	if (!to || to->ifindex == 0 || to->tap_ifindex != skb->ifindex) {
		return drop(DYSCO_REASON_INJECT);
	}
	return injected_to(skb, to, trailer.verb);
}

#endif
