/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One anchor in two paths (docs/protocol.md 12.5, 12.6; paper III-F): which
 * bytes and acknowledgements of the host take which path, what the host is
 * shown of both, and when the old path is needed no more. Pure functions over
 * flat state, all in host numbers: translation (dysco_offsets_*) happens at the
 * interface to a path, before dysco_two_merge() and after dysco_two_route().
 *
 *               host
 *        route |    ^ merge          host numbers
 *              v    |
 *       +------+----+------+
 *       | old        new   |         offsets_out / offsets_in of each leg
 *       v                  v
 *    old path           new path     wire numbers
 *
 * Sequence arithmetic is over dysco_seq_t, modulo its width; the exhaustive
 * tests compile this with DYSCO_SEQ_BITS 8.
 */
#ifndef DYSCO_CORE_TWOPATH_H
#define DYSCO_CORE_TWOPATH_H

#include "rewrite/seq.h"

#define DYSCO_SACK_MAX	4
#define DYSCO_PARTS_MAX 2 /* one a path */

enum dysco_path { DYSCO_PATH_OLD = 0, DYSCO_PATH_NEW = 1 };

struct dysco_sack {
	dysco_seq_t from, to; /* to: one past the block */
};

/* A TCP segment's numbers, no addresses. */
struct dysco_segment {
	dysco_seq_t seq, ack, edge; /* edge: ack + window, in bytes */
	dysco_seq_t skip;	    /* bytes of the original payload that lie before this part */
	dysco_seq_t bytes;	    /* of payload; a FIN counts one more in sequence numbers */
	dysco_seq_t urgent;	    /* urgent pointer, when flags has URG */
	uint8_t flags;		    /* DYSCO_TCP_*, and the two bits of ECN above them */
	uint8_t n_sack;
	bool has_ts;
	struct dysco_sack sack[DYSCO_SACK_MAX];
	uint32_t tsval, tsecr;
};
#define DYSCO_TCP_ECE 0x40
#define DYSCO_TCP_CWR 0x80

struct dysco_two {
	dysco_seq_t cut; /* c: first number of ours that takes the new path */
	/*
	 * p, in our host numbers. While it is unknown, the number that stands for the base
	 * of the peer's new path: the new leg's seq_in must map it there.
	 */
	dysco_seq_t peer_cut;
	dysco_seq_t acked;     /* highest ack of ours seen, on either path */
	dysco_seq_t edge;      /* highest right edge granted to our host */
	dysco_seq_t seq_end;   /* one past the highest number delivered to our host */
	dysco_seq_t next;      /* the number our host expects, as far as we can tell */
	dysco_seq_t host_ack;  /* highest ack our host has sent */
	dysco_seq_t host_edge; /* highest right edge our host has granted */
	dysco_seq_t window;    /* granted when the cut was made: as much as the boxes were shown */
	dysco_seq_t sent_end;  /* one past the highest number our host has sent */
	dysco_seq_t told_ack[2];  /* highest ack number sent, by enum dysco_path */
	dysco_seq_t told_edge[2]; /* highest right edge sent, by enum dysco_path */
	/*
	 * A recovery: one past what our host may hold of the old path, and one past what the
	 * new one has brought. Until the first is reached, boxes of the new path have not
	 * seen all that our host may acknowledge.
	 */
	dysco_seq_t held_end, new_end;
	uint32_t tsval;	     /* highest delivered to our host, when has_ts */
	uint32_t host_tsval; /* last that our host is known to have sent, when host_has_ts */
	bool peer_known;
	bool owes[2]; /* something came in on the path that has not been answered on it */
	bool has_ts, host_has_ts;
	bool holds; /* new_end has not reached held_end; set with it after dysco_two_start() */
	bool reset; /* a RST that counts went through */
	/* Numbers have gone so far past the cut that nobody speaks of what is below any more. */
	bool cut_far, peer_cut_far;
};

/*
 * What the peer echoes, our host has sent, perhaps before this agent saw its packets.
 * What belongs to the new path's handshake may echo what is long ago.
 */
static inline void dysco_two_echoed(struct dysco_two *two, const struct dysco_segment *s,
				    bool handshake)
{
	if (s->has_ts && !handshake &&
	    (!two->host_has_ts || (int32_t)(s->tsecr - two->host_tsval) > 0)) {
		two->host_tsval = s->tsecr;
		two->host_has_ts = true;
	}
}

struct dysco_part {
	enum dysco_path path;
	struct dysco_segment s;
};
struct dysco_parts {
	uint8_t count;
	struct dysco_part part[DYSCO_PARTS_MAX];
};

/* Host numbers to wire numbers of a leg and back; SACK edges, timestamps included. Inverse of each
 * other. */
void dysco_offsets_out(const struct dysco_offsets *o, struct dysco_segment *s);
void dysco_offsets_in(const struct dysco_offsets *o, struct dysco_segment *s);

/*
 * Two paths begin for this anchor: `cut` is what its host has sent, `host_ack`
 * and `host_edge` what it has acknowledged and granted, `acked` and `edge` what
 * the peer has, `seq_end` what was delivered. two->peer_cut is then the number
 * that stands for the base of the peer's new path.
 */
void dysco_two_start(struct dysco_two *two, dysco_seq_t cut, dysco_seq_t acked, dysco_seq_t edge,
		     dysco_seq_t seq_end, dysco_seq_t host_ack, dysco_seq_t host_edge);
/* The peer's cut is known, in our host numbers; the new leg's seq_in changes with it. */
void dysco_two_peer_cut(struct dysco_two *two, dysco_seq_t peer_cut);

/*
 * A segment from the host: what goes where, in host numbers, parts in the order
 * to send them. Changes what *two knows of the host. At least one part, always.
 */
void dysco_two_route(struct dysco_two *two, const struct dysco_segment *s,
		     struct dysco_parts *parts);

/*
 * A segment from a path, translated to host numbers: *s becomes what the host is
 * given. false: nothing for the host (drop it; what it said is noted). A RST that
 * is delivered and makes two->reset true goes to the other path too: see
 * dysco_two_reset_part().
 */
bool dysco_two_merge(struct dysco_two *two, enum dysco_path path, struct dysco_segment *s);

/* The RST, in host numbers, that tells a path of one that came in by the other. */
void dysco_two_reset_part(const struct dysco_two *two, enum dysco_path path,
			  struct dysco_segment *s);

/* All that was sent on the old path is acknowledged. */
bool dysco_two_sent_done(const struct dysco_two *two);
/* All that the peer sent on the old path is acknowledged by our host. */
bool dysco_two_received_done(const struct dysco_two *two);
/* Both: this anchor needs the old path no more. */
bool dysco_two_done(const struct dysco_two *two);

/*
 * After completion (12.6, floor): a segment from the host that reaches below
 * `floor`. KEEP: nothing below it; CUT: *s is what remains; ANSWER: all below,
 * to be answered with an acknowledgement.
 */
enum dysco_floor { DYSCO_FLOOR_KEEP = 0, DYSCO_FLOOR_CUT, DYSCO_FLOOR_ANSWER };
enum dysco_floor dysco_two_floor(dysco_seq_t floor, struct dysco_segment *s);

#endif
