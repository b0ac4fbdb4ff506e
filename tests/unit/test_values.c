/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and endpoints as people write them (conf/parse.h), and the numbers
 * that names keep (conf/ids.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/ids.h"
#include "conf/parse.h"
#include "conf/words.h"

/* ---- ids ---- */

static void ids_survive_a_restart(void **state)
{
	struct dysco_ids *ids = calloc(1, sizeof(*ids)), *again = calloc(1, sizeof(*again));
	struct dysco_words words;
	char text[1000], wrong[100];
	const char *line = text;

	(void)state;
	assert_non_null(ids);
	assert_non_null(again);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "h%d", i);
		assert_int_not_equal(dysco_ids_host(ids, name), 0);
	}
	assert_int_not_equal(dysco_ids_attachment(ids, "", "eth0", false), 0);
	assert_int_not_equal(dysco_ids_attachment(ids, "n s", "eth0", true), 0);
	assert_true(dysco_ids_write(ids, text, sizeof(text)) < sizeof(text));
	while (*line) {
		size_t n = strcspn(line, "\n");

		assert_int_equal(dysco_words_split(&words, line, n, wrong, sizeof(wrong)), 0);
		dysco_ids_read_statement(again, &words);
		line += n + 1;
	}
	assert_int_equal(dysco_ids_host(again, "h7"), dysco_ids_host(ids, "h7"));
	assert_int_equal(dysco_ids_attachment(again, "n s", "eth0", true),
			 dysco_ids_attachment(ids, "n s", "eth0", true));
	assert_int_not_equal(dysco_ids_attachment(again, "", "eth0", false),
			     dysco_ids_attachment(again, "n s", "eth0", true));
	free(again);
	free(ids);
}

static void attachment_numbers_run_out(void **state)
{
	struct dysco_ids *ids = calloc(1, sizeof(*ids));

	(void)state;
	assert_non_null(ids);
	for (int i = 0; i < DYSCO_ATTACHMENTS_MAX - 1; i++) {
		char name[16];

		snprintf(name, sizeof(name), "v%d", i);
		assert_int_not_equal(dysco_ids_attachment(ids, "", name, false), 0);
	}
	assert_int_equal(dysco_ids_attachment(ids, "", "one-more", false), 0);
	dysco_ids_forget_attachment(ids, 5);
	assert_int_equal(dysco_ids_attachment(ids, "", "one-more", false), 5);
	free(ids);
}

/* ---- values ---- */

static void endpoints(void **state)
{
	static const char *const bad[] = {"",		":",	"1.2.3.4",	 "1.2.3.4:",
					  "1.2.3.4:0",	"x:80", "1.2.3.4:65536", "fd00::1:80",
					  "[fd00::1]",	"[:80", "[]:80",	 "[1.2.3.4:80",
					  "[fd00::1]80"};
	char text[DYSCO_ENDPOINT_TEXT];
	struct dysco_addr addr;
	dysco_be16 port;

	(void)state;
	assert_true(dysco_parse_endpoint("[fd00::1]:80", &addr, &port));
	dysco_format_endpoint(text, &addr, port);
	assert_string_equal(text, "[fd00::1]:80");
	assert_true(dysco_parse_endpoint("1.2.3.4:65535", &addr, &port));
	dysco_format_endpoint(text, &addr, port);
	assert_string_equal(text, "1.2.3.4:65535");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(dysco_parse_endpoint(bad[i], &addr, &port));
	}
}

static void prefixes(void **state)
{
	static const char *const same[] = {"10.0.0.0/8", "10.0.0.1", "0.0.0.0/0",
					   "fd00::/8",	 "::/0",     "fd00::1"};
	char text[DYSCO_ENDPOINT_TEXT];
	struct dysco_prefix prefix;
	bool host_bits;

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_true(dysco_parse_prefix(same[i], &prefix, &host_bits));
		assert_false(host_bits);
		dysco_format_prefix(text, &prefix);
		assert_string_equal(text, same[i]);
	}
	assert_true(dysco_parse_prefix("10.1.2.3/9", &prefix, &host_bits));
	assert_true(host_bits);
	dysco_format_prefix(text, &prefix);
	assert_string_equal(text, "10.0.0.0/9");
	assert_false(dysco_parse_prefix("10.0.0.0/", &prefix, &host_bits));
	assert_false(dysco_parse_prefix("fd00::/129", &prefix, &host_bits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids_survive_a_restart),
	    cmocka_unit_test(attachment_numbers_run_out),
	    cmocka_unit_test(endpoints),
	    cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
