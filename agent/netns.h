/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The real machine behind struct dysco_system: network namespaces and what is
 * in them. For every namespace an ioctl, a sock_diag and a conntrack socket are kept open,
 * so that the frequent questions need no change of namespace.
 */
#ifndef DYSCO_AGENT_NETNS_H
#define DYSCO_AGENT_NETNS_H

#include <sys/types.h>

#include "agent/ranges.h"
#include "agent/system.h"

#define DYSCO_NETNS_MAX 512

struct dysco_netns {
	char name[64]; /* as in struct dysco_attachment */
	dev_t dev;     /* a name can come to mean another namespace */
	ino_t ino;
	int ioctl_fd, diag_fd;
	int track_fd;	/* negative: the kernel has no connection tracking */
	char *reserved; /* ports we added to the kernel's reserved ones; NULL: none */
};

struct dysco_machine {
	struct dysco_system system;
	uint32_t count;
	struct dysco_netns netns[DYSCO_NETNS_MAX];
	bool changed; /* a `reserved` did; the storing side clears it */
};

struct dysco_machine *dysco_machine_new(void);
void dysco_machine_free(struct dysco_machine *machine);

/* What an earlier run noted in its state file. */
void dysco_machine_note_reserved(struct dysco_machine *machine, const char *netns,
				 const char *ports);

/* ---- diag.c ---- */
int dysco_diag_ports(int fd, uint16_t first, struct dysco_port_bitmap *held);
int dysco_diag_connections(int fd, dysco_connection_fn *take, void *to);
int dysco_diag_socket(int fd, const struct dysco_tuple *tuple, struct dysco_socket *socket);

/* ---- track.c ---- */
int dysco_track_connections(int fd, dysco_connection_fn *take, void *to);

#endif
