// SPDX-License-Identifier: BSD-2-Clause
/*
 * Variables, repetitions and conditions of a lab file:
 *
 *   let boxes 4                  @{boxes}          the value
 *   repeat i 1 @{boxes}          @{i+1}            + - * / % from left to right
 *   if @{mode} = port            @{1..boxes:fw#}   fw1,fw2,fw3,fw4
 *   else
 *   end
 *
 * A repetition whose last number is below the first does nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

#define DEPTH_MAX	8
#define WORD_BYTES	8192
#define REPETITIONS_MAX 4096

static struct lab_var *find_var(struct lab *lab, const char *name)
{
	for (int i = lab->n_vars - 1; i >= 0; i--) {
		if (strcmp(lab->vars[i].name, name) == 0) {
			return &lab->vars[i];
		}
	}
	return NULL;
}

static bool var_name_ok(const char *name)
{
	return name[0] && strspn(name, "0123456789") == 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		   strlen(name);
}

static struct lab_var *push_var(struct lab *lab, const char *where, const char *name,
				const char *value)
{
	struct lab_var *var = &lab->vars[lab->n_vars];

	if (!var_name_ok(name)) {
		lab_fail(lab, where, "'%s' is no name for a variable: letters, digits and _ only",
			 name);
		return NULL;
	}
	if (lab->n_vars == LAB_VARS_MAX) {
		lab_fail(lab, where, "more than %d variables", LAB_VARS_MAX);
		return NULL;
	}
	lab->n_vars++;
	*var = (struct lab_var){lab_copy(lab, name), lab_copy(lab, value), false, false};
	return var;
}

int lab_set_var(struct lab *lab, const char *where, const char *name, const char *value)
{
	struct lab_var *var = find_var(lab, name);

	if (!var) {
		var = push_var(lab, where, name, value);
	} else if (!var->fixed) {
		var->value = lab_copy(lab, value);
	}
	if (!var) {
		return -1;
	}
	var->used = true;
	return 0;
}

int lab_fix_var(struct lab *lab, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	struct lab_var *var;

	if (!equals) {
		return lab_fail(lab, NULL, "--set %s: write --set NAME=VALUE", assignment);
	}
	var = push_var(lab, "--set",
		       lab_format(lab, "%.*s", (int)(equals - assignment), assignment), equals + 1);
	if (!var) {
		return -1;
	}
	var->fixed = true;
	return 0;
}

static bool is_integer(const char *text)
{
	const char *digits = text + (text[0] == '-');

	return digits[0] && strlen(digits) <= 9 && strspn(digits, "0123456789") == strlen(digits);
}

/* The value of one operand: a number, or a variable. */
static int operand(struct lab *lab, const char *where, const char *text, long *value)
{
	struct lab_var *var = find_var(lab, text);
	const char *digits = var ? var->value : text;

	if (!var && !is_integer(text)) {
		return lab_fail(lab, where,
				"@{...}: there is no variable '%s'; write: let %s VALUE", text,
				text);
	}
	if (!is_integer(digits)) {
		return lab_fail(lab, where, "@{...}: '%s' is '%s', not a number below 10^9", text,
				digits);
	}
	*value = strtol(digits, NULL, 10);
	return 0;
}

static int combine(struct lab *lab, const char *where, long *value, char op, long with)
{
	bool overflow = false;

	switch (op) {
	case '+':
		overflow = __builtin_add_overflow(*value, with, value);
		break;
	case '-':
		overflow = __builtin_sub_overflow(*value, with, value);
		break;
	case '*':
		overflow = __builtin_mul_overflow(*value, with, value);
		break;
	default:
		if (with == 0) {
			return lab_fail(lab, where, "@{...}: division by zero");
		}
		*value = op == '/' ? *value / with : *value % with;
	}
	if (overflow || *value > 999999999 || *value < -999999999) {
		return lab_fail(lab, where, "@{...}: the result does not fit");
	}
	return 0;
}

/* TERM {+-*%/ TERM}, from left to right. */
static int calculate(struct lab *lab, const char *where, const char *text, long *value)
{
	char op = '+';

	*value = 0;
	while (true) {
		size_t bytes = strcspn(text, "+-*/%");
		long with = 0;

		if (operand(lab, where, lab_format(lab, "%.*s", (int)bytes, text), &with) ||
		    combine(lab, where, value, op, with)) {
			return -1;
		}
		if (!text[bytes]) {
			return 0;
		}
		op = text[bytes];
		text += bytes + 1;
	}
}

struct word_buffer {
	char text[WORD_BYTES];
	size_t used;
};

static int append(struct lab *lab, const char *where, struct word_buffer *out, const char *text,
		  size_t bytes)
{
	if (bytes >= sizeof(out->text) - out->used) {
		return lab_fail(lab, where, "a word grows beyond %zu bytes", sizeof(out->text));
	}
	memcpy(out->text + out->used, text, bytes);
	out->used += bytes;
	out->text[out->used] = '\0';
	return 0;
}

static int append_numbered(struct lab *lab, const char *where, struct word_buffer *out,
			   const char *pattern, long number)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%ld", number);

	for (const char *c = pattern; *c; c++) {
		if (*c == '#' ? append(lab, where, out, digits, (size_t)n)
			      : append(lab, where, out, c, 1)) {
			return -1;
		}
	}
	return 0;
}

/* FIRST..LAST:PATTERN, a list with commas. */
static int append_list(struct lab *lab, const char *where, struct word_buffer *out,
		       const char *text, const char *dots, const char *colon)
{
	long first, last;

	if (calculate(lab, where, lab_format(lab, "%.*s", (int)(dots - text), text), &first) ||
	    calculate(lab, where, lab_format(lab, "%.*s", (int)(colon - dots - 2), dots + 2),
		      &last)) {
		return -1;
	}
	if (last - first > REPETITIONS_MAX) {
		return lab_fail(lab, where, "a list of more than %d elements", REPETITIONS_MAX);
	}
	for (long i = first; i <= last; i++) {
		if ((i > first && append(lab, where, out, ",", 1)) ||
		    append_numbered(lab, where, out, colon + 1, i)) {
			return -1;
		}
	}
	return 0;
}

/* What stands between @{ and }. */
static int append_value(struct lab *lab, const char *where, struct word_buffer *out,
			const char *text)
{
	struct lab_var *var = find_var(lab, text);
	const char *dots = strstr(text, "..");
	const char *colon = dots ? strchr(dots, ':') : NULL;
	char digits[24];
	long value;
	int n;

	if (var) {
		return append(lab, where, out, var->value, strlen(var->value));
	}
	if (colon) {
		return append_list(lab, where, out, text, dots, colon);
	}
	if (calculate(lab, where, text, &value)) {
		return -1;
	}
	n = snprintf(digits, sizeof(digits), "%ld", value);
	return append(lab, where, out, digits, (size_t)n);
}

const char *lab_expand_word(struct lab *lab, const char *where, const char *word)
{
	struct word_buffer out = {.used = 0};

	if (!strstr(word, "@{")) {
		return word;
	}
	while (*word) {
		const char *open = strstr(word, "@{");
		const char *close = open ? strchr(open, '}') : NULL;
		size_t plain = open ? (size_t)(open - word) : strlen(word);

		if (append(lab, where, &out, word, plain)) {
			return NULL;
		}
		if (open && !close) {
			lab_fail(lab, where, "@{ without }");
			return NULL;
		}
		if (!open) {
			break;
		}
		if (append_value(lab, where, &out,
				 lab_format(lab, "%.*s", (int)(close - open - 2), open + 2))) {
			return NULL;
		}
		word = close + 1;
	}
	return lab_copy(lab, out.text);
}

static int expand_line(struct lab *lab, const struct lab_line *line, struct lab_line *out)
{
	const char **word = lab_alloc(lab, sizeof(*word) * (size_t)(line->words.count + 1));

	for (int i = 0; i < line->words.count; i++) {
		word[i] = lab_expand_word(lab, line->where, line->words.word[i]);
		if (!word[i]) {
			return -1;
		}
	}
	*out = (struct lab_line){line->where, {line->words.count, word}};
	return 0;
}

static bool begins(const struct lab_line *line, const char *word)
{
	return strcmp(line->words.word[0], word) == 0;
}

/* The `end` of the block opened at line `open`, and its `else` (-1: none). */
static int find_end(struct lab *lab, int open, int last, int *other)
{
	int depth = 0;

	*other = -1;
	for (int i = open; i < last; i++) {
		const struct lab_line *line = &lab->lines[i];

		if (begins(line, "repeat") || begins(line, "if")) {
			depth++;
		} else if (begins(line, "end")) {
			depth--;
			if (depth == 0) {
				return i;
			}
		} else if (begins(line, "else") && depth == 1) {
			if (*other >= 0 || begins(&lab->lines[open], "repeat")) {
				return lab_fail(lab, line->where, "this else belongs to no if");
			}
			*other = i;
		}
	}
	return lab_fail(lab, lab->lines[open].where, "%s without end",
			lab->lines[open].words.word[0]);
}

/* Called for each statement and each repetition: what a small file can grow to is bounded. */
static int within_limits(struct lab *lab, const char *where, int depth)
{
	if (depth > DEPTH_MAX) {
		return lab_fail(lab, where, "more than %d blocks in each other", DEPTH_MAX);
	}
	if (++lab->executed > LAB_EXECUTED_MAX || lab->used_bytes > LAB_TEXT_BYTES) {
		return lab_fail(lab, where, "more than %d statements and repetitions, or %u MiB",
				LAB_EXECUTED_MAX, LAB_TEXT_BYTES >> 20);
	}
	return 0;
}

static int repeat(struct lab *lab, const struct lab_line *line, int first, int last, int depth)
{
	int n_vars = lab->n_vars;
	long from, to;

	if (line->words.count != 4) {
		return lab_fail(lab, line->where, "write: repeat VARIABLE FIRST LAST");
	}
	if (calculate(lab, line->where, line->words.word[2], &from) ||
	    calculate(lab, line->where, line->words.word[3], &to)) {
		return -1;
	}
	if (to - from >= REPETITIONS_MAX) {
		return lab_fail(lab, line->where, "more than %d repetitions", REPETITIONS_MAX);
	}
	for (long i = from; i <= to; i++) {
		/* What a repetition declares inside ends with it, except `let` of a known name. */
		lab->n_vars = n_vars;
		if (within_limits(lab, line->where, depth)) {
			return -1;
		}
		if (!push_var(lab, line->where, line->words.word[1], lab_format(lab, "%ld", i)) ||
		    lab_execute(lab, first, last, depth + 1)) {
			return -1;
		}
	}
	lab->n_vars = n_vars;
	return 0;
}

static int branch(struct lab *lab, const struct lab_line *line, int open, int other, int end,
		  int depth)
{
	const struct lab_words *w = &line->words;
	bool equal;

	if (w->count != 4 || (strcmp(w->word[2], "=") != 0 && strcmp(w->word[2], "!=") != 0)) {
		return lab_fail(lab, line->where, "write: if A = B, or: if A != B");
	}
	equal = strcmp(w->word[1], w->word[3]) == 0;
	if (equal == (w->word[2][0] == '=')) {
		return lab_execute(lab, open + 1, other >= 0 ? other : end, depth + 1);
	}
	return other >= 0 ? lab_execute(lab, other + 1, end, depth + 1) : 0;
}

int lab_execute(struct lab *lab, int first, int last, int depth)
{
	for (int i = first; i < last; i++) {
		const struct lab_line *raw = &lab->lines[i];
		bool block = begins(raw, "repeat") || begins(raw, "if");
		struct lab_line line;
		int other = -1, end;

		if (within_limits(lab, raw->where, depth)) {
			return -1;
		}
		if (expand_line(lab, raw, &line)) {
			return -1;
		}
		if (!block) {
			if (lab_parse(lab, &line)) {
				return -1;
			}
			continue;
		}
		end = find_end(lab, i, last, &other);
		if (end < 0 || (begins(raw, "repeat") ? repeat(lab, &line, i + 1, end, depth)
						      : branch(lab, &line, i, other, end, depth))) {
			return -1;
		}
		i = end;
	}
	return 0;
}
