/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reconfigurations beside and after one another (docs/protocol.md 12.1, 12.3,
 * 12.5, 12.6): host M is the right anchor of one attempt and the left anchor of
 * the next, both at once in two paths; a third attempt then leaves M out.
 *
 *      A ===0 old, adds D1===  M  ===2 old, adds D2=== B       attempt 0: A to M
 *       \===1 new============/ \===3 new============/          attempt 1: M to B
 *        \=======================4 new=============/           attempt 2: A to B
 *
 * Aspects present
 *   U bytes from A to B and their acknowledgements, one number each, modulo 16 and
 *   starting below the wrap; the boxes of the old paths and M's own (DM) change the
 *   numbers; cuts at any moment, each attempt or none, in any order and overlapping;
 *   M's two roles lag behind one another; LOCK of attempt 2 adds up what the legs
 *   and boxes of that moment add; floors of both generations; tombstones; late
 *   segments of every path; LOSS lost, DUP doubled, any order.
 * Simplifying assumptions
 *   One direction (the other is the same with names exchanged), no windows, no FIN:
 *   these are in twopaths.pml. At most N segments in flight (what is too
 *   much is lost), equal ones are one.
 *   M passes bytes and acknowledgements on at once. Locks are kept as locks.pml says:
 *   LOCK of attempt 2 is refused while an anchor on its way is in two paths.
 *
 * model          core                                         docs/protocol.md
 * c, p           core/twopath.h dysco_two cut, peer_cut       12.5
 * OUT, IN        datapath/leg.h offsets seq_out, seq_in       12.1
 * offset         core/lock.c, NUMBERS of LOCK                 12.1, 12.3
 * onward, back   core/relay.c, core/twopath.c                 12.5
 * lm, rm         core/attempt.h, one record for each role     12.2
 */
#ifndef U
#define U 2
#endif
#ifndef LOSS
#define LOSS 0
#endif
#ifndef DUP
#define DUP 0
#endif
#ifndef N
#define N 4
#endif
#define D1 5
#define DM 2
#define D2 12

/* Steps that tests/agree wants taken, `what` of `who`; else any may be. */
#ifdef REPLAY
#define WHEN(x, i) what == x && who == i &&
#define TAKEN	   ; what = 0
#else
#define WHEN(x, i)
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
/* number of the first byte at A, at M towards A, at M towards B, at B */
#define AT_A  14
#define AT_ML 3	/* 14 + D1 */
#define AT_MR 5	/* + DM */
#define AT_B  1	/* + D2 */
#define BASE(i) (9 + (i))

#define ONE	0
#define CUTTING 1
#define TWO	2
#define DONE	3
byte lm[3], rm[3];    /* mode of the left, right anchor */
byte c[3], p[3];      /* cut: at the left anchor, at the right one */
bit lsaid[3], rsaid[3];
byte acked[3];	      /* left anchor: highest acknowledgement seen */
byte passed[3];	      /* right anchor: highest acknowledgement passed on */
byte told[3];	      /* ... sent on the old path */
byte sent_m;	      /* highest end that M has passed on */
bit locked;	      /* attempt 2 has LOCKED */
byte offset;	      /* that it was told */

byte nxt, una, got;
bit owe;
short net[N]; /* path, direction, number, place in the stream */
byte losses, dups;

hidden byte n, m, k, path, place;
hidden short t, t2;

#define GOT  (((got & 1) != 0) + ((got & 3) == 3) + (got == 7))
#define ROOM (net[N - 2] == 0)
#define OUT(i) MOD(BASE(i) - c[i]) /* what the new legs add */
#define IN(i)  MOD(p[i] - BASE(i))
#define SEG(path, left, number, place) (256 + 512 * (path) + 128 * (left) + 8 * (number) + (place))

inline put(code)
{
	t = code;
	k = 0;
	do
	:: k < N && net[k] > t -> k++
	:: k < N && net[k] < t -> t2 = net[k]; net[k] = t; t = t2; k++
	:: k >= N || net[k] == t -> break
	od;
	k = 0
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

/* A byte n, left anchor i: the path it takes, or 9: it lies below the floor. */
#ifdef ONE_ROLE /* hole 43: M has one state for both its sides */
#define LMODE(i) ((i) == 1 && rm[0] == DONE && lm[1] != ONE -> DONE : lm[i])
#else
#define LMODE(i) lm[i]
#endif
#ifdef NO_FLOOR /* hole 23 */
#define BELOW(i) (2 * (i) + 1)
#else
#define BELOW(i) 9
#endif
#define TAKES(i) (LMODE(i) == ONE -> 2 * (i) :                                    \
		  (!AFTER(c[i], n) -> 2 * (i) + 1 : (LMODE(i) == DONE -> BELOW(i) : 2 * (i))))

/* Byte n, in numbers of the left anchor i, on its path. */
inline emit(i, way)
{
	if
	:: way == 1 || way == 3 || way == 4 ->
		assert(!AFTER(c[i], n)); /* no box of a new path sees a number below its base */
		put(SEG(way, 0, MOD(n + OUT(i)), place))
	:: else -> put(SEG(way, 0, n, place))
	fi
}

/* Acknowledgement n, in numbers of the right anchor i, leftward on its paths. */
inline back(i, old, new)
{
	passed[i] = MAX(n, passed[i]);
	if
	:: rm[i] == ONE -> put(SEG(old, 1, n, 0))
	:: rm[i] == TWO ->
		if
		:: !AFTER(n, p[i]) || AFTER(p[i], told[i]) ->
			told[i] = MIN(n, p[i]);
			put(SEG(old, 1, told[i], 0))
		:: else
		fi;
		if
		:: AFTER(n, p[i]) -> put(SEG(new, 1, MOD(n - IN(i)), 0))
		:: else
		fi
	/* with one path as it is: what M passes on late may lie below the base */
	:: rm[i] == DONE -> put(SEG(new, 1, MOD(n - IN(i)), 0))
	fi
}

/* The anchor i has seen acknowledgement n of its own bytes on `way`. */
inline seen(i)
{
	acked[i] = MAX(n, acked[i])
}

/* B acknowledges on the chain by M: what M passes on goes on to A. */
inline m_back()
{
	n = MOD(n - DM);
	back(0, 0, 1)
}

/* M passes byte n on, or answers for it when it lies below M's floor. */
inline m_onward()
{
	n = MOD(n + DM);
	assert(n == MOD(AT_MR + place));
	sent_m = MAX(MOD(n + 1), sent_m);
	m = TAKES(1);
	if
	:: m == 9 -> n = acked[1]; m_back()
	:: else -> emit(1, m)
	fi
}

inline b_takes()
{
	assert(n == MOD(AT_B + place)); /* at its place in the stream */
	got = got | (1 << place);
	owe = 1
}

/* A's own: nothing is acknowledged that did not arrive at B. */
inline a_acked()
{
	m = MOD(n - AT_A);
	assert(m > 8 || m <= GOT);
	una = (m <= 8 && m > una -> m : una)
}

inline arrive(i)
{
	path = (net[i] - 256) / 512;
	k = ((net[i] - 256) / 128) % 4;
	n = ((net[i] - 256) / 8) % 16;
	place = (net[i] - 256) % 8;
	SAY4("@arrive %d %d %d %d\n", (path == 4 -> 5 : path), k, place, 1 - k)
	if
	:: k == 0 && path == 0 && rm[0] != DONE -> n = MOD(n + D1); take(i); m_onward()
	:: k == 0 && path == 1 && rm[0] >= TWO -> n = MOD(n + IN(0)); take(i); m_onward()
	:: k == 0 && path == 2 && rm[1] != DONE && rm[2] != DONE -> n = MOD(n + D2); take(i); b_takes()
	:: k == 0 && path == 3 && rm[1] >= TWO && rm[2] != DONE -> n = MOD(n + IN(1)); take(i); b_takes()
	:: k == 0 && path == 4 && rm[2] >= TWO -> n = MOD(n + IN(2)); take(i); b_takes()
	:: k == 1 && path == 0 && lm[0] != DONE && lm[2] != DONE ->
		n = MOD(n - D1);
		take(i);
		seen(0);
		seen(2);
		a_acked()
	:: k == 1 && path == 1 && lm[0] >= TWO && lm[2] != DONE ->
		n = MOD(n - OUT(0));
		take(i);
		if
		:: n == c[0] && lm[0] == TWO /* says nothing */
		:: else ->
			seen(0);
			seen(2);
			a_acked()
		fi
	:: k == 1 && path == 2 && lm[1] != DONE -> n = MOD(n - D2); take(i); seen(1); m_back()
	:: k == 1 && path == 3 && lm[1] >= TWO ->
		n = MOD(n - OUT(1));
		take(i);
		if
		:: n == c[1] && lm[1] == TWO
		:: else -> seen(1); m_back()
		fi
	:: k == 1 && path == 4 && lm[2] >= TWO ->
		n = MOD(n - OUT(2));
		take(i);
		if
		:: n == c[2] && lm[2] == TWO
		:: else -> seen(2); a_acked()
		fi
	:: else -> take(i) /* before the peer's cut is known, or a tombstone's */
	fi
}

/* A sends the byte at its place `place`; its own floors answer for what lies below. */
inline a_sends()
{
	n = MOD(AT_A + place);
	m = (lm[2] != ONE && !AFTER(c[2], n) -> 4 : (lm[2] == DONE -> 9 : TAKES(0)));
	if
	:: m == 9 -> n = (lm[2] == DONE -> acked[2] : acked[0]); a_acked()
	:: m == 4 -> emit(2, 4)
	:: else -> emit(0, m)
	fi
}

inline b_acks()
{
	owe = 0;
	n = MOD(AT_B + GOT);
	m = n;
	passed[2] = MAX(n, passed[2]);
	if
	:: rm[2] == ONE -> back(1, 2, 3)
	:: rm[2] == TWO ->
		if
		:: AFTER(m, p[2]) -> put(SEG(4, 1, MOD(m - IN(2)), 0))
		:: else
		fi;
		if
		:: !AFTER(m, p[2]) || AFTER(p[2], told[2]) ->
			told[2] = MIN(m, p[2]);
			n = told[2];
			back(1, 2, 3)
		:: else
		fi
	:: else -> put(SEG(4, 1, MOD(m - IN(2)), 0))
	fi
}

#ifdef LTL
#define RTO (net[0] == 0 && !owe)
#else
#define RTO true
#endif
#define ROOM_3 (net[N - 3] == 0)

proctype a()
{
end:	do
	:: d_step { WHEN(S_NEW, 0) ROOM && nxt < U -> SAY1("@new %d\n", 0) place = nxt; nxt++; a_sends() TAKEN }
	:: d_step { WHEN(S_AGAIN, 0) ROOM && RTO && una < nxt -> SAY1("@again %d\n", 0) place = una; a_sends() TAKEN }
	od
}

proctype b()
{
end:	do
	:: d_step { WHEN(S_ACK, 0) ROOM_3 && owe -> b_acks() TAKEN }
	od
}

#define GONE(i) SAY4("@lose %d %d %d %d\n", ((net[i] - 256) / 512 == 4 -> 5 : (net[i] - 256) / 512), ((net[i] - 256) / 128) % 4, (net[i] - 256) % 8, 1 - ((net[i] - 256) / 128) % 4)
#define SLOT(i)                                                                   \
	:: d_step { WHEN(S_ARRIVES, i) net[i] != 0 -> arrive(i) TAKEN }               \
	:: d_step { net[i] != 0 && losses < LOSS -> losses++; GONE(i) take(i) }               \
	:: d_step { net[i] != 0 && ROOM_3 && dups < DUP ->                            \
		    dups++; SAY1("@copy %d\n", 0) t2 = net[i]; arrive(i); put(t2) }

proctype network()
{
end:	do
	SLOT(0) SLOT(1) SLOT(2)
#if N > 3
	SLOT(3)
#endif
	od
}

/* ---- the attempts ---- */
#define QUIET(i) ((lm[i] == ONE && rm[i] == ONE) || (lm[i] == DONE && rm[i] == DONE))
#ifdef LOCK_IN_TWO_PATHS /* hole 38 */
#define LOCKABLE true
#else
#define LOCKABLE (QUIET(0) && QUIET(1))
#endif
#ifdef LEGS_NOT_COUNTED /* hole 42 */
#define ADDS_OUT(i, box) (lm[i] == DONE -> 0 : (box))
#define ADDS_IN(i) 0
#else
#define ADDS_OUT(i, box) (lm[i] == DONE -> OUT(i) : (box))
#define ADDS_IN(i) (rm[i] == DONE -> IN(i) : 0)
#endif
#ifdef CUT_UNTRANSLATED /* hole 58 */
#define PEER_CUT(i, o) c[i]
#else
#define PEER_CUT(i, o) MOD(c[i] + (o))
#endif

/* R's DONE stands for the acknowledgement of all below the cut: L's host is told. */
#define HEARS(i)                                                                  \
	:: d_step { WHEN(S_LEFT_HEARS, i) ROOM_3 && lm[i] == TWO && rsaid[i] && AFTER(c[i], acked[i]) -> \
		    n = c[i];                                                         \
		    seen(i);                                                          \
		    if                                                                \
		    :: i == 1 -> m_back()                                             \
		    :: else -> seen(2); a_acked()                                     \
		    fi TAKEN }

#define ATTEMPT(i, go, number, o)                                                 \
	:: d_step { WHEN(S_LEFT_CUTS, i) lm[i] == ONE && go ->                        \
		    SAY1("@left_cuts %d\n", i) lm[i] = CUTTING; c[i] = number; acked[i] = MIN(acked[i], c[i]) TAKEN } \
	:: d_step { WHEN(S_RIGHT_CUTS, i) lm[i] >= CUTTING && rm[i] == ONE ->         \
		    SAY1("@right_cuts %d\n", i) rm[i] = TWO; p[i] = PEER_CUT(i, o); told[i] = MIN(passed[i], p[i]) TAKEN } \
	:: d_step { WHEN(S_LEFT_TWO, i) lm[i] == CUTTING && rm[i] >= TWO -> SAY1("@left_two %d\n", i) lm[i] = TWO TAKEN } \
	:: d_step { WHEN(S_LEFT_SAYS, i) lm[i] == TWO && !lsaid[i] && !AFTER(c[i], acked[i]) -> lsaid[i] = 1 TAKEN } \
	:: d_step { WHEN(S_RIGHT_SAYS, i) rm[i] == TWO && !rsaid[i] && !AFTER(p[i], passed[i]) -> rsaid[i] = 1 TAKEN } \
	HEARS(i)                                                                      \
	:: d_step { WHEN(S_LEFT_DONE, i) lm[i] == TWO && lsaid[i] && rsaid[i] -> SAY1("@left_done %d\n", i) lm[i] = DONE TAKEN } \
	:: d_step { WHEN(S_RIGHT_DONE, i) rm[i] == TWO && lsaid[i] && rsaid[i] ->     \
		    SAY1("@right_done %d\n", i) rm[i] = DONE; told[i] = 0 TAKEN }

proctype attempts()
{
end:	do
#ifndef WITHOUT_0
	ATTEMPT(0, !locked, MOD(AT_A + nxt), D1)
#endif
#ifndef WITHOUT_1
	ATTEMPT(1, !locked, sent_m, D2)
#endif
#ifndef WITHOUT_2
	ATTEMPT(2, locked, MOD(AT_A + nxt), offset)
	:: d_step { WHEN(S_LOCKED, 2) !locked && LOCKABLE ->
		SAY1("@lock %d\n", 2)
		locked = 1;
		offset = MOD(ADDS_OUT(0, D1) + ADDS_IN(0) + DM + ADDS_OUT(1, D2) + ADDS_IN(1)) TAKEN }
#endif
	od
}

inline start()
{
	acked[0] = AT_A;
	acked[1] = AT_MR;
	acked[2] = AT_A;
	passed[0] = AT_ML;
	passed[1] = AT_B;
	passed[2] = AT_B;
	sent_m = AT_MR
}

init
{
	d_step { start() }
	atomic {
		run a();
		run b();
		run network();
		run attempts()
	}
}

#ifdef LTL
active proctype idle()
{
	do
	:: losses <= LOSS
	od
}

#define OVER(i) (lm[i] == ONE || (lm[i] == DONE && rm[i] == DONE))
ltl completes { <>[] (una == U && OVER(0) && OVER(1) && OVER(2)) }
#endif
