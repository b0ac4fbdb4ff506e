/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the bpf datapath provider: its state, and what its files offer to
 * each other. Functions return negative errno values and fill dp->error, by
 * dysco_bpf_fail().
 */
#ifndef DYSCO_DATAPATH_BPF_PROVIDER_H
#define DYSCO_DATAPATH_BPF_PROVIDER_H

#include <limits.h>

#include "datapath/bpf/shared.h"
#include "datapath/datapath.h"

struct bpf_object;

/* In the order they are made; the pin has the same name. AGENT is last: it says that all are there.
 */
enum dysco_bpf_map {
	DYSCO_BPF_LEGS = 0,
	DYSCO_BPF_COLD,
	DYSCO_BPF_LASTING,
	DYSCO_BPF_ATTEMPTS_MAP,
	DYSCO_BPF_KEYS,
	DYSCO_BPF_FLOWS_MAP,
	DYSCO_BPF_ATTACHMENTS_MAP,
	DYSCO_BPF_STATS,
	DYSCO_BPF_CLASSIFIER,
	DYSCO_BPF_AFTER,
	DYSCO_BPF_AGENT,
	DYSCO_BPF_MAPS
};

/* The TAP device of one network namespace; it stays when the agent goes. */
struct dysco_bpf_tap {
	uint64_t netns_ino; /* 0: entry not used */
	uint32_t ifindex;
	int fd;	    /* of the device, non-blocking */
	int socket; /* in that namespace, for questions about interfaces */
	char name[16];
};

#define DYSCO_BPF_FRAME_BYTES (65536 + 64) /* a packet, and what stands in front of it */

struct dysco_bpf {
	char path[PATH_MAX];
	int fds[DYSCO_BPF_MAPS]; /* -1: not open */
	int lock_fd;		 /* the directory, locked; -1: not open */
	struct dysco_bpf_agent *agent;
	struct dysco_bpf_attachment attachments[DYSCO_BPF_ATTACHMENTS]; /* as in the map */
	struct dysco_bpf_tap taps[DYSCO_BPF_ATTACHMENTS];
	uint32_t n_taps;
	uint32_t next_tap; /* receive() goes round */
	uint64_t pruned_ns;
	uint64_t injected; /* since open */
	uint64_t not_injected;
	uint8_t frame[DYSCO_BPF_FRAME_BYTES];
};

static inline struct dysco_bpf *dysco_bpf_of(const struct dysco_datapath *dp)
{
	return dp->provider;
}

int dysco_bpf_fail(struct dysco_datapath *dp, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* maps.c */
int dysco_bpf_maps_open(struct dysco_datapath *dp, uint32_t capacity);
void dysco_bpf_maps_close(struct dysco_datapath *dp);
/* What is attached, from the pinned map, though the other maps be of another layout. */
void dysco_bpf_maps_read_attachments(struct dysco_bpf *bpf);
/* Removes the pins, whatever they hold. */
void dysco_bpf_maps_unpin(const struct dysco_bpf *bpf);
const char *dysco_bpf_map_name(enum dysco_bpf_map map);

/* object.c: a copy of the programs that uses the pinned maps. NULL: dp->error says why. */
enum dysco_bpf_variant { DYSCO_BPF_ANY = 0, DYSCO_BPF_PLAIN };
struct bpf_object *dysco_bpf_object_load(struct dysco_datapath *dp,
					 const struct dysco_bpf_attachment *self, bool for_tap,
					 enum dysco_bpf_variant variant);
int dysco_bpf_object_program(const struct bpf_object *object, const char *name);
/* Puts its programs where others tail-call them, in map `after`; and takes them out. */
int dysco_bpf_object_offer(const struct dysco_bpf *bpf, const struct bpf_object *object,
			   uint32_t id);
void dysco_bpf_object_withdraw(const struct dysco_bpf *bpf, uint32_t id);

/* hook.c: our programs on an interface of the current namespace. */
extern bool dysco_bpf_tcx; /* false: filters are used even where the kernel has tcx (for tests) */
enum dysco_bpf_hook { DYSCO_BPF_INGRESS = 0, DYSCO_BPF_EGRESS };
int dysco_bpf_hook_set(uint32_t ifindex, enum dysco_bpf_hook hook, int program_fd);
bool dysco_bpf_hook_is_set(uint32_t ifindex, enum dysco_bpf_hook hook);
/* Both hooks; of filters the clsact qdisc too when nothing else is on it. -ENOENT: there was none
 * of ours. */
int dysco_bpf_hook_clear(uint32_t ifindex);

/* tap.c: of the current namespace. */
struct dysco_bpf_tap *dysco_bpf_tap_get(struct dysco_datapath *dp, uint64_t netns_ino);
struct dysco_bpf_tap *dysco_bpf_tap_by_netns(struct dysco_bpf *bpf, uint64_t netns_ino);
void dysco_bpf_tap_release(struct dysco_bpf_tap *tap, bool remove);

/* attach.c */
int dysco_bpf_attach(struct dysco_datapath *dp, const struct dysco_attachment *a);
int dysco_bpf_detach(struct dysco_datapath *dp, const struct dysco_attachment *a);
int dysco_bpf_attached(struct dysco_datapath *dp, const struct dysco_attachment *a);
void dysco_bpf_detach_all(struct dysco_datapath *dp);
void dysco_bpf_attach_prune(struct dysco_bpf *bpf);

/* slow.c */
int dysco_bpf_poll_fds(struct dysco_datapath *dp, int *fds, uint32_t *n);
int dysco_bpf_receive(struct dysco_datapath *dp, struct dysco_punt *punt);
int dysco_bpf_inject(struct dysco_datapath *dp, const struct dysco_action *action,
		     const uint8_t *packet, uint32_t bytes, const struct dysco_punt *punt);

/* rules.c */
int dysco_bpf_set_classifier(struct dysco_datapath *dp, const struct dysco_classifier_rule *rules,
			     uint32_t n);

#endif
