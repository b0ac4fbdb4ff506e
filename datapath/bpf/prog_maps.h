/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The maps of the tc programs, and the smallest functions on them. Sizes that
 * depend on the table's capacity are set by the loader (maps.c), which makes
 * and pins the maps.
 */
#ifndef DYSCO_DATAPATH_BPF_PROG_MAPS_H
#define DYSCO_DATAPATH_BPF_PROG_MAPS_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "datapath/bpf/shared.h"
#include "datapath/datapath.h"
#include "datapath/step.h"
#include "rewrite/edit.h"

#define AF_INET	 2 /* <sys/socket.h> is not for BPF programs */
#define AF_INET6 10

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct dysco_leg);
} legs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct dysco_leg_key);
	__type(value, uint32_t);
} keys SEC(".maps");

/* Slots by a hash of the five-tuple (prog_quick.h): a hint, no truth. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DYSCO_BPF_FLOWS);
	__type(key, uint32_t);
	__type(value, uint32_t);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DYSCO_BPF_ATTACHMENTS);
	__type(key, uint32_t);
	__type(value, struct dysco_bpf_attachment);
} attachments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct dysco_bpf_agent);
} agent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct dysco_bpf_stats);
} stats SEC(".maps");

/* The program made from the policies' filters, at index 0. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint32_t);
} classifier SEC(".maps");

/* The programs of each attachment, by DYSCO_BPF_AFTER_*(its id). */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, DYSCO_BPF_AFTER_ENTRIES);
	__type(key, uint32_t);
	__type(value, uint32_t);
} after SEC(".maps");

/*
 * Constants of this attachment's copy of the programs, set before they are
 * loaded. SELF(): numbers, which the loader puts into the instructions, since a
 * load from `self` would wait for one more cache line.
 */
const volatile struct dysco_bpf_attachment self;

#define SELF(field)                                                                                \
	({                                                                                         \
		uint64_t number;                                                                   \
		__asm__("%0 = %1" : "=r"(number) : "i"(DYSCO_BPF_CONSTANT(field)));                \
		number;                                                                            \
	})

/* What the checksum field of a packet holds. */
enum sum_state {
	SUM_UNKNOWN,  /* the kernel's helpers know */
	SUM_FINISHED, /* the whole sum */
	SUM_PSEUDO,   /* the pseudo header's; the rest is added when the packet is sent */
};

static __always_inline void count(enum dysco_counter counter, uint64_t n)
{
	uint32_t zero = 0;
	struct dysco_bpf_stats *s = bpf_map_lookup_elem(&stats, &zero);

	if (s) {
		s->counters[counter] += n;
	}
}

static __always_inline int drop(enum dysco_reason reason)
{
	uint32_t zero = 0;
	struct dysco_bpf_stats *s = bpf_map_lookup_elem(&stats, &zero);

	if (s && (uint32_t)reason < DYSCO_REASON_COUNT) {
		s->drops[reason]++;
	}
	return TC_ACT_SHOT;
}

static __always_inline bool agent_runs(void)
{
	uint32_t zero = 0;
	volatile struct dysco_bpf_agent *a = bpf_map_lookup_elem(&agent, &zero);
	uint64_t heard_ns = a ? a->heartbeat_ns : 0;

	return heard_ns &&
	       (int64_t)(bpf_ktime_get_coarse_ns() - heard_ns) < (int64_t)DYSCO_BPF_GRACE_NS;
}

static __always_inline bool any_policy(void)
{
	uint32_t zero = 0;
	volatile struct dysco_bpf_agent *a = bpf_map_lookup_elem(&agent, &zero);

	return a && a->n_rules != 0;
}

static __always_inline uint32_t slot_of(const struct dysco_tuple *tuple,
					enum dysco_direction direction)
{
	struct dysco_leg_key key;
	uint32_t *slot;

	__builtin_memset(&key, 0, sizeof(key));
	key.tuple = *tuple;
	key.host = SELF(host);
	key.direction = (uint8_t)direction;
	slot = bpf_map_lookup_elem(&keys, &key);
	return slot ? *slot : DYSCO_NO_SLOT;
}

static __always_inline struct dysco_leg *leg_of(uint32_t slot)
{
	return slot == DYSCO_NO_SLOT ? (struct dysco_leg *)0 : bpf_map_lookup_elem(&legs, &slot);
}

/* The compiler must not keep a pointer to the field, which the verifier would refuse. */
static __always_inline void set_tc_index(struct __sk_buff *skb, uint32_t value)
{
	__asm__ volatile("" : "+r"(skb));
	skb->tc_index = value;
}

static __always_inline uint8_t *packet_data(const struct __sk_buff *skb)
{
	return (uint8_t *)(long)skb->data + SELF(l2_bytes);
}

static __always_inline uint8_t *packet_end(const struct __sk_buff *skb)
{
	return (uint8_t *)(long)skb->data_end;
}

#endif
