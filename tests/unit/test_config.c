/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration files (conf/config.h): what a text becomes, and every way it
 * can be refused, with the words the user gets to see.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/config.h"
#include "conf/parse.h"
#include "rewrite/edit.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct dysco_ids *ids;
static struct dysco_conf_error error;

static int set_up(void **state)
{
	(void)state;
	ids = calloc(1, sizeof(*ids));
	return ids ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(ids);
	return 0;
}

/* The configuration of a text, or NULL with error. */
static struct dysco_config *config_of(const char *text)
{
	struct dysco_config *config = dysco_config_new(ids);

	assert_non_null(config);
	if (dysco_config_read(config, "t.conf", text, strlen(text), &error) != 0) {
		dysco_config_free(config);
		return NULL;
	}
	return config;
}

static struct dysco_config *good(const char *text)
{
	struct dysco_config *config = config_of(text);

	if (!config) {
		fail_msg("refused: %s", error.message);
	}
	return config;
}

static const char base[] = "agent a1\n"
			   "host web address 10.0.0.1 fd00::1\n"
			   "host lan address 10.1.0.0/16\n"
			   "attach nic eth0 host web\n"
			   "attach port veth1 netns ns1 host lan\n"
			   "box fw 10.0.0.2 fd00::2\n"
			   "box ids1 10.0.0.3\n"
			   "box ids2 10.0.0.4\n"
			   "type ids ids1 ids2 select least-sessions\n";

/* base with a line behind it. */
static struct dysco_config *with(const char *line)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s\n", base, line);
	return config_of(text);
}

static void a_whole_configuration(void **state)
{
	struct dysco_config *c =
	    good("agent edge-1\nports 62000-63000\ntimeout established 100\n"
		 "timeout half-closed 50\ntimeout embryonic 20\ntimeout linger 5\n"
		 "legs 1000\nlog debug\nkey 7 " KEY "\n"
		 "host web address 10.0.0.1 fd00::1\n"
		 "attach nic eth0 host web mirror dysco0\n"
		 "attach port veth1 netns ns1 host lan address 10.1.0.0/16 fd01::/64\n"
		 "box fw 10.0.0.2 fd00::2\nbox ids1 10.0.0.3\nbox ids2 10.0.0.4\n"
		 "type ids ids1 ids2 select consistent-hash\n"
		 "policy low priority 1 via fw filter tcp\n"
		 "policy web priority 50 at web,lan via fw,ids,10.9.9.9 exit 10.0.0.8 "
		 "fail open retries 3 filter tcp dst port 80 and dst host 10.0.0.9\n");
	const struct dysco_setup *s = &c->setup;
	const struct dysco_policy *p = &s->policies[0];

	(void)state;
	assert_string_equal(s->agent, "edge-1");
	assert_int_equal(s->port_first, 62000);
	assert_int_equal(s->port_last, 63000);
	assert_int_equal(s->timeouts.established, 100);
	assert_int_equal(s->timeouts.half_closed, 50);
	assert_int_equal(s->timeouts.embryonic, 20);
	assert_int_equal(s->timeouts.linger, 5);
	assert_int_equal(c->legs, 1000);
	assert_int_equal(c->log_level, DYSCO_LOG_DEBUG);
	assert_int_equal(s->n_keys, 1);
	assert_int_equal(s->keys[0].id, 7);
	assert_int_equal(s->keys[0].bytes[31], 0x1f);
	assert_true(c->key_inside);
	assert_int_equal(s->n_hosts, 2);
	assert_int_equal(s->hosts[0].n_prefixes, 2);
	assert_int_equal(s->hosts[1].prefixes[0].bits, 96 + 16);
	assert_int_equal(s->hosts[1].prefixes[1].bits, 64);
	assert_int_equal(c->n_attachments, 2);
	assert_string_equal(c->attachments[0].mirror, "dysco0");
	assert_int_equal(c->attachments[1].mode, DYSCO_ATTACH_PORT);
	assert_string_equal(c->attachments[1].netns, "ns1");
	assert_int_equal(c->attachments[1].host, s->hosts[1].id);
	assert_int_equal(s->n_types, 1);
	assert_int_equal(s->types[0].select, DYSCO_SELECT_CONSISTENT_HASH);
	assert_int_equal(s->n_policies, 2);
	assert_string_equal(p->name, "web");
	assert_int_equal(p->priority, 50);
	assert_int_equal(p->n_at, 2);
	assert_int_equal(p->n_hops, 4);
	assert_int_equal(p->hops[1].kind, DYSCO_HOP_TYPE);
	assert_false(p->hops[2].exit);
	assert_true(p->hops[3].exit);
	assert_int_equal(p->fail, DYSCO_FAIL_OPEN);
	assert_int_equal(p->retries, 3);
	assert_int_equal(p->tag, dysco_policy_tag("web"));
	assert_string_equal(dysco_config_filter_text(c, 0),
			    "tcp dst port 80 and dst host 10.0.0.9");
	dysco_config_free(c);
}

static void what_listens_and_who_may_ask(void **state)
{
	struct dysco_config *c = good("metrics listen [::1]:9469\nsocket group _dysco\n"
				      "triggers removal\nscheduling normal\n");

	(void)state;
	assert_true(c->metrics.on);
	assert_int_equal(c->metrics.port_be, htons(9469));
	assert_int_equal(c->metrics.addr.w_be[3], htonl(1));
	assert_string_equal(c->metrics.path, "");
	assert_string_equal(c->socket_group, "_dysco");
	assert_true(c->setup.triggers == DYSCO_TRIGGERS_REMOVAL && !c->realtime);
	dysco_config_free(c);
	c = good("metrics listen /run/dysco/metrics\n");
	assert_string_equal(c->metrics.path, "/run/dysco/metrics");
	dysco_config_free(c);
	c = good("");
	assert_false(c->metrics.on);
	assert_true(c->setup.triggers == DYSCO_TRIGGERS_ALL && c->realtime);
	dysco_config_free(c);
}

static void defaults(void **state)
{
	struct dysco_config *c = good("box fw 10.0.0.2\npolicy p via fw filter tcp\n");

	(void)state;
	assert_int_equal(c->setup.port_first, DYSCO_PORT_FIRST);
	assert_int_equal(c->setup.policies[0].priority, DYSCO_PRIORITY_DEFAULT);
	assert_int_equal(c->setup.policies[0].fail, DYSCO_FAIL_CLOSED);
	assert_int_equal(c->setup.policies[0].n_at, 0);
	dysco_config_free(c);
}

static void policies_stand_by_falling_priority(void **state)
{
	struct dysco_config *c = good("policy a priority 5 filter tcp port 1\n"
				      "policy b priority 9 filter tcp port 2\n"
				      "policy c priority 5 filter tcp port 3\n"
				      "policy d priority 7 filter tcp port 4\n");
	static const char *const order[] = {"b", "d", "a", "c"};

	(void)state;
	for (uint16_t i = 0; i < 4; i++) {
		assert_string_equal(c->setup.policies[i].name, order[i]);
	}
	assert_string_equal(dysco_config_filter_text(c, 0), "tcp port 2");
	assert_string_equal(dysco_config_filter_text(c, 3), "tcp port 3");
	dysco_config_free(c);
}

/* ---- refusals ---- */

struct refusal {
	const char *line, *code, *message;
};

static const struct refusal refusals[] = {
    {"flub", "unknown_command", "'flub' is not a statement"},
    {"policy", "syntax", "the policy's name is missing"},
    {"agent", "syntax", "the agent's name is missing"},
    {"agent a b", "syntax", "'b' is not expected here"},
    {"agent 'a b'", "bad_value", "'a b' is not a good name"},
    {"key", "syntax", "the key's id is missing"},
    {"key 0 " KEY, "bad_value", "from 1 to 65535"},
    {"key 1", "syntax", "the key is missing"},
    {"key 1 abc", "bad_value", "64 hexadecimal digits"},
    {"key 1 " KEY "0", "bad_value", "64 hexadecimal digits"},
    {"key 1 file", "syntax", "the path of the key file is missing"},
    {"key 1 file /nonexistent/k", "bad_value", "No such file"},
    {"key 1 file /", "bad_value", "must be a file"},
    {"ports 80", "bad_value", "FIRST-LAST"},
    {"ports 80-90", "bad_value", "1024"},
    {"ports 5000-4000", "bad_value", "FIRST-LAST"},
    {"ports 5000-70000", "bad_value", "FIRST-LAST"},
    {"timeout idle 5", "syntax", "'idle' is not known"},
    {"timeout linger 0", "bad_value", "from 1"},
    {"timeout linger 1h", "bad_value", "1h"},
    {"legs 1", "bad_value", "from 64"},
    {"legs 99999999999999999999", "bad_value", "from 64"},
    {"log loud", "bad_value", "'loud' is not a level"},
    {"scheduling fast", "bad_value", "'fast' is not known"},
    {"triggers", "syntax", "is missing"},
    {"triggers some", "bad_value", "'some' is not known"},
    {"triggers all none", "syntax", "'none' is not expected here"},
    {"socket", "syntax", "`group` is missing"},
    {"socket group", "syntax", "the name of the group is missing"},
    {"socket group a/b", "bad_value", "'a/b' is not the name of a group"},
    {"metrics", "syntax", "`listen` is missing"},
    {"metrics listen", "syntax", "where to listen is missing"},
    {"metrics listen 9469", "bad_address", "'9469' is neither"},
    {"metrics listen 127.0.0.1:9469 now", "syntax", "'now' is not expected here"},
    {"host h", "syntax", "its address is missing"},
    {"host h address", "syntax", "the address is missing"},
    {"host h address www.example.com", "bad_address", "is not an address"},
    {"host h address 10.0.0.1/33", "bad_address", "is not an address"},
    {"host h address 10.0.0.1/24", "bad_address", "bits set behind the prefix"},
    {"host h address 224.0.0.1", "bad_address", "not a unicast address"},
    {"host h address 10.0.0.1", "exists", "already host web's"},
    {"host 10.0.0.7 address 10.0.0.7", "bad_value", "is not a good name"},
    {"attach", "syntax", "nic or port is missing"},
    {"attach wifi eth1 host web", "syntax", "neither nic nor port"},
    {"attach nic", "syntax", "the interface is missing"},
    {"attach nic a/b host web", "bad_value", "cannot be the name of an interface"},
    {"attach nic interfacename-16 host web", "bad_value", "cannot be the name"},
    {"attach nic eth1", "syntax", "the host is missing"},
    {"attach nic eth1 host nobody", "unknown_host", "'nobody' is not known"},
    {"attach nic eth1 netns a/b host web", "bad_value", "cannot be a network namespace"},
    {"attach nic eth0 host web", "exists", "attached already"},
    {"attach nic lo host web", "bad_value", "loopback interface"},
    {"attach port lo netns ns1 host web", "bad_value", "loopback interface"},
    {"attach port eth1 host web mirror m0", "bad_value", "only a nic attachment"},
    {"attach nic eth1 host web address", "syntax", "the address is missing"},
    {"attach nic eth1 host web colour blue", "syntax", "'colour' is not expected"},
    {"detach eth9", "unknown_attachment", "'eth9' is not attached"},
    {"detach veth1", "unknown_attachment", "'veth1' is not attached"},
    {"box fw 10.0.0.9", "exists", "a box has this name"},
    {"box ids 10.0.0.9", "exists", "a type has this name"},
    {"box add 10.0.0.9", "bad_value", "'add' cannot be a name"},
    {"box new", "syntax", "the address is missing"},
    {"box new nowhere", "bad_address", "not a unicast address"},
    {"box new 10.0.0.9 10.0.0.10", "bad_value", "second address of that family"},
    {"box new 10.0.0.2", "exists", "already box fw"},
    {"type new", "syntax", "a box is missing"},
    {"type new select round-robin", "bad_value", "has no box"},
    {"type new fw select best", "bad_value", "not a way to select"},
    {"type new fw nobox", "unknown_box", "box 'nobox' is not known"},
    {"type new fw fw", "exists", "there twice"},
    {"policy p via fw", "syntax", "the filter is missing"},
    {"policy p via fw filter", "syntax", "the filter expression is missing"},
    {"policy p via fw9 filter tcp", "unknown_box", "box 'fw9' is not known"},
    {"policy p via fw,,ids filter tcp", "syntax", "empty or too long"},
    {"policy p via fw,fw filter tcp", "loop", "'fw' occurs twice"},
    {"policy p via ids,ids1 filter tcp", "loop", "occurs twice"},
    {"policy p via 10.0.0.2,fw filter tcp", "loop", "'fw' occurs twice"},
    {"policy p via 224.0.0.1 filter tcp", "bad_address", "not a unicast"},
    {"policy p at web via 10.0.0.1 filter tcp", "self", "itself applies at"},
    {"policy p at mars via fw filter tcp", "unknown_host", "'mars' is not known"},
    {"policy p exit fw via ids filter tcp", "syntax", "only the last hop"},
    {"policy p fail maybe filter tcp", "bad_value", "open or closed"},
    {"policy p retries 0 filter tcp", "bad_value", "from 1 to 6"},
    {"policy p priority high filter tcp", "bad_value", "'high'"},
    {"policy p colour blue filter tcp", "syntax", "'colour' is not expected"},
    {"policy p via fw filter tcp port", "bad_filter", "syntax error"},
    {"policy p via fw filter host www.example.com", "bad_filter", "names are not looked up"},
    {"policy p via fw filter src 1und1.de", "bad_filter", "names are not looked up"},
    {"policy p via fw filter net localnet", "bad_filter", "names are not looked up"},
    {"policy p via fw filter ' '", "bad_filter", "the filter is empty"},
    {"policy p via fw filter udp", "bad_filter", "'udp' matches no TCP packet"},
    {"policy p via fw filter udp dst port 53", "bad_filter", "matches no TCP packet"},
    {"policy p via fw filter not tcp", "bad_filter", "matches no TCP packet"},
    {"policy p via fw filter icmp or ip6 proto 17", "bad_filter", "matches no TCP packet"},
    {"policy p via fw filter tcp and udp", "bad_filter", "rejects all packets"},
    {"policy p via fw filter 'tcp", "syntax", "is not closed"},
    {"policy p filter tcp\npolicy p filter tcp", "exists", "policy p is there already"},
};

static void what_is_wrong_is_said_and_where(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct dysco_config *c = with(r->line);

		if (c) {
			fail_msg("accepted: %s", r->line);
		}
		if (strcmp(error.code, r->code) != 0 || !strstr(error.message, r->message) ||
		    !strstr(error.message, "t.conf:1")) {
			fail_msg("%s: got %s: %s", r->line, error.code, error.message);
		}
	}
}

static void every_prefix_of_a_statement_is_refused_or_whole(void **state)
{
	static const char line[] = "policy p priority 5 at web via fw,ids exit 10.0.0.9 fail open "
				   "retries 2 filter tcp port 80";
	char text[sizeof(line)];

	(void)state;
	for (size_t n = 0; n < sizeof(line) - 1; n++) {
		memcpy(text, line, n);
		text[n] = '\0';
		/* no crash, no leak; a prefix may be a statement of its own */
		dysco_config_free(with(text));
	}
}

static void filters_that_are_not_names(void **state)
{
	static const char *const filters[] = {
	    "tcp",
	    "tcp dst port 80",
	    "tcp dst port http",
	    "host 10.0.0.1 or net 10.2",
	    "net 10.0.0.0/8 and not dst port 22",
	    "ip6 and tcp and src net fd00::/16",
	    "dst host fd00::1",
	    "dst host 2001:db8::10 and portrange 80-90",
	    "tcp[tcpflags] & tcp-syn != 0",
	    "tcp[2:2] = 80",
	    "tcp[13] & 0x02 != 0 && (port 80 || port 443)",
	    "tcp and src net 10.0.0.0 mask 255.0.0.0",
	    "len < 100 and less 1000",
	    "udp or tcp dst port 80",
	    "not udp",
	    "tcp src port 1 or (udp and port 2)",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct dysco_config *c;
		char line[200];

		snprintf(line, sizeof(line), "policy p via fw filter \"%s\"", filters[i]);
		c = with(line);
		if (!c) {
			fail_msg("%s: %s", filters[i], error.message);
		}
		dysco_config_free(c);
	}
}

/* ---- key files ---- */

static void key_files_are_private(void **state)
{
	char path[] = "/tmp/dysco-key-XXXXXX", line[100];
	int fd = mkstemp(path);
	struct dysco_config *c;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, KEY "\n", 65), 65);
	snprintf(line, sizeof(line), "key 3 file %s", path);
	assert_int_equal(fchmod(fd, 0644), 0);
	c = with(line);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_null(c);
	assert_string_equal(error.hint, "chmod 600 the file");
	c = with(line);
	close(fd);
	unlink(path);
	assert_non_null(c);
	assert_int_equal(c->setup.keys[0].id, 3);
	assert_false(c->key_inside);
	dysco_config_free(c);
}

/* ---- statements at run time ---- */

static int apply(struct dysco_config *c, const char *line)
{
	struct dysco_words words;
	char wrong[100];

	assert_int_equal(dysco_words_split(&words, line, strlen(line), wrong, sizeof(wrong)), 0);
	return dysco_config_apply(c, DYSCO_CONF_SOCKET, &words, &error) == 0 &&
		       dysco_config_check(c, &error) == 0
		   ? 0
		   : -1;
}

static void refuse(struct dysco_config *c, const char *line, const char *code)
{
	struct dysco_config *scratch = dysco_config_copy(c);

	assert_non_null(scratch);
	assert_int_equal(apply(scratch, line), -1);
	assert_string_equal(error.code, code);
	dysco_config_free(scratch);
}

/* The same, with words that the message, and the hint, must have. */
static void refuse_with(struct dysco_config *c, const char *line, const char *code,
			const char *message, const char *hint)
{
	refuse(c, line, code);
	if (!strstr(error.message, message) || !strstr(error.hint, hint)) {
		fail_msg("%s: got %s; %s", line, error.message, error.hint);
	}
}

static void things_in_use_stay(void **state)
{
	struct dysco_config *c = with("policy p via fw,ids filter tcp");

	(void)state;
	assert_non_null(c);
	refuse(c, "box remove fw", "in_use");
	refuse(c, "box remove ids1", "in_use");
	refuse(c, "type remove ids", "in_use");
	refuse(c, "box remove nobody", "unknown_box");
	refuse(c, "type remove nobody", "unknown_type");
	refuse(c, "policy remove nobody", "unknown_policy");
	refuse(c, "policy add p filter tcp", "exists");
	dysco_config_free(c);
}

static void unknown_commands_are_told_what_there_is(void **state)
{
	static const char unknown[] = "unknown_command";
	struct dysco_config *c = with("policy p via fw,ids filter tcp");

	(void)state;
	assert_non_null(c);
	refuse_with(c, "policy replace q via fw filter tcp", "unknown_policy",
		    "there is no policy q to replace", "dysco policy add q");
	refuse_with(c, "ports 62000-63000", unknown, "only be set in the configuration file",
		    "reload");
	refuse_with(c, "box fw2 10.0.0.9", unknown, "'box fw2'", "box add, box remove");
	refuse_with(c, "policy change p", unknown, "'policy change'",
		    "policy add, policy replace, policy remove");
	refuse_with(c, "type", unknown, "type: what is to be done is missing", "type add");
	refuse_with(c, "flub", unknown, "'flub' is not a command", "dysco(1)");
	dysco_config_free(c);
}

static void removing_moves_the_others_up(void **state)
{
	struct dysco_config *c = with("policy p via ids1,fw filter tcp");

	(void)state;
	assert_non_null(c);
	assert_int_equal(apply(c, "policy replace p via ids1,10.0.0.77 filter tcp"), 0);
	assert_int_equal(c->setup.n_boxes, 4);
	assert_int_equal(apply(c, "box remove fw"), 0);
	assert_int_equal(c->setup.n_boxes, 3);
	assert_string_equal(c->setup.boxes[c->setup.policies[0].hops[0].index].name, "ids1");
	assert_true(
	    dysco_config_box_anonymous(&c->setup.boxes[c->setup.policies[0].hops[1].index]));
	assert_string_equal(c->setup.boxes[c->setup.types[0].boxes[1]].name, "ids2");
	assert_int_equal(apply(c, "policy remove p"), 0);
	/* the anonymous box goes with the policy that named it */
	assert_int_equal(c->setup.n_boxes, 2);
	assert_int_equal(apply(c, "type remove ids"), 0);
	assert_int_equal(apply(c, "box remove ids1"), 0);
	assert_int_equal(apply(c, "box remove ids2"), 0);
	assert_int_equal(c->setup.n_boxes, 0);
	dysco_config_free(c);
}

static void hosts_of_attachments_come_and_go(void **state)
{
	struct dysco_config *c = with("");
	uint16_t id;

	(void)state;
	assert_non_null(c);
	assert_int_equal(apply(c, "attach port v9 host guest address 10.5.0.1"), 0);
	id = c->attachments[2].host;
	assert_true(dysco_config_find_host(c, "guest") >= 0);
	assert_int_equal(apply(c, "detach v9"), 0);
	assert_true(dysco_config_find_host(c, "guest") < 0);
	/* the same name has the same number again: legs in the table bear it */
	assert_int_equal(apply(c, "attach port v9 host guest address 10.5.0.1"), 0);
	assert_int_equal(c->attachments[2].host, id);
	/* a host of its own statement stays */
	assert_int_equal(apply(c, "detach eth0"), 0);
	assert_true(dysco_config_find_host(c, "web") >= 0);
	dysco_config_free(c);
}

static void copies_share_nothing_that_changes(void **state)
{
	struct dysco_config *c = with("policy p via fw filter tcp port 80");
	struct dysco_config *copy;

	(void)state;
	assert_non_null(c);
	copy = dysco_config_copy(c);
	assert_non_null(copy);
	assert_int_equal(apply(copy, "policy replace p via ids filter tcp port 81"), 0);
	assert_string_equal(dysco_config_filter_text(c, 0), "tcp port 80");
	dysco_config_free(c);
	assert_string_equal(dysco_config_filter_text(copy, 0), "tcp port 81");
	dysco_config_free(copy);
}

/* ---- classifying ---- */

static size_t syn(uint8_t *packet, size_t bytes, const char *src, const char *dst)
{
	struct dysco_tuple tuple;

	assert_true(dysco_parse_tuple(src, dst, &tuple));
	return dysco_edit_make_segment(packet, bytes, &tuple, 1, 0, DYSCO_TCP_SYN, 1000, 0, NULL,
				       0);
}

static uint16_t classify(const struct dysco_config *c, const char *host, const char *src,
			 const char *dst)
{
	uint8_t packet[100];
	size_t n = syn(packet, sizeof(packet), src, dst);
	int index = dysco_config_find_host(c, host);

	return dysco_config_classify(c, c->setup.hosts[index].id, packet, (uint32_t)n);
}

static void the_first_policy_that_matches_counts(void **state)
{
	struct dysco_config *c =
	    with("policy any priority 1 via fw filter tcp\n"
		 "policy lan80 priority 9 at lan via fw filter tcp dst port 80\n"
		 "policy six priority 5 via fw filter ip6 and dst port 80");

	(void)state;
	assert_non_null(c);
	assert_int_equal(classify(c, "lan", "10.1.0.1:999", "10.9.0.1:80"), 0);
	assert_int_equal(classify(c, "web", "10.0.0.1:999", "10.9.0.1:80"), 2);
	assert_int_equal(classify(c, "web", "[fd00::1]:999", "[fd00::9]:80"), 1);
	assert_int_equal(apply(c, "policy remove any"), 0);
	assert_int_equal(classify(c, "web", "10.0.0.1:999", "10.9.0.1:80"), DYSCO_NO_POLICY);
	dysco_config_free(c);
}

static void rules_are_in_the_order_of_policies(void **state)
{
	struct dysco_config *c = with("policy a priority 1 via fw fail open filter tcp\n"
				      "policy b priority 2 at lan via fw filter tcp");
	struct dysco_classifier_rule rules[DYSCO_POLICIES_MAX];

	(void)state;
	assert_non_null(c);
	assert_int_equal(dysco_config_rules(c, rules), 2);
	assert_int_equal(rules[0].fail, DYSCO_FAIL_CLOSED);
	assert_int_equal(rules[0].n_at, 1);
	assert_int_equal(rules[1].fail, DYSCO_FAIL_OPEN);
	assert_int_equal(rules[1].n_at, 0);
	assert_true(rules[0].n_insns > 0 && rules[0].insns);
	dysco_config_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_whole_configuration),
	    TEST(defaults),
	    TEST(what_listens_and_who_may_ask),
	    TEST(policies_stand_by_falling_priority),
	    TEST(what_is_wrong_is_said_and_where),
	    TEST(every_prefix_of_a_statement_is_refused_or_whole),
	    TEST(filters_that_are_not_names),
	    TEST(key_files_are_private),
	    TEST(things_in_use_stay),
	    TEST(unknown_commands_are_told_what_there_is),
	    TEST(removing_moves_the_others_up),
	    TEST(hosts_of_attachments_come_and_go),
	    TEST(copies_share_nothing_that_changes),
	    TEST(the_first_policy_that_matches_counts),
	    TEST(rules_are_in_the_order_of_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
