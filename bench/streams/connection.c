// SPDX-License-Identifier: BSD-2-Clause
/* The life of a connection of `streams`, and its data. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/streams/streams.h"

#define UNSENT_BYTES	  262144 /* in the kernel, not yet on their way */
#define PAUSE_AFTER_BYTES 200000 /* on average */

static uint64_t next_id;

static struct end *peer_of(const struct end *e)
{
	struct connection *c = e->connection;

	return &c->ends[e == &c->ends[CLIENT] ? SERVER : CLIENT];
}

static void set_up(struct end *e)
{
	int unsent = UNSENT_BYTES;
	uint64_t rate = options.rate_bytes;

	if (setsockopt(e->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) ||
	    (rate && setsockopt(e->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)))) {
		die("setsockopt");
	}
}

static bool may_send(const struct end *e)
{
	return !e->shut && !e->resume_ns;
}

static void watch(struct end *e, int operation)
{
	struct epoll_event event = {.data.ptr = e};

	event.events = (e->ended ? 0 : EPOLLIN) | (may_send(e) ? EPOLLOUT : 0);
	if (e->ended && e->shut) {
		operation = EPOLL_CTL_DEL; /* its HUP would come again and again */
	}
	if (epoll_ctl(poller, operation, e->fd, &event)) {
		die("epoll_ctl");
	}
}

static void next_burst(struct end *e)
{
	e->burst_end =
	    options.pause_ns ? e->sent + 1 + random_below(2 * PAUSE_AFTER_BYTES) : UINT64_MAX;
}

static void begin_end(struct connection *c, struct end *e, uint64_t total)
{
	*e = (struct end){.connection = c, .fd = -1, .total = total};
	next_burst(e);
}

/* Both directions end at about the same time, one a little earlier. */
static void begin_ends(struct connection *c)
{
	uint64_t total = options.stream_bytes ? 1 + random_below(options.stream_bytes) : 0;

	for (int side = 0; side < 2; side++) {
		begin_end(c, &c->ends[side],
			  total ? total + random_below(total / 8 + 1) : UINT64_MAX);
	}
}

static void forget(struct connection *c)
{
	for (int i = 0; i < 2; i++) {
		if (c->ends[i].fd >= 0) {
			close(c->ends[i].fd);
		}
	}
	c->used = false;
}

void connection_lost(struct connection *c, const char *what, int error)
{
	printf("lost %llu %s%s%s, after %llu and %llu of %llu and %llu bytes sent\n",
	       (unsigned long long)c->id, what, error ? ": " : "", error ? strerror(error) : "",
	       (unsigned long long)c->ends[SERVER].received,
	       (unsigned long long)c->ends[CLIENT].received,
	       (unsigned long long)c->ends[CLIENT].sent, (unsigned long long)c->ends[SERVER].sent);
	count.lost++;
	forget(c);
}

void connection_open(struct connection *c)
{
	unsigned int to = (unsigned int)(next_id % n_destinations);
	struct sockaddr_storage *a = &destinations[to], here;
	socklen_t length = sizeof(here);
	struct end *e = &c->ends[CLIENT];

	*c = (struct connection){.id = next_id++, .used = true, .destination = to};
	begin_ends(c);
	e->fd = tcp_socket(a, client_netns);
	set_up(e);
	if (options.source) {
		here = address(options.source);
		if (bind(e->fd, (const struct sockaddr *)&here, length_of(&here))) {
			die(options.source);
		}
	}
	if ((connect(e->fd, (const struct sockaddr *)a, length_of(a)) && errno != EINPROGRESS) ||
	    getsockname(e->fd, (struct sockaddr *)&here, &length)) {
		die("connect");
	}
	c->source_port_be = *port_of(&here);
	c->moved_ns = now_ns();
	count.opened++;
	watch(e, EPOLL_CTL_ADD);
}

static void say_open(const struct connection *c, const struct sockaddr_storage *from)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	bool six = from->ss_family == AF_INET6;

	inet_ntop(from->ss_family, address_of(from), src, sizeof(src));
	inet_ntop(from->ss_family, address_of(&destinations[c->destination]), dst, sizeof(dst));
	printf("open %llu %s%s%s:%u %s%s%s:%u\n", (unsigned long long)c->id, six ? "[" : "", src,
	       six ? "]" : "", ntohs(c->source_port_be), six ? "[" : "", dst, six ? "]" : "",
	       options.port);
}

static struct connection *connection_from(unsigned int destination, in_port_t port_be)
{
	for (unsigned int i = 0; i < options.connections; i++) {
		struct connection *c = &connections[i];

		if (c->used && c->destination == destination && c->source_port_be == port_be) {
			return c;
		}
	}
	return NULL;
}

static bool accept_one(unsigned int destination)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	int fd = accept4(listeners[destination], (struct sockaddr *)&from, &length,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c;

	if (fd < 0) {
		return false; /* no more; one that was reset before: its client says so */
	}
	c = connection_from(destination, *port_of(&from));
	if (!c || c->ends[SERVER].fd >= 0) {
		close(fd);
		return true;
	}
	c->ends[SERVER].fd = fd;
	c->up = true;
	c->moved_ns = c->ends[CLIENT].moved_ns = c->ends[SERVER].moved_ns = now_ns();
	set_up(&c->ends[SERVER]);
	watch(&c->ends[SERVER], EPOLL_CTL_ADD);
	say_open(c, &from);
	return true;
}

void connection_accept(unsigned int destination)
{
	while (accept_one(destination)) {
	}
}

static void finish_sending(struct end *e)
{
	e->shut = true;
	shutdown(e->fd, SHUT_WR);
	watch(e, EPOLL_CTL_MOD);
}

static void pause_sending(struct end *e, uint64_t now)
{
	e->resume_ns = now + random_below(2 * options.pause_ns);
	next_burst(e);
	watch(e, EPOLL_CTL_MOD);
}

/* false: the connection is no more. */
static bool send_some(struct end *e, uint64_t now)
{
	uint64_t left = (e->total < e->burst_end ? e->total : e->burst_end) - e->sent;
	size_t n = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
	ssize_t sent = n ? send(e->fd, content(e, e->sent, n), n, MSG_NOSIGNAL) : 0;

	if (sent < 0 && errno != EAGAIN) {
		connection_lost(e->connection, "send", errno);
		return false;
	}
	if (sent > 0) {
		e->sent += (uint64_t)sent;
		count.sent += (uint64_t)sent;
	}
	if (e->sent == e->total) {
		finish_sending(e);
	} else if (e->sent == e->burst_end) {
		pause_sending(e, now);
	}
	return true;
}

static bool is_right(const struct end *e, const uint8_t *got, size_t n)
{
	const struct end *peer = peer_of(e);

	return e->received + n <= peer->sent && memcmp(got, content(peer, e->received, n), n) == 0;
}

/* All is there, both ways: over. */
static bool end_of_stream(struct end *e)
{
	struct connection *c = e->connection;
	const struct end *peer = peer_of(e);
	uint64_t both;

	e->ended = true;
	if (!peer->shut || e->received != peer->total) {
		connection_lost(c, "the stream ends too early", 0);
		return false;
	}
	if (!peer->ended) {
		watch(e, EPOLL_CTL_MOD);
		return true;
	}
	both = e->received + peer->received;
	printf("closed %llu %llu\n", (unsigned long long)c->id, (unsigned long long)both);
	count.closed++;
	forget(c);
	return false;
}

static bool receive_some(struct end *e, uint64_t now)
{
	static uint8_t buffer[CHUNK_BYTES];
	ssize_t n = recv(e->fd, buffer, sizeof(buffer), 0);

	if (n < 0) {
		if (errno != EAGAIN) {
			connection_lost(e->connection, "receive", errno);
		}
		return errno == EAGAIN;
	}
	if (n == 0) {
		return end_of_stream(e);
	}
	if (!is_right(e, buffer, (size_t)n)) {
		count.wrong++;
		connection_lost(e->connection, "wrong bytes", 0);
		return false;
	}
	if (now - e->moved_ns > e->stall_ns) {
		e->stall_ns = now - e->moved_ns;
	}
	e->moved_ns = e->connection->moved_ns = now;
	e->received += (uint64_t)n;
	count.received += (uint64_t)n;
	return true;
}

void end_ready(struct end *e, uint32_t events, uint64_t now)
{
	if (!e->connection->used || e->fd < 0) {
		return; /* it ended with its peer, in this very round */
	}
	if (!e->connection->up) {
		int error = 0;
		socklen_t length = sizeof(error);

		getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			connection_lost(e->connection, "connect", error);
			return;
		}
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !e->ended && !receive_some(e, now)) {
		return;
	}
	if ((events & EPOLLOUT) && may_send(e)) {
		send_some(e, now);
	}
}

void end_resume(struct end *e, uint64_t now)
{
	if (e->resume_ns && now >= e->resume_ns) {
		e->resume_ns = 0;
		watch(e, EPOLL_CTL_MOD);
	}
}

void end_stop(struct end *e)
{
	if (e->shut) {
		return;
	}
	e->total = e->sent;
	e->resume_ns = 0;
	if (e->fd >= 0) {
		watch(e, EPOLL_CTL_MOD);
	}
}
