/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the tc programs without traffic: BPF_PROG_RUN puts a packet in
 * and shows what came out. The test lives in a network namespace of its own
 * with one veth pair, `t0` (10.0.0.1, fd00::1) and `t1`; the neighbours 10.0.0.2 and
 * fd00::2 on t0 have the MAC address KIT_PEER_MAC.
 */
#ifndef DYSCO_TESTS_BPF_KIT_H
#define DYSCO_TESTS_BPF_KIT_H

#include <bpf/libbpf.h>

#include "datapath/bpf/provider.h"
#include "datapath/step.h"
#include "rewrite/edit.h"

#define KIT_CAPACITY 64
#define KIT_HOST     7
#define KIT_PEER_MAC "\x02\x00\x00\x00\x00\x02"
#define KIT_UNSPEC   0xffffffffu /* TC_ACT_UNSPEC as BPF_PROG_RUN returns it */

struct kit {
	struct dysco_datapath dp;
	struct dysco_bpf_attachment self; /* for kit_load() */
	enum dysco_bpf_variant variant;
	struct bpf_object *object;
	uint32_t ifindex;
	char path[64];
};

/* A frame in and out: Ethernet header (unless self.l2_bytes is 0), then the packet. */
struct kit_frame {
	uint8_t b[2048];
	uint32_t bytes;
	uint32_t cb[5];
};

/* For cmocka: group setup (skips the program, exit code 77, without root) and teardown. */
int kit_setup(void **state);
int kit_setup_plain(void **state); /* the programs' other variant */
int kit_teardown(void **state);

/* Fresh maps' contents, counters, attachment; then loads the programs with k->self. */
void kit_reset(struct kit *k);
void kit_load(struct kit *k);

struct dysco_tuple kit_tuple(const char *src, uint16_t sport, const char *dst, uint16_t dport);
/* A leg in that slot, both keys bound; wire may be NULL (mode PUNT, PASS). */
struct dysco_leg *kit_leg(struct kit *k, uint32_t slot, enum dysco_leg_mode mode,
			  const struct dysco_tuple *host, const struct dysco_tuple *wire);
void kit_bind(struct kit *k, const struct dysco_tuple *tuple, enum dysco_direction direction,
	      uint32_t slot);

/* An Ethernet frame with a TCP segment. */
void kit_segment(struct kit_frame *f, const struct dysco_tuple *tuple, uint8_t flags,
		 const void *payload, size_t bytes);
/* Runs a program of k->object (or any, by fd) on *f, which becomes what came out. */
uint32_t kit_run(struct kit *k, const char *program, struct kit_frame *f);
uint32_t kit_run_fd(int program_fd, struct kit_frame *f, uint32_t repeat, uint32_t *ns);

void kit_heartbeat(struct kit *k);
uint64_t kit_counter(struct kit *k, enum dysco_counter counter);
uint64_t kit_drops(struct kit *k, enum dysco_reason reason);

#endif
