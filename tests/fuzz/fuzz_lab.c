/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: lab files, up to the check that comes before anything is made.
 *
 * What is refused says where; what is accepted has names and addresses that
 * can be given to ip(8) as they are, and gives the same when read again.
 */
#include "lab/lab.h"

#include <stdlib.h>
#include <string.h>

static void demand(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void check_end(const struct lab_end *end)
{
	demand(end->node != NULL && lab_name_ok(end->ifname, LAB_NODE_BYTES));
	for (int i = 0; i < end->addresses.count; i++) {
		demand(lab_address_ok(end->addresses.word[i], true));
	}
}

static void check_lab(const struct lab *lab)
{
	for (int i = 0; i < lab->n_nodes; i++) {
		demand(lab_name_ok(lab->nodes[i].name, LAB_NODE_BYTES));
	}
	for (int i = 0; i < lab->n_links; i++) {
		check_end(&lab->links[i].end[0]);
		check_end(&lab->links[i].end[1]);
		for (int k = 0; k < 2; k++) {
			demand(lab->links[i].settings[k].loss_ppm <= WIRE_PPM);
			demand(lab->links[i].settings[k].delay_us <= WIRE_DELAY_MAX_US);
		}
	}
	for (int i = 0; i < lab->n_steps; i++) {
		demand(lab->steps[i].kind == LAB_STEP_FILE || lab->steps[i].node != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab *lab = lab_new(), *again = lab_new();
	int result = lab_read_text(lab, "seed.lab", (const char *)data, size);

	if (result == 0) {
		check_lab(lab);
	} else {
		demand(strncmp(lab->error, "seed.lab", strlen("seed.lab")) == 0);
	}
	demand(lab_read_text(again, "seed.lab", (const char *)data, size) == result);
	demand(again->n_nodes == lab->n_nodes && again->n_steps == lab->n_steps &&
	       strcmp(again->error, lab->error) == 0);
	lab_free(again);
	lab_free(lab);
	return 0;
}
