// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the programs cost: nanoseconds a packet, by BPF_PROG_RUN. No test, run
 * by hand. The legs translate a five-tuple into itself, so that each run meets
 * the same packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bpf/kit.h"

#define RUNS   100000
#define ROUNDS 30 /* the best of them: other work on the machine only adds */

static void measure(struct kit *k, const char *what, const char *program,
		    const struct dysco_tuple *tuple)
{
	struct kit_frame f;
	uint32_t best_ns = UINT32_MAX, verdict = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t ns = 0;

		kit_segment(&f, tuple, DYSCO_TCP_ACK, "payload", 7);
		verdict = kit_run_fd(dysco_bpf_object_program(k->object, program), &f, RUNS, &ns);
		best_ns = ns < best_ns ? ns : best_ns;
	}
	printf("%-22s %4u ns  (verdict %d)\n", what, best_ns, (int)verdict);
}

static void family(struct kit *k, const char *ours, const char *theirs)
{
	struct dysco_tuple out = kit_tuple(ours, 1000, theirs, 2000);
	struct dysco_tuple in = dysco_tuple_reverse(&out);
	struct dysco_tuple other = kit_tuple(ours, 1001, theirs, 2000);

	kit_reset(k);
	kit_leg(k, 1, DYSCO_MODE_FAST, &out, &out)->run[DYSCO_IN].seen = DYSCO_SEEN_SYNACK;
	kit_load(k);
	printf("%s\n", ours);
	measure(k, "out, no leg", "host_out", &other);
	measure(k, "out, fast, nic", "host_out", &out);
	measure(k, "in, fast", "host_in", &in);
	k->self.mode = DYSCO_ATTACH_PORT;
	kit_load(k);
	measure(k, "out, fast, port", "host_out", &out);
}

int main(void)
{
	void *state;

	kit_setup(&state);
	family(state, "10.0.0.1", "10.0.0.2");
	family(state, "fd00::1", "fd00::2");
	return kit_teardown(&state);
}
