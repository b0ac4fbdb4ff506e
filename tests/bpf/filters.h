/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpcap's side of the classifier test: apart, because libpcap and the kernel's
 * BPF header both have a struct bpf_insn.
 */
#ifndef DYSCO_TESTS_BPF_FILTERS_H
#define DYSCO_TESTS_BPF_FILTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter {
	void *insns;
	uint32_t n_insns;
};

/* For DLT_RAW; false: libpcap refuses the expression. */
bool filter_compile(struct filter *filter, const char *expression);
void filter_free(struct filter *filter);
bool filter_valid(const struct filter *filter);
/* As pcap_offline_filter() says. */
bool filter_matches(const struct filter *filter, const uint8_t *packet, uint32_t bytes);

#endif
