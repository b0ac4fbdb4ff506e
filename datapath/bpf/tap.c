// SPDX-License-Identifier: BSD-2-Clause
/*
 * The TAP device of a network namespace: the way of packets between the tc
 * programs and the agent.
 *
 * It is persistent, so that the programs that name it stay right while no agent
 * runs (they notice by the heartbeat), and forwarding is on for it, so that
 * bpf_fib_lookup() answers on hosts that do not forward otherwise: nothing but
 * our program, which lets nothing by, ever receives from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/provider.h"

struct dysco_bpf_tap *dysco_bpf_tap_by_netns(struct dysco_bpf *bpf, uint64_t netns_ino)
{
	for (uint32_t i = 0; i < bpf->n_taps; i++) {
		if (bpf->taps[i].netns_ino == netns_ino) {
			return &bpf->taps[i];
		}
	}
	return NULL;
}

static struct dysco_bpf_tap *new_tap(struct dysco_bpf *bpf)
{
	for (uint32_t i = 0; i < bpf->n_taps; i++) {
		if (bpf->taps[i].netns_ino == 0) {
			return &bpf->taps[i];
		}
	}
	/* There are no more namespaces than attachments. */
	return bpf->n_taps < DYSCO_BPF_ATTACHMENTS ? &bpf->taps[bpf->n_taps++] : NULL;
}

/* The name of the device that an earlier agent left here, or the pattern for a new one. */
static void choose_name(char name[16], const struct dysco_bpf *bpf, uint64_t netns_ino)
{
	struct dysco_link link;

	for (uint32_t i = 0; i < DYSCO_BPF_ATTACHMENTS; i++) {
		const struct dysco_bpf_attachment *a = &bpf->attachments[i];

		if (a->ifindex && a->netns_ino == netns_ino &&
		    dysco_link_get(&link, a->tap_ifindex, NULL) == 0 &&
		    strcmp(link.name, a->tap) == 0) {
			memcpy(name, a->tap, 16);
			return;
		}
	}
	(void)snprintf(name, 16, "dysco%%d");
}

static int open_device(struct dysco_datapath *dp, struct dysco_bpf_tap *tap)
{
	struct ifreq ifr;

	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0) {
		return dysco_bpf_fail(dp, -errno, "/dev/net/tun: %s; it is needed, load module tun",
				      strerror(errno));
	}
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	memcpy(ifr.ifr_name, tap->name, sizeof(tap->name));
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot use this TAP device: %s%s", tap->name,
				      strerror(errno),
				      errno == EBUSY ? "; another agent uses it" : "");
	}
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	/* Else the kernel would cut what it hands over to single segments, and finish each sum. */
	if (ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) <
	    0) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot hand over GSO packets: %s", tap->name,
				      strerror(errno));
	}
	if (ioctl(tap->fd, TUNSETPERSIST, 1) < 0) {
		return dysco_bpf_fail(dp, -errno, "%s: cannot make it persistent: %s", tap->name,
				      strerror(errno));
	}
	return 0;
}

static int prepare_link(struct dysco_datapath *dp, struct dysco_bpf_tap *tap)
{
	struct dysco_link link;
	int error = dysco_link_get(&link, 0, tap->name);

	if (!error) {
		tap->ifindex = link.ifindex;
		error = dysco_net_sysctl("ipv6", tap->name, "disable_ipv6", "1");
	}
	if (!error) {
		error = dysco_net_sysctl("ipv4", tap->name, "forwarding", "1");
	}
	if (!error) {
		error = dysco_net_sysctl("ipv6", tap->name, "forwarding", "1");
	}
	if (!error) {
		error = dysco_link_up(tap->ifindex);
	}
	return error ? dysco_bpf_fail(dp, error, "%s: cannot set up this TAP device: %s", tap->name,
				      strerror(-error))
		     : 0;
}

static int hook_program(struct dysco_datapath *dp, const struct dysco_bpf_tap *tap)
{
	static const struct dysco_bpf_attachment no_constants;
	struct bpf_object *object = dysco_bpf_object_load(dp, &no_constants, true, DYSCO_BPF_ANY);
	int error;

	if (!object) {
		return -EINVAL;
	}
	error = dysco_bpf_hook_set(tap->ifindex, DYSCO_BPF_INGRESS,
				   dysco_bpf_object_program(object, "tap_in"));
	bpf_object__close(object);
	return error ? dysco_bpf_fail(dp, error, "%s: cannot attach the program: %s", tap->name,
				      strerror(-error))
		     : 0;
}

static int set_up(struct dysco_datapath *dp, struct dysco_bpf_tap *tap)
{
	int error;

	tap->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (tap->socket < 0) {
		return dysco_bpf_fail(dp, -errno, "cannot open a socket: %s", strerror(errno));
	}
	error = open_device(dp, tap);
	if (!error) {
		error = prepare_link(dp, tap);
	}
	return error ? error : hook_program(dp, tap);
}

/* Somebody may have deleted it, or renamed it. */
static bool still_there(const struct dysco_bpf_tap *tap)
{
	struct dysco_link link;

	return dysco_link_get(&link, tap->ifindex, NULL) == 0 && strcmp(link.name, tap->name) == 0;
}

struct dysco_bpf_tap *dysco_bpf_tap_get(struct dysco_datapath *dp, uint64_t netns_ino)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_bpf_tap *tap = dysco_bpf_tap_by_netns(bpf, netns_ino);

	if (tap && still_there(tap)) {
		return tap;
	}
	if (tap) {
		dysco_bpf_tap_release(tap, true);
	}
	tap = new_tap(bpf);
	if (!tap) {
		dysco_bpf_fail(dp, -ENOSPC, "too many network namespaces");
		return NULL;
	}
	memset(tap, 0, sizeof(*tap));
	tap->fd = tap->socket = -1;
	choose_name(tap->name, bpf, netns_ino);
	if (set_up(dp, tap)) {
		dysco_bpf_tap_release(tap, false);
		return NULL;
	}
	tap->netns_ino = netns_ino;
	return tap;
}

void dysco_bpf_tap_release(struct dysco_bpf_tap *tap, bool remove)
{
	if (tap->fd >= 0) {
		if (remove) {
			ioctl(tap->fd, TUNSETPERSIST, 0);
		}
		close(tap->fd);
	}
	if (tap->socket >= 0) {
		close(tap->socket);
	}
	memset(tap, 0, sizeof(*tap));
	tap->fd = tap->socket = -1;
}
