/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Edits of packet headers and their arithmetic; every datapath and the core
 * use these and no others (paper IV-B: all checksums incremental).
 *
 * Freestanding. An edit changes header bytes in place, IPv4 header checksum
 * included, and returns what the TCP checksum must absorb as two one's
 * complement sums, because a datapath with checksum offload has to treat them
 * differently: the pseudo-header part also holds for a packet whose checksum
 * is still to be finished (CHECKSUM_PARTIAL), the plain part does not.
 */
#ifndef DYSCO_REWRITE_EDIT_H
#define DYSCO_REWRITE_EDIT_H

#include "rewrite/packet.h"

struct dysco_csum_diff {
	uint32_t pseudo; /* addresses: as bpf_csum_diff(old, new) would return it */
	uint32_t plain;	 /* everything else under the TCP checksum */
};

/*
 * Replaces addresses and ports by those of `to` (same address family: the
 * caller checks). p must describe this packet and is updated.
 * Precondition, for the BPF verifier too: data + p->l4 + 20 <= end.
 */
DYSCO_INLINE struct dysco_csum_diff dysco_edit_tuple(struct dysco_packet *p, uint8_t *data,
						     const uint8_t *end,
						     const struct dysco_tuple *to);

/* Folds a diff into the packet's finished TCP checksum (host-side users, never BPF). */
DYSCO_FUNC void dysco_edit_apply(const struct dysco_packet *p, uint8_t *data,
				 struct dysco_csum_diff diff);

/* TCP checksum from scratch over a whole packet; for packets we make, and for tests. */
DYSCO_FUNC void dysco_edit_checksum(const struct dysco_packet *p, uint8_t *data, size_t bytes);
DYSCO_FUNC bool dysco_edit_checksum_ok(const struct dysco_packet *p, const uint8_t *data,
				       size_t bytes);

/*
 * The edits below change a packet's length. They work on a buffer `data` that
 * holds the whole packet (*bytes long) with room for `capacity` bytes, keep IP
 * total length, data offset and all checksums right, and update *p and *bytes.
 * They return false, with the packet untouched, when there is no room (TCP
 * header full at 60 bytes, or capacity).
 */

/*
 * Adds our experimental option {253, len, ExID[, value]} in front of the others;
 * value for the tag only. A checksum that was wrong before stays wrong.
 */
DYSCO_FUNC bool dysco_edit_add_option(struct dysco_packet *p, uint8_t *data, size_t *bytes,
				      size_t capacity, uint16_t exid, const uint32_t *value);
/* Takes out our option with that ExID where it stands; false: not there. */
DYSCO_FUNC bool dysco_edit_remove_option(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					 uint16_t exid);
/* Puts `n` bytes in front of the payload; what no longer fits in `limit` (whole packet) is cut from
 * the payload's end. */
DYSCO_FUNC bool dysco_edit_insert_payload(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					  size_t capacity, const uint8_t *payload, size_t n,
					  size_t limit);
/* Cuts the first `n` bytes of the payload (n <= p->payload_bytes). */
DYSCO_FUNC void dysco_edit_strip_payload(struct dysco_packet *p, uint8_t *data, size_t *bytes,
					 size_t n);

/*
 * Makes a TCP segment of our own in `out`: checksums done, DF set, hop limit 64;
 * no TCP option, or with exid != 0 our experimental option of length 4. Returns
 * its bytes, 0 when capacity is too small. Used for resets and control segments.
 */
DYSCO_FUNC size_t dysco_edit_make_segment(uint8_t *out, size_t capacity,
					  const struct dysco_tuple *tuple, uint32_t seq,
					  uint32_t ack, uint8_t flags, uint16_t window,
					  uint16_t exid, const uint8_t *payload,
					  size_t payload_bytes);

/*
 * Rewrites the TCP packet quoted in an ICMP error (p from DYSCO_PARSE_ICMP_ERROR)
 * to `quoted`, and the outer addresses to outer_src/outer_dst (NULL: kept); IPv4, ICMP,
 * ICMPv6 and quoted checksums are brought up to date as far as they are there.
 */
DYSCO_FUNC void dysco_edit_icmp(struct dysco_packet *p, uint8_t *data, size_t bytes,
				const struct dysco_tuple *quoted,
				const struct dysco_addr *outer_src,
				const struct dysco_addr *outer_dst);

#include "rewrite/edit_impl.h"

#endif
