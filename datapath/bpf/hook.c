// SPDX-License-Identifier: BSD-2-Clause
/*
 * Our filters on the clsact hooks of an interface. They are ordinary filters,
 * not BPF links, so that they outlive the agent, and always have the same
 * priority and handle, so that a new program takes the old one's place.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/provider.h"

#define PRIORITY 0xd7
#define HANDLE	 0xd75c

int dysco_bpf_hook_set(uint32_t ifindex, enum dysco_bpf_hook hook, int program_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, tc, .ifindex = (int)ifindex,
		    .attach_point = hook == DYSCO_BPF_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE,
		    .handle = HANDLE, .priority = PRIORITY);
	int error = bpf_tc_hook_create(&tc);

	if (error && error != -EEXIST) {
		return error;
	}
	return bpf_tc_attach(&tc, &opts);
}

static int hook_remove(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, tc, .ifindex = (int)ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	return bpf_tc_detach(&tc, &opts);
}

int dysco_bpf_hook_clear(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int in = hook_remove(ifindex, BPF_TC_INGRESS);
	int out = hook_remove(ifindex, BPF_TC_EGRESS);

	if (in && out) {
		return -ENOENT;
	}
	if (dysco_link_count_filters(ifindex, TC_H_MIN_INGRESS) == 0 &&
	    dysco_link_count_filters(ifindex, TC_H_MIN_EGRESS) == 0) {
		return bpf_tc_hook_destroy(&both);
	}
	return 0;
}
