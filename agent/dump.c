/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of the kernel by netlink (dump.h).
 */
#include "agent/dump.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#define DATAGRAMS_MAX 65536 /* of one answer: a bound for the loop, above any real one */

/* 1: the answer is over, 0: more to come, negative: refused. */
static int take_datagram(const uint8_t *buffer, ssize_t n, size_t least, dysco_dump_fn *take,
			 void *context)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buffer;
	unsigned int left = (unsigned int)n;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE) {
			return 1;
		}
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *wrong = NLMSG_DATA(h);

			return wrong->error ? wrong->error : 1;
		}
		if (h->nlmsg_len >= NLMSG_LENGTH(least)) {
			take(context, h);
		}
	}
	return 0;
}

int dysco_dump(int fd, const struct nlmsghdr *question, size_t least, dysco_dump_fn *take,
	       void *context)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[32768];
	int result = 0;

	if (send(fd, question, question->nlmsg_len, 0) != (ssize_t)question->nlmsg_len) {
		return -errno;
	}
	for (int i = 0; result == 0 && i < DATAGRAMS_MAX; i++) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n <= 0) {
			return n < 0 ? -errno : -EIO;
		}
		result = take_datagram(buffer, n, least, take, context);
	}
	return result < 0 ? result : 0;
}
