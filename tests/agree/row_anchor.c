// SPDX-License-Identifier: BSD-2-Clause
/* Anchors of the row (row.h), for the models that have modes instead of states. */
#include "tests/agree/row.h"

static uint8_t mode_of(uint8_t state)
{
	switch (state) {
	case DYSCO_ATTEMPT_CUTTING:
		return ROW_CUTTING;
	case DYSCO_ATTEMPT_TWO_PATHS:
	case DYSCO_ATTEMPT_DONE:
		return ROW_TWO;
	case DYSCO_ATTEMPT_RELEASING:
	case DYSCO_ATTEMPT_FREED:
		return ROW_DONE;
	default:
		return ROW_ONE;
	}
}

struct row_anchor row_anchor(const struct row *row, uint8_t host, uint8_t attempt)
{
	const struct dysco_attempt *a = row_record(row, host, attempt);
	struct row_anchor seen = {0};

	if (a) {
		seen.mode = mode_of(a->state);
		seen.said = seen.mode == ROW_DONE || a->state == DYSCO_ATTEMPT_DONE;
		return seen;
	}
	seen.completed = dysco_nonce_fate(&row->host[host].core, row->attempt[attempt].nonce) ==
			 DYSCO_NONCE_COMPLETED;
	seen.said = seen.completed;
	seen.mode = seen.completed ? ROW_DONE : ROW_ONE;
	return seen;
}
