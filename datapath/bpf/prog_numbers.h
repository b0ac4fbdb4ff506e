/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What reconfiguration asks of the fast path (docs/protocol.md 12): what the
 * SYNs of a session offered is kept, and a leg that a reconfiguration made adds
 * to numbers.
 *
 * Each is a global function: the verifier walks through it once, whatever the
 * caller knows by then.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_NUMBERS_H
#define DYSCO_DATAPATH_BPF_PROG_NUMBERS_H

#include "datapath/bpf/prog_maps.h"
#include "rewrite/numbers.h"

#define OPTION_BYTES 10 /* of the longest one that is looked at */

struct options {
	uint8_t b[DYSCO_SYN_OPTIONS_MAX + OPTION_BYTES]; /* zeroes behind them */
};

/* A copy of the TCP options; how many bytes, or more than there can be. */
static __always_inline uint32_t copy_options(struct __sk_buff *skb, uint32_t l4, uint32_t payload,
					     struct options *copy)
{
	uint32_t n = payload - l4 - DYSCO_TCP_BYTES;

	__builtin_memset(copy, 0, sizeof(*copy));
	if (n > 0 && n <= DYSCO_SYN_OPTIONS_MAX &&
	    bpf_skb_load_bytes(skb, (uint32_t)SELF(l2_bytes) + l4 + DYSCO_TCP_BYTES, copy->b, n)) {
		return UINT32_MAX;
	}
	return n;
}

/* dysco_step_note_syn() of a SYN-ACK; as dysco_number_places() it looks at each place. */
__attribute__((noinline)) int note_syn(struct __sk_buff *skb, struct dysco_packet *p, uint32_t slot,
				       uint32_t direction)
{
	struct dysco_syn_options o = {.wscale = DYSCO_NO_WSCALE, .flags = DYSCO_SYN_NOTED};
	struct dysco_leg *leg = bpf_map_lookup_elem(&legs, &slot);
	enum dysco_direction of = direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN;
	struct options options;
	uint32_t n, next = 0;

	if (!leg || !p) {
		return 0;
	}
	n = copy_options(skb, p->l4, p->payload, &options);
	if (n > DYSCO_SYN_OPTIONS_MAX) {
		return 0;
	}
#pragma unroll
	for (uint32_t i = 0; i < DYSCO_SYN_OPTIONS_MAX; i++) {
		const uint8_t *at = &options.b[i];

		if (i < next) {
			continue;
		}
		if (at[0] == 0 || (at[0] != 1 && (at[1] < 2 || i + at[1] > n))) {
			break;
		}
		next = at[0] == 1 ? i + 1 : i + at[1];
		dysco_step_note_option(leg, &o, at, at[1], of);
	}
	leg->options[of] = o;
	return 0;
}

/* What is found is any number for the verifier, which is the point. */
__attribute__((noinline)) uint32_t number_places(struct __sk_buff *skb, uint32_t l4,
						 uint32_t payload)
{
	struct options options;
	uint32_t n = copy_options(skb, l4, payload, &options);

	return n <= DYSCO_SYN_OPTIONS_MAX ? dysco_number_places(options.b, n) : 0;
}

/* Nothing but timestamps, aligned as every stack does it (RFC 7323, appendix A). */
static __always_inline bool only_timestamps(struct __sk_buff *skb, const struct dysco_packet *p)
{
	uint8_t *tcp = packet_data(skb) + dysco_bound(p->l4, DYSCO_OFFSET_MASK);

	return p->payload - p->l4 == DYSCO_TCP_BYTES + 12 &&
	       tcp + DYSCO_TCP_BYTES + 4 <= packet_end(skb) &&
	       dysco_load32(tcp + DYSCO_TCP_BYTES) == DYSCO_BE32(0x0101080a);
}

/* Translates the packet's numbers, and p's; returns what the checksum has to absorb. */
__attribute__((noinline)) uint32_t renumber(struct __sk_buff *skb, struct dysco_packet *p,
					    uint32_t slot, uint32_t direction)
{
	const struct dysco_leg *leg = bpf_map_lookup_elem(&legs, &slot);
	struct dysco_offsets offsets;
	uint32_t places;

	if (!leg || !p) {
		return 0;
	}
	offsets = leg->offsets;
	places =
	    only_timestamps(skb, p) ? DYSCO_TCP_BYTES + 2 : number_places(skb, p->l4, p->payload);
	return dysco_edit_numbers_at(p, packet_data(skb), packet_end(skb), &offsets,
				     direction == DYSCO_OUT, places)
	    .plain;
}

#endif
