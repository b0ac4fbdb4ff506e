// SPDX-License-Identifier: BSD-2-Clause
/* What must hold of every packet, and at the end (docs/explorer.md, "What is checked"). */
#include "tests/explore/explore.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void xp_fail(struct xp *x, const char *format, ...)
{
	va_list args;

	if (x->failed) {
		return;
	}
	x->failed = true;
	x->what = format;
	va_start(args, format);
	vsnprintf(x->failure, sizeof(x->failure), format, args);
	va_end(args);
	xp_say(x, "    VIOLATION: %s", x->failure);
}

void xp_say(const struct xp *x, const char *format, ...)
{
	va_list args;

	if (!x->talk) {
		return;
	}
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void xp_check_bytes(struct xp *x, const char *where, const uint8_t *data, uint32_t bytes)
{
	struct sim_segment s;
	const char *wrong;

	if (!sim_segment_read(&s, data, bytes)) {
		xp_fail(x, "%s: not a TCP packet", where);
		return;
	}
	wrong = sim_segment_wrong(data, bytes);
	if (wrong) {
		xp_fail(x, "%s: wrong %s", where, wrong);
	}
}

/* ---- what an end is given, in its own numbers ---- */

static void check_data(struct xp *x, uint8_t side, const struct sim_segment *s)
{
	const struct xp_end *e = &x->end[side], *peer = &x->end[!side];
	uint32_t first = s->seq - e->irs - 1;

	if (s->payload_bytes && first + s->payload_bytes > peer->written) {
		xp_fail(x, "end %u is given bytes %u to %u, its peer has written %u", side, first,
			first + s->payload_bytes, peer->written);
		return;
	}
	for (uint32_t i = 0; i < s->payload_bytes; i++) {
		if (s->payload[i] != xp_pattern(!side, first + i)) {
			xp_fail(x, "end %u is given a wrong byte at %u", side, first + i);
			return;
		}
	}
	if ((s->flags & SIM_FIN) && (!peer->closed || first + s->payload_bytes != peer->written)) {
		xp_fail(x, "end %u is given a FIN after %u bytes, its peer sends %u", side,
			first + s->payload_bytes, peer->written);
	}
}

static void check_sack(struct xp *x, uint8_t side, const struct xp_options *o)
{
	const struct xp_end *peer = &x->end[!side];

	for (uint8_t i = 0; i + 1 < o->n_sack; i = (uint8_t)(i + 2)) {
		uint32_t from = o->sack[i] - x->config->iss[side] - 1;
		uint32_t to = o->sack[i + 1] - x->config->iss[side] - 1;

		for (uint32_t n = from; n != to; n++) {
			if (n >= 32 || !((peer->held >> n) & 1)) {
				xp_fail(x, "end %u is told by SACK of byte %u, its peer has it not",
					side, n);
				return;
			}
		}
	}
}

static void check_ack(struct xp *x, uint8_t side, const struct sim_segment *s,
		      const struct xp_options *o)
{
	const struct xp_end *e = &x->end[side], *peer = &x->end[!side];
	uint32_t ack = s->ack - x->config->iss[side];
	uint32_t window = (uint32_t)s->window << ((s->flags & SIM_SYN) ? 0 : e->shift_in);

	if (ack > peer->rcv_nxt) {
		xp_fail(x, "end %u is given ack %u, its peer has received up to %u", side, ack,
			peer->rcv_nxt);
		return;
	}
	if (!(s->flags & SIM_RST) && ack + window > peer->granted) {
		xp_fail(x, "end %u is given the right edge %u, its peer granted %u", side,
			ack + window, peer->granted);
		return;
	}
	check_sack(x, side, o);
}

static void check_timestamps(struct xp *x, uint8_t side, const struct sim_segment *s,
			     const struct xp_options *o)
{
	const struct xp_end *e = &x->end[side], *peer = &x->end[!side];

	if (s->flags & (SIM_RST | SIM_SYN)) {
		return;
	}
	if (o->has_ts != (e->ts != 0)) {
		xp_fail(x, "end %u is given a segment %s timestamps", side,
			o->has_ts ? "with" : "without");
	} else if (o->has_ts && (int32_t)(o->tsval - xp_end_clock(peer, !side)) > 0) {
		xp_fail(x, "end %u is given TSval %u, its peer's clock says %u", side, o->tsval,
			xp_end_clock(peer, !side));
	} else if (o->has_ts && (int32_t)(o->tsecr - xp_end_clock(e, side)) > 0) {
		xp_fail(x, "end %u is given TSecr %u, its clock says %u", side, o->tsecr,
			xp_end_clock(e, side));
	}
}

void xp_check_given(struct xp *x, uint8_t side, const struct sim_segment *s,
		    const struct xp_options *o)
{
	struct dysco_tuple session = xp_session(), back = dysco_tuple_reverse(&session);
	const struct xp_end *e = &x->end[side], *peer = &x->end[!side];

	if (!dysco_tuple_equal(&s->tuple, side ? &session : &back)) {
		xp_fail(x, "end %u is given a packet of another five-tuple", side);
		return;
	}
	if (o->has_mark || o->has_tag) {
		xp_fail(x, "end %u is given an option of ours", side);
		return;
	}
	if (s->flags & SIM_SYN) {
		if (s->payload_bytes) {
			xp_fail(x, "end %u is given a SYN with bytes in it", side);
		} else if (e->state >= XP_TCP_SYN_RCVD && s->seq != e->irs) {
			xp_fail(x, "end %u is given a SYN that is not its peer's", side);
		}
		return;
	}
	if (e->state >= XP_TCP_SYN_RCVD) {
		if (!(s->flags & SIM_RST) && s->seq - e->irs + 1 > peer->max + 1u) {
			xp_fail(x, "end %u is given number %d, its peer has sent up to %u", side,
				(int)(s->seq - e->irs), peer->max);
			return;
		}
		check_data(x, side, s);
	}
	if ((s->flags & SIM_ACK) && e->state >= XP_TCP_SYN_SENT && peer->state != XP_TCP_LISTEN) {
		check_ack(x, side, s, o);
	}
	check_timestamps(x, side, s, o);
}
