// SPDX-License-Identifier: BSD-2-Clause
/*
 * TCP options of the model endpoints: MSS, window scale, selective
 * acknowledgements (RFC 2018, 2883), timestamps (RFC 7323). Read and written
 * here alone; what they mean is in tcp.c and tcp_out.c.
 */
#include "tests/sim/tcp.h"

#include <string.h>

enum { MSS = 2, WSCALE = 3, SACK_PERMITTED = 4, SACK = 5, TIMESTAMPS = 8 };

static void put32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void read_sack(struct sim_options *o, const uint8_t *at, uint8_t bytes)
{
	for (uint8_t i = 2; i + 8 <= bytes && o->n_sack < SIM_SACKS; i = (uint8_t)(i + 8)) {
		o->sack[o->n_sack++] = (struct sim_range){get32(at + i), get32(at + i + 4)};
	}
}

void sim_options_read(struct sim_options *o, const struct sim_segment *s)
{
	memset(o, 0, sizeof(*o));
	for (uint16_t i = 0; i < s->options_bytes && s->options[i] != 0;) {
		const uint8_t *at = s->options + i;

		if (*at == 1) {
			i++;
			continue;
		}
		if (i + 1 >= s->options_bytes || at[1] < 2 || i + at[1] > s->options_bytes) {
			return;
		}
		if (*at == WSCALE) {
			o->has_wscale = true;
			o->wscale = at[2];
		} else if (*at == SACK_PERMITTED) {
			o->sack_ok = true;
		} else if (*at == SACK) {
			read_sack(o, at, at[1]);
		} else if (*at == TIMESTAMPS && at[1] == 10) {
			o->has_ts = true;
			o->tsval = get32(at + 2);
			o->tsecr = get32(at + 6);
		}
		i = (uint16_t)(i + at[1]);
	}
}

static uint8_t put_syn(uint8_t *at, const struct sim_conn *c, bool ack)
{
	uint8_t n = 0;

	at[n++] = MSS;
	at[n++] = 4;
	at[n++] = (uint8_t)(c->app.mss >> 8);
	at[n++] = (uint8_t)c->app.mss;
	if (ack ? c->scaled : c->app.real_wscale) {
		at[n++] = 1;
		at[n++] = WSCALE;
		at[n++] = 3;
		at[n++] = c->app.wscale;
	}
	if (ack ? c->sack_on : c->app.sack) {
		at[n++] = 1;
		at[n++] = 1;
		at[n++] = SACK_PERMITTED;
		at[n++] = 2;
	}
	return n;
}

static uint8_t put_sack(uint8_t *at, const struct sim_conn *c, uint8_t most)
{
	uint8_t blocks = 0, n = 4;

	if (c->repeated.end != c->repeated.begin) {
		put32(at + n, c->repeated.begin);
		put32(at + n + 4, c->repeated.end);
		n = (uint8_t)(n + 8);
		blocks++;
	}
	for (uint8_t i = 0; i < c->n_held && blocks < most; i++, blocks++) {
		put32(at + n, c->held[i].begin);
		put32(at + n + 4, c->held[i].end);
		n = (uint8_t)(n + 8);
	}
	at[0] = at[1] = 1;
	at[2] = SACK;
	at[3] = (uint8_t)(n - 2);
	return blocks ? n : 0;
}

uint8_t sim_options_put(const struct sim_world *w, uint8_t *at, struct sim_conn *c, uint8_t flags)
{
	bool syn = flags & SIM_SYN, ack = flags & SIM_ACK;
	uint8_t n = syn ? put_syn(at, c, ack) : 0;

	if (syn && !ack ? c->app.timestamps : c->ts_on) {
		at[n] = at[n + 1] = 1;
		at[n + 2] = TIMESTAMPS;
		at[n + 3] = 10;
		put32(at + n + 4, sim_tcp_clock(w, c));
		put32(at + n + 8, ack ? c->ts_recent : 0);
		n = (uint8_t)(n + 12);
	}
	if (c->sack_on && !syn) {
		n = (uint8_t)(n + put_sack(at + n, c, n ? 3 : 4));
		c->repeated = (struct sim_range){0, 0};
	}
	return n;
}

/* ---- sets of sequence numbers ---- */

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

bool sim_range_add(struct sim_range *set, uint8_t *n, uint8_t most, uint32_t begin, uint32_t end)
{
	uint8_t kept = 0;

	for (uint8_t i = 0; i < *n; i++) {
		if (after(set[i].begin, end) || after(begin, set[i].end)) {
			set[kept++] = set[i];
			continue;
		}
		begin = after(begin, set[i].begin) ? set[i].begin : begin;
		end = after(set[i].end, end) ? set[i].end : end;
	}
	*n = kept;
	if (kept == most) {
		return false;
	}
	memmove(set + 1, set, kept * sizeof(*set)); /* the newest first, as RFC 2018 wants them */
	set[0] = (struct sim_range){begin, end};
	(*n)++;
	return true;
}

uint32_t sim_range_end(const struct sim_range *set, uint8_t n, uint32_t at)
{
	for (uint8_t i = 0; i < n; i++) {
		if (!after(set[i].begin, at) && after(set[i].end, at)) {
			return set[i].end;
		}
	}
	return at;
}

uint32_t sim_range_next(const struct sim_range *set, uint8_t n, uint32_t at, uint32_t limit)
{
	for (uint8_t i = 0; i < n; i++) {
		if (after(set[i].begin, at) && after(limit, set[i].begin)) {
			limit = set[i].begin;
		}
	}
	return limit;
}

void sim_range_drop(struct sim_range *set, uint8_t *n, uint32_t below)
{
	uint8_t kept = 0;

	for (uint8_t i = 0; i < *n; i++) {
		if (after(set[i].end, below)) {
			set[kept++] = set[i];
		}
	}
	*n = kept;
}
