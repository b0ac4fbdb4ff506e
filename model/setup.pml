/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From LOCKED to DONE (docs/protocol.md 12.4 to 12.7, 12.10): one attempt, its
 * two anchors, a box on the new path, the old path with its control session,
 * and the ends of the session, which may close or reset it at any time.
 *
 *          r1 ->         r2 ->
 *      L --------- box --------- R        new path
 *          <- l2         <- l1
 *      L ----------------------- R        old path and control session: down ->, <- up
 *
 * Aspects present
 *   SYN, SYN-ACK, ACK, opening ACK, READY, CUT on both paths, one byte each way on
 *   the new path (x from L's host, y from R's) with its acknowledgement, DONE;
 *   CANCEL, roll-back agreed to or refused, R's lease, answers about a nonce that
 *   is over; RST of either host in each state, end of the session before the cut;
 *   R's agent that dies; a box that is transparent (BOX 0), renumbers (1), or
 *   terminates sessions and acknowledges by itself (2). All timers are free.
 * Messages
 *   default: what was once sent is delivered any number of times, in any order, or
 *     never. -DFINITE: delivery takes it away, LOSS are lost, requests are repeated
 *     when nothing is in flight, an opening ACK travels with the SYN-ACK; for liveness
 *     with weak fairness (pan -a -f).
 * Simplifying assumptions
 *   One nonce: late messages of others are in locks.pml, by number.
 *   Agents between pass the control messages on; what they lock is in locks.pml.
 *   The old path's data is not here: twopaths.pml. RELEASE: locks.pml.
 *   A box's RST or an ICMP error is the timer of L that fires.
 *
 * model              core                                     docs/protocol.md
 * ls, rs             core/attempt.h enum dysco_attempt_state  12.4 to 12.7
 * L_UNCUTTING        DYSCO_ATTEMPT_CANCELLING after the cut   12.7 roll-back
 * refused            R's word, DYSCO_ATTEMPT_TAKEN            12.7 roll-back
 * l_*, r_*           core/anchor.c, core/newpath.c            12.4 to 12.7
 * answers of R_OLD   nonces that ended                        12.10
 * box                -                                        12.4, 11 (renumbers)
 */
#ifndef BOX
#define BOX 0
#endif
#ifndef LOSS
#define LOSS 0
#endif

/* left anchor; all from L_TWO to L_NEW have used the new path for good */
#define L_SETTING_UP 0
#define L_PROVING    1
#define L_CANCELLING 2
#define L_CUTTING    3
#define L_UNCUTTING  4
#define L_TWO	     5
#define L_DONE	     6
#define L_NEW	     7
#define L_OLD	     8 /* the attempt is over, the old path is the session's */
#define L_RESET	     9 /* the session is over */
/* right anchor */
#define R_REQUESTED 0
#define R_WAITING   1
#define R_READY	    2
#define R_TWO	    3
#define R_DONE	    4
#define R_NEW	    5
#define R_OLD	    6
#define R_RESET	    7

/* segments of the new path */
#define SYN    1 /* SYN, SYN-ACK */
#define ACK    2 /* rightward: third ACK; leftward: opening ACK */
#define CUT    4
#define DATA   8
#define DACK   16 /* acknowledges the other side's byte */
#define RST    32
/* control session, rightward (down) and leftward (up); SRST: RST of the session on the old path */
#define CANCEL	  1
#define OCUT	  2
#define DONE	  4
#define SRST	  8
#define CANCELLED 16
#define READY	  32
#define REFUSED	  64 /* CUT, flag REFUSED */
#define EXPIRED	  128 /* NACK(expired) */
#define NACK	  1 /* upward: for another reason */

byte r1 = SYN, r2, l1, l2, down, up;
byte ls, rs;
bit synacked, ready, opened; /* L: SYN-ACK, READY, opening ACK have come */
bit refused, taken;	     /* R */
bit cut;		     /* L has made its cut, once */
bit x_at_r, y_at_l;
bit reset_by_l, reset_by_r, reset_at_l, reset_at_r; /* hosts that sent RST, hosts that were given one */
bit cut_in; /* R: L's CUT came before its ACK */
bit box_open, box_synack, box_window; /* box_window: R's, shown by its opening ACK */
bit box_acked; /* L's window, shown by its ACK */
bit r_dead, over;
byte losses;

#define SEND(set, m) set = set | (m)
#define L_USES_NEW  (ls >= L_TWO && ls <= L_NEW)
#define R_USES_NEW  (rs >= R_TWO && rs <= R_NEW)
#define X_WAITS	    ((ls == L_CUTTING || ls == L_UNCUTTING || L_USES_NEW) && !x_at_r)
#define Y_WAITS	    (R_USES_NEW && !y_at_l)
#define IN_FLIGHT   (r1 != 0 || r2 != 0 || l1 != 0 || l2 != 0 || down != 0 || up != 0)

#ifdef FINITE
#define TAKE(set, m) set = set & (255 - (m))
#else
#define TAKE(set, m) skip
#endif
#ifdef REPLAY /* tests/agree/setup.pml says what comes, where, and what somebody does */
#define ON(set, m, do) :: d_step { spot == AT_##set && what == (m) && (set & (m)) -> do; spot = 0 }
#define MAY(name, cond, do) :: d_step { spot == AT_nothing && what == name && (cond) -> do; spot = 0 }
#else
#define ON(set, m, do) :: d_step { (set & (m)) -> TAKE(set, m); do }
#define MAY(name, cond, do) :: d_step { cond -> do }
#endif

/* ---- left anchor ---- */
inline l_cancel()
{
	ls = L_CANCELLING;
	SEND(down, CANCEL);
	SEND(r1, RST)
}

inline l_uncut()
{
	ls = L_UNCUTTING;
#ifdef RST_AT_ROLL_BACK /* hole 46 */
	SEND(r1, RST);
#endif
	SEND(down, CANCEL)
}

/* R's word: rolled back */
inline l_old()
{
	assert(!cut || !R_USES_NEW);
	ls = L_OLD;
	SEND(r1, RST)
}

#ifdef ACKED_ONCE /* hole 28 */
#define L_ACKS_AGAIN skip
#else
#define L_ACKS_AGAIN SEND(r1, ACK)
#endif
inline l_prove()
{
	if
#ifdef NO_OPENING /* hole 19 */
	:: ls == L_PROVING && ready ->
#else
	:: ls == L_PROVING && ready && opened ->
#endif
#ifndef NUMBERS_UNCHECKED /* hole 5 */
		if
		:: BOX != 0 -> l_cancel()
		:: else ->
#endif
			ls = L_CUTTING;
			cut = 1;
			SEND(r1, CUT);
			SEND(down, OCUT)
#ifndef NUMBERS_UNCHECKED
		fi
#endif
	:: else
	fi
}

inline l_synack()
{
	if
#ifdef LATE_SYNACK_TAKEN /* hole 29 */
	:: ls == L_SETTING_UP || ls == L_CANCELLING ->
#else
	:: ls == L_SETTING_UP ->
#endif
		ls = L_PROVING;
		synacked = 1;
#ifdef FINITE
		opened = 1;
#endif
		SEND(r1, ACK);
		l_prove()
	:: ls == L_PROVING || ls == L_CUTTING -> L_ACKS_AGAIN
	:: ls >= L_OLD || ls == L_CANCELLING -> SEND(r1, RST)
	:: else
	fi
}

inline l_cut()
{
	if
	:: ls == L_CUTTING ->
		assert(rs != R_OLD);
		ls = L_TWO
#ifdef REFUSAL_LIKE_CUT /* hole 31 */
	:: ls == L_UNCUTTING ->
		assert(rs != R_OLD);
		ls = L_TWO
#endif
	:: ls == L_OLD || ls == L_RESET -> SEND(down, EXPIRED)
	:: else
	fi
}

/* The session ends under L, by a RST from its host or from the old path. */
inline l_reset()
{
	if
	:: ls <= L_PROVING ->
#ifdef SILENT_END /* hole 47 */
		ls = L_RESET
#else
		SEND(r1, RST);
		SEND(down, CANCEL);
		ls = L_RESET
#endif
	:: ls == L_CANCELLING || ls == L_OLD -> ls = L_RESET
	:: else ->
		SEND(r1, RST);
		ls = L_RESET
	fi
}

active proctype L()
{
end:	do
	/* new path; nothing of it is taken while L asks R to roll back */
	ON(l2, SYN, l_synack())
	ON(l2, ACK, if :: ls == L_PROVING -> opened = 1; l_prove() :: else fi)
	ON(l2, CUT, l_cut())
	ON(l2, DATA,
		if
		:: L_USES_NEW -> y_at_l = 1; SEND(r1, DACK)
		:: else
		fi)
	ON(l2, DACK, if :: L_USES_NEW -> assert(x_at_r) :: else fi)
	ON(l2, RST,
		if
		:: ls <= L_PROVING -> l_cancel()
		:: L_USES_NEW ->
			assert(reset_by_r);
			reset_at_l = 1;
			SEND(down, SRST);
			ls = L_RESET
		:: else
		fi)
	/* control session and old path */
	ON(up, READY,
		if
		:: ls <= L_PROVING -> ready = 1; l_prove()
		:: ls == L_OLD || ls == L_RESET -> SEND(down, CANCEL)
		:: else
		fi)
	ON(up, OCUT, l_cut())
	ON(up, REFUSED,
		if
		:: ls == L_UNCUTTING ->
			assert(R_USES_NEW || rs == R_RESET);
			ls = L_TWO
		:: else
		fi)
	ON(up, CANCELLED, if :: ls == L_CANCELLING || ls == L_UNCUTTING -> l_old() :: else fi)
	ON(up, NACK,
		if
		:: ls <= L_PROVING -> l_cancel()
		:: ls == L_CUTTING -> l_uncut()
		:: else
		fi)
	ON(up, EXPIRED,
		if
		:: ls <= L_PROVING -> l_cancel()
		:: ls == L_CUTTING -> l_uncut()
		:: ls == L_CANCELLING || ls == L_UNCUTTING -> l_old()
		:: else
		fi)
	ON(up, DONE,
		if
		:: ls == L_DONE -> ls = L_NEW
		:: ls == L_NEW -> SEND(down, DONE)
		:: ls == L_OLD || ls == L_RESET -> SEND(down, EXPIRED)
		:: else
		fi)
	ON(up, SRST,
		if
		:: ls != L_RESET -> reset_at_l = 1; l_reset()
		:: else
		fi)
	/* host and timers */
#ifndef FINITE
	MAY(X_SENT, X_WAITS, SEND(r1, DATA))
#endif
	MAY(L_SAYS_DONE, ls == L_TWO, ls = L_DONE; SEND(down, DONE))
#ifndef PATIENT
	MAY(L_CANCELS, ls <= L_PROVING, l_cancel())
#ifdef ROLL_BACK_ALONE /* hole 31 */
	:: d_step { ls == L_CUTTING -> l_old() }
#endif
	MAY(L_ROLLS_BACK, ls == L_CUTTING, l_uncut())
	/* nobody answers, and nothing was cut */
	MAY(L_GIVES_UP, ls == L_CANCELLING, ls = L_OLD)
#endif
#ifdef RESETS
	MAY(L_RESETS, ls != L_RESET && !reset_by_l, reset_by_l = 1; SEND(down, SRST); l_reset())
#endif
#ifdef CLOSES
	/* both FINs have passed on the old path */
	:: d_step { !over && ls <= L_PROVING -> over = 1; l_cancel() }
#endif
	od
}

/* ---- right anchor ---- */
#ifdef BARE_ACK_OPENS /* hole 30 */
#define OPENS rs = R_TWO
#else
#define OPENS rs = R_READY
#endif

#ifdef FINITE /* the opening ACK travels with the SYN-ACK */
#define R_OPENS skip
#else
#define R_OPENS SEND(l1, ACK)
#endif

inline r_two()
{
	assert(ls != L_OLD);
	rs = R_TWO;
	SEND(l1, CUT);
	SEND(up, OCUT)
}

inline r_syn()
{
	rs = R_WAITING;
	SEND(l1, SYN);
	R_OPENS;
	SEND(up, READY)
}

/* L's ACK */
inline r_seen()
{
	if
	:: rs == R_WAITING && cut_in -> r_two()
	:: rs == R_WAITING && !cut_in -> OPENS; R_OPENS; SEND(up, READY)
	:: rs == R_READY -> R_OPENS; SEND(up, READY)
	:: else
	fi
}

inline r_cut()
{
	if
#ifdef CUT_UNPROVED /* hole 19, the other way: its boxes may never have seen L's window */
	:: rs == R_WAITING -> r_two()
#else
	:: rs == R_WAITING -> cut_in = 1
#endif
	:: rs == R_READY -> r_two()
	:: rs == R_TWO || rs == R_DONE || rs == R_NEW -> SEND(l1, CUT); SEND(up, OCUT)
	:: rs == R_OLD -> SEND(up, EXPIRED)
	:: else -> SEND(up, SRST)
	fi
}

#ifdef SILENT_END /* hole 47: nor does R's agent tell the box */
#define R_RESETS_PATH skip
#else
#define R_RESETS_PATH SEND(l1, RST)
#endif
inline r_cancel()
{
	if
	:: rs <= R_READY -> rs = R_OLD; SEND(up, CANCELLED); R_RESETS_PATH
	:: (rs == R_TWO || rs == R_DONE) && !taken && !refused ->
		assert(!L_USES_NEW);
		rs = R_OLD;
		SEND(up, CANCELLED);
		R_RESETS_PATH
	:: ((rs == R_TWO || rs == R_DONE) && (taken || refused)) || rs == R_NEW ->
		refused = 1;
		SEND(up, REFUSED)
	:: rs == R_OLD || rs == R_RESET -> SEND(up, CANCELLED)
	fi
}

inline r_reset()
{
	if
	:: rs == R_WAITING || rs == R_READY || R_USES_NEW -> SEND(l1, RST)
	:: else
	fi;
	rs = R_RESET
}

active proctype R()
{
end:	do
	ON(r2, SYN,
		if
		:: rs == R_REQUESTED && !over -> r_syn()
		:: rs == R_WAITING -> r_syn()
		:: rs == R_OLD || rs == R_RESET || (rs == R_REQUESTED && over) -> SEND(l1, RST)
		:: else
		fi)
	ON(r2, ACK, r_seen())
	ON(r2, CUT, r_cut())
	ON(down, OCUT, r_cut())
	ON(r2, DATA,
		if
		:: R_USES_NEW -> x_at_r = 1; taken = 1; SEND(l1, DACK)
		:: else /* sooner than the CUT: dropped */
		fi)
	ON(r2, DACK,
		if
		:: R_USES_NEW -> assert(y_at_l); taken = 1
		:: else
		fi)
	ON(r2, RST,
		if
		:: rs == R_WAITING || rs == R_READY -> rs = R_OLD; SEND(up, NACK)
		:: R_USES_NEW ->
			assert(reset_by_l);
			reset_at_r = 1;
			rs = R_RESET
		:: else
		fi)
	ON(down, CANCEL, r_cancel())
	ON(down, DONE,
		if
		:: rs == R_DONE -> rs = R_NEW
		:: rs == R_NEW -> SEND(up, DONE)
		:: else
		fi)
	/* L knows the attempt as failed: its session was reset */
	ON(down, EXPIRED,
		if
		:: R_USES_NEW -> assert(ls == L_RESET); r_reset()
		:: else
		fi)
	ON(down, SRST,
		if
		:: rs != R_RESET -> reset_at_r = 1; r_reset()
		:: else
		fi)
#ifndef FINITE
	MAY(Y_SENT, Y_WAITS, SEND(l1, DATA))
	/* a late copy, from before all this */
	MAY(LOCK_COMES, rs == R_OLD, SEND(up, EXPIRED))
#endif
	MAY(R_SAYS_DONE, rs == R_TWO, rs = R_DONE; SEND(up, DONE))
#ifndef PATIENT
	/* L's CUT has come by the old path, again and again, and nothing by the new one */
	MAY(R_REFUSES, rs == R_WAITING && cut_in, rs = R_OLD; SEND(up, NACK))
	/* lease */
	MAY(R_LAPSES, rs <= R_READY, rs = R_OLD; SEND(l1, RST))
#endif
#ifdef RESETS
	MAY(R_RESETS, rs != R_RESET && !reset_by_r, reset_by_r = 1; SEND(up, SRST); r_reset())
#endif
#ifdef CRASH
	:: atomic { r_dead = 1; break }
#endif
	od
}

/* ---- box and network ---- */
#define PASS(from, to, m, do) ON(from, m, do; SEND(to, m))

active proctype box()
{
end:	do
#if BOX == 2
	ON(r1, SYN, SEND(l2, SYN); SEND(r2, SYN))
	ON(r1, ACK, SEND(l2, ACK))
	ON(r1, DATA, SEND(l2, DACK); SEND(r2, DATA))
	ON(r1, DACK, skip)
	ON(l1, SYN, SEND(r2, ACK))
	ON(l1, ACK, SEND(l2, ACK))
	ON(l1, DATA, SEND(r2, DACK); SEND(l2, DATA))
	ON(l1, DACK, skip)
#else
	PASS(r1, r2, SYN, box_open = 1)
	PASS(r1, r2, ACK, box_acked = 1)
	/* only within the window that the opening ACK has shown it */
	PASS(r1, r2, DATA, assert(box_window))
	PASS(r1, r2, DACK, skip)
#ifdef FINITE
	PASS(l1, l2, SYN, box_synack = 1; box_window = 1)
#else
	PASS(l1, l2, SYN, box_synack = 1)
#endif
#ifdef OPENING_OVERTAKES /* hole 19: a box that has no SYN-ACK takes no window */
	PASS(l1, l2, ACK, box_window = box_window || box_synack)
#else
	/* before the SYN-ACK its agent drops it */
	ON(l1, ACK, if :: box_synack -> box_window = 1; SEND(l2, ACK) :: else fi)
#endif
	PASS(l1, l2, DATA, assert(box_acked))
	PASS(l1, l2, DACK, skip)
#endif
	PASS(r1, r2, CUT, skip)
	PASS(l1, l2, CUT, skip)
	PASS(r1, r2, RST, box_open = 0)
	PASS(l1, l2, RST, box_open = 0)
#ifdef FINITE
	:: d_step { losses < LOSS && r2 != 0 -> losses++; r2 = 0 }
	:: d_step { losses < LOSS && l2 != 0 -> losses++; l2 = 0 }
	:: d_step { losses < LOSS && down != 0 -> losses++; down = 0 }
	:: d_step { losses < LOSS && up != 0 -> losses++; up = 0 }
	:: d_step { r_dead && (r2 != 0 || down != 0) -> r2 = 0; down = 0 }
#endif
	od
}

#ifdef FINITE
/* Nothing is in flight or to be done: whatever waits for an answer asks again, hosts too. */
#define AGAIN(cond, do) if :: cond -> do :: else fi
active proctype timers()
{
end:	do
	:: d_step { !IN_FLIGHT && ls != L_TWO && (rs != R_TWO || r_dead) ->
		AGAIN(ls == L_SETTING_UP, SEND(r1, SYN));
		AGAIN(ls == L_CUTTING, L_ACKS_AGAIN; SEND(r1, CUT); SEND(down, OCUT));
		AGAIN(ls == L_CANCELLING && r_dead, ls = L_OLD);
		AGAIN(ls == L_CANCELLING || ls == L_UNCUTTING, SEND(down, CANCEL));
		AGAIN(ls == L_DONE, SEND(down, DONE));
		AGAIN(X_WAITS, SEND(r1, DATA));
		AGAIN(rs == R_WAITING && !r_dead, r_syn());
		AGAIN(rs == R_READY && !r_dead, SEND(up, READY));
		AGAIN(rs == R_DONE && !r_dead, SEND(up, DONE));
		AGAIN(Y_WAITS && !r_dead, SEND(l1, DATA)) }
	od
}
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

#ifdef LTL_COMPLETES
ltl completes { <> (ls == L_NEW && rs == R_NEW) }
#endif
/* Both end up on the same path; a session that is over leaves no box open. */
#define SETTLED ((ls == L_NEW && rs == R_NEW) || (ls == L_OLD && (rs == R_OLD || r_dead)) || \
		 ls == L_RESET || (r_dead && (ls == L_UNCUTTING || ls >= L_TWO)))
#ifdef LTL_SETTLES
ltl settles { <>[] (SETTLED && (r_dead || LOSS > 0 || ls < L_OLD || !box_open)) }
#endif
