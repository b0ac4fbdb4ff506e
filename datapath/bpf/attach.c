// SPDX-License-Identifier: BSD-2-Clause
/*
 * Attachments: what is put on an interface, in whatever namespace, and taken
 * off again.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "datapath/bpf/net.h"
#include "datapath/bpf/provider.h"

/* Error texts name the interface as the user does. */
static const char *shown(const struct dysco_attachment *a, char out[96])
{
	(void)snprintf(out, 96, "%.15s%s%.63s", a->ifname, a->netns[0] ? " in netns " : "",
		       a->netns);
	return out;
}

/* The other end of the mirror's veth pair; what is sent there comes in on the mirror. */
static void mirror_peer(char out[16], const char *mirror)
{
	(void)snprintf(out, 16, "%.13s-i", mirror);
}

static int quiet_and_up(const char *name, uint32_t *ifindex)
{
	struct dysco_link link;
	int error = dysco_link_get(&link, 0, name);

	if (!error) {
		*ifindex = link.ifindex;
		error = dysco_net_sysctl("ipv6", name, "disable_ipv6", "1");
	}
	return error ? error : dysco_link_up(link.ifindex);
}

static int make_mirror(struct dysco_datapath *dp, const char *mirror, uint32_t *peer_ifindex)
{
	uint32_t ifindex;
	char peer[16];
	int error;

	if (strlen(mirror) > 13) {
		return dysco_bpf_fail(dp, -ENAMETOOLONG,
				      "mirror %s: name longer than 13 characters", mirror);
	}
	mirror_peer(peer, mirror);
	error = dysco_link_make_veth(mirror, peer);
	if (error == -EEXIST) {
		error = 0;
	}
	if (!error) {
		error = quiet_and_up(mirror, &ifindex);
	}
	if (!error) {
		error = quiet_and_up(peer, peer_ifindex);
	}
	return error ? dysco_bpf_fail(dp, error, "mirror %s: cannot make the interface: %s", mirror,
				      strerror(-error))
		     : 0;
}

static void remove_mirror(const char *mirror)
{
	struct dysco_link link;
	char peer[16];

	mirror_peer(peer, mirror);
	/* Deleting one end of a pair deletes both; only what has our peer's name beside it is ours.
	 */
	if (dysco_link_get(&link, 0, peer) == 0) {
		dysco_link_delete(link.ifindex);
	}
}

static int describe_bridge(struct dysco_bpf_attachment *self, uint32_t master)
{
	struct dysco_link link;
	int error = dysco_link_get(&link, master, NULL);

	if (!error && link.bridge) {
		self->bridge_ifindex = master;
		memcpy(self->bridge_mac, link.mac, sizeof(self->bridge_mac));
	}
	return error;
}

/* What the programs have to know of the interface. */
static int describe(struct dysco_datapath *dp, const struct dysco_attachment *a,
		    struct dysco_bpf_attachment *self)
{
	struct dysco_link link;
	char name[96];
	int error = dysco_link_get(&link, 0, a->ifname);

	if (!error && link.master && a->mode == DYSCO_ATTACH_PORT) {
		error = describe_bridge(self, link.master);
	}
	if (error) {
		return dysco_bpf_fail(dp, error, "%s: no such interface (%s)", shown(a, name),
				      strerror(-error));
	}
	self->l2_bytes = link.type == ARPHRD_ETHER || link.type == ARPHRD_LOOPBACK ? 14 : 0;
	if (self->l2_bytes == 0 && a->mode == DYSCO_ATTACH_PORT) {
		return dysco_bpf_fail(dp, -EOPNOTSUPP,
				      "%s: a port needs an Ethernet interface (veth, tap, ...)",
				      shown(a, name));
	}
	self->ifindex = link.ifindex;
	self->id = a->id;
	self->host = a->host;
	self->mode = (uint8_t)a->mode;
	memcpy(self->mac, link.mac, sizeof(self->mac));
	memcpy(self->ifname, a->ifname, sizeof(self->ifname));
	memcpy(self->netns, a->netns, sizeof(self->netns));
	memcpy(self->mirror, a->mirror, sizeof(self->mirror));
	return 0;
}

/* Makes the devices this attachment stands on. */
static int provide(struct dysco_datapath *dp, const struct dysco_attachment *a,
		   struct dysco_bpf_attachment *self, uint64_t netns_ino)
{
	const struct dysco_bpf_tap *tap = dysco_bpf_tap_get(dp, netns_ino);
	char name[96];

	if (!tap) {
		return -EIO;
	}
	self->netns_ino = netns_ino;
	self->tap_ifindex = tap->ifindex;
	memcpy(self->tap, tap->name, sizeof(self->tap));
	if (a->mirror[0] == '\0') {
		return 0;
	}
	if (a->mode == DYSCO_ATTACH_PORT || self->l2_bytes == 0) {
		return dysco_bpf_fail(dp, -EOPNOTSUPP,
				      "%s: a mirror needs a nic with Ethernet header%s",
				      shown(a, name),
				      a->mode == DYSCO_ATTACH_PORT
					  ? "; beyond a port the session view is there anyway"
					  : "");
	}
	return make_mirror(dp, a->mirror, &self->mirror_ifindex);
}

static int store(struct dysco_bpf *bpf, const struct dysco_bpf_attachment *self, uint32_t id)
{
	bpf->attachments[id] = *self;
	return bpf_map_update_elem(bpf->fds[DYSCO_BPF_ATTACHMENTS_MAP], &id, self, 0);
}

/*
 * The second half of the SYN path first, then the way in, then the way out:
 * from then on sessions start.
 */
static int hook_programs(struct dysco_bpf *bpf, const struct dysco_bpf_attachment *self,
			 const struct bpf_object *object)
{
	enum dysco_bpf_hook in =
	    self->mode == DYSCO_ATTACH_NIC ? DYSCO_BPF_INGRESS : DYSCO_BPF_EGRESS;
	enum dysco_bpf_hook out = in == DYSCO_BPF_INGRESS ? DYSCO_BPF_EGRESS : DYSCO_BPF_INGRESS;
	int error = dysco_bpf_object_offer(bpf, object, self->id);

	if (!error) {
		error = dysco_bpf_hook_set(self->ifindex, in,
					   dysco_bpf_object_program(object, "host_in"));
	}
	if (!error) {
		error = dysco_bpf_hook_set(self->ifindex, out,
					   dysco_bpf_object_program(object, "host_out"));
	}
	return error;
}

static int attach_here(struct dysco_datapath *dp, const struct dysco_attachment *a,
		       uint64_t netns_ino)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_bpf_attachment self;
	struct bpf_object *object;
	char name[96];
	int error;

	memset(&self, 0, sizeof(self));
	error = describe(dp, a, &self);
	if (!error) {
		error = provide(dp, a, &self, netns_ino);
	}
	if (error) {
		return error;
	}
	object = dysco_bpf_object_load(dp, &self, false, DYSCO_BPF_ANY);
	if (!object) {
		return -EINVAL;
	}
	error = store(bpf, &self, a->id);
	if (!error) {
		error = hook_programs(bpf, &self, object);
	}
	bpf_object__close(object);
	return error ? dysco_bpf_fail(dp, error, "%s: cannot attach the programs: %s",
				      shown(a, name), strerror(-error))
		     : 0;
}

static int enter(struct dysco_datapath *dp, struct dysco_net *net, const struct dysco_attachment *a)
{
	int error = dysco_net_enter(net, a->netns);

	return error ? dysco_bpf_fail(dp, error, "netns %s: %s", a->netns, strerror(-error)) : 0;
}

int dysco_bpf_attach(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	struct dysco_net net;
	int error;

	if (a->id == 0 || a->id >= DYSCO_BPF_ATTACHMENTS) {
		return dysco_bpf_fail(dp, -EINVAL, "attachment id %u out of range", a->id);
	}
	error = enter(dp, &net, a);
	if (error) {
		return error;
	}
	error = attach_here(dp, a, net.ino);
	dysco_net_leave(&net);
	return error;
}

/* The TAP device goes with the last attachment of its namespace. */
static void release_tap(struct dysco_bpf *bpf, uint64_t netns_ino)
{
	struct dysco_bpf_tap *tap = dysco_bpf_tap_by_netns(bpf, netns_ino);

	for (uint32_t i = 0; i < DYSCO_BPF_ATTACHMENTS; i++) {
		if (bpf->attachments[i].ifindex && bpf->attachments[i].netns_ino == netns_ino) {
			return;
		}
	}
	if (tap) {
		dysco_bpf_tap_release(tap, true);
	}
}

/*
 * An open TAP device keeps its namespace alive after `ip netns del`: the
 * attachments of a namespace that has lost its name are given up.
 */
void dysco_bpf_attach_prune(struct dysco_bpf *bpf)
{
	static const struct dysco_bpf_attachment none;

	for (uint32_t i = 1; i < DYSCO_BPF_ATTACHMENTS; i++) {
		const struct dysco_bpf_attachment *a = &bpf->attachments[i];
		uint64_t netns_ino = a->netns_ino;

		if (a->ifindex == 0 || a->netns[0] == '\0' ||
		    dysco_net_names(a->netns, netns_ino)) {
			continue;
		}
		dysco_bpf_object_withdraw(bpf, i);
		(void)store(bpf, &none, i);
		release_tap(bpf, netns_ino);
	}
}

/* Of an earlier agent, and not opened by this one. */
static void delete_tap(const struct dysco_bpf_attachment *self)
{
	struct dysco_link link;

	if (dysco_link_get(&link, self->tap_ifindex, NULL) == 0 &&
	    strcmp(link.name, self->tap) == 0) {
		dysco_link_delete(link.ifindex);
	}
}

/* An interface that got another name keeps the programs, unless it is attached by that name too. */
static void clear_renamed(const struct dysco_bpf *bpf, const struct dysco_bpf_attachment *self)
{
	for (uint32_t i = 1; i < DYSCO_BPF_ATTACHMENTS; i++) {
		const struct dysco_bpf_attachment *other = &bpf->attachments[i];

		if (i != self->id && other->ifindex == self->ifindex &&
		    other->netns_ino == self->netns_ino) {
			return;
		}
	}
	(void)dysco_bpf_hook_clear(self->ifindex);
}

/* The interface may have gone, or another of the same name may be there without our programs. */
static int detach_here(struct dysco_bpf *bpf, const char *ifname, uint32_t id, uint64_t netns_ino)
{
	static const struct dysco_bpf_attachment none;
	const struct dysco_bpf_attachment self = bpf->attachments[id];
	struct dysco_link link;
	int error = dysco_link_get(&link, 0, ifname);

	if (!error) {
		error = dysco_bpf_hook_clear(link.ifindex);
	}
	if (self.ifindex && self.netns_ino == netns_ino &&
	    (error || link.ifindex != self.ifindex)) {
		clear_renamed(bpf, &self);
	}
	if (self.mirror_ifindex) {
		remove_mirror(self.mirror);
	}
	dysco_bpf_object_withdraw(bpf, id);
	(void)store(bpf, &none, id);
	release_tap(bpf, netns_ino);
	return error;
}

int dysco_bpf_detach(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_net net;
	char name[96];
	int error;

	if (a->id >= DYSCO_BPF_ATTACHMENTS) {
		return dysco_bpf_fail(dp, -EINVAL, "attachment id %u out of range", a->id);
	}
	error = enter(dp, &net, a);
	if (error) {
		return error;
	}
	error = detach_here(bpf, a->ifname, a->id, net.ino);
	dysco_net_leave(&net);
	return error ? dysco_bpf_fail(dp, error, "%s: %s", shown(a, name),
				      error == -ENOENT ? "no program of ours was on it"
						       : strerror(-error))
		     : 0;
}

int dysco_bpf_attached(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	const struct dysco_bpf_attachment *self =
	    &dysco_bpf_of(dp)->attachments[a->id % DYSCO_BPF_ATTACHMENTS];
	struct dysco_net net;
	int result = enter(dp, &net, a);

	if (result) {
		return result;
	}
	if (self->ifindex == 0 || self->netns_ino != net.ino) {
		result = -ENOENT;
	} else {
		result = dysco_bpf_hook_is_set(self->ifindex, DYSCO_BPF_INGRESS) &&
			 dysco_bpf_hook_is_set(self->ifindex, DYSCO_BPF_EGRESS);
	}
	dysco_net_leave(&net);
	return result;
}

void dysco_bpf_detach_all(struct dysco_datapath *dp)
{
	struct dysco_bpf *bpf = dysco_bpf_of(dp);
	struct dysco_net net;

	for (uint32_t i = 1; i < DYSCO_BPF_ATTACHMENTS; i++) {
		const struct dysco_bpf_attachment self = bpf->attachments[i];

		/* A namespace that is gone took everything with it. */
		if (self.ifindex == 0 || dysco_net_enter(&net, self.netns) < 0) {
			continue;
		}
		(void)detach_here(bpf, self.ifname, i, net.ino);
		if (!dysco_bpf_tap_by_netns(bpf, net.ino)) {
			delete_tap(&self);
		}
		dysco_net_leave(&net);
	}
}
