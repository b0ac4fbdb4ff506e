/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classifier: all policies' filters as one BPF program, so that a SYN of a
 * policy is known as such even while no agent runs.
 *
 * It takes skb->cb[DYSCO_BPF_CB_HOST], _AFTER and _L2, tries the rules in their
 * order, leaves the result in _RULE and _FAIL, and tail-calls map `after` at
 * _AFTER. Where that fails, a packet of a fail-closed rule is dropped.
 *
 * A filter has the meaning that pcap_offline_filter() would give it on the
 * packet from its IP header on: what reads past the end, or divides by zero,
 * does not match.
 */
#ifndef DYSCO_DATAPATH_BPF_CLASSIFIER_H
#define DYSCO_DATAPATH_BPF_CLASSIFIER_H

#include <linux/bpf.h>

#include "datapath/datapath.h"

struct dysco_bpf_code {
	struct bpf_insn *insns; /* to be freed by the caller, also after an error */
	size_t count, room;
};

/*
 * 0; -ENOMEM; or -EINVAL for a filter that is not a valid classic BPF program
 * or is too long, its rule then being in *bad_rule.
 */
int dysco_bpf_classifier_make(struct dysco_bpf_code *code,
			      const struct dysco_classifier_rule *rules, uint32_t n, int after_fd,
			      uint32_t *bad_rule);

#endif
