/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between packets and their numbers: a TCP packet as struct dysco_segment, and
 * a part of one as a packet of its own. Used where a session is in two paths
 * (core/relay.c).
 */
#ifndef DYSCO_CORE_SEGMENT_H
#define DYSCO_CORE_SEGMENT_H

#include "core/twopath.h"
#include "rewrite/packet.h"

/*
 * Numbers of a parsed TCP packet that lies whole at `data`; shift: how far the
 * sender of it scales its windows (RFC 7323 2.2; 0 for a SYN). The first SACK and the
 * first timestamps option count; an option that is cut off or of an odd length is none.
 */
void dysco_segment_read(struct dysco_segment *s, const struct dysco_packet *p, const uint8_t *data,
			uint8_t shift);

/*
 * The packet that bears `s`, read from p's packet and changed since: headers and
 * options as there, `to` as its five-tuple (of the same family), s->bytes of the payload from
 * s->skip on. Blocks that s has no more are filled with NOP, as is the whole
 * option when none is left. A window or urgent pointer that does not fit is the
 * largest there is, or none. Checksums are made anew: the caller has checked those of `data`.
 * Returns the bytes written, 0: capacity is too small, or s says more than p has.
 */
size_t dysco_segment_write(uint8_t *out, size_t capacity, const struct dysco_packet *p,
			   const uint8_t *data, const struct dysco_segment *s, uint8_t shift,
			   const struct dysco_tuple *to);

#endif
