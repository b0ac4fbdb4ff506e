/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's metrics as Prometheus reads them (metrics.h). */
#include "agent/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "agent/show.h"

/* ---- the format ---- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The value of a label: backslash, quote and newline are escaped. */
static void put_label(FILE *out, const char *separator, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", separator, name);
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			fputs("\\n", out);
		} else {
			if (*value == '"' || *value == '\\') {
				fputc('\\', out);
			}
			fputc(*value, out);
		}
	}
	fputc('"', out);
}

static void sample(FILE *out, const char *name, const char *label, const char *value, uint64_t n)
{
	fputs(name, out);
	if (label) {
		put_label(out, "{", label, value);
		fputc('}', out);
	}
	fprintf(out, " %" PRIu64 "\n", n);
}

static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t n)
{
	head(out, name, type, help);
	sample(out, name, NULL, NULL, n);
}

static void histogram(FILE *out, const char *name, const char *label, const char *value,
		      const struct dysco_histogram *h)
{
	static const double bounds[DYSCO_BUCKETS] = DYSCO_BUCKETS_SECONDS;

	for (int i = 0; i < DYSCO_BUCKETS; i++) {
		fprintf(out, "%s_bucket{%s=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, label, value,
			bounds[i], h->upto[i]);
	}
	fprintf(out, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, label, value,
		h->count);
	fprintf(out, "%s_sum{%s=\"%s\"} %.9f\n", name, label, value, (double)h->sum_ns / 1e9);
	fprintf(out, "%s_count{%s=\"%s\"} %" PRIu64 "\n", name, label, value, h->count);
}

/* ---- the agent, its attachments and policies ---- */

static void put_agent(FILE *out, const struct dysco_agent *agent)
{
	struct timespec wall;
	double started;

	clock_gettime(CLOCK_REALTIME, &wall);
	started = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 -
		  (double)(dysco_now_ns() - agent->started_ns) / 1e9;
	head(out, "dysco_build_info", "gauge", "Always 1; what runs here.");
	fputs("dysco_build_info", out);
	put_label(out, "{", "version", DYSCO_VERSION);
	put_label(out, ",", "agent", agent->config->setup.agent);
	put_label(out, ",", "datapath", agent->dp.ops->name);
	fputs("} 1\n", out);
	head(out, "dysco_start_time_seconds", "gauge",
	     "When this agent took over the session table, since the epoch.");
	fprintf(out, "dysco_start_time_seconds %.3f\n", started);
	single(out, "dysco_configuration_changes_total", "counter",
	       "Configurations put in force since the agent started.", agent->changes);
}

static void put_attachments(FILE *out, const struct dysco_agent *agent)
{
	static const char *const names[] = {"dysco_attachment_up",
					    "dysco_attachment_restored_total"};

	for (int metric = 0; metric < 2; metric++) {
		head(out, names[metric], metric == 0 ? "gauge" : "counter",
		     metric == 0 ? "Whether the programs are on the interface."
				 : "Times that somebody had taken the programs off.");
		for (uint16_t i = 0; i < agent->config->n_attachments; i++) {
			const struct dysco_attachment *a = &agent->config->attachments[i];
			const struct dysco_host *host =
			    dysco_setup_host(&agent->config->setup, a->host);
			const struct dysco_attached *is = &agent->attached[a->id];

			fputs(names[metric], out);
			put_label(out, "{", "interface", a->ifname);
			put_label(out, ",", "netns", a->netns);
			put_label(out, ",", "host", host ? host->name : "");
			fprintf(out, ",mode=\"%s\"} %u\n",
				a->mode == DYSCO_ATTACH_PORT ? "port" : "nic",
				metric == 0 ? is->ifindex != 0 : is->restored);
		}
	}
}

static void put_policies(FILE *out, const struct dysco_agent *agent,
			 const struct dysco_census *census)
{
	const struct dysco_setup *setup = &agent->config->setup;

	head(out, "dysco_policy_sessions", "gauge", "Living sessions the policy gave hops here.");
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		sample(out, "dysco_policy_sessions", "policy", setup->policies[i].name,
		       census->by_policy[i]);
	}
	head(out, "dysco_policy_matched_total", "counter", "Sessions the policy has matched.");
	for (uint16_t i = 0; i < setup->n_policies; i++) {
		sample(out, "dysco_policy_matched_total", "policy", setup->policies[i].name,
		       agent->counts[i].matched);
	}
	head(out, "dysco_box_sessions", "gauge",
	     "Living sessions this agent sent through the box.");
	for (uint16_t i = 0; i < setup->n_boxes; i++) {
		char name[DYSCO_NAME_BYTES * 2];

		dysco_config_box_text(name, &setup->boxes[i]);
		sample(out, "dysco_box_sessions", "box", name, agent->core.box_sessions[i]);
	}
}

/* ---- sessions and packets ---- */

static void put_states(FILE *out, const char *name, const char *help, const uint32_t *counts)
{
	head(out, name, "gauge", help);
	for (unsigned int i = DYSCO_STATE_PENDING; i < DYSCO_STATE_COUNT; i++) {
		sample(out, name, "state", dysco_state_name(i), counts[i]);
	}
}

static void put_sessions(FILE *out, const struct dysco_agent *agent,
			 const struct dysco_census *census)
{
	put_states(out, "dysco_sessions", "Sessions at hosts of this agent, one for each host.",
		   census->sessions);
	put_states(out, "dysco_legs", "Legs in the session table.", census->legs);
	single(out, "dysco_legs_used", "gauge", "Legs in use, those of control sessions included.",
	       agent->core.live_legs);
	single(out, "dysco_legs_capacity", "gauge", "Legs the session table holds.",
	       agent->core.table->capacity);
}

static void put_counters(FILE *out, const struct dysco_core_stats *stats)
{
	static const struct {
		const char *name, *text;
	} counters[] = {
#define X(sym, name, text) [DYSCO_COUNTER_##sym] = {name, text},
		DYSCO_COUNTERS(X)
#undef X
	};
	char name[64];

	for (size_t i = 0; i < DYSCO_COUNTER_COUNT; i++) {
		snprintf(name, sizeof(name), "dysco_%s_total", counters[i].name);
		single(out, name, "counter", counters[i].text, stats->counters[i]);
	}
}

static void put_drops(FILE *out, const struct dysco_core_stats *stats)
{
	head(out, "dysco_drops_total", "counter",
	     "Packets dropped, or let past their chain, by reason (dysco stats).");
	for (unsigned int i = 1; i < DYSCO_REASON_COUNT; i++) {
		sample(out, "dysco_drops_total", "reason", dysco_reason_name(i), stats->drops[i]);
	}
}

/* ---- reconfigurations ---- */

static const char *const parts[DYSCO_PARTS_SEEN] = {"left", "right", "box"};

static void put_outcome(FILE *out, int part, int change, const char *result, const char *cause,
			uint64_t n)
{
	fprintf(
	    out,
	    "dysco_reconfigurations_total{part=\"%s\",change=\"%s\",result=\"%s\",cause=\"%s\"} "
	    "%" PRIu64 "\n",
	    parts[part], dysco_change_name((unsigned int)change), result, cause, n);
}

/* Of failures, those that have happened: most pairs of change and cause never do. */
static void put_outcomes(FILE *out, const struct dysco_phases *phases)
{
	head(out, "dysco_reconfigurations_total", "counter",
	     "Changes of chains that are over, by this agent's part in them.");
	for (int part = 0; part < DYSCO_PARTS_SEEN; part++) {
		for (int change = 0; change < DYSCO_CHANGES; change++) {
			put_outcome(out, part, change, "completed", "none",
				    phases->completed[part][change]);
			for (unsigned int i = 0; i < DYSCO_NACK_COUNT; i++) {
				if (phases->failed[part][change][i] > 0) {
					put_outcome(out, part, change, "failed", dysco_nack_name(i),
						    phases->failed[part][change][i]);
				}
			}
		}
	}
}

static void put_running(FILE *out, const struct dysco_phases *phases)
{
	uint64_t counts[DYSCO_ATTEMPT_STATES] = {0};

	for (uint32_t i = 1; i < phases->n_now; i++) {
		if (phases->now[i].nonce != 0) {
			counts[phases->now[i].state]++;
		}
	}
	head(
	    out, "dysco_reconfigurations_running", "gauge",
	    "Changes of chains under way that this agent is an anchor of, or a box has asked for.");
	for (unsigned int i = 1; i < DYSCO_ATTEMPT_STATES; i++) {
		sample(out, "dysco_reconfigurations_running", "phase",
		       dysco_attempt_state_name((uint8_t)i), counts[i]);
	}
}

/* Phases that left anchors pass through. */
static void put_phases(FILE *out, const struct dysco_phases *phases)
{
	head(out, "dysco_reconfiguration_phase_seconds", "histogram",
	     "Time that left anchors here spent in each phase of a change.");
	for (unsigned int i = DYSCO_ATTEMPT_REQUESTING; i <= DYSCO_ATTEMPT_CANCELLING; i++) {
		histogram(out, "dysco_reconfiguration_phase_seconds", "phase",
			  dysco_attempt_state_name((uint8_t)i), &phases->phase[i]);
	}
	head(out, "dysco_reconfiguration_seconds", "histogram",
	     "Time from a change's beginning until the new path was the session's only one.");
	for (unsigned int i = DYSCO_CHANGE_INSERT; i < DYSCO_CHANGES; i++) {
		histogram(out, "dysco_reconfiguration_seconds", "change", dysco_change_name(i),
			  &phases->took[i]);
	}
}

char *dysco_metrics_text(struct dysco_agent *agent, size_t *bytes)
{
	struct dysco_core_stats stats;
	struct dysco_census census;
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);

	if (!out) {
		return NULL;
	}
	dysco_core_stats(&agent->core, &stats);
	agent->dp.ops->counters(&agent->dp, &stats);
	dysco_take_census(agent, &census);
	put_agent(out, agent);
	put_attachments(out, agent);
	put_sessions(out, agent, &census);
	put_policies(out, agent, &census);
	put_counters(out, &stats);
	put_drops(out, &stats);
	put_outcomes(out, &agent->phases);
	put_running(out, &agent->phases);
	put_phases(out, &agent->phases);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
