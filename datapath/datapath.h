/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datapath contract: what moves packets, holds the leg table and hands to
 * the agent what it cannot handle. Providers: bpf (datapath/bpf), sim
 * (datapath/sim), later dpdk. All calls come from one thread.
 *
 * Errors are negative errno values; dysco_datapath.error then holds a sentence
 * that says what was wrong, where, and what to do.
 */
#ifndef DYSCO_DATAPATH_DATAPATH_H
#define DYSCO_DATAPATH_DATAPATH_H

#include "core/core.h"

enum dysco_attach_mode {
	DYSCO_ATTACH_NIC = 0, /* the host's stack is above the interface */
	DYSCO_ATTACH_PORT,    /* the host lies beyond the interface */
};

struct dysco_attachment {
	uint16_t
	    id; /* 1 .. DYSCO_ATTACHMENTS_MAX - 1, given by the agent, stable over its restarts */
	uint16_t host; /* id */
	enum dysco_attach_mode mode;
	char ifname[16];
	char netns[64];	 /* name (/run/netns/NAME), absolute path, or empty: the agent's own */
	char mirror[16]; /* nic: interface that shows the session view, made by attach; empty: none
			  */
};

/* One filter of the classifier, in the order of setup->policies. */
struct dysco_classifier_rule {
	const void *insns; /* struct bpf_insn of libpcap (classic BPF), compiled for DLT_RAW */
	uint32_t n_insns;
	enum dysco_fail fail;
	uint8_t n_at;
	uint16_t at[DYSCO_POLICY_HOSTS];
};

/* A punted packet; valid until the next receive. */
struct dysco_punt {
	struct dysco_input input; /* all but .policy */
	bool control;
	uint16_t segment_bytes; /* payload of the segments that it stands for (GSO), 0: of itself */
};

struct dysco_datapath;

struct dysco_datapath_ops {
	const char *name;
	/* Opens the pinned state under `path`, or makes it; the table in dp->table is ready then.
	 */
	int (*open)(struct dysco_datapath *dp, const char *path, uint32_t capacity);
	/* Releases what belongs to this process; attachments and table stay in force. */
	void (*close)(struct dysco_datapath *dp);
	/* Replaces an attachment of the same interface in place, without a gap. */
	int (*attach)(struct dysco_datapath *dp, const struct dysco_attachment *a);
	/* Removes the programs from the interface (-ENOENT when none are there). */
	int (*detach)(struct dysco_datapath *dp, const struct dysco_attachment *a);
	/*
	 * Are the programs of an attachment still on the interface? 1; 0 when somebody has taken
	 * one off; -ENOENT when nothing was attached in the namespace that has this name now.
	 */
	int (*attached)(struct dysco_datapath *dp, const struct dysco_attachment *a);
	/* Removes everything this datapath ever made under its path (maps, pins, devices). */
	int (*wipe)(struct dysco_datapath *dp);
	/* All rules at once; atomically. */
	int (*set_classifier)(struct dysco_datapath *dp, const struct dysco_classifier_rule *rules,
			      uint32_t n);
	/* "An agent is running": within a second of the last call, until close. */
	void (*heartbeat)(struct dysco_datapath *dp, uint64_t now_ns);
	/* File descriptors to poll; n in: room, out: how many. */
	int (*poll_fds)(struct dysco_datapath *dp, int *fds, uint32_t *n);
	/* Next punted packet: 1, 0 when none is waiting, negative on error. */
	int (*receive)(struct dysco_datapath *dp, struct dysco_punt *punt);
	/* Carries out SEND, DELIVER of the core, or PASS (with the punt it answers). */
	int (*inject)(struct dysco_datapath *dp, const struct dysco_action *action,
		      const uint8_t *packet, uint32_t bytes, const struct dysco_punt *punt);
	/* Adds the datapath's own counters to *stats. */
	void (*counters)(struct dysco_datapath *dp, struct dysco_core_stats *stats);
};

struct dysco_datapath {
	const struct dysco_datapath_ops *ops;
	struct dysco_table table;
	void *provider; /* the provider's own */
	char error[256];
};

extern const struct dysco_datapath_ops dysco_datapath_bpf;

#endif
