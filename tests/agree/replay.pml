/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the steps of model/locks.pml that random runs of the core took
 * (tests/agree/locks.c writes them, replay.h reads them), and asserts after each
 * that the core's state is the model's, and that the model has sent what the core has.
 */
#define REPLAY
#define A 3 /* fewer attempts: one with equal anchors never asks */
#include "../../model/locks.pml"

#define MESSAGES 12 /* links times attempts */

byte what, at, who;
byte ever[MESSAGES]; /* sets of messages that were sent */
bit same;
int line;

c_decl {
\#include "replay.h"
}

inline begin()
{
	c_code {
		for (int k = 0; k < 3; k++) {
			now.left[k] = agree_line.sent[2 * k];
			now.right[k] = agree_line.sent[2 * k + 1];
		}
		memset(now.ls, 0, 3);
		memset(now.rs, 0, 3);
		memset(now.owner, 0, 4);
		memset(now.pend, 0, 4);
		memset(now.kept, 0, 4);
		memset(now.over, 0, 5);
		memset(now.lapsed, 0, 4);
		memset(now.ever, 0, MESSAGES);
	}
}

/* The steps within L and R, as the processes of locks.pml have them. */
inline inner_step()
{
	if
	:: what == 11 /* cut */ -> assert(ls[who] == L_GRANTED); ls[who] = L_CUTTING
	:: what == 12 /* takes_cut */ ->
		assert((ls[who] == L_CUTTING || ls[who] == L_UNCUTTING) && rs[who] == R_REQUESTED);
		rs[who] = R_TWO
	:: what == 13 /* taken */ ->
		assert(rs[who] == R_TWO && ls[who] >= L_CUTTING);
		rs[who] = R_TAKEN
	:: what == 14 /* two */ ->
		assert(ls[who] == L_CUTTING && R_ACTIVE(who) && rs[who] >= R_TWO);
		ls[who] = L_TWO
	:: what == 15 /* finish */ ->
		assert(ls[who] == L_TWO && R_ACTIVE(who));
		ls[who] = L_RELEASING;
		rs[who] = R_FREED;
		M(at, who) = RELEASE
	:: what == 16 /* give_up */ && (ls[who] == L_ASKING || ls[who] == L_GRANTED) ->
		ls[who] = L_CANCELLING;
		pend[at] = 0;
		M(at, who) = CANCEL
	:: what == 16 && ls[who] == L_CUTTING ->
		ls[who] = L_UNCUTTING;
		M(at, who) = CANCEL
	:: what == 16 && ls[who] == L_CANCELLING ->
		ls[who] = L_ENDED;
		forget(at, who)
	:: what == 16 && ls[who] == L_RELEASING ->
		ls[who] = L_ENDED;
		M(at, who) = RELEASE; /* the last ones; no run brings them to a host between */
		forget(at, who)
	:: what == 17 /* lease */ -> assert(owner[at] == who + 1); lapse(at)
	:: what == 18 /* kept_lease */ -> assert(kept[at] == who + 1); lapse_kept(at)
	:: what == 19 /* right_lease */ -> rs[who] = R_ENDED; REMEMBER(at, who)
	:: what == 20 /* other */
	fi
}

/* L hears what the chain is, and cancels: it is granted and gives up in one step. */
inline changed_step()
{
	assert(ls[who] == L_ASKING);
	locked_at(at, who);
	if
	:: ls[who] == L_GRANTED ->
		ls[who] = L_CANCELLING;
		M(at, who) = M(at, who) | CANCEL
	:: else
	fi
}

inline step()
{
	if
	:: what == 2 /* ask */ ->
		ls[who] = L_ASKING;
		lock_at(at, who)
	:: what == 3 -> lock_at(at, who)
	:: what == 4 -> locked_at(at, who)
	:: what == 5 -> nack_at(at, who)
	:: what == 6 -> cancel_at(at, who)
	:: what == 7 -> last_word_at(at, who, CANCELLED)
	:: what == 8 -> release_at(at, who)
	:: what == 9 -> last_word_at(at, who, RELEASED)
	:: what == 10 -> refused_at(at, who)
	:: what == 21 -> changed_step()
	:: else -> inner_step()
	fi
}

/* `other`: a repetition, or something the model does not have; else what the step sends. */
inline compare()
{
	c_code {
		unsigned char *m = now.what == 20 ? now.ever : now.msg;
		unsigned char extra[MESSAGES];

		for (int k = 0; k < MESSAGES; k++) {
			extra[k] = agree_line.sent[k] & ~m[k] & ~agree_line.exempt;
			now.ever[k] |= agree_line.sent[k];
		}
		now.same = agree_same("owner", agree_line.owner, now.owner, 4) &&
			   agree_same("pend", agree_line.pend, now.pend, 4) &&
			   agree_same("kept", agree_line.kept, now.kept, 4) &&
			   agree_same("over", agree_line.over, now.over, 5) &&
			   agree_same("ls", agree_line.ls, now.ls, 3) &&
			   agree_same("rs", agree_line.rs, now.rs, 3) &&
			   agree_same("sent, not in the model: message",
				      extra, (const unsigned char *)"\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	}
	assert(same)
}

init
{
	what = 1;
end:	do
	:: what != 0 -> d_step {
		c_code {
			now.what = agree_read(&now.at, &now.who);
			memset(now.msg, 0, MESSAGES);
			now.line++;
		}
		if
		:: what == 0
		:: what == 1 -> begin()
		:: else -> step(); compare()
		fi }
	od
}
