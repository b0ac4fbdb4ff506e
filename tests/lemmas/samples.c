/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ties the lemmas to the code: prints what the functions of core/twopath.c make of
 * many numbers, as assertions over the formulas of prelude.smt2 under the same names.
 */
#include "core/twopath.c" /* NOLINT(bugprone-suspicious-include): of its static functions */

#include <stdio.h>

#define SAMPLES 400

static uint32_t state = 2463534242u;

/* Marsaglia's xorshift; one in two close to the one before, where comparisons turn. */
static uint32_t number(uint32_t near)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state & 0x100 ? near + (state >> 16) % 7 - 3 : state;
}

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void sample(void)
{
	struct dysco_two two = {.peer_known = true};
	uint32_t cut = number(0), p = number(cut), n = number(cut), ack = number(p), acked;
	struct dysco_segment s = {.ack = number(cut), .flags = DYSCO_TCP_ACK, .has_ts = true};
	struct dysco_segment block = {.n_sack = 1, .sack = {{n, n + 5}}}, on_old = block;
	bool old = state & 0x40;
	enum dysco_path path = old ? DYSCO_PATH_OLD : DYSCO_PATH_NEW;

	two.cut = cut;
	two.peer_cut = p;
	two.acked = acked = number(s.ack);
	printf("(assert (= (after #x%08x #x%08x) %s))\n", n, cut, truth(dysco_after(n, cut)));
	printf("(assert (= (seq_min #x%08x #x%08x) #x%08x))\n", n, cut, dysco_seq_min(n, cut));
	printf("(assert (= (seq_max #x%08x #x%08x) #x%08x))\n", n, cut, dysco_seq_max(n, cut));
	printf("(assert (= (is_old #x%08x #x%08x) %s))\n", cut, n, truth(is_old(&two, n)));
	printf("(assert (= (ack_is_old #x%08x #x%08x) %s))\n", p, ack,
	       truth(ack_is_old(&two, ack)));
	printf("(assert (= (ack_on #x%08x %s #x%08x) #x%08x))\n", p, truth(old), ack,
	       ack_on(&two, path, ack));
	printf("(assert (= (ack_counts #x%08x %s #x%08x) %s))\n", cut, truth(old), s.ack,
	       truth(ack_counts(&two, path, s.ack)));
	clip_sack(&two, DYSCO_PATH_NEW, &block);
	clip_sack(&two, DYSCO_PATH_OLD, &on_old);
	if (block.n_sack == 1) {
		printf("(assert (= (clip_from #x%08x #x%08x) #x%08x))\n", p, n, block.sack[0].from);
	}
	if (on_old.n_sack == 1) {
		printf("(assert (= (clip_to #x%08x #x%08x) #x%08x))\n", p, n + 5,
		       on_old.sack[0].to);
	}
	two.tsval = number(0);
	two.has_ts = true;
	s.tsval = number(two.tsval);
	printf("(assert (= (merged_tsval #x%08x #x%08x) ", two.tsval, s.tsval);
	merge_timestamp(&two, &s);
	printf("#x%08x))\n", s.tsval);
	printf("(assert (= (merged_ack #x%08x #x%08x %s #x%08x) ", cut, acked, truth(old), s.ack);
	merge_ack(&two, path, &s);
	printf("#x%08x))\n", s.ack);
}

int main(void)
{
	for (int i = 0; i < SAMPLES; i++) {
		sample();
	}
	return 0;
}
