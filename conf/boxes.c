/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements about boxes and types: box add|remove, type add|remove.
 *
 * A box that a policy names by its address has no name of its own: it is
 * called "@" and something unique, and lives as long as a policy uses it.
 */
#include "conf/statement.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"

int dysco_config_find_box(const struct dysco_config *config, const char *name)
{
	for (int i = 0; i < config->setup.n_boxes; i++) {
		if (strcmp(config->setup.boxes[i].name, name) == 0) {
			return i;
		}
	}
	return -1;
}

int dysco_config_find_type(const struct dysco_config *config, const char *name)
{
	for (int i = 0; i < config->setup.n_types; i++) {
		if (strcmp(config->setup.types[i].name, name) == 0) {
			return i;
		}
	}
	return -1;
}

bool dysco_config_box_anonymous(const struct dysco_box *box)
{
	return box->name[0] == '@';
}

void dysco_config_box_text(char out[64], const struct dysco_box *box)
{
	if (dysco_config_box_anonymous(box)) {
		dysco_format_addr(out, dysco_addr_is_zero(&box->ip4) ? &box->ip6 : &box->ip4);
	} else {
		snprintf(out, 64, "%s", box->name);
	}
}

static struct dysco_box *new_box(struct dysco_setup *setup, const char *name)
{
	struct dysco_box *box;

	if (setup->n_boxes == DYSCO_BOXES_MAX) {
		return NULL;
	}
	box = &setup->boxes[setup->n_boxes++];
	memset(box, 0, sizeof(*box));
	snprintf(box->name, sizeof(box->name), "%s", name);
	return box;
}

static bool box_has(const struct dysco_box *box, const struct dysco_addr *addr)
{
	return dysco_addr_equal(&box->ip4, addr) || dysco_addr_equal(&box->ip6, addr);
}

int dysco_config_box_for(struct dysco_config *config, const struct dysco_addr *addr)
{
	struct dysco_setup *setup = &config->setup;
	char name[DYSCO_NAME_BYTES];
	struct dysco_box *box;

	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		if (box_has(&setup->boxes[i], addr)) {
			return i;
		}
	}
	/* not every address fits into a name: the number tells those apart that look alike */
	for (unsigned int n = 0;; n++) {
		snprintf(name, sizeof(name), "@%08x%08x%08x.%u",
			 DYSCO_HOST32(addr->w_be[0]) ^ DYSCO_HOST32(addr->w_be[1]),
			 DYSCO_HOST32(addr->w_be[2]), DYSCO_HOST32(addr->w_be[3]), n % 10000);
		if (dysco_config_find_box(config, name) < 0) {
			break;
		}
	}
	box = new_box(setup, name);
	if (!box) {
		return -1;
	}
	if (dysco_addr_is_ip4(addr)) {
		box->ip4 = *addr;
	} else {
		box->ip6 = *addr;
	}
	return setup->n_boxes - 1;
}

static bool policy_uses(const struct dysco_policy *p, uint8_t kind, uint16_t index)
{
	for (uint8_t i = 0; i < p->n_hops; i++) {
		if (p->hops[i].kind == kind && p->hops[i].index == index) {
			return true;
		}
	}
	return false;
}

static const struct dysco_policy *used_by_policy(const struct dysco_setup *setup, uint8_t kind,
						 uint16_t index)
{
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		if (policy_uses(&setup->policies[i], kind, index)) {
			return &setup->policies[i];
		}
	}
	return NULL;
}

static const struct dysco_type *used_by_type(const struct dysco_setup *setup, uint16_t box)
{
	for (uint16_t i = 0; i < setup->n_types; i++) {
		for (uint16_t j = 0; j < setup->types[i].count; j++) {
			if (setup->types[i].boxes[j] == box) {
				return &setup->types[i];
			}
		}
	}
	return NULL;
}

/* Indices above the removed one move down by one. */
static void renumber_hops(struct dysco_setup *setup, uint8_t kind, uint16_t removed)
{
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		struct dysco_policy *p = &setup->policies[i];

		for (uint8_t j = 0; j < p->n_hops; j++) {
			if (p->hops[j].kind == kind && p->hops[j].index > removed) {
				p->hops[j].index--;
			}
		}
	}
}

static void remove_box(struct dysco_setup *setup, uint16_t index)
{
	memmove(&setup->boxes[index], &setup->boxes[index + 1],
		(size_t)(setup->n_boxes - index - 1) * sizeof(setup->boxes[0]));
	setup->n_boxes--;
	renumber_hops(setup, DYSCO_HOP_BOX, index);
	for (uint16_t i = 0; i < setup->n_types; i++) {
		for (uint16_t j = 0; j < setup->types[i].count; j++) {
			if (setup->types[i].boxes[j] > index) {
				setup->types[i].boxes[j]--;
			}
		}
	}
}

void dysco_config_sweep_boxes(struct dysco_config *config)
{
	struct dysco_setup *setup = &config->setup;

	for (uint16_t i = setup->n_boxes; i-- > 0;) {
		if (dysco_config_box_anonymous(&setup->boxes[i]) &&
		    !used_by_policy(setup, DYSCO_HOP_BOX, i)) {
			remove_box(setup, i);
		}
	}
}

static int name_is_new(struct dysco_statement *s, const char *name)
{
	const char *word = s->words->word[0];

	if (dysco_config_find_box(s->config, name) >= 0) {
		return dysco_conf_fail(s->error, "exists", "remove it first, or take another name",
				       "%s %s: a box has this name", word, name);
	}
	if (dysco_config_find_type(s->config, name) >= 0) {
		return dysco_conf_fail(s->error, "exists", "remove it first, or take another name",
				       "%s %s: a type has this name", word, name);
	}
	return 0;
}

static int add_box_address(struct dysco_statement *s, struct dysco_box *box, const char *word)
{
	struct dysco_addr addr, *field;

	if (!dysco_parse_addr(word, &addr) || !dysco_addr_is_unicast(&addr)) {
		return dysco_conf_fail(s->error, "bad_address",
				       "an IPv4 or IPv6 address, names are not looked up",
				       "box %s: '%.60s' is not a unicast address", box->name, word);
	}
	field = dysco_addr_is_ip4(&addr) ? &box->ip4 : &box->ip6;
	if (!dysco_addr_is_zero(field)) {
		return dysco_conf_fail(
		    s->error, "bad_value", "a box has one address of each family; make another box",
		    "box %s: '%.60s' is its second address of that family", box->name, word);
	}
	for (uint16_t i = 0; i < s->config->setup.n_boxes; i++) {
		const struct dysco_box *other = &s->config->setup.boxes[i];

		if (!dysco_config_box_anonymous(other) && box_has(other, &addr)) {
			return dysco_conf_fail(s->error, "exists", NULL,
					       "box %s: %.60s is already box %s", box->name, word,
					       other->name);
		}
	}
	*field = addr;
	return 0;
}

int dysco_apply_box_add(struct dysco_statement *s)
{
	const char *name, *word;
	struct dysco_box *box;

	if (dysco_statement_name(s, "the box's name", &name) != 0 || name_is_new(s, name) != 0) {
		return -1;
	}
	box = new_box(&s->config->setup, name);
	if (!box) {
		return dysco_conf_fail(s->error, "limit", NULL, "more than %d boxes",
				       DYSCO_BOXES_MAX);
	}
	word = dysco_statement_need(s, "the address");
	if (!word) {
		return -1;
	}
	for (; word; word = dysco_statement_next(s)) {
		if (add_box_address(s, box, word) != 0) {
			return -1;
		}
	}
	return 0;
}

int dysco_apply_box_remove(struct dysco_statement *s)
{
	struct dysco_setup *setup = &s->config->setup;
	const char *name = dysco_statement_need(s, "the box's name");
	const struct dysco_policy *policy;
	const struct dysco_type *type;
	int i;

	if (!name || dysco_statement_end(s) != 0) {
		return -1;
	}
	i = dysco_config_find_box(s->config, name);
	if (i < 0) {
		return dysco_conf_fail(s->error, "unknown_box", "dysco box list",
				       "box '%.60s' is not known", name);
	}
	policy = used_by_policy(setup, DYSCO_HOP_BOX, (uint16_t)i);
	type = used_by_type(setup, (uint16_t)i);
	if (policy || type) {
		return dysco_conf_fail(s->error, "in_use", "replace or remove that first",
				       "box %s is used by %s %s", name, policy ? "policy" : "type",
				       policy ? policy->name : type->name);
	}
	remove_box(setup, (uint16_t)i);
	return 0;
}

/* The type that would have nobody left for its sessions; NULL: none. */
static const struct dysco_type *last_of(const struct dysco_setup *setup, uint16_t box)
{
	for (uint16_t i = 0; i < setup->n_types; i++) {
		const struct dysco_type *t = &setup->types[i];
		bool member = false, others = false;

		for (uint16_t j = 0; j < t->count; j++) {
			member = member || t->boxes[j] == box;
			others =
			    others || (t->boxes[j] != box && !setup->boxes[t->boxes[j]].draining);
		}
		if (member && !others && used_by_policy(setup, DYSCO_HOP_TYPE, i)) {
			return t;
		}
	}
	return NULL;
}

/* The box named by the next word; -1: refused. */
static int take_box(struct dysco_statement *s)
{
	const char *name = dysco_statement_need(s, "the box's name");
	struct dysco_addr addr;
	bool literal;
	int i;

	if (!name) {
		return -1;
	}
	literal = dysco_parse_addr(name, &addr) && dysco_addr_is_unicast(&addr);
	i = dysco_config_find_box(s->config, name);
	for (int b = 0; i < 0 && literal && b < s->config->setup.n_boxes; b++) {
		i = box_has(&s->config->setup.boxes[b], &addr) ? b : -1;
	}
	return i >= 0 ? i
		      : dysco_conf_fail(s->error, "unknown_box", "dysco box list",
					"box '%.60s' is not known", name);
}

int dysco_apply_box_drain(struct dysco_statement *s)
{
	struct dysco_setup *setup = &s->config->setup;
	int i = take_box(s);
	bool force = dysco_statement_take(s, "--force");
	const struct dysco_type *type;

	if (i < 0 || dysco_statement_end(s) != 0) {
		return -1;
	}
	type = force ? NULL : last_of(setup, (uint16_t)i);
	if (type) {
		return dysco_conf_fail(s->error, "in_use",
				       "give the type another box first, or drain with --force",
				       "new sessions of type %s would have no box without %s",
				       type->name, s->words->word[2]);
	}
	setup->boxes[i].draining = true;
	return 0;
}

int dysco_apply_box_undrain(struct dysco_statement *s)
{
	int i = take_box(s);

	if (i < 0 || dysco_statement_end(s) != 0) {
		return -1;
	}
	s->config->setup.boxes[i].draining = false;
	return 0;
}

static int take_select(struct dysco_statement *s, struct dysco_type *type)
{
	static const char *const names[] = {"round-robin", "least-sessions", "consistent-hash"};
	const char *word = dysco_statement_need(s, "the way to select");

	for (int i = 0; word && i < 3; i++) {
		if (strcmp(word, names[i]) == 0) {
			type->select = (enum dysco_select)i;
			return dysco_statement_end(s);
		}
	}
	return word ? dysco_conf_fail(s->error, "bad_value",
				      "round-robin, least-sessions or consistent-hash",
				      "type %s: '%.60s' is not a way to select", type->name, word)
		    : -1;
}

static int add_type_box(struct dysco_statement *s, struct dysco_type *type, const char *word)
{
	int box = dysco_config_find_box(s->config, word);
	char hint[128];

	if (box < 0) {
		snprintf(hint, sizeof(hint), "dysco box add %.60s ADDRESS", word);
		return dysco_conf_fail(s->error, "unknown_box", hint,
				       "type %s: box '%.60s' is not known", type->name, word);
	}
	for (uint16_t i = 0; i < type->count; i++) {
		if (type->boxes[i] == box) {
			return dysco_conf_fail(s->error, "exists", "name each box once",
					       "type %s: box '%.60s' is there twice", type->name,
					       word);
		}
	}
	if (type->count == DYSCO_TYPE_BOXES_MAX) {
		return dysco_conf_fail(s->error, "limit", NULL, "type %s: more than %d boxes",
				       type->name, DYSCO_TYPE_BOXES_MAX);
	}
	type->boxes[type->count++] = (uint16_t)box;
	return 0;
}

int dysco_apply_type_add(struct dysco_statement *s)
{
	struct dysco_setup *setup = &s->config->setup;
	struct dysco_type type = {0};
	const char *name, *word;

	if (dysco_statement_name(s, "the type's name", &name) != 0 || name_is_new(s, name) != 0) {
		return -1;
	}
	if (setup->n_types == DYSCO_TYPES_MAX) {
		return dysco_conf_fail(s->error, "limit", NULL, "more than %d types",
				       DYSCO_TYPES_MAX);
	}
	snprintf(type.name, sizeof(type.name), "%s", name);
	word = dysco_statement_need(s, "a box");
	if (!word) {
		return -1;
	}
	for (; word; word = dysco_statement_next(s)) {
		if (strcmp(word, "select") == 0) {
			if (take_select(s, &type) != 0) {
				return -1;
			}
		} else if (add_type_box(s, &type, word) != 0) {
			return -1;
		}
	}
	if (type.count == 0) {
		return dysco_conf_fail(s->error, "bad_value", "name its boxes",
				       "type %s: has no box", name);
	}
	setup->types[setup->n_types++] = type;
	return 0;
}

int dysco_apply_type_remove(struct dysco_statement *s)
{
	struct dysco_setup *setup = &s->config->setup;
	const char *name = dysco_statement_need(s, "the type's name");
	const struct dysco_policy *policy;
	int i;

	if (!name || dysco_statement_end(s) != 0) {
		return -1;
	}
	i = dysco_config_find_type(s->config, name);
	if (i < 0) {
		return dysco_conf_fail(s->error, "unknown_type", "dysco type list",
				       "type '%.60s' is not known", name);
	}
	policy = used_by_policy(setup, DYSCO_HOP_TYPE, (uint16_t)i);
	if (policy) {
		return dysco_conf_fail(s->error, "in_use", "replace or remove that first",
				       "type %s is used by policy %s", name, policy->name);
	}
	memmove(&setup->types[i], &setup->types[i + 1],
		(size_t)(setup->n_types - i - 1) * sizeof(setup->types[0]));
	setup->n_types--;
	renumber_hops(setup, DYSCO_HOP_TYPE, (uint16_t)i);
	return 0;
}
