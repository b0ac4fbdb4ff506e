/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All small cases of the rules of two paths: core/twopath.c compiled with 8-bit
 * sequence numbers, so that cuts at every number, the wrap included, and every
 * place of a segment around them are gone through.
 */
#include "core/twopath.h"
#include "rewrite/packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long cases;
static int stride = 1; /* between cuts */
static const char *group;

static void show(const char *name, const struct dysco_segment *s)
{
	fprintf(stderr, "  %s: seq %u bytes %u skip %u flags %02x ack %u edge %u sacks %u", name,
		s->seq, s->bytes, s->skip, s->flags, s->ack, s->edge, s->n_sack);
	for (int i = 0; i < s->n_sack; i++) {
		fprintf(stderr, " %u-%u", s->sack[i].from, s->sack[i].to);
	}
	fprintf(stderr, "\n");
}

static void fail(const char *what, const struct dysco_two *two, const struct dysco_segment *s,
		 const struct dysco_parts *parts)
{
	fprintf(stderr, "%s: %s\n", group, what);
	fprintf(stderr,
		"  cut %u peer cut %u%s acked %u edge %u seq_end %u host_ack %u host_edge %u "
		"sent_end %u told %u/%u %u/%u owes %d/%d\n",
		two->cut, two->peer_cut, two->peer_known ? "" : "?", two->acked, two->edge,
		two->seq_end, two->host_ack, two->host_edge, two->sent_end, two->told_ack[0],
		two->told_ack[1], two->told_edge[0], two->told_edge[1], two->owes[0], two->owes[1]);
	show("segment", s);
	for (int i = 0; parts && i < parts->count; i++) {
		show(parts->part[i].path == DYSCO_PATH_OLD ? "old" : "new", &parts->part[i].s);
	}
	exit(1);
}

#define CHECK(what, condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fail(what, two, s, parts);                                                 \
		}                                                                                  \
	} while (0)

static dysco_seq_t at(int n)
{
	return (dysco_seq_t)n;
}

static int length_of(const struct dysco_segment *s)
{
	return s->bytes + ((s->flags & DYSCO_TCP_FIN) ? 1 : 0);
}

static bool same_segment(const struct dysco_segment *a, const struct dysco_segment *b)
{
	return a->seq == b->seq && a->ack == b->ack && a->edge == b->edge && a->skip == b->skip &&
	       a->bytes == b->bytes && a->urgent == b->urgent && a->flags == b->flags &&
	       a->n_sack == b->n_sack && a->tsval == b->tsval && a->tsecr == b->tsecr &&
	       (a->n_sack == 0 ||
		(a->sack[0].from == b->sack[0].from && a->sack[0].to == b->sack[0].to));
}

/* ---- from the host ---- */

static const struct dysco_segment *part_on(const struct dysco_parts *parts, enum dysco_path path)
{
	for (int i = 0; i < parts->count; i++) {
		if (parts->part[i].path == path) {
			return &parts->part[i].s;
		}
	}
	return NULL;
}

/* Every number of the segment is in exactly one part, at its place; the FIN too. */
static void check_bytes(const struct dysco_two *two, const struct dysco_segment *s,
			const struct dysco_parts *parts)
{
	int covered = 0, fins = 0;

	for (int i = 0; i < parts->count; i++) {
		const struct dysco_segment *q = &parts->part[i].s;
		int n = length_of(q), skip = (dysco_seq_t)(q->seq - s->seq);

		covered += n;
		fins += (q->flags & DYSCO_TCP_FIN) != 0;
		for (int k = 0; k < n; k++) {
			bool old = dysco_after(two->cut, at(q->seq + k));

			CHECK("a byte on the wrong path",
			      old == (parts->part[i].path == DYSCO_PATH_OLD));
		}
		if (n > 0) {
			CHECK("a part of other bytes",
			      skip + n <= length_of(s) && (q->bytes == 0 || q->skip == skip));
			CHECK("a FIN elsewhere than last",
			      !(q->flags & DYSCO_TCP_FIN) || skip + n == length_of(s));
		}
	}
	CHECK("bytes missing or twice", covered == length_of(s));
	CHECK("FIN missing or twice", fins == ((s->flags & DYSCO_TCP_FIN) != 0));
}

static void check_sack(const struct dysco_two *two, const struct dysco_segment *s,
		       const struct dysco_parts *parts, const struct dysco_segment *q, bool old)
{
	for (int i = 0; i < q->n_sack; i++) {
		CHECK("an empty block", dysco_after(q->sack[i].to, q->sack[i].from));
		CHECK("a block across the cut",
		      old ? !two->peer_known || !dysco_after(q->sack[i].to, two->peer_cut)
			  : two->peer_known && !dysco_after(two->peer_cut, q->sack[i].from));
		CHECK("a block the host has not sent",
		      !dysco_after(s->sack[0].from, q->sack[i].from) &&
			  !dysco_after(q->sack[i].to, s->sack[0].to));
	}
	if (s->n_sack && s->sack[0].from != s->sack[0].to &&
	    (old ? !two->peer_known || dysco_after(two->peer_cut, s->sack[0].from)
		 : two->peer_known && dysco_after(s->sack[0].to, two->peer_cut))) {
		CHECK("a block is lost", q->n_sack == 1);
		CHECK("a block is shorter than it could be",
		      (old || q->sack[0].to == s->sack[0].to) &&
			  (!old || q->sack[0].from == s->sack[0].from));
	}
}

static void check_ack(const struct dysco_two *before, const struct dysco_two *two,
		      const struct dysco_segment *s, const struct dysco_parts *parts,
		      enum dysco_path path)
{
	const struct dysco_segment *q = part_on(parts, path);
	bool old = path == DYSCO_PATH_OLD;
	dysco_seq_t p = two->peer_cut, ack;

	ack = old ? (two->peer_known ? dysco_seq_min(s->ack, p) : s->ack)
		  : (two->peer_known ? dysco_seq_max(s->ack, p) : p);
	if (q) {
		CHECK("wrong acknowledgement", q->ack == ack);
		CHECK("window before the cut is known",
		      old || two->peer_known || q->edge == q->ack);
		CHECK("the right edge is not kept",
		      !two->peer_known || q->edge == dysco_seq_max(two->host_edge, q->ack));
		CHECK("more is granted than the boxes of the new path were shown",
		      two->peer_known || !old || q->edge == q->ack ||
			  q->edge == dysco_seq_min(two->host_edge, at(two->seq_end + two->window)));
		CHECK("the right edge goes back",
		      !dysco_after(before->told_edge[path], q->edge) || (!old && !two->peer_known));
		CHECK("still owes", !two->owes[path]);
		check_sack(two, s, parts, q, old);
	}
	if (old || two->peer_known) {
		CHECK("an acknowledgement is not told", !dysco_after(ack, two->told_ack[path]));
		CHECK("a block is not told",
		      q || s->n_sack == 0 ||
			  (old ? dysco_after(s->ack, p) || !dysco_after(p, s->sack[0].from)
			       : !dysco_after(s->sack[0].to, p)));
	}
	CHECK("what is told goes back",
	      !dysco_after(before->told_ack[path], two->told_ack[path]) &&
		  !dysco_after(before->told_edge[path], two->told_edge[path]));
}

static void check_empty(const struct dysco_two *two, const struct dysco_segment *s,
			const struct dysco_parts *parts, bool probe)
{
	bool old_number = dysco_after(two->cut, s->seq);
	enum dysco_path home = old_number ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;
	const struct dysco_segment *q = part_on(parts, home);
	const struct dysco_segment *old = part_on(parts, DYSCO_PATH_OLD);
	const struct dysco_segment *new = part_on(parts, DYSCO_PATH_NEW);

	if (probe) {
		CHECK("a probe does not take the path of its number",
		      q && q->seq == s->seq && length_of(q) == 0);
	}
	CHECK("an empty one past the cut on the old path",
	      !old || !dysco_after(old->seq, two->cut));
	CHECK("an empty one below the cut on the new path",
	      !new || !dysco_after(two->cut, new->seq));
	if (!two->peer_known || !dysco_after(s->ack, two->peer_cut)) {
		CHECK("an old acknowledgement does not take the old path", old || probe);
	} else {
		CHECK("a new acknowledgement does not take the new path", new || probe);
	}
}

static void check_route(const struct dysco_two *before, const struct dysco_segment *s)
{
	struct dysco_two state = *before, *two = &state;
	struct dysco_parts out, *parts = &out;

	dysco_two_route(two, s, parts);
	cases++;
	CHECK("number of parts", parts->count >= 1 && parts->count <= 2);
	CHECK("two parts on one path, or in the wrong order",
	      parts->count == 1 ||
		  (parts->part[0].path == DYSCO_PATH_OLD && parts->part[1].path == DYSCO_PATH_NEW));
	check_bytes(two, s, parts);
	check_ack(before, two, s, parts, DYSCO_PATH_OLD);
	check_ack(before, two, s, parts, DYSCO_PATH_NEW);
	if (length_of(s) == 0) {
		check_empty(two, s, parts, dysco_after(before->sent_end, s->seq));
	} else {
		const struct dysco_segment *old = part_on(parts, DYSCO_PATH_OLD);

		CHECK("an empty part with a number that is not the path's",
		      !old || length_of(old) > 0 || old->seq == two->cut);
	}
	CHECK("the host's own side changed",
	      two->acked == before->acked && two->edge == before->edge && two->cut == before->cut);
	CHECK("received_done", dysco_two_received_done(two) ==
				   (two->peer_known && !dysco_after(two->peer_cut, two->host_ack)));
}

struct host_case {
	int cut, sent_past, p, known, ack0, told_old, owes;
};

static struct dysco_two host_state(const struct host_case *c)
{
	struct dysco_two two;

	/* host_ack and host_edge 3 below and around the peer's cut */
	dysco_two_start(&two, at(c->cut), at(c->cut - 2), at(c->cut + 10), at(c->p),
			at(c->p + c->ack0), at(c->p + c->ack0 + 2));
	if (c->known) {
		dysco_two_peer_cut(&two, at(c->p));
	}
	two.sent_end = at(c->cut + c->sent_past);
	two.told_ack[DYSCO_PATH_OLD] = at(c->p + (c->told_old < c->ack0 ? c->told_old : c->ack0));
	if (c->known && dysco_after(two.told_ack[DYSCO_PATH_OLD], two.peer_cut)) {
		two.told_ack[DYSCO_PATH_OLD] = two.peer_cut;
	}
	two.owes[DYSCO_PATH_OLD] = (c->owes & 1) != 0;
	two.owes[DYSCO_PATH_NEW] = (c->owes & 2) != 0;
	return two;
}

/* Each segment around the cut, with acknowledgements and blocks around the peer's. */
static void route_segments(const struct host_case *c)
{
	struct dysco_two two = host_state(c);

	for (int i = 0; i < 13 * 4 * 2 * 8 * 3; i++) {
		int seq = i % 13 - 6, bytes = i / 13 % 4, fin = i / 52 % 2, ack = i / 104 % 8 - 4;
		int window = i / 832;
		struct dysco_segment s = {.seq = at(c->cut + seq),
					  .bytes = at(bytes),
					  .ack = at(c->p + ack),
					  .edge = at(c->p + ack + window * 3),
					  .flags = DYSCO_TCP_ACK};

		s.flags |= fin ? DYSCO_TCP_FIN : 0;
		check_route(&two, &s);
		for (int from = -3; c->owes == 0 && from <= 2; from++) {
			s.n_sack = 1;
			s.sack[0].from = at(c->p + from);
			s.sack[0].to = at(c->p + from + 1 + (i + from + 3) % 3);
			check_route(&two, &s);
		}
	}
}

static void route_group(void)
{
	group = "route";
	for (int cut = 0; cut < 256; cut += stride) {
		for (int k = 0; k < 2 * 4 * 3 * 4; k++) {
			int p = cut % 7 == 0 ? cut : 37 * cut + 250;
			struct host_case c = {.cut = cut,
					      .sent_past = k % 5,
					      .p = p,
					      .known = k & 1,
					      .ack0 = k / 8 % 3 * 2 - 3,
					      .told_old = k / 24 - 3,
					      .owes = k / 2 % 4};

			route_segments(&c);
		}
	}
}

/* RST on both paths, with the cut and the highest number where the other's number would be wrong.
 */
static void reset_group(void)
{
	group = "reset";
	for (int i = 0; i < 256 * 13 * 4; i++) {
		struct host_case c = {.cut = i % 256, .sent_past = i / 3328, .p = 77, .known = 1};
		struct dysco_two state = host_state(&c), *two = &state;
		struct dysco_segment rst = {.seq = at(c.cut + i / 256 % 13 - 6),
					    .ack = at(70 + i % 11),
					    .flags = DYSCO_TCP_RST | DYSCO_TCP_ACK},
				     *s = &rst;
		struct dysco_parts out, *parts = &out;

		dysco_two_route(two, s, parts);
		cases++;
		CHECK("not on both", parts->count == 2 && two->reset);
		CHECK("old number", parts->part[0].s.seq == dysco_seq_min(s->seq, two->cut));
		CHECK("new number", parts->part[1].s.seq ==
					(dysco_after(two->cut, s->seq) ? two->sent_end : s->seq));
		CHECK("old acknowledgement",
		      parts->part[0].s.ack == dysco_seq_min(s->ack, two->peer_cut));
		CHECK("new acknowledgement",
		      parts->part[1].s.ack == dysco_seq_max(s->ack, two->peer_cut));
	}
}

/* ---- from a path ---- */

/* What arrived, less what cannot have come by this path. */
static void check_delivered(const struct dysco_two *two, enum dysco_path path,
			    const struct dysco_segment *s, const struct dysco_segment *got)
{
	const struct dysco_parts *parts = NULL;
	int n = length_of(got), wanted = 0;

	for (int k = 0; k < length_of(s); k++) {
		bool below = dysco_after(two->peer_cut, at(s->seq + k));

		wanted += !two->peer_known || below == (path == DYSCO_PATH_OLD);
	}
	CHECK("bytes of the other path, or lost ones", n == wanted);
	for (int k = 0; k < n; k++) {
		bool below = dysco_after(two->peer_cut, at(got->seq + k));

		CHECK("a byte of the other path",
		      !two->peer_known || below == (path == DYSCO_PATH_OLD));
	}
	CHECK("bytes elsewhere than they were",
	      n == 0 || (at(got->seq - s->seq) == at(got->skip - s->skip) &&
			 at(got->seq - s->seq) + n <= length_of(s)));
}

static void check_merge(const struct dysco_two *before, enum dysco_path path,
			const struct dysco_segment *s)
{
	struct dysco_two state = *before, *two = &state;
	struct dysco_segment got = *s;
	const struct dysco_parts *parts = NULL;
	bool wanted = dysco_two_merge(two, path, &got);
	bool counts =
	    path == DYSCO_PATH_OLD ? !dysco_after(s->ack, two->cut) : dysco_after(s->ack, two->cut);
	dysco_seq_t acked = counts ? dysco_seq_max(before->acked, s->ack) : before->acked;

	cases++;
	if (path == DYSCO_PATH_NEW && !two->peer_known) {
		CHECK("took from the new path too early",
		      !wanted && two->acked == before->acked && two->edge == before->edge &&
			  two->seq_end == before->seq_end && !two->owes[path]);
		return;
	}
	CHECK("merged acknowledgement", two->acked == acked);
	CHECK("merged edge goes back", !dysco_after(before->edge, two->edge));
	CHECK("merged edge is more than was granted",
	      two->edge == before->edge || two->edge == s->edge ||
		  (path == DYSCO_PATH_OLD && two->edge == two->cut));
	CHECK("the old path opens a window for the new one",
	      path == DYSCO_PATH_NEW || two->edge == before->edge || two->cut_far ||
		  !dysco_after(two->edge, two->cut));
	CHECK("something new is kept from the host",
	      wanted || (two->acked == before->acked && two->edge == before->edge));
	CHECK("sent_done", dysco_two_sent_done(two) == !dysco_after(two->cut, two->acked));
	if (length_of(s) == 0 && dysco_after(before->host_ack, s->seq) &&
	    !(path == DYSCO_PATH_OLD && two->peer_known && s->seq == two->peer_cut)) {
		CHECK("a probe is not shown as it is", wanted && got.seq == s->seq);
	}
	if (!wanted) {
		CHECK("bytes kept from the host", length_of(&got) == 0);
		return;
	}
	CHECK("host is shown another acknowledgement", got.ack == acked);
	CHECK("host is shown another edge", got.edge == dysco_seq_max(two->edge, acked));
	CHECK("time runs backwards", !s->has_ts || ((int32_t)(got.tsval - before->tsval) >= 0 &&
						    (int32_t)(got.tsval - s->tsval) >= 0));
	for (int i = 0; i < got.n_sack; i++) {
		CHECK("a block that has been covered",
		      dysco_after(got.sack[i].from, acked) || !dysco_after(s->sack[0].to, s->ack));
	}
	check_delivered(two, path, s, &got);
	if (length_of(&got) == 0) {
		bool own = got.seq == s->seq && dysco_after(before->host_ack, s->seq);

		CHECK("an empty one elsewhere", own || got.seq == two->seq_end);
		CHECK("an acknowledgement that stopped at the cut taken for a probe",
		      !own || length_of(s) > 0 || path != DYSCO_PATH_OLD || !two->peer_known ||
			  s->seq != two->peer_cut);
	} else {
		CHECK("nothing owed for bytes", two->owes[path]);
	}
}

static void merge_segments(const struct dysco_two *two, int cut, int p)
{
	for (int i = 0; i < 2 * 11 * 4 * 2 * 9 * 3; i++) {
		enum dysco_path path = i % 2 ? DYSCO_PATH_NEW : DYSCO_PATH_OLD;
		int seq = i / 2 % 11 - 5, bytes = i / 22 % 4, fin = i / 88 % 2;
		int ack = i / 176 % 9 - 4, window = i / 1584;
		struct dysco_segment s = {.seq = at(p + seq),
					  .bytes = at(bytes),
					  .ack = at(cut + ack),
					  .edge = at(cut + ack + window * 4),
					  .flags = DYSCO_TCP_ACK,
					  .has_ts = true,
					  .tsval = 0xfffffff0u + (uint32_t)(i % 5) * 8};

		s.flags |= fin ? DYSCO_TCP_FIN : 0;
		check_merge(two, path, &s);
		for (int from = -3; bytes == 0 && from <= 3; from++) {
			s.n_sack = 1;
			s.sack[0].from = at(cut + from);
			s.sack[0].to = at(cut + from + 1 + i % 2);
			check_merge(two, path, &s);
		}
	}
}

static void merge_group(void)
{
	group = "merge";
	for (int cut = 0; cut < 256; cut += stride) {
		for (int k = 0; k < 2 * 3 * 5; k++) {
			int p = cut % 5 == 0 ? cut : 91 * cut + 253, acked = k / 2 % 3 * 2 - 3;
			int host_ack = k / 6 - 3;
			struct dysco_two two;

			dysco_two_start(&two, at(cut), at(cut + acked), at(cut + acked + 3),
					at(p + host_ack + 1), at(p + host_ack),
					at(p + host_ack + 5));
			if (k % 2) {
				dysco_two_peer_cut(&two, at(p));
			}
			two.has_ts = true;
			two.tsval = 0xfffffffcu;
			merge_segments(&two, cut, p);
		}
	}
}

/* ---- translation, floor ---- */

static void offsets_group(void)
{
	group = "offsets";
	for (int i = 0; i < 1 << 24; i += stride) {
		struct dysco_offsets o = {at(i), at(i >> 8), (uint32_t)i * 257, 5};
		struct dysco_offsets back = {o.seq_in, o.seq_out, o.ts_in, o.ts_out};
		struct dysco_segment was = {.seq = at(i >> 16),
					    .ack = at(i >> 12),
					    .edge = at((i >> 12) + 9),
					    .n_sack = 1,
					    .tsval = (uint32_t)i,
					    .tsecr = 7,
					    .sack = {{at(i >> 12), at((i >> 12) + 3)}}};
		struct dysco_segment s = was, t;

		cases++;
		dysco_offsets_out(&o, &s);
		t = s;
		/* The peer's leg that adds what takes ours away. */
		back.seq_in = at(0 - o.seq_out);
		back.seq_out = at(0 - o.seq_in);
		back.ts_in = 0u - o.ts_out;
		back.ts_out = 0u - o.ts_in;
		dysco_offsets_in(&back, &t);
		if (!same_segment(&t, &was) || at(s.edge - s.ack) != at(was.edge - was.ack) ||
		    s.sack[0].from != s.ack || s.seq != at(was.seq + o.seq_out)) {
			fail("out and in are no inverse", &(struct dysco_two){0}, &was, NULL);
		}
	}
}

static void floor_group(void)
{
	group = "floor";
	for (int i = 0; i < 256 * 13 * 4 * 2; i++) {
		dysco_seq_t floor = at(i);
		int rel = i / 256 % 13 - 6, bytes = i / 3328 % 4, fin = i / 13312;
		struct dysco_segment was = {.seq = at(i + rel),
					    .bytes = at(bytes),
					    .flags = DYSCO_TCP_ACK},
				     got, *s = &was;
		struct dysco_two none = {.cut = floor}, *two = &none;
		const struct dysco_parts *parts = NULL;
		int past;

		was.flags |= fin ? DYSCO_TCP_FIN : 0;
		past = rel + bytes + fin;
		got = was;
		cases++;
		switch (dysco_two_floor(floor, &got)) {
		case DYSCO_FLOOR_KEEP:
			CHECK("keeps what is below", rel >= 0 || (rel == -1 && bytes + fin == 0));
			CHECK("changes what it keeps", same_segment(&got, &was));
			break;
		case DYSCO_FLOOR_CUT:
			CHECK("cuts what does not straddle", rel < 0 && past > 0);
			CHECK("cuts elsewhere", got.seq == floor && length_of(&got) == past &&
						    (got.bytes == 0 || got.skip == at(-rel)));
			break;
		default:
			CHECK("answers what is not below", rel < 0 && past <= 0);
			CHECK("answers a keepalive", rel < -1 || bytes + fin > 0);
			break;
		}
	}
}

/* Past a quarter of all numbers everything is new, and the direction stays over. */
static void far_group(void)
{
	group = "far";
	for (int cut = 0; cut < 256; cut++) {
		struct dysco_two state, *two = &state;
		struct dysco_parts out, *parts = &out;
		const struct dysco_segment *s;

		dysco_two_start(two, at(cut), at(cut), at(cut + 20), at(9), at(9), at(29));
		dysco_two_peer_cut(two, at(9));
		for (int n = 0; n < 600; n++) {
			struct dysco_segment out_seg = {.seq = at(cut + n),
							.bytes = 1,
							.ack = at(9 + n),
							.edge = at(9 + n + 20),
							.flags = DYSCO_TCP_ACK};
			struct dysco_segment in_seg = {.seq = at(9 + n),
						       .bytes = 1,
						       .ack = at(cut + n + 1),
						       .edge = at(cut + n + 21),
						       .flags = DYSCO_TCP_ACK};

			s = &out_seg;
			cases++;
			dysco_two_route(two, s, parts);
			CHECK("a new byte on the old path",
			      parts->part[parts->count - 1].path == DYSCO_PATH_NEW &&
				  length_of(&parts->part[parts->count - 1].s) == 1 &&
				  (parts->count == 1 || length_of(&parts->part[0].s) == 0));
			s = &in_seg;
			CHECK("a new byte refused", dysco_two_merge(two, DYSCO_PATH_NEW, &in_seg));
			CHECK("not acknowledged", two->acked == at(cut + n + 1) && s->bytes == 1);
			CHECK("not over any more", dysco_two_done(two));
		}
	}
}

/* rules [STRIDE]: every STRIDEth cut only, for a quick look */
int main(int argc, char **argv)
{
	static void (*const groups[])(void) = {offsets_group, route_group, reset_group,
					       merge_group,   floor_group, far_group};
	int n = (int)(sizeof(groups) / sizeof(groups[0]));

	stride = argc > 1 ? atoi(argv[1]) : 1;
	for (int i = 0; i < n; i++) {
		cases = 0;
		groups[i]();
		printf("%-8s %12llu cases\n", group, cases);
	}
	printf("%d passed, 0 failed\n", n);
	return 0;
}
