/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two paths (docs/protocol.md 12.1, 12.5, 12.6): two hosts that talk TCP, their
 * anchors, a strict firewall on the old path and one on the new.
 *
 *     host 0 - anchor 0 ==== old box, adds D0 / D1 ==== anchor 1 - host 1
 *                      \==== new box ==================/
 *
 * Aspects present
 *   TCP: U0 and U1 bytes and a FIN each way, cumulative acknowledgements sent late
 *   or with data, out-of-order bytes kept, window of WINDOW bytes that closes and
 *   opens as the application reads, retransmission at any time and of several
 *   bytes in one segment (which then straddle the cut), zero-window probes,
 *   keepalives (KEEPALIVE); a host ignores the acknowledgement of a segment whose
 *   numbers are old, and answers it.
 *   Cut at any moment, different moments at both ends; LOSS segments lost, DUP
 *   doubled, any order within and between the paths; HLOSS segments lost between
 *   anchor and host; completion, floor, tombstone of the old path.
 *   Numbers are modulo 16, start just below the wrap, and differ on both sides
 *   and on the two paths.
 *   A box drops what its windows and acknowledgements do not explain: here that
 *   is an error. BOX_SIDE 0 or 1: it stands at L's or R's end of its path.
 * Simplifying assumptions
 *   At most N segments in flight, equal ones are one; sending waits when full.
 *   Control messages (CUT, DONE) are repeated until they come: they come at last; so do
 *   the ACKs that show windows to the new box before the cuts.
 *   The anchors are the hosts' own agents. No SACK, timestamps, URG, RST: these
 *   are tested on core/twopath.c exhaustively. Windows are not rescaled.
 *   DEAF: DONE says nothing of what has come. Without it no loss below the cuts lasts, since
 *   whoever has taken all says so; the rules of hole 10 make things go on sooner.
 *   With LTL a host sends again only when nothing is in flight and no answer due.
 *
 * model              core                                   docs/protocol.md
 * route              core/twopath.c dysco_two_route()       12.5 bytes, acknowledgements
 * merge              core/twopath.c dysco_two_merge()       12.5 what arrives
 * floor              core/twopath.c dysco_two_floor()       12.6 floor
 * emit, arrive       dysco_offsets_out(), _in()             12.1
 * said, complete     dysco_two_done(), core/anchor.c        12.6
 * open, cut          core/anchor.c                          12.4, 12.5
 */
#ifndef U0
#define U0 1
#endif
#ifndef U1
#define U1 1
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef LOSS
#define LOSS 0
#endif
#ifndef DUP
#define DUP 0
#endif
#ifndef HLOSS
#define HLOSS 0
#endif
#ifndef N
#define N 4
#endif
#ifndef BOX_SIDE
#define BOX_SIDE 0
#endif
#ifndef D0
#define D0 5 /* what the old path adds rightward, leftward */
#define D1 11
#endif

/* Steps that tests/agree wants taken, `what` by `who`; else any may be. */
#ifdef REPLAY
#define WHEN(x, e) what == x && who == e &&
#define TAKEN	   ; what = 0
#else
#define WHEN(x, e)
#define TAKEN
#endif

/* Steps in words, for who draws a trail or takes it on the core (tests/explore/trail). */
#ifdef TRAIL
#define SAY1(text, x)		 printf(text, x);
#define SAY4(text, x, y, z, u) printf(text, x, y, z, u);
#else
#define SAY1(text, x)
#define SAY4(text, x, y, z, u)
#endif

#define MOD(x)	    ((x) & 15)
#define AFTER(a, b) ((((a) - (b) - 1) & 15) < 7)
#define MAX(a, b)   (AFTER(a, b) -> (a) : (b))
#define MIN(a, b)   (AFTER(a, b) -> (b) : (a))
/* first number of a host's own bytes, and of its peer's */
#define OWN(e)	   (14 + (e))
#define PEER(e)	   MOD(OWN(1 - (e)) + D1 + (e) * (D0 - D1)) /* as it sees them */
#define NUM(e, i)  MOD(OWN(e) + (i))
#define BASE(s)	   (13 - 7 * (s)) /* of the new path, stream s */
#define SENT_END(e) NUM(e, nxt[e])
#define UNITS(e)   (U0 + (e) * (U1 - U0))
#define TOTAL(e)   (UNITS(e) + 1) /* bytes and FIN */
#define OLD 0
#define NEW 1

/* anchors */
#define ONE	0
#define CUTTING 1 /* L: peer's cut unknown */
#define TWO	2
#define DONE	3
byte mode[2];
bit said[2];
byte cut[2], peer[2];	 /* in the anchor's host numbers */
byte acked[2], edge[2];	 /* highest seen for our host */
byte seq_end[2];	 /* highest end delivered to our host */
/* by path * 2 + anchor, while there are two: highest acknowledgement and edge sent, has anything come since */
byte told[4], told_edge[4];
bit owes[4];
byte window[2];		 /* shown to the new box before R's cut, for stream [e] */

/* hosts; positions in the stream: 0 is the first byte */
byte nxt[2], una[2], may[2]; /* sent up to, acknowledged up to, right edge granted */
byte got[2];		     /* set of positions received */
byte rd[2];		     /* the application has read */
byte wup[2];		     /* last acknowledgement sent */
byte shown[2];		     /* last right edge shown */
bit owe[2];		     /* an acknowledgement is due */

/* boxes: by path * 2 + stream, in numbers of the wire */
byte box_end[4], box_edge[4];

int net[N]; /* segments in flight, descending; 0: none */
byte losses, dups, hlosses;

/* what is being done: a segment's numbers (to translate, of the wire), 0 in between */
byte q, a, w, bytes, fin, first, path, from, keep, lost;
hidden byte mark; /* PSH: at both bases, a host's; no probe, while there are two paths */
hidden byte q2, a2, w2, b2, f2, pos, j, k, p, news, want[2];
hidden byte pa, pw;
hidden int t, t2;

/* positions that were received without a hole: 1, 3, 7 are one, two, three */
#define GOT(e) (((got[e] & 1) != 0) + ((got[e] & 3) == 3) + (got[e] == 7))
#define ROOM   (net[N - 2] == 0)
#define SPAN   (bytes + fin)

/* Into the bag, which is in order; what is there already is not doubled. */
inline put(code)
{
	t = code;
	k = 0;
	do
	:: k < N && net[k] > t -> k++
	:: k < N && net[k] < t ->
		t2 = net[k];
		net[k] = t;
		t = t2;
		k++
	:: k >= N || net[k] == t -> break
	od
}

inline take(i)
{
	k = i;
	do
	:: k < N - 1 -> net[k] = net[k + 1]; k++
	:: else -> break
	od;
	net[N - 1] = 0
}

/* A strict firewall on path p, stream s: every number has an explanation in what it has seen. */
inline box(p, s, number, ack, right, span)
{
	assert(!AFTER(number + span, box_edge[p * 2 + s]));
	assert(!AFTER(ack, box_end[p * 2 + 1 - s]));
	assert(p == OLD || (!AFTER(BASE(1 - s), ack) && !AFTER(BASE(s), number + (span == 0))));
	box_end[p * 2 + s] = MAX(MOD(number + span), box_end[p * 2 + s]);
	box_edge[p * 2 + 1 - s] = MAX(right, box_edge[p * 2 + 1 - s])
}

/* Onto path p, in host numbers of e: q2, pa, pw, b2 bytes and f2. */
inline emit(e)
{
	pos = (b2 + f2 > 0 -> MOD(q2 - OWN(e)) : 0);
	mark = p == NEW && b2 + f2 == 0 && q2 == cut[e] && pa == peer[e] &&
	       (mode[e] == DONE || (mode[e] == TWO && SENT_END(e) == cut[e]));
	if
	:: p == NEW && mode[e] >= TWO ->
		q2 = MOD(q2 - cut[e] + BASE(e));
		pa = MOD(pa - peer[e] + BASE(1 - e));
		pw = MOD(pw - peer[e] + BASE(1 - e))
	:: p == NEW && mode[e] < TWO ->
		q2 = MOD(q2 - cut[e] + BASE(e));
		pa = BASE(1 - e);
		pw = pa
	:: p == OLD && e == 1 ->
		q2 = MOD(q2 + D1);
		pa = MOD(pa - D0);
		pw = MOD(pw - D0)
	:: else
	fi;
	if
	:: e == BOX_SIDE -> box(p, e, q2, pa, pw, b2 + f2)
	:: else
	fi;
	put((1 << 20) + (p << 19) + (e << 18) + (q2 << 14) + (pa << 10) + (pw << 6) + (b2 << 4) +
	    (f2 << 3) + (pos << 1) + mark)
}

#define IN_TWO(e) (mode[e] == CUTTING || mode[e] == TWO)
/* The acknowledgement lies at most at the peer's cut, where the new path's numbers begin. */
#define ACK_IS_OLD(e) (mode[e] < TWO || !AFTER(a, peer[e]))

/* The acknowledgement and the edge that path p may carry. */
inline clamp(e)
{
	pa = a;
	pw = w;
	if
	:: mode[e] == TWO && p == OLD -> pa = MIN(a, peer[e])
	:: mode[e] == TWO && p == NEW -> pa = MAX(a, peer[e]); pw = MAX(w, peer[e])
#ifndef WINDOW_UNSEEN
	/* R may cut at any moment: no more than what the new box was shown */
	:: mode[e] == CUTTING && p == OLD -> pw = MIN(w, MAX(a, MOD(seq_end[e] + window[1])))
#endif
	:: else
	fi
}

/* What each path has to be told for itself, be there bytes or not. */
inline news_for(e)
{
	p = OLD;
	clamp(e);
	want[OLD] = AFTER(pa, told[e]);
	want[NEW] = mode[e] == TWO && AFTER(w, told_edge[2 + e]);
#ifdef DUPLICATES_DROPPED /* hole 10 */
	want[NEW] = want[NEW] || (mode[e] == TWO && AFTER(MAX(a, peer[e]), told[2 + e]))
#else
	want[OLD] = want[OLD] || owes[e] || (ACK_IS_OLD(e) && AFTER(w, told_edge[e]));
	want[NEW] = want[NEW] || (!ACK_IS_OLD(e) && (AFTER(a, told[2 + e]) || owes[2 + e]));
	/* nothing is missing below the peer's cut: who still asks may wait for a window that was lost */
	want[NEW] = want[NEW] || (mode[e] == TWO && a == peer[e] && owes[e] && AFTER(w, peer[e]))
#endif
}

/* The paths of a segment, j of which lie below the cut. */
inline paths(e)
{
	news_for(e);
	if
	:: SPAN > 0 ->
		want[OLD] = want[OLD] || j > 0;
		want[NEW] = want[NEW] || SPAN > j
	/* a probe: the path of its number */
	:: SPAN == 0 && q != SENT_END(e) ->
		want[OLD] = want[OLD] || j > 0;
		want[NEW] = want[NEW] || j == 0
#ifndef DUPLICATES_DROPPED
	:: SPAN == 0 && q == SENT_END(e) ->
		want[OLD] = want[OLD] || ACK_IS_OLD(e);
		want[NEW] = want[NEW] || !ACK_IS_OLD(e)
#endif
	:: else
	fi
}

/* What of the segment goes by path p: q2, b2 bytes, f2. */
inline part(e)
{
	q2 = q;
	b2 = bytes;
	f2 = fin;
	if
	:: !IN_TWO(e) -> skip
	:: IN_TWO(e) && p == OLD ->
		if
		:: j == 0 -> /* only its acknowledgement */
#ifndef OLD_NUMBER_BEYOND_CUT /* hole 14 */
			q2 = cut[e];
#endif
			b2 = 0;
			f2 = 0
		:: j > 0 && SPAN > j -> /* FIN with the last part */
			b2 = (bytes < j -> bytes : j);
			f2 = 0
		:: else
		fi
	:: IN_TWO(e) && p == NEW ->
		if
		:: j > 0 && SPAN > j ->
			q2 = cut[e];
			b2 = (bytes > j -> bytes - j : 0)
		:: j > 0 && SPAN <= j -> /* only its acknowledgement */
			q2 = SENT_END(e);
			b2 = 0;
			f2 = 0
		:: else
		fi
	fi
}

/* From host e: numbers q to q + bytes + fin. */
inline route(e)
{
	a = MOD(PEER(e) + GOT(e));
	w = MOD(PEER(e) + rd[e] + WINDOW);
	wup[e] = GOT(e);
	shown[e] = rd[e] + WINDOW;
	owe[e] = 0;
	j = (IN_TWO(e) && AFTER(cut[e], q) -> MOD(cut[e] - q) : 0);
	if
	:: IN_TWO(e) -> paths(e)
	:: else ->
		want[OLD] = (mode[e] == ONE);
		want[NEW] = (mode[e] == DONE)
	fi;
	p = 0;
	do
	:: p < 2 && want[p] ->
		part(e);
		clamp(e);
		if
		:: IN_TWO(e) && (p == OLD || mode[e] == TWO) ->
			told[p * 2 + e] = MAX(pa, told[p * 2 + e]);
			told_edge[p * 2 + e] = MAX(pw, told_edge[p * 2 + e]);
			owes[p * 2 + e] = 0
		:: else
		fi;
		emit(e);
		p++
	:: p < 2 && !want[p] -> p++
	:: p >= 2 -> break
	od
}

/* Host e is given q, a, w, bytes, fin; it looks at numbers as RFC 9293 3.10.7.4 says. */
inline host(e)
{
	if
	:: AFTER(PEER(e) + wup[e], q + SPAN) || AFTER(q, PEER(e) + rd[e] + WINDOW) -> owe[e] = 1
	:: else ->
		pos = MOD(a - OWN(e));
		/* nothing is acknowledged that was not sent, or did not arrive */
		assert(pos > 8 || (pos <= nxt[e] && pos <= GOT(1 - e)));
		if
		:: pos <= 8 && pos > una[e] -> una[e] = pos
		:: else
		fi;
		pos = MOD(w - OWN(e));
		if
		:: pos <= 8 && pos > may[e] -> may[e] = pos
		:: else
		fi;
		if
		:: SPAN > 0 ->
			/* what is delivered is what was sent, at its place */
			assert(MOD(q - PEER(e)) == first && first + SPAN <= nxt[1 - e]);
			k = 0;
			do
			:: k < SPAN ->
				if
				:: first + k < rd[e] + WINDOW -> got[e] = got[e] | (1 << (first + k))
				:: else
				fi;
				k++
			:: else -> break
			od;
			owe[e] = 1
		:: else
		fi
	fi
}

/* Below what the host has acknowledged; but at p on the old path an acknowledgement had to stop there. */
#define IS_PROBE(e) (SPAN == 0 && AFTER(PEER(e) + wup[e], q) && !(mode[e] == TWO && path == OLD && q == peer[e]))
#ifdef CLAMPED_ACK_TAKEN /* hole 11 */
#define COUNTS(e) true
#else
/* at its base the new path's acknowledgement says nothing */
#define COUNTS(e) (path == OLD || AFTER(a, cut[e]))
#endif

/* What has come is noted; no news: its acknowledgement is stale, and it grants no more. */
inline note(e)
{
	news = COUNTS(e) && !AFTER(acked[e], a);
	acked[e] = (news -> a : acked[e]);
	if
	/* at the bases it might be an anchor's */
	:: AFTER(w, edge[e]) && (path == OLD || SPAN > 0 || a != cut[e] || AFTER(q, peer[e]) || mark) ->
		edge[e] = w;
		news = 1
	:: else
	fi
}

/* q, a, w, in host numbers of e, have come on path; they become what the host is given. */
inline merge(e)
{
#ifndef EDGE_OF_OLD_PATH /* hole 13: it says nothing of bytes that take the new one */
	if
	:: path == OLD -> w = MIN(w, cut[e])
	:: else
	fi;
#endif
	note(e);
	a = acked[e];
	w = MAX(edge[e], acked[e]);
	if
	:: SPAN > 0 -> owes[path * 2 + e] = 1
#ifdef PROBES_RAISED /* hole 10 */
	:: SPAN == 0 -> q = seq_end[e]
#else
	:: SPAN == 0 && IS_PROBE(e) -> owes[path * 2 + e] = 1 /* the host answers */
	:: SPAN == 0 && !IS_PROBE(e) && news -> q = seq_end[e]
	:: SPAN == 0 && !IS_PROBE(e) && !news -> lost = 1
#endif
	fi
}

/* With one path, what comes is the host's as it is; its anchor notes what its receiver would. */
inline see(e)
{
	if
#ifdef PROBES_RAISED /* for ever */
	:: SPAN == 0 && mode[e] == DONE -> q = MAX(q, seq_end[e])
#endif
	:: SPAN == 0 && AFTER(seq_end[e], q) -> skip
	:: SPAN > 0 || !AFTER(seq_end[e], q) ->
		acked[e] = MAX(a, acked[e]);
		edge[e] = MAX(w, edge[e])
	fi
}

#ifdef NO_TOMBSTONE /* hole 24: what is late is read with the new leg's offsets */
#define TOMBSTONE(e) false
#define OLD_MEANING(e) (path == OLD && mode[e] != DONE)
#else
#define TOMBSTONE(e) (path == OLD && mode[e] == DONE)
#define OLD_MEANING(e) (path == OLD)
#endif

inline deliver(e)
{
	if
	:: (path == NEW && mode[e] < TWO) || TOMBSTONE(e) -> skip /* before the peer's cut is known; too late */
	:: else ->
		if
		:: !OLD_MEANING(e) ->
			q = MOD(q - BASE(1 - e) + peer[e]);
			a = MOD(a - BASE(e) + cut[e]);
			w = MOD(w - BASE(e) + cut[e])
		:: OLD_MEANING(e) && e == 1 -> q = MOD(q + D0); a = MOD(a - D1); w = MOD(w - D1)
		:: else
		fi;
		if
		:: IN_TWO(e) -> merge(e)
		:: else -> see(e)
		fi;
		if
		:: SPAN > 0 || !IN_TWO(e) -> seq_end[e] = MAX(MOD(q + SPAN), seq_end[e])
		:: else
		fi;
		if
		:: !lost -> host(e)
		:: else
		fi
	fi
}

inline clear()
{
	q = 0; a = 0; w = 0; bytes = 0; fin = 0; first = 0; path = 0; from = 0; keep = 0; lost = 0
}

/* Slot i arrives; its box, when that stands here, sees it now. */
inline arrive(i)
{
	path = (net[i] >> 19) & 1;
	from = (net[i] >> 18) & 1;
	q = (net[i] >> 14) & 15;
	a = (net[i] >> 10) & 15;
	w = (net[i] >> 6) & 15;
	bytes = (net[i] >> 4) & 3;
	fin = (net[i] >> 3) & 1;
	first = (net[i] >> 1) & 3;
	mark = net[i] & 1;
#ifdef TRAIL
	if
	:: keep -> SAY4("@double %d %d %d %d\n", path, from, first, SPAN)
	:: lost -> SAY4("@inside %d %d %d %d\n", path, from, first, SPAN)
	:: else -> SAY4("@arrive %d %d %d %d\n", path, from, first, SPAN)
	fi;
#endif
	if
	:: !keep -> take(i)
	:: else
	fi;
	if
	:: from != BOX_SIDE -> box(path, from, q, a, w, SPAN)
	:: else
	fi;
	from = 1 - from;
	deliver(from);
	clear()
}

/* From host e; after completion the anchor answers for what lies below the cut. */
inline send(e)
{
#ifndef NO_FLOOR /* hole 23 */
	if
	:: mode[e] == DONE && AFTER(cut[e], q) && !AFTER(q + SPAN, cut[e]) &&
	   !(SPAN == 0 && MOD(q + 1) == cut[e]) ->
		q = seq_end[e];
		a = acked[e];
		w = edge[e];
		bytes = 0;
		fin = 0;
		wup[e] = GOT(e);
		host(e)
	:: mode[e] == DONE && AFTER(cut[e], q) && AFTER(q + SPAN, cut[e]) ->
		bytes = (bytes > MOD(cut[e] - q) -> bytes - MOD(cut[e] - q) : 0);
		q = cut[e];
		route(e)
	:: else -> route(e)
	fi;
#else
	route(e);
#endif
	clear()
}

/* ---- hosts ---- */
#ifdef LTL
#define RTO(e) (net[0] == 0 && !owe[0] && !owe[1] && (turn == e || !WAITS(1 - e)))
#define AGAIN(e) turn = 1 - e
bit turn; /* whose timer is next */
#else
#define RTO(e) true
#define AGAIN(e) skip
#endif
#define BLOCKED(e) (una[e] == nxt[e] && nxt[e] < TOTAL(e) && may[e] <= nxt[e])
#define WAITS(e)   (una[e] < nxt[e] || BLOCKED(e))

proctype tcp(byte e)
{
end:	do
	:: atomic {
		if
		/* a new byte, or the FIN */
		:: WHEN(S_NEW, e) ROOM && nxt[e] < TOTAL(e) && nxt[e] < may[e] ->
			SAY1("@new %d\n", e)
			q = NUM(e, nxt[e]);
			bytes = nxt[e] < UNITS(e);
			fin = 1 - bytes;
			nxt[e]++
		/* again: the first that is not acknowledged, or all of them in one */
		:: WHEN(S_AGAIN, e) ROOM && RTO(e) && una[e] < nxt[e] ->
			SAY1("@again %d\n", e)
			AGAIN(e);
			q = NUM(e, una[e]);
			bytes = una[e] < UNITS(e);
			fin = 1 - bytes
		:: WHEN(S_ALL_AGAIN, e) ROOM && RTO(e) && una[e] + 1 < nxt[e] ->
			SAY1("@again %d\n", e)
			AGAIN(e);
			q = NUM(e, una[e]);
			fin = nxt[e] > UNITS(e);
			bytes = nxt[e] - una[e] - fin
		:: WHEN(S_ACK, e) ROOM && owe[e] -> q = NUM(e, nxt[e])
		/* zero-window probe, keepalive */
		:: WHEN(S_PROBE, e) ROOM && RTO(e) && BLOCKED(e) -> SAY1("@probe %d\n", e) AGAIN(e); q = NUM(e, una[e] - 1)
#ifdef KEEPALIVE
		:: WHEN(S_KEEPALIVE, e) ROOM && RTO(e) && una[e] == nxt[e] -> SAY1("@keepalive %d\n", e) AGAIN(e); q = NUM(e, una[e] - 1)
#endif
		fi;
		d_step { send(e) TAKEN }
	   }
	od
}

/* The application of host e reads; a closed window that opens is told. */
#define READS(e)                                                                  \
	:: d_step { WHEN(S_READ, e) rd[e] < GOT(e) && rd[e] < UNITS(1 - e) ->         \
		if                                                                    \
		:: shown[e] == GOT(e) -> owe[e] = 1                                   \
		:: else                                                               \
		fi;                                                                   \
		SAY1("@read %d\n", e)                                                      \
		rd[e]++ TAKEN }

proctype applications()
{
end:	do
	READS(0) READS(1)
	od
}

/* ---- anchors: opening, cuts, DONE ---- */
#define WINDOW_OF(e) (shown[e] - wup[e])
#ifdef WINDOW_UNSEEN /* hole 19 */
#define SHOWS_MORE   (WINDOW_OF(1) > window[0] || WINDOW_OF(0) > window[1])
#define BOX_KNOWS(e) true
#else
#define SHOWS_MORE (WINDOW_OF(1) > window[0])
/* no byte that host e may send now is beyond what the new box was shown */
#define BOX_KNOWS(e) (!AFTER(edge[e], OWN(e) + nxt[e] + window[e]))
#endif
#define ALL_SENT(e) (!AFTER(cut[e], acked[e]))
#define ALL_TAKEN(e) (!AFTER(peer[e], PEER(e) + wup[e]))
#ifdef DONE_ALONE /* hole 22; nobody hears it */
#define DEAF
#define BOTH_DONE(e) said[e]
#else
#define BOTH_DONE(e) (said[0] && said[1])
#endif

#define SAYS(e) :: d_step { WHEN(S_SAYS, e) mode[e] == TWO && !said[e] && ALL_SENT(e) && ALL_TAKEN(e) -> said[e] = 1 TAKEN }
#define FINISH(e)                                                                 \
	mode[e] = DONE;                                                               \
	told[e] = 0; told[2 + e] = 0; told_edge[e] = 0; told_edge[2 + e] = 0; owes[e] = 0; owes[2 + e] = 0

/* All has come that e sent on the old path, no matter what acknowledgements were lost: its host is told. */
inline hears(e)
{
	acked[e] = cut[e];
	q = seq_end[e];
	a = acked[e];
	w = edge[e];
	host(e);
	clear()
}

proctype anchors()
{
end:	do
	/* opening ACK, again when more can be shown: the window of the moment; L's comes with its cut */
	:: d_step { WHEN(S_SHOWS, 0) mode[0] == ONE && SHOWS_MORE ->
#ifdef WINDOW_UNSEEN
		window[1] = (WINDOW_OF(0) > window[1] -> WINDOW_OF(0) : window[1]);
#endif
		window[0] = (WINDOW_OF(1) > window[0] -> WINDOW_OF(1) : window[0]) TAKEN }
	:: d_step { WHEN(S_CUTS, 0) mode[0] == ONE && BOX_KNOWS(0) ->
		SAY1("@left_cuts %d\n", 0)
		mode[0] = CUTTING;
		cut[0] = NUM(0, nxt[0]);
#ifndef WINDOW_UNSEEN
		/* an ACK goes before CUT */
		window[1] = WINDOW_OF(0);
#endif
		told[0] = MOD(PEER(0) + wup[0]);
		told_edge[0] = MOD(PEER(0) + shown[0]);
		box_end[2] = BASE(0);
		box_end[3] = BASE(1);
		box_edge[2] = MOD(BASE(0) + window[0]);
		box_edge[3] = MOD(BASE(1) + window[1]) TAKEN }
	/* CUT; of the new path's window nothing is told by it */
	:: d_step { WHEN(S_CUTS, 1) mode[0] >= CUTTING && mode[1] == ONE ->
		assert(BOX_KNOWS(1));
		SAY1("@right_cuts %d\n", 0)
		mode[1] = TWO;
		cut[1] = NUM(1, nxt[1]);
		peer[1] = MOD(cut[0] + D0);
		told[1] = MOD(PEER(1) + wup[1]);
		told_edge[1] = MOD(PEER(1) + shown[1]);
		told[3] = peer[1];
		told_edge[3] = peer[1];
		window[0] = 0 TAKEN }
	:: d_step { WHEN(S_TWO, 0) mode[0] == CUTTING && mode[1] >= TWO ->
		SAY1("@left_two %d\n", 0)
		mode[0] = TWO;
		peer[0] = MOD(cut[1] + D1);
		told[2] = peer[0];
		told_edge[2] = peer[0];
		window[1] = 0 TAKEN }
	/* DONE, and the other's */
	SAYS(0) SAYS(1)
#ifndef DEAF
	:: d_step { WHEN(S_HEARS, 0) mode[0] == TWO && said[1] && !ALL_SENT(0) -> hears(0) TAKEN }
	:: d_step { WHEN(S_HEARS, 1) mode[1] == TWO && said[0] && !ALL_SENT(1) -> hears(1) TAKEN }
#endif
	:: d_step { WHEN(S_DONE, 0) mode[0] == TWO && BOTH_DONE(0) -> SAY1("@left_done %d\n", 0) FINISH(0) TAKEN }
	:: d_step { WHEN(S_DONE, 1) mode[1] == TWO && BOTH_DONE(1) -> SAY1("@right_done %d\n", 0) FINISH(1) TAKEN }
	od
}

/* ---- network ---- */
#define GONE(i) SAY4("@lose %d %d %d %d\n", (net[i] >> 19) & 1, (net[i] >> 18) & 1, (net[i] >> 1) & 3, ((net[i] >> 4) & 3) + ((net[i] >> 3) & 1))
#define SLOT(i)                                                                   \
	:: d_step { WHEN(S_ARRIVES, i) net[i] != 0 -> arrive(i) TAKEN }               \
	:: d_step { net[i] != 0 && losses < LOSS -> losses++; GONE(i) take(i) }               \
	:: d_step { net[i] != 0 && dups < DUP -> dups++; keep = 1; arrive(i) }        \
	:: d_step { WHEN(S_INSIDE, i) net[i] != 0 && hlosses < HLOSS -> hlosses++; lost = 1; arrive(i) TAKEN }

proctype network()
{
end:	do
	SLOT(0) SLOT(1) SLOT(2)
#if N > 3
	SLOT(3)
#endif
#if N > 4
	SLOT(4)
#endif
	od
}

inline start()
{
	acked[0] = OWN(0);
	acked[1] = OWN(1);
	may[0] = WINDOW;
	may[1] = WINDOW;
	edge[0] = MOD(OWN(0) + WINDOW);
	edge[1] = MOD(OWN(1) + WINDOW);
	shown[0] = WINDOW;
	shown[1] = WINDOW;
	seq_end[0] = PEER(0);
	seq_end[1] = PEER(1);
	box_end[0] = OWN(0);
	box_end[1] = PEER(0);
	box_edge[0] = MOD(OWN(0) + WINDOW);
	box_edge[1] = MOD(PEER(0) + WINDOW)
}

init
{
	d_step { start() }
	atomic {
		run tcp(0);
		run tcp(1);
		run applications();
		run anchors();
		run network()
	}
}

#ifdef LTL
active proctype idle()
{
	do
	:: losses <= LOSS
	od
}

#define ALL(e) (una[e] == TOTAL(e) && got[1 - e] == (1 << TOTAL(e)) - 1)
ltl completes { <> (ALL(0) && ALL(1) && mode[0] == DONE && mode[1] == DONE) }
#endif
