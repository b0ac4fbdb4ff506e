// SPDX-License-Identifier: BSD-2-Clause
/* The statement `link`: two ends, their addresses, options of the link. */
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

/* Interface names of a link, and whether they are taken. */
static bool ifname_taken(const struct lab *lab, const struct lab_node *node, const char *ifname)
{
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_end *end = &lab->links[i / 2].end[i % 2];

		if (end->node == node && strcmp(end->ifname, ifname) == 0) {
			return true;
		}
	}
	return strcmp(ifname, "lo") == 0 ||
	       (node->kind == LAB_SWITCH && strcmp(ifname, LAB_BRIDGE) == 0);
}

/* words[first] is NODE[:INTERFACE]; returns the index after the addresses, -1 on error. */
static int parse_end(struct lab *lab, const struct lab_line *line, int first, struct lab_end *end)
{
	const struct lab_words *w = &line->words;
	const char *colon = first < w->count ? strchr(w->word[first], ':') : NULL;
	const char *name;
	int i = first + 1;

	if (first >= w->count) {
		return lab_fail(lab, line->where, "the link has no second end; write: link A -- B");
	}
	name = lab_format(lab, "%.*s", colon ? (int)(colon - w->word[first]) : -1, w->word[first]);
	end->node = lab_find_node(lab, name);
	end->ifname = colon ? colon + 1 : NULL;
	if (!end->node) {
		return lab_fail(lab, line->where,
				"there is no node '%s' above this line; write: node %s", name,
				name);
	}
	if (colon && !lab_name_ok(end->ifname, LAB_NODE_BYTES)) {
		return lab_fail(lab, line->where,
				"'%s' is no name for an interface: 1 to %d letters, digits, - _ .",
				end->ifname, LAB_NODE_BYTES - 1);
	}
	while (i < w->count && lab_address_ok(w->word[i], true)) {
		i++;
	}
	end->addresses = lab_slice(lab, w, first + 1, i);
	return i;
}

static int name_ends(struct lab *lab, const struct lab_line *line, struct lab_link *link)
{
	for (int i = 0; i < 2; i++) {
		struct lab_end *end = &link->end[i], *peer = &link->end[1 - i];

		if (!end->ifname) {
			end->ifname = peer->node->name;
		}
		if (ifname_taken(lab, end->node, end->ifname)) {
			return lab_fail(lab, line->where,
					"node %s already has an interface '%s'; write %s:INTERFACE",
					end->node->name, end->ifname, end->node->name);
		}
		if (end->node->kind == LAB_SWITCH && end->addresses.count) {
			return lab_fail(
			    lab, line->where,
			    "a port of bridge %s has no address of its own; write: bridge "
			    "%s %s",
			    end->node->name, end->node->name, end->addresses.word[0]);
		}
	}
	if (link->end[0].node == link->end[1].node &&
	    strcmp(link->end[0].ifname, link->end[1].ifname) == 0) {
		return lab_fail(lab, line->where, "both ends are %s:%s", link->end[0].node->name,
				link->end[0].ifname);
	}
	return 0;
}

static int parse_seed(struct lab *lab, const struct lab_line *line, struct lab_link *link,
		      const char *value)
{
	char *end;

	link->wired = true;
	link->seed = strtoull(value, &end, 0);
	return *value == '\0' || *end || *value == '-'
		   ? lab_fail(lab, line->where, "seed '%s' is not a number", value)
		   : 0;
}

static int parse_option(struct lab *lab, const struct lab_line *line, struct lab_link *link,
			const char *key, const char *value)
{
	char error[256];

	if (strcmp(key, "name") == 0) {
		link->name = value;
		return lab_name_ok(value, LAB_NAME_BYTES)
			   ? 0
			   : lab_fail(lab, line->where, "'%s' is no name for a link", value);
	}
	if (strcmp(key, "mtu") == 0) {
		link->mtu = value;
		return lab_check_mtu(lab, line->where, value);
	}
	if (strcmp(key, "rate") == 0) {
		link->rate = value;
		return 0;
	}
	if (strcmp(key, "seed") == 0) {
		return parse_seed(lab, line, link, value);
	}
	if (!wire_is_setting(key)) {
		return lab_fail(lab, line->where,
				"'%s' is neither ADDRESS/BITS nor an option of a link: name, mtu, "
				"rate, seed, delay, jitter, loss, duplicate, reorder, queue",
				key);
	}
	link->wired = true;
	return wire_set(link->settings, key, value, error, sizeof(error))
		   ? lab_fail(lab, line->where, "%s", error)
		   : 0;
}

static int parse_options(struct lab *lab, const struct lab_line *line, struct lab_link *link,
			 int first)
{
	const struct lab_words *w = &line->words;

	for (int i = first; i < w->count; i += 2) {
		if (i + 1 == w->count) {
			return lab_fail(lab, line->where,
					"'%s' is not ADDRESS/BITS, and as an "
					"option it has no value",
					w->word[i]);
		}
		if (parse_option(lab, line, link, w->word[i], w->word[i + 1])) {
			return -1;
		}
	}
	return 0;
}

int lab_parse_link(struct lab *lab, const struct lab_line *line)
{
	static const struct wire_settings PLAIN = WIRE_SETTINGS_DEFAULT;
	struct lab_link *link = &lab->links[lab->n_links];
	int i;

	if (lab->n_links == LAB_LINKS_MAX) {
		return lab_fail(lab, line->where, "more than %d links", LAB_LINKS_MAX);
	}
	*link = (struct lab_link){.where = line->where, .seed = (uint64_t)lab->n_links + 1};
	link->settings[0] = link->settings[1] = PLAIN;
	i = parse_end(lab, line, 1, &link->end[0]);
	if (i < 0) {
		return -1;
	}
	if (i >= line->words.count || strcmp(line->words.word[i], "--") != 0) {
		return lab_fail(lab, line->where,
				"'%s' should be -- or ADDRESS/BITS; write: link A ADDRESS/BITS... "
				"-- B ADDRESS/BITS...",
				i < line->words.count ? line->words.word[i] : "end of line");
	}
	i = parse_end(lab, line, i + 1, &link->end[1]);
	if (i < 0 || parse_options(lab, line, link, i) || name_ends(lab, line, link)) {
		return -1;
	}
	if (!link->name) {
		link->name =
		    lab_format(lab, "%s-%s", link->end[0].node->name, link->end[1].node->name);
	}
	lab->n_links++;
	return 0;
}
