// SPDX-License-Identifier: BSD-2-Clause
/*
 * The classifier says of every packet what libpcap says: over filters people
 * write, and over random classic BPF programs, which reach every opcode.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>

#include <cmocka.h>

#include "datapath/bpf/classifier.h"
#include "tests/bpf/filters.h"
#include "tests/bpf/kit.h"

#define PACKETS	 24
#define PROGRAMS 3000
#define INSNS	 14

static struct kit_frame packets[PACKETS];

static const char *const expressions[] = {
    "tcp",
    "ip",
    "ip6",
    "udp",
    "tcp dst port 80",
    "tcp src port 80 or tcp dst port 443",
    "dst port 80 and not src net 10.1.0.0/16",
    "src host 10.1.2.3",
    "dst host fd00:1::2",
    "net 10.0.0.0/8",
    "src net fd00:1::/32",
    "dst portrange 8000-8100",
    "portrange 20-443",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
    "tcp[13] == 2",
    "ip6 and tcp dst port 80",
    "ip6[40:2] == 4000",
    "ip[8] < 65",
    "ip[0] & 0xf != 5",
    "len > 60",
    "less 44",
    "greater 50",
    "tcp[(tcp[12] >> 4) * 4:4] = 0x47455420",
    "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0",
    "tcp and (dst port 80 or dst port 8080 or dst port 8443) and dst net 10.2.0.0/16",
    "not tcp",
    "ip[200] == 1",
    "tcp[4:4] / 3 == 333",
    "tcp[4:4] % 7 == 6",
    "tcp[0:2] * 2 > 8000 and tcp[2:2] ^ 80 == 0",
    "ip proto 6 and host 10.2.0.1 and port 80",
};
#define EXPRESSIONS (sizeof(expressions) / sizeof(expressions[0]))

static void make_packets(void)
{
	static const char *const ends[][2] = {{"10.1.2.3", "10.2.0.1"},
					      {"10.3.0.1", "10.2.0.1"},
					      {"192.168.1.1", "172.16.0.1"},
					      {"fd00:1::1", "fd00:1::2"},
					      {"2001:db8::1", "fd00:2::2"}};
	static const uint16_t ports[] = {80, 443, 8000, 8080, 8100, 22};

	for (size_t i = 0; i < PACKETS; i++) {
		const char *const *end = ends[i % 5];
		struct dysco_tuple t =
		    kit_tuple(end[0], i % 7 == 0 ? 80 : 4000, end[1], ports[i % 6]);

		kit_segment(&packets[i], &t, i % 3 ? DYSCO_TCP_SYN : DYSCO_TCP_ACK, "GET / HTTP",
			    i % 4 * 3);
	}
	packets[PACKETS - 1].b[ETH_HLEN] = 0x46; /* options that say nothing */
	packets[PACKETS - 2].b[ETH_HLEN + 9] = 17;
}

static int load(struct kit *k, const struct dysco_classifier_rule *rules, uint32_t n)
{
	static char log[1 << 20];
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log));
	struct dysco_bpf_code code;
	uint32_t bad = 0;
	int fd;

	assert_int_equal(dysco_bpf_classifier_make(
			     &code, rules, n, dysco_bpf_of(&k->dp)->fds[DYSCO_BPF_AFTER], &bad),
			 0);
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "classifier", "Dual BSD/GPL", code.insns,
			   code.count, &opts);
	free(code.insns);
	if (fd < 0) {
		size_t length = strlen(log);

		fail_msg("%s", log + (length > 800 ? length - 800 : 0));
	}
	return fd;
}

static uint32_t classify(int fd, const struct kit_frame *packet, uint32_t host)
{
	struct kit_frame f = *packet;

	f.cb[DYSCO_BPF_CB_HOST] = host;
	f.cb[DYSCO_BPF_CB_L2] = ETH_HLEN;
	f.cb[DYSCO_BPF_CB_AFTER] = DYSCO_BPF_ATTACHMENTS - 1;
	(void)kit_run_fd(fd, &f, 1, NULL);
	return f.cb[DYSCO_BPF_CB_RULE];
}

static void check_alone(struct kit *k, const struct filter *filter, const char *what)
{
	struct dysco_classifier_rule rule = {.insns = filter->insns, .n_insns = filter->n_insns};
	int fd = load(k, &rule, 1);

	for (size_t i = 0; i < PACKETS; i++) {
		bool expected =
		    filter_matches(filter, packets[i].b + ETH_HLEN, packets[i].bytes - ETH_HLEN);

		if ((classify(fd, &packets[i], 1) == 0) != expected) {
			fail_msg("%s: packet %zu: libpcap says %d", what, i, expected);
		}
	}
	close(fd);
}

static void expressions_mean_what_libpcap_means(void **state)
{
	size_t matches = 0;

	for (size_t i = 0; i < EXPRESSIONS; i++) {
		struct filter filter;

		if (!filter_compile(&filter, expressions[i])) {
			fail_msg("libpcap refuses: %s", expressions[i]);
		}
		for (size_t j = 0; j < PACKETS; j++) {
			matches += filter_matches(&filter, packets[j].b + ETH_HLEN,
						  packets[j].bytes - ETH_HLEN);
		}
		check_alone(*state, &filter, expressions[i]);
		filter_free(&filter);
	}
	/* The packets are such that a translation which never or always matches is found out. */
	assert_in_range(matches, EXPRESSIONS * PACKETS / 10, EXPRESSIONS * PACKETS * 9 / 10);
}

static void first_rule_that_matches_wins(void **state)
{
	struct filter filters[EXPRESSIONS];
	struct dysco_classifier_rule rules[EXPRESSIONS];
	int fd;

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < EXPRESSIONS; i++) {
		/* From the special to the general. */
		assert_true(filter_compile(&filters[i], expressions[EXPRESSIONS - 1 - i]));
		rules[i].insns = filters[i].insns;
		rules[i].n_insns = filters[i].n_insns;
	}
	fd = load(*state, rules, EXPRESSIONS);
	for (size_t i = 0; i < PACKETS; i++) {
		uint32_t expected = DYSCO_BPF_NO_RULE;

		for (uint32_t j = EXPRESSIONS; j-- > 0;) {
			if (filter_matches(&filters[j], packets[i].b + ETH_HLEN,
					   packets[i].bytes - ETH_HLEN)) {
				expected = j;
			}
		}
		assert_int_equal(classify(fd, &packets[i], 1), expected);
	}
	close(fd);
	for (size_t i = 0; i < EXPRESSIONS; i++) {
		filter_free(&filters[i]);
	}
}

static void rules_hold_at_their_hosts_only(void **state)
{
	struct filter filter;
	struct dysco_classifier_rule rules[2] = {{.n_at = 2, .at = {3, 5}}, {.n_at = 1, .at = {4}}};
	int fd;

	assert_true(filter_compile(&filter, "tcp"));
	rules[0].insns = rules[1].insns = filter.insns;
	rules[0].n_insns = rules[1].n_insns = filter.n_insns;
	fd = load(*state, rules, 2);
	assert_int_equal(classify(fd, &packets[0], 3), 0);
	assert_int_equal(classify(fd, &packets[0], 5), 0);
	assert_int_equal(classify(fd, &packets[0], 4), 1);
	assert_int_equal(classify(fd, &packets[0], 6), DYSCO_BPF_NO_RULE);
	close(fd);
	filter_free(&filter);
}

static void programs_that_are_none_are_refused(void **state)
{
	struct kit *k = *state;
	struct sock_filter far[] = {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 9, 0),
				    BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_filter open_end[] = {BPF_STMT(BPF_LD | BPF_IMM, 1)};
	struct sock_filter unknown[] = {BPF_STMT(BPF_LD | BPF_MSH, 1),
					BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_filter memory[] = {BPF_STMT(BPF_ST, BPF_MEMWORDS),
				       BPF_STMT(BPF_RET | BPF_K, 1)};
	struct dysco_classifier_rule rules[] = {{.insns = far, .n_insns = 2},
						{.insns = open_end, .n_insns = 1},
						{.insns = unknown, .n_insns = 2},
						{.insns = memory, .n_insns = 2},
						{.insns = far, .n_insns = 0}};

	unknown[0].code = BPF_LD | BPF_W | 0xe0;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		assert_int_equal(k->dp.ops->set_classifier(&k->dp, &rules[i], 1), -EINVAL);
		assert_non_null(strstr(k->dp.error, "policy 0"));
	}
}

/* xorshift: the same programs on every machine. */
static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static struct sock_filter random_insn(uint32_t *seed, uint32_t left)
{
	static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS,
					 BPF_LD | BPF_H | BPF_ABS,
					 BPF_LD | BPF_B | BPF_ABS,
					 BPF_LD | BPF_W | BPF_IND,
					 BPF_LD | BPF_H | BPF_IND,
					 BPF_LD | BPF_B | BPF_IND,
					 BPF_LD | BPF_W | BPF_LEN,
					 BPF_LD | BPF_IMM,
					 BPF_LD | BPF_MEM,
					 BPF_LDX | BPF_IMM,
					 BPF_LDX | BPF_MEM,
					 BPF_LDX | BPF_W | BPF_LEN,
					 BPF_LDX | BPF_B | BPF_MSH,
					 BPF_ST,
					 BPF_STX,
					 BPF_ALU | BPF_ADD | BPF_X,
					 BPF_ALU | BPF_SUB | BPF_X,
					 BPF_ALU | BPF_MUL | BPF_K,
					 BPF_ALU | BPF_DIV | BPF_X,
					 BPF_ALU | BPF_DIV | BPF_K,
					 BPF_ALU | BPF_MOD | BPF_X,
					 BPF_ALU | BPF_AND | BPF_X,
					 BPF_ALU | BPF_OR | BPF_K,
					 BPF_ALU | BPF_XOR | BPF_X,
					 BPF_ALU | BPF_LSH | BPF_K,
					 BPF_ALU | BPF_RSH | BPF_X,
					 BPF_ALU | BPF_LSH | BPF_X,
					 BPF_ALU | BPF_NEG,
					 BPF_MISC | BPF_TAX,
					 BPF_MISC | BPF_TXA,
					 BPF_JMP | BPF_JEQ | BPF_K,
					 BPF_JMP | BPF_JGT | BPF_X,
					 BPF_JMP | BPF_JGE | BPF_K,
					 BPF_JMP | BPF_JSET | BPF_K,
					 BPF_JMP | BPF_JA,
					 BPF_RET | BPF_A};
	static const uint32_t values[] = {0, 1, 3, 9, 12, 16, 20, 40, 62, 0xff, 0xffffffff, 31};
	struct sock_filter f = {.code =
				    codes[next_random(seed) % (sizeof(codes) / sizeof(codes[0]))]};

	f.k = values[next_random(seed) % (sizeof(values) / sizeof(values[0]))];
	if (BPF_CLASS(f.code) == BPF_JMP) {
		f.jt = (uint8_t)(next_random(seed) % left);
		f.jf = (uint8_t)(next_random(seed) % left);
		f.k = BPF_OP(f.code) == BPF_JA ? f.jt : f.k;
	} else if (f.code == BPF_ST || f.code == BPF_STX || f.code == (BPF_LD | BPF_MEM) ||
		   f.code == (BPF_LDX | BPF_MEM)) {
		f.k %= 2;
	} else if (f.code == (BPF_ALU | BPF_LSH | BPF_K)) {
		f.k %= 32; /* more is undefined in libpcap */
	} else if (f.code == (BPF_ALU | BPF_DIV | BPF_K)) {
		f.k |= 1; /* a zero is refused by libpcap */
	}
	return f;
}

/* M[0] and M[1] are written before anything can read them. */
static void random_program(struct sock_filter *program, uint32_t *seed)
{
	program[0] = (struct sock_filter)BPF_STMT(BPF_ST, 0);
	program[1] = (struct sock_filter)BPF_STMT(BPF_STX, 1);
	for (uint32_t i = 2; i < INSNS - 1; i++) {
		program[i] = random_insn(seed, INSNS - 1 - i);
	}
	program[INSNS - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
}

static void random_programs_mean_what_libpcap_means(void **state)
{
	uint32_t seed = 20260731;

	for (int i = 0; i < PROGRAMS; i++) {
		struct sock_filter program[INSNS];
		struct filter filter = {program, INSNS};
		char what[32];

		random_program(program, &seed);
		(void)snprintf(what, sizeof(what), "random program %d", i);
		if (!filter_valid(&filter)) {
			fail_msg("%s: not valid", what);
		}
		check_alone(*state, &filter, what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_mean_what_libpcap_means),
	    cmocka_unit_test(first_rule_that_matches_wins),
	    cmocka_unit_test(rules_hold_at_their_hosts_only),
	    cmocka_unit_test(programs_that_are_none_are_refused),
	    cmocka_unit_test(random_programs_mean_what_libpcap_means),
	};

	make_packets();
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
