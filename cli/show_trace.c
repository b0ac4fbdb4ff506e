/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `dysco session trace`: the chain as a picture, the initiator on top.
 *
 *    0  client    10.0.0.1    agent a      -
 *       |  10.0.0.1:61000 -> 10.0.1.1:64000   established
 *       |  down 12 packets, 2.1 kB   up 20 packets, 1.2 MB
 *    1  fw        10.0.1.1    agent fw     85 us
 *       ...
 */
#include <stdio.h>
#include <string.h>

#include "cli/show.h"

/* The same subsession, told by its two ends. Right: the left neighbour's right leg. */
struct subsession {
	const json_t *right, *left;
};

static bool same(const json_t *a, const char *a_member, const json_t *b, const char *b_member)
{
	return strcmp(dysco_json_text(a, a_member), dysco_json_text(b, b_member)) == 0;
}

static void show_traffic(const char *name, const json_t *leg, bool outward)
{
	char text[DYSCO_QUANTITY_BYTES];

	printf("%s %" JSON_INTEGER_FORMAT " packets, %s", name,
	       dysco_json_count(leg, outward ? "packets_out" : "packets_in"),
	       dysco_text_bytes(text, dysco_json_count(leg, outward ? "bytes_out" : "bytes_in")));
}

/* What the right end of a subsession saw, where that is not what the left end sent: a NAT. */
static void show_nat(const struct subsession *s)
{
	const json_t *sent = json_object_get(s->right, "wire_tuple");
	const json_t *seen = json_object_get(s->left, "wire_tuple");

	if (!json_is_object(sent) || !json_is_object(seen) ||
	    (same(sent, "src", seen, "dst") && same(sent, "dst", seen, "src"))) {
		return;
	}
	printf("      |  %schanged on the way; arrives as %s -> %s%s\n", dysco_colour(DYSCO_YELLOW),
	       dysco_json_text(seen, "dst"), dysco_json_text(seen, "src"), dysco_colour_off());
}

static void show_subsession(const struct subsession *s)
{
	bool from_left = json_is_object(s->right);
	const json_t *leg = from_left ? s->right : s->left;
	const json_t *wire = json_object_get(leg, "wire_tuple");
	const char *state = dysco_json_text(leg, "state");

	if (!json_is_object(leg)) {
		puts("      |  (not told)");
		return;
	}
	printf("      |  %s -> %s  %s%s%s\n", dysco_json_text(wire, from_left ? "src" : "dst"),
	       dysco_json_text(wire, from_left ? "dst" : "src"),
	       dysco_colour(dysco_show_state_colour(state)), state, dysco_colour_off());
	show_nat(s);
	printf("      |  %s", dysco_colour(DYSCO_DIM));
	show_traffic("down", leg, from_left);
	show_traffic("   up", leg, !from_left);
	printf("%s\n", dysco_colour_off());
}

static void show_hop(const json_t *hop)
{
	double rtt = dysco_json_number(hop, "rtt_us");

	printf("  %2" JSON_INTEGER_FORMAT "  ", dysco_json_count(hop, "hop"));
	if (!dysco_json_true(hop, "answered")) {
		printf("%s%s  no answer%s\n", dysco_colour(DYSCO_RED),
		       dysco_json_text(hop, "address"), dysco_colour_off());
		return;
	}
	printf("%s%s%s  %s  agent %s", dysco_colour(DYSCO_BOLD), dysco_json_text(hop, "host"),
	       dysco_colour_off(), dysco_json_text(hop, "address"), dysco_json_text(hop, "agent"));
	if (rtt >= 0) {
		printf("  %.0f us", rtt);
	}
	putchar('\n');
}

enum dysco_exit dysco_show_trace(const struct dysco_cli *cli, const json_t *answer)
{
	const json_t *hops = json_object_get(answer, "hops");
	char tuple[DYSCO_TUPLE_TEXT_BYTES];
	size_t index;
	const json_t *hop;
	bool complete = dysco_json_true(answer, "complete");

	(void)cli;
	printf("%ssession %s%s  %s\n", dysco_colour(DYSCO_BOLD), dysco_json_text(answer, "id"),
	       dysco_colour_off(), dysco_show_tuple(tuple, json_object_get(answer, "session")));
	json_array_foreach(hops, index, hop)
	{
		const json_t *before = index > 0 ? json_array_get(hops, index - 1) : NULL;
		struct subsession s = {json_object_get(before, "right"),
				       json_object_get(hop, "left")};

		if (before) {
			show_subsession(&s);
		}
		show_hop(hop);
	}
	if (!complete) {
		printf("%snot every hop of the chain answered%s\n", dysco_colour(DYSCO_YELLOW),
		       dysco_colour_off());
	}
	return complete ? DYSCO_EXIT_DONE : DYSCO_EXIT_FINDINGS;
}
