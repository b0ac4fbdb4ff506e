// SPDX-License-Identifier: BSD-2-Clause
/*
 * Putting the classifier of all policies in force.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/bpf/classifier.h"
#include "datapath/bpf/provider.h"

static int load(struct dysco_datapath *dp, const struct dysco_bpf_code *code)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "dysco_policies", "Dual BSD/GPL",
			       code->insns, code->count, NULL);

	return fd < 0 ? dysco_bpf_fail(dp, fd, "the kernel does not load the policies' filters: %s",
				       strerror(-fd))
		      : fd;
}

/* The array in the pinned map keeps the program alive without us. */
static int put_in_force(struct dysco_datapath *dp, int program_fd, uint32_t n)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);

	if (bpf_map_update_elem(bpf->fds[DYSCO_BPF_CLASSIFIER], &(uint32_t){0}, &program_fd, 0)) {
		return dysco_bpf_fail(dp, -errno, "cannot put the policies' filters in force: %s",
				      strerror(errno));
	}
	__atomic_store_n(&bpf->agent->n_rules, n, __ATOMIC_RELEASE);
	return 0;
}

int dysco_bpf_set_classifier(struct dysco_datapath *dp, const struct dysco_classifier_rule *rules,
			     uint32_t n)
{
	struct dysco_bpf_code code;
	uint32_t bad_rule = 0;
	int fd, error;

	error = dysco_bpf_classifier_make(&code, rules, n, dysco_bpf_of(dp)->fds[DYSCO_BPF_AFTER],
					  &bad_rule);
	if (error) {
		free(code.insns);
		return dysco_bpf_fail(dp, error, "the filter of policy %u cannot be translated: %s",
				      bad_rule, strerror(-error));
	}
	fd = load(dp, &code);
	free(code.insns);
	if (fd < 0) {
		return fd;
	}
	error = put_in_force(dp, fd, n);
	close(fd);
	return error;
}
