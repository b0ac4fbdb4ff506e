/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Five hosts in a row, each with a core of its own, one established session
 * between the first and the last, through some of the others, and the packets that
 * were ever sent: what model/locks.pml and model/setup.pml have as their world.
 *
 *     host    0 ------ 1 ------ 2 ------ 3 ------ 4
 *     link        0        1        2        3          link i is kept by host i
 */
#ifndef DYSCO_TESTS_AGREE_ROW_H
#define DYSCO_TESTS_AGREE_ROW_H

#include "core/reconfig.h"
#include "datapath/sim/sim.h"

#define ROW_HOSTS    5
#define ROW_LINKS    4
#define ROW_ATTEMPTS 3
#define ROW_AIR	     1024
#define ROW_HEARD    4
#define ROW_WINDOW   1000
#define ROW_NOW_NS   (1000 * DYSCO_NS_PER_S)
#define ROW_NOBODY   0xff

/* As model/locks.pml numbers them: bits of a set. */
enum row_message {
	ROW_LOCK = 1,
	ROW_LOCKED = 2,
	ROW_NACK = 4,
	ROW_CANCEL = 8,
	ROW_CANCELLED = 16,
	ROW_RELEASE = 32,
	ROW_RELEASED = 64,
	ROW_REFUSED = 128,
};

/* States of the anchors, as model/locks.pml numbers them. */
enum row_left {
	ROW_L_IDLE = 0,
	ROW_L_ASKING,
	ROW_L_GRANTED,
	ROW_L_CUTTING,
	ROW_L_TWO,
	ROW_L_RELEASING,
	ROW_L_CANCELLING,
	ROW_L_UNCUTTING,
	ROW_L_ENDED,
};
enum row_right { ROW_R_NONE = 0, ROW_R_REQUESTED, ROW_R_TWO, ROW_R_TAKEN, ROW_R_FREED };

/* A packet that was sent, for as long as the run lasts: any copy may come at any time. */
struct row_packet {
	uint8_t data[1500];
	uint32_t bytes;
	uint8_t from, to;
	uint8_t attempt; /* ROW_NOBODY: of none */
	uint8_t type;	 /* enum dysco_message_type, 0: no message */
	uint8_t message; /* enum row_message on the control session, 0: the model has none */
	uint8_t reason;
	bool control; /* of a control session */
	bool reset, lost;
	uint32_t came; /* times */
};

/* What both the core and the model know. */
struct row_state {
	uint8_t owner[ROW_LINKS], pend[ROW_LINKS], kept[ROW_LINKS];
	uint8_t over[ROW_HOSTS];
	uint8_t ls[ROW_ATTEMPTS], rs[ROW_ATTEMPTS];
};

struct row_host {
	struct dysco_sim sim;
	struct dysco_core core;
	struct dysco_setup setup;
};

/* Of the first host (end 0) or the last one, or for it. */
struct row_segment {
	uint8_t end, flags;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t bytes;
	char text[8];
};

struct row_attempt {
	uint8_t left, right; /* equal: not one */
	uint8_t box;	     /* in the new path, 0: none */
	uint64_t nonce;	     /* 0: not asked for yet */
	bool finished;	     /* L has gone over to the new path alone */
};

struct row {
	struct row_host host[ROW_HOSTS];
	struct row_attempt attempt[ROW_ATTEMPTS];
	struct row_packet air[ROW_AIR];
	uint32_t n_air;
	uint8_t sent[ROW_LINKS][ROW_ATTEMPTS]; /* sets of enum row_message, of this event */
	bool whole;			       /* boxes send on RSTs too */
	uint32_t
	    delta[ROW_HOSTS]; /* what a box adds to the numbers of what it sends on to the right */
	bool given[2];	      /* bytes were delivered to the first, the last host */
	struct row_segment heard[ROW_HEARD]; /* what they were given by the last event */
	uint32_t n_heard;
	struct dysco_actions out;
	const char *broken; /* an invariant, or a bound of the rig */
};

/* An anchor while paths change, as model/twopaths.pml and model/compose.pml number its modes. */
enum row_mode { ROW_ONE = 0, ROW_CUTTING, ROW_TWO, ROW_DONE };
struct row_anchor {
	uint8_t mode;
	bool said;	/* DONE */
	bool completed; /* its record may be gone */
};

/*
 * The session is established, through so many boxes, nothing is under way. delta: of each host,
 * what a box there adds to numbers and has told its agent of; NULL: nothing.
 */
void row_open(struct row *row, uint8_t boxes, uint16_t window, const uint32_t *delta);
void row_send(struct row *row, const struct row_segment *s);
/* A segment of the first host, or of the last one. */
void row_say(struct row *row, uint8_t end, uint32_t seq, uint32_t ack, const char *data);
void row_ask(struct row *row, uint8_t attempt);
void row_deliver(struct row *row, uint32_t packet);
/* Timer of this attempt's record at a host; lapse: its lease is over; tired: it was the last try.
 */
void row_due(struct row *row, uint8_t host, uint8_t attempt, bool lapse, bool tired);
void row_cancel(struct row *row, uint8_t attempt);
/* The host has not heard that this one is in the chain, to its right; not the last one. */
void row_forget_hop(struct row *row, uint8_t host, uint8_t hop);
/* Does the host know the chain as it was at first, from itself to the last of these? */
bool row_knows_chain(const struct row *row, uint8_t host, uint8_t last);
/* NULL: none there. */
const struct dysco_attempt *row_record(const struct row *row, uint8_t host, uint8_t attempt);
struct row_anchor row_anchor(const struct row *row, uint8_t host, uint8_t attempt);
void row_observe(const struct row *row, struct row_state *state);

/*
 * A model's program: `FIRST LAST`, the seeds of random runs, or the path of one trail; both
 * are given the walk, so many bytes, of which the first are its `struct row`. The first run that
 * breaks something is the last, and said. `trail` NULL: it follows none. The exit code.
 */
int row_main(int argc, char **argv, size_t walk_bytes, void (*run)(void *walk, uint64_t seed),
	     bool (*trail)(void *walk, const char *path));

#endif
