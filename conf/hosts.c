/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements about hosts and attachments: host, attach, detach.
 */
#include "conf/statement.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"

int dysco_config_find_host(const struct dysco_config *config, const char *name)
{
	for (int i = 0; i < config->setup.n_hosts; i++) {
		if (strcmp(config->setup.hosts[i].name, name) == 0) {
			return i;
		}
	}
	return -1;
}

int dysco_config_find_attachment(const struct dysco_config *config, const char *netns,
				 const char *ifname)
{
	for (int i = 0; i < config->n_attachments; i++) {
		const struct dysco_attachment *a = &config->attachments[i];

		if (strcmp(a->ifname, ifname) == 0 && strcmp(a->netns, netns) == 0) {
			return i;
		}
	}
	return -1;
}

/* The host of that name, made if need be; NULL when refused. */
static struct dysco_host *host_for(struct dysco_statement *s, const char *name, bool implied)
{
	struct dysco_setup *setup = &s->config->setup;
	int i = dysco_config_find_host(s->config, name);
	struct dysco_host *host;

	if (i >= 0) {
		s->config->implied[i] = s->config->implied[i] && implied;
		return &setup->hosts[i];
	}
	if (setup->n_hosts == DYSCO_HOSTS_MAX) {
		dysco_conf_fail(s->error, "limit", NULL, "more than %d hosts", DYSCO_HOSTS_MAX);
		return NULL;
	}
	host = &setup->hosts[setup->n_hosts];
	memset(host, 0, sizeof(*host));
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->id = dysco_ids_host(s->config->ids, name);
	if (host->id == 0) {
		dysco_conf_fail(s->error, "limit", NULL, "no number is left for host '%s'", name);
		return NULL;
	}
	s->config->implied[setup->n_hosts++] = implied;
	return host;
}

/* Another host that would answer for the same addresses, or NULL. */
static const struct dysco_host *host_clash(const struct dysco_setup *setup,
					   const struct dysco_host *host,
					   const struct dysco_prefix *prefix)
{
	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		const struct dysco_host *other = &setup->hosts[i];

		for (uint8_t j = 0; other != host && j < other->n_prefixes; j++) {
			if (other->prefixes[j].bits == prefix->bits &&
			    dysco_addr_equal(&other->prefixes[j].addr, &prefix->addr)) {
				return other;
			}
		}
	}
	return NULL;
}

static int add_prefix(struct dysco_statement *s, struct dysco_host *host,
		      const struct dysco_prefix *prefix)
{
	const struct dysco_host *other = host_clash(&s->config->setup, host, prefix);
	char text[DYSCO_ENDPOINT_TEXT];

	for (uint8_t i = 0; i < host->n_prefixes; i++) {
		if (host->prefixes[i].bits == prefix->bits &&
		    dysco_addr_equal(&host->prefixes[i].addr, &prefix->addr)) {
			return 0;
		}
	}
	if (other) {
		dysco_format_prefix(text, prefix);
		return dysco_conf_fail(s->error, "exists", NULL,
				       "host %s: address %s is already host %s's", host->name, text,
				       other->name);
	}
	if (host->n_prefixes == DYSCO_HOST_PREFIXES) {
		return dysco_conf_fail(s->error, "limit", NULL, "host %s: more than %d addresses",
				       host->name, DYSCO_HOST_PREFIXES);
	}
	host->prefixes[host->n_prefixes++] = *prefix;
	return 0;
}

/* One ADDR[/BITS] of a host. */
static int apply_prefix(struct dysco_statement *s, struct dysco_host *host, const char *word)
{
	char fixed[DYSCO_ENDPOINT_TEXT], hint[160];
	struct dysco_prefix prefix;
	bool host_bits;

	if (!dysco_parse_prefix(word, &prefix, &host_bits)) {
		return dysco_conf_fail(s->error, "bad_address",
				       "an IPv4 or IPv6 address, or a prefix like 10.0.0.0/24",
				       "host %s: '%.60s' is not an address", host->name, word);
	}
	if (host_bits) {
		dysco_format_prefix(fixed, &prefix);
		snprintf(hint, sizeof(hint),
			 "%s for all of it, or leave out '%.8s' for one address", fixed,
			 strchr(word, '/'));
		return dysco_conf_fail(s->error, "bad_address", hint,
				       "host %s: %.60s has bits set behind the prefix", host->name,
				       word);
	}
	if (prefix.bits == 128 && !dysco_addr_is_unicast(&prefix.addr)) {
		return dysco_conf_fail(s->error, "bad_address", NULL,
				       "host %s: %.60s is not a unicast address", host->name, word);
	}
	return add_prefix(s, host, &prefix);
}

int dysco_apply_host(struct dysco_statement *s)
{
	struct dysco_host *host;
	const char *name, *word;

	if (dysco_statement_name(s, "the host's name", &name) != 0) {
		return -1;
	}
	if (!dysco_statement_take(s, "address")) {
		return dysco_conf_fail(s->error, "syntax", "host NAME address ADDR[/BITS]...",
				       "host %s: its address is missing", name);
	}
	host = host_for(s, name, false);
	word = host ? dysco_statement_need(s, "the address") : NULL;
	if (!word) {
		return -1;
	}
	for (; word; word = dysco_statement_next(s)) {
		if (apply_prefix(s, host, word) != 0) {
			return -1;
		}
	}
	return 0;
}

static bool interface_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < sizeof(((struct dysco_attachment *)NULL)->ifname) &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strpbrk(name, "/: \t\n");
}

/* A word of interface or namespace into a field of the attachment. */
static int take_interface(struct dysco_statement *s, const char *what, char out[16])
{
	const char *word = dysco_statement_need(s, what);

	if (!word) {
		return -1;
	}
	if (!interface_ok(word)) {
		return dysco_conf_fail(s->error, "bad_value", NULL,
				       "%s: '%.60s' cannot be the name of an interface",
				       s->words->word[0], word);
	}
	snprintf(out, 16, "%s", word);
	return 0;
}

static int take_netns(struct dysco_statement *s, char out[64])
{
	const char *word = dysco_statement_need(s, "the network namespace");
	bool path;

	if (!word) {
		return -1;
	}
	path = word[0] == '/';
	if (strlen(word) == 0 || strlen(word) >= 64 || (!path && strchr(word, '/')) ||
	    strcmp(word, ".") == 0 || strcmp(word, "..") == 0) {
		return dysco_conf_fail(
		    s->error, "bad_value", "a name as in `ip netns list`, or an absolute path",
		    "%s: '%.80s' cannot be a network namespace", s->words->word[0], word);
	}
	snprintf(out, 64, "%s", word);
	return 0;
}

static bool is_attach_keyword(const char *word)
{
	return strcmp(word, "netns") == 0 || strcmp(word, "host") == 0 ||
	       strcmp(word, "address") == 0 || strcmp(word, "mirror") == 0;
}

/* address ADDR... up to the next keyword or the end. */
static int take_addresses(struct dysco_statement *s, struct dysco_host *host)
{
	const char *word = dysco_statement_need(s, "the address");

	while (word) {
		if (apply_prefix(s, host, word) != 0) {
			return -1;
		}
		if (s->at == s->words->count || is_attach_keyword(s->words->word[s->at])) {
			return 0;
		}
		word = dysco_statement_next(s);
	}
	return -1;
}

/* The clauses behind `attach MODE IFACE`, in any order but `address` behind `host`. */
static int take_clauses(struct dysco_statement *s, struct dysco_attachment *a,
			struct dysco_host **host)
{
	const char *name;

	while (s->at < s->words->count) {
		int result = 0;

		if (dysco_statement_take(s, "netns")) {
			result = take_netns(s, a->netns);
		} else if (dysco_statement_take(s, "mirror")) {
			result = take_interface(s, "the mirror interface", a->mirror);
		} else if (dysco_statement_take(s, "host")) {
			result = dysco_statement_name(s, "the host's name", &name);
			*host = result == 0 ? host_for(s, name, true) : NULL;
			result = *host ? 0 : -1;
		} else if (*host && dysco_statement_take(s, "address")) {
			result = take_addresses(s, *host);
		} else {
			result = dysco_statement_end(s);
		}
		if (result != 0) {
			return -1;
		}
	}
	return 0;
}

static int check_attachment(struct dysco_statement *s, const struct dysco_attachment *a,
			    const struct dysco_host *host)
{
	char hint[160];

	if (strcmp(a->ifname, "lo") == 0) {
		return dysco_conf_fail(
		    s->error, "bad_value", "attach the interface that leads to the network",
		    "attach lo: sessions over the loopback interface stay in the "
		    "machine, and pass no box");
	}
	if (host->n_prefixes == 0) {
		snprintf(hint, sizeof(hint), "attach ... host %s address ADDR", host->name);
		return dysco_conf_fail(s->error, "unknown_host", hint,
				       "attach %s: host '%s' is not known, and has no address here",
				       a->ifname, host->name);
	}
	if (a->mirror[0] && a->mode != DYSCO_ATTACH_NIC) {
		return dysco_conf_fail(s->error, "bad_value",
				       "a port shows the session's own header anyway",
				       "attach %s: only a nic attachment has a mirror", a->ifname);
	}
	if (dysco_config_find_attachment(s->config, a->netns, a->ifname) >= 0) {
		snprintf(hint, sizeof(hint), "dysco detach %s%s%s", a->ifname,
			 a->netns[0] ? " netns " : "", a->netns);
		return dysco_conf_fail(s->error, "exists", hint, "attach %s: attached already",
				       a->ifname);
	}
	return 0;
}

int dysco_apply_attach(struct dysco_statement *s)
{
	struct dysco_config *config = s->config;
	const char *mode = dysco_statement_need(s, "nic or port");
	struct dysco_attachment a = {0};
	struct dysco_host *host = NULL;

	if (!mode) {
		return -1;
	}
	if (strcmp(mode, "nic") != 0 && strcmp(mode, "port") != 0) {
		return dysco_conf_fail(s->error, "syntax", "attach nic|port IFACE host NAME",
				       "attach: '%.60s' is neither nic nor port", mode);
	}
	a.mode = strcmp(mode, "port") == 0 ? DYSCO_ATTACH_PORT : DYSCO_ATTACH_NIC;
	if (take_interface(s, "the interface", a.ifname) != 0 || take_clauses(s, &a, &host) != 0) {
		return -1;
	}
	if (!host) {
		return dysco_conf_fail(s->error, "syntax",
				       "attach nic|port IFACE host NAME address ADDR",
				       "attach %s: the host is missing", a.ifname);
	}
	if (check_attachment(s, &a, host) != 0) {
		return -1;
	}
	a.host = host->id;
	a.id = dysco_ids_attachment(config->ids, a.netns, a.ifname, a.mode == DYSCO_ATTACH_PORT);
	if (a.id == 0 || config->n_attachments == DYSCO_ATTACHMENTS_MAX) {
		return dysco_conf_fail(s->error, "limit", NULL, "more than %d attachments",
				       DYSCO_ATTACHMENTS_MAX - 1);
	}
	config->attachments[config->n_attachments++] = a;
	return 0;
}

static bool host_in_use(const struct dysco_config *config, uint16_t id)
{
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		if (config->attachments[i].host == id) {
			return true;
		}
	}
	for (uint16_t i = 0; i < config->setup.n_policies; i++) {
		const struct dysco_policy *p = &config->setup.policies[i];

		if (p->n_at > 0 && dysco_config_policy_at(p, id)) {
			return true;
		}
	}
	return false;
}

/* A host that only attach statements spoke of goes with its last attachment. */
static void sweep_hosts(struct dysco_config *config)
{
	struct dysco_setup *setup = &config->setup;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < setup->n_hosts; i++) {
		if (!config->implied[i] || host_in_use(config, setup->hosts[i].id)) {
			setup->hosts[kept] = setup->hosts[i];
			config->implied[kept++] = config->implied[i];
		}
	}
	setup->n_hosts = kept;
}

int dysco_apply_detach(struct dysco_statement *s)
{
	struct dysco_config *config = s->config;
	char ifname[16], netns[64] = "";
	int i;

	if (take_interface(s, "the interface", ifname) != 0 ||
	    (dysco_statement_take(s, "netns") && take_netns(s, netns) != 0) ||
	    dysco_statement_end(s) != 0) {
		return -1;
	}
	i = dysco_config_find_attachment(config, netns, ifname);
	if (i < 0) {
		return dysco_conf_fail(s->error, "unknown_attachment", "dysco status lists them",
				       "detach: '%s'%s%s is not attached", ifname,
				       netns[0] ? " in namespace " : "", netns);
	}
	memmove(&config->attachments[i], &config->attachments[i + 1],
		(size_t)(config->n_attachments - i - 1) * sizeof(config->attachments[0]));
	config->n_attachments--;
	sweep_hosts(config);
	return 0;
}
