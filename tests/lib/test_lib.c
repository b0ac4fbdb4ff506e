/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdysco: names of sessions, questions as they are written, answers as they
 * are read, and requests against an agent that this test plays itself.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/internal.h"

/* ---- sessions ---- */

static void expect_text(const struct dysco_session *session, const char *wanted)
{
	char text[DYSCO_SESSION_TEXT];

	assert_int_equal(dysco_session_format(session, text, sizeof(text)), 0);
	assert_string_equal(text, wanted);
	assert_int_equal(dysco_session_format(session, text, strlen(wanted)), -EINVAL);
}

static void sessions_have_texts(void **state)
{
	struct dysco_session session;

	(void)state;
	assert_int_equal(dysco_session_parse(&session, "192.0.2.1:80", "192.0.2.2:65535"), 0);
	expect_text(&session, "192.0.2.1:80 192.0.2.2:65535");
	assert_int_equal(dysco_session_parse(&session, "[2001:db8::1]:80", "[::1]:1"), 0);
	expect_text(&session, "[2001:db8::1]:80 [::1]:1");
	/* what a socket of both families calls an IPv4 peer */
	assert_int_equal(dysco_session_parse(&session, "[::ffff:192.0.2.1]:80", "192.0.2.2:1"), 0);
	expect_text(&session, "192.0.2.1:80 192.0.2.2:1");
}

static void bad_sessions_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    ":",
	    ":80",
	    "192.0.2.1",
	    "192.0.2.1:",
	    "192.0.2.1:0",
	    "192.0.2.1:65536",
	    "192.0.2.1:-1",
	    "192.0.2.1:8 0",
	    "192.0.2:80",
	    "[::1:80",
	    "::1:80",
	    "[]:80",
	    "[::1]80",
	    "[192.0.2.1]:80",
	    "web.example:80",
	    "[::1]:80",
	};
	struct dysco_session session, before;
	char longest[400];

	(void)state;
	assert_int_equal(dysco_session_parse(&session, "192.0.2.1:80", "192.0.2.2:81"), 0);
	before = session;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(dysco_session_parse(&session, bad[i], "192.0.2.2:81"), -EINVAL);
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(dysco_session_parse(&session, longest, "192.0.2.2:81"), -EINVAL);
	assert_int_equal(dysco_session_parse(&session, NULL, "192.0.2.2:81"), -EINVAL);
	assert_int_equal(dysco_session_set(&session, NULL, NULL), -EINVAL);
	assert_int_equal(dysco_session_of_socket(&session, -1), -EBADF);
	assert_memory_equal(&session, &before, sizeof(session));
	memset(&session, 0, sizeof(session));
	assert_int_equal(dysco_session_format(&session, longest, sizeof(longest)), -EINVAL);
}

/* ---- questions ---- */

static struct dysco_lib_line line;

static void begin(const char *verb)
{
	struct dysco_session session;

	assert_int_equal(dysco_session_parse(&session, "192.0.2.1:80", "192.0.2.2:81"), 0);
	assert_int_equal(dysco_lib_line_begin(&line, verb, &session), 0);
}

static void words_are_quoted(void **state)
{
	struct dysco_options options = {.host = "fw 1"};

	(void)state;
	begin("remove");
	dysco_lib_line_word(&line, "a\"b\\c");
	dysco_lib_line_number(&line, "right", UINT32_MAX);
	assert_int_equal(dysco_lib_line_end(&line, &options), 0);
	assert_string_equal(line.text, "session remove 192.0.2.1:80 192.0.2.2:81 \"a\\\"b\\\\c\" "
				       "right 4294967295 host \"fw 1\"\n");
}

/* A second statement cannot be smuggled in, nor a question be cut short. */
static void what_is_no_word_is_refused(void **state)
{
	static const char *const bad[] = {NULL, "", "fw\nsession kill 1234", "fw\r"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin("replace");
		dysco_lib_line_word(&line, bad[i]);
		assert_int_equal(dysco_lib_line_end(&line, NULL), -EINVAL);
	}
	begin("replace");
	while (!line.full) {
		dysco_lib_line_word(&line, "a-name-of-a-box");
	}
	assert_int_equal(dysco_lib_line_end(&line, NULL), -EINVAL);
	assert_true(line.used <= DYSCO_LIB_LINE_BYTES);
}

/* ---- answers ---- */

static void answers_are_read(void **state)
{
	static const char done[] = "{\"id\":\"00\",\"took_us\":1234.5,\"chain\":null}";
	static const char busy[] = "{\"error\":{\"code\":\"not_reconfigured\",\"message\":\"busy: "
				   "another one\",\"hint\":null}}";
	static const char unknown[] =
	    "{\"error\":{\"code\":\"unknown_session\",\"message\":\"no: none\",\"hint\":\"\"}}";
	struct dysco_result result;

	(void)state;
	assert_int_equal(dysco_lib_answer(done, strlen(done), &result), 0);
	assert_int_equal(result.took_us, 1234);
	assert_string_equal(result.cause, "");
	assert_int_equal(dysco_lib_answer("{}", 2, &result), 0);
	assert_int_equal(dysco_lib_answer(busy, strlen(busy), &result), -EREMOTEIO);
	assert_string_equal(result.code, "not_reconfigured");
	assert_string_equal(result.cause, "busy");
	assert_string_equal(result.message, "busy: another one");
	assert_int_equal(dysco_lib_answer(unknown, strlen(unknown), &result), -EREMOTEIO);
	assert_string_equal(result.cause, "unknown_session");
	for (size_t n = 0; n < strlen(busy); n++) {
		assert_int_equal(dysco_lib_answer(busy, n, &result), -EPROTO);
		assert_int_equal(result.error, -EPROTO);
	}
}

static void nonsense_is_no_answer(void **state)
{
	static const char *const bad[] = {
	    "[]",    "1", "null", "{\"error\":1}", "{\"error\":{}}", "{\"error\":{\"code\":1}}",
	    "{} {}",
	};
	struct dysco_result result;
	char longest[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(dysco_lib_answer(bad[i], strlen(bad[i]), &result), -EPROTO);
		assert_string_not_equal(result.message, "");
	}
	snprintf(longest, sizeof(longest),
		 "{\"error\":{\"code\":\"%0500d\",\"message\":\"%01000d\"}}", 0, 0);
	assert_int_equal(dysco_lib_answer(longest, strlen(longest), &result), -EREMOTEIO);
	assert_int_equal(strlen(result.code), sizeof(result.code) - 1);
	assert_int_equal(strlen(result.cause), sizeof(result.cause) - 1);
	assert_int_equal(strlen(result.message), sizeof(result.message) - 1);
}

/* ---- requests ---- */

/* A socket that this test answers at. */
struct agent {
	char dir[32];
	struct sockaddr_un address;
	int listener;
	struct dysco_options options;
	struct dysco_session session;
	struct dysco_request *request;
};

static struct agent agent;

static int set_up(void **state)
{
	(void)state;
	memset(&agent, 0, sizeof(agent));
	strcpy(agent.dir, "/tmp/dysco-lib-XXXXXX");
	assert_non_null(mkdtemp(agent.dir));
	agent.address.sun_family = AF_UNIX;
	snprintf(agent.address.sun_path, sizeof(agent.address.sun_path), "%s/s", agent.dir);
	agent.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	agent.options.socket = agent.address.sun_path;
	assert_int_equal(
	    bind(agent.listener, (const struct sockaddr *)&agent.address, sizeof(agent.address)),
	    0);
	assert_int_equal(listen(agent.listener, 4), 0);
	return dysco_session_parse(&agent.session, "192.0.2.1:80", "192.0.2.2:81");
}

static int tear_down(void **state)
{
	(void)state;
	dysco_request_free(agent.request);
	close(agent.listener);
	unlink(agent.address.sun_path);
	return rmdir(agent.dir);
}

/* Takes the question; returns the connection it came by. */
static int take(const char *wanted)
{
	char text[512] = "";
	int fd = accept(agent.listener, NULL, NULL);

	assert_true(fd >= 0);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, wanted);
	return fd;
}

static bool readable(void)
{
	struct pollfd fd = {.fd = dysco_request_fd(agent.request), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void requests_wait_for_their_answer(void **state)
{
	static const char answer[] = "{\"took_us\":5}\n";
	struct dysco_result result = {.error = 1};
	int fd;

	(void)state;
	assert_int_equal(dysco_remove_self_start(&agent.request, &agent.options, &agent.session),
			 0);
	fd = take("session remove 192.0.2.1:80 192.0.2.2:81 \"self\"\n");
	assert_false(readable());
	assert_int_equal(dysco_request_result(agent.request, &result), -EAGAIN);
	assert_int_equal(dysco_request_wait(agent.request, 0, &result), -ETIMEDOUT);
	for (size_t i = 0; i < strlen(answer); i++) {
		assert_int_equal(dysco_request_result(agent.request, &result), -EAGAIN);
		assert_int_equal(send(fd, answer + i, 1, MSG_NOSIGNAL), 1);
		assert_true(readable());
	}
	assert_int_equal(result.error, 1);
	assert_int_equal(dysco_request_wait(agent.request, -1, &result), 0);
	assert_int_equal(result.took_us, 5);
	close(fd);
	assert_int_equal(dysco_request_result(agent.request, NULL), 0);
}

static void every_question_has_its_words(void **state)
{
	static const char *const boxes[] = {"fw2", "10.0.0.9"};
	struct dysco_delta delta = {.right = 1, .left = 2, .ts_right = 3, .ts_left = 4};
	struct dysco_request *r;

	(void)state;
	agent.options.host = "fw1";
	assert_int_equal(dysco_replace_self_start(&r, &agent.options, &agent.session, boxes, 2), 0);
	close(take("session replace 192.0.2.1:80 192.0.2.2:81 \"self\" \"fw2\" \"10.0.0.9\" host "
		   "\"fw1\"\n"));
	dysco_request_free(r);
	agent.options.host = NULL;
	assert_int_equal(
	    dysco_insert_before_self_start(&r, &agent.options, &agent.session, boxes, 1), 0);
	close(take("session insert 192.0.2.1:80 192.0.2.2:81 \"fw2\" \"before\" \"self\"\n"));
	dysco_request_free(r);
	assert_int_equal(dysco_freeze_start(&r, &agent.options, &agent.session, &delta), 0);
	close(take("session freeze 192.0.2.1:80 192.0.2.2:81 right 1 left 2 ts-right 3 ts-left "
		   "4\n"));
	dysco_request_free(r);
	assert_int_equal(dysco_thaw_start(&r, &agent.options, &agent.session), 0);
	close(take("session thaw 192.0.2.1:80 192.0.2.2:81\n"));
	dysco_request_free(r);
	assert_int_equal(dysco_replace_self_start(&r, &agent.options, &agent.session, boxes, 0),
			 -EINVAL);
	assert_int_equal(dysco_freeze_start(&r, &agent.options, &agent.session, NULL), -EINVAL);
}

static void an_agent_may_be_gone(void **state)
{
	struct dysco_result result;

	(void)state;
	assert_int_equal(dysco_remove_self_start(&agent.request, &agent.options, &agent.session),
			 0);
	close(take("session remove 192.0.2.1:80 192.0.2.2:81 \"self\"\n"));
	assert_int_equal(dysco_request_wait(agent.request, -1, &result), -ECONNRESET);
	assert_int_equal(result.error, -ECONNRESET);
	agent.options.socket = "/nonexistent/dysco.sock";
	assert_int_equal(dysco_remove_self(&agent.options, &agent.session, 0, &result), -ENOENT);
	assert_int_equal(result.error, -ENOENT);
	assert_string_not_equal(result.message, "");
}

static void a_blocking_question_gives_up(void **state)
{
	struct dysco_result result;

	(void)state;
	assert_int_equal(dysco_thaw(&agent.options, &agent.session, 1, &result), -ETIMEDOUT);
	assert_int_equal(result.error, -ETIMEDOUT);
	assert_int_equal(dysco_thaw(&agent.options, &agent.session, 0, NULL), -ETIMEDOUT);
}

/* What an agent may not do to the box's program. */
static void endless_answers_are_given_up(void **state)
{
	static char much[65536];
	struct dysco_result result;
	int fd, error = -EAGAIN;

	(void)state;
	memset(much, ' ', sizeof(much));
	assert_int_equal(dysco_remove_self_start(&agent.request, &agent.options, &agent.session),
			 0);
	fd = take("session remove 192.0.2.1:80 192.0.2.2:81 \"self\"\n");
	for (int i = 0; i < 1000 && error == -EAGAIN; i++) {
		send(fd, much, sizeof(much), MSG_NOSIGNAL | MSG_DONTWAIT);
		error = dysco_request_result(agent.request, &result);
	}
	assert_int_equal(error, -EPROTO);
	close(fd);
}

#define on_socket(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sessions_have_texts),     cmocka_unit_test(bad_sessions_are_refused),
	    cmocka_unit_test(words_are_quoted),	       cmocka_unit_test(what_is_no_word_is_refused),
	    cmocka_unit_test(answers_are_read),	       cmocka_unit_test(nonsense_is_no_answer),
	    on_socket(requests_wait_for_their_answer), on_socket(every_question_has_its_words),
	    on_socket(an_agent_may_be_gone),	       on_socket(a_blocking_question_gives_up),
	    on_socket(endless_answers_are_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
