/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filter expressions (filter.h). libpcap would ask the resolver about host and
 * network names, and block the agent meanwhile; so words that it could take
 * for such names are refused before it sees them.
 */
#include "conf/filter.h"

#include <ctype.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/parse.h"

#define WORD_MAX 255

struct dysco_filter {
	unsigned int refs;
	char *text;
	struct bpf_program program;
};

/* Words of pcap-filter(7) that can matter for a TCP packet, or that libpcap will explain itself. */
static const char *const keywords[] = {
    "and",	"or",	     "not",	  "src",     "dst",  "host",  "net",	    "mask",
    "port",	"portrange", "less",	  "greater", "len",  "proto", "protochain", "tcp",
    "udp",	"icmp",	     "icmp6",	  "ip",	     "ip6",  "igmp",  "igrp",	    "pim",
    "ah",	"esp",	     "vrrp",	  "sctp",    "carp", "arp",   "rarp",	    "ether",
    "link",	"broadcast", "multicast", "gateway", "vlan", "mpls",  "pppoed",	    "pppoes",
    "tcpflags", "inbound",   "outbound",  "ifname",  "wlan", "fddi",  "tr",	    "geneve",
};

static bool is_keyword(const char *word)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(word, keywords[i]) == 0) {
			return true;
		}
	}
	return strncmp(word, "tcp-", 4) == 0 || strncmp(word, "icmp-", 5) == 0 ||
	       strncmp(word, "icmp6-", 6) == 0;
}

/* Digits and dots (10.1), byte ranges (tcp[2:2]), hexadecimal numbers, addresses with or without
 * prefix. */
static bool is_number_like(const char *word)
{
	struct dysco_prefix prefix;
	bool host_bits;

	if (strspn(word, "0123456789./-:") == strlen(word)) {
		return true;
	}
	if (strncasecmp(word, "0x", 2) == 0 &&
	    strspn(word + 2, "0123456789abcdefABCDEF") == strlen(word + 2)) {
		return true;
	}
	return dysco_parse_prefix(word, &prefix, &host_bits);
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_';
}

/* Copies the word at *text, colons too when it may be an IPv6 address; moves *text behind it. */
static bool take_word(const char **text, char out[WORD_MAX + 1])
{
	const char *begin = *text, *end = begin;
	const char *colon = begin + strspn(begin, "0123456789abcdefABCDEF");
	bool ip6 = *colon == ':';
	size_t n;

	while (in_word(*end) || (ip6 && (*end == ':' || *end == '/'))) {
		end++;
	}
	n = (size_t)(end - begin);
	*text = end;
	if (n > WORD_MAX) {
		return false;
	}
	memcpy(out, begin, n);
	out[n] = '\0';
	return true;
}

static bool is_port_word(const char *word)
{
	return strcmp(word, "port") == 0 || strcmp(word, "portrange") == 0;
}

/* The first word that would be looked up as a host or network: in `word`; false: none. */
static bool find_name(const char *text, char word[WORD_MAX + 1])
{
	bool after_port = false, escaped = false;

	while (*text) {
		if (*text == '\\') {
			escaped = true;
			text++;
			continue;
		}
		if (!isalnum((unsigned char)*text) && *text != ':') {
			text++;
			continue;
		}
		if (*text == ':' && text[1] != ':') {
			text++;
			continue;
		}
		if (!take_word(&text, word)) {
			return true;
		}
		if (!escaped && !after_port && !is_keyword(word) && !is_number_like(word)) {
			return true;
		}
		/* "port (80 or http)": words after "or" are ports too, but are refused */
		after_port = is_port_word(word);
		escaped = false;
	}
	return false;
}

/* libpcap refuses an expression that its optimiser finds to match nothing: here, no TCP packet. */
static int check_tcp(pcap_t *pcap, const char *text, struct dysco_conf_error *error)
{
	struct bpf_program program;
	char *with_tcp;
	int result = 0;

	if (asprintf(&with_tcp, "(%s) and tcp", text) < 0) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	if (pcap_compile(pcap, &program, with_tcp, 1, PCAP_NETMASK_UNKNOWN) == 0) {
		pcap_freecode(&program);
	} else {
		result = dysco_conf_fail(error, "bad_filter", "only TCP sessions have chains",
					 "filter '%.200s' matches no TCP packet", text);
	}
	free(with_tcp);
	return result;
}

static int compile(struct dysco_filter *filter, const char *text, struct dysco_conf_error *error)
{
	pcap_t *pcap = pcap_open_dead(DLT_RAW, 65535);
	int result;

	if (!pcap) {
		return dysco_conf_fail(error, "internal", NULL, "out of memory");
	}
	if (pcap_compile(pcap, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		result =
		    dysco_conf_fail(error, "bad_filter", "the syntax is that of pcap-filter(7)",
				    "filter '%.200s': %.200s", text, pcap_geterr(pcap));
	} else {
		result = check_tcp(pcap, text, error);
	}
	pcap_close(pcap);
	return result;
}

static int check_text(const char *text, struct dysco_conf_error *error)
{
	char word[WORD_MAX + 1] = "";

	if (text[strspn(text, " \t")] == '\0') {
		return dysco_conf_fail(error, "bad_filter", "filter tcp matches every session",
				       "the filter is empty");
	}
	if (find_name(text, word)) {
		return dysco_conf_fail(
		    error, "bad_filter", "write addresses as numbers",
		    "filter '%.200s': '%.60s' is neither a keyword nor a number, and names are "
		    "not looked up",
		    text, word);
	}
	return 0;
}

struct dysco_filter *dysco_filter_compile(const char *text, struct dysco_conf_error *error)
{
	struct dysco_filter *filter;

	if (check_text(text, error) != 0) {
		return NULL;
	}
	filter = calloc(1, sizeof(*filter));
	if (!filter) {
		dysco_conf_fail(error, "internal", NULL, "out of memory");
		return NULL;
	}
	filter->refs = 1;
	filter->text = strdup(text);
	if (!filter->text || compile(filter, text, error) != 0) {
		dysco_filter_unref(filter);
		return NULL;
	}
	if (filter->program.bf_len > DYSCO_FILTER_INSNS_MAX) {
		dysco_conf_fail(error, "bad_filter", "split the policy in several",
				"filter '%.200s' compiles to %u instructions, more than %d", text,
				filter->program.bf_len, DYSCO_FILTER_INSNS_MAX);
		dysco_filter_unref(filter);
		return NULL;
	}
	return filter;
}

struct dysco_filter *dysco_filter_ref(struct dysco_filter *filter)
{
	filter->refs++;
	return filter;
}

void dysco_filter_unref(struct dysco_filter *filter)
{
	if (!filter || --filter->refs > 0) {
		return;
	}
	pcap_freecode(&filter->program);
	free(filter->text);
	free(filter);
}

const char *dysco_filter_text(const struct dysco_filter *filter)
{
	return filter->text;
}

const void *dysco_filter_insns(const struct dysco_filter *filter, uint32_t *n)
{
	*n = filter->program.bf_len;
	return filter->program.bf_insns;
}

bool dysco_filter_matches(const struct dysco_filter *filter, const uint8_t *packet, uint32_t bytes)
{
	return bpf_filter(filter->program.bf_insns, packet, bytes, bytes) != 0;
}
