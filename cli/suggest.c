/* SPDX-License-Identifier: BSD-2-Clause */
/* "Did you mean": the command nearest to what was typed. */
#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 63

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

unsigned int dysco_word_distance(const char *a, const char *b)
{
	unsigned int row[WORD_MAX + 1];
	size_t a_length = strnlen(a, WORD_MAX), b_length = strnlen(b, WORD_MAX);

	for (size_t j = 0; j <= b_length; j++) {
		row[j] = (unsigned int)j;
	}
	for (size_t i = 1; i <= a_length; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned int cost = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);

			diagonal = row[j];
			row[j] = least(row[j] + 1, row[j - 1] + 1, cost);
		}
	}
	return row[b_length];
}

/* Commands of two words of which the first was right. */
static bool say_subcommands(const char *first)
{
	size_t length = strlen(first);
	const char *separator = " needs one of: ";

	for (const struct dysco_command *c = dysco_commands; c->words; c++) {
		if (strncmp(c->words, first, length) == 0 && c->words[length] == ' ') {
			fprintf(stderr, "%s%s%s", separator[0] == ' ' ? "dysco: " : "",
				separator[0] == ' ' ? first : "", separator);
			fputs(c->words + length + 1, stderr);
			separator = ", ";
		}
	}
	if (separator[0] == ',') {
		fputc('\n', stderr);
	}
	return separator[0] == ',';
}

/* Is there a command of two words that begins with this one? */
static bool is_first_word(const char *word)
{
	size_t length = strlen(word);

	for (const struct dysco_command *c = dysco_commands; c->words; c++) {
		if (strncmp(c->words, word, length) == 0 && c->words[length] == ' ') {
			return true;
		}
	}
	return false;
}

enum dysco_exit dysco_suggest(int argc, char **argv)
{
	char typed[2 * WORD_MAX + 2];
	const struct dysco_command *nearest = NULL;
	unsigned int best = WORD_MAX;

	if (argc == 1 && say_subcommands(argv[0])) {
		return DYSCO_EXIT_USAGE;
	}
	for (const struct dysco_command *c = dysco_commands; c->words; c++) {
		bool two = argc > 1 && strchr(c->words, ' ');
		unsigned int distance;

		snprintf(typed, sizeof(typed), "%.62s%s%.62s", argv[0], two ? " " : "",
			 two ? argv[1] : "");
		distance = dysco_word_distance(typed, c->words);
		if (distance < best) {
			best = distance;
			nearest = c;
		}
	}
	snprintf(typed, sizeof(typed), "%.62s%s%.62s", argv[0], is_first_word(argv[0]) ? " " : "",
		 is_first_word(argv[0]) ? argv[1] : "");
	if (nearest && 2 * best < strlen(typed)) {
		return dysco_usage_error("no command '%s'; did you mean 'dysco %s'?", typed,
					 nearest->words);
	}
	return dysco_usage_error("no command '%s'; 'dysco help' lists them", typed);
}
