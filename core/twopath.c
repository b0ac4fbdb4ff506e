/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of two paths (twopath.h). A number of our host's direction is old
 * when it lies below the cut c, an acknowledgement when it is at most the peer's
 * cut p: at p itself the new path's numbers begin, so there it says nothing.
 */
#include "core/twopath.h"
#include "rewrite/packet.h"

#include <string.h>

/* A quarter of all numbers: comparison is good for half of them. */
#define SEQ_FAR ((dysco_seq_t)1 << (DYSCO_SEQ_BITS - 2))

static dysco_seq_t length_of(const struct dysco_segment *s)
{
	return dysco_seq_add(s->bytes, (s->flags & DYSCO_TCP_FIN) ? 1 : 0);
}

static dysco_seq_t end_of(const struct dysco_segment *s)
{
	return dysco_seq_add(s->seq, length_of(s));
}

static bool has(const struct dysco_segment *s, uint8_t flag)
{
	return (s->flags & flag) != 0;
}

/* ---- translation ---- */

void dysco_offsets_out(const struct dysco_offsets *o, struct dysco_segment *s)
{
	s->seq = dysco_seq_add(s->seq, o->seq_out);
	s->ack = dysco_seq_sub(s->ack, o->seq_in);
	s->edge = dysco_seq_sub(s->edge, o->seq_in);
	s->tsval += o->ts_out;
	s->tsecr -= o->ts_in;
	for (uint8_t i = 0; i < s->n_sack; i++) {
		s->sack[i].from = dysco_seq_sub(s->sack[i].from, o->seq_in);
		s->sack[i].to = dysco_seq_sub(s->sack[i].to, o->seq_in);
	}
}

void dysco_offsets_in(const struct dysco_offsets *o, struct dysco_segment *s)
{
	s->seq = dysco_seq_add(s->seq, o->seq_in);
	s->ack = dysco_seq_sub(s->ack, o->seq_out);
	s->edge = dysco_seq_sub(s->edge, o->seq_out);
	s->tsval += o->ts_in;
	s->tsecr -= o->ts_out;
	for (uint8_t i = 0; i < s->n_sack; i++) {
		s->sack[i].from = dysco_seq_sub(s->sack[i].from, o->seq_out);
		s->sack[i].to = dysco_seq_sub(s->sack[i].to, o->seq_out);
	}
}

/* ---- what is old ---- */

void dysco_two_start(struct dysco_two *two, dysco_seq_t cut, dysco_seq_t acked, dysco_seq_t edge,
		     dysco_seq_t seq_end, dysco_seq_t host_ack, dysco_seq_t host_edge)
{
	memset(two, 0, sizeof(*two));
	two->cut = cut;
	two->sent_end = cut;
	two->acked = acked;
	two->edge = edge;
	two->host_ack = host_ack;
	two->host_edge = dysco_seq_max(host_edge, host_ack);
	two->window = dysco_seq_sub(two->host_edge, host_ack);
	two->seq_end = dysco_seq_max(seq_end, host_ack);
	two->next = host_ack;
	two->peer_cut = host_ack;
	two->told_ack[DYSCO_PATH_OLD] = host_ack;
	two->told_edge[DYSCO_PATH_OLD] = two->host_edge;
	two->told_ack[DYSCO_PATH_NEW] = two->peer_cut;
	two->told_edge[DYSCO_PATH_NEW] = two->peer_cut;
}

static bool is_old(const struct dysco_two *two, dysco_seq_t n)
{
	return !two->cut_far && dysco_after(two->cut, n);
}

static bool ack_is_old(const struct dysco_two *two, dysco_seq_t ack)
{
	return !two->peer_known || (!two->peer_cut_far && !dysco_after(ack, two->peer_cut));
}

/* The path's version of an acknowledgement. */
static dysco_seq_t ack_on(const struct dysco_two *two, enum dysco_path path, dysco_seq_t ack)
{
	dysco_seq_t most = path == DYSCO_PATH_NEW && two->holds ? two->new_end : ack;

	return ack_is_old(two, ack) == (path == DYSCO_PATH_OLD) ? dysco_seq_min(ack, most)
								: two->peer_cut;
}

bool dysco_two_sent_done(const struct dysco_two *two)
{
	return two->cut_far || !dysco_after(two->cut, two->acked);
}

bool dysco_two_received_done(const struct dysco_two *two)
{
	return two->peer_known && !two->holds &&
	       (two->peer_cut_far || !dysco_after(two->peer_cut, two->host_ack));
}

bool dysco_two_done(const struct dysco_two *two)
{
	return dysco_two_sent_done(two) && dysco_two_received_done(two);
}

/* Called whenever acked or host_ack moves, which is by less than a quarter of all numbers. */
static void note_far(struct dysco_two *two)
{
	two->cut_far |= dysco_two_sent_done(two) && dysco_seq_sub(two->acked, two->cut) >= SEQ_FAR;
	two->peer_cut_far |=
	    dysco_two_received_done(two) && dysco_seq_sub(two->host_ack, two->peer_cut) >= SEQ_FAR;
}

static void note_new(struct dysco_two *two, dysco_seq_t end)
{
	two->new_end = end;
	two->holds = two->holds && dysco_after(two->held_end, two->new_end);
}

void dysco_two_peer_cut(struct dysco_two *two, dysco_seq_t peer_cut)
{
	if (two->peer_known) {
		return;
	}
	two->peer_known = true;
	two->peer_cut = peer_cut;
	two->told_ack[DYSCO_PATH_NEW] = peer_cut;
	two->told_edge[DYSCO_PATH_NEW] = peer_cut;
	note_new(two, peer_cut);
	note_far(two);
}

/* Another sequence number: the urgent pointer, which is relative to it, moves the other way. */
static void move_seq(struct dysco_segment *s, dysco_seq_t seq)
{
	dysco_seq_t up = dysco_seq_add(s->seq, s->urgent);

	s->seq = seq;
	if (has(s, DYSCO_TCP_URG)) {
		if (dysco_after(up, seq)) {
			s->urgent = dysco_seq_sub(up, seq);
			return;
		}
		s->flags &= (uint8_t)~DYSCO_TCP_URG;
	}
	s->urgent = 0;
}

/* Cuts `n` of what the segment is long from its front. */
static void cut_front(struct dysco_segment *s, dysco_seq_t n)
{
	dysco_seq_t bytes = n < s->bytes ? n : s->bytes;

	if (n > s->bytes) {
		s->flags &= (uint8_t)~DYSCO_TCP_FIN;
	}
	s->skip = dysco_seq_add(s->skip, bytes);
	s->bytes = dysco_seq_sub(s->bytes, bytes);
	move_seq(s, dysco_seq_add(s->seq, n));
}

/* Keeps `n`, less than the segment is long, at its front. */
static void cut_back(struct dysco_segment *s, dysco_seq_t n)
{
	s->flags &= (uint8_t) ~(DYSCO_TCP_FIN | DYSCO_TCP_PSH);
	s->bytes = n;
	if (s->urgent > n) {
		s->flags &= (uint8_t)~DYSCO_TCP_URG;
		s->urgent = 0;
	}
}

/* ---- from the host ---- */

static void note_host(struct dysco_two *two, const struct dysco_segment *s)
{
	if (has(s, DYSCO_TCP_RST)) {
		return;
	}
	two->sent_end = dysco_seq_max(two->sent_end, end_of(s));
	if (!has(s, DYSCO_TCP_ACK)) {
		return;
	}
	two->host_ack = dysco_seq_max(two->host_ack, s->ack);
	two->host_edge = dysco_seq_max(two->host_edge, dysco_seq_max(s->edge, s->ack));
	two->next = dysco_seq_max(two->next, two->host_ack);
	two->seq_end = dysco_seq_max(two->seq_end, two->host_ack);
	note_far(two);
}

/* Only the path's side of the peer's cut (RFC 2018, RFC 2883). */
static void clip_sack(const struct dysco_two *two, enum dysco_path path, struct dysco_segment *s)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < s->n_sack; i++) {
		struct dysco_sack block = s->sack[i];

		if (path == DYSCO_PATH_NEW && !two->peer_cut_far) {
			block.from = dysco_seq_max(block.from, two->peer_cut);
			block.to = two->holds ? dysco_seq_min(block.to, two->new_end) : block.to;
		} else if (path == DYSCO_PATH_OLD && two->peer_known) {
			block.to =
			    two->peer_cut_far ? block.from : dysco_seq_min(block.to, two->peer_cut);
		}
		if (dysco_after(block.to, block.from) &&
		    (path == DYSCO_PATH_OLD || two->peer_known)) {
			s->sack[n++] = block;
		}
	}
	s->n_sack = n;
}

/* Does it hold anything that this path has to be told for itself? */
static bool is_news(const struct dysco_two *two, enum dysco_path path,
		    const struct dysco_segment *s)
{
	bool own = ack_is_old(two, s->ack) == (path == DYSCO_PATH_OLD);
	struct dysco_segment clipped = *s;

	if (!has(s, DYSCO_TCP_ACK) || (path == DYSCO_PATH_NEW && !two->peer_known)) {
		return false;
	}
	clip_sack(two, path, &clipped);
	/* Nothing is missing below p: who still speaks of it may wait for a window that was lost.
	 */
	if (path == DYSCO_PATH_NEW && s->ack == two->peer_cut && two->owes[DYSCO_PATH_OLD] &&
	    dysco_after(two->host_edge, two->peer_cut)) {
		return true;
	}
	if (path == DYSCO_PATH_OLD) {
		return dysco_after(ack_on(two, path, s->ack), two->told_ack[path]) ||
		       two->owes[path] ||
		       (own &&
			(clipped.n_sack > 0 || dysco_after(two->host_edge, two->told_edge[path])));
	}
	return clipped.n_sack > 0 || dysco_after(two->host_edge, two->told_edge[path]) ||
	       (own && (dysco_after(s->ack, two->told_ack[path]) || two->owes[path]));
}

/*
 * The right edge that a path is told. A window on the new path that starts from
 * another number than the peer's cut would grant more than our host did: none
 * while the cut is unknown. Until then the old path grants no more than the
 * boxes of the new one were shown, from what the peer has sent on: it may cut at
 * any moment (docs/protocol.md 12.4).
 */
static dysco_seq_t edge_on(const struct dysco_two *two, enum dysco_path path, dysco_seq_t ack)
{
	dysco_seq_t edge = two->host_edge;

	if (!two->peer_known) {
		edge = path == DYSCO_PATH_NEW
			   ? ack
			   : dysco_seq_min(edge, dysco_seq_add(two->seq_end, two->window));
	}
	return dysco_seq_max(edge, ack);
}

/* A part for a path, with the acknowledgement and the right edge that belong there. */
static struct dysco_segment *put(struct dysco_two *two, struct dysco_parts *parts,
				 enum dysco_path path, const struct dysco_segment *from)
{
	struct dysco_part *part = &parts->part[parts->count++];
	struct dysco_segment *s = &part->s;

	part->path = path;
	*s = *from;
	if (!has(s, DYSCO_TCP_ACK)) {
		s->n_sack = 0;
		return s;
	}
	s->ack = ack_on(two, path, from->ack);
	s->edge = edge_on(two, path, s->ack);
	clip_sack(two, path, s);
	two->told_ack[path] = dysco_seq_max(two->told_ack[path], s->ack);
	two->told_edge[path] = dysco_seq_max(two->told_edge[path], s->edge);
	two->owes[path] = false;
	return s;
}

/* An acknowledgement for a path where none of the segment's bytes goes. */
static void put_ack(struct dysco_two *two, struct dysco_parts *parts, enum dysco_path path,
		    const struct dysco_segment *from)
{
	struct dysco_segment *s = put(two, parts, path, from);

	s->flags &= DYSCO_TCP_ACK | DYSCO_TCP_ECE;
	s->bytes = 0;
	s->skip = 0;
	s->urgent = 0;
	s->seq = path == DYSCO_PATH_NEW ? two->sent_end : two->cut;
	if (path == DYSCO_PATH_NEW && s->seq == two->cut && s->ack == two->peer_cut) {
		s->flags |= DYSCO_TCP_PSH; /* else it would be taken for the handshake's */
	}
}

/*
 * Without bytes. With its number below what was sent before it is a probe
 * (keepalive, window probe), or has lost its place: the path of its number gets
 * it as it is, since the other end answers by it.
 */
static void route_empty(struct dysco_two *two, const struct dysco_segment *s,
			struct dysco_parts *parts)
{
	enum dysco_path home = is_old(two, s->seq) ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;
	enum dysco_path of_ack = ack_is_old(two, s->ack) ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;
	bool probe = dysco_after(two->sent_end, s->seq) || !has(s, DYSCO_TCP_ACK);
	bool news[2] = {is_news(two, DYSCO_PATH_OLD, s), is_news(two, DYSCO_PATH_NEW, s)};

	for (enum dysco_path path = DYSCO_PATH_OLD; path <= DYSCO_PATH_NEW; path++) {
		if (probe && path == home) {
			put(two, parts, path, s);
		} else if (news[path] || (!probe && path == of_ack)) {
			put_ack(two, parts, path, s);
			parts->part[parts->count - 1].s.flags |= s->flags & DYSCO_TCP_PSH;
		}
	}
}

static void route_bytes(struct dysco_two *two, const struct dysco_segment *s,
			struct dysco_parts *parts)
{
	dysco_seq_t length = length_of(s);
	dysco_seq_t old = is_old(two, s->seq) ? dysco_seq_sub(two->cut, s->seq) : 0;
	bool news = is_news(two, DYSCO_PATH_NEW, s);
	struct dysco_segment *part;

	if (old >= length) {
		put(two, parts, DYSCO_PATH_OLD, s);
	} else if (old > 0) {
		cut_back(put(two, parts, DYSCO_PATH_OLD, s), old);
	} else if (is_news(two, DYSCO_PATH_OLD, s)) {
		put_ack(two, parts, DYSCO_PATH_OLD, s);
	}
	if (old < length) {
		part = put(two, parts, DYSCO_PATH_NEW, s);
		if (old > 0) {
			cut_front(part, old);
			part->flags &= (uint8_t)~DYSCO_TCP_CWR;
		}
	} else if (news) {
		put_ack(two, parts, DYSCO_PATH_NEW, s);
	}
}

/* On both paths, with the number that is exact on each (RFC 5961 3.2). */
static void route_reset(struct dysco_two *two, const struct dysco_segment *s,
			struct dysco_parts *parts)
{
	enum dysco_path home = is_old(two, s->seq) ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;

	for (enum dysco_path path = DYSCO_PATH_OLD; path <= DYSCO_PATH_NEW; path++) {
		struct dysco_segment *part = put(two, parts, path, s);

		if (path != home) {
			part->bytes = 0;
			part->seq = path == DYSCO_PATH_OLD ? two->cut : two->sent_end;
		}
		part->n_sack = 0;
	}
	two->reset = true;
}

void dysco_two_route(struct dysco_two *two, const struct dysco_segment *s,
		     struct dysco_parts *parts)
{
	parts->count = 0;
	note_host(two, s);
	if (has(s, DYSCO_TCP_RST)) {
		route_reset(two, s, parts);
	} else if (length_of(s) == 0) {
		route_empty(two, s, parts);
	} else {
		route_bytes(two, s, parts);
	}
}

void dysco_two_reset_part(const struct dysco_two *two, enum dysco_path path,
			  struct dysco_segment *s)
{
	memset(s, 0, sizeof(*s));
	s->flags = DYSCO_TCP_RST | DYSCO_TCP_ACK;
	s->seq = path == DYSCO_PATH_NEW ? two->sent_end : two->cut;
	s->ack = ack_on(two, path, two->host_ack);
	s->edge = s->ack;
}

/* ---- from a path ---- */

/* Bytes that cannot come by this path, since the peer sends them on the other: not the stream's. */
static void keep_own_bytes(const struct dysco_two *two, enum dysco_path path,
			   struct dysco_segment *s)
{
	dysco_seq_t length = length_of(s), below;

	if (length == 0 || !two->peer_known || (path == DYSCO_PATH_NEW && two->peer_cut_far)) {
		return;
	}
	below = dysco_after(two->peer_cut, s->seq) ? dysco_seq_sub(two->peer_cut, s->seq) : 0;
	if (path == DYSCO_PATH_OLD) {
		below = two->peer_cut_far ? 0 : below;
		if (below < length) {
			cut_back(s, below);
		}
	} else if (below >= length) {
		cut_back(s, 0); /* a box's keepalive: it has an empty one's meaning */
	} else if (below > 0) {
		cut_front(s, below);
	}
}

/* Is this an acknowledgement of the path's own? At its base the new path's says nothing. */
static bool ack_counts(const struct dysco_two *two, enum dysco_path path, dysco_seq_t ack)
{
	if (path == DYSCO_PATH_OLD) {
		return !two->cut_far && !dysco_after(ack, two->cut);
	}
	return two->cut_far || dysco_after(ack, two->cut);
}

/* A block that tells of a duplicate: the first one, below the ack or inside the second. */
static bool is_duplicate_sack(const struct dysco_segment *s)
{
	return !dysco_after(s->sack[0].to, s->ack) ||
	       (s->n_sack > 1 && !dysco_after(s->sack[1].from, s->sack[0].from) &&
		!dysco_after(s->sack[0].to, s->sack[1].to));
}

/* What the highest acknowledgement covers has been said; said again it would mean a duplicate. */
static void merge_sack(const struct dysco_two *two, struct dysco_segment *s)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < s->n_sack; i++) {
		if (dysco_after(s->sack[i].from, two->acked) || (i == 0 && is_duplicate_sack(s))) {
			s->sack[n++] = s->sack[i];
		}
	}
	s->n_sack = n;
}

/*
 * Nothing but the two bases, as the handshake of the new path has them: its window
 * was counted from other numbers than the cuts; one below, where L has shown its
 * window again. A host's window at the bases is known by its PSH.
 */
static bool is_of_handshake(const struct dysco_two *two, enum dysco_path path,
			    const struct dysco_segment *s)
{
	return path == DYSCO_PATH_NEW && length_of(s) == 0 && !has(s, DYSCO_TCP_PSH) &&
	       dysco_seq_sub(two->peer_cut, s->seq) <= 1 && s->ack == two->cut;
}

/* Takes over what it acknowledges and grants; true: the host has to see it. */
static bool merge_ack(struct dysco_two *two, enum dysco_path path, struct dysco_segment *s)
{
	bool counts = ack_counts(two, path, s->ack);
	bool said = counts && !dysco_after(two->acked, s->ack);
	/* Boxes of the new path have to see the window that its bytes are sent into. */
	dysco_seq_t edge =
	    path == DYSCO_PATH_OLD && !two->cut_far ? dysco_seq_min(s->edge, two->cut) : s->edge;

	if (!has(s, DYSCO_TCP_ACK)) {
		return false;
	}
	if (said) {
		two->acked = s->ack;
		note_far(two);
	}
	if ((counts || path == DYSCO_PATH_NEW) && !is_of_handshake(two, path, s) &&
	    dysco_after(edge, two->edge)) {
		two->edge = edge;
		said = true;
	}
	merge_sack(two, s);
	s->ack = two->acked;
	s->edge = dysco_seq_max(two->edge, two->acked);
	return said || s->n_sack > 0;
}

/* Timestamps must not run backwards for the host, whatever path was faster (RFC 7323 5). */
static void merge_timestamp(struct dysco_two *two, struct dysco_segment *s)
{
	if (!s->has_ts) {
		return;
	}
	if (two->has_ts && (int32_t)(s->tsval - two->tsval) < 0) {
		s->tsval = two->tsval;
	}
	two->tsval = s->tsval;
	two->has_ts = true;
}

/*
 * A RST with exactly the number that is next on its path, or that our host has
 * acknowledged (it may not have taken all it was given), ends the session; others
 * in the window are for the host to judge (RFC 5961 3.2).
 */
static bool merge_reset(struct dysco_two *two, enum dysco_path path, struct dysco_segment *s)
{
	dysco_seq_t next = two->peer_known ? ack_on(two, path, two->next) : two->next;

	if (has(s, DYSCO_TCP_ACK)) {
		merge_ack(two, path, s);
	}
	s->n_sack = 0;
	if (s->seq == next) {
		s->seq = two->next;
	}
	two->reset |= s->seq == two->next || s->seq == two->host_ack;
	return !dysco_after(two->host_ack, s->seq) && !dysco_after(s->seq, two->host_edge);
}

static void note_delivered(struct dysco_two *two, const struct dysco_segment *s)
{
	dysco_seq_t end = dysco_seq_min(end_of(s), two->host_edge);

	two->seq_end = dysco_seq_max(two->seq_end, end);
	if (!dysco_after(s->seq, two->next)) {
		two->next = dysco_seq_max(two->next, end);
	}
}

/*
 * Without bytes. Below what the host has acknowledged it is a probe, which it
 * answers; but at p on the old path an acknowledgement that had to stop there.
 */
static bool merge_empty(struct dysco_two *two, enum dysco_path path, struct dysco_segment *s,
			bool said)
{
	bool stopped = path == DYSCO_PATH_OLD && two->peer_known && s->seq == two->peer_cut;

	if (dysco_after(two->host_ack, s->seq) && !stopped) {
		two->owes[path] = true;
		return true;
	}
	if (said || has(s, DYSCO_TCP_URG)) {
		move_seq(s, two->seq_end);
		return true;
	}
	return false;
}

bool dysco_two_merge(struct dysco_two *two, enum dysco_path path, struct dysco_segment *s)
{
	if ((path == DYSCO_PATH_NEW && !two->peer_known) || has(s, DYSCO_TCP_SYN)) {
		return false;
	}
	if (has(s, DYSCO_TCP_RST)) {
		return merge_reset(two, path, s);
	}
	dysco_two_echoed(two, s, is_of_handshake(two, path, s));
	keep_own_bytes(two, path, s);
	bool said = merge_ack(two, path, s);

	if (length_of(s) > 0) {
		two->owes[path] = true;
		note_delivered(two, s);
		note_new(two, path == DYSCO_PATH_NEW ? dysco_seq_max(two->new_end, end_of(s))
						     : two->new_end);
	} else if (!merge_empty(two, path, s, said)) {
		return false;
	}
	merge_timestamp(two, s);
	return true;
}

/* ---- afterwards ---- */

enum dysco_floor dysco_two_floor(dysco_seq_t floor, struct dysco_segment *s)
{
	dysco_seq_t below = dysco_seq_sub(floor, s->seq);

	if (!dysco_after(floor, s->seq) || has(s, DYSCO_TCP_SYN)) {
		return DYSCO_FLOOR_KEEP;
	}
	if (has(s, DYSCO_TCP_RST)) {
		move_seq(s, floor);
		s->bytes = 0;
		return DYSCO_FLOOR_CUT;
	}
	if (length_of(s) == 0 && below == 1) {
		return DYSCO_FLOOR_KEEP;
	}
	if (length_of(s) <= below) {
		return DYSCO_FLOOR_ANSWER;
	}
	cut_front(s, below);
	return DYSCO_FLOOR_CUT;
}
