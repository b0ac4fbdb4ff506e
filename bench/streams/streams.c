// SPDX-License-Identifier: BSD-2-Clause
/*
 * TCP connections that carry data both ways at once, every byte of which is
 * checked: the load of bench/disruption.py and of tests/netns/soak.
 *
 *   streams [OPTION VALUE]... CLIENT-NETNS SERVER-NETNS DESTINATION...
 *
 * Both ends of all connections are in this process, in two network namespaces;
 * what a receiver expects is what its peer was to send, from the connection's
 * number and the position in the stream, so that a byte that is lost, doubled,
 * moved or another connection's is found. On standard output, a line each:
 *
 *   open ID SRC DST PORT    connected; DST without its port
 *   closed ID BYTES         both ends have got all, and the other's FIN
 *   lost ID WHAT            anything else; every one of them is a fault
 *   sample NS TO-SERVER TO-CLIENT STALL-US STALL-US AGAIN AGAIN
 *                           of the first connection, with -s: bytes received so far,
 *                           the longest time since the last line without any,
 *                           segments sent again so far; each for both directions
 *   end JSON                the last line
 *
 * At the end of standard input, as after -t, every stream ends where it is.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/streams/streams.h"

#define TICK_NS	      10000000ull
#define OPEN_PER_TICK 20

struct options options = {.connections = 1, .patience_s = 60, .seed = 1, .port = 5203};
struct connection connections[CONNECTIONS_MAX];
struct sockaddr_storage destinations[DESTINATIONS_MAX];
int listeners[DESTINATIONS_MAX];
unsigned int n_destinations;
int client_netns, server_netns, poller;
struct count count;
static bool stopping;

_Noreturn void die(const char *what)
{
	fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* Every stream ends where it is. */
static void stop(void)
{
	stopping = true;
	for (unsigned int i = 0; i < options.connections; i++) {
		if (connections[i].used) {
			end_stop(&connections[i].ends[CLIENT]);
			end_stop(&connections[i].ends[SERVER]);
		}
	}
}

/* The longest pauses are far below the patience: who has none of it is stuck. */
static unsigned int tick(uint64_t now)
{
	unsigned int in_use = 0, opened = 0;

	for (unsigned int i = 0; i < options.connections; i++) {
		struct connection *c = &connections[i];

		if (!c->used && !stopping && opened++ < OPEN_PER_TICK) {
			connection_open(c);
		}
		if (c->used && now > c->moved_ns &&
		    now - c->moved_ns > options.patience_s * SECOND_NS) {
			connection_lost(c, c->up ? "nothing moves" : "does not connect", 0);
		}
		if (c->used) {
			end_resume(&c->ends[CLIENT], now);
			end_resume(&c->ends[SERVER], now);
			in_use++;
		}
	}
	return in_use;
}

static uint32_t sent_again(const struct end *e)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	if (getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &info, &length)) {
		die("TCP_INFO");
	}
	return info.tcpi_total_retrans;
}

static uint64_t stall_us(struct end *e, uint64_t now)
{
	uint64_t since = now - e->moved_ns, stall = since > e->stall_ns ? since : e->stall_ns;

	e->stall_ns = 0;
	return stall / 1000;
}

static void sample(void)
{
	struct end *client = &connections[0].ends[CLIENT], *server = &connections[0].ends[SERVER];
	uint64_t now = now_ns();

	if (!connections[0].used || !connections[0].up) {
		return;
	}
	printf("sample %llu %llu %llu %llu %llu %u %u\n", (unsigned long long)now,
	       (unsigned long long)server->received, (unsigned long long)client->received,
	       (unsigned long long)stall_us(server, now), (unsigned long long)stall_us(client, now),
	       sent_again(client), sent_again(server));
}

static void dispatch(const struct epoll_event *event, uint64_t now)
{
	if (!event->data.ptr) {
		char line[64];

		if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
			epoll_ctl(poller, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
			stop();
		}
		return;
	}
	for (unsigned int i = 0; i < n_destinations; i++) {
		if (event->data.ptr == &listeners[i]) {
			connection_accept(i);
			return;
		}
	}
	end_ready(event->data.ptr, event->events, now);
}

static void run(void)
{
	uint64_t begin = now_ns(), next_tick = begin, next_sample = begin;
	struct epoll_event events[64];
	unsigned int in_use = 1;

	while (in_use || !stopping) {
		int n = epoll_wait(poller, events, 64, 1);
		uint64_t now = now_ns();

		for (int i = 0; i < n; i++) {
			dispatch(&events[i], now);
		}
		if (options.sample_ms && now >= next_sample) {
			sample();
			next_sample += options.sample_ms * 1000000;
		}
		if (now < next_tick) {
			continue;
		}
		in_use = tick(now);
		next_tick = now + TICK_NS;
		fflush(stdout);
		if (options.seconds && !stopping && now - begin >= options.seconds * SECOND_NS) {
			stop();
		}
	}
}

/* ---- command line ---- */

static _Noreturn void usage(void)
{
	fputs("usage: streams [OPTION VALUE]... CLIENT-NETNS SERVER-NETNS DESTINATION...\n"
	      "  -c N        connections at once, each followed by another one (1)\n"
	      "  -r BYTES    a second, each way (as fast as it goes)\n"
	      "  -b BYTES    of a connection, each way, about; random, up to this (no end)\n"
	      "  -i MS       average pause between bursts (none)\n"
	      "  -t SECONDS  then every stream ends where it is (at the end of standard input)\n"
	      "  -w SECONDS  without any progress: the connection is lost (60)\n"
	      "  -s MS       samples of the first connection (none)\n"
	      "  -p PORT     of the server (5203)\n"
	      "  -B SOURCE   address of the client\n"
	      "  -S SEED     of all that is random (1)\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *word)
{
	char *end;
	unsigned long long value = strtoull(word, &end, 10);

	if (*end || end == word) {
		usage();
	}
	return value;
}

static void parse_options(int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "c:r:b:i:t:w:s:p:B:S:")) != -1) {
		switch (letter) {
		case 'c':
			options.connections = (unsigned int)number(optarg);
			break;
		case 'r':
			options.rate_bytes = number(optarg);
			break;
		case 'b':
			options.stream_bytes = number(optarg);
			break;
		case 'i':
			options.pause_ns = number(optarg) * 1000000;
			break;
		case 't':
			options.seconds = number(optarg);
			break;
		case 'w':
			options.patience_s = number(optarg);
			break;
		case 's':
			options.sample_ms = number(optarg);
			break;
		case 'p':
			options.port = (uint16_t)number(optarg);
			break;
		case 'B':
			options.source = optarg;
			break;
		case 'S':
			options.seed = number(optarg);
			break;
		default:
			usage();
		}
	}
	if (options.connections == 0 || options.connections > CONNECTIONS_MAX ||
	    argc - optind < 3 || argc - optind - 2 > DESTINATIONS_MAX) {
		usage();
	}
}

static void say_end(void)
{
	printf("end {\"opened\": %llu, \"closed\": %llu, \"lost\": %llu, \"wrong\": %llu, "
	       "\"sent_bytes\": %llu, \"received_bytes\": %llu}\n",
	       (unsigned long long)count.opened, (unsigned long long)count.closed,
	       (unsigned long long)count.lost, (unsigned long long)count.wrong,
	       (unsigned long long)count.sent, (unsigned long long)count.received);
}

int main(int argc, char **argv)
{
	struct epoll_event input = {.events = EPOLLIN};
	struct rlimit files = {2 * CONNECTIONS_MAX + 64, 2 * CONNECTIONS_MAX + 64};

	parse_options(argc, argv);
	random_begin(options.seed);
	setrlimit(RLIMIT_NOFILE, &files);
	client_netns = netns(argv[optind]);
	server_netns = netns(argv[optind + 1]);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (!options.seconds && epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input)) {
		die("standard input: a pipe");
	}
	for (int i = optind + 2; i < argc; i++) {
		destinations[n_destinations] = address(argv[i]);
		listen_at(n_destinations++);
	}
	run();
	say_end();
	return count.lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
