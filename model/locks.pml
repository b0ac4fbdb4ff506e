/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on the old path (docs/protocol.md 12.2, 12.3, 12.7, 12.10): five agents
 * in a row and up to three attempts that contend for the subsessions between
 * them.
 *
 *     agent   0 ------ 1 ------ 2 ------ 3 ------ 4
 *     link        0        1        2        3          link i is kept by agent i
 *
 * Aspects present
 *   attempts between any two anchors, also invalid ones (right anchor to the
 *   left, or not there); several in sequence; requests kept, refused, withdrawn;
 *   CANCEL before and after the cut, roll-back agreed to or refused; RELEASE;
 *   leases; one agent that dies for good; L that gives up at any time.
 * Messages
 *   default: what was once sent is delivered any number of times, at any time,
 *     in any order, or never. That is loss, duplication, reordering, delay and
 *     premature repetition without bound, and all late copies.
 *   -DFINITE: delivery takes the message away; at most LOSS are lost and DUP
 *     doubled, and a timer repeats a request when nothing of its attempt is in
 *     flight. For liveness: weak fairness for each attempt (pan -a -f).
 * Simplifying assumptions
 *   The chain has as many hosts after an attempt as before: the locks of the
 *     new path stand in the place of those of the old one (they are LOCKED from
 *     the SYN to RELEASE alike).
 *   A nonce is the attempt's number; nobody forgets one that is over.
 *   A lease runs out only when L has ended or died (three refreshes in a row are
 *     not lost); with -DEARLY_LEASE at any time, and then only agreement of the
 *     anchors and "no foreign unlock" are claimed.
 *   What happens between LOCKED and RELEASE on the new path is one message each
 *     way (CUT and its answer); setup.pml has it in full.
 *   A refused request is tried again (FINITE) with a nonce nobody knows, once no
 *     other request is waiting for its answer: the random wait was long enough.
 *
 * model            core                                 docs/protocol.md
 * lock_at          core/lock.c, LOCK and own wishes     12.3 table, column LOCK
 * owner, pend      lock word of the leg facing right    12.3 UNLOCKED, PENDING, LOCKED
 * kept             core/attempt.h DYSCO_PART_KEPT       12.3 "keep one"
 * over             nonces that ended                    12.2, 12.10
 * ls, rs           core/attempt.h, state of L, R        12.2 to 12.7
 * R_REFUSED        CUT with REFUSED                     12.7 roll-back
 */
#ifndef A
#define A 2 /* attempts */
#endif
#ifndef LOSS
#define LOSS 0
#endif
#ifndef DUP
#define DUP 0
#endif
#define LAST 4 /* agent at the right end */

/* messages of an attempt on a link: a set */
#define LOCK	  1
#define LOCKED	  2
#define NACK	  4
#define CANCEL	  8
#define CANCELLED 16
#define RELEASE	  32
#define RELEASED  64
#define R_REFUSED 128

/* left anchor */
#define L_IDLE	     0
#define L_ASKING     1
#define L_GRANTED    2 /* LOCKED has come */
#define L_CUTTING    3 /* cut made and told */
#define L_TWO	     4
#define L_RELEASING  5
#define L_CANCELLING 6 /* CANCEL sent, never cut */
#define L_UNCUTTING  7 /* CANCEL sent after the cut */
#define L_ENDED	     8

/* right anchor */
#define R_NONE	    0
#define R_REQUESTED 1
#define R_TWO	    2 /* has taken CUT */
#define R_TAKEN	    3 /* and bytes: will not roll back */
#define R_FREED	    4 /* both said DONE */
#define R_ENDED	    5

byte left[A], right[A];
byte ls[A], rs[A];
byte owner[LAST], kept[LAST]; /* attempt + 1; 0: none */
bit pend[LAST];
byte over[5]; /* set of attempts */
byte lapsed[LAST]; /* the same: the lease is over, what still comes is passed on */
byte msg[12]; /* link * A + attempt: set of messages */
byte dead = 255;
byte losses, dups;
bit begun, granted;

#define M(i, a)	    msg[(i) * A + (a)]
#define BIT(a)	    (1 << (a))
#define ALIVE(i)    ((i) != dead)
#define FEASIBLE(a) (left[a] < right[a])
#define OVERLAP(a, b) (left[a] < right[b] && left[b] < right[a])
/* the attempt stands: its outcome is not decided against it */
#define HOLDS(a) (ALIVE(left[a]) && ls[a] >= L_GRANTED && ls[a] != L_RELEASING && ls[a] != L_CANCELLING && \
		  ls[a] != L_ENDED && rs[a] != R_ENDED)
#define R_ACTIVE(a) (rs[a] != R_NONE && rs[a] != R_ENDED)
#define L_WAITS(a)  (ls[a] == L_ASKING)
#define QUIET(a)    (M(0, a) == 0 && M(1, a) == 0 && M(2, a) == 0 && M(3, a) == 0)

#if A == 1
#define R_BUSY(i, a) false
#define OTHERS_WAIT(a) false
#define CONFLICT(a) false
#elif A == 2
#define R_BUSY(i, a) (right[1 - (a)] == (i) && R_ACTIVE(1 - (a)))
#define OTHERS_WAIT(a) L_WAITS(1 - (a))
#define CONFLICT(a) (OVERLAP(a, 1 - (a)) && HOLDS(1 - (a)))
#else
#define O1(a) (((a) + 1) % 3)
#define O2(a) (((a) + 2) % 3)
#define R_BUSY(i, a) ((right[O1(a)] == (i) && R_ACTIVE(O1(a))) || \
		      (right[O2(a)] == (i) && R_ACTIVE(O2(a))))
#define OTHERS_WAIT(a) (L_WAITS(O1(a)) || L_WAITS(O2(a)))
#define CONFLICT(a) ((OVERLAP(a, O1(a)) && HOLDS(O1(a))) || (OVERLAP(a, O2(a)) && HOLDS(O2(a))))
#endif

/* Must-fail variants: each re-opens a hole of the published protocol. */
#define REMEMBER(i, a) over[i] = over[i] | BIT(a)
#ifdef NACK_FORGOTTEN /* hole 33 */
#define REMEMBER_NACK(i, a) skip
#else
#define REMEMBER_NACK(i, a) REMEMBER(i, a)
#endif
#ifdef FOREIGN_UNLOCK /* hole 34 */
#define MINE(i, a) (owner[i] != 0)
#else
#define MINE(i, a) (owner[i] == (a) + 1)
#endif

/* Agent i refuses a. */
inline refuse(i, a)
{
	REMEMBER_NACK(i, a);
	if
	:: i == left[a] -> ls[a] = L_ENDED
	:: else -> M(i - 1, a) = M(i - 1, a) | NACK
	fi
}

/* The lock of link i opens; the kept request is taken as if it came now. */
inline unlock(i, a)
{
	assert(owner[i] == a + 1);
#ifndef EARLY_LEASE
	assert(!HOLDS(a));
#endif
	owner[i] = 0;
	pend[i] = 0;
	if
	:: kept[i] != 0 ->
#ifdef KEPT_NACKED /* hole 37 */
		refuse(i, kept[i] - 1);
#else
		owner[i] = kept[i];
		pend[i] = 1;
		M(i, kept[i] - 1) = M(i, kept[i] - 1) | LOCK;
#endif
		kept[i] = 0
	:: else
	fi
}

/* Nobody has spoken of the owner for long: the lock opens, the kept request comes too early. */
inline lapse(i)
{
#ifndef EARLY_LEASE
	assert(!HOLDS(owner[i] - 1));
#endif
	lapsed[i] = lapsed[i] | BIT(owner[i] - 1);
	owner[i] = 0;
	pend[i] = 0;
	if
	:: kept[i] != 0 ->
		refuse(i, kept[i] - 1);
		kept[i] = 0
	:: else
	fi
}

/* Of the kept request neither. */
inline lapse_kept(i)
{
	refuse(i, kept[i] - 1);
	kept[i] = 0
}

/* LOCK of a comes to agent i, or is its own wish. */
inline lock_at(i, a)
{
	if
	:: over[i] & BIT(a) -> refuse(i, a)
	:: else ->
		if
		:: i == right[a] ->
			if
			:: rs[a] != R_NONE -> M(i - 1, a) = M(i - 1, a) | LOCKED
#ifndef ANCHOR_TRUSTS_LOCKS /* hole 38 */
			:: rs[a] == R_NONE && R_BUSY(i, a) -> refuse(i, a)
#endif
			:: else ->
				assert(!R_BUSY(i, a));
				rs[a] = R_REQUESTED;
				M(i - 1, a) = M(i - 1, a) | LOCKED
			fi
		:: i != right[a] && i == LAST -> refuse(i, a)
		:: i != right[a] && i != LAST && (lapsed[i] & BIT(a)) -> M(i, a) = M(i, a) | LOCK
		:: i != right[a] && i != LAST && !(lapsed[i] & BIT(a)) && i != left[a] &&
		   owner[i] != a + 1 && kept[i] != a + 1 && R_BUSY(i, a) -> refuse(i, a)
		/* a wish of its own does not wait */
		:: i != right[a] && i != LAST && i == left[a] && owner[i] != 0 -> refuse(i, a)
		:: else ->
			if
			:: owner[i] == 0 ->
				owner[i] = a + 1;
				pend[i] = 1;
				M(i, a) = M(i, a) | LOCK
			:: owner[i] == a + 1 -> M(i, a) = M(i, a) | LOCK
			:: owner[i] != 0 && owner[i] != a + 1 && pend[i] && kept[i] == 0 ->
				kept[i] = a + 1
			:: owner[i] != 0 && owner[i] != a + 1 && kept[i] == a + 1
			:: else -> refuse(i, a)
			fi
		fi
	fi
}

/* LOCKED at agent i: the lock is firm, the kept request has lost. */
inline locked_at(i, a)
{
	if
	:: owner[i] == a + 1 && i == left[a] && ls[a] != L_ASKING /* it wants it no more */
	:: owner[i] == a + 1 && (i != left[a] || ls[a] == L_ASKING) ->
		pend[i] = 0;
		if
		:: kept[i] != 0 ->
			refuse(i, kept[i] - 1);
			kept[i] = 0
		:: else
		fi;
		if
		:: i != left[a] -> M(i - 1, a) = M(i - 1, a) | LOCKED
		:: i == left[a] ->
#ifndef EARLY_LEASE
			assert(!CONFLICT(a));
#endif
			ls[a] = L_GRANTED;
			granted = 1
		fi
	:: owner[i] != a + 1 && (over[i] & BIT(a)) -> M(i, a) = M(i, a) | CANCEL
	:: owner[i] != a + 1 && !(over[i] & BIT(a)) && (lapsed[i] & BIT(a)) && i != left[a] ->
		M(i - 1, a) = M(i - 1, a) | LOCKED
	:: else
	fi
}

/* R's last word on a passes agent i: nothing of a remains here. */
inline forget(i, a)
{
	REMEMBER(i, a);
	if
	:: MINE(i, a) -> unlock(i, a)
	:: else
	fi;
	if
	:: kept[i] == a + 1 -> kept[i] = 0
	:: else
	fi
}

inline nack_at(i, a)
{
	if
	:: i != left[a] ->
		forget(i, a);
		M(i - 1, a) = M(i - 1, a) | NACK
	:: i == left[a] && (ls[a] == L_ASKING || ls[a] == L_CANCELLING) ->
		forget(i, a);
		ls[a] = L_ENDED
	:: i == left[a] && ls[a] == L_GRANTED ->
		ls[a] = L_CANCELLING;
		M(i, a) = M(i, a) | CANCEL
	:: i == left[a] && ls[a] == L_CUTTING ->
		ls[a] = L_UNCUTTING;
		M(i, a) = M(i, a) | CANCEL
	:: else
	fi
}

inline cancel_at(i, a)
{
	if
	:: i == right[a] && rs[a] <= R_TWO ->
		rs[a] = R_ENDED;
		REMEMBER(i, a);
		M(i - 1, a) = M(i - 1, a) | CANCELLED
	:: i == right[a] && rs[a] == R_ENDED -> M(i - 1, a) = M(i - 1, a) | CANCELLED
	:: i == right[a] && (rs[a] == R_TAKEN || rs[a] == R_FREED) ->
		M(i - 1, a) = M(i - 1, a) | R_REFUSED
	:: i != right[a] && (over[i] & BIT(a)) -> M(i - 1, a) = M(i - 1, a) | CANCELLED
	:: i != right[a] && i != LAST && !(over[i] & BIT(a)) && kept[i] == a + 1 ->
		kept[i] = 0;
		REMEMBER(i, a);
		M(i - 1, a) = M(i - 1, a) | CANCELLED
	:: i != right[a] && i == LAST && !(over[i] & BIT(a)) /* its LOCK will be refused */
	:: else ->
#ifdef UNLOCK_ON_CANCEL /* hole 30 */
		if
		:: owner[i] == a + 1 -> unlock(i, a)
		:: else
		fi;
#endif
#ifdef BETWEEN_ANSWERS /* hole 36 */
		if
		:: owner[i] != a + 1 -> M(i - 1, a) = M(i - 1, a) | CANCELLED
		:: else -> M(i, a) = M(i, a) | CANCEL
		fi
#else
		M(i, a) = M(i, a) | CANCEL
#endif
	fi
}

/* CANCELLED or RELEASED, which is all one to agents between. */
inline last_word_at(i, a, word)
{
	forget(i, a);
	if
	:: i != left[a] -> M(i - 1, a) = M(i - 1, a) | word
	:: i == left[a] && ls[a] >= L_RELEASING ->
		assert(ls[a] != L_UNCUTTING || !R_ACTIVE(a));
		ls[a] = L_ENDED
	:: else
	fi
}

inline release_at(i, a)
{
	if
	:: i == right[a] ->
		assert(rs[a] >= R_FREED);
		rs[a] = R_ENDED;
		REMEMBER(i, a);
		M(i - 1, a) = M(i - 1, a) | RELEASED
	:: i != right[a] && (over[i] & BIT(a)) -> M(i - 1, a) = M(i - 1, a) | RELEASED
	:: else -> M(i, a) = M(i, a) | RELEASE
	fi
}

inline refused_at(i, a)
{
	if
	:: i != left[a] -> M(i - 1, a) = M(i - 1, a) | R_REFUSED
	:: i == left[a] && ls[a] == L_UNCUTTING -> ls[a] = L_TWO
	:: else
	fi
}

#ifdef FINITE
#define TAKE(i, m) M(i, a) = M(i, a) & (255 - m)
#define LOSE(i)                                                                   \
	:: d_step { losses < LOSS && M(i, a) != 0 -> losses++; M(i, a) = 0 }          \
	:: d_step { dups < DUP && (M(i, a) & LOCK) && ALIVE(i + 1) ->                 \
		    dups++; lock_at(i + 1, a) }                                       \
	:: d_step { dups < DUP && (M(i, a) & NACK) && ALIVE(i) -> dups++; nack_at(i, a) }
/* sent to an agent that is dead */
#define VOID(i)                                                                   \
	:: d_step { !ALIVE(i + 1) && (M(i, a) & (LOCK + CANCEL + RELEASE)) ->         \
		    M(i, a) = M(i, a) & (255 - LOCK - CANCEL - RELEASE) }             \
	:: d_step { !ALIVE(i) && (M(i, a) & (255 - LOCK - CANCEL - RELEASE)) ->       \
		    M(i, a) = M(i, a) & (LOCK + CANCEL + RELEASE) }
#else
#define TAKE(i, m) skip
#define LOSE(i)
#define VOID(i)
#endif

#define TO_RIGHT(i, m, do)                                                        \
	:: d_step { (M(i, a) & m) && ALIVE(i + 1) -> TAKE(i, m); do }
#define TO_LEFT(i, m, do)                                                         \
	:: d_step { (M(i, a) & m) && ALIVE(i) -> TAKE(i, m); do }
#define ON_LINK(i)                                                                \
	TO_RIGHT(i, LOCK, lock_at(i + 1, a))                                          \
	TO_RIGHT(i, CANCEL, cancel_at(i + 1, a))                                      \
	TO_RIGHT(i, RELEASE, release_at(i + 1, a))                                    \
	TO_LEFT(i, LOCKED, locked_at(i, a))                                           \
	TO_LEFT(i, NACK, nack_at(i, a))                                               \
	TO_LEFT(i, CANCELLED, last_word_at(i, a, CANCELLED))                          \
	TO_LEFT(i, RELEASED, last_word_at(i, a, RELEASED))                            \
	TO_LEFT(i, R_REFUSED, refused_at(i, a))                                       \
	LOSE(i)                                                                       \
	VOID(i)

#define UP(a)	(ALIVE(left[a]))
#define OWN(m)	M(left[a], a) = M(left[a], a) | m

#ifndef REPLAY /* tests/agree/replay.pml takes steps of the core */
proctype attempt(byte a)
{
end:	do
	:: d_step { ls[a] == L_IDLE && UP(a) ->
		ls[a] = L_ASKING;
		lock_at(left[a], a) }
	ON_LINK(0) ON_LINK(1) ON_LINK(2) ON_LINK(3)
	/* new path, in short: CUT reaches R, its answer L */
	:: d_step { ls[a] == L_GRANTED && UP(a) && ALIVE(right[a]) -> ls[a] = L_CUTTING }
	:: d_step { (ls[a] == L_CUTTING || ls[a] == L_UNCUTTING) && rs[a] == R_REQUESTED &&
		    ALIVE(right[a]) -> rs[a] = R_TWO }
	:: d_step { rs[a] == R_TWO && ALIVE(right[a]) && ls[a] >= L_CUTTING -> rs[a] = R_TAKEN }
	:: d_step { ls[a] == L_CUTTING && R_ACTIVE(a) && rs[a] >= R_TWO && UP(a) -> ls[a] = L_TWO }
	:: d_step { ls[a] == L_TWO && R_ACTIVE(a) && UP(a) && ALIVE(right[a]) ->
		ls[a] = L_RELEASING;
		rs[a] = R_FREED;
		OWN(RELEASE) }
#ifndef PATIENT
	/* L gives up: asks R; then, when it never cut, goes without an answer */
	:: d_step { (ls[a] == L_ASKING || ls[a] == L_GRANTED) && UP(a) ->
		ls[a] = L_CANCELLING;
		pend[left[a]] = 0;
		OWN(CANCEL) }
	:: d_step { ls[a] == L_CUTTING && UP(a) -> ls[a] = L_UNCUTTING; OWN(CANCEL) }
	:: d_step { (ls[a] == L_CANCELLING || ls[a] == L_RELEASING) && UP(a) ->
		ls[a] = L_ENDED;
		forget(left[a], a) }
#endif
#ifdef FINITE
	:: d_step { QUIET(a) && UP(a) && ls[a] == L_ASKING && owner[left[a]] == a + 1 -> OWN(LOCK) }
	:: d_step { QUIET(a) && UP(a) && (ls[a] == L_CANCELLING || ls[a] == L_UNCUTTING) ->
		OWN(CANCEL) }
	:: d_step { QUIET(a) && UP(a) && ls[a] == L_RELEASING -> OWN(RELEASE) }
#ifdef RETRY
	:: d_step { QUIET(a) && UP(a) && ls[a] == L_ENDED && FEASIBLE(a) && rs[a] == R_NONE &&
		    !OTHERS_WAIT(a) ->
		over[0] = over[0] & (255 - BIT(a));
		over[1] = over[1] & (255 - BIT(a));
		over[2] = over[2] & (255 - BIT(a));
		over[3] = over[3] & (255 - BIT(a));
		over[4] = over[4] & (255 - BIT(a));
		lapsed[0] = lapsed[0] & (255 - BIT(a));
		lapsed[1] = lapsed[1] & (255 - BIT(a));
		lapsed[2] = lapsed[2] & (255 - BIT(a));
		lapsed[3] = lapsed[3] & (255 - BIT(a));
		ls[a] = L_IDLE }
#endif
#endif
	od
}

/* a's owner is no more */
#define GONE(a) (ls[a] == L_ENDED || !ALIVE(left[a]))
#ifdef NO_LEASE /* hole 36 */
#define LEASE_OVER(i) false
#elif defined(EARLY_LEASE)
#define LEASE_OVER(i) (owner[i] != 0 && (GONE(owner[i] - 1) || left[owner[i] - 1] != i))
#else
#define LEASE_OVER(i) (owner[i] != 0 && GONE(owner[i] - 1))
#endif
#define LEASE(i)                                                                  \
	:: d_step { ALIVE(i) && LEASE_OVER(i) -> lapse(i) }                            \
	:: d_step { ALIVE(i) && kept[i] != 0 && GONE(kept[i] - 1) -> lapse_kept(i) }
#define R_LEASE(a)                                                                \
	:: d_step { ALIVE(right[a]) && GONE(a) && R_ACTIVE(a) ->                      \
		    rs[a] = R_ENDED; REMEMBER(right[a], a) }

proctype leases()
{
end:	do
	LEASE(0) LEASE(1) LEASE(2) LEASE(3)
	R_LEASE(0)
#if A > 1
	R_LEASE(1)
#endif
#if A > 2
	R_LEASE(2)
#endif
	od
}

#ifdef CRASH
proctype crash()
{
	if
	:: dead = 0 :: dead = 1 :: dead = 2 :: dead = 3 :: dead = 4 :: true
	fi
}
#endif

#define ORDER(a, b) (left[b] != right[b] && left[a] * 5 + right[a] <= left[b] * 5 + right[b])
#if A == 1
#define DISTINCT true
#elif A == 2
#define DISTINCT ORDER(0, 1)
#else
#define DISTINCT ORDER(0, 1) && ORDER(1, 2)
#endif

/* Anchors: all there are (ANY), or given by -DL0=.. -DR0=.. */
inline choose(a)
{
	select(tmp : 0 .. 3);
	left[a] = tmp;
	select(tmp : 0 .. 4);
	right[a] = tmp;
}

init
{
	byte tmp;
	atomic {
#ifdef ANY
		choose(0);
#if A > 1
		choose(1);
#endif
#if A > 2
		choose(2);
#endif
#else
		left[0] = L0; right[0] = R0;
#if A > 1
		left[1] = L1; right[1] = R1;
#endif
#if A > 2
		left[2] = L2; right[2] = R2;
#endif
#endif
		/* requests that are alike up to their names: one order is enough; R is not L (12.3) */
		if
		:: left[0] != right[0] && DISTINCT ->
			begun = 1;
			tmp = 0;
			run attempt(0);
#if A > 1
			run attempt(1);
#endif
#if A > 2
			run attempt(2);
#endif
			run leases();
#ifdef CRASH
			run crash();
#endif
		:: else
		fi
	}
}

/* No lock, no kept request outlives its owner. */
#define TIDY_LINK(i)                                                              \
	(!ALIVE(i) || ((owner[i] == 0 || !GONE(owner[i] - 1)) &&                      \
		       (kept[i] == 0 || !GONE(kept[i] - 1))))
#define TIDY (TIDY_LINK(0) && TIDY_LINK(1) && TIDY_LINK(2) && TIDY_LINK(3))
#if A == 1
#define SOME_FEASIBLE FEASIBLE(0)
#define NONE_WAITS (!L_WAITS(0))
#elif A == 2
#define SOME_FEASIBLE (FEASIBLE(0) || FEASIBLE(1))
#define NONE_WAITS (!L_WAITS(0) && !L_WAITS(1))
#else
#define SOME_FEASIBLE (FEASIBLE(0) || FEASIBLE(1) || FEASIBLE(2))
#define NONE_WAITS (!L_WAITS(0) && !L_WAITS(1) && !L_WAITS(2))
#endif

#ifdef FINITE
/* Time passes: a run that has come to rest goes on for ever. */
active proctype idle()
{
	do
	:: losses <= LOSS
	od
}
#endif

#ifdef LTL_TIDY
ltl tidy { <>[] TIDY }
#endif
#ifdef LTL_GRANT
ltl grant { <> (granted || (begun && !SOME_FEASIBLE)) }
#endif
#ifdef LTL_ANSWER
ltl answer { <>[] NONE_WAITS }
#endif
#endif
