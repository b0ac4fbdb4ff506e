/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the steps of model/setup.pml that random runs of the core took
 * (tests/agree/setup.c writes them, setup.h reads them). A step that the model cannot take is an
 * error, and so is, after each event, another state of an anchor, or a message
 * that the core has sent and the model has not.
 */
#define REPLAY

/* where */
#define AT_r1	   1
#define AT_r2	   2
#define AT_l1	   3
#define AT_l2	   4
#define AT_down	   5
#define AT_up	   6
#define AT_nothing 7
/* what somebody does */
#define X_SENT	     1
#define Y_SENT	     2
#define L_SAYS_DONE  3
#define R_SAYS_DONE  4
#define L_CANCELS    5
#define L_ROLLS_BACK 6
#define L_GIVES_UP   7
#define R_LAPSES     8
#define LOCK_COMES   9
#define R_REFUSES    10

byte spot, what; /* spot: 0 when the step is taken */
byte line;	 /* kind of the line just read */
int count;	 /* makes each state another one */
bit same;

#include "../../model/setup.pml"

c_decl {
\#include "setup.h"
}

inline begin()
{
	r1 = SYN; r2 = 0; l1 = 0; l2 = 0; down = 0; up = 0;
	ls = L_SETTING_UP; rs = R_REQUESTED;
	synacked = 0; ready = 0; opened = 0; refused = 0; taken = 0; cut = 0;
	x_at_r = 0; y_at_l = 0; box_open = 0; box_synack = 0; box_window = 0; box_acked = 0; cut_in = 0
}

inline compare()
{
	c_code {
		int bound = now.rs == 3 || now.rs == 4 ? now.taken || now.refused : 0;

		now.same = agree_same("left anchor", -1, agree_seen[0], now.ls) &
			   agree_same("right anchor", -1, agree_seen[1], now.rs) &
			   agree_same("bound", -1, agree_seen[2], bound) &
			   agree_same("x at R", -1, agree_seen[3], now.x_at_r) &
			   agree_same("y at L", -1, agree_seen[4], now.y_at_l) &
			   agree_within("right, before the box:", agree_sent[0], now.r1) &
			   agree_within("right, behind the box:", agree_sent[1], now.r2) &
			   agree_within("left, before the box:", agree_sent[2], now.l1) &
			   agree_within("left, behind the box:", agree_sent[3], now.l2) &
			   agree_within("control, right:", agree_sent[4], now.down) &
			   agree_within("control, left:", agree_sent[5], now.up);
	}
	assert(same)
}

active proctype reader()
{
	line = 1;
	do
	:: spot == 0 && line != 0 -> d_step {
		c_code {
			now.line = agree_read();
			now.count++;
		}
		if
		:: line == 1 -> begin()
		:: line == 2 -> c_code { now.spot = agree_what; now.what = agree_who; }
		:: line == 3 -> compare()
		:: else
		fi }
	:: spot == 0 && line == 0 -> break
	:: timeout && spot != 0 ->
		c_code {
			agree_where();
			printf("the model cannot take step %d %d: L %d, R %d\n", now.spot, now.what, now.ls,
			       now.rs);
		}
		assert(false)
	od
}
