/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent asks of the machine it runs on: interfaces, namespaces, the
 * kernel's reserved ports, the ports of local sockets. Tests supply their own.
 *
 * Results: 0 or a negative errno value; -ENOENT: no such namespace, -ENODEV: no
 * such interface.
 */
#ifndef DYSCO_AGENT_SYSTEM_H
#define DYSCO_AGENT_SYSTEM_H

#include "core/core.h"

struct dysco_interface {
	unsigned int index;
	bool up;
};

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
};

#endif
