/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `dysco`: finds the command, asks the agent or runs it here, prints.
 * Exit codes: docs/socket.md.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/suggest.h"
#include "cli/text.h"
#include "conf/words.h"

#define ERROR_BYTES 256

enum dysco_exit dysco_usage_error(const char *format, ...)
{
	va_list arguments;

	fputs("dysco: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return DYSCO_EXIT_USAGE;
}

const char *dysco_json_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

json_int_t dysco_json_count(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

double dysco_json_number(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	return json_is_number(value) ? json_number_value(value) : -1.0;
}

bool dysco_json_true(const json_t *object, const char *member)
{
	return json_is_true(json_object_get(object, member));
}

static void print_json(const json_t *document)
{
	json_dumpf(document, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
	fflush(stdout);
}

/* What went wrong before the agent could say anything; the same shape as its own errors. */
static enum dysco_exit fail(const struct dysco_cli *cli, const char *code, const char *message)
{
	if (cli->json) {
		json_t *document =
		    json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message);

		print_json(document);
		json_decref(document);
	} else {
		fprintf(stderr, "dysco: %s\n", message);
	}
	return DYSCO_EXIT_NO_AGENT;
}

static enum dysco_exit refused(const struct dysco_cli *cli, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *hint = dysco_json_text(error, "hint");

	if (cli->json) {
		print_json(answer);
	} else {
		fprintf(stderr, "dysco: %s\n", dysco_json_text(error, "message"));
		if (hint[0] != '\0') {
			fprintf(stderr, "  try: %s\n", hint);
		}
	}
	return DYSCO_EXIT_REFUSED;
}

static bool tells_of_job(const struct dysco_command *command)
{
	return command->show == dysco_show_change || command->show == dysco_show_job ||
	       command->show == dysco_show_adopted;
}

/* The exit code is the same whichever way the answer is printed. */
static enum dysco_exit findings(const struct dysco_command *command, const json_t *answer)
{
	const json_t *complete = json_object_get(answer, "complete");

	if (command->show == dysco_show_trace && !json_is_true(complete)) {
		return DYSCO_EXIT_FINDINGS;
	}
	if (tells_of_job(command)) {
		return dysco_job_exit(answer);
	}
	if (command->show == dysco_show_policy_test &&
	    strcmp(dysco_json_text(answer, "verdict"), "drop") == 0) {
		return DYSCO_EXIT_FINDINGS;
	}
	return DYSCO_EXIT_DONE;
}

static enum dysco_exit show(const struct dysco_cli *cli, const struct dysco_command *command,
			    const json_t *answer)
{
	if (json_object_get(answer, "error")) {
		return refused(cli, answer);
	}
	if (cli->json) {
		print_json(answer);
		return findings(command, answer);
	}
	if (!command->show) {
		return DYSCO_EXIT_DONE;
	}
	return command->show(cli, answer);
}

static bool is_over(const json_t *job)
{
	const char *state = dysco_json_text(job, "state");

	return strcmp(state, "done") == 0 || strcmp(state, "aborted") == 0;
}

/* Asks for the job again and again, until it is over; takes over the answer that told of it. */
static json_t *wait_for_job(const struct dysco_cli *cli, json_t *answer, char error[ERROR_BYTES])
{
	const struct timespec pause = {.tv_nsec = 100000000};
	char line[64];

	if (!cli->json) {
		dysco_warn_of_policies(answer);
	}
	snprintf(line, sizeof(line), "job show %" JSON_INTEGER_FORMAT,
		 dysco_json_count(answer, "job"));
	while (answer && dysco_json_count(answer, "job") > 0 && !is_over(answer)) {
		if (json_object_get(answer, "total")) {
			dysco_show_progress(answer);
			nanosleep(&pause, NULL);
		}
		json_decref(answer);
		answer = dysco_client_ask(cli->socket, line, error, ERROR_BYTES);
	}
	dysco_show_progress(NULL);
	return answer;
}

static enum dysco_exit ask(const struct dysco_cli *cli, const struct dysco_command *command,
			   const char *line)
{
	char error[ERROR_BYTES];
	enum dysco_exit result;
	json_t *answer = dysco_client_ask(cli->socket, line, error, sizeof(error));

	if (answer && cli->wait && tells_of_job(command)) {
		answer = wait_for_job(cli, answer, error);
	}
	if (!answer) {
		return fail(cli, "no_agent", error);
	}
	result = show(cli, command, answer);
	json_decref(answer);
	return result;
}

/* Until the agent closes or the user interrupts. */
static enum dysco_exit follow(const struct dysco_cli *cli, const struct dysco_command *command,
			      const char *line)
{
	struct dysco_client_reader reader = {0};
	struct timeval for_ever = {0};
	enum dysco_exit result = DYSCO_EXIT_DONE;
	char error[ERROR_BYTES];
	json_t *event;

	reader.fd = dysco_client_connect(cli->socket, error, sizeof(error));
	if (reader.fd < 0) {
		return fail(cli, "no_agent", error);
	}
	(void)setsockopt(reader.fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
	if (dysco_client_send(reader.fd, line, error, sizeof(error)) == 0) {
		while (result == DYSCO_EXIT_DONE &&
		       (event = dysco_client_next(&reader, error, sizeof(error)))) {
			result = show(cli, command, event);
			json_decref(event);
		}
	}
	free(reader.bytes);
	close(reader.fd);
	if (result != DYSCO_EXIT_DONE) {
		return result;
	}
	return fail(cli, "no_agent", error[0] ? error : "the agent has gone");
}

static int word_count(const char *words)
{
	return strchr(words, ' ') ? 2 : 1;
}

/* Does the command line argv begin with this command? */
static bool is_command(const struct dysco_command *command, int argc, char **argv)
{
	const char *space = strchr(command->words, ' ');
	size_t first = space ? (size_t)(space - command->words) : strlen(command->words);

	if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], command->words, first) != 0) {
		return false;
	}
	return !space || (argc > 1 && strcmp(argv[1], space + 1) == 0);
}

static const struct dysco_command *find_command(int argc, char **argv)
{
	for (const struct dysco_command *c = dysco_commands; c->words; c++) {
		if (is_command(c, argc, argv)) {
			return c;
		}
	}
	return NULL;
}

static enum dysco_exit run(const struct dysco_cli *cli, int argc, char **argv)
{
	const struct dysco_command *command = find_command(argc, argv);
	char line[DYSCO_LINE_BYTES];
	int words;

	if (!command) {
		return dysco_suggest(argc, argv);
	}
	words = word_count(command->words);
	if (argc - words < command->min_arguments) {
		return dysco_usage_error("usage: dysco %s %s", command->words, command->arguments);
	}
	if (command->run) {
		return command->run(cli, argc - words + 1, argv + words - 1);
	}
	if (dysco_client_line(line, sizeof(line), argc, argv) != 0) {
		return dysco_usage_error("%s: too long", command->words);
	}
	if (command->show == dysco_show_event) {
		return follow(cli, command, line);
	}
	return ask(cli, command, line);
}

enum dysco_exit dysco_run_help(const struct dysco_cli *cli, int argc, char **argv)
{
	(void)cli;
	if (argc <= 1) {
		printf("usage: dysco [-s SOCKET] [--json] COMMAND ...\n\n");
	}
	for (const struct dysco_command *c = dysco_commands; c->words; c++) {
		size_t length = argc > 1 ? strlen(argv[1]) : 0;

		if (argc <= 1) {
			printf("  %s%-15s%s %s\n", dysco_colour(DYSCO_BOLD), c->words,
			       dysco_colour_off(), c->summary);
		} else if (strncmp(c->words, argv[1], length) == 0) {
			printf("dysco %s %s\n    %s\n", c->words, c->arguments, c->summary);
		}
	}
	if (argc <= 1) {
		printf("\n'dysco help COMMAND' says more; the manual is dysco(1).\n");
	}
	return DYSCO_EXIT_DONE;
}

enum dysco_exit dysco_run_version(const struct dysco_cli *cli, int argc, char **argv)
{
	char error[ERROR_BYTES];
	json_t *answer = dysco_client_ask(cli->socket, "version", error, sizeof(error));
	const char *agent = dysco_json_text(answer, "version");

	(void)argc;
	(void)argv;
	if (cli->json) {
		json_t *document = json_pack("{s:s,s:s*}", "dysco", DYSCO_VERSION, "agent",
					     agent[0] ? agent : NULL);

		print_json(document);
		json_decref(document);
	} else {
		printf("dysco %s\n", DYSCO_VERSION);
		if (agent[0]) {
			printf("dyscod %s\n", agent);
		}
	}
	json_decref(answer);
	return DYSCO_EXIT_DONE;
}

/* Options that are words of the statement: 0 none, 1 alone, 2 with a value behind it. */
static int statement_option(const char *word)
{
	static const char *const alone[] = {"--dry-run", "--force"};
	static const char *const valued[] = {"--filter", "--policy",   "--box",	   "--to",
					     "--rate",	 "--parallel", "--timeout"};

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
		if (strcmp(word, alone[i]) == 0) {
			return 1;
		}
	}
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++) {
		if (strcmp(word, valued[i]) == 0) {
			return 2;
		}
	}
	return 0;
}

/*
 * Options may stand anywhere before the filter expression and before the
 * words of `lab`, which has options of its own. Returns the words' count, -1
 * for an unknown option.
 */
static int take_options(struct dysco_cli *cli, int argc, char **argv)
{
	static char help[] = "help", version[] = "version", existing[] = "existing";
	int kept = 0;
	bool rest = false;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (rest || word[0] != '-' || word[1] == '\0') {
			rest = rest || strcmp(word, "filter") == 0 ||
			       (kept == 0 && strcmp(word, "lab") == 0);
			argv[kept++] = argv[i];
		} else if (statement_option(word) > 0) {
			argv[kept++] = argv[i];
			if (statement_option(word) == 2 && i + 1 < argc) {
				argv[kept++] = argv[++i];
			}
		} else if (strcmp(word, "--wait") == 0 || strcmp(word, "-w") == 0) {
			cli->wait = true;
		} else if (strcmp(word, "--existing") == 0) {
			argv[kept++] = existing; /* a clause of policies like others */
		} else if (strcmp(word, "--json") == 0 || strcmp(word, "-j") == 0) {
			cli->json = true;
		} else if (strcmp(word, "--all") == 0 || strcmp(word, "-a") == 0) {
			cli->all = true;
		} else if ((strcmp(word, "-s") == 0 || strcmp(word, "--socket") == 0) &&
			   i + 1 < argc) {
			cli->socket = argv[++i];
		} else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
			argv[0] = help;
			return 1;
		} else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
			argv[0] = version;
			return 1;
		} else {
			(void)dysco_usage_error("unknown option '%s'; try 'dysco help'", word);
			return -1;
		}
	}
	argv[kept] = NULL; /* what they run gets argv as it is */
	return kept;
}

int main(int argc, char **argv)
{
	struct dysco_cli cli = {.socket = getenv("DYSCO_SOCKET")};
	int words;

	signal(SIGPIPE, SIG_DFL);
	if (!cli.socket || cli.socket[0] == '\0') {
		cli.socket = DYSCO_SOCKET_DEFAULT;
	}
	words = take_options(&cli, argc, argv);
	if (words < 0) {
		return DYSCO_EXIT_USAGE;
	}
	if (words == 0) {
		(void)dysco_run_help(&cli, 0, NULL);
		return DYSCO_EXIT_USAGE;
	}
	return (int)run(&cli, words, argv);
}
