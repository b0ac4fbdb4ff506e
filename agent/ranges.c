/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of ports in the kernel's notation (ranges.h).
 */
#include "agent/ranges.h"

#include <stdio.h>
#include <stdlib.h>

bool dysco_ports_has(const struct dysco_port_set *set, uint16_t port)
{
	return (set->bits[port / 64] >> (port % 64)) & 1;
}

void dysco_ports_set(struct dysco_port_set *set, uint16_t port, bool in)
{
	uint64_t bit = 1ull << (port % 64);

	if (in) {
		set->bits[port / 64] |= bit;
	} else {
		set->bits[port / 64] &= ~bit;
	}
}

/* A port at *text, which moves behind it; -1: there is none. */
static long parse_port(const char **text)
{
	char *end;
	long port;

	if (**text < '0' || **text > '9') {
		return -1;
	}
	port = strtol(*text, &end, 10);
	*text = end;
	return port <= 65535 ? port : -1;
}

bool dysco_ports_parse(struct dysco_port_set *set, const char *text)
{
	while (*text && *text != '\n') {
		long first = parse_port(&text), last = first;

		if (*text == '-') {
			text++;
			last = parse_port(&text);
		}
		if (first < 0 || last < first || (*text && *text != ',' && *text != '\n')) {
			return false;
		}
		for (long port = first; port <= last; port++) {
			dysco_ports_set(set, (uint16_t)port, true);
		}
		if (*text == ',') {
			text++;
		}
	}
	return true;
}

size_t dysco_ports_format(const struct dysco_port_set *set, char *out, size_t out_bytes)
{
	size_t n = 0;

	if (out_bytes > 0) {
		out[0] = '\0';
	}
	for (long port = 0; port <= 65535; port++) {
		long first = port;
		bool room = n < out_bytes;

		if (!dysco_ports_has(set, (uint16_t)port)) {
			continue;
		}
		while (port < 65535 && dysco_ports_has(set, (uint16_t)(port + 1))) {
			port++;
		}
		n += (size_t)snprintf(room ? out + n : NULL, room ? out_bytes - n : 0,
				      port > first ? "%s%ld-%ld" : "%s%ld", n ? "," : "", first,
				      port);
	}
	return n;
}
