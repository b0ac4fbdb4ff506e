/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of `dysco`, in the order of `dysco help`. */
#include "cli/cli.h"

#define SESSIONS "SESSION | [--filter EXPR] [--policy NAME] [--box BOX]"
#define OPTIONS                                                                                    \
	"\n    [--dry-run] [--force] [--rate N/s] [--parallel N] [--timeout SECONDS] [--wait]"
#define POLICY                                                                                     \
	"NAME [priority N] [at HOST[,HOST]] [via HOP[,HOP]...] [exit BOX]\n"                       \
	"                 [mandatory HOP[,HOP]] [fail open|closed] [retries N]\n"                  \
	"                 [existing keep|move] filter EXPR"

const struct dysco_command dysco_commands[] = {
    {"status", "", "the agent, its hosts and attachments", 0, dysco_show_status, NULL},
    {"host", "NAME address ADDR[/BITS]...", "a Dysco host and its addresses", 3, NULL, NULL},
    {"attach", "nic|port IFACE [netns NETNS] host NAME [address ADDR[/BITS]...] [mirror IFACE]",
     "join an interface to a host", 4, NULL, NULL},
    {"detach", "IFACE [netns NETNS]", "end its sessions, take the programs off it", 1,
     dysco_show_detached, NULL},
    {"box list", "", "middleboxes known here", 0, dysco_show_boxes, NULL},
    {"box add", "NAME ADDR...", "name a middlebox", 2, NULL, NULL},
    {"box remove", "NAME", "forget it", 1, NULL, NULL},
    {"box drain", "BOX [--to BOX|TYPE]" OPTIONS, "moves its sessions off it, gives it no new ones",
     1, dysco_show_change, NULL},
    {"box undrain", "BOX", "types give it to new sessions again", 1, NULL, NULL},
    {"type list", "", "types of middleboxes", 0, dysco_show_types, NULL},
    {"type add", "NAME BOX... [select round-robin|least-sessions|consistent-hash]",
     "boxes of which a chain takes one", 2, NULL, NULL},
    {"type remove", "NAME", "forget it", 1, NULL, NULL},
    {"policy list", "", "policies in force, by priority", 0, dysco_show_policies, NULL},
    {"policy add", POLICY, "give sessions a chain", 3, dysco_show_change, NULL},
    {"policy replace", POLICY, "the same name, anew; live sessions keep their chain", 3,
     dysco_show_change, NULL},
    {"policy remove", "NAME", "sessions from now on go without it", 1, dysco_show_change, NULL},
    {"policy test", "SRC DST [host NAME]", "what would this session do, and why", 2,
     dysco_show_policy_test, NULL},
    {"session list", "[state S] [policy P] [host H] [peer ADDR] [limit N]", "sessions here", 0,
     dysco_show_sessions, NULL},
    {"session show", "SESSION", "all about one", 1, dysco_show_session, NULL},
    {"session trace", "SESSION", "asks every hop of its chain", 1, dysco_show_trace, NULL},
    {"session why", "SESSION", "why it has this chain", 1, dysco_show_why, NULL},
    {"session kill", "SESSION", "resets both ends", 1, dysco_show_killed, NULL},
    {"session adopt", "SESSION", "knows one that is older than the agent or its policies", 1,
     dysco_show_adopted, NULL},
    {"session insert", SESSIONS " BOX... [after HOST | before HOST]" OPTIONS,
     "puts boxes into chains while they run", 2, dysco_show_change, NULL},
    {"session remove", SESSIONS " BOX... | SESSION self" OPTIONS,
     "takes neighbouring boxes out of them", 2, dysco_show_change, NULL},
    {"session replace", SESSIONS " BOX BOX..." OPTIONS, "puts others in the place of the first", 3,
     dysco_show_change, NULL},
    {"session cancel", "SESSION", "the change under way is not wanted any more", 1, NULL, NULL},
    {"session freeze", "SESSION [host HOST] [right N] [left N] [ts-right N] [ts-left N]",
     "what a box of this host adds to numbers, for good", 1, NULL, NULL},
    {"session thaw", "SESSION [host HOST]", "that it is not constant yet", 1, NULL, NULL},
    {"triggers", "all|removal|none", "what boxes may ask of hosts here", 1, NULL, NULL},
    {"job list", "", "changes of many sessions, at work or over", 0, dysco_show_jobs, NULL},
    {"job show", "ID [--wait]", "what has become of its sessions", 1, dysco_show_job, NULL},
    {"job pause", "ID", "begins with no more sessions", 1, NULL, NULL},
    {"job resume", "ID", "goes on", 1, NULL, NULL},
    {"job abort", "ID", "leaves alone what is not done yet", 1, NULL, NULL},
    {"monitor", "", "events as they come", 0, dysco_show_event, NULL},
    {"stats", "[--all]", "counters, and drops by reason", 0, dysco_show_stats, NULL},
    {"metrics", "", "what the agent counts, for Prometheus", 0, dysco_show_metrics, NULL},
    {"log", "debug|info|warn|error", "how much the agent says", 1, NULL, NULL},
    {"doctor", "[IFACE...]", "what is wrong on this machine, and how to mend it", 0, NULL,
     dysco_run_doctor},
    {"lab", "up|run|exec|set|down|list|show ...", "topologies of network namespaces (dysco-lab(1))",
     0, NULL, dysco_run_lab},
    {"keygen", "[FILE]", "a new key for signed signalling", 0, NULL, dysco_run_keygen},
    {"version", "", "of this program and of the agent", 0, NULL, dysco_run_version},
    {"help", "[COMMAND]", "", 0, NULL, dysco_run_help},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
