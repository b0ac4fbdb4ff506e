/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosts of stream.c: send, acknowledge, probe, read, close; and look at what they are told. */
#include "tests/exhaustive/stream.h"

static void add_block(struct dysco_segment *s, const struct host *o, int from, int to)
{
	if (s->n_sack < 3 && to > from) {
		s->sack[s->n_sack].from = (dysco_seq_t)(o->irs + from);
		s->sack[s->n_sack++].to = (dysco_seq_t)(o->irs + to);
	}
}

static void add_sack(struct dysco_segment *s, struct host *o)
{
	add_block(s, o, o->dup_from, o->dup_to);
	o->dup_from = o->dup_to = 0;
	for (int i = o->rcv_nxt; i < o->peer_total; i++) {
		int end = i;

		while (end < o->peer_total && o->got[end]) {
			end++;
		}
		add_block(s, o, i, end);
		i = end;
	}
}

static void host_sends(int h, int from, int to, uint8_t flags)
{
	struct host *o = &w.host[h];
	bool fin = to == o->total && to > from;
	struct packet p = {.first = from < 0 ? 0 : from};
	int edge = o->read + BUFFER;

	o->granted = edge > o->granted ? edge : o->granted;
	p.s.seq = (dysco_seq_t)(o->iss + from);
	p.s.bytes = (dysco_seq_t)(to - from - (fin ? 1 : 0));
	p.s.flags = flags | DYSCO_TCP_ACK | (fin ? DYSCO_TCP_FIN : 0);
	p.s.ack = (dysco_seq_t)(o->irs + o->rcv_nxt);
	p.s.edge = (dysco_seq_t)(o->irs + o->granted);
	p.s.has_ts = true;
	p.s.tsval = ++o->clock;
	p.s.tsecr = o->ts_recent;
	add_sack(&p.s, o);
	o->wup = o->rcv_nxt;
	o->nxt = to > o->nxt ? to : o->nxt;
	anchor_out(h, &p);
}

static void host_acks(int h)
{
	host_sends(h, w.host[h].nxt, w.host[h].nxt, 0);
}

static void close_host(int h)
{
	w.host[h].closed = true;
}

/* What a host is told of its own stream is true. */
static void check_told(int h, const struct dysco_segment *s)
{
	const struct host *o = &w.host[h], *peer = &w.host[1 - h];

	if (own_position(o, s->ack) > peer->rcv_nxt) {
		fail("acknowledges what was not received");
	}
	if (own_position(o, s->edge) > peer->granted && own_position(o, s->edge) > o->edge) {
		fail("grants more than was granted");
	}
	for (int i = 0; i < s->n_sack; i++) {
		int from = own_position(o, s->sack[i].from), to = own_position(o, s->sack[i].to);

		if (to <= from || to - from > BUFFER) {
			fail("an odd SACK block");
		}
		for (; from < to; from++) {
			if (from < 0 || from >= o->total || !peer->got[from]) {
				fail("SACK of what was not received");
			}
		}
	}
}

static void take_ack(int h, const struct dysco_segment *s, int seq)
{
	struct host *o = &w.host[h];
	int ack = own_position(o, s->ack), edge = own_position(o, s->edge);

	if (ack > o->nxt) {
		fail("acknowledges what was not sent");
	}
	if (ack < o->una) {
		return;
	}
	if (ack > o->una || seq > o->wl1 || (seq == o->wl1 && edge > o->edge)) {
		o->wl1 = seq;
		o->edge = edge;
	}
	o->una = ack;
}

static void take_bytes(int h, const struct packet *p, int seq)
{
	struct host *o = &w.host[h];
	int n = length_of(&p->s), had = o->rcv_nxt, dup = -1;

	for (int i = 0; i < n && seq + i < o->granted; i++) {
		int at = seq + i;

		if (at >= o->peer_total) {
			fail("more than was sent");
		}
		if (at < o->rcv_nxt || o->got[at]) {
			dup = at;
			continue;
		}
		if (at != p->first + p->s.skip + i ||
		    (at == o->peer_total - 1) != (i == p->s.bytes)) {
			fail("another byte than was sent");
		}
		o->got[at] = true;
	}
	while (o->rcv_nxt < o->peer_total && o->got[o->rcv_nxt]) {
		o->rcv_nxt++;
	}
	if (dup >= 0) {
		o->dup_from = dup;
		o->dup_to = dup + 1;
	}
	if (dup >= 0 || o->rcv_nxt == had || below(3) == 0) {
		host_acks(h);
	}
}

static void host_resets(int h, dysco_seq_t seq)
{
	struct host *o = &w.host[h];
	struct packet p = {.s = {.seq = seq,
				 .ack = (dysco_seq_t)(o->irs + o->rcv_nxt),
				 .edge = (dysco_seq_t)(o->irs + o->rcv_nxt),
				 .flags = DYSCO_TCP_RST | DYSCO_TCP_ACK}};

	anchor_out(h, &p);
}

void host_gets(int h, const struct packet *p)
{
	struct host *o = &w.host[h];
	const struct dysco_segment *s = &p->s;
	int seq = peer_position(o, s->seq), end = seq + length_of(s);

	if (o->closed) {
		if (!(s->flags & DYSCO_TCP_RST)) {
			host_resets(h, s->ack);
		}
		return;
	}
	if (s->flags & DYSCO_TCP_RST) {
		if (seq == o->rcv_nxt) {
			close_host(h);
		} else if (seq > o->rcv_nxt && seq <= o->granted) {
			host_acks(h); /* RFC 5961 3.2 */
		}
		return;
	}
	if (!w.host[1 - h].closed) {
		check_told(h, s);
	}
	if ((s->has_ts && (int32_t)(s->tsval - o->ts_recent) < -1) || end < o->wup ||
	    seq > o->granted) {
		host_acks(h);
		return;
	}
	if (s->has_ts && seq <= o->wup && (int32_t)(s->tsval - o->ts_recent) > 0) {
		o->ts_recent = s->tsval;
	}
	take_ack(h, s, seq);
	if (end > seq) {
		take_bytes(h, p, seq);
	}
}

void host_works(int h)
{
	struct host *o = &w.host[h];
	int n = 1 + below(3), limit = o->edge < o->total ? o->edge : o->total;
	bool calm = w.step > STEPS_CALM; /* nothing more than TCP has to do */
	bool shut_out = o->nxt >= o->edge && o->nxt < o->total;

	if (o->closed) {
		return;
	}
	switch (below(9)) {
	case 0:
	case 1:
	case 2:
		n = o->nxt + n > limit ? limit - o->nxt : n;
		if (n > 0) {
			host_sends(h, o->nxt, o->nxt + n, 0);
		}
		break;
	case 3: /* retransmits */
		if (o->una < o->nxt) {
			host_sends(h, o->una, o->una + n > o->nxt ? o->nxt : o->una + n, 0);
		}
		break;
	case 4: /* keepalive, window probe */
		if (!calm || shut_out || w.resets) {
			host_sends(h, o->una - 1, o->una - 1, 0);
		}
		break;
	case 5:
		if (!calm) {
			host_acks(h);
		}
		break;
	case 6:
	case 7:
		if (o->read < o->rcv_nxt) {
			bool shut = o->granted == o->rcv_nxt;

			o->read = below(3) ? o->rcv_nxt : o->read + 1;
			if (shut) {
				host_acks(h); /* the window opens */
			}
		}
		break;
	default:
		if (w.resets && w.step < STEPS_CALM && below(60) == 0) {
			close_host(h);
			host_resets(h, (dysco_seq_t)(o->iss + o->nxt));
		}
		break;
	}
}
