/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco doctor`: an attachment's interface, and the network namespace it is in. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "datapath/bpf/tcx.h"

#define OUR_HANDLE     "0xd75c" /* of the tc filters, datapath/bpf/hook.c */
#define SYN_ROOM_BYTES 1280	/* a SYN with a list of 24 hops, its headers and a signature */

static json_t *interface_link(const char *ifname)
{
	const char *const argv[] = {"ip", "-j", "-d", "addr", "show", "dev", ifname, NULL};

	return dysco_doctor_tool(argv);
}

static void look_at_state(struct dysco_doctor *doctor, const char *ifname, const json_t *link)
{
	struct dysco_finding down = {DYSCO_LEVEL_WARNING, "link", "it carries nothing",
				     "the interface is down", ""};
	size_t index;
	const json_t *flag;

	json_array_foreach(json_object_get(link, "flags"), index, flag)
	{
		if (strcmp(json_string_value(flag), "UP") == 0) {
			dysco_doctor_ok(doctor, "link", "up");
			return;
		}
	}
	snprintf(down.mend, sizeof(down.mend), "ip link set %s up", ifname);
	dysco_doctor_found(doctor, &down);
}

static void look_at_mtu(struct dysco_doctor *doctor, const char *ifname, const json_t *link)
{
	struct dysco_finding small = {
	    DYSCO_LEVEL_WARNING, "mtu",
	    "a SYN carries its address list; what does not fit is dropped (syn_too_long)", "", ""};
	json_int_t mtu = dysco_json_count(link, "mtu");

	if (mtu < SYN_ROOM_BYTES) {
		snprintf(small.what, sizeof(small.what), "MTU %" JSON_INTEGER_FORMAT, mtu);
		snprintf(small.mend, sizeof(small.mend), "ip link set %s mtu 1500", ifname);
		dysco_doctor_found(doctor, &small);
	} else {
		dysco_doctor_ok(doctor, "mtu", "%" JSON_INTEGER_FORMAT, mtu);
	}
}

/* MSS is agreed between the session's ends; a box on a smaller link in between gets too much. */
static void look_at_other_mtus(struct dysco_doctor *doctor, const char *ifname, const json_t *link)
{
	const char *const argv[] = {"ip", "-j", "link", "show", NULL};
	struct dysco_finding mixed = {
	    DYSCO_LEVEL_NOTE, "mtu_mixed",
	    "segments sized for the larger link need path MTU discovery through the chain", "", ""};
	json_t *links = dysco_doctor_tool(argv);
	json_int_t mtu = dysco_json_count(link, "mtu");
	size_t index;
	const json_t *other;

	json_array_foreach(links, index, other)
	{
		const char *name = dysco_json_text(other, "ifname");
		bool loopback = strcmp(dysco_json_text(other, "link_type"), "loopback") == 0;

		if (!loopback && strcmp(dysco_json_text(other, "operstate"), "UP") == 0 &&
		    dysco_json_count(other, "mtu") < mtu) {
			snprintf(mixed.what, sizeof(mixed.what),
				 "MTU %" JSON_INTEGER_FORMAT
				 ", but %.16s has %" JSON_INTEGER_FORMAT,
				 mtu, name, dysco_json_count(other, "mtu"));
			snprintf(mixed.mend, sizeof(mixed.mend),
				 "ip link set %s mtu %" JSON_INTEGER_FORMAT, ifname,
				 dysco_json_count(other, "mtu"));
			dysco_doctor_found(doctor, &mixed);
			break;
		}
	}
	json_decref(links);
}

static bool has_lro(const char *ifname)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0) {
		return false;
	}
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	request.ifr_data = (char *)&flags;
	result = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return result == 0 && (flags.data & ETH_FLAG_LRO);
}

static void look_at_offloads(struct dysco_doctor *doctor, const char *ifname)
{
	struct dysco_finding lro = {DYSCO_LEVEL_WARNING, "lro",
				    "LRO merges packets in ways that cannot be forwarded; GRO can",
				    "large receive offload is on", ""};

	if (has_lro(ifname)) {
		snprintf(lro.mend, sizeof(lro.mend), "ethtool -K %s lro off", ifname);
		dysco_doctor_found(doctor, &lro);
	} else {
		dysco_doctor_ok(doctor, "lro", "off");
	}
}

static bool has_filter(const char *ifname, const char *direction)
{
	const char *const argv[] = {"tc", "-j", "filter", "show", "dev", ifname, direction, NULL};
	json_t *filters = dysco_doctor_tool(argv);
	size_t index;
	const json_t *filter;
	bool found = false;

	json_array_foreach(filters, index, filter)
	{
		const json_t *options = json_object_get(filter, "options");

		found = found || strcmp(dysco_json_text(options, "handle"), OUR_HANDLE) == 0;
	}
	json_decref(filters);
	return found;
}

static void look_at_programs(struct dysco_doctor *doctor, const char *ifname)
{
	static const char *const directions[] = {"ingress", "egress"};
	struct dysco_finding lack = {DYSCO_LEVEL_ERROR, "programs",
				     "packets of sessions pass here untranslated", "",
				     "systemctl restart dyscod"};

	for (size_t i = 0; i < 2; i++) {
		if (dysco_tcx_count(if_nametoindex(ifname), i == 1) == 0 &&
		    !has_filter(ifname, directions[i])) {
			snprintf(lack.what, sizeof(lack.what), "no dysco program on tc %s",
				 directions[i]);
			dysco_doctor_found(doctor, &lack);
			return;
		}
	}
	dysco_doctor_ok(doctor, "programs", "on tc ingress and egress");
}

/* The larger of `all` and the interface's own counts (Documentation/networking/ip-sysctl). */
static void look_at_rp_filter(struct dysco_doctor *doctor, const char *ifname)
{
	long all = dysco_doctor_sysctl("net.ipv4.conf.all.rp_filter");
	long own = dysco_doctor_sysctl("net.ipv4.conf.%s.rp_filter", ifname);
	struct dysco_finding strict = {
	    DYSCO_LEVEL_WARNING, "rp_filter",
	    "packets come in with the session's addresses, which routing may place elsewhere: "
	    "the kernel drops them silently",
	    "strict reverse-path filter", ""};

	if ((all > own ? all : own) != 1) {
		dysco_doctor_ok(doctor, "rp_filter", "not strict");
		return;
	}
	snprintf(strict.mend, sizeof(strict.mend), "sysctl -w net.ipv4.conf.%s.rp_filter=2",
		 ifname);
	dysco_doctor_found(doctor, &strict);
}

static void look_at_redirects(struct dysco_doctor *doctor, const char *ifname)
{
	bool send = dysco_doctor_sysctl("net.ipv4.conf.all.send_redirects") == 1 ||
		    dysco_doctor_sysctl("net.ipv4.conf.%s.send_redirects", ifname) == 1;
	bool forwards = dysco_doctor_sysctl("net.ipv4.conf.%s.forwarding", ifname) == 1;
	struct dysco_finding redirects = {
	    DYSCO_LEVEL_WARNING, "redirects",
	    "a box that sends out where it received tells the hosts, by ICMP, to go around it",
	    "send_redirects is on, and the host forwards", ""};

	if (!send || !forwards) {
		dysco_doctor_ok(doctor, "redirects", "none sent");
		return;
	}
	snprintf(redirects.mend, sizeof(redirects.mend),
		 "sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.%s.send_redirects=0",
		 ifname);
	dysco_doctor_found(doctor, &redirects);
}

static void look_at_accepted_redirects(struct dysco_doctor *doctor, const char *ifname)
{
	bool all = dysco_doctor_sysctl("net.ipv4.conf.all.accept_redirects") == 1;
	bool own = dysco_doctor_sysctl("net.ipv4.conf.%s.accept_redirects", ifname) == 1;
	bool forwards = dysco_doctor_sysctl("net.ipv4.conf.%s.forwarding", ifname) == 1;
	struct dysco_finding accepts = {
	    DYSCO_LEVEL_NOTE, "accept_redirects",
	    "an ICMP redirect would send the packets of a session another way",
	    "ICMP redirects are accepted", ""};

	if (!(forwards ? (all && own) : (all || own))) {
		return;
	}
	snprintf(accepts.mend, sizeof(accepts.mend),
		 "sysctl -w net.ipv4.conf.all.accept_redirects=0 "
		 "net.ipv4.conf.%s.accept_redirects=0",
		 ifname);
	dysco_doctor_found(doctor, &accepts);
}

static bool has_address(const json_t *link)
{
	size_t index;
	const json_t *address;

	json_array_foreach(json_object_get(link, "addr_info"), index, address)
	{
		if (strcmp(dysco_json_text(address, "scope"), "link") != 0) {
			return true;
		}
	}
	return false;
}

/* Its port: a rewritten packet goes where the routes of this host say, if they say anything. */
static void look_at_bridge(struct dysco_doctor *doctor, const char *master)
{
	struct dysco_finding bare = {
	    DYSCO_LEVEL_WARNING, "bridge",
	    "without a route to the next hop, rewritten packets go to the link address that the "
	    "host's own packet had: right if that is a router, wrong if it is a neighbour",
	    "", ""};
	json_t *bridge = interface_link(master);

	if (has_address(json_array_get(bridge, 0))) {
		dysco_doctor_ok(doctor, "bridge", "%s has an address", master);
	} else {
		snprintf(bare.what, sizeof(bare.what), "bridge %.16s has no address", master);
		snprintf(bare.mend, sizeof(bare.mend), "ip addr add ADDRESS/BITS dev %.16s",
			 master);
		dysco_doctor_found(doctor, &bare);
	}
	json_decref(bridge);
}

/* A port that is on no bridge: this host routes what comes out of it. */
static void look_at_routing(struct dysco_doctor *doctor, const char *ifname)
{
	struct dysco_finding off = {
	    DYSCO_LEVEL_WARNING, "forwarding",
	    "this host routes what comes out of a port that is on no bridge",
	    "IPv4 forwarding is off", ""};

	if (dysco_doctor_sysctl("net.ipv4.conf.%s.forwarding", ifname) == 1) {
		dysco_doctor_ok(doctor, "forwarding", "on");
		return;
	}
	snprintf(off.mend, sizeof(off.mend), "sysctl -w net.ipv4.ip_forward=1");
	dysco_doctor_found(doctor, &off);
}

static void look_beyond_port(struct dysco_doctor *doctor, const char *ifname, const json_t *link)
{
	const char *master = dysco_json_text(link, "master");

	if (master[0] != '\0') {
		look_at_bridge(doctor, master);
	} else {
		look_at_routing(doctor, ifname);
	}
}

void dysco_doctor_interface(struct dysco_doctor *doctor, const char *ifname,
			    const json_t *attachment)
{
	struct dysco_finding gone = {DYSCO_LEVEL_ERROR, "interface",
				     "an attachment without its interface carries nothing",
				     "there is no such interface", ""};
	json_t *links = interface_link(ifname);
	const json_t *link = json_array_get(links, 0);
	bool port = strcmp(dysco_json_text(attachment, "mode"), "port") == 0;

	if (!link) {
		snprintf(gone.mend, sizeof(gone.mend), "ip link show");
		dysco_doctor_found(doctor, &gone);
		json_decref(links);
		return;
	}
	look_at_state(doctor, ifname, link);
	if (json_object_get(attachment, "mode")) {
		look_at_programs(doctor, ifname);
	}
	look_at_mtu(doctor, ifname, link);
	look_at_other_mtus(doctor, ifname, link);
	look_at_offloads(doctor, ifname);
	look_at_rp_filter(doctor, ifname);
	look_at_redirects(doctor, ifname);
	look_at_accepted_redirects(doctor, ifname);
	if (port) {
		look_beyond_port(doctor, ifname, link);
	}
	json_decref(links);
}

static bool ports_reserved(int first, int last)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	char *text = NULL, *next, *range;
	size_t room = 0;
	bool covered = false;

	if (file && getline(&text, &room, file) > 0) {
		for (next = text; (range = strsep(&next, ",\n"));) {
			char *rest;
			long from = strtol(range, &rest, 10);
			long to = *rest == '-' ? strtol(rest + 1, NULL, 10) : from;

			covered = covered || (from > 0 && from <= first && to >= last);
		}
	}
	free(text);
	if (file) {
		fclose(file);
	}
	return covered;
}

static void look_at_ports(struct dysco_doctor *doctor)
{
	struct dysco_finding overlap = {
	    DYSCO_LEVEL_WARNING, "ports",
	    "local sockets take ports of subsessions; either may find its port in use", "", ""};
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	const char *ports = dysco_json_text(doctor->status, "ports");
	char text[64] = "", *rest, *local_rest;
	int first = (int)strtol(ports, &rest, 10);
	int last = *rest == '-' ? (int)strtol(rest + 1, NULL, 10) : first;
	int local_first, local_last;

	if (file && !fgets(text, sizeof(text), file)) {
		text[0] = '\0';
	}
	if (file) {
		fclose(file);
	}
	local_first = (int)strtol(text, &local_rest, 10);
	local_last = (int)strtol(local_rest, NULL, 10);
	if (first == 0 || local_last == 0) {
		return;
	}
	if (local_last < first || local_first > last || ports_reserved(first, last)) {
		dysco_doctor_ok(doctor, "ports", "%s are kept from local sockets", ports);
		return;
	}
	snprintf(overlap.what, sizeof(overlap.what),
		 "subsession ports %s overlap the local range %d-%d", ports, local_first,
		 local_last);
	snprintf(overlap.mend, sizeof(overlap.mend),
		 "sysctl -w net.ipv4.ip_local_reserved_ports=%s", ports);
	dysco_doctor_found(doctor, &overlap);
}

static void look_at_forwarding(struct dysco_doctor *doctor, const json_t *attachment)
{
	const char *box = dysco_doctor_box(doctor, dysco_json_text(attachment, "host"));
	bool port = strcmp(dysco_json_text(attachment, "mode"), "port") == 0;
	bool six = strchr(box, ':') != NULL;
	const char *name = six ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward";
	struct dysco_finding off = {
	    DYSCO_LEVEL_NOTE, "forwarding",
	    "a box that lets the kernel forward passes nothing on (a box that reads and "
	    "writes packets itself, or bridges, needs no forwarding)",
	    "", ""};

	if (port || box[0] == '\0') {
		return;
	}
	if (dysco_doctor_sysctl("%s", name) == 1) {
		dysco_doctor_ok(doctor, "forwarding", "%s=1", name);
		return;
	}
	snprintf(off.what, sizeof(off.what), "this host is box %.46s, and forwarding is off", box);
	snprintf(off.mend, sizeof(off.mend), "sysctl -w %s=1", name);
	dysco_doctor_found(doctor, &off);
}

/* Between a port and the network, netfilter has the subsessions. */
static void look_at_conntrack(struct dysco_doctor *doctor, const json_t *attachment)
{
	bool port = strcmp(dysco_json_text(attachment, "mode"), "port") == 0;
	long count = dysco_doctor_sysctl("net.netfilter.nf_conntrack_count");
	struct dysco_finding sees = {
	    DYSCO_LEVEL_NOTE, "conntrack",
	    "netfilter here sees subsessions, whose ports are 61000-65535 unless configured, not "
	    "the sessions: rules for the sessions' ports do not match them",
	    "connections are tracked in the namespace of a port attachment",
	    "nft insert rule inet filter forward tcp dport 61000-65535 accept"};

	if (port && count > 0) {
		dysco_doctor_found(doctor, &sees);
	}
}

void dysco_doctor_namespace(struct dysco_doctor *doctor, const json_t *attachment)
{
	look_at_ports(doctor);
	look_at_forwarding(doctor, attachment);
	look_at_conntrack(doctor, attachment);
}
