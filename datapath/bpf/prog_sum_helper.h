/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the kernel keeps of a packet's TCP checksum, where it cannot be read: the helpers know. */
#ifndef DYSCO_DATAPATH_BPF_PROG_SUM_HELPER_H
#define DYSCO_DATAPATH_BPF_PROG_SUM_HELPER_H

#include "datapath/bpf/prog_maps.h"

static __always_inline enum sum_state sum_state(struct __sk_buff *skb)
{
	(void)skb;
	return SUM_UNKNOWN;
}

#endif
