/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the steps of model/compose.pml that random runs of the core took
 * (tests/agree/compose.c writes them, compose.h reads them), by the processes of the
 * model itself. What the model cannot do at that moment is an error, and so is, after each
 * event, another state of a host or an anchor, or a segment that the model has not sent.
 */
#define REPLAY
#define S_NEW	     1
#define S_AGAIN	     2
#define S_ACK	     3
#define S_LEFT_CUTS  4
#define S_RIGHT_CUTS 5
#define S_LEFT_TWO   6
#define S_LEFT_SAYS  7
#define S_RIGHT_SAYS 8
#define S_LEFT_HEARS 9
#define S_LEFT_DONE  10
#define S_RIGHT_DONE 11
#define S_LOCKED     12
#define S_ARRIVES    13

#define U 3
#define N 6

byte what, who; /* what: 0 when the step is taken */
byte line;	/* kind of the line just read */
int count;	/* makes each state another one */
bit same = 1;

#include "../../model/compose.pml"

c_decl {
\#include "compose.h"
}

inline begin()
{
	c_code {
		agree_begin();
		memset(now.lm, 0, 3); memset(now.rm, 0, 3); memset(now.c, 0, 3); memset(now.p, 0, 3);
		memset(now.told, 0, 3);
		memset(now.net, 0, sizeof(now.net));
		now.nxt = now.una = now.got = 0;
	}
	lsaid[0] = 0; lsaid[1] = 0; lsaid[2] = 0;
	rsaid[0] = 0; rsaid[1] = 0; rsaid[2] = 0;
	owe = 0; locked = 0; offset = 0;
	start()
}

inline step()
{
	c_code {
		now.what = agree_what;
		now.who = agree_who;
		if (agree_what == AGREE_ARRIVES) {
			now.who = 0;
			now.net[0] = agree_who;
			now.same = agree_was_sent(agree_who);
		}
	}
	assert(same)
}

inline compare()
{
	c_code {
		const int hosts[] = {now.nxt, now.una, now.got, now.owe, now.locked};
		const int said[2][3] = {{now.lsaid[0], now.lsaid[1], now.lsaid[2]},
					{now.rsaid[0], now.rsaid[1], now.rsaid[2]}};

		int net[N];

		for (int k = 0; k < N; k++) {
			net[k] = now.net[k];
		}
		/* M has left the chain: it has no legs any more, though late packets may come */
		now.same = agree_sends(net, N, now.lm[2] == 3);
		for (int k = 0; k < AGREE_HOSTS; k++) {
			now.same &= agree_same(agree_names[k], -1, agree_hosts[k], hosts[k]);
		}
		for (int i = 0; i < 3; i++) {
			const int model[AGREE_ANCHORS] = {now.lm[i], now.rm[i], said[0][i], said[1][i],
							  now.c[i], now.p[i], now.acked[i]};
			/* what an anchor has seen while it has two paths */
			int known = now.lm[i] == 1 || now.lm[i] == 2 ? AGREE_ANCHORS : AGREE_ANCHORS - 1;

			for (int k = 0; k < known; k++) {
				now.same &= agree_same(agree_anchor_names[k], i, agree_anchors[i][k], model[k]);
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
