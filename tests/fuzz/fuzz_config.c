/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file: any text is a checked configuration or a refusal
 * with a code and a message; what is accepted can be copied, classified with
 * and written back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* What the agent does with a configuration that was accepted. */
static void use(const struct dysco_config *config)
{
	static struct dysco_classifier_rule rules[DYSCO_POLICIES_MAX];
	static const uint8_t packet[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6};
	struct dysco_config *copy = dysco_config_copy(config);
	struct dysco_conf_error error;

	must(copy != NULL);
	must(dysco_config_check(copy, &error) == 0);
	must(dysco_config_rules(copy, rules) == copy->setup.n_policies);
	for (uint16_t i = 0; i < copy->setup.n_hosts; i++) {
		must(copy->setup.hosts[i].id != 0);
		dysco_config_classify(copy, copy->setup.hosts[i].id, packet, sizeof(packet));
	}
	dysco_config_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dysco_ids *ids = calloc(1, sizeof(*ids));
	struct dysco_config *config = dysco_config_new(ids);
	struct dysco_conf_error error = {"", "", ""};

	must(ids && config);
	if (dysco_config_read(config, "fuzz", (const char *)data, size, &error) == 0) {
		use(config);
	} else {
		must(error.code[0] && error.message[0]);
	}
	dysco_config_free(config);
	free(ids);
	return 0;
}
