/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop (loop.h).
 */
#include "agent/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/urgent.h"

int dysco_loop_open(struct dysco_loop *loop)
{
	loop->stop = false;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

static int control(struct dysco_loop *loop, int operation, struct dysco_watch *watch,
		   uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.ptr = watch}};

	return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == 0 ? 0 : -errno;
}

int dysco_loop_add(struct dysco_loop *loop, struct dysco_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, watch, events);
}

int dysco_loop_modify(struct dysco_loop *loop, struct dysco_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void dysco_loop_remove(struct dysco_loop *loop, const struct dysco_watch *watch)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

int dysco_loop_run(struct dysco_loop *loop)
{
	struct epoll_event events[32];

	while (!loop->stop) {
		int n;

		dysco_urgent(true);
		n = epoll_wait(loop->epoll_fd, events, 32, -1);
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		for (int i = 0; i < n; i++) {
			struct dysco_watch *watch = events[i].data.ptr;

			if (watch->fd >= 0) {
				dysco_urgent(watch->urgent);
				watch->ready(watch, events[i].events);
			}
		}
	}
	return 0;
}

void dysco_loop_close(struct dysco_loop *loop)
{
	close(loop->epoll_fd);
}
