/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `dysco doctor`: looks at what Dysco needs of a machine. doctor.c runs and
 * prints, doctor_machine.c looks at kernel and agent, doctor_interface.c at
 * the interfaces, each in its network namespace.
 */
#ifndef DYSCO_CLI_DOCTOR_H
#define DYSCO_CLI_DOCTOR_H

#include "cli/cli.h"

enum dysco_level {
	DYSCO_LEVEL_OK = 0,
	DYSCO_LEVEL_NOTE,    /* good to know; no finding */
	DYSCO_LEVEL_WARNING, /* sessions may break */
	DYSCO_LEVEL_ERROR,   /* Dysco cannot work */
};

struct dysco_doctor {
	const struct dysco_cli *cli;
	json_t *status;	  /* the agent's, NULL without an agent */
	json_t *boxes;	  /* its `box list`, or NULL */
	json_t *checks;	  /* what was looked at, in order */
	int findings;	  /* warnings and errors */
	char netns[64];	  /* the one we are in; empty: where we began */
	char subject[96]; /* "eth0", "netns fw eth0", or empty: what is being looked at */
};

struct dysco_finding {
	enum dysco_level level;
	const char *name; /* of the check, stable: also in JSON */
	const char *why;
	char what[160];
	char mend[192]; /* a command; the namespace is put before it */
};

/* All is well with this check. */
void dysco_doctor_ok(struct dysco_doctor *doctor, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void dysco_doctor_found(struct dysco_doctor *doctor, const struct dysco_finding *finding);

void dysco_doctor_machine(struct dysco_doctor *doctor);
void dysco_doctor_agent(struct dysco_doctor *doctor, const char *trouble);
/* attachment: of `status`, or NULL when there is only the name. */
void dysco_doctor_interface(struct dysco_doctor *doctor, const char *ifname,
			    const json_t *attachment);
/* What concerns a namespace as a whole; mode and host as of one attachment there. */
void dysco_doctor_namespace(struct dysco_doctor *doctor, const json_t *attachment);

/* A number under /proc/sys/net of the present namespace, as `net.ipv4.ip_forward`; -1: none. */
long dysco_doctor_sysctl(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* stdout of a program as JSON; NULL when it fails or says something else. */
json_t *dysco_doctor_tool(const char *const *argv);
/* Is this host of the agent named as a box? Then its address; else "". */
const char *dysco_doctor_box(const struct dysco_doctor *doctor, const char *host);

#endif
