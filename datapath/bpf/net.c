// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network namespaces, links and filters by rtnetlink, for the bpf datapath.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath/bpf/net.h"

#define ANSWER_BYTES 32768

static void netns_path(char path[128], const char *netns)
{
	(void)snprintf(path, 128, "%s%s",
		       netns[0] == '\0'	 ? "/proc/thread-self/ns/net"
		       : netns[0] == '/' ? ""
					 : "/run/netns/",
		       netns);
}

bool dysco_net_names(const char *netns, uint64_t ino)
{
	char path[128];
	struct stat st;

	netns_path(path, netns);
	return stat(path, &st) == 0 && st.st_ino == ino;
}

int dysco_net_enter(struct dysco_net *net, const char *netns)
{
	char path[128];
	struct stat st;
	int fd, error = 0;

	net->before = -1;
	netns_path(path, netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &st) < 0) {
		error = -errno;
	} else if (netns[0] != '\0') {
		net->before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		error = net->before < 0 || setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	}
	close(fd);
	if (error) {
		dysco_net_leave(net);
		return error;
	}
	net->ino = st.st_ino;
	return 0;
}

void dysco_net_leave(struct dysco_net *net)
{
	if (net->before < 0) {
		return;
	}
	/* It was entered before, so this can only fail when the kernel is out of memory. */
	if (setns(net->before, CLONE_NEWNET) < 0) {
		perror("dysco: return to the own network namespace");
	}
	close(net->before);
	net->before = -1;
}

/* A request under construction. */
struct request {
	struct nlmsghdr nlh;
	union {
		struct ifinfomsg link;
		struct tcmsg tc;
	};
	uint8_t attributes[256];
};

static void request_init(struct request *rq, uint16_t type, uint16_t flags, size_t body)
{
	memset(rq, 0, sizeof(*rq));
	rq->nlh.nlmsg_type = type;
	rq->nlh.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	rq->nlh.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
}

/* Appends an attribute; the few that we make always fit. */
static struct rtattr *put(struct request *rq, int type, const void *value, size_t bytes)
{
	struct rtattr *a = (void *)((uint8_t *)rq + NLMSG_ALIGN(rq->nlh.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(bytes);
	if (bytes) {
		memcpy(RTA_DATA(a), value, bytes);
	}
	rq->nlh.nlmsg_len = NLMSG_ALIGN(rq->nlh.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
	return a;
}

/* Ends a nested attribute: it holds all that was put since. */
static void put_end(struct request *rq, struct rtattr *nest)
{
	nest->rta_len =
	    (unsigned short)((uint8_t *)rq + NLMSG_ALIGN(rq->nlh.nlmsg_len) - (uint8_t *)nest);
}

/* Messages of one answer; returns != 0 to have enough. */
typedef int answer_fn(void *context, const struct nlmsghdr *nlh);

static int read_answer(int fd, answer_fn *each, void *context)
{
	static __thread uint8_t buffer[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
		size_t left = got < 0 ? 0 : (size_t)got;

		if (got < 0) {
			return -errno;
		}
		for (struct nlmsghdr *nlh = (void *)buffer; NLMSG_OK(nlh, left);
		     nlh = NLMSG_NEXT(nlh, left)) {
			if (nlh->nlmsg_type == NLMSG_DONE) {
				return 0;
			}
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
			}
			if (each && each(context, nlh)) {
				return 0;
			}
		}
	}
}

static int request_send(const struct request *rq, answer_fn *each, void *context)
{
	/* Connected, it takes nothing from others in the namespace. */
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int result;

	if (fd < 0) {
		return -errno;
	}
	result = connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) != 0 ||
			 send(fd, rq, rq->nlh.nlmsg_len, 0) < 0
		     ? -errno
		     : read_answer(fd, each, context);
	close(fd);
	return result;
}

static bool link_is_bridge(const struct rtattr *info)
{
	size_t left = RTA_PAYLOAD(info);

	for (const struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFLA_INFO_KIND) {
			return strcmp(RTA_DATA(a), "bridge") == 0;
		}
	}
	return false;
}

static void link_attribute(struct dysco_link *link, const struct rtattr *a)
{
	switch (a->rta_type) {
	case IFLA_IFNAME:
		(void)snprintf(link->name, sizeof(link->name), "%s", (const char *)RTA_DATA(a));
		break;
	case IFLA_MASTER:
		memcpy(&link->master, RTA_DATA(a), sizeof(link->master));
		break;
	case IFLA_MTU:
		memcpy(&link->mtu, RTA_DATA(a), sizeof(link->mtu));
		break;
	case IFLA_ADDRESS:
		if (RTA_PAYLOAD(a) == sizeof(link->mac)) {
			memcpy(link->mac, RTA_DATA(a), sizeof(link->mac));
		}
		break;
	case IFLA_LINKINFO:
		link->bridge = link_is_bridge(a);
		break;
	default:
		break;
	}
}

static int link_answer(void *context, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *info = NLMSG_DATA(nlh);
	struct dysco_link *link = context;
	size_t left = IFLA_PAYLOAD(nlh);

	if (nlh->nlmsg_type != RTM_NEWLINK) {
		return 0;
	}
	link->ifindex = (uint32_t)info->ifi_index;
	link->type = info->ifi_type;
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		link_attribute(link, a);
	}
	return 1;
}

int dysco_link_get(struct dysco_link *link, uint32_t ifindex, const char *name)
{
	struct request rq;

	memset(link, 0, sizeof(*link));
	request_init(&rq, RTM_GETLINK, 0, sizeof(rq.link));
	rq.link.ifi_index = (int)ifindex;
	if (ifindex == 0) {
		put(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	}
	return request_send(&rq, link_answer, link);
}

int dysco_link_up(uint32_t ifindex)
{
	struct request rq;

	request_init(&rq, RTM_NEWLINK, NLM_F_ACK, sizeof(rq.link));
	rq.link.ifi_index = (int)ifindex;
	rq.link.ifi_flags = IFF_UP;
	rq.link.ifi_change = IFF_UP;
	return request_send(&rq, NULL, NULL);
}

int dysco_link_delete(uint32_t ifindex)
{
	struct request rq;

	request_init(&rq, RTM_DELLINK, NLM_F_ACK, sizeof(rq.link));
	rq.link.ifi_index = (int)ifindex;
	return request_send(&rq, NULL, NULL);
}

int dysco_link_make_veth(const char *name, const char *peer)
{
	static const struct ifinfomsg no_info;
	struct rtattr *info, *data, *other;
	struct request rq;

	request_init(&rq, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(rq.link));
	put(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	info = put(&rq, IFLA_LINKINFO, NULL, 0);
	put(&rq, IFLA_INFO_KIND, "veth", sizeof("veth"));
	data = put(&rq, IFLA_INFO_DATA, NULL, 0);
	other = put(&rq, VETH_INFO_PEER, &no_info, sizeof(no_info));
	put(&rq, IFLA_IFNAME, peer, strlen(peer) + 1);
	put_end(&rq, other);
	put_end(&rq, data);
	put_end(&rq, info);
	return request_send(&rq, NULL, NULL);
}

/* Each priority is also reported by itself, without a handle. */
static int filter_answer(void *context, const struct nlmsghdr *nlh)
{
	const struct tcmsg *tc = NLMSG_DATA(nlh);
	int *count = context;

	*count += nlh->nlmsg_type == RTM_NEWTFILTER && tc->tcm_handle != 0;
	return 0;
}

int dysco_link_count_filters(uint32_t ifindex, uint32_t hook)
{
	struct request rq;
	int count = 0;
	int error;

	request_init(&rq, RTM_GETTFILTER, NLM_F_DUMP, sizeof(rq.tc));
	rq.tc.tcm_ifindex = (int)ifindex;
	rq.tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT, hook);
	error = request_send(&rq, filter_answer, &count);
	return error ? error : count;
}

int dysco_net_sysctl(const char *family, const char *ifname, const char *key, const char *value)
{
	char path[128];
	ssize_t wrote;
	int fd, error;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	wrote = write(fd, value, strlen(value));
	error = wrote < 0 ? -errno : 0;
	close(fd);
	return error;
}
