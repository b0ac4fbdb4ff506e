// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets from the tc programs to the agent and back, by the TAP devices.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/provider.h"
#include "rewrite/edit.h"

#define HEADERS_MAX 256 /* of a packet that is sent as GSO packet */

int dysco_bpf_poll_fds(struct dysco_datapath *dp, int *fds, uint32_t *n)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	uint32_t room = *n;

	*n = 0;
	for (uint32_t i = 0; i < bpf->n_taps; i++) {
		if (bpf->taps[i].netns_ino == 0) {
			continue;
		}
		if (*n == room) {
			return dysco_bpf_fail(dp, -ENOSPC, "more TAP devices than room");
		}
		fds[(*n)++] = bpf->taps[i].fd;
	}
	return 0;
}

/* 0: not known. */
static uint32_t link_mtu(const struct dysco_bpf_tap *tap, const char *ifname)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
	return ioctl(tap->socket, SIOCGIFMTU, &ifr) < 0 ? 0 : (uint32_t)ifr.ifr_mtu;
}

/* The kernel leaves the sum to the last device on the way: that is us. */
static void finish_sum(uint8_t *frame, size_t bytes, const struct virtio_net_hdr *whole)
{
	size_t start = whole->csum_start, check = start + whole->csum_offset;
	uint16_t sum;

	if (!(whole->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || check + sizeof(sum) > bytes) {
		return;
	}
	sum = (uint16_t)~dysco_csum_fold16(dysco_csum_bytes(frame + start, bytes - start));
	memcpy(frame + check, &sum, sizeof(sum));
}

static bool is_tcp_gso(const struct virtio_net_hdr *whole)
{
	uint8_t type = whole->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
}

/* A frame of ours becomes a punt; false for what the kernel sends on any interface. */
static bool read_frame(struct dysco_bpf *bpf, const struct dysco_bpf_tap *tap, size_t bytes,
		       const struct virtio_net_hdr *whole, struct dysco_punt *punt)
{
	const struct dysco_bpf_attachment *a;
	struct dysco_bpf_punt_header header;
	struct dysco_input *in = &punt->input;
	size_t skip;

	if (bytes < sizeof(header)) {
		return false;
	}
	memcpy(&header, bpf->frame, sizeof(header));
	skip = sizeof(header) + header.l2_bytes;
	if (header.magic_be != DYSCO_BE32(DYSCO_MAGIC) ||
	    header.type_be != DYSCO_BE16(DYSCO_BPF_PUNT_TYPE) ||
	    header.l2_bytes > sizeof(in->l2.bytes) || bytes <= skip ||
	    header.attachment >= DYSCO_BPF_ATTACHMENTS) {
		return false;
	}
	a = &bpf->attachments[header.attachment];
	if (a->ifindex == 0 || a->netns_ino != tap->netns_ino) {
		return false;
	}
	finish_sum(bpf->frame, bytes, whole);
	memset(punt, 0, sizeof(*punt));
	in->attachment = header.attachment;
	in->host = a->host;
	in->direction = header.direction;
	in->policy = DYSCO_NO_POLICY;
	memcpy(in->l2.bytes, bpf->frame + sizeof(header), header.l2_bytes);
	in->l2.len = header.l2_bytes;
	in->l2.direction = header.direction;
	in->data = bpf->frame + skip;
	in->bytes = (uint32_t)(bytes - skip);
	in->mtu = link_mtu(tap, a->ifname);
	punt->control = header.kind == DYSCO_BPF_PUNT_CONTROL;
	punt->segment_bytes = is_tcp_gso(whole) ? whole->gso_size : 0;
	return true;
}

static int receive_from(struct dysco_bpf *bpf, const struct dysco_bpf_tap *tap,
			struct dysco_punt *punt)
{
	struct virtio_net_hdr whole;
	struct iovec parts[] = {{&whole, sizeof(whole)}, {bpf->frame, sizeof(bpf->frame)}};

	for (;;) {
		ssize_t got = readv(tap->fd, parts, 2);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		}
		if ((size_t)got > sizeof(whole) &&
		    read_frame(bpf, tap, (size_t)got - sizeof(whole), &whole, punt)) {
			return 1;
		}
	}
}

int dysco_bpf_receive(struct dysco_datapath *dp, struct dysco_punt *punt)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	int error = 0;

	for (uint32_t i = 0; i < bpf->n_taps; i++) {
		const struct dysco_bpf_tap *tap = &bpf->taps[bpf->next_tap % bpf->n_taps];
		int got = tap->netns_ino ? receive_from(bpf, tap, punt) : 0;

		bpf->next_tap++;
		if (got > 0) {
			return 1;
		}
		/* A device that is gone (its namespace is) must not stop the others. */
		if (got < 0 && got != -EBADFD && got != -EIO) {
			error = dysco_bpf_fail(dp, got, "%s: read: %s", tap->name, strerror(-got));
		}
	}
	return error;
}

/* The host's address beyond a port, from how its first packet looked. */
static const uint8_t *host_mac(const struct dysco_l2 *l2)
{
	return l2->direction == DYSCO_OUT ? l2->bytes + ETH_ALEN : l2->bytes;
}

/*
 * The link header of an injected packet. SEND on a nic has it made by the
 * kernel, SEND on a port has its destination filled in by the program.
 */
static void make_ethernet(uint8_t eth[ETH_HLEN], const struct dysco_bpf_attachment *a,
			  enum dysco_bpf_verb verb, const struct dysco_l2 *l2)
{
	bool bridged = a->bridge_ifindex != 0;

	memset(eth, 0, ETH_HLEN);
	if (verb == DYSCO_BPF_RETURN) {
		memcpy(eth, l2->bytes, ETH_HLEN);
	} else if (a->mode == DYSCO_ATTACH_NIC) {
		memcpy(eth, a->mac, ETH_ALEN);
	} else if (verb == DYSCO_BPF_DELIVER) {
		memcpy(eth, host_mac(l2), ETH_ALEN);
		memcpy(eth + ETH_ALEN, bridged ? a->bridge_mac : a->mac, ETH_ALEN);
	} else {
		memcpy(eth + ETH_ALEN, host_mac(l2), ETH_ALEN);
	}
}

/*
 * Whole, as the kernel's own stack would: the link's device, or the kernel for
 * it, cuts it to segments as long as those that came.
 */
static int write_gso(const struct dysco_bpf_tap *tap, const struct dysco_bpf_attachment *a,
		     enum dysco_bpf_verb verb, const struct dysco_l2 *l2,
		     const struct dysco_packet *p, const uint8_t *packet, uint32_t bytes,
		     uint16_t segment_bytes)
{
	struct dysco_bpf_inject_head head = {
	    .magic = {DYSCO_BPF_INJECT_MAGIC0, DYSCO_BPF_INJECT_MAGIC1},
	    .attachment = a->id,
	    .verb = (uint8_t)verb};
	uint16_t type_be = p->version == 4 ? DYSCO_BE16(ETH_P_IP) : DYSCO_BE16(ETH_P_IPV6);
	uint32_t tcp_bytes = bytes - p->l4;
	struct virtio_net_hdr whole = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .gso_type = p->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
								   : VIRTIO_NET_HDR_GSO_TCPV6,
				       .hdr_len = (uint16_t)(ETH_HLEN + p->payload),
				       .gso_size = segment_bytes,
				       .csum_start = (uint16_t)(ETH_HLEN + p->l4),
				       .csum_offset = 16};
	uint8_t headers[ETH_HLEN + HEADERS_MAX];
	struct iovec parts[] = {{&whole, sizeof(whole)},
				{headers, ETH_HLEN + (size_t)p->payload},
				{(void *)(uintptr_t)(packet + p->payload), bytes - p->payload}};
	uint16_t pseudo =
	    dysco_csum_fold16(dysco_csum_pseudo(p, packet) + DYSCO_BE16(tcp_bytes >> 16) +
			      DYSCO_BE16(tcp_bytes & 0xffff));

	if (p->payload > HEADERS_MAX || verb == DYSCO_BPF_RETURN) {
		return -EMSGSIZE;
	}
	memcpy(headers, &head, sizeof(head));
	memcpy(headers + ETH_ALEN, host_mac(l2), ETH_ALEN);
	memcpy(headers + 2 * (size_t)ETH_ALEN, &type_be, sizeof(type_be));
	memcpy(headers + ETH_HLEN, packet, p->payload);
	memcpy(headers + ETH_HLEN + p->l4 + 16, &pseudo, sizeof(pseudo));
	return writev(tap->fd, parts, 3) < 0 ? -errno : 0;
}

static int write_frame(const struct dysco_bpf_tap *tap, const struct dysco_bpf_attachment *a,
		       enum dysco_bpf_verb verb, const struct dysco_l2 *l2, const uint8_t *packet,
		       uint32_t bytes)
{
	struct virtio_net_hdr whole = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	struct dysco_bpf_inject_trailer trailer = {
	    .magic_be = DYSCO_BE32(DYSCO_MAGIC), .attachment = a->id, .verb = (uint8_t)verb};
	uint16_t type_be = packet[0] >> 4 == 4 ? DYSCO_BE16(ETH_P_IP) : DYSCO_BE16(ETH_P_IPV6);
	uint8_t eth[ETH_HLEN];
	struct iovec parts[] = {{&whole, sizeof(whole)},
				{eth, sizeof(eth)},
				{(void *)(uintptr_t)packet, bytes},
				{&trailer, sizeof(trailer)}};

	make_ethernet(eth, a, verb, l2);
	memcpy(eth + 2 * (size_t)ETH_ALEN, &type_be, sizeof(type_be));
	return writev(tap->fd, parts, 4) < 0 ? -errno : 0;
}

/* Does it stand for several segments, as the packet did that it answers? */
static bool is_gso(const uint8_t *packet, uint32_t bytes, const struct dysco_punt *punt,
		   struct dysco_packet *p)
{
	return punt && punt->segment_bytes != 0 && bytes > punt->segment_bytes &&
	       dysco_packet_parse(p, packet, packet + bytes, bytes) == DYSCO_PARSE_TCP &&
	       p->payload_bytes > punt->segment_bytes;
}

/* PASS: on in its own direction. A nic sends as always, a port gets back what it gave. */
static enum dysco_bpf_verb verb_of(const struct dysco_action *action,
				   const struct dysco_bpf_attachment *a,
				   const struct dysco_punt *punt)
{
	if (action->kind != DYSCO_ACT_PASS) {
		return action->kind == DYSCO_ACT_SEND ? DYSCO_BPF_SEND : DYSCO_BPF_DELIVER;
	}
	if (punt->input.direction == DYSCO_IN) {
		return DYSCO_BPF_DELIVER;
	}
	return a->mode == DYSCO_ATTACH_PORT ? DYSCO_BPF_RETURN : DYSCO_BPF_SEND;
}

/* The device of an attachment; of one that an earlier agent made it may have to be opened first. */
static const struct dysco_bpf_tap *tap_of(struct dysco_datapath *dp,
					  const struct dysco_bpf_attachment *a)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	const struct dysco_bpf_tap *tap = dysco_bpf_tap_by_netns(bpf, a->netns_ino);
	struct dysco_net net;

	if (tap || a->ifindex == 0 || dysco_net_enter(&net, a->netns) != 0) {
		return a->ifindex ? tap : NULL;
	}
	if (net.ino == a->netns_ino) {
		tap = dysco_bpf_tap_get(dp, net.ino);
	}
	dysco_net_leave(&net);
	return tap;
}

int dysco_bpf_inject(struct dysco_datapath *dp, const struct dysco_action *action,
		     const uint8_t *packet, uint32_t bytes, const struct dysco_punt *punt)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	bool pass = action->kind == DYSCO_ACT_PASS;
	const struct dysco_l2 *l2 = pass ? &punt->input.l2 : &action->l2;
	uint16_t id = pass ? punt->input.attachment : action->attachment;
	const struct dysco_bpf_attachment *a = &bpf->attachments[id % DYSCO_BPF_ATTACHMENTS];
	const struct dysco_bpf_tap *tap = tap_of(dp, a);
	struct dysco_packet p;
	int error;

	if (!tap || bytes == 0) {
		bpf->not_injected++;
		return dysco_bpf_fail(dp, -ENODEV, "attachment %u is not in force", id);
	}
	if (is_gso(packet, bytes, punt, &p)) {
		error = write_gso(tap, a, verb_of(action, a, punt), l2, &p, packet, bytes,
				  punt->segment_bytes);
	} else {
		error = write_frame(tap, a, verb_of(action, a, punt), l2, packet, bytes);
	}
	if (error) {
		bpf->not_injected++;
		return dysco_bpf_fail(dp, error, "%s: write: %s", tap->name, strerror(-error));
	}
	bpf->injected++;
	return 0;
}
