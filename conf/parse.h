/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as people write them: addresses, prefixes, endpoints, numbers, names.
 * Literals only: nothing here resolves a name.
 *
 * Parsers return true, or false with the result untouched.
 */
#ifndef DYSCO_CONF_PARSE_H
#define DYSCO_CONF_PARSE_H

#include "core/policy.h"

/* "[" address "]:" port, with room to spare */
#define DYSCO_ENDPOINT_TEXT 64

bool dysco_parse_addr(const char *text, struct dysco_addr *addr);
/* ADDR or ADDR/BITS; *host_bits: bits are set behind the prefix, which is masked off. */
bool dysco_parse_prefix(const char *text, struct dysco_prefix *prefix, bool *host_bits);
/* ADDR:PORT, [ADDR6]:PORT */
bool dysco_parse_endpoint(const char *text, struct dysco_addr *addr, dysco_be16 *port_be);
/* Both endpoints, of one family. */
bool dysco_parse_tuple(const char *src, const char *dst, struct dysco_tuple *tuple);
bool dysco_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);
/* 64 hex digits */
bool dysco_parse_key(const char *text, size_t bytes, uint8_t key[32]);
/* Letters, digits, '.', '_', '-'; begins with a letter or digit; not an address; fits
 * DYSCO_NAME_BYTES. */
bool dysco_parse_name_ok(const char *text);

/* May an agent be reached at this address: not unspecified, multicast or IPv4 broadcast. */
bool dysco_addr_is_unicast(const struct dysco_addr *addr);

void dysco_format_addr(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_addr *addr);
void dysco_format_prefix(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_prefix *prefix);
void dysco_format_endpoint(char out[DYSCO_ENDPOINT_TEXT], const struct dysco_addr *addr,
			   dysco_be16 port_be);

#endif
