/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The leg table: the single truth about sessions (docs/design.md).
 *
 * A leg is one end of a subsession at one host. A host at an end of the chain
 * has one leg of the session, a middlebox has two, partners of each other.
 * Its record is split in two arrays with the same index, the slot:
 *
 *   struct dysco_leg       hot: read and written per packet by the datapath
 *   struct dysco_leg_cold  the rest of what lasts; only the core looks at it
 *
 * and is found through keys (five-tuple, host, direction) in a hash table.
 * Fields have one writer: the decision fields the core, run[d] the datapath.
 *
 *        host stack / box                       network
 *      ------------------- host tuple | wire tuple -------------------
 *        OUT: looked up by the host tuple, becomes the wire tuple
 *        IN:  looked up by the reversed wire tuple, becomes the reversed host tuple
 *
 * Freestanding; the layout is what `bpf` pins, see DYSCO_LEG_LAYOUT.
 */
#ifndef DYSCO_DATAPATH_LEG_H
#define DYSCO_DATAPATH_LEG_H

#include "rewrite/seq.h"
#include "wire/message.h"

#define DYSCO_LEG_LAYOUT 5 /* changes whenever a struct of this file does */
#define DYSCO_NO_SLOT	 0 /* slot 0 is never used */

enum dysco_direction { DYSCO_OUT = 0, DYSCO_IN = 1 };

/* Key of the lookup table: the five-tuple as the packet carries it. 40 bytes. */
struct dysco_leg_key {
	struct dysco_tuple tuple;
	uint16_t host;	   /* host id */
	uint8_t direction; /* enum dysco_direction */
	uint8_t zero;
};
_Static_assert(sizeof(struct dysco_leg_key) == 40, "no padding in a hash key");

enum dysco_leg_mode {
	DYSCO_MODE_FREE = 0, /* slot not in use */
	DYSCO_MODE_PUNT,     /* every packet goes to the core */
	DYSCO_MODE_FAST, /* data is translated by the datapath; SYN without ACK goes to the core */
	DYSCO_MODE_PASS, /* bypass of a fail-open policy, or beyond a box whose chain was given up:
			    OUT untouched, IN dropped (LATE); SYN goes to the core */
	DYSCO_MODE_DEAD, /* ended, keys quarantined: drop (LATE); SYN goes to the core */
};

enum dysco_leg_role {
	DYSCO_ROLE_FIRST = 1, /* right leg at the initiator's end of the chain */
	DYSCO_ROLE_LAST,      /* left leg at the destination's end (or at an exit) */
	DYSCO_ROLE_LEFT,      /* middlebox, towards the initiator */
	DYSCO_ROLE_RIGHT,     /* middlebox, towards the destination */
	DYSCO_ROLE_CONTROL,   /* end of a control session; no host side */
};

#define DYSCO_LEG_FAIL_OPEN 0x01 /* a RST that answers the SYN is withheld */
#define DYSCO_LEG_OFFSETS   0x02 /* numbers are translated, not only addresses */
#define DYSCO_LEG_OPENER    0x08 /* CONTROL: this side sent the SYN */
#define DYSCO_LEG_FLOOR	    0x04 /* a former anchor's: `floor` and `peer_base` count */

#define DYSCO_LEG_SETTLING                                                                         \
	0x10 /* mode FAST, but packets punted before it was are still on their way: the datapath   \
		punts those behind them, too (dysco_core_settled()) */

#define DYSCO_LEG_LATE                                                                             \
	0x20 /* late attach: what the host had sent before may lie beyond run[OUT].seq_end         \
		(dysco_core_late_known()) */

#define DYSCO_LEG_WITHDRAWN                                                                        \
	0x40 /* the chain was given up by an agent on its left: SYNs of it are dropped */

/* Options of the SYN (SYN-ACK) that this direction carried. */
struct dysco_syn_options {
	uint16_t mss;	/* 0: none */
	uint8_t wscale; /* DYSCO_NO_WSCALE: none */
	uint8_t flags;	/* DYSCO_SYN_* */
};
#define DYSCO_NO_WSCALE 0xff
#define DYSCO_SYN_SACK	0x01
#define DYSCO_SYN_TS	0x02
#define DYSCO_SYN_NOTED 0x80 /* the SYN was seen */

/* What the datapath has seen in one direction. Only written on packets of that direction. */
struct dysco_leg_run {
	uint64_t packets;
	uint64_t bytes;	      /* of IP packets */
	uint64_t last_ns;     /* time of the last packet */
	uint32_t seq_end;     /* highest sequence number sent + its length (SYN, FIN count 1) */
	uint32_t ack;	      /* highest acknowledgement number */
	uint32_t fin_end;     /* sequence number after the FIN */
	uint16_t window;      /* last, unscaled */
	uint8_t seen;	      /* DYSCO_SEEN_* */
	uint8_t base;	      /* DYSCO_BASE_* */
	uint8_t provider[24]; /* the datapath's own, zeroed when the leg is made */
	uint8_t apart[64];    /* see below */
};
#define DYSCO_SEEN_ANY	   0x01 /* seq_end is valid */
#define DYSCO_SEEN_ACK	   0x02 /* ack is valid */
#define DYSCO_SEEN_SYN	   0x04
#define DYSCO_SEEN_SYNACK  0x08
#define DYSCO_SEEN_FIN	   0x10 /* fin_end is valid */
#define DYSCO_SEEN_FINACK  0x20 /* this direction acknowledged the other one's FIN */
#define DYSCO_SEEN_RST	   0x40
#define DYSCO_SEEN_CONFIRM 0x80 /* an ACK without SYN: the handshake is over on this side */
/*
 * Whose `window` is on a leg of a new path, while nothing past the base is acknowledged: its
 * handshake shows what the host has granted from another number (docs/protocol.md 12.4).
 */
#define DYSCO_BASE_AGENTS 1 /* the handshake's, until the host's first */
#define DYSCO_BASE_HOST	  2 /* the host's: what comes late of the handshake counts no more */
/*
 * The directions run on different CPUs, and CPUs fetch cache lines in aligned pairs: with one line
 * each, side by side, every packet had to get its line back from the other CPU (ADR 22).
 */
_Static_assert(sizeof(struct dysco_leg_run) == 128, "a pair of cache lines");

struct dysco_leg {
	/* decision fields; the core writes them, `mode` last */
	uint8_t mode;  /* enum dysco_leg_mode */
	uint8_t role;  /* enum dysco_leg_role */
	uint8_t flags; /* DYSCO_LEG_* */
	uint8_t
	    fins; /* by the datapath: either direction has seen a FIN, so the other's run matters */
	uint16_t host;
	uint16_t attachment; /* where the SYN came by */
	uint32_t partner;    /* slot, DYSCO_NO_SLOT at an end of the chain */
	uint32_t peer_base;  /* with `floor`: the peer's first number on the new path */
	uint64_t created_ns;
	struct dysco_tuple host_tuple; /* outward */
	struct dysco_tuple wire_tuple; /* outward; all zero while not set up */
	/* decision fields of a leg that a reconfiguration made (docs/protocol.md 12.1) */
	struct dysco_offsets offsets;
	uint32_t floor;
	struct dysco_syn_options options[2]; /* by enum dysco_direction; written by the datapath */
	uint32_t ts_first;		     /* TSval of the SYN or SYN-ACK that went OUT */
	/* running fields, by enum dysco_direction */
	struct dysco_leg_run run[2];
};
_Static_assert(sizeof(struct dysco_leg) == 384, "three pairs of cache lines");

/* How a packet reached us on the link: opaque to the core, for the datapath to answer with. */
struct dysco_l2 {
	uint8_t bytes[14];
	uint8_t len;
	uint8_t direction; /* enum dysco_direction it was taken in */
};

struct dysco_leg_cold {
	struct dysco_session_id id;
	struct dysco_tuple session; /* initiator first, as this host sees it */
	struct dysco_address_list
	    list;     /* next: the host after this one on FIRST/RIGHT, this host on LAST/LEFT */
	uint32_t isn; /* of the initiator's SYN */
	uint32_t syn_count;  /* SYNs seen, the first included */
	uint8_t refused;     /* a RST answered the SYN */
	uint8_t reported;    /* state last reported as an event */
	uint16_t key_id;     /* 0: unsigned */
	uint8_t own_hops;    /* hops this agent put into the list, from list.next on */
	uint8_t retries;     /* of the policy that put them there */
	uint8_t withdrawals; /* WITHDRAWs that are still to be sent */
	uint8_t zero;
	uint64_t ended_ns; /* when the leg was seen to have ended, 0: not yet */
	/* docs/protocol.md 12.3: the attempt this leg's subsession is locked for, that made it, or
	   of which it is a control session; index in table->attempts, 0: none */
	uint32_t attempt;
	uint32_t delta_right, delta_left; /* LEFT: what the box adds to sequence numbers */
	uint32_t ts_right, ts_left;	  /* and to timestamps */
	uint8_t thawed;			  /* LEFT: they may still change */
	uint8_t zero2;
	uint16_t withdrew_ms; /* when the last one was, modulo 2^16 */
	struct dysco_l2 l2;
	char policy[DYSCO_NAME_BYTES]; /* that gave hops here, empty: none */
	char why[128];		       /* for `session why`: how instances were chosen */
};

enum dysco_leg_state {
	DYSCO_STATE_FREE = 0,
	DYSCO_STATE_PENDING, /* waits for the box to let the SYN out */
	DYSCO_STATE_SYN_SENT,
	DYSCO_STATE_SYN_RECEIVED, /* SYN-ACK seen, not confirmed */
	DYSCO_STATE_ESTABLISHED,
	DYSCO_STATE_HALF_CLOSED, /* one FIN seen */
	DYSCO_STATE_CLOSING,	 /* both FINs seen */
	DYSCO_STATE_TIME_WAIT,	 /* both acknowledged */
	DYSCO_STATE_RESET,
	DYSCO_STATE_BYPASS,
	DYSCO_STATE_DEAD,
	DYSCO_STATE_COUNT
};

/* Pure: what the record says. */
DYSCO_FUNC enum dysco_leg_state dysco_leg_state(const struct dysco_leg *leg)
{
	unsigned int seen = leg->run[DYSCO_OUT].seen | leg->run[DYSCO_IN].seen;
	unsigned int both = leg->run[DYSCO_OUT].seen & leg->run[DYSCO_IN].seen;

	switch (leg->mode) {
	case DYSCO_MODE_FREE:
		return DYSCO_STATE_FREE;
	case DYSCO_MODE_PASS:
		return DYSCO_STATE_BYPASS;
	case DYSCO_MODE_DEAD:
		return DYSCO_STATE_DEAD;
	case DYSCO_MODE_PUNT: /* in two paths it lives on */
		if (leg->role == DYSCO_ROLE_CONTROL || !(seen & DYSCO_SEEN_SYNACK)) {
			return DYSCO_STATE_PENDING;
		}
		break;
	default:
		break;
	}
	if (seen & DYSCO_SEEN_RST) {
		return DYSCO_STATE_RESET;
	}
	if (!(seen & DYSCO_SEEN_SYNACK)) { /* whatever else was sent, a FIN with the SYN for one */
		return DYSCO_STATE_SYN_SENT;
	}
	if (both & DYSCO_SEEN_FINACK) {
		return DYSCO_STATE_TIME_WAIT;
	}
	if (both & DYSCO_SEEN_FIN) {
		return DYSCO_STATE_CLOSING;
	}
	if (seen & DYSCO_SEEN_FIN) {
		return DYSCO_STATE_HALF_CLOSED;
	}
	return (seen & DYSCO_SEEN_CONFIRM) ? DYSCO_STATE_ESTABLISHED : DYSCO_STATE_SYN_RECEIVED;
}

#endif
