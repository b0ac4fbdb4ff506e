// SPDX-License-Identifier: BSD-2-Clause
/* What only the whole of a lab file shows: names and addresses used twice, what is not used. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

struct use {
	const char *where;
	uint8_t binary[16];
	const char *text;
};

struct uses {
	struct use use[4096];
	int count;
};

static int add_address(struct lab *lab, struct uses *uses, const char *where, const char *text)
{
	struct use *use = &uses->use[uses->count];
	const char *addr = lab_format(lab, "%.*s", (int)strcspn(text, "/"), text);

	if (uses->count == sizeof(uses->use) / sizeof(uses->use[0])) {
		return lab_fail(lab, where, "more than %d addresses", uses->count);
	}
	*use = (struct use){where, {0}, text};
	if (inet_pton(AF_INET6, addr, use->binary) != 1) {
		inet_pton(AF_INET, addr, use->binary);
	}
	for (int i = 0; i < uses->count; i++) {
		if (memcmp(uses->use[i].binary, use->binary, sizeof(use->binary)) == 0) {
			return lab_fail(lab, where, "the address of %s is already taken by %s",
					text, uses->use[i].where);
		}
	}
	uses->count++;
	return 0;
}

static int check_addresses(struct lab *lab)
{
	struct uses *uses = lab_alloc(lab, sizeof(*uses));

	for (int i = 0; i < lab->n_nodes; i++) {
		for (int k = 0; k < lab->nodes[i].addresses.count; k++) {
			if (add_address(lab, uses, lab->nodes[i].where,
					lab->nodes[i].addresses.word[k])) {
				return -1;
			}
		}
	}
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_end *end = &lab->links[i / 2].end[i % 2];

		for (int k = 0; k < end->addresses.count; k++) {
			if (add_address(lab, uses, lab->links[i / 2].where,
					end->addresses.word[k])) {
				return -1;
			}
		}
	}
	return 0;
}

static int check_links(struct lab *lab)
{
	for (int i = 0; i < lab->n_links; i++) {
		for (int k = 0; k < i; k++) {
			if (strcmp(lab->links[i].name, lab->links[k].name) == 0) {
				return lab_fail(
				    lab, lab->links[i].where,
				    "'%s' is already the name of a link (%s); add: name "
				    "OTHER",
				    lab->links[i].name, lab->links[k].where);
			}
		}
	}
	return 0;
}

static int check_tunings(struct lab *lab, const struct lab_tuning *tunings, int n)
{
	for (int i = 0; i < n; i++) {
		const struct lab_tuning *t = &tunings[i];
		bool found = !t->ifname;

		for (int k = 0; k < 2 * lab->n_links && !found; k++) {
			const struct lab_end *end = &lab->links[k / 2].end[k % 2];

			found = end->node == t->node && strcmp(end->ifname, t->ifname) == 0;
		}
		if (!found) {
			return lab_fail(lab, t->where, "no link makes an interface '%s' there",
					t->ifname);
		}
	}
	return 0;
}

static int check_vars(struct lab *lab)
{
	for (int i = 0; i < lab->n_vars; i++) {
		if (lab->vars[i].fixed && !lab->vars[i].used) {
			return lab_fail(lab, NULL, "--set %s=%s: %s has no `let %s ...`",
					lab->vars[i].name, lab->vars[i].value, lab->file,
					lab->vars[i].name);
		}
	}
	return 0;
}

int lab_check(struct lab *lab)
{
	if (lab->n_nodes == 0) {
		return lab_fail(lab, NULL, "%s: no node; write at least: node NAME", lab->file);
	}
	return check_vars(lab) || check_links(lab) || check_addresses(lab) ||
		       check_tunings(lab, lab->offloads, lab->n_offloads) ||
		       check_tunings(lab, lab->steerings, lab->n_steerings)
		   ? -1
		   : 0;
}
