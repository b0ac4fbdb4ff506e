/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP connections that pass a namespace, as its connection tracking (nf_conntrack)
 * knows them: for hosts beyond ports and behind gateways, whose stacks cannot be
 * asked. Who sent the first packet is who opened it. Where nothing is tracked the
 * list is empty.
 */
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/dump.h"
#include "agent/netns.h"

/* ---- attributes ---- */

struct span {
	const uint8_t *at;
	size_t bytes;
};

/* The value of the first attribute of this type; no bytes: there is none. */
static struct span within(struct span span, uint16_t type)
{
	struct nlattr a;

	while (span.bytes >= sizeof(a)) {
		size_t step;

		memcpy(&a, span.at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > span.bytes) {
			break;
		}
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			return (struct span){span.at + sizeof(a), a.nla_len - sizeof(a)};
		}
		step = NLA_ALIGN(a.nla_len);
		step = step < span.bytes ? step : span.bytes;
		span.at += step;
		span.bytes -= step;
	}
	return (struct span){span.at, 0};
}

static bool take_value(struct span span, uint16_t type, void *to, size_t bytes)
{
	struct span value = within(span, type);

	if (value.bytes == bytes) {
		memcpy(to, value.at, bytes);
	}
	return value.bytes == bytes;
}

static bool take_address(struct span ip, uint16_t type4, uint16_t type6, struct dysco_addr *addr)
{
	*addr = (struct dysco_addr){{0, 0, DYSCO_BE32(0xffff), 0}};
	return take_value(ip, type4, &addr->w_be[3], sizeof(addr->w_be[3])) ||
	       take_value(ip, type6, addr->w_be, sizeof(addr->w_be));
}

/* One direction of a connection; false: it is not one of TCP. */
static bool take_tuple(struct span direction, struct dysco_tuple *tuple)
{
	struct span ip = within(direction, CTA_TUPLE_IP),
		    proto = within(direction, CTA_TUPLE_PROTO);
	uint8_t number = 0;

	memset(tuple, 0, sizeof(*tuple));
	return take_value(proto, CTA_PROTO_NUM, &number, sizeof(number)) && number == IPPROTO_TCP &&
	       take_value(proto, CTA_PROTO_SRC_PORT, &tuple->sport_be, sizeof(tuple->sport_be)) &&
	       take_value(proto, CTA_PROTO_DST_PORT, &tuple->dport_be, sizeof(tuple->dport_be)) &&
	       take_address(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &tuple->src) &&
	       take_address(ip, CTA_IP_V4_DST, CTA_IP_V6_DST, &tuple->dst);
}

static bool is_established(struct span message)
{
	uint8_t state = TCP_CONNTRACK_NONE;

	return take_value(within(within(message, CTA_PROTOINFO), CTA_PROTOINFO_TCP),
			  CTA_PROTOINFO_TCP_STATE, &state, sizeof(state)) &&
	       state == TCP_CONNTRACK_ESTABLISHED;
}

/* What is translated here has another name at its other end. */
static void take_connection(struct span message, dysco_connection_fn *take, void *to)
{
	struct dysco_tuple opened, answered, back;

	if (!is_established(message) || !take_tuple(within(message, CTA_TUPLE_ORIG), &opened) ||
	    !take_tuple(within(message, CTA_TUPLE_REPLY), &answered)) {
		return;
	}
	back = dysco_tuple_reverse(&answered);
	if (dysco_tuple_equal(&opened, &back)) {
		take(to, &opened);
	}
}

/* ---- the dump ---- */

struct taking {
	dysco_connection_fn *take;
	void *to;
};

static void take_message(void *context, const struct nlmsghdr *h)
{
	const struct taking *taking = context;
	size_t skipped = NLMSG_ALIGN(sizeof(struct nfgenmsg));
	struct span message = {(const uint8_t *)NLMSG_DATA(h) + skipped,
			       h->nlmsg_len - NLMSG_LENGTH(skipped)};

	take_connection(message, taking->take, taking->to);
}

int dysco_track_connections(int fd, dysco_connection_fn *take, void *to)
{
	struct taking taking = {take, to};
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} r = {
	    .header = {.nlmsg_len = sizeof(r),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};

	return dysco_dump(fd, &r.header, sizeof(struct nfgenmsg), take_message, &taking);
}
