/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of ports in the kernel's notation: "61000-65535,70". For
 * net.ipv4.ip_local_reserved_ports, which others write to as well.
 */
#ifndef DYSCO_AGENT_RANGES_H
#define DYSCO_AGENT_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dysco_port_set {
	uint64_t bits[1024];
};

bool dysco_ports_has(const struct dysco_port_set *set, uint16_t port);
void dysco_ports_set(struct dysco_port_set *set, uint16_t port, bool in);
/* Adds what the text lists; false when it is not in that notation. */
bool dysco_ports_parse(struct dysco_port_set *set, const char *text);
/* Bytes needed without NUL, as snprintf. */
size_t dysco_ports_format(const struct dysco_port_set *set, char *out, size_t out_bytes);

#endif
