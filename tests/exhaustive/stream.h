/* SPDX-License-Identifier: BSD-2-Clause */
/* The world of stream.c, and its hosts (hosts.c). */
#ifndef DYSCO_TESTS_EXHAUSTIVE_STREAM_H
#define DYSCO_TESTS_EXHAUSTIVE_STREAM_H

#include "core/twopath.h"
#include "rewrite/packet.h"

#define BUFFER	   11 /* units a host has room for */
#define BAG	   16
#define STEPS_CALM 700 /* from here on nothing is lost */

enum kind { DATA, CUT, DONE };
enum phase { ONE_OLD, TWO, ONE_NEW };

struct packet {
	enum kind kind;
	bool seen;	 /* CUT, DONE: I have yours */
	dysco_seq_t cut; /* CUT: in the sender's host numbers */
	int first;	 /* position in the stream of the original payload's first unit */
	struct dysco_segment s;
};

/* Positions count from 0; the last one is the FIN's. */
struct host {
	dysco_seq_t iss, irs; /* numbers of position 0, own and peer's */
	int total, una, nxt, edge, wl1;
	int peer_total, rcv_nxt, wup, granted, read;
	bool got[128], closed;
	int dup_from, dup_to; /* to tell of by D-SACK */
	uint32_t ts_recent, clock;
};

struct anchor {
	enum phase phase;
	struct dysco_two two;
	struct dysco_offsets new;
	dysco_seq_t base, sent_end, host_ack, host_edge, acked, edge, seq_end, floor;
	bool cut_seen, peer_done, done_seen;
	int cut_pos; /* own cut as a position */
};

struct world {
	uint64_t random;
	struct host host[2];
	struct anchor anchor[2];
	struct packet bag[2][2][BAG]; /* by path, by host it goes to */
	int n[2][2];
	dysco_seq_t offset[2]; /* what the old path adds to what host h sends */
	int sent_on[2][2];     /* highest position host h's bytes had on a path */
	int step, loss, slow, shift;
	bool resets;
};
extern struct world w;

int below(int n); /* a random number */
_Noreturn void fail(const char *what);

static inline int own_position(const struct host *o, dysco_seq_t n)
{
	return o->una + (dysco_seqdiff_t)(dysco_seq_t)(n - (dysco_seq_t)(o->iss + o->una));
}

static inline int peer_position(const struct host *o, dysco_seq_t n)
{
	return o->rcv_nxt + (dysco_seqdiff_t)(dysco_seq_t)(n - (dysco_seq_t)(o->irs + o->rcv_nxt));
}

static inline int length_of(const struct dysco_segment *s)
{
	return s->bytes + ((s->flags & DYSCO_TCP_FIN) ? 1 : 0);
}

/* stream.c: a segment of host h comes to its anchor. */
void anchor_out(int h, const struct packet *p);
/* hosts.c: host h gets a segment; it does something of its own accord. */
void host_gets(int h, const struct packet *p);
void host_works(int h);

#endif
