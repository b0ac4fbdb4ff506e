/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One packet meets the leg table: the decision of the fast path, and the
 * running fields it keeps. The bpf programs, the simulator and any other
 * datapath call this and act on the verdict; they decide nothing themselves.
 *
 * Freestanding.
 */
#ifndef DYSCO_DATAPATH_STEP_H
#define DYSCO_DATAPATH_STEP_H

#include "datapath/leg.h"
#include "datapath/reasons.h"
#include "rewrite/packet.h"

enum dysco_verdict {
	DYSCO_VERDICT_PASS = 0, /* not ours: leave it alone */
	DYSCO_VERDICT_FAST,	/* translate with the leg, send or deliver */
	DYSCO_VERDICT_PUNT,	/* to the core */
	DYSCO_VERDICT_DROP,	/* with *reason */
	DYSCO_VERDICT_CLASSIFY, /* SYN from the host without a leg: tag? policy? (caller) */
	/*
	 * SYN from the wire without a leg (caller): PUNT if its payload begins with the magic, or
	 * it has the MARK option, or the OUT key of its reversed five-tuple is bound (a plain SYN
	 * takes over from a session that had a chain); else PASS, and count FOREIGN_SYN_DATA when
	 * it has payload.
	 */
	DYSCO_VERDICT_INSPECT,
};

/* Only with these flags can it be a control segment. */
DYSCO_INLINE bool dysco_step_may_be_control(const struct dysco_packet *p)
{
	return (p->flags & (DYSCO_TCP_URG | DYSCO_TCP_ACK | DYSCO_TCP_SYN)) ==
	       (DYSCO_TCP_URG | DYSCO_TCP_ACK);
}

/* A control segment from a neighbour agent? Its message is for the core, never for the host. */
DYSCO_INLINE bool dysco_step_is_control(const struct dysco_packet *p, const uint8_t *data,
					const uint8_t *end)
{
	return dysco_step_may_be_control(p) &&
	       dysco_packet_option(p, data, end, DYSCO_EXID_MARK) != 0;
}

DYSCO_INLINE bool dysco_step_is_syn(const struct dysco_packet *p)
{
	return (p->flags & (DYSCO_TCP_SYN | DYSCO_TCP_ACK | DYSCO_TCP_RST)) == DYSCO_TCP_SYN;
}

/* a is after b, modulo 2^32 (RFC 9293 3.4) */
DYSCO_INLINE bool dysco_seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

DYSCO_INLINE uint32_t dysco_step_seq_end(const struct dysco_packet *p)
{
	return p->seq + p->payload_bytes + ((p->flags & DYSCO_TCP_SYN) ? 1 : 0) +
	       ((p->flags & DYSCO_TCP_FIN) ? 1 : 0);
}

/*
 * A keepalive, an agent's or a host's: who gets it drops it, with its acknowledgement and its
 * window (RFC 9293 3.10.7.4). Those of an agent may be older than they look
 * (docs/protocol.md 12.4).
 */
DYSCO_INLINE bool dysco_step_is_probe(const struct dysco_leg_run *run, const struct dysco_packet *p)
{
	return p->payload_bytes == 0 &&
	       !(p->flags & (DYSCO_TCP_SYN | DYSCO_TCP_FIN | DYSCO_TCP_PSH)) &&
	       dysco_seq_after(run->seq_end, p->seq);
}

/*
 * Of two windows for the same acknowledgement, the smaller one was overtaken, or takes back
 * what was granted (RFC 9293 3.8.6.2.1); but that of a SYN is not scaled. An agent's on a new
 * path is no host's: those bear bytes, a FIN or PSH (docs/protocol.md 12.5).
 */
DYSCO_INLINE bool dysco_step_window_counts(struct dysco_leg_run *run, const struct dysco_packet *p,
					   uint8_t seen)
{
	bool hosts = p->payload_bytes > 0 || (p->flags & (DYSCO_TCP_FIN | DYSCO_TCP_PSH));

	if (hosts && run->base == DYSCO_BASE_AGENTS) {
		run->base = DYSCO_BASE_HOST;
		return true;
	}
	return (hosts || run->base != DYSCO_BASE_HOST) &&
	       (p->window > run->window || !(seen & DYSCO_SEEN_CONFIRM));
}

/* A window belongs to its acknowledgement: one that was overtaken counts no more. */
DYSCO_INLINE void dysco_step_see_ack(struct dysco_leg_run *run, const struct dysco_packet *p,
				     uint8_t seen, bool first)
{
	if (!first && dysco_seq_after(p->ack, run->ack)) {
		run->base = 0;
	} else if (!first && (p->ack != run->ack || !dysco_step_window_counts(run, p, seen))) {
		return;
	}
	run->ack = p->ack;
	run->window = p->window;
}

DYSCO_INLINE uint8_t dysco_step_see_numbers(struct dysco_leg_run *run, const struct dysco_packet *p,
					    uint8_t seen)
{
	uint32_t seq_end = dysco_step_seq_end(p);
	/* Numbers seen before the SYN are those of an older connection of this five-tuple. */
	bool fresh = !(seen & DYSCO_SEEN_ANY) ||
		     ((p->flags & DYSCO_TCP_SYN) && !(seen & (DYSCO_SEEN_SYN | DYSCO_SEEN_SYNACK)));

	if (fresh || dysco_seq_after(seq_end, run->seq_end)) {
		run->seq_end = seq_end;
	}
	seen |= DYSCO_SEEN_ANY;
	if (p->flags & DYSCO_TCP_ACK) {
		bool first = fresh || !(seen & DYSCO_SEEN_ACK);

		if (first || !dysco_step_is_probe(run, p)) {
			dysco_step_see_ack(run, p, seen, first);
		}
		seen |= DYSCO_SEEN_ACK;
	}
	return seen;
}

/*
 * Would the receiver take this RST (RFC 9293 3.10.7, RFC 5961 3.2)? Its number
 * lies in what is under way, between the receiver's last acknowledgement and
 * the sender's last byte; in answer to a SYN it acknowledges the SYN. Others do
 * not end a session, and must not make its legs go.
 */
DYSCO_INLINE bool dysco_step_reset_counts(const struct dysco_leg_run *run,
					  const struct dysco_leg_run *other,
					  const struct dysco_packet *p)
{
	if (other->seen & DYSCO_SEEN_ACK) {
		return !(run->seen & DYSCO_SEEN_ANY) ||
		       p->seq - other->ack <= run->seq_end - other->ack;
	}
	/* Whoever sent the SYN takes it back before there is an answer. */
	if ((run->seen & DYSCO_SEEN_SYN) && !(other->seen & DYSCO_SEEN_ANY)) {
		return p->seq == run->seq_end;
	}
	return (p->flags & DYSCO_TCP_ACK) && other->seq_end - p->ack < 0x10000;
}

/*
 * Two CPUs may have packets of one direction at the same time (a FIN that a process sends, and an
 * acknowledgement from an interrupt): neither may take back what the other one adds. BPF has
 * atomic operations on words only.
 */
DYSCO_INLINE void dysco_step_add_seen(struct dysco_leg_run *run, uint8_t seen)
{
	_Static_assert(__builtin_offsetof(struct dysco_leg_run, seen) % 4 == 2, "byte of a word");

	if (seen & ~run->seen) {
		uint8_t *word = (uint8_t *)run + __builtin_offsetof(struct dysco_leg_run, seen) - 2;

		__sync_fetch_and_or((uint32_t *)(void *)word, DYSCO_BE32((uint32_t)seen << 8));
	}
}

/*
 * A SYN or SYN-ACK of who has sent something else since: a late copy, or somebody else's. Nobody
 * takes anything from it (RFC 5961 4.2), so neither do we.
 */
DYSCO_INLINE bool dysco_step_is_stray_syn(const struct dysco_leg_run *run,
					  const struct dysco_packet *p)
{
	return (p->flags & DYSCO_TCP_SYN) && (run->seen & DYSCO_SEEN_CONFIRM) &&
	       (run->seen & (DYSCO_SEEN_SYN | DYSCO_SEEN_SYNACK));
}

/*
 * Notes a packet that is translated, so that the record alone tells the session's
 * state. p has the host's numbers: OUT before, IN after they are translated.
 */
DYSCO_INLINE void dysco_step_see(struct dysco_leg *leg, const struct dysco_packet *p,
				 enum dysco_direction direction, uint32_t bytes, uint64_t now_ns)
{
	struct dysco_leg_run *run = &leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN];
	const struct dysco_leg_run *other =
	    &leg->run[direction == DYSCO_OUT ? DYSCO_IN : DYSCO_OUT];
	uint8_t before = run->seen, seen = before;

	/* Not atomic, as a wait for the cache line would be: two CPUs on one direction may lose a
	 * count. */
	run->packets++;
	run->bytes += bytes;
	run->last_ns = now_ns;
	if (p->flags & DYSCO_TCP_RST) {
		if (dysco_step_reset_counts(run, other, p)) {
			dysco_step_add_seen(run, DYSCO_SEEN_RST);
		}
		return;
	}
	if (dysco_step_is_stray_syn(run, p)) {
		return;
	}
	seen = dysco_step_see_numbers(run, p, seen);
	if (p->flags & DYSCO_TCP_SYN) {
		seen |= (p->flags & DYSCO_TCP_ACK) ? DYSCO_SEEN_SYNACK : DYSCO_SEEN_SYN;
	} else if (p->flags & DYSCO_TCP_ACK) {
		seen |= DYSCO_SEEN_CONFIRM;
	}
	/* Not `==`: another CPU, with an earlier packet, may have put it back. */
	if ((p->flags & DYSCO_TCP_FIN) && !dysco_seq_after(run->seq_end, dysco_step_seq_end(p))) {
		run->fin_end = dysco_step_seq_end(p);
		seen |= DYSCO_SEEN_FIN;
		leg->fins = 1;
	}
	/* Asked of this direction's own cache lines first: the other ones are another CPU's. */
	if (leg->fins && (other->seen & DYSCO_SEEN_FIN) && (p->flags & DYSCO_TCP_ACK) &&
	    !dysco_seq_after(other->fin_end, p->ack)) {
		seen |= DYSCO_SEEN_FINACK;
	}
	dysco_step_add_seen(run, (uint8_t)(seen & ~before));
}

/*
 * A shorter way for segments with ACK, perhaps PSH, and no other flag
 * (dysco_packet_is_plain()). Once dysco_step_settled() holds for a leg and a
 * direction it does so as long as the leg lives: the handshake is over, so that
 * its tuples stay and rules about its beginning do not matter. Whenever then
 * dysco_step_plain() holds, such a segment's verdict is FAST, addresses and ports
 * are all that is translated, and dysco_step_see_plain() notes the same as
 * dysco_step_see().
 */
DYSCO_INLINE bool dysco_step_settled(const struct dysco_leg *leg, enum dysco_direction direction)
{
	const uint8_t known = DYSCO_SEEN_ANY | DYSCO_SEEN_ACK | DYSCO_SEEN_CONFIRM;
	uint8_t seen = leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN].seen;
	uint8_t answered = leg->run[DYSCO_OUT].seen;

	if (leg->role != DYSCO_ROLE_LAST || direction == DYSCO_IN) {
		answered |= leg->run[DYSCO_IN].seen;
	}
	return (seen & known) == known && (answered & DYSCO_SEEN_SYNACK);
}

/* run: of the segment's direction. */
DYSCO_INLINE bool dysco_step_plain(const struct dysco_leg *leg, const struct dysco_leg_run *run)
{
	const uint32_t fast = DYSCO_BE32((uint32_t)DYSCO_MODE_FAST << 24);
	const uint32_t fins = DYSCO_BE32(1);
	uint32_t decision;

	__builtin_memcpy(&decision, &leg->mode, sizeof(decision)); /* mode, role, flags, fins */
	decision &= DYSCO_BE32(0xff0000ff |
			       (DYSCO_LEG_OFFSETS | DYSCO_LEG_SETTLING | DYSCO_LEG_FLOOR) << 8);
	return run->base == 0 &&
	       (decision == fast || (decision == (fast | fins) && (run->seen & DYSCO_SEEN_FINACK)));
}

/* data: the packet, from its IP header on. */
DYSCO_INLINE void dysco_step_see_plain(struct dysco_leg_run *run, const uint8_t *data,
				       uint32_t bytes, uint64_t now_ns)
{
	const uint8_t *tcp = data + DYSCO_IP4_BYTES;
	uint32_t payload = (uint32_t)DYSCO_HOST16(dysco_load16(data + 2)) - DYSCO_IP4_BYTES -
			   (uint32_t)(tcp[12] >> 4) * 4;
	uint32_t seq = DYSCO_HOST32(dysco_load32(tcp + 4));
	uint32_t ack = DYSCO_HOST32(dysco_load32(tcp + 8));
	uint16_t window = DYSCO_HOST16(dysco_load16(tcp + 14));

	run->packets++;
	run->bytes += bytes;
	run->last_ns = now_ns;
	if (dysco_seq_after(seq + payload, run->seq_end)) {
		run->seq_end = seq + payload;
	} else if (payload == 0 && !(tcp[13] & DYSCO_TCP_PSH) &&
		   dysco_seq_after(run->seq_end, seq)) {
		return; /* dysco_step_is_probe() */
	}
	if (dysco_seq_after(ack, run->ack) || (ack == run->ack && window > run->window)) {
		run->ack = ack;
		run->window = window;
	}
}

#define DYSCO_SYN_OPTIONS_MAX 40 /* bytes, RFC 9293 3.1 */

/* One option of a SYN; n: its bytes, which are there. */
DYSCO_INLINE void dysco_step_note_option(struct dysco_leg *leg, struct dysco_syn_options *o,
					 const uint8_t *at, uint8_t n,
					 enum dysco_direction direction)
{
	if (at[0] == 2 && n == 4) {
		o->mss = (uint16_t)(at[2] << 8 | at[3]);
	} else if (at[0] == 3 && n == 3) {
		o->wscale = at[2] < 14 ? at[2] : 14; /* RFC 7323 2.3 */
	} else if (at[0] == 4 && n == 2) {
		o->flags |= DYSCO_SYN_SACK;
	} else if (at[0] == 8 && n == 10) {
		o->flags |= DYSCO_SYN_TS;
		if (direction == DYSCO_OUT) {
			leg->ts_first = (uint32_t)at[2] << 24 | (uint32_t)at[3] << 16 |
					(uint32_t)at[4] << 8 | at[5];
		}
	}
}

/* Keeps what a SYN or SYN-ACK offers: a new path has to offer the same (docs/protocol.md 12.4). */
DYSCO_FUNC void dysco_step_note_syn(struct dysco_leg *leg, const struct dysco_packet *p,
				    const uint8_t *data, const uint8_t *end,
				    enum dysco_direction direction)
{
	struct dysco_syn_options o = {.wscale = DYSCO_NO_WSCALE, .flags = DYSCO_SYN_NOTED};
	const uint8_t *at = data + p->l4 + 20, *stop = data + p->payload;

	if (!(p->flags & DYSCO_TCP_SYN) || stop > end ||
	    dysco_step_is_stray_syn(&leg->run[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN], p)) {
		return;
	}
	for (int i = 0; i < DYSCO_SYN_OPTIONS_MAX && at < stop && at[0] != 0; i++) {
		uint8_t n = at[0] == 1 ? 1 : 0;

		if (n == 0) {
			if (stop - at < 2 || at[1] < 2 || at[1] > stop - at) {
				break;
			}
			n = at[1];
			dysco_step_note_option(leg, &o, at, n, direction);
		}
		at += n;
	}
	leg->options[direction == DYSCO_OUT ? DYSCO_OUT : DYSCO_IN] = o;
}

/*
 * At a former anchor: an empty segment with the two numbers that the new path began with. A
 * host's bears PSH there, by its agent if not by itself. One without is of the handshake, late,
 * and its window was counted from other numbers (docs/protocol.md 12.5).
 */
DYSCO_INLINE bool dysco_step_at_bases(const struct dysco_leg *leg, const struct dysco_packet *p,
				      enum dysco_direction direction)
{
	const uint8_t flags = DYSCO_TCP_SYN | DYSCO_TCP_FIN | DYSCO_TCP_RST | DYSCO_TCP_PSH;

	if (p->payload_bytes > 0 || (p->flags & (flags | DYSCO_TCP_ACK)) != DYSCO_TCP_ACK) {
		return false;
	}
	if (direction == DYSCO_OUT) {
		return p->seq == leg->floor && p->ack == leg->peer_base;
	}
	return p->seq + leg->offsets.seq_in == leg->peer_base &&
	       p->ack - leg->offsets.seq_out == leg->floor;
}

/* A packet of a former anchor's host that its agent has to look at. */
DYSCO_INLINE bool dysco_step_is_floors(const struct dysco_leg *leg, const struct dysco_packet *p,
				       enum dysco_direction direction)
{
	return (leg->flags & DYSCO_LEG_FLOOR) && direction == DYSCO_OUT &&
	       (dysco_seq_after(leg->floor, p->seq) || dysco_step_at_bases(leg, p, DYSCO_OUT));
}

/*
 * The verdict on a TCP packet. leg: its record, or NULL when no key matches.
 * control: dysco_step_is_control(). On FAST the caller also calls
 * dysco_step_see() and translates; on every other verdict the record is
 * unchanged.
 */
DYSCO_INLINE enum dysco_verdict dysco_step(const struct dysco_leg *leg,
					   const struct dysco_packet *p,
					   enum dysco_direction direction, bool control,
					   enum dysco_reason *reason)
{
	if (!leg || leg->mode == DYSCO_MODE_FREE) {
		if (!dysco_step_is_syn(p)) {
			return DYSCO_VERDICT_PASS;
		}
		return direction == DYSCO_OUT ? DYSCO_VERDICT_CLASSIFY : DYSCO_VERDICT_INSPECT;
	}
	if (dysco_step_is_syn(p) || (control && direction == DYSCO_IN)) {
		return DYSCO_VERDICT_PUNT;
	}
	switch (leg->mode) {
	case DYSCO_MODE_FAST:
		/* A RST to our SYN: it may acknowledge our message, or fail-open may withhold it.
		 */
		if ((p->flags & DYSCO_TCP_RST) && direction == DYSCO_IN &&
		    (leg->role == DYSCO_ROLE_FIRST || leg->role == DYSCO_ROLE_RIGHT) &&
		    !(leg->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK)) {
			return DYSCO_VERDICT_PUNT;
		}
		/* A host that answers the SYN with neither SYN-ACK nor RST has the connection. */
		if (leg->role == DYSCO_ROLE_LAST && direction == DYSCO_OUT &&
		    !(p->flags & (DYSCO_TCP_SYN | DYSCO_TCP_RST)) &&
		    !(leg->run[DYSCO_OUT].seen & DYSCO_SEEN_SYNACK)) {
			return DYSCO_VERDICT_PUNT;
		}
		/*
		 * The opening ACK of a new path, before its SYN-ACK: the box would take no window
		 * from it, and the left anchor must not think that it has (docs/protocol.md 12.4).
		 */
		if (direction == DYSCO_IN && leg->role == DYSCO_ROLE_RIGHT &&
		    leg->run[DYSCO_IN].base == DYSCO_BASE_AGENTS &&
		    !(p->flags & (DYSCO_TCP_SYN | DYSCO_TCP_RST)) &&
		    !(leg->run[DYSCO_IN].seen & DYSCO_SEEN_SYNACK)) {
			*reason = DYSCO_REASON_PENDING;
			return DYSCO_VERDICT_DROP;
		}
		/* Of the handshake of a new path, late: the host knows nothing of it. */
		if ((leg->flags & DYSCO_LEG_OFFSETS) && (p->flags & DYSCO_TCP_SYN) &&
		    direction == DYSCO_IN) {
			return DYSCO_VERDICT_PUNT;
		}
		/* Sent on a path that is no more, or where that began (docs/protocol.md 12.6). */
		if (dysco_step_is_floors(leg, p, direction)) {
			return DYSCO_VERDICT_PUNT;
		}
		if ((leg->flags & DYSCO_LEG_FLOOR) && direction == DYSCO_IN &&
		    dysco_step_at_bases(leg, p, DYSCO_IN)) {
			*reason = DYSCO_REASON_LATE;
			return DYSCO_VERDICT_DROP;
		}
		return DYSCO_VERDICT_FAST;
	case DYSCO_MODE_PASS:
		if (direction == DYSCO_OUT) {
			return DYSCO_VERDICT_PASS;
		}
		*reason = DYSCO_REASON_LATE; /* an answer of the chain that was given up */
		return DYSCO_VERDICT_DROP;
	case DYSCO_MODE_PUNT:
		return DYSCO_VERDICT_PUNT;
	default:
		*reason = DYSCO_REASON_LATE;
		return DYSCO_VERDICT_DROP;
	}
}

#endif
