/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of local TCP sockets, from sock_diag(7). The kernel filters by port, so
 * that a host with many sockets has few to report; the answer waits in the
 * socket when send() returns, so nothing here blocks.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netns.h"

#define MESSAGES_MAX 65536 /* of one dump: a bound for the loop, above any real answer */

int dysco_diag_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* INET_DIAG_BC_S_GE: a comparison is two operations, the second holds the port. */
struct filter {
	struct inet_diag_bc_op compare, port;
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
	struct nlattr attribute;
	struct filter filter;
};

static int ask(int fd, uint8_t family, uint16_t first)
{
	struct request r = {
	    .header = {.nlmsg_len = sizeof(r),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .diag = {.sdiag_family = family,
		     .sdiag_protocol = IPPROTO_TCP,
		     .idiag_states = 0xffffffff},
	    .attribute = {.nla_len = sizeof(struct nlattr) + sizeof(struct filter),
			  .nla_type = INET_DIAG_REQ_BYTECODE},
	    /* jumps in bytes: to the end accepts, 4 past the end refuses */
	    .filter = {{INET_DIAG_BC_S_GE, sizeof(struct filter), sizeof(struct filter) + 4},
		       {0, 0, first}},
	};

	return send(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r) ? 0 : -errno;
}

static void hold(const struct nlmsghdr *header, uint16_t first, struct dysco_port_bitmap *held)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(header);
	uint16_t port = DYSCO_HOST16(msg->id.idiag_sport);

	if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(*msg)) && port >= first) {
		uint16_t bit = (uint16_t)(port - first);

		if (bit / 64u < sizeof(held->bits) / sizeof(held->bits[0])) {
			held->bits[bit / 64] |= 1ull << (bit % 64);
		}
	}
}

/* Messages of one datagram: 1: the dump is over, 0: more to come, negative: refused. */
static int take(const uint8_t *buffer, ssize_t n, uint16_t first, struct dysco_port_bitmap *held)
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
		hold(h, first, held);
	}
	return 0;
}

static int dump(int fd, uint8_t family, uint16_t first, struct dysco_port_bitmap *held)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[32768];
	int result = ask(fd, family, first);

	for (int i = 0; result == 0 && i < MESSAGES_MAX; i++) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n <= 0) {
			return n < 0 ? -errno : -EIO;
		}
		result = take(buffer, n, first, held);
	}
	return result < 0 ? result : 0;
}

int dysco_diag_ports(int fd, uint16_t first, struct dysco_port_bitmap *held)
{
	int result = dump(fd, AF_INET, first, held);

	return result == 0 ? dump(fd, AF_INET6, first, held) : result;
}
