/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The tc programs of the bpf datapath; sum_state() is the includer's:
 *
 *   host_out         packets that leave a Dysco host: egress of a `nic`, ingress of a `port`
 *   host_in          packets that arrive at it:       ingress of a `nic`, egress of a `port`
 *   host_classified  second half of host_out for a SYN that the classifier has looked at
 *   tap_in           ingress of the TAP device: packets that the agent injects
 *
 * The first three are loaded once an attachment, with `self` filled in; tap_in
 * once a namespace. README.md has the picture.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_HOOKS_H
#define DYSCO_DATAPATH_BPF_PROG_HOOKS_H

#include "datapath/bpf/prog_quick.h"
#include "datapath/bpf/prog_slow.h"

#define VLAN_ID	   0x0fff /* of vlan_tci */
#define PULL_BYTES 256	  /* headers of a packet that does not have them in its linear part */

/* Dealt with by the agent, or on its second way through this hook? */
static __always_inline bool handled(struct __sk_buff *skb, enum dysco_direction direction)
{
	uint32_t index = skb->tc_index;

	if (LIKELY((index & ~(DYSCO_BPF_ATTACHMENTS - 1)) != DYSCO_BPF_HANDLED(0))) {
		return false;
	}
	set_tc_index(skb, 0);
	return index == DYSCO_BPF_HANDLED(SELF(id)) ||
	       (index == DYSCO_BPF_HANDLED(0) && direction == DYSCO_OUT &&
		SELF(mode) == DYSCO_ATTACH_NIC);
}

/*
 * Are headers missing because they do not lie in the packet's linear part?
 * Then they are pulled into it, and the program starts again (by a tail call:
 * the verifier, which walks each way through the parser, need not do so twice).
 */
static __always_inline void pull_headers(struct __sk_buff *skb, enum dysco_direction direction)
{
	uint32_t bytes = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;

	if ((uint8_t *)(long)skb->data + bytes > packet_end(skb) &&
	    bpf_skb_pull_data(skb, bytes) == 0) {
		bpf_tail_call(skb, &after,
			      direction == DYSCO_OUT ? DYSCO_BPF_AFTER_OUT(SELF(id))
						     : DYSCO_BPF_AFTER_IN(SELF(id)));
	}
}

/*
 * These two are functions of their own (global ones at that) for the verifier's sake: it
 * walks through the headers once, and through the options once, and not through
 * all that follows with each state it leaves them in.
 */
__attribute__((noinline)) int parse(struct __sk_buff *skb, struct dysco_packet *p)
{
	return p ? (int)dysco_packet_parse(p, packet_data(skb), packet_end(skb),
					   skb->len - SELF(l2_bytes))
		 : DYSCO_PARSE_BAD;
}

/* Has it our experimental option? */
__attribute__((noinline)) int has_option(struct __sk_buff *skb, uint32_t l4, uint32_t payload,
					 uint32_t exid)
{
	struct dysco_packet p;

	__builtin_memset(&p, 0, sizeof(p));
	p.l4 = (uint16_t)l4;
	p.payload = (uint16_t)payload;
	return dysco_packet_option(&p, packet_data(skb), packet_end(skb), (uint16_t)exid) != 0;
}

/* A SYN from the host that belongs to no leg. */
static __always_inline int classify(struct __sk_buff *skb, const struct dysco_packet *p)
{
	struct dysco_tuple back = dysco_tuple_reverse(&p->tuple);

	if (has_option(skb, p->l4, p->payload, DYSCO_EXID_TAG)) {
		return punt(skb, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
	}
	if (slot_of(&back, DYSCO_IN) != DYSCO_NO_SLOT) {
		return drop(DYSCO_REASON_PORT_CONFLICT);
	}
	skb->cb[DYSCO_BPF_CB_HOST] = SELF(host);
	skb->cb[DYSCO_BPF_CB_AFTER] = SELF(id);
	skb->cb[DYSCO_BPF_CB_L2] = SELF(l2_bytes);
	bpf_tail_call(skb, &classifier, 0);
	return any_policy() ? drop(DYSCO_REASON_NO_AGENT) : TC_ACT_UNSPEC;
}

/* A SYN from the wire that belongs to no leg. */
static __always_inline int inspect(struct __sk_buff *skb, const struct dysco_packet *p)
{
	struct dysco_tuple back = dysco_tuple_reverse(&p->tuple);
	dysco_be32 magic_be = 0;

	bpf_skb_load_bytes(skb, (uint32_t)SELF(l2_bytes) + p->payload, &magic_be, sizeof(magic_be));
	if (magic_be == DYSCO_BE32(DYSCO_MAGIC) ||
	    has_option(skb, p->l4, p->payload, DYSCO_EXID_MARK) ||
	    slot_of(&back, DYSCO_OUT) != DYSCO_NO_SLOT) {
		return punt(skb, DYSCO_IN, DYSCO_BPF_PUNT_PACKET);
	}
	if (p->payload_bytes) {
		count(DYSCO_COUNTER_FOREIGN_SYN_DATA, 1);
	}
	return TC_ACT_UNSPEC;
}

static __always_inline int tcp_packet(struct __sk_buff *skb, struct dysco_packet *p,
				      enum dysco_direction direction)
{
	bool control =
	    dysco_step_may_be_control(p) && has_option(skb, p->l4, p->payload, DYSCO_EXID_MARK);
	uint32_t slot = slot_of(&p->tuple, direction);
	struct dysco_leg *leg = leg_of(slot);
	enum dysco_reason reason = DYSCO_REASON_NONE;

	switch (dysco_step(leg, p, direction, control, &reason)) {
	case DYSCO_VERDICT_FAST:
		if (!leg) {
			return TC_ACT_UNSPEC;
		}
		if (leg->flags & DYSCO_LEG_SETTLING) {
			return punt(skb, direction, DYSCO_BPF_PUNT_PACKET);
		}
		if ((p->flags & DYSCO_TCP_SYN) &&
		    !dysco_step_is_stray_syn(
			&leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN], p)) {
			note_syn(skb, p, slot, direction);
		}
		flow_remember(p, leg, direction, slot);
		return direction == DYSCO_OUT ? fast_out(skb, p, leg, slot)
					      : fast_in(skb, p, leg, slot);
	case DYSCO_VERDICT_PUNT:
		return punt(skb, direction,
			    control ? DYSCO_BPF_PUNT_CONTROL : DYSCO_BPF_PUNT_PACKET);
	case DYSCO_VERDICT_DROP:
		return drop(reason);
	case DYSCO_VERDICT_CLASSIFY:
		return classify(skb, p);
	case DYSCO_VERDICT_INSPECT:
		return inspect(skb, p);
	default:
		return TC_ACT_UNSPEC;
	}
}

/* The packet quoted in it went the other way: its leg is found under the reversed five-tuple. */
static __always_inline int icmp_error(struct __sk_buff *skb, const struct dysco_packet *p,
				      enum dysco_direction direction)
{
	struct dysco_tuple back = dysco_tuple_reverse(&p->tuple);

	return slot_of(&back, direction) == DYSCO_NO_SLOT
		   ? TC_ACT_UNSPEC
		   : punt(skb, direction, DYSCO_BPF_PUNT_PACKET);
}

/* Filters cannot judge what has no ports: where there are policies, no fragment slips past them. */
static __always_inline int fragment(const struct dysco_packet *p, enum dysco_direction direction)
{
	if (direction == DYSCO_OUT && any_policy()) {
		return drop(DYSCO_REASON_FRAGMENT);
	}
	if (p->first && slot_of(&p->tuple, direction) != DYSCO_NO_SLOT) {
		return drop(DYSCO_REASON_FRAGMENT);
	}
	return TC_ACT_UNSPEC;
}

/*
 * The kernel takes a frame of VLAN 0 (IEEE 802.1Q: only a priority) as one without
 * tag. So do the programs, or a host beyond a port could slip past its policies.
 * Called where frames come in; true: another such tag may be inside.
 */
static __always_inline bool untag_priority(struct __sk_buff *skb)
{
	uint32_t protocol = skb->protocol;

	if (!skb->vlan_present || (skb->vlan_tci & VLAN_ID) != 0 ||
	    (protocol != DYSCO_BE16(ETH_P_IP) && protocol != DYSCO_BE16(ETH_P_IPV6) &&
	     protocol != DYSCO_BE16(ETH_P_8021Q) && protocol != DYSCO_BE16(ETH_P_8021AD))) {
		return false;
	}
	bpf_skb_vlan_pop(skb);
	return true;
}

/* Whatever is not for the short way, or failed to go it. */
static __always_inline int long_way(struct __sk_buff *skb, enum dysco_direction direction)
{
	bool comes_in = direction == (SELF(mode) == DYSCO_ATTACH_PORT ? DYSCO_OUT : DYSCO_IN);
	struct dysco_packet p;
	uint8_t version;
	int parsed = DYSCO_PARSE_TCP;

	if (comes_in && untag_priority(skb) && untag_priority(skb) && untag_priority(skb)) {
		return drop(DYSCO_REASON_BAD_PACKET);
	}
	version = skb->protocol == DYSCO_BE16(ETH_P_IP)	    ? 4
		  : skb->protocol == DYSCO_BE16(ETH_P_IPV6) ? 6
							    : 0;
	if (version == 0 || skb->vlan_present) {
		return TC_ACT_UNSPEC;
	}
	if (version == 6 || !dysco_packet_plain(&p, packet_data(skb), packet_end(skb),
						skb->len - (uint32_t)SELF(l2_bytes))) {
		parsed = parse(skb, &p);
	}
	switch (parsed) {
	case DYSCO_PARSE_TCP:
		return p.version == version ? tcp_packet(skb, &p, direction)
					    : drop(DYSCO_REASON_BAD_PACKET);
	case DYSCO_PARSE_ICMP_ERROR:
		return icmp_error(skb, &p, direction);
	case DYSCO_PARSE_FRAGMENT:
		return fragment(&p, direction);
	case DYSCO_PARSE_BAD:
		pull_headers(skb, direction);
		return drop(DYSCO_REASON_BAD_PACKET);
	default:
		count(DYSCO_COUNTER_UNPARSED, 1);
		return TC_ACT_UNSPEC;
	}
}

static __always_inline int host_packet(struct __sk_buff *skb, enum dysco_direction direction)
{
	if (handled(skb, direction)) {
		return TC_ACT_UNSPEC;
	}
	if (LIKELY(skb->protocol == DYSCO_BE16(ETH_P_IP) && !skb->vlan_present &&
		   quick(skb, direction))) {
		return TC_ACT_UNSPEC;
	}
	return long_way(skb, direction);
}

SEC("tc")
int host_out(struct __sk_buff *skb)
{
	return host_packet(skb, DYSCO_OUT);
}

SEC("tc")
int host_in(struct __sk_buff *skb)
{
	return host_packet(skb, DYSCO_IN);
}

SEC("tc")
int host_classified(struct __sk_buff *skb)
{
	if (skb->cb[DYSCO_BPF_CB_RULE] == DYSCO_BPF_NO_RULE) {
		return TC_ACT_UNSPEC;
	}
	if (agent_runs() || skb->cb[DYSCO_BPF_CB_FAIL] != DYSCO_FAIL_OPEN) {
		return punt(skb, DYSCO_OUT, DYSCO_BPF_PUNT_PACKET);
	}
	count(DYSCO_COUNTER_BYPASS, 1);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tap_in(struct __sk_buff *skb)
{
	return skb->gso_size ? injected_gso(skb) : injected(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
