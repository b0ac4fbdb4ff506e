// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two boxes that look at numbers.
 *
 * The strict firewall judges as a stateful filter does that knows the windows
 * of its connections (G. van Rooij, "Real Stateful TCP Packet Filtering in IP
 * Filter", 2000; the tracking of Linux since 6.1 with be_liberal and loose off):
 * a segment has to lie in the window that the receiver has shown, and to
 * acknowledge what the box has seen. One that is too old, by its number or by
 * its acknowledgement, is let through and changes nothing, as there: it is what
 * TCP sends again. So is what comes from the responder before its SYN-ACK. Where
 * the network keeps everything in order there is no reason for either.
 *
 * The other one adds constants to sequence numbers and timestamps, one for each
 * direction, as a box that randomises initial numbers does.
 */
#include "tests/sim/scenario.h"
#include "tests/sim/tcp.h"

#include <string.h>

enum { ACK_ROOM = 66000 }; /* how far behind an acknowledgement may be */

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- the strict firewall ---- */

static struct sim_track *track_of(struct sim_world *w, uint8_t node, const struct dysco_tuple *t,
				  bool *reply)
{
	struct dysco_tuple back = dysco_tuple_reverse(t);

	for (uint8_t i = 0; i < w->n_tracks; i++) {
		struct sim_track *track = &w->tracks[i];

		*reply = dysco_tuple_equal(&track->tuple, &back);
		if (track->node == node && (*reply || dysco_tuple_equal(&track->tuple, t))) {
			return track;
		}
	}
	return NULL;
}

static void side_begin(struct sim_track_side *side, const struct sim_segment *s,
		       const struct sim_options *o)
{
	memset(side, 0, sizeof(*side));
	side->end = side->maxend = sim_segment_end(s);
	side->maxwin = max32(s->window, 1);
	side->scales = o->has_wscale;
	side->scale = o->has_wscale ? o->wscale : 0;
	side->sack = o->sack_ok;
}

/* The first SYN, or one for a connection that is over. */
static void track_begin(struct sim_world *w, uint8_t node, struct sim_track *track,
			const struct sim_segment *s, const struct sim_options *o)
{
	if (!track) {
		if (w->n_tracks == SIM_TRACKS) {
			sim_fail(w, "simulator: more than %d connections tracked", SIM_TRACKS);
			return;
		}
		track = &w->tracks[w->n_tracks++];
	}
	memset(track, 0, sizeof(*track));
	track->node = node;
	track->tuple = s->tuple;
	side_begin(&track->side[0], s, o);
}

static uint32_t highest_sack(const struct sim_options *o, uint32_t ack)
{
	for (uint8_t i = 0; i < o->n_sack; i++) {
		ack = after(o->sack[i].end, ack) ? o->sack[i].end : ack;
	}
	return ack;
}

/* *old: it changes nothing, but is let through. */
static const char *out_of_window(const struct sim_track_side *from, const struct sim_track_side *to,
				 const struct sim_segment *s, uint32_t ack, uint32_t sack,
				 bool *old)
{
	if (after(s->seq, from->maxend)) {
		return "beyond the window";
	}
	if (after(sack, to->end)) {
		return "that acknowledges what was not sent";
	}
	*old = true;
	if (to->maxwin && !after(sim_segment_end(s), from->end - to->maxwin - 1)) {
		return "below the window";
	}
	if (!after(ack, to->end - max32(from->maxwin, ACK_ROOM) - 1)) {
		return "that acknowledges what is long past";
	}
	*old = false;
	return NULL;
}

static void note_segment(struct sim_track_side *from, struct sim_track_side *to,
			 const struct sim_segment *s, uint32_t ack, uint32_t sack)
{
	uint32_t window = (uint32_t)s->window << ((s->flags & SIM_SYN) ? 0 : from->scale);
	uint32_t end = sim_segment_end(s);

	from->maxwin = max32(from->maxwin, window + (sack - ack));
	from->end = after(end, from->end) ? end : from->end;
	if (to->maxwin && after(end, from->maxend)) {
		to->maxwin += end - from->maxend;
	}
	if (after(sack + window, to->maxend - 1)) {
		to->maxend = sack + window + (window == 0);
	}
	if ((s->flags & SIM_ACK) && (!from->has_ack || after(ack, from->maxack))) {
		from->has_ack = true;
		from->maxack = ack;
	}
}

static const char *judge(struct sim_track *track, bool reply, const struct sim_segment *s,
			 const struct sim_options *o, bool again, bool *old)
{
	struct sim_track_side *from = &track->side[reply], *to = &track->side[!reply];
	uint32_t ack, sack;
	const char *wrong;

	if ((s->flags & SIM_RST) && to->has_ack && after(to->maxack, s->seq)) {
		return "RST below what is acknowledged";
	}
	if (from->maxwin == 0) {
		if (!(s->flags & SIM_SYN)) {
			track->reset = track->reset || (reply && (s->flags & SIM_RST));
			*old = reply;
			return (s->flags & SIM_RST) || again ? NULL : "before the SYN-ACK";
		}
		side_begin(from, s, o);
		if (!from->scales || !to->scales) {
			from->scale = to->scale = 0;
		}
	}
	ack = (s->flags & SIM_ACK) ? s->ack : to->end;
	sack = from->sack && to->sack ? highest_sack(o, ack) : ack;
	wrong = out_of_window(from, to, s, ack, sack, old);
	if (!wrong) {
		note_segment(from, to, s, ack, sack);
		track->reset = track->reset || (s->flags & SIM_RST);
		track->fins |= (uint8_t)((s->flags & SIM_FIN) ? 1u << reply : 0);
	}
	return wrong;
}

/*
 * Can anything come late or again? Also where an agent has punted the first packets of a
 * connection: those that follow may overtake them.
 */
static bool may_be_old(const struct sim_world *w)
{
	return w->loss || w->duplicate || w->reorder || w->deaths || !w->moving;
}

/* False: it drops the packet. What nobody but the session's own ends did wrong fails the run. */
bool sim_strict_passes(struct sim_world *w, uint8_t node, const struct sim_packet *packet,
		       const struct sim_segment *s)
{
	bool reply = false, syn = (s->flags & (SIM_SYN | SIM_ACK)) == SIM_SYN;
	struct sim_track *track = track_of(w, node, &s->tuple, &reply);
	/* Of an earlier connection of the same name the box knows nothing any more. */
	bool again = w->features[SIM_HAS_REUSE], old = false;
	bool over = track && (track->reset || track->fins == 3);
	struct sim_options o;
	const char *wrong;

	sim_options_read(&o, s);
	if (syn &&
	    (!track || over || (again && after(sim_segment_end(s), track->side[reply].end)))) {
		track_begin(w, node, track, s, &o);
		return true;
	}
	if (syn && after(sim_segment_end(s), track->side[reply].end) &&
	    !track->side[!reply].maxwin) {
		side_begin(&track->side[reply], s, &o); /* again, with other numbers */
	}
	wrong = track ? judge(track, reply, s, &o, again, &old) : "of no connection";
	if (!wrong) {
		return true;
	}
	sim_say(w, "    box %u: %s: %s", node, old ? "ignored" : "invalid", wrong);
	w->outcomes[SIM_N_IGNORED] += old;
	if (!over && !(old && may_be_old(w)) && !(s->flags & (SIM_RST | SIM_SYN)) &&
	    packet->meta.flow < w->n_flows && !w->flows[packet->meta.flow].disturbed) {
		sim_fail(w, "box %u: a strict firewall gets a packet %s (flow %u)", node, wrong,
			 packet->meta.flow);
	}
	return old;
}

void sim_strict_count(struct sim_world *w)
{
	for (uint8_t i = 0; i < w->n_tracks; i++) {
		w->outcomes[SIM_N_TRACKED]++;
		w->outcomes[SIM_N_STILL_TRACKED] += !w->tracks[i].reset && w->tracks[i].fins != 3;
		if (!w->tracks[i].reset && w->tracks[i].fins != 3) {
			sim_say(w, "box %u has not seen the end of a connection",
				w->tracks[i].node);
		}
	}
}

/* ---- constants ---- */

static void add32(uint8_t *at, uint32_t n)
{
	uint32_t v = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];

	v += n;
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

static void shift_options(uint8_t *options, uint16_t bytes, bool ack, const uint32_t *with,
			  const uint32_t *against)
{
	for (uint16_t i = 0; i < bytes && options[i] != 0;) {
		if (options[i] == 1) {
			i++;
			continue;
		}
		if (options[i] == 8) {
			add32(options + i + 2, with[1]);
			add32(options + i + 6, ack ? 0u - against[1] : 0);
		}
		for (uint16_t k = 2; options[i] == 5 && k + 4 <= options[i + 1];
		     k = (uint16_t)(k + 4)) {
			add32(options + i + k, 0u - against[0]);
		}
		i = (uint16_t)(i + options[i + 1]);
	}
}

void sim_delta_apply(const struct sim_world *w, uint8_t node, struct sim_packet *packet,
		     const struct sim_segment *s)
{
	bool rightward = DYSCO_HOST16(s->tuple.dport_be) <= SIM_PORT_PLAIN;
	const uint32_t *with = w->nodes[node].delta[rightward ? 0 : 1];
	const uint32_t *against = w->nodes[node].delta[rightward ? 1 : 0];
	size_t tcp = (packet->data[0] >> 4 == 4) ? 20 : 40;

	add32(packet->data + tcp + 4, with[0]);
	if (s->flags & SIM_ACK) {
		add32(packet->data + tcp + 8, 0u - against[0]);
	}
	shift_options(packet->data + tcp + 20, s->options_bytes, s->flags & SIM_ACK, with, against);
	sim_segment_readdress(packet->data, packet->bytes, &s->tuple);
}
