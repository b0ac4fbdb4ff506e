/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent without a machine (fake_agent.h).
 */
#include "tests/unit/fake_agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/log.h"

static struct fake_agent *of_table(struct dysco_table *table)
{
	return (struct fake_agent *)((char *)table - offsetof(struct fake_agent, agent.dp.table));
}

static struct fake_agent *of(struct dysco_datapath *dp)
{
	return dp->provider;
}

/* ---- table ---- */

static struct fake_key *find_key(struct fake_agent *fake, const struct dysco_leg_key *key)
{
	for (int i = 0; i < FAKE_KEYS; i++) {
		if (fake->keys[i].slot != DYSCO_NO_SLOT &&
		    memcmp(&fake->keys[i].key, key, sizeof(*key)) == 0) {
			return &fake->keys[i];
		}
	}
	return NULL;
}

static int bind_key(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct fake_agent *fake = of_table(table);

	if (find_key(fake, key)) {
		return DYSCO_TABLE_EXISTS;
	}
	for (int i = 0; i < FAKE_KEYS; i++) {
		if (fake->keys[i].slot == DYSCO_NO_SLOT) {
			fake->keys[i] = (struct fake_key){*key, slot};
			return 0;
		}
	}
	return DYSCO_TABLE_FULL;
}

static void unbind_key(struct dysco_table *table, const struct dysco_leg_key *key)
{
	struct fake_key *place = find_key(of_table(table), key);

	if (place) {
		place->slot = DYSCO_NO_SLOT;
	}
}

static uint32_t find_slot(struct dysco_table *table, const struct dysco_leg_key *key)
{
	const struct fake_key *place = find_key(of_table(table), key);

	return place ? place->slot : DYSCO_NO_SLOT;
}

static void move_key(struct dysco_table *table, const struct dysco_leg_key *key, uint32_t slot)
{
	struct fake_key *place = find_key(of_table(table), key);

	if (place) {
		place->slot = slot;
	}
}

static const struct dysco_table_ops table_ops = {bind_key, unbind_key, move_key, find_slot};

/* ---- datapath ---- */

static int dp_open(struct dysco_datapath *dp, const char *path, uint32_t capacity)
{
	struct fake_agent *fake = of(dp);

	(void)path;
	(void)capacity;
	dp->table = (struct dysco_table){.ops = &table_ops,
					 .legs = fake->legs,
					 .cold = fake->cold,
					 .names = fake->names,
					 .lasting = &fake->lasting,
					 .attempts = fake->attempts,
					 .n_attempts = 1,
					 .capacity = FAKE_LEGS};
	return 0;
}

static void dp_close(struct dysco_datapath *dp)
{
	(void)dp;
}

static int dp_attach(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	(void)a;
	of(dp)->gone = of(dp)->going;
	if (of(dp)->refuse_attach || of(dp)->gone) {
		snprintf(dp->error, sizeof(dp->error), "attach refused by the test");
		return -EPERM;
	}
	of(dp)->attached++;
	of(dp)->still_attached = 1;
	return 0;
}

static int dp_attached(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	(void)a;
	return of(dp)->still_attached;
}

static int dp_detach(struct dysco_datapath *dp, const struct dysco_attachment *a)
{
	(void)a;
	of(dp)->detached++;
	of(dp)->injected_before_detach = of(dp)->injected;
	return 0;
}

static int dp_wipe(struct dysco_datapath *dp)
{
	(void)dp;
	return 0;
}

static int dp_set_classifier(struct dysco_datapath *dp, const struct dysco_classifier_rule *rules,
			     uint32_t n)
{
	(void)rules;
	if (of(dp)->refuse_classifier) {
		snprintf(dp->error, sizeof(dp->error), "classifier refused by the test");
		return -E2BIG;
	}
	of(dp)->n_rules = n;
	return 0;
}

static void dp_heartbeat(struct dysco_datapath *dp, uint64_t now_ns)
{
	(void)dp;
	(void)now_ns;
}

static int dp_poll_fds(struct dysco_datapath *dp, int *fds, uint32_t *n)
{
	(void)dp;
	(void)fds;
	*n = 0;
	return 0;
}

static int dp_receive(struct dysco_datapath *dp, struct dysco_punt *punt)
{
	struct fake_agent *fake = of(dp);
	bool had = fake->has_punt;

	*punt = fake->punt;
	fake->has_punt = false;
	return had;
}

static int dp_inject(struct dysco_datapath *dp, const struct dysco_action *action,
		     const uint8_t *packet, uint32_t bytes, const struct dysco_punt *punt)
{
	struct fake_agent *fake = of(dp);

	(void)punt;
	fake->injected++;
	fake->sent_bytes = bytes < sizeof(fake->sent) ? bytes : sizeof(fake->sent);
	memcpy(fake->sent, packet, fake->sent_bytes);
	fake->sent_kind = action->kind;
	if (fake->on_sent) {
		fake->on_sent(fake);
	}
	return 0;
}

static void dp_counters(struct dysco_datapath *dp, struct dysco_core_stats *stats)
{
	(void)dp;
	stats->counters[DYSCO_COUNTER_FAST_OUT] += 3;
}

static const struct dysco_datapath_ops ops = {
    .name = "fake",
    .open = dp_open,
    .close = dp_close,
    .attach = dp_attach,
    .detach = dp_detach,
    .attached = dp_attached,
    .wipe = dp_wipe,
    .set_classifier = dp_set_classifier,
    .heartbeat = dp_heartbeat,
    .poll_fds = dp_poll_fds,
    .receive = dp_receive,
    .inject = dp_inject,
    .counters = dp_counters,
};

/* ---- system ---- */

static int sys_interface(void *context, const char *netns, const char *ifname,
			 struct dysco_interface *interface)
{
	const struct fake_agent *fake = context;

	if (netns[0] != '\0' && strcmp(netns, "ns1") != 0) {
		return -ENOENT;
	}
	if (fake->gone || strlen(ifname) != 4 || strncmp(ifname, "eth", 3) != 0 ||
	    ifname[3] < '0' || ifname[3] > '9') {
		return -ENODEV;
	}
	interface->index = (unsigned int)(ifname[3] - '0') + 2;
	interface->up = true;
	return 0;
}

static int sys_ports_held(void *context, const char *netns, uint16_t first,
			  struct dysco_port_bitmap *held)
{
	(void)context;
	(void)netns;
	(void)first;
	held->bits[0] |= 1;
	return 0;
}

static int sys_ports_reserve(void *context, const char *netns, uint16_t first, uint16_t last)
{
	(void)context;
	(void)netns;
	(void)first;
	(void)last;
	return 0;
}

static int sys_ports_release(void *context, const char *netns)
{
	(void)context;
	(void)netns;
	return 0;
}

static int sys_socket(void *context, const char *netns, const struct dysco_tuple *tuple,
		      struct dysco_socket *socket)
{
	const struct fake_agent *fake = context;

	(void)netns;
	(void)tuple;
	*socket = fake->socket;
	return fake->no_socket;
}

static int sys_connections(void *context, const char *netns, dysco_connection_fn *take, void *to)
{
	const struct fake_agent *fake = context;

	(void)netns;
	for (uint32_t i = 0; i < fake->n_connections; i++) {
		take(to, &fake->connections[i]);
	}
	return 0;
}

static int sys_passing(void *context, const char *netns, dysco_connection_fn *take, void *to)
{
	const struct fake_agent *fake = context;

	(void)netns;
	for (uint32_t i = 0; i < fake->n_passing; i++) {
		take(to, &fake->passing[i]);
	}
	return fake->passing_wrong;
}

/* ---- surroundings ---- */

static bool hook_listening(void *context)
{
	const struct fake_agent *fake = context;

	return fake->listening;
}

static void hook_event(void *context, const json_t *event)
{
	struct fake_agent *fake = context;

	fake->events++;
	json_decref(fake->last_event);
	fake->last_event = json_deep_copy(event);
}

static void hook_answer(void *context, void *client, json_t *answer)
{
	struct fake_agent *fake = context;

	(void)client;
	json_decref(fake->last_answer);
	fake->last_answer = answer;
}

static void hook_changed(void *context)
{
	(void)context;
}

static void hook_hold(void *context, uint64_t ns)
{
	(void)context;
	(void)ns;
}

static void hook_store(void *context)
{
	struct fake_agent *fake = context;

	fake->stored++;
}

/* ---- the whole ---- */

static int start(struct fake_agent *fake, const char *text, struct dysco_conf_error *error)
{
	static const struct dysco_core_seed seed = {{1, 2, 3}, 77, 1000};
	struct dysco_config *config = dysco_config_new(fake->agent.ids);

	if (!config) {
		return -1;
	}
	if (dysco_config_read(config, "test.conf", text, strlen(text), error) != 0) {
		dysco_config_free(config);
		return -1;
	}
	return dysco_agent_start(&fake->agent, config, &seed, error);
}

struct fake_agent *fake_agent_new(const char *config, struct dysco_conf_error *error)
{
	struct fake_agent *fake = calloc(1, sizeof(*fake));

	if (!fake) {
		return NULL;
	}
	fake->system = (struct dysco_system){
	    fake,	sys_interface,	 sys_ports_held, sys_ports_reserve, sys_ports_release,
	    sys_socket, sys_connections, sys_passing};
	fake->agent.ids = calloc(1, sizeof(*fake->agent.ids));
	fake->agent.journal = calloc(1, sizeof(*fake->agent.journal));
	fake->agent.system = &fake->system;
	fake->agent.pin = "/nowhere";
	fake->agent.dp = (struct dysco_datapath){.ops = &ops, .provider = fake};
	fake->agent.hooks = (struct dysco_agent_hooks){
	    fake, hook_listening, hook_event, hook_answer, hook_changed, hook_store, hook_hold};
	dp_open(&fake->agent.dp, "", 0);
	if (!fake->agent.ids || !fake->agent.journal || start(fake, config, error) != 0) {
		fake_agent_free(fake);
		return NULL;
	}
	return fake;
}

void fake_agent_free(struct fake_agent *fake)
{
	dysco_agent_stop(&fake->agent);
	json_decref(fake->last_event);
	json_decref(fake->last_answer);
	free(fake);
}

json_t *fake_agent_ask(struct fake_agent *fake, const char *line)
{
	json_t *answer = NULL;

	dysco_agent_request(&fake->agent, fake, line, strlen(line), &answer);
	return answer;
}

void fake_agent_punt(struct fake_agent *fake, uint16_t attachment, enum dysco_direction direction,
		     const uint8_t *packet, uint32_t bytes)
{
	const struct dysco_config *config = fake->agent.config;

	memset(&fake->punt, 0, sizeof(fake->punt));
	for (uint16_t i = 0; i < config->n_attachments; i++) {
		if (config->attachments[i].id == attachment) {
			fake->punt.input.host = config->attachments[i].host;
		}
	}
	fake->punt.input.attachment = attachment;
	fake->punt.input.direction = (uint8_t)direction;
	fake->punt.input.data = packet;
	fake->punt.input.bytes = bytes;
	fake->has_punt = true;
	dysco_agent_receive(&fake->agent, 16);
}
