/* SPDX-License-Identifier: BSD-2-Clause */
/* `dysco keygen [FILE]`: 32 random bytes in hex, for `key ID file FILE` in the configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/cli.h"

#define KEY_BYTES 32

static enum dysco_exit trouble(const char *what)
{
	fprintf(stderr, "dysco: %s: %s\n", what, strerror(errno));
	return DYSCO_EXIT_INTERNAL;
}

/* An existing file is left alone: it may be the only copy of a key in use. */
static enum dysco_exit write_key(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t bytes = strlen(text);

	if (fd < 0) {
		return trouble(path);
	}
	if (write(fd, text, bytes) != (ssize_t)bytes || fsync(fd) != 0) {
		enum dysco_exit result = trouble(path);

		close(fd);
		unlink(path);
		return result;
	}
	close(fd);
	return DYSCO_EXIT_DONE;
}

enum dysco_exit dysco_run_keygen(const struct dysco_cli *cli, int argc, char **argv)
{
	uint8_t key[KEY_BYTES];
	char text[2 * KEY_BYTES + 2];

	(void)cli;
	if (argc > 2) {
		return dysco_usage_error("usage: dysco keygen [FILE]");
	}
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		return trouble("getrandom");
	}
	for (size_t i = 0; i < sizeof(key); i++) {
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	}
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	if (argc == 2) {
		return write_key(argv[1], text);
	}
	fputs(text, stdout);
	return DYSCO_EXIT_DONE;
}
