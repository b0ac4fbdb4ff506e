/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent asks of the machine it runs on: interfaces, namespaces, the
 * kernel's reserved ports, the ports of local sockets. Tests supply their own.
 *
 * Results: 0 or a negative errno value; -ENOENT: no such namespace, -ENODEV: no
 * such interface, -ENOTCONN: no such connection.
 */
#ifndef DYSCO_AGENT_SYSTEM_H
#define DYSCO_AGENT_SYSTEM_H

#include "core/core.h"

struct dysco_interface {
	unsigned int index;
	bool up;
};

/* A connection of a host's stack. */
struct dysco_socket {
	struct dysco_syn_options options[2]; /* of the SYNs, by enum dysco_direction */
	uint32_t unacked;		     /* bytes sent and not acknowledged, FIN included */
	bool accepted;			     /* its port is listened on: the peer opened it */
};

typedef void dysco_connection_fn(void *to, const struct dysco_tuple *tuple);

struct dysco_system {
	void *context;
	int (*interface)(void *context, const char *netns, const char *ifname,
			 struct dysco_interface *interface);
	/* Sets the bits of ports from first on that sockets in the namespace hold. */
	int (*ports_held)(void *context, const char *netns, uint16_t first,
			  struct dysco_port_bitmap *held);
	/* Adds the ports to the kernel's reserved ones, if they are not; takes them out again. */
	int (*ports_reserve)(void *context, const char *netns, uint16_t first, uint16_t last);
	int (*ports_release)(void *context, const char *netns);
	/* The established connection with this five-tuple, local end first. */
	int (*socket)(void *context, const char *netns, const struct dysco_tuple *tuple,
		      struct dysco_socket *socket);
	/* Every established connection that was opened here, not accepted; local end first. */
	int (*connections)(void *context, const char *netns, dysco_connection_fn *take, void *to);
	/* Every established connection that passes the namespace, as far as it is tracked there
	   and not translated; the end that opened it first. */
	int (*passing)(void *context, const char *netns, dysco_connection_fn *take, void *to);
};

#endif
