// SPDX-License-Identifier: BSD-2-Clause
/* `dysco lab show`: a checked lab as tables. */
#include <stdio.h>
#include <string.h>

#include "lab/lab.h"

static const char *const KIND[] = {"node", "router", "box", "bridge"};

static void print_words(const struct lab_words *w, const char *before)
{
	for (int i = 0; i < w->count; i++) {
		printf("%s%s", i ? " " : before, w->word[i]);
	}
}

static void show_node(const struct lab *lab, const struct lab_node *node)
{
	printf("%-8s%-16s", KIND[node->kind], node->name);
	print_words(&node->addresses, LAB_BRIDGE " ");
	print_words(&node->gateways, "gateway ");
	putchar('\n');
	for (int i = 0; i < 2 * lab->n_links; i++) {
		const struct lab_end *end = &lab->links[i / 2].end[i % 2];
		const struct lab_end *peer = &lab->links[i / 2].end[1 - i % 2];

		if (end->node == node) {
			printf("          %-14s-> %s:%-*s", end->ifname, peer->node->name,
			       (int)(24 - strlen(peer->node->name)), peer->ifname);
			print_words(&end->addresses, "");
			putchar('\n');
		}
	}
}

static void show_direction(const struct lab_link *link, int i)
{
	const struct wire_settings *s = &link->settings[i];

	printf("    %s -> %s: delay %u us +- %u us, loss %.4g %%, duplicate %.4g %%, reorder %.4g "
	       "%%, queue %u\n",
	       link->end[i].node->name, link->end[1 - i].node->name, s->delay_us, s->jitter_us,
	       s->loss_ppm / 1e4, s->duplicate_ppm / 1e4, s->reorder_ppm / 1e4, s->queue);
}

static void show_links(const struct lab *lab)
{
	for (int i = 0; i < lab->n_links; i++) {
		const struct lab_link *link = &lab->links[i];

		if (!link->mtu && !link->rate && !link->wired) {
			continue;
		}
		printf("link %s%s%s%s%s\n", link->name, link->mtu ? " mtu " : "",
		       link->mtu ? link->mtu : "", link->rate ? " rate " : "",
		       link->rate ? link->rate : "");
		for (int k = 0; link->wired && k < 2; k++) {
			show_direction(link, k);
		}
	}
}

static void show_step(const struct lab_step *step)
{
	static const char *const STEP[] = {"run", "daemon", "ready", "file", "agent"};
	static const char *const READY[] = {"tcp ", "file ", "run "};

	printf("%-8s%-16s", STEP[step->kind], step->node ? step->node->name : step->name);
	if (step->kind == LAB_STEP_READY) {
		fputs(READY[step->ready], stdout);
	}
	if (step->agent) {
		fputs(step->agent->name, stdout);
	}
	if (step->kind == LAB_STEP_FILE) {
		printf("%d lines", step->words.count);
	} else {
		print_words(&step->words, "");
	}
	putchar('\n');
}

static void show_configs(const struct lab *lab)
{
	for (int i = 0; i < lab->n_configs; i++) {
		const struct lab_config *c = &lab->configs[i];

		printf("dysco   %-16s", c->agent ? c->agent->name : "*");
		print_words(&c->words, "");
		putchar('\n');
	}
}

void lab_show(const struct lab *lab)
{
	printf("lab     %s\n", lab->name);
	for (int i = 0; i < lab->n_nodes; i++) {
		show_node(lab, &lab->nodes[i]);
	}
	show_links(lab);
	for (int i = 0; i < lab->n_steps; i++) {
		show_step(&lab->steps[i]);
	}
	show_configs(lab);
}
