// SPDX-License-Identifier: BSD-2-Clause
/* libpcap's side of the classifier test. */
#include <pcap/pcap.h>
#include <stdlib.h>

#include "tests/bpf/filters.h"

#define SNAP_BYTES 65535

bool filter_compile(struct filter *filter, const char *expression)
{
	pcap_t *pcap = pcap_open_dead(DLT_RAW, SNAP_BYTES);
	struct bpf_program program;
	int error = pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN);

	pcap_close(pcap);
	if (error) {
		return false;
	}
	/* pcap_freecode() would free just these. */
	filter->insns = program.bf_insns;
	filter->n_insns = program.bf_len;
	return true;
}

void filter_free(struct filter *filter)
{
	free(filter->insns);
	filter->insns = NULL;
}

bool filter_valid(const struct filter *filter)
{
	return bpf_validate(filter->insns, (int)filter->n_insns) != 0;
}

bool filter_matches(const struct filter *filter, const uint8_t *packet, uint32_t bytes)
{
	return bpf_filter(filter->insns, packet, bytes, bytes) != 0;
}
