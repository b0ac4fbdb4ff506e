/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A middlebox that terminates connections, and leaves them: it accepts what is
 * routed to this host, connects to where it was going, from where it came, and
 * relays. So the stream has other numbers on either side. It says so (thaw),
 * and, after so many bytes, what the difference is for good (freeze), and asks
 * to be left out. It goes on relaying until it is told that nothing comes any more.
 *
 *	client --- left socket | right socket --- server
 *
 *	ip rule add iif eth0 lookup 100; ip route add local SERVER dev lo table 100 (and CLIENT)
 *	dysco-relay -p 80 -n 1000000 [-s SOCKET] [-H BOX]
 *
 * For hosts without TCP timestamps (net.ipv4.tcp_timestamps=0): of those of two
 * connections neither is the other plus a constant.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "dysco/dysco.h"

/* Of <linux/tcp.h>, which does not go together with <netinet/tcp.h>. */
#define REPAIR_OFF_NO_PROBE (-1)
#define NO_QUEUE	    0
#define RECEIVE_QUEUE	    1
#define SEND_QUEUE	    2

#define PATIENCE_MS	    10000

/* One direction. */
struct flow {
	int from, to;
	bool ended; /* nothing comes any more */
	size_t at, bytes;
	unsigned long long moved;
	uint8_t buffer[65536];
};

struct relay {
	struct dysco_options options;
	unsigned long long enough;
	struct dysco_session session;
	int left, right;
	struct flow rightward, leftward;
	struct dysco_request *request; /* under way */
	bool asked;
};

static void say(const struct relay *r, const char *what, const char *why)
{
	char session[DYSCO_SESSION_TEXT];

	dysco_session_format(&r->session, session, sizeof(session));
	printf("%s %s bytes %llu %s\n", what, session, r->rightward.moved + r->leftward.moved, why);
	fflush(stdout);
}

static void fail(const struct relay *r, const char *what, const struct dysco_result *result)
{
	char text[sizeof(result->message) + 64];

	snprintf(text, sizeof(text), "%s: %s", what, result->message);
	say(r, "refused", text);
}

/* ---- numbers ---- */

static int queue_number(int fd, int queue, uint32_t *number)
{
	socklen_t bytes = sizeof(*number);

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) != 0 ||
	       getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, number, &bytes) != 0;
}

/* The numbers of the next byte to be written to a socket, and to be read from it. */
static int numbers(int fd, uint32_t *writes, uint32_t *reads)
{
	int on = 1, off = REPAIR_OFF_NO_PROBE, none = NO_QUEUE, waiting = 0, before = 0;
	uint32_t received = 0;
	int wrong;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) != 0) {
		return -1;
	}
	do { /* bytes may come in between */
		wrong = ioctl(fd, SIOCINQ, &before) || queue_number(fd, SEND_QUEUE, writes) ||
			queue_number(fd, RECEIVE_QUEUE, &received) || ioctl(fd, SIOCINQ, &waiting);
	} while (!wrong && before != waiting);
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &none, sizeof(none));
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	*reads = received - (uint32_t)waiting;
	return wrong ? -1 : 0;
}

/* To be called while nothing is in the buffers: what was read on one side was written on the other.
 */
static int measure(const struct relay *r, struct dysco_delta *delta)
{
	uint32_t left_writes, left_reads, right_writes, right_reads;

	if (numbers(r->left, &left_writes, &left_reads) != 0 ||
	    numbers(r->right, &right_writes, &right_reads) != 0) {
		return -1;
	}
	*delta = (struct dysco_delta){.right = right_writes - left_reads,
				      .left = left_writes - right_reads};
	return 0;
}

static void leave(struct relay *r)
{
	struct dysco_result result;
	struct dysco_delta delta;

	r->asked = true;
	if (measure(r, &delta) != 0) {
		say(r, "refused", "numbers: needs CAP_NET_ADMIN");
	} else if (dysco_freeze(&r->options, &r->session, &delta, PATIENCE_MS, &result) != 0) {
		fail(r, "freeze", &result);
	} else if (dysco_remove_self_start(&r->request, &r->options, &r->session) != 0) {
		say(r, "refused", "no agent");
	}
}

static void take_answer(struct relay *r)
{
	struct dysco_result result;

	if (!r->request || dysco_request_result(r->request, &result) == -EAGAIN) {
		return;
	}
	dysco_request_free(r->request);
	r->request = NULL;
	if (result.error == 0) {
		say(r, "left", "");
		exit(0);
	}
	fail(r, result.cause, &result);
}

/* ---- relaying ---- */

/* false: the connection is over. */
static bool move(struct flow *f, short readable, short writable)
{
	ssize_t n;

	if (readable && f->bytes == 0 && !f->ended) {
		n = recv(f->from, f->buffer, sizeof(f->buffer), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN) {
			return false;
		}
		f->ended = n == 0;
		f->at = 0;
		f->bytes = n > 0 ? (size_t)n : 0;
		if (f->ended) {
			shutdown(f->to, SHUT_WR);
		}
	}
	if (f->bytes > 0 && (readable || writable)) {
		n = send(f->to, f->buffer + f->at, f->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			return false;
		}
		n = n > 0 ? n : 0;
		f->at += (size_t)n;
		f->bytes -= (size_t)n;
		f->moved += (size_t)n;
	}
	return true;
}

static short wanted(const struct flow *in, const struct flow *out)
{
	return (short)((in->bytes == 0 && !in->ended ? POLLIN : 0) |
		       (out->bytes > 0 ? POLLOUT : 0));
}

static void relay(struct relay *r)
{
	struct flow *right = &r->rightward, *left = &r->leftward;

	while (!right->ended || !left->ended || right->bytes > 0 || left->bytes > 0) {
		struct pollfd fds[] = {
		    {.fd = r->left, .events = wanted(right, left)},
		    {.fd = r->right, .events = wanted(left, right)},
		    {.fd = r->request ? dysco_request_fd(r->request) : -1, .events = POLLIN},
		};

		if (poll(fds, 3, -1) < 0) {
			return;
		}
		take_answer(r);
		if (!move(right, fds[0].revents & ~POLLOUT, fds[1].revents & POLLOUT) ||
		    !move(left, fds[1].revents & ~POLLOUT, fds[0].revents & POLLOUT)) {
			break;
		}
		if (!r->asked && right->bytes == 0 && left->bytes == 0 &&
		    right->moved + left->moved >= r->enough) {
			leave(r);
		}
	}
	if (r->request) { /* the box's own connection may be reset before the answer comes */
		dysco_request_wait(r->request, PATIENCE_MS, NULL);
		take_answer(r);
	}
}

/* ---- connections ---- */

static int transparent(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		       family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
		       sizeof(on)) != 0) {
		perror("dysco-relay: socket");
		exit(1);
	}
	return fd;
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

static void serve(struct relay *r)
{
	const struct sockaddr_storage *src = &r->session.src, *dst = &r->session.dst;
	struct dysco_result result;

	if (dysco_session_of_socket(&r->session, r->left) != 0) {
		return;
	}
	/* before there is a session to the right that somebody might take this box out of */
	if (dysco_thaw(&r->options, &r->session, PATIENCE_MS, &result) != 0) {
		fail(r, "thaw", &result);
	}
	r->right = transparent(src->ss_family);
	if (bind(r->right, (const struct sockaddr *)src, length_of(src)) != 0 ||
	    connect(r->right, (const struct sockaddr *)dst, length_of(dst)) != 0) {
		say(r, "refused", strerror(errno));
		return;
	}
	r->rightward.from = r->leftward.to = r->left;
	r->rightward.to = r->leftward.from = r->right;
	relay(r);
}

static int listen_at(in_port_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = transparent(AF_INET6), on = 1;

	/* IPv4 comes by this socket too; it has an option of its own */
	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 64) != 0) {
		perror("dysco-relay: listen");
		exit(1);
	}
	return fd;
}

static int usage(void)
{
	fputs("usage: dysco-relay -p PORT -n BYTES [-s SOCKET] [-H BOX]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct relay r;
	in_port_t port = 0;
	int c, listener;

	while ((c = getopt(argc, argv, "p:n:s:H:")) != -1) {
		switch (c) {
		case 'p':
			port = (in_port_t)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			r.enough = strtoull(optarg, NULL, 10);
			break;
		case 's':
			r.options.socket = optarg;
			break;
		case 'H':
			r.options.host = optarg;
			break;
		default:
			return usage();
		}
	}
	if (port == 0 || r.enough == 0 || optind < argc) {
		return usage();
	}
	listener = listen_at(port);
	signal(SIGCHLD, SIG_IGN); /* a process for each connection; nobody waits for them */
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		r.left = accept(listener, NULL, NULL);
		if (r.left >= 0 && fork() == 0) {
			close(listener);
			serve(&r);
			return 0;
		}
		close(r.left);
	}
}
