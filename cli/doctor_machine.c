/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco doctor`: the kernel, the programs' needs, the agent. */
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor.h"

#define KERNEL_MAJOR	 5
#define KERNEL_MINOR	 15
#define KERNEL_MINOR_ARM 18 /* its JIT compiler has no atomic OR before */

static void look_at_kernel(struct dysco_doctor *doctor)
{
	struct dysco_finding old = {DYSCO_LEVEL_ERROR, "kernel",
				    "the tc programs use helpers that older kernels do not have",
				    "", "install a later kernel"};
	struct utsname name;
	char *rest;
	long major, minor, needed;

	uname(&name);
	needed = strcmp(name.machine, "aarch64") == 0 ? KERNEL_MINOR_ARM : KERNEL_MINOR;
	major = strtol(name.release, &rest, 10);
	minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
	if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < needed)) {
		snprintf(old.what, sizeof(old.what), "Linux %s is older than %d.%ld", name.release,
			 KERNEL_MAJOR, needed);
		dysco_doctor_found(doctor, &old);
	} else {
		dysco_doctor_ok(doctor, "kernel", "Linux %s", name.release);
	}
}

static uint64_t effective_capabilities(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	uint64_t capabilities = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "CapEff:", 7) == 0) {
			capabilities = strtoull(line + 7, NULL, 16);
		}
	}
	if (file) {
		fclose(file);
	}
	return capabilities;
}

/* False: what needs privileges cannot be looked at. */
static bool look_at_privileges(struct dysco_doctor *doctor)
{
	uint64_t have = effective_capabilities();
	uint64_t need = (UINT64_C(1) << CAP_NET_ADMIN) | (UINT64_C(1) << CAP_SYS_ADMIN);
	struct dysco_finding poor = {
	    DYSCO_LEVEL_ERROR, "privileges",
	    "BPF programs, maps and namespaces need CAP_NET_ADMIN and CAP_SYS_ADMIN",
	    "not privileged; kernel features were not looked at", "sudo dysco doctor"};

	if ((have & need) == need) {
		dysco_doctor_ok(doctor, "privileges", "CAP_NET_ADMIN and CAP_SYS_ADMIN");
		return true;
	}
	dysco_doctor_found(doctor, &poor);
	return false;
}

static int silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static void look_at_bpf(struct dysco_doctor *doctor)
{
	static const struct {
		enum bpf_func_id helper;
		const char *name;
	} helpers[] = {
	    {BPF_FUNC_redirect, "bpf_redirect"},
	    {BPF_FUNC_redirect_neigh, "bpf_redirect_neigh"},
	    {BPF_FUNC_clone_redirect, "bpf_clone_redirect"},
	    {BPF_FUNC_fib_lookup, "bpf_fib_lookup"},
	    {BPF_FUNC_skb_change_head, "bpf_skb_change_head"},
	    {BPF_FUNC_skb_change_tail, "bpf_skb_change_tail"},
	    {BPF_FUNC_ktime_get_coarse_ns, "bpf_ktime_get_coarse_ns"},
	    {BPF_FUNC_tail_call, "bpf_tail_call"},
	};
	struct dysco_finding lack = {DYSCO_LEVEL_ERROR, "bpf",
				     "the datapath is made of tc BPF programs", "",
				     "use a kernel with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and "
				     "CONFIG_NET_SCH_INGRESS"};

	libbpf_set_print(silent);
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, NULL) != 1) {
		snprintf(lack.what, sizeof(lack.what), "the kernel loads no tc BPF programs");
		dysco_doctor_found(doctor, &lack);
		return;
	}
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
		if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, helpers[i].helper, NULL) ==
		    0) {
			snprintf(lack.what, sizeof(lack.what), "the kernel has no %s for tc",
				 helpers[i].name);
			dysco_doctor_found(doctor, &lack);
			return;
		}
	}
	dysco_doctor_ok(doctor, "bpf", "tc programs and the helpers they use");
}

static void look_at_tun(struct dysco_doctor *doctor)
{
	struct dysco_finding lack = {DYSCO_LEVEL_ERROR, "tun",
				     "SYNs travel between kernel and agent through a TAP device",
				     "/dev/net/tun cannot be opened", "modprobe tun"};

	if (access("/dev/net/tun", R_OK | W_OK) != 0) {
		dysco_doctor_found(doctor, &lack);
	} else {
		dysco_doctor_ok(doctor, "tun", "/dev/net/tun");
	}
}

/*
 * The directory above the pins must be on a BPF file system. An agent that runs
 * has found it there; our own mounts may be others (`ip netns exec`).
 */
static void look_at_pins(struct dysco_doctor *doctor)
{
	const char *pin = dysco_json_text(doctor->status, "pin");
	struct dysco_finding lack = {
	    DYSCO_LEVEL_ERROR, "bpffs",
	    "the session table is pinned there, so that it outlives the agent", "",
	    "mount -t bpf bpf /sys/fs/bpf"};
	struct statfs fs;
	char path[128];
	char *slash;

	if (pin[0] != '\0') {
		dysco_doctor_ok(doctor, "bpffs", "%s, of the agent", pin);
		return;
	}
	snprintf(path, sizeof(path), "%s", DYSCO_PIN_DEFAULT);
	while (statfs(path, &fs) != 0) {
		slash = strrchr(path, '/');
		if (!slash || slash == path) {
			break;
		}
		*slash = '\0';
	}
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC) {
		snprintf(lack.what, sizeof(lack.what), "%.100s is not on a BPF file system", path);
		dysco_doctor_found(doctor, &lack);
	} else {
		dysco_doctor_ok(doctor, "bpffs", "%s", path);
	}
}

void dysco_doctor_machine(struct dysco_doctor *doctor)
{
	look_at_kernel(doctor);
	if (look_at_privileges(doctor)) {
		look_at_bpf(doctor);
		look_at_tun(doctor);
	}
	look_at_pins(doctor);
}

static void look_at_room(struct dysco_doctor *doctor)
{
	const json_t *legs = json_object_get(doctor->status, "legs");
	json_int_t used = dysco_json_count(legs, "used");
	json_int_t capacity = dysco_json_count(legs, "capacity");
	struct dysco_finding full = {DYSCO_LEVEL_WARNING, "legs",
				     "a new session is dropped (legs_full) when the table is full",
				     "", "raise 'legs N' in the configuration"};

	if (used * 10 >= capacity * 9) {
		snprintf(full.what, sizeof(full.what),
			 "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " legs are used", used,
			 capacity);
		dysco_doctor_found(doctor, &full);
	} else {
		dysco_doctor_ok(doctor, "legs",
				"%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " used", used,
				capacity);
	}
}

void dysco_doctor_agent(struct dysco_doctor *doctor, const char *trouble)
{
	struct dysco_finding gone = {
	    DYSCO_LEVEL_ERROR, "agent",
	    "without an agent, new sessions of fail-closed policies are dropped; live ones go on",
	    "", "systemctl start dyscod"};
	struct dysco_finding unsigned_ = {
	    DYSCO_LEVEL_NOTE, "signing",
	    "whoever can send packets to this host can give sessions a chain",
	    "no key is configured",
	    "dysco keygen /etc/dysco/key1; add 'key 1 file /etc/dysco/key1'"};

	if (!doctor->status || json_object_get(doctor->status, "error")) {
		snprintf(gone.what, sizeof(gone.what), "%s", trouble);
		dysco_doctor_found(doctor, &gone);
		return;
	}
	dysco_doctor_ok(doctor, "agent", "%s answers", dysco_json_text(doctor->status, "agent"));
	if (dysco_json_true(doctor->status, "signed")) {
		dysco_doctor_ok(doctor, "signing", "signalling is signed");
	} else {
		dysco_doctor_found(doctor, &unsigned_);
	}
	look_at_room(doctor);
}
