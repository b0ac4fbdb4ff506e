/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: epoll, and what each file descriptor is for.
 */
#ifndef DYSCO_AGENT_LOOP_H
#define DYSCO_AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* Lives as long as the loop: an event may be under way when its descriptor is closed. */
struct dysco_watch {
	int fd;
	void (*ready)(struct dysco_watch *watch, uint32_t events);
	void *context;
	bool urgent; /* handled in real time (agent/urgent.h) */
};

struct dysco_loop {
	int epoll_fd;
	bool stop;
};

/* 0 or a negative errno value. events: EPOLLIN and so on. */
int dysco_loop_open(struct dysco_loop *loop);
int dysco_loop_add(struct dysco_loop *loop, struct dysco_watch *watch, uint32_t events);
int dysco_loop_modify(struct dysco_loop *loop, struct dysco_watch *watch, uint32_t events);
void dysco_loop_remove(struct dysco_loop *loop, const struct dysco_watch *watch);
/* Until loop->stop. */
int dysco_loop_run(struct dysco_loop *loop);
void dysco_loop_close(struct dysco_loop *loop);

#endif
