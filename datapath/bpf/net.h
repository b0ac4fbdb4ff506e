/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network namespaces and links, as far as the bpf datapath needs them. All but
 * dysco_net_enter() concern the calling thread's current namespace. Negative
 * errno values on failure.
 */
#ifndef DYSCO_DATAPATH_BPF_NET_H
#define DYSCO_DATAPATH_BPF_NET_H

#include <stdbool.h>
#include <stdint.h>

/* Where the thread was before; to be given to dysco_net_leave(). */
struct dysco_net {
	int before;   /* -1: it stayed where it was */
	uint64_t ino; /* of the namespace it is in now */
};

/* netns: name under /run/netns, absolute path, or empty: stay. */
int dysco_net_enter(struct dysco_net *net, const char *netns);
void dysco_net_leave(struct dysco_net *net);

/* Does that name (not empty) still stand for that namespace? */
bool dysco_net_names(const char *netns, uint64_t ino);

struct dysco_link {
	uint32_t ifindex;
	uint32_t master; /* ifindex, 0: none */
	uint32_t mtu;
	uint16_t type; /* ARPHRD_* */
	bool bridge;   /* it is a bridge */
	uint8_t mac[6];
	char name[16];
};

/* By ifindex, or with ifindex 0 by name. */
int dysco_link_get(struct dysco_link *link, uint32_t ifindex, const char *name);
int dysco_link_up(uint32_t ifindex);
int dysco_link_delete(uint32_t ifindex);
int dysco_link_make_veth(const char *name, const char *peer);

/* Filters on a clsact hook (TC_H_MIN_INGRESS, TC_H_MIN_EGRESS): how many, at least. */
int dysco_link_count_filters(uint32_t ifindex, uint32_t hook);

/* net.ipv4|ipv6.conf.IFNAME.KEY; silent where the kernel lacks that family. */
int dysco_net_sysctl(const char *family, const char *ifname, const char *key, const char *value);

#endif
