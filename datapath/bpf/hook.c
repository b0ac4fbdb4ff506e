// SPDX-License-Identifier: BSD-2-Clause
/*
 * Our programs on the tc hooks of an interface: on tcx where the kernel has it
 * (6.6), else as clsact filters. Neither is a BPF link, so that they outlive the
 * agent; a new program takes the old one's place, filters by always having the
 * same priority and handle.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/provider.h"
#include "datapath/bpf/tcx.h"

#define PRIORITY 0xd7
#define HANDLE	 0xd75c

bool dysco_bpf_tcx = true;

static int filter_set(uint32_t ifindex, enum dysco_bpf_hook hook, int program_fd)
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

int dysco_bpf_hook_set(uint32_t ifindex, enum dysco_bpf_hook hook, int program_fd)
{
	int error =
	    dysco_bpf_tcx ? dysco_tcx_set(ifindex, hook == DYSCO_BPF_EGRESS, program_fd) : -EINVAL;

	return error == -EINVAL ? filter_set(ifindex, hook, program_fd) : error;
}

static bool filter_is_set(uint32_t ifindex, enum dysco_bpf_hook hook)
{
	LIBBPF_OPTS(bpf_tc_hook, tc, .ifindex = (int)ifindex,
		    .attach_point = hook == DYSCO_BPF_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	return bpf_tc_query(&tc, &opts) == 0;
}

bool dysco_bpf_hook_is_set(uint32_t ifindex, enum dysco_bpf_hook hook)
{
	return dysco_tcx_count(ifindex, hook == DYSCO_BPF_EGRESS) > 0 ||
	       filter_is_set(ifindex, hook);
}

static int filter_remove(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, tc, .ifindex = (int)ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	return bpf_tc_detach(&tc, &opts);
}

static int filters_clear(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int in = filter_remove(ifindex, BPF_TC_INGRESS);
	int out = filter_remove(ifindex, BPF_TC_EGRESS);

	if (in && out) {
		return -ENOENT;
	}
	if (dysco_link_count_filters(ifindex, TC_H_MIN_INGRESS) == 0 &&
	    dysco_link_count_filters(ifindex, TC_H_MIN_EGRESS) == 0) {
		return bpf_tc_hook_destroy(&both);
	}
	return 0;
}

int dysco_bpf_hook_clear(uint32_t ifindex)
{
	int in = dysco_tcx_clear(ifindex, false);
	int out = dysco_tcx_clear(ifindex, true);

	return in == 0 || out == 0 ? 0 : filters_clear(ifindex);
}
