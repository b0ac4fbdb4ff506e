/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local TCP sockets, from sock_diag(7): the ports they hold, the connections that
 * were opened here, and what the kernel knows of one. It filters, so that a host with many sockets
 * has few to report.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/dump.h"
#include "agent/netns.h"

#define STATE_ESTABLISHED 1 /* tcp_states.h of the kernel */
#define STATE_LISTEN	  10

/* ---- many sockets ---- */

/* A question that the kernel answers socket by socket. */
struct dump {
	uint32_t states; /* a bit each */
	uint16_t first;	 /* local ports from here on */
	void (*take)(struct dump *dump, const struct inet_diag_msg *msg);
};

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

static void take(void *context, const struct nlmsghdr *message)
{
	struct dump *dump = context;

	dump->take(dump, NLMSG_DATA(message));
}

static int run_family(int fd, uint8_t family, struct dump *dump)
{
	struct request r = {
	    .header = {.nlmsg_len = sizeof(r),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .diag = {.sdiag_family = family,
		     .sdiag_protocol = IPPROTO_TCP,
		     .idiag_states = dump->states},
	    .attribute = {.nla_len = sizeof(struct nlattr) + sizeof(struct filter),
			  .nla_type = INET_DIAG_REQ_BYTECODE},
	    /* jumps in bytes: to the end accepts, 4 past the end refuses */
	    .filter = {{INET_DIAG_BC_S_GE, sizeof(struct filter), sizeof(struct filter) + 4},
		       {0, 0, dump->first}},
	};

	return dysco_dump(fd, &r.header, sizeof(struct inet_diag_msg), take, dump);
}

static int run(int fd, struct dump *dump)
{
	int result = run_family(fd, AF_INET, dump);

	return result == 0 ? run_family(fd, AF_INET6, dump) : result;
}

/* ---- the ports they hold ---- */

struct holding {
	struct dump dump;
	struct dysco_port_bitmap *held;
};

static void hold(struct dump *dump, const struct inet_diag_msg *msg)
{
	struct dysco_port_bitmap *held = ((struct holding *)(void *)dump)->held;
	uint16_t port = DYSCO_HOST16(msg->id.idiag_sport);
	uint16_t bit = (uint16_t)(port - dump->first);

	if (port >= dump->first && bit / 64u < sizeof(held->bits) / sizeof(held->bits[0])) {
		held->bits[bit / 64] |= 1ull << (bit % 64);
	}
}

int dysco_diag_ports(int fd, uint16_t first, struct dysco_port_bitmap *held)
{
	struct holding h = {{UINT32_MAX, first, hold}, held};

	return run(fd, &h.dump);
}

/* ---- connections that were opened here ---- */

/* An end that is listened on; the address all zero: any. */
struct listener {
	struct dysco_addr addr;
	dysco_be16 port_be;
};

struct listing {
	struct dump dump;
	struct listener *listeners;
	uint32_t n, room;
	bool full; /* out of memory */
	dysco_connection_fn *take;
	void *to;
};

static struct dysco_addr address_of(const struct inet_diag_msg *msg, const __be32 at[4])
{
	struct dysco_addr addr = {{0, 0, DYSCO_BE32(0xffff), at[0]}};

	if (msg->idiag_family == AF_INET6) {
		memcpy(addr.w_be, at, sizeof(addr.w_be));
	}
	return addr;
}

static void note_listener(struct dump *dump, const struct inet_diag_msg *msg)
{
	struct listing *l = (struct listing *)(void *)dump;
	struct listener *at;

	if (l->n == l->room) {
		at = reallocarray(l->listeners, l->room + 64, sizeof(*at));
		l->full = l->full || !at;
		if (!at) {
			return;
		}
		l->listeners = at;
		l->room += 64;
	}
	at = &l->listeners[l->n++];
	at->addr = address_of(msg, msg->id.idiag_src);
	at->port_be = msg->id.idiag_sport;
	if (msg->idiag_family == AF_INET && msg->id.idiag_src[0] == 0) {
		memset(&at->addr, 0, sizeof(at->addr));
	}
}

static bool was_accepted(const struct listing *l, const struct dysco_tuple *tuple)
{
	for (uint32_t i = 0; i < l->n; i++) {
		if (l->listeners[i].port_be == tuple->sport_be &&
		    (dysco_addr_is_zero(&l->listeners[i].addr) ||
		     dysco_addr_equal(&l->listeners[i].addr, &tuple->src))) {
			return true;
		}
	}
	return false;
}

static void note_connection(struct dump *dump, const struct inet_diag_msg *msg)
{
	const struct listing *l = (const struct listing *)(const void *)dump;
	struct dysco_tuple tuple = {.src = address_of(msg, msg->id.idiag_src),
				    .dst = address_of(msg, msg->id.idiag_dst),
				    .sport_be = msg->id.idiag_sport,
				    .dport_be = msg->id.idiag_dport};

	if (!was_accepted(l, &tuple)) {
		l->take(l->to, &tuple);
	}
}

int dysco_diag_connections(int fd, dysco_connection_fn *take_one, void *to)
{
	struct listing l = {
	    .dump = {1u << STATE_LISTEN, 0, note_listener}, .take = take_one, .to = to};
	int result = run(fd, &l.dump);

	if (result == 0 && l.full) {
		result = -ENOMEM; /* what was accepted would be taken for opened */
	}
	l.dump.states = 1u << STATE_ESTABLISHED;
	l.dump.take = note_connection;
	if (result == 0) {
		result = run(fd, &l.dump);
	}
	free(l.listeners);
	return result;
}

/* ---- one connection ---- */

#define TIMESTAMP_BYTES 12 /* in every segment, and not counted in the kernel's MSS */

struct one_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
};

static void put_address(__be32 at[4], const struct dysco_addr *addr)
{
	if (dysco_addr_is_ip4(addr)) {
		at[0] = addr->w_be[3];
	} else {
		memcpy(at, addr->w_be, sizeof(addr->w_be));
	}
}

static int ask_one(int fd, const struct dysco_tuple *tuple)
{
	struct one_request r = {
	    .header = {.nlmsg_len = sizeof(r),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST},
	    .diag = {.sdiag_family = dysco_addr_is_ip4(&tuple->src) ? AF_INET : AF_INET6,
		     .sdiag_protocol = IPPROTO_TCP,
		     .idiag_ext = 1 << (INET_DIAG_INFO - 1),
		     .idiag_states = 0xffffffff,
		     .id = {.idiag_sport = tuple->sport_be,
			    .idiag_dport = tuple->dport_be,
			    .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};

	put_address(r.diag.id.idiag_src, &tuple->src);
	put_address(r.diag.id.idiag_dst, &tuple->dst);
	return send(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r) ? 0 : -errno;
}

/* The attribute's value, as much of it as there is; the rest is zero. */
static void take_info(const struct nlmsghdr *h, struct tcp_info *info)
{
	const uint8_t *at = (const uint8_t *)NLMSG_DATA(h) + sizeof(struct inet_diag_msg);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(struct inet_diag_msg));
	struct nlattr a;

	memset(info, 0, sizeof(*info));
	while (left >= sizeof(a)) {
		size_t bytes;

		memcpy(&a, at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > left) {
			return;
		}
		bytes = a.nla_len - sizeof(a);
		if (a.nla_type == INET_DIAG_INFO) {
			memcpy(info, at + sizeof(a), bytes < sizeof(*info) ? bytes : sizeof(*info));
		}
		bytes = NLA_ALIGN(a.nla_len);
		at += bytes < left ? bytes : left;
		left -= bytes < left ? bytes : left;
	}
}

static int receive_one(int fd, struct inet_diag_msg *msg, struct tcp_info *info)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[8192];
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buffer;
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0 || !NLMSG_OK(h, (unsigned int)n)) {
		return n < 0 ? -errno : -EIO;
	}
	if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *wrong = NLMSG_DATA(h);

		return wrong->error == -ENOENT ? -ENOTCONN : wrong->error ? wrong->error : -EIO;
	}
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*msg))) {
		return -EIO;
	}
	memcpy(msg, NLMSG_DATA(h), sizeof(*msg));
	take_info(h, info);
	return 0;
}

/* Somebody listens on its port: then the peer opened it. */
static bool is_listened_on(int fd, const struct dysco_tuple *tuple)
{
	struct dysco_tuple any = {.src = tuple->src, .sport_be = tuple->sport_be};
	struct inet_diag_msg msg;
	struct tcp_info info;

	if (dysco_addr_is_ip4(&tuple->src)) { /* of the same family: 0.0.0.0 */
		any.dst = tuple->src;
		any.dst.w_be[3] = 0;
	}
	return ask_one(fd, &any) == 0 && receive_one(fd, &msg, &info) == 0;
}

static struct dysco_syn_options make_options(const struct tcp_info *info, uint32_t mss,
					     uint8_t scale)
{
	struct dysco_syn_options o = {.mss = (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX),
				      .wscale = DYSCO_NO_WSCALE,
				      .flags = DYSCO_SYN_NOTED};

	if (info->tcpi_options & TCPI_OPT_WSCALE) {
		o.wscale = scale;
	}
	o.flags |= info->tcpi_options & TCPI_OPT_SACK ? DYSCO_SYN_SACK : 0;
	o.flags |= info->tcpi_options & TCPI_OPT_TIMESTAMPS ? DYSCO_SYN_TS : 0;
	return o;
}

/*
 * The kernel keeps what was negotiated, not the SYNs: the peer's MSS is at least
 * what is sent to it. Bytes in its queue are those not acknowledged and those not
 * sent yet.
 */
static void fill_socket(const struct inet_diag_msg *msg, const struct tcp_info *info,
			struct dysco_socket *socket)
{
	uint32_t peer_mss = info->tcpi_snd_mss;

	peer_mss += info->tcpi_options & TCPI_OPT_TIMESTAMPS ? TIMESTAMP_BYTES : 0;
	socket->options[DYSCO_OUT] = make_options(info, info->tcpi_advmss, info->tcpi_rcv_wscale);
	socket->options[DYSCO_IN] = make_options(info, peer_mss, info->tcpi_snd_wscale);
	socket->unacked = msg->idiag_wqueue - info->tcpi_notsent_bytes;
}

int dysco_diag_socket(int fd, const struct dysco_tuple *tuple, struct dysco_socket *socket)
{
	struct inet_diag_msg msg = {0};
	struct tcp_info info;
	int result = ask_one(fd, tuple);

	if (result == 0) {
		result = receive_one(fd, &msg, &info);
	}
	if (result == 0 && msg.idiag_state != STATE_ESTABLISHED) {
		result = -ENOTCONN;
	}
	if (result == 0) {
		fill_socket(&msg, &info, socket);
		socket->accepted = is_listened_on(fd, tuple);
	}
	return result;
}
