/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an agent knows of a reconfiguration under way (docs/protocol.md 12): one
 * record for each host that takes part. Flat and lasting, like the leg table, so
 * that the next agent resumes it or rolls it back.
 */
#ifndef DYSCO_CORE_ATTEMPT_H
#define DYSCO_CORE_ATTEMPT_H

#include "core/twopath.h"
#include "datapath/leg.h"

#define DYSCO_ATTEMPT_LAYOUT 5
#define DYSCO_NO_ATTEMPT     0 /* record 0 is never used */
#define DYSCO_NONCES_OVER    64

enum dysco_attempt_role {
	DYSCO_PART_NONE = 0,	/* record not in use */
	DYSCO_PART_LEFT_ANCHOR, /* asked for it */
	DYSCO_PART_RIGHT_ANCHOR,
	DYSCO_PART_BETWEEN,  /* passes control on, on the old path; holds the lock to its right */
	DYSCO_PART_INSERTED, /* on the new path */
	DYSCO_PART_KEPT,     /* a request that waits for the answer to another one */
	DYSCO_PART_TRIGGER,  /* a box that has asked its left neighbour */
};

enum dysco_attempt_state {
	DYSCO_ATTEMPT_NONE = 0,
	/* left anchor */
	DYSCO_ATTEMPT_REQUESTING, /* LOCK sent; also BETWEEN: lock PENDING; KEPT */
	DYSCO_ATTEMPT_SETTING_UP, /* SYN of the new path sent */
	DYSCO_ATTEMPT_PROVING,	  /* SYN-ACK came; READY or the opening ACK is missing */
	DYSCO_ATTEMPT_CUTTING,	  /* own cut made and told, peer's cut not known */
	DYSCO_ATTEMPT_TWO_PATHS,  /* both cuts known */
	DYSCO_ATTEMPT_DONE,	  /* own DONE said, peer's missing */
	DYSCO_ATTEMPT_RELEASING,  /* both said; RELEASE sent */
	DYSCO_ATTEMPT_CANCELLING, /* CANCEL sent */
	/* right anchor (TWO_PATHS and DONE as above) */
	DYSCO_ATTEMPT_REQUESTED, /* LOCKED sent */
	DYSCO_ATTEMPT_WAITING,	 /* SYN-ACK, opening ACK, READY sent */
	DYSCO_ATTEMPT_READY,	 /* ACK came */
	DYSCO_ATTEMPT_FREED,	 /* both said DONE; RELEASE has not come */
	/* between, inserted */
	DYSCO_ATTEMPT_LOCKED,
	DYSCO_ATTEMPT_LAPSED, /* BETWEEN: the lease is over, the lock open; still passes messages on
			       */
	DYSCO_ATTEMPT_STATES
};

struct dysco_attempt {
	uint8_t role, state, kind, reason;
	uint16_t host;
	uint8_t seen; /* DYSCO_ATTEMPT_* flags */
	uint8_t tries;
	uint64_t nonce;
	struct dysco_session_id id;
	struct dysco_addr left, right; /* anchors */
	uint32_t old_slot;	       /* leg on the old path: L, BETWEEN: faces right; R: left */
	uint32_t left_slot;	       /* BETWEEN: the leg the LOCK came by */
	uint32_t new_slot;	       /* anchors: leg on the new path */
	uint32_t kept;		       /* attempt that waits for this one */
	uint32_t asked_slot;	       /* TRIGGER: the box's left leg */
	uint32_t to_left, to_right;    /* legs of control sessions */
	uint32_t offset_in;	       /* of the old path, peer's host numbers to ours */
	uint32_t ts_in;		       /* the same of timestamps */
	uint32_t isn, peer_isn;	       /* of the new path */
	uint32_t fixed_cut;	       /* recovery: what the other end has acknowledged */
	uint32_t peer_ts;	       /* TSval of the peer's SYN or SYN-ACK there */
	uint32_t shown; /* largest window, in bytes, that the peer's ACKs showed the boxes there */
	uint32_t awaited_edge; /* L, PROVING: the right edge that the peer was asked to show */
	uint8_t cut_made;      /* own cut stands: two paths, or CANCELLING after it */
	uint8_t released;      /* L, RELEASED has come: 1 by the old path, 2 by the new one */
	uint8_t awaits;	       /* awaited_edge is valid */
	uint8_t cuts;	       /* R: 0, or 1 + CUTs by the old path that wait */
	struct dysco_offsets locked; /* R: of its old leg, as LOCKED says them */
	struct dysco_numbers asked;  /* LOCK's as it came here, to repeat; R: CUT's */
	uint64_t next_ns;	     /* when to repeat or give up */
	uint64_t lease_ns;	     /* when it is over */
	uint64_t started_ns;
	struct dysco_two two;
	struct dysco_address_list list; /* the new path, right anchor last */
};
#define DYSCO_ATTEMPT_PEER_CUT	0x01 /* peer's CUT is here */
#define DYSCO_ATTEMPT_CUT_SEEN	0x02 /* peer has ours */
#define DYSCO_ATTEMPT_PEER_DONE 0x04
#define DYSCO_ATTEMPT_ANSWERED	0x08 /* the peer's SYN or SYN-ACK of the new path is here */
#define DYSCO_ATTEMPT_READY_IN	0x10 /* L: READY came and is right */
#define DYSCO_ATTEMPT_OPENED	0x20 /* L: opening ACK came; R: any segment of the new path */
#define DYSCO_ATTEMPT_TAKEN                                                                        \
	0x40 /* a byte of the new path was delivered, or one of ours acknowledged */
#define DYSCO_ATTEMPT_REFUSED 0x80 /* a RST came by the new path before it was open */

#endif
