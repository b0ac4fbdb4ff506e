/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be asked, in both forms (dysco.h). */
#include <errno.h>

#include "lib/internal.h"

/* ---- without waiting ---- */

int dysco_remove_self_start(struct dysco_request **request, const struct dysco_options *options,
			    const struct dysco_session *session)
{
	struct dysco_lib_line line;

	if (dysco_lib_line_begin(&line, "remove", session) != 0) {
		return -EINVAL;
	}
	dysco_lib_line_word(&line, "self");
	if (dysco_lib_line_end(&line, options) != 0) {
		return -EINVAL;
	}
	return dysco_lib_request_start(request, options, &line);
}

static void add_boxes(struct dysco_lib_line *line, const char *const *boxes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		dysco_lib_line_word(line, boxes[i]);
	}
}

int dysco_replace_self_start(struct dysco_request **request, const struct dysco_options *options,
			     const struct dysco_session *session, const char *const *boxes,
			     size_t n)
{
	struct dysco_lib_line line;

	if (n == 0 || dysco_lib_line_begin(&line, "replace", session) != 0) {
		return -EINVAL;
	}
	dysco_lib_line_word(&line, "self");
	add_boxes(&line, boxes, n);
	if (dysco_lib_line_end(&line, options) != 0) {
		return -EINVAL;
	}
	return dysco_lib_request_start(request, options, &line);
}

int dysco_insert_before_self_start(struct dysco_request **request,
				   const struct dysco_options *options,
				   const struct dysco_session *session, const char *const *boxes,
				   size_t n)
{
	struct dysco_lib_line line;

	if (n == 0 || dysco_lib_line_begin(&line, "insert", session) != 0) {
		return -EINVAL;
	}
	add_boxes(&line, boxes, n);
	dysco_lib_line_word(&line, "before");
	dysco_lib_line_word(&line, "self");
	if (dysco_lib_line_end(&line, options) != 0) {
		return -EINVAL;
	}
	return dysco_lib_request_start(request, options, &line);
}

int dysco_thaw_start(struct dysco_request **request, const struct dysco_options *options,
		     const struct dysco_session *session)
{
	struct dysco_lib_line line;

	if (dysco_lib_line_begin(&line, "thaw", session) != 0 ||
	    dysco_lib_line_end(&line, options) != 0) {
		return -EINVAL;
	}
	return dysco_lib_request_start(request, options, &line);
}

int dysco_freeze_start(struct dysco_request **request, const struct dysco_options *options,
		       const struct dysco_session *session, const struct dysco_delta *delta)
{
	struct dysco_lib_line line;

	if (!delta || dysco_lib_line_begin(&line, "freeze", session) != 0) {
		return -EINVAL;
	}
	dysco_lib_line_number(&line, "right", delta->right);
	dysco_lib_line_number(&line, "left", delta->left);
	dysco_lib_line_number(&line, "ts-right", delta->ts_right);
	dysco_lib_line_number(&line, "ts-left", delta->ts_left);
	if (dysco_lib_line_end(&line, options) != 0) {
		return -EINVAL;
	}
	return dysco_lib_request_start(request, options, &line);
}

/* ---- with a time-out ---- */

/* Waits for a request that was begun with `started`, and frees it. */
static int finish(int started, struct dysco_request *request, int timeout_ms,
		  struct dysco_result *result)
{
	struct dysco_result ignored;
	int error = started;

	result = result ? result : &ignored;
	if (started != 0) {
		return dysco_lib_failed(result, started);
	}
	error = dysco_request_wait(request, timeout_ms, result);
	if (error == -ETIMEDOUT) {
		dysco_lib_failed(result, error);
	}
	dysco_request_free(request);
	return error;
}

int dysco_remove_self(const struct dysco_options *options, const struct dysco_session *session,
		      int timeout_ms, struct dysco_result *result)
{
	struct dysco_request *request = NULL;
	int started = dysco_remove_self_start(&request, options, session);

	return finish(started, request, timeout_ms, result);
}

int dysco_replace_self(const struct dysco_options *options, const struct dysco_session *session,
		       const char *const *boxes, size_t n, int timeout_ms,
		       struct dysco_result *result)
{
	struct dysco_request *request = NULL;
	int started = dysco_replace_self_start(&request, options, session, boxes, n);

	return finish(started, request, timeout_ms, result);
}

int dysco_insert_before_self(const struct dysco_options *options,
			     const struct dysco_session *session, const char *const *boxes,
			     size_t n, int timeout_ms, struct dysco_result *result)
{
	struct dysco_request *request = NULL;
	int started = dysco_insert_before_self_start(&request, options, session, boxes, n);

	return finish(started, request, timeout_ms, result);
}

int dysco_thaw(const struct dysco_options *options, const struct dysco_session *session,
	       int timeout_ms, struct dysco_result *result)
{
	struct dysco_request *request = NULL;
	int started = dysco_thaw_start(&request, options, session);

	return finish(started, request, timeout_ms, result);
}

int dysco_freeze(const struct dysco_options *options, const struct dysco_session *session,
		 const struct dysco_delta *delta, int timeout_ms, struct dysco_result *result)
{
	struct dysco_request *request = NULL;
	int started = dysco_freeze_start(&request, options, session, delta);

	return finish(started, request, timeout_ms, result);
}
