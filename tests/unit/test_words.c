/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words and lines (conf/words.h): quoting, comments, joined lines, refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/words.h"

static struct dysco_words words;
static char error[200];

static int split(const char *line)
{
	return dysco_words_split(&words, line, strlen(line), error, sizeof(error));
}

/* The words of a line, each in brackets. */
static const char *bracketed(const char *line)
{
	static char out[400];
	size_t n = 0;

	out[0] = '\0';
	if (split(line) != 0) {
		return "refused";
	}
	for (int i = 0; i < words.count; i++) {
		n += (size_t)snprintf(out + n, sizeof(out) - n, "[%s]", words.word[i]);
	}
	return out;
}

static void words_are_separated_by_white_space(void **state)
{
	(void)state;
	assert_string_equal(bracketed("policy  web\tvia fw "), "[policy][web][via][fw]");
	assert_string_equal(bracketed(""), "");
	assert_string_equal(bracketed("  \t"), "");
	assert_string_equal(bracketed("a\r"), "[a]");
}

static void quotes_and_escapes(void **state)
{
	(void)state;
	assert_string_equal(bracketed("a \"b c\" d"), "[a][b c][d]");
	assert_string_equal(bracketed("'b \\ \"c'"), "[b \\ \"c]");
	assert_string_equal(bracketed("\"a\\\"b\\\\c\\d\""), "[a\"b\\c\\d]");
	assert_string_equal(bracketed("a\\ b"), "[a b]");
	assert_string_equal(bracketed("pre\"mid dle\"'post'"), "[premid dlepost]");
	assert_string_equal(bracketed("'' \"\""), "[][]");
}

static void comments_begin_at_the_start_of_a_word(void **state)
{
	(void)state;
	assert_string_equal(bracketed("a # b"), "[a]");
	assert_string_equal(bracketed("a#b"), "[a#b]");
	assert_string_equal(bracketed("# 'open"), "");
	assert_string_equal(bracketed("\\#a '#b'"), "[#a][#b]");
}

static void offsets_say_where_words_began(void **state)
{
	(void)state;
	assert_int_equal(split("ab  'c d' e"), 0);
	assert_int_equal(words.offset[0], 0);
	assert_int_equal(words.offset[1], 4);
	assert_int_equal(words.offset[2], 10);
}

static void bad_lines_are_refused_with_a_reason(void **state)
{
	static char long_line[DYSCO_LINE_BYTES + 2];

	(void)state;
	assert_int_equal(split("a 'b"), -1);
	assert_non_null(strstr(error, "column 3"));
	assert_int_equal(split("a \"b\\\""), -1);
	assert_int_equal(split("a \\"), -1);
	assert_non_null(strstr(error, "backslash"));
	assert_int_equal(dysco_words_split(&words, "a\0b", 3, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "NUL"));
	memset(long_line, 'a', sizeof(long_line) - 1);
	assert_int_equal(split(long_line), -1);
	assert_non_null(strstr(error, "16384"));
}

static void as_many_words_as_fit(void **state)
{
	char line[2 * (DYSCO_WORDS_MAX + 1) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		line[i] = i % 2 ? ' ' : 'w';
	}
	line[2 * DYSCO_WORDS_MAX] = '\0';
	assert_int_equal(split(line), 0);
	assert_int_equal(words.count, DYSCO_WORDS_MAX);
	line[2 * DYSCO_WORDS_MAX] = 'w';
	line[2 * DYSCO_WORDS_MAX + 1] = '\0';
	assert_int_equal(split(line), -1);
}

static void the_longest_line_fits(void **state)
{
	static char line[DYSCO_LINE_BYTES + 1];

	(void)state;
	memset(line, 'x', DYSCO_LINE_BYTES);
	assert_int_equal(split(line), 0);
	assert_int_equal(strlen(words.word[0]), DYSCO_LINE_BYTES);
}

static void quoting_comes_back_through_split(void **state)
{
	static const char *const samples[] = {
	    "",	    "plain",	 "two words", "#hash", "a#b", "q\"uote", "b\\ack",
	    "it's", "tab\there", "new\nline", "\\",    "\"",  "'\"\\ #", "10.0.0.0/8"};
	char quoted[64];

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		size_t n = dysco_words_quote(quoted, sizeof(quoted), samples[i]);

		assert_int_equal(n, strlen(quoted));
		assert_int_equal(split(quoted), 0);
		assert_int_equal(words.count, 1);
		assert_string_equal(words.word[0], samples[i]);
	}
}

static void quoting_into_too_little_room(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(dysco_words_quote(out, sizeof(out), "a b"), 5);
	assert_string_equal(out, "\"a ");
	assert_int_equal(dysco_words_quote(NULL, 0, "abc"), 3);
}

/* ---- texts ---- */

static char seen[400];

static int see(void *context, const char *where, const struct dysco_words *w)
{
	size_t n = strlen(seen);

	(void)context;
	snprintf(seen + n, sizeof(seen) - n, "%s/%d/%s ", where, w->count, w->word[0]);
	return strcmp(w->word[0], "stop") == 0 ? 7 : 0;
}

static int read_text(const char *text)
{
	seen[0] = '\0';
	return dysco_words_read("f", text, strlen(text), see, NULL, error, sizeof(error));
}

static void lines_are_numbered_and_joined(void **state)
{
	(void)state;
	assert_int_equal(read_text("a\n\n# c\nb \\\n c \\\n d\ne"), 0);
	assert_string_equal(seen, "f:1/1/a f:4/3/b f:7/1/e ");
	assert_int_equal(read_text("x \\\\\ny\n"), 0);
	assert_string_equal(seen, "f:1/2/x f:2/1/y ");
}

static void a_text_may_end_anywhere(void **state)
{
	(void)state;
	assert_int_equal(read_text(""), 0);
	assert_string_equal(seen, "");
	assert_int_equal(read_text("a"), 0);
	assert_string_equal(seen, "f:1/1/a ");
	assert_int_equal(read_text("a \\"), -1);
}

static void reading_stops_at_the_first_refusal(void **state)
{
	(void)state;
	assert_int_equal(read_text("a\nstop\nb"), 7);
	assert_string_equal(seen, "f:1/1/a f:2/1/stop ");
	assert_int_equal(read_text("a\n\n'b\nc"), -1);
	assert_string_equal(seen, "f:1/1/a ");
	assert_non_null(strstr(error, "f:3: "));
}

static void a_joined_line_has_a_limit(void **state)
{
	static char text[DYSCO_LINE_BYTES + 100];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[DYSCO_LINE_BYTES / 2] = '\\';
	text[DYSCO_LINE_BYTES / 2 + 1] = '\n';
	assert_int_equal(read_text(text), -1);
	assert_non_null(strstr(error, "f:1: line longer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_separated_by_white_space),
	    cmocka_unit_test(quotes_and_escapes),
	    cmocka_unit_test(comments_begin_at_the_start_of_a_word),
	    cmocka_unit_test(offsets_say_where_words_began),
	    cmocka_unit_test(bad_lines_are_refused_with_a_reason),
	    cmocka_unit_test(as_many_words_as_fit),
	    cmocka_unit_test(the_longest_line_fits),
	    cmocka_unit_test(quoting_comes_back_through_split),
	    cmocka_unit_test(quoting_into_too_little_room),
	    cmocka_unit_test(lines_are_numbered_and_joined),
	    cmocka_unit_test(a_text_may_end_anywhere),
	    cmocka_unit_test(reading_stops_at_the_first_refusal),
	    cmocka_unit_test(a_joined_line_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
