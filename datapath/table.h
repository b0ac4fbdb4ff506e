/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leg table as the core sees it: arrays it reads and writes in place,
 * and the index that the datapath looks packets up in. A datapath provider
 * supplies it; what it holds outlives the core.
 */
#ifndef DYSCO_DATAPATH_TABLE_H
#define DYSCO_DATAPATH_TABLE_H

#include "core/attempt.h"

#define DYSCO_REPLAY_SENDERS 1024

/* The newest counters seen of one signing agent (RFC 4303 3.4.3 style window). */
struct dysco_replay_sender {
	uint64_t sender; /* 0: not in use */
	uint64_t highest;
	uint64_t window[4]; /* bit n: highest - n was seen */
};

/* What else outlives the core: one per table, zero at first. */
struct dysco_lasting {
	uint64_t sender;	       /* this agent's id as signer, kept over restarts */
	uint64_t replay_floor;	       /* senders not in the table must count above it */
	uint64_t packets[2], bytes[2]; /* of legs that are gone, by enum dysco_direction */
	uint64_t
	    nonces_over[DYSCO_NONCES_OVER]; /* of attempts that ended here, newest at over_at - 1 */
	uint64_t nonces_freed;		    /* bit i: the attempt of nonces_over[i] was completed */
	uint32_t over_at;
	uint32_t zero;
	struct dysco_replay_sender replay[DYSCO_REPLAY_SENDERS];
};

struct dysco_table;

struct dysco_table_ops {
	/* Binds a key to a slot. 0, DYSCO_TABLE_EXISTS (bound already; unchanged),
	 * DYSCO_TABLE_FULL. */
	int (*bind)(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot);
	/* Takes a key out; no error when it is not there. */
	void (*unbind)(struct dysco_table *table, const struct dysco_leg_key *key);
	/* Binds a key that is bound to another slot, without a moment in which it is not. */
	void (*move)(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot);
	/* Slot of a key, DYSCO_NO_SLOT when not bound. */
	uint32_t (*find)(struct dysco_table *table, const struct dysco_leg_key *key);
};
#define DYSCO_TABLE_EXISTS (-1)
#define DYSCO_TABLE_FULL   (-2)

/* Where a leg is in the core's hashes by the names of its session (core/names.c). */
enum dysco_name { DYSCO_NAME_ID = 0, DYSCO_NAME_SESSION, DYSCO_NAMES };
struct dysco_leg_names {
	uint32_t head[DYSCO_NAMES]; /* of the chain of this place, whatever leg this record is of */
	uint32_t next[DYSCO_NAMES];
	uint32_t place[DYSCO_NAMES];
	uint32_t named; /* it is in the chains of its places */
};

struct dysco_table {
	const struct dysco_table_ops *ops;
	struct dysco_leg *legs;	     /* [capacity]; slot 0 is never used */
	struct dysco_leg_cold *cold; /* [capacity] */
	struct dysco_leg_names
	    *names; /* [capacity]; does not last: the core fills it at its start */
	struct dysco_lasting *lasting;
	struct dysco_attempt *attempts; /* [n_attempts]; record 0 is never used */
	uint32_t capacity;
	uint32_t n_attempts; /* 0 or 1: no reconfiguration */
};

#endif
