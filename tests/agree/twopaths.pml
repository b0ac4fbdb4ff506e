/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the steps of model/twopaths.pml that random runs of the core took
 * (tests/agree/twopaths.c writes them, twopaths.h reads them), by the processes of the
 * model itself. What the model cannot do at that moment is an error, and so is, after each
 * event, another state of a host or an anchor, or another segment sent.
 */
#define REPLAY
#define S_NEW	    1
#define S_AGAIN	    2
#define S_ALL_AGAIN 3
#define S_ACK	    4
#define S_PROBE	    5
#define S_KEEPALIVE 6
#define S_READ	    7
#define S_SHOWS	    8
#define S_CUTS	    9
#define S_TWO	    10
#define S_SAYS	    11
#define S_HEARS	    12
#define S_DONE	    13
#define S_ARRIVES   14
#define S_INSIDE    15
#define KEEPALIVE

/* of each run */
#define U0	 units[0]
#define U1	 units[1]
#define WINDOW	 buffer
#define BOX_SIDE side
/* no offsets there: nothing was removed before (compose.pml, tests/sim) */
#define D0 0
#define D1 0
#define HLOSS 1

byte units[2], buffer, side;
byte what, who; /* what: 0 when the step is taken */
byte line;	/* kind of the line just read */
int count;	/* makes each state another one */
bit same = 1;

#include "../../model/twopaths.pml"

c_decl {
\#include "twopaths.h"
}

inline begin()
{
	c_code {
		agree_begin();
		memset(now.mode, 0, 2); memset(now.cut, 0, 2); memset(now.peer, 0, 2);
		memset(now.told, 0, 4); memset(now.told_edge, 0, 4); memset(now.window, 0, 2);
		memset(now.nxt, 0, 2); memset(now.una, 0, 2); memset(now.got, 0, 2);
		memset(now.rd, 0, 2); memset(now.wup, 0, 2);
		memset(now.said, 0, 2); memset(now.owes, 0, 4); memset(now.owe, 0, 2);
		memset(now.box_end, 0, 4); memset(now.box_edge, 0, 4);
		memset(now.net, 0, sizeof(now.net));
		now.units[0] = agree_chosen[0]; now.units[1] = agree_chosen[1];
		now.buffer = agree_chosen[2]; now.side = agree_chosen[3];
	}
	start()
}

inline step()
{
	c_code {
		now.what = agree_what;
		now.who = agree_who;
		if (agree_what >= AGREE_ARRIVES) {
			now.who = 0;
			now.net[0] = agree_who;
			now.same = agree_was_sent(agree_who);
		}
	}
	assert(same);
	hlosses = 0;
	/* again, or too late */
	if
	:: what == S_SHOWS && (mode[0] != ONE || !SHOWS_MORE) -> what = 0
	:: else
	fi
}

inline compare()
{
	c_code {
		now.same = agree_sends(now.net, N, 0);
		for (int e = 0; e < 2; e++) {
			const int model[AGREE_NAMES] = {
				now.nxt[e], now.una[e], now.may[e], now.got[e], now.rd[e], now.wup[e],
				now.shown[e], now.owe[e], now.mode[e], now.said[e], now.cut[e], now.peer[e],
				now.acked[e], now.edge[e], now.seq_end[e]};
			/* of an anchor with one path the core keeps no such record */
			int known = now.mode[e] == CUTTING || now.mode[e] == TWO ? AGREE_NAMES : AGREE_ALWAYS;

			for (int k = 0; k < known; k++) {
				now.same &= agree_same(agree_names[k], e, agree_seen[e][k], model[k]);
			}
		}
		memset(now.net, 0, sizeof(now.net));
	}
	assert(same)
}

active proctype reader()
{
	line = 1;
	do
	:: what == 0 && line != 0 -> d_step {
		c_code {
			now.line = agree_read();
			now.count++;
		}
		if
		:: line == 1 -> begin()
		:: line == 2 -> step()
		:: line == 3 -> compare()
		:: else
		fi }
	:: what == 0 && line == 0 -> break
	:: timeout && what != 0 ->
		c_code {
			agree_where();
			printf("the model cannot take step %d %d\n", agree_what, agree_who);
		}
		assert(false)
	od
}
