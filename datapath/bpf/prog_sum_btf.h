/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the kernel keeps of a packet's TCP checksum, read from its own struct
 * (Linux 6.2 and later, with BTF): then the checksum is mended in place, and
 * two or three helper calls a packet, a third of the cost of it all, are saved.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_SUM_BTF_H
#define DYSCO_DATAPATH_BPF_PROG_SUM_BTF_H

#include "datapath/bpf/prog_maps.h"
#include <bpf/bpf_core_read.h>

/* The kernel's struct sk_buff, as far as it is looked at; the loader finds the field. */
struct sk_buff___sum {
	unsigned char ip_summed : 2;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

static __always_inline enum sum_state sum_state(struct __sk_buff *skb)
{
	const struct sk_buff___sum *kernel;

	if (!bpf_cast_to_kern_ctx) {
		return SUM_UNKNOWN;
	}
	kernel = bpf_cast_to_kern_ctx(skb);
	switch (BPF_CORE_READ_BITFIELD(kernel, ip_summed)) {
	case 0: /* CHECKSUM_NONE */
	case 1: /* CHECKSUM_UNNECESSARY */
		return SUM_FINISHED;
	case 3: /* CHECKSUM_PARTIAL */
		return SUM_PSEUDO;
	default:
		return SUM_UNKNOWN;
	}
}

#endif
