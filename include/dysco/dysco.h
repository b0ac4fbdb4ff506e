/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdysco: what the program of a middlebox may ask of the Dysco agent on its
 * host. A box asks to be left out of a session that it need not see any longer,
 * or for others in its place or before it; and it says what it adds to sequence
 * numbers (dysco(3)).
 *
 *	struct dysco_session session;
 *	struct dysco_result result;
 *
 *	dysco_session_of_socket(&session, fd);
 *	if (dysco_remove_self(NULL, &session, 10000, &result) != 0) {
 *		fprintf(stderr, "%s: %s\n", result.cause, result.message);
 *	}
 *
 * Each question has a blocking form with a time-out, and one that returns a
 * request, whose file descriptor becomes readable when there is more to do.
 *
 * Functions return 0, or a negative errno value (below). No function calls
 * exit(), writes to a standard stream, raises a signal or starts a thread.
 * Different requests may be used by different threads at once, one request by
 * one thread at a time. Symbols begin with dysco_, macros with DYSCO_.
 *
 *	-EINVAL		an argument makes no sense; nothing was asked
 *	-ENOMEM, -EMFILE ...	as the system says; nothing was asked
 *	-ENOENT, -ECONNREFUSED	no agent is there; start it, try again
 *	-EACCES		not allowed to open its socket: `socket group` in dysco.conf(5)
 *	-EAGAIN		(dysco_request_result) no answer yet
 *	-ETIMEDOUT	no answer in that time; what was asked may still come about
 *	-ECONNRESET	the agent has ended before it answered; likewise
 *	-EPROTO		an answer that is none
 *	-EREMOTEIO	the agent, or one that it asked, has refused: struct dysco_result
 *			says why, and the session goes on as it was
 */
#ifndef DYSCO_DYSCO_H
#define DYSCO_DYSCO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYSCO_API __attribute__((visibility("default")))

/* A session, named by its five-tuple (protocol TCP) as the box's program sees it. */
struct dysco_session {
	struct sockaddr_storage src, dst; /* AF_INET or AF_INET6, both alike; either end first */
};

/* From two addresses with ports (struct sockaddr_in or sockaddr_in6). */
DYSCO_API int dysco_session_set(struct dysco_session *session, const struct sockaddr *src,
				const struct sockaddr *dst);
/* From a connected TCP socket: its two ends. -errno as of getpeername(2). */
DYSCO_API int dysco_session_of_socket(struct dysco_session *session, int fd);
/* From text: "192.0.2.1:80", "[2001:db8::1]:80". */
DYSCO_API int dysco_session_parse(struct dysco_session *session, const char *src, const char *dst);
/*
 * "SRC DST", in the same form; at most DYSCO_SESSION_TEXT bytes with the NUL.
 * -EINVAL: not a session.
 */
#define DYSCO_SESSION_TEXT 128
DYSCO_API int dysco_session_format(const struct dysco_session *session, char *text, size_t bytes);

/* Whom to ask. A NULL pointer to it, or NULL members, are the defaults; copied. */
struct dysco_options {
	const char *socket; /* the agent's; $DYSCO_SOCKET, else /run/dysco/dysco.sock */
	const char *host;   /* the box's name, where one agent serves several boxes of a session */
};

/* What became of it. All texts are NUL-terminated. */
struct dysco_result {
	int error;	  /* 0: done; else as the functions return it */
	uint64_t took_us; /* from the question to the end, as the agent measured it; 0: not said */
	char code[32];	  /* of the agent's error, "not_reconfigured" say; empty: none */
	char cause[32]; /* of "not_reconfigured": "busy", "policy" ... (dysco(1)); else the code */
	char message[512]; /* for people */
};

/* What a box adds to numbers, modulo 2^32: to those that it sends on, against those it got. */
struct dysco_delta {
	uint32_t right,
	    left; /* sequence numbers towards the session's destination, its initiator */
	uint32_t ts_right, ts_left; /* TCP timestamps, likewise */
};

/* ---- with a time-out: timeout_ms >= 0, or -1: as long as it takes (the agent gives up after 60
 * s); result may be NULL ---- */

/*
 * The box is left out of this session: its left neighbour makes a path without
 * it. On 0 no packet of the session comes here any more; the box's own
 * connection is ended by a RST from either side, which stays on this host.
 */
DYSCO_API int dysco_remove_self(const struct dysco_options *options,
				const struct dysco_session *session, int timeout_ms,
				struct dysco_result *result);
/* The same, with other boxes in its place; boxes[0 .. n-1]: names the agent knows, or addresses. */
DYSCO_API int dysco_replace_self(const struct dysco_options *options,
				 const struct dysco_session *session, const char *const *boxes,
				 size_t n, int timeout_ms, struct dysco_result *result);
/* Other boxes are put before this one, on its left; this one stays. */
DYSCO_API int dysco_insert_before_self(const struct dysco_options *options,
				       const struct dysco_session *session,
				       const char *const *boxes, size_t n, int timeout_ms,
				       struct dysco_result *result);
/*
 * A box that changes numbers thaws a session before it does so for the first
 * time, and freezes it, with what it has added in all, when it will add no more
 * for as long as the session lives. While it is thawed, no box around it, nor
 * itself, can be taken out ("not_ready").
 */
DYSCO_API int dysco_thaw(const struct dysco_options *options, const struct dysco_session *session,
			 int timeout_ms, struct dysco_result *result);
DYSCO_API int dysco_freeze(const struct dysco_options *options, const struct dysco_session *session,
			   const struct dysco_delta *delta, int timeout_ms,
			   struct dysco_result *result);

/* ---- without waiting ---- */

/* One question under way; the caller's, to be freed with dysco_request_free(). */
struct dysco_request;

/*
 * Begin the same; *request is set on 0 only. Not blocking, but for the agent's socket being
 * opened.
 */
DYSCO_API int dysco_remove_self_start(struct dysco_request **request,
				      const struct dysco_options *options,
				      const struct dysco_session *session);
DYSCO_API int dysco_replace_self_start(struct dysco_request **request,
				       const struct dysco_options *options,
				       const struct dysco_session *session,
				       const char *const *boxes, size_t n);
DYSCO_API int dysco_insert_before_self_start(struct dysco_request **request,
					     const struct dysco_options *options,
					     const struct dysco_session *session,
					     const char *const *boxes, size_t n);
DYSCO_API int dysco_thaw_start(struct dysco_request **request, const struct dysco_options *options,
			       const struct dysco_session *session);
DYSCO_API int dysco_freeze_start(struct dysco_request **request,
				 const struct dysco_options *options,
				 const struct dysco_session *session,
				 const struct dysco_delta *delta);

/*
 * A file descriptor for poll(2), select(2), epoll(7): when it is readable, call
 * dysco_request_result(). It is the request's: do not read or close it.
 */
DYSCO_API int dysco_request_fd(const struct dysco_request *request);
/*
 * -EAGAIN: not yet, poll on. Else the end, which is repeated by later calls;
 * *result (may be NULL) is filled then, and only then.
 */
DYSCO_API int dysco_request_result(struct dysco_request *request, struct dysco_result *result);
/* Waits for it, at most so long; -ETIMEDOUT leaves the request under way. */
DYSCO_API int dysco_request_wait(struct dysco_request *request, int timeout_ms,
				 struct dysco_result *result);
/* Also before the end: what was asked may come about all the same. NULL does nothing. */
DYSCO_API void dysco_request_free(struct dysco_request *request);

#ifdef __cplusplus
}
#endif

#endif
