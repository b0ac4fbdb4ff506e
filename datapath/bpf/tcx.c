/* SPDX-License-Identifier: BSD-2-Clause */
/* The tcx hooks (tcx.h), by system calls: libbpf 1.1 and the headers of Linux 6.1 know none. */
#include "datapath/bpf/tcx.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TCX_INGRESS  46 /* enum bpf_attach_type */
#define TCX_EGRESS   47
#define PROGRAMS_MAX 64

/* The parts of union bpf_attr for BPF_PROG_ATTACH, BPF_PROG_DETACH and BPF_PROG_QUERY. */
struct attach_attr {
	uint32_t ifindex, program_fd, type, flags, replace_fd, relative_fd;
	uint64_t revision;
};

struct query_attr {
	uint32_t ifindex, type, query_flags, attach_flags;
	uint64_t program_ids;
	uint32_t count, zero;
	uint64_t program_flags, link_ids, link_flags, revision;
};

static int call(enum bpf_cmd command, void *attr, unsigned int bytes)
{
	return syscall(__NR_bpf, command, attr, bytes) < 0 ? -errno : 0;
}

static uint32_t type_of(bool egress)
{
	return egress ? TCX_EGRESS : TCX_INGRESS;
}

static bool is_ours(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 &&
	       (strcmp(info.name, "host_in") == 0 || strcmp(info.name, "host_out") == 0 ||
		strcmp(info.name, "tap_in") == 0);
}

/*
 * Our programs on the hook: how many, and a descriptor of the first in *first
 * (left alone when there is none). -EINVAL: no tcx.
 */
static int ours_on(uint32_t ifindex, bool egress, int *first)
{
	uint32_t ids[PROGRAMS_MAX] = {0};
	struct query_attr query = {.ifindex = ifindex,
				   .type = type_of(egress),
				   .program_ids = (uint64_t)(uintptr_t)ids,
				   .count = PROGRAMS_MAX};
	int error = call(BPF_PROG_QUERY, &query, sizeof(query));
	int count = 0;

	for (uint32_t i = 0; error == 0 && i < query.count; i++) {
		int fd = bpf_prog_get_fd_by_id(ids[i]);

		if (fd >= 0 && is_ours(fd) && count++ == 0 && first) {
			*first = fd;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	return error ? error : count;
}

int dysco_tcx_set(uint32_t ifindex, bool egress, int program_fd)
{
	struct attach_attr attr = {
	    .ifindex = ifindex, .program_fd = (uint32_t)program_fd, .type = type_of(egress)};
	int old = -1;
	int error = ours_on(ifindex, egress, &old);

	if (error < 0) {
		return error;
	}
	if (old >= 0) {
		attr.flags = BPF_F_REPLACE;
		attr.replace_fd = (uint32_t)old;
	}
	error = call(BPF_PROG_ATTACH, &attr, sizeof(attr));
	if (old >= 0) {
		close(old);
	}
	return error;
}

int dysco_tcx_clear(uint32_t ifindex, bool egress)
{
	struct attach_attr attr = {.ifindex = ifindex, .type = type_of(egress)};
	int fd = -1;
	int error = ours_on(ifindex, egress, &fd);

	if (fd < 0) {
		return error < 0 ? error : -ENOENT;
	}
	attr.program_fd = (uint32_t)fd;
	error = call(BPF_PROG_DETACH, &attr, sizeof(attr));
	close(fd);
	return error;
}

int dysco_tcx_count(uint32_t ifindex, bool egress)
{
	int count = ours_on(ifindex, egress, NULL);

	return count > 0 ? count : 0;
}
