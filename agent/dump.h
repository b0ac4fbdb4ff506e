/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel lists by netlink(7): one question, many messages. */
#ifndef DYSCO_AGENT_DUMP_H
#define DYSCO_AGENT_DUMP_H

#include <linux/netlink.h>
#include <stddef.h>

/* One message of the answer: what follows its header is at least as long as was asked for. */
typedef void dysco_dump_fn(void *context, const struct nlmsghdr *message);

/*
 * Sends a question (its header has the length), and takes the whole answer; messages with less
 * than `least` bytes behind the header are passed over. The socket is connected to the kernel;
 * the answer waits there when send() returns, so nothing here blocks. 0 or a negative errno value.
 */
int dysco_dump(int fd, const struct nlmsghdr *question, size_t least, dysco_dump_fn *take,
	       void *context);

#endif
