// SPDX-License-Identifier: BSD-2-Clause
/* Sockets of `streams`, in two network namespaces. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bench/streams/streams.h"

int netns(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		die(path);
	}
	return fd;
}

static void enter(int where)
{
	if (setns(where, CLONE_NEWNET)) {
		die("setns");
	}
}

socklen_t length_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

in_port_t *port_of(struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET ? &((struct sockaddr_in *)a)->sin_port
				       : &((struct sockaddr_in6 *)a)->sin6_port;
}

const void *address_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
				       : &((const struct sockaddr_in6 *)a)->sin6_addr;
}

struct sockaddr_storage address(const char *word)
{
	struct sockaddr_storage a = {.ss_family = strchr(word, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(a.ss_family, word, (void *)address_of(&a)) != 1) {
		fprintf(stderr, "streams: %s: an address without a port\n", word);
		exit(2);
	}
	return a;
}

int tcp_socket(const struct sockaddr_storage *a, int where)
{
	int fd, one = 1;

	enter(where);
	fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))) {
		die("socket");
	}
	return fd;
}

void listen_at(unsigned int i)
{
	struct sockaddr_storage *a = &destinations[i];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[i]};

	*port_of(a) = htons(options.port);
	listeners[i] = tcp_socket(a, server_netns);
	if (bind(listeners[i], (const struct sockaddr *)a, length_of(a)) ||
	    listen(listeners[i], (int)options.connections + 16) ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, listeners[i], &event)) {
		die("listen");
	}
}
