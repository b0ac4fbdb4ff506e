// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two ends of bench/connect.py: how long connect() takes.
 *
 *   connect serve PORT
 *   connect measure SOURCE FIRST-PORT DESTINATION PORT N
 *
 * `measure` connects N times, one after another, from source ports FIRST-PORT,
 * FIRST-PORT + 1, ..., so that no run meets five-tuples of an earlier one, and
 * prints the nanoseconds of each connect(), one a line. The server closes each
 * connection at once; the client waits for that and then closes, so that
 * nothing of one connection is under way when the next one is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG	       16
#define CONNECTS_MAX   100000
#define ANSWER_SECONDS 5

static void die(const char *what)
{
	fprintf(stderr, "connect: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in endpoint(const char *address, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (*end || number == 0 || number > 65535 ||
	    inet_pton(AF_INET, address, &a.sin_addr) != 1) {
		fprintf(stderr, "connect: %s %s: an IPv4 address and a port\n", address, port);
		exit(EXIT_FAILURE);
	}
	a.sin_port = htons((uint16_t)number);
	return a;
}

static _Noreturn void serve(const char *port)
{
	struct sockaddr_in here = endpoint("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(listener, (const struct sockaddr *)&here, sizeof(here)) ||
	    listen(listener, BACKLOG)) {
		die("listen");
	}
	while (true) {
		int client = accept(listener, NULL, NULL);

		if (client >= 0) {
			close(client);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			die("accept");
		}
	}
}

static uint64_t connect_once(const struct sockaddr_in *from, const struct sockaddr_in *to)
{
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	uint64_t start_ns, took_ns;
	char byte;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    bind(fd, (const struct sockaddr *)from, sizeof(*from))) {
		die("bind");
	}
	start_ns = now_ns();
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to))) {
		die("connect");
	}
	took_ns = now_ns() - start_ns;
	if (read(fd, &byte, 1) != 0) {
		die("the server's end");
	}
	close(fd);
	return took_ns;
}

static int measure(char **word)
{
	static uint64_t took_ns[CONNECTS_MAX];
	struct sockaddr_in from = endpoint(word[0], word[1]);
	const struct sockaddr_in to = endpoint(word[2], word[3]);
	unsigned long n = strtoul(word[4], NULL, 10);

	if (n == 0 || n > CONNECTS_MAX || ntohs(from.sin_port) + n > 65536) {
		fprintf(stderr, "connect: %s connections from port %s on: too many or none\n",
			word[4], word[1]);
		return EXIT_FAILURE;
	}
	for (unsigned long i = 0; i < n; i++) {
		took_ns[i] = connect_once(&from, &to);
		from.sin_port = htons((uint16_t)(ntohs(from.sin_port) + 1));
	}
	for (unsigned long i = 0; i < n; i++) {
		printf("%llu\n", (unsigned long long)took_ns[i]);
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		serve(argv[2]);
	}
	if (argc == 7 && strcmp(argv[1], "measure") == 0) {
		return measure(argv + 2);
	}
	fputs("usage: connect serve PORT\n"
	      "       connect measure SOURCE FIRST-PORT DESTINATION PORT N\n",
	      stderr);
	return 2;
}
