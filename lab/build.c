// SPDX-License-Identifier: BSD-2-Clause
/* Makes the namespaces and links of a checked lab, with addresses and routes. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/batch.h"

#define LINK_TIMEOUT_MS 5000
#define FIRST_INDEX	10 /* above what a new namespace has of itself */

static bool has_wires(const struct lab *lab)
{
	for (int i = 0; i < lab->n_links; i++) {
		if (lab->links[i].wired) {
			return true;
		}
	}
	return false;
}

static int make_dirs(struct lab *lab)
{
	static const char *const DIRS[] = {"log", "agents", "wires"};

	for (size_t i = 0; i < sizeof(DIRS) / sizeof(DIRS[0]); i++) {
		if (lab_mkdirs(lab, lab_format(lab, "%s/%s", lab_dir(lab), DIRS[i]))) {
			return -1;
		}
	}
	return 0;
}

static int make_namespaces(struct lab *lab)
{
	const char *names =
	    has_wires(lab) ? lab_format(lab, "%s\n", lab_netns(lab, LAB_WIRES)) : "";
	struct lab_batch *batch;

	for (int i = 0; i < lab->n_nodes; i++) {
		names = lab_format(lab, "%s%s\n", names, lab_netns(lab, lab->nodes[i].name));
	}
	/* Written first: `down` removes what is listed, and nothing else. */
	if (lab_write(lab, lab_format(lab, "%s/netns", lab_dir(lab)), names, 0644)) {
		return -1;
	}
	batch = lab_batch_begin(lab);
	if (!batch) {
		return -1;
	}
	if (has_wires(lab)) {
		lab_batch_add(batch, NULL, "netns add %s", lab_netns(lab, LAB_WIRES));
	}
	for (int i = 0; i < lab->n_nodes; i++) {
		lab_batch_add(batch, lab->nodes[i].where, "netns add %s",
			      lab_netns(lab, lab->nodes[i].name));
	}
	return lab_batch_run(batch, NULL);
}

/* Writes a sysctl of the namespace we are in. */
static int write_sysctl(struct lab *lab, const char *where, const char *key, const char *value)
{
	char *path = (char *)lab_format(lab, "/proc/sys/%s", key);
	ssize_t written;
	int fd;

	/* In the dotted form a / stands for a dot of an interface's name. */
	for (char *c = path + strlen("/proc/sys/"); *c; c++) {
		*c = *c == '.' ? '/' : *c;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		return lab_fail(lab, where, "sysctl %s: %s", key, strerror(errno));
	}
	written = write(fd, value, strlen(value));
	if (written < 0) {
		lab_fail(lab, where, "sysctl %s = %s: %s", key, value, strerror(errno));
	}
	close(fd);
	return written < 0 ? -1 : 0;
}

struct setting {
	const char *key, *value;
};

/* For a node that forwards; first, because ip_forward resets others. */
static const struct setting FORWARDING[] = {
    {"net.ipv4.ip_forward", "1"},
    {"net.ipv6.conf.all.forwarding", "1"},
};
/* `default` is what interfaces made later begin with; of rp_filter the higher of all and own
 * counts. */
static const struct setting DEFAULTS[] = {
    {"net.ipv4.conf.all.rp_filter", "0"},
    {"net.ipv4.conf.default.rp_filter", "0"},
    {"net.ipv4.conf.all.accept_redirects", "0"},
    {"net.ipv4.conf.default.accept_redirects", "0"},
    {"net.ipv4.conf.all.send_redirects", "0"},
    {"net.ipv4.conf.default.send_redirects", "0"},
    {"net.ipv6.conf.all.accept_redirects", "0"},
    {"net.ipv6.conf.default.accept_redirects", "0"},
    {"net.ipv6.conf.all.accept_ra", "0"},
    {"net.ipv6.conf.default.accept_ra", "0"},
    /* No duplicate address detection: addresses are usable at once. */
    {"net.ipv6.conf.all.accept_dad", "0"},
    {"net.ipv6.conf.default.accept_dad", "0"},
    {"net.ipv6.conf.default.dad_transmits", "0"},
};
/* The delay boxes' interfaces have nothing to say of their own. */
static const struct setting SILENT[] = {
    {"net.ipv6.conf.all.disable_ipv6", "1"},
    {"net.ipv6.conf.default.disable_ipv6", "1"},
};
/* Only there when br_netfilter is; a bridge here is a wire, not a firewall. */
static const struct setting BRIDGE[] = {
    {"net.bridge.bridge-nf-call-iptables", "0"},
    {"net.bridge.bridge-nf-call-ip6tables", "0"},
    {"net.bridge.bridge-nf-call-arptables", "0"},
};

static int write_settings(struct lab *lab, const char *where, const struct setting *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (write_sysctl(lab, where, s[i].key, s[i].value)) {
			return -1;
		}
	}
	return 0;
}

static const char *congestion(const struct lab *lab)
{
	return lab->congestion ? lab->congestion : "cubic";
}

static int set_sysctls_here(struct lab *lab, const struct lab_node *node)
{
	if (node->kind != LAB_NODE && write_settings(lab, node->where, FORWARDING, 2)) {
		return -1;
	}
	if (node->kind == LAB_SWITCH && access("/proc/sys/net/bridge", F_OK) == 0 &&
	    write_settings(lab, node->where, BRIDGE, 3)) {
		return -1;
	}
	if (write_settings(lab, node->where, DEFAULTS, sizeof(DEFAULTS) / sizeof(DEFAULTS[0])) ||
	    write_sysctl(lab, node->where, "net.ipv4.tcp_congestion_control", congestion(lab))) {
		return -1;
	}
	for (int i = 0; i < lab->n_sysctls; i++) {
		const struct lab_sysctl *s = &lab->sysctls[i];

		if ((!s->node || s->node == node) &&
		    write_sysctl(lab, s->where, s->key, s->value)) {
			return -1;
		}
	}
	return 0;
}

/*
 * In a namespace only an allowed congestion control can be the default, and
 * the machine has one list for all of them: it grows by the one that is asked for.
 */
static void allow_congestion(struct lab *lab)
{
	static const char KEY[] = "net.ipv4.tcp_allowed_congestion_control";
	const char *list = lab_slurp(lab, "/proc/sys/net/ipv4/tcp_allowed_congestion_control");
	char *rest = NULL, *words = (char *)lab_copy(lab, list ? list : "");
	const char *wanted = congestion(lab);

	for (char *word = strtok_r(words, " \n", &rest); word;
	     word = strtok_r(NULL, " \n", &rest)) {
		if (strcmp(word, wanted) == 0) {
			return;
		}
	}
	/* Where this cannot be done, setting the default says why. */
	if (list &&
	    write_sysctl(lab, NULL, KEY,
			 lab_format(lab, "%.*s %s", (int)strcspn(list, "\n"), list, wanted))) {
		lab->error[0] = '\0';
	}
}

static int silence_wires(struct lab *lab)
{
	int before = lab_enter(lab, lab_netns(lab, LAB_WIRES));
	int result;

	if (before < 0) {
		return -1;
	}
	result = write_settings(lab, NULL, SILENT, 2);
	lab_leave(before);
	return result;
}

static int set_sysctls(struct lab *lab)
{
	allow_congestion(lab);
	if (has_wires(lab) && silence_wires(lab)) {
		return -1;
	}
	for (int i = 0; i < lab->n_nodes; i++) {
		int before = lab_enter(lab, lab_netns(lab, lab->nodes[i].name));
		int result;

		if (before < 0) {
			return -1;
		}
		result = set_sysctls_here(lab, &lab->nodes[i]);
		lab_leave(before);
		if (result) {
			return -1;
		}
	}
	return 0;
}

/*
 * Each end gets an interface number of its own: with peers of one number the
 * kernel takes up to a second to notice that they are up (linkwatch_urgent_event()).
 */
static void add_veth(struct lab_batch *batch, const struct lab_link *link, const char *node_a,
		     const char *if_a, const char *node_b, const char *if_b)
{
	struct lab *lab = batch->lab;
	int index = FIRST_INDEX + 2 * batch->count;
	const char *mtu = link->mtu ? link->mtu : lab->mtu ? lab->mtu : "1500";

	lab_batch_add(batch, link->where,
		      "link add name %s index %d mtu %s netns %s type veth "
		      "peer name %s index %d mtu %s netns %s",
		      if_a, index, mtu, lab_netns(lab, node_a), if_b, index + 1, mtu,
		      lab_netns(lab, node_b));
}

static int make_links(struct lab *lab)
{
	struct lab_batch *batch = lab_batch_begin(lab);

	for (int i = 0; batch && i < lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i];
		const struct lab_end *a = &link->end[0], *b = &link->end[1];

		if (link->wired) {
			add_veth(batch, link, a->node->name, a->ifname, LAB_WIRES,
				 lab_format(lab, "w%da", i));
			add_veth(batch, link, LAB_WIRES, lab_format(lab, "w%db", i), b->node->name,
				 b->ifname);
		} else {
			add_veth(batch, link, a->node->name, a->ifname, b->node->name, b->ifname);
		}
	}
	return batch ? lab_batch_run(batch, NULL) : -1;
}

static void bring_up(struct lab_batch *batch, const struct lab_node *node)
{
	const struct lab *lab = batch->lab;

	lab_batch_add(batch, node->where, "link set dev lo up");
	if (node->kind == LAB_SWITCH) {
		lab_batch_add(batch, node->where,
			      "link add name " LAB_BRIDGE " type bridge stp_state 0 "
			      "mcast_snooping 0");
	}
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i / 2];
		const struct lab_end *end = &link->end[i % 2];

		if (end->node == node) {
			lab_batch_add(batch, link->where, "link set dev %s %s up", end->ifname,
				      node->kind == LAB_SWITCH ? "master " LAB_BRIDGE : "");
		}
	}
	if (node->kind == LAB_SWITCH) {
		lab_batch_add(batch, node->where, "link set dev " LAB_BRIDGE " up");
	}
}

static void give_addresses(struct lab_batch *batch, const struct lab_node *node)
{
	const struct lab *lab = batch->lab;

	for (int i = 0; i < node->addresses.count; i++) {
		lab_batch_add(batch, node->where, "address add %s dev " LAB_BRIDGE,
			      node->addresses.word[i]);
	}
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i / 2];
		const struct lab_end *end = &link->end[i % 2];

		for (int k = 0; end->node == node && k < end->addresses.count; k++) {
			lab_batch_add(batch, link->where, "address add %s dev %s",
				      end->addresses.word[k], end->ifname);
		}
	}
}

static void give_routes(struct lab_batch *batch, const struct lab_node *node)
{
	const struct lab *lab = batch->lab;

	for (int i = 0; i < node->gateways.count; i++) {
		lab_batch_add(batch, node->where, "route add default via %s",
			      node->gateways.word[i]);
	}
	for (int i = 0; i < lab->n_routes; i++) {
		const struct lab_words *w = &lab->routes[i].words;
		const char *text = "route add";

		for (int k = 0; lab->routes[i].node == node && k < w->count; k++) {
			text = lab_format(batch->lab, "%s %s", text, w->word[k]);
		}
		if (lab->routes[i].node == node) {
			lab_batch_add(batch, lab->routes[i].where, "%s", text);
		}
	}
}

static int bring_up_wires(struct lab *lab)
{
	struct lab_batch *batch = lab_batch_begin(lab);

	for (int i = 0; batch && i < lab->n_links; i++) {
		if (lab->links[i].wired) {
			lab_batch_add(batch, lab->links[i].where, "link set dev w%da up", i);
			lab_batch_add(batch, lab->links[i].where, "link set dev w%db up", i);
		}
	}
	return batch ? lab_batch_run(batch, lab_netns(lab, LAB_WIRES)) : -1;
}

static int for_nodes(struct lab *lab,
		     void (*fill)(struct lab_batch *batch, const struct lab_node *node))
{
	for (int i = 0; i < lab->n_nodes; i++) {
		struct lab_batch *batch = lab_batch_begin(lab);

		if (!batch) {
			return -1;
		}
		fill(batch, &lab->nodes[i]);
		if (lab_batch_run(batch, lab_netns(lab, lab->nodes[i].name))) {
			return -1;
		}
	}
	return 0;
}

static int set_offload(struct lab *lab, const char *where, const struct lab_end *end, bool on)
{
	const char *v = on ? "on" : "off";
	const char *argv[] = {"ethtool", "-K", end->ifname, "tx", v,	 "sg", v,
			      "tso",	 v,    "gso",	    v,	  "gro", v,    NULL};

	return lab_tool(lab, where, end->node->name, argv);
}

/* The last statement that speaks of an interface counts. */
static const struct lab_tuning *tuning_of(const struct lab_tuning *tunings, int n,
					  const struct lab_end *end)
{
	const struct lab_tuning *found = NULL;

	for (int i = 0; i < n; i++) {
		const struct lab_tuning *t = &tunings[i];

		if ((!t->node || t->node == end->node) &&
		    (!t->ifname || strcmp(t->ifname, end->ifname) == 0)) {
			found = t;
		}
	}
	return found;
}

/* Without a statement, the ends of a delay box are off: what it loses is to be one packet, as sent
 * on a wire. */
static int set_offloads(struct lab *lab)
{
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i / 2];
		const struct lab_end *end = &link->end[i % 2];
		const struct lab_tuning *t = tuning_of(lab->offloads, lab->n_offloads, end);

		if ((t || link->wired) && set_offload(lab, t ? t->where : link->where, end,
						      t && strcmp(t->value, "on") == 0)) {
			return -1;
		}
	}
	return 0;
}

/* /sys shows the interfaces of the namespace it was mounted in: `ip netns exec` mounts it anew. */
static int set_steerings(struct lab *lab)
{
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_end *end = &lab->links[i / 2].end[i % 2];
		const struct lab_tuning *t = tuning_of(lab->steerings, lab->n_steerings, end);
		const char *script =
		    "for queue in /sys/class/net/$1/queues/rx-*; do echo $2 >$queue/rps_cpus || "
		    "exit 1; done";

		if (t) {
			const char *argv[] = {
			    "ip",	 "netns",  "exec", lab_netns(lab, end->node->name),
			    "sh",	 "-c",	   script, "rps",
			    end->ifname, t->value, NULL};

			if (lab_tool(lab, t->where, NULL, argv)) {
				return -1;
			}
		}
	}
	return 0;
}

static int set_rates(struct lab *lab)
{
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i / 2];
		const struct lab_end *end = &link->end[i % 2];
		/* A bucket that holds a GSO packet, and 50 ms of queue. */
		const char *argv[] = {"tc",   "qdisc",	 "add",	 "dev",	     end->ifname,
				      "root", "tbf",	 "rate", link->rate, "burst",
				      "128k", "latency", "50ms", NULL};

		if (link->rate && lab_tool(lab, link->where, end->node->name, argv)) {
			return -1;
		}
	}
	return 0;
}

struct running {
	int socket;
	const char *ifname;
};

static bool is_running(void *context)
{
	const struct running *r = context;
	struct ifreq req = {0};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", r->ifname);
	return ioctl(r->socket, SIOCGIFFLAGS, &req) == 0 && (req.ifr_flags & IFF_RUNNING);
}

/* IPv6 addresses are usable, and routes can be given, once the interface runs. */
static int wait_running(struct lab *lab)
{
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i / 2];
		const struct lab_end *end = &link->end[i % 2];
		int before = lab_enter(lab, lab_netns(lab, end->node->name));
		struct running r = {-1, end->ifname};
		bool ok;

		if (before < 0) {
			return -1;
		}
		r.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		ok = lab_until(is_running, &r, LINK_TIMEOUT_MS);
		close(r.socket);
		lab_leave(before);
		if (!ok) {
			return lab_fail(lab, link->where, "%s of %s does not come up", end->ifname,
					end->node->name);
		}
	}
	return 0;
}

int lab_build(struct lab *lab)
{
	if (make_dirs(lab) || make_namespaces(lab) || set_sysctls(lab) || make_links(lab)) {
		return -1;
	}
	if ((has_wires(lab) && bring_up_wires(lab)) || for_nodes(lab, bring_up)) {
		return -1;
	}
	if (set_offloads(lab) || set_steerings(lab) || set_rates(lab) || wait_running(lab)) {
		return -1;
	}
	return for_nodes(lab, give_addresses) || for_nodes(lab, give_routes) ? -1 : 0;
}
