// SPDX-License-Identifier: BSD-2-Clause
/* TCP options as the endpoints and boxes read them, without the code of rewrite/. */
#include "tests/explore/explore.h"

#include <string.h>

enum { KIND_SHIFT = 3, KIND_SACK_OK = 4, KIND_SACK = 5, KIND_TS = 8, KIND_EXPERIMENT = 253 };

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void read_sack(struct xp_options *o, const uint8_t *at, uint8_t length)
{
	for (uint8_t i = 2; i + 4 <= length && o->n_sack < 8; i = (uint8_t)(i + 4)) {
		o->sack[o->n_sack++] = get32(at + i);
	}
}

static void read_one(struct xp_options *o, const uint8_t *at, uint8_t length)
{
	switch (at[0]) {
	case KIND_SHIFT:
		o->has_shift = true;
		o->shift = at[2];
		break;
	case KIND_SACK_OK:
		o->has_sack_ok = true;
		break;
	case KIND_SACK:
		read_sack(o, at, length);
		break;
	case KIND_TS:
		o->has_ts = true;
		o->tsval = get32(at + 2);
		o->tsecr = get32(at + 6);
		break;
	case KIND_EXPERIMENT:
		o->has_mark = o->has_mark || at[3] == (DYSCO_EXID_MARK & 0xff);
		o->has_tag = o->has_tag || at[3] == (DYSCO_EXID_TAG & 0xff);
		break;
	default:
		break;
	}
}

void xp_options_read(struct xp_options *o, const struct sim_segment *s)
{
	memset(o, 0, sizeof(*o));
	for (uint16_t i = 0; i < s->options_bytes;) {
		uint8_t kind = s->options[i];

		if (kind == 0) {
			return;
		}
		if (kind == 1) {
			i++;
			continue;
		}
		if (i + 1 >= s->options_bytes || s->options[i + 1] < 2 ||
		    i + s->options[i + 1] > s->options_bytes) {
			return;
		}
		read_one(o, s->options + i, s->options[i + 1]);
		i = (uint16_t)(i + s->options[i + 1]);
	}
}
