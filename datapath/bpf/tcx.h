/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on the tcx hooks of an interface (Linux 6.6): the same place as the
 * clsact hooks, without the classifier around it. Like tc filters they belong to
 * the interface and outlive the agent. Calls act in the current namespace.
 */
#ifndef DYSCO_DATAPATH_BPF_TCX_H
#define DYSCO_DATAPATH_BPF_TCX_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the place of our program on that hook, if one is there. -EINVAL: the kernel has no tcx. */
int dysco_tcx_set(uint32_t ifindex, bool egress, int program_fd);
/* -ENOENT: none of ours is there. */
int dysco_tcx_clear(uint32_t ifindex, bool egress);
/* How many of our programs are on it: 0 or 1. */
int dysco_tcx_count(uint32_t ifindex, bool egress);

#endif
