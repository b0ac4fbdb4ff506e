/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the tc programs and the agent share: values of the pinned maps, marks,
 * and the two headers of the slow path. See README.md for the picture.
 *
 * Freestanding.
 */
#ifndef DYSCO_DATAPATH_BPF_SHARED_H
#define DYSCO_DATAPATH_BPF_SHARED_H

#include "core/attempt.h"
#include "datapath/leg.h"
#include "datapath/reasons.h"

/* Of everything pinned; part of every check before maps of an earlier agent are used. */
#define DYSCO_BPF_LAYOUT      (DYSCO_LEG_LAYOUT * 1000 + DYSCO_ATTEMPT_LAYOUT * 100 + 4)

#define DYSCO_BPF_GRACE_NS    1000000000ull /* heartbeats older than this: no agent */
#define DYSCO_BPF_ATTACHMENTS 1024
#define DYSCO_BPF_ATTEMPTS    256 /* reconfigurations under way; record 0 is never used */

/*
 * skb->tc_index of a packet that the agent, or a program before a redirect, has
 * dealt with: the hook of this very attachment lets it by and clears it.
 * (skb->mark is the administrator's, and routing rules look at it.) Attachment
 * 0: any `nic` attachment on the way out.
 */
#define DYSCO_BPF_HANDLED(attachment) (0xd400u | (attachment))

/* The one entry of map `agent`, memory-mapped by the agent. */
struct dysco_bpf_agent {
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC, 0: none */
	uint32_t layout;       /* DYSCO_BPF_LAYOUT */
	uint32_t capacity;
	uint32_t n_rules; /* of the classifier in force */
	uint32_t zero;
};

/*
 * One attachment: an entry of map `attachments`, and the constants of its
 * programs. ifindex 0: not in use.
 */
struct dysco_bpf_attachment {
	uint32_t ifindex;
	uint32_t tap_ifindex;	 /* of its namespace */
	uint32_t mirror_ifindex; /* where the session view is sent, 0: nowhere */
	uint32_t bridge_ifindex; /* port: bridge that the interface belongs to, 0: none */
	uint16_t id;
	uint16_t host;
	uint8_t mode;	  /* enum dysco_attach_mode */
	uint8_t l2_bytes; /* 14, or 0 on links without Ethernet header */
	uint8_t mac[6];
	uint8_t bridge_mac[6];
	uint8_t zero[6];
	uint64_t netns_ino;
	char ifname[16];
	char tap[16];
	char mirror[16];
	char netns[64];
};

/*
 * In the compiled programs an instruction that loads this number into a register
 * stands for one that loads the field of `self`: where it lies and its bytes.
 */
#define DYSCO_BPF_CONSTANT_MAGIC 0x5d5c0000u
#define DYSCO_BPF_CONSTANT_MASK	 0xffff0000u
#define DYSCO_BPF_CONSTANT(field)                                                                  \
	(DYSCO_BPF_CONSTANT_MAGIC | offsetof(struct dysco_bpf_attachment, field) << 4 |            \
	 sizeof(((struct dysco_bpf_attachment *)0)->field))

/* The one entry of map `stats`, per CPU: as struct dysco_core_stats. */
struct dysco_bpf_stats {
	uint64_t drops[DYSCO_REASON_COUNT];
	uint64_t counters[DYSCO_COUNTER_COUNT];
};

/*
 * The next hop of a leg's outgoing packets, found a moment ago: in the leg's
 * run[DYSCO_OUT].provider, which is in the cache anyway. Good in the window of
 * time it was found in; the programs alone read and write it.
 */
#define DYSCO_BPF_HOP_WINDOW_SHIFT 28 /* of nanoseconds: about a quarter of a second */
struct dysco_bpf_hop {
	uint32_t window;
	uint32_t ifindex;
	uint8_t dst_mac[6], src_mac[6];
	uint8_t kind;
	/* These two in either direction: */
	uint8_t plain; /* all addresses are IPv4, and dysco_step_settled() held */
	uint16_t tick; /* kernel tick in which last_ns was read, low bits */
};
_Static_assert(sizeof(struct dysco_bpf_hop) == sizeof(((struct dysco_leg_run *)0)->provider), "");
_Static_assert(offsetof(struct dysco_leg_run, provider) % 4 == 0, "");

#define DYSCO_BPF_FLOWS_SHIFT 14
#define DYSCO_BPF_FLOWS	      (1u << DYSCO_BPF_FLOWS_SHIFT)

/* Why a packet is punted, beside its own contents. */
enum dysco_bpf_punt_kind { DYSCO_BPF_PUNT_PACKET = 0, DYSCO_BPF_PUNT_CONTROL };

/*
 * In front of a punted packet (its link header, if any, follows): shaped like
 * an Ethernet header, so that the TAP device accepts it.
 */
#define DYSCO_BPF_PUNT_TYPE 0x88b5 /* IEEE 802: local experiments */
struct dysco_bpf_punt_header {
	dysco_be32 magic_be; /* DYSCO_MAGIC */
	uint16_t attachment;
	uint8_t direction; /* enum dysco_direction */
	uint8_t kind;	   /* enum dysco_bpf_punt_kind */
	uint8_t l2_bytes;
	uint8_t zero[3];
	dysco_be16 type_be;
	uint16_t zero2;
};
_Static_assert(sizeof(struct dysco_bpf_punt_header) == 16, "type_be where Ethernet has it");

enum dysco_bpf_verb {
	DYSCO_BPF_SEND = 1, /* out of the host, next hop looked up */
	DYSCO_BPF_DELIVER,  /* to the host, by its link header */
	DYSCO_BPF_RETURN,   /* port: out of the host again, by its link header */
};

/* Behind an injected packet, which has an Ethernet header in front. */
struct dysco_bpf_inject_trailer {
	dysco_be32 magic_be; /* DYSCO_MAGIC */
	uint16_t attachment;
	uint8_t verb; /* enum dysco_bpf_verb */
	uint8_t zero;
};
_Static_assert(sizeof(struct dysco_bpf_inject_trailer) == 8, "");

/*
 * An injected GSO packet cannot be cut: what else is in the trailer is its
 * destination address; its source is the address of the host beyond a port.
 */
struct dysco_bpf_inject_head {
	uint8_t magic[2]; /* DYSCO_BPF_INJECT_MAGIC* */
	uint16_t attachment;
	uint8_t verb; /* DYSCO_BPF_SEND, DYSCO_BPF_DELIVER */
	uint8_t zero;
};
#define DYSCO_BPF_INJECT_MAGIC0 0xd6 /* no group address */
#define DYSCO_BPF_INJECT_MAGIC1 0x5c
_Static_assert(sizeof(struct dysco_bpf_inject_head) == 6, "an Ethernet address");

/* Indices in map `after`: the attachment's programs, to be gone on with. */
#define DYSCO_BPF_AFTER_CLASSIFIED(id) ((uint32_t)(id))
#define DYSCO_BPF_AFTER_OUT(id)	       (DYSCO_BPF_ATTACHMENTS + (uint32_t)(id))
#define DYSCO_BPF_AFTER_IN(id)	       (2 * DYSCO_BPF_ATTACHMENTS + (uint32_t)(id))
#define DYSCO_BPF_AFTER_ENTRIES	       (3 * DYSCO_BPF_ATTACHMENTS)

/* skb->cb between a program, the classifier and the program's second half. */
enum dysco_bpf_cb {
	DYSCO_BPF_CB_HOST = 0,	/* in: host id */
	DYSCO_BPF_CB_AFTER = 1, /* in: index of the second half in map `after` */
	DYSCO_BPF_CB_RULE = 2, /* out: index of the first rule that matches, or DYSCO_BPF_NO_RULE */
	DYSCO_BPF_CB_FAIL = 3, /* out: its enum dysco_fail */
	DYSCO_BPF_CB_L2 = 4,   /* in: bytes of the link header */
};
#define DYSCO_BPF_NO_RULE 0xffffffffu

#endif
