/* sandbox-sql: options, the password, the two ports, the end on SIGTERM. The wire is in tds_*.c, the T-SQL engine
 * behind engine.h. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "ecosystem/sandbox/sql/tds_control.h"
#include "ecosystem/sandbox/sql/tds_server.h"

struct options {
	const char *file, *host, *user, *password_file, *collation, *port_file, *control_port_file, *tls_cert, *tls_key;
	int port, control_port; /* control_port -1 = none */
	bool require_encryption;
};

static const char usage[] =
    "usage: sandbox-sql --file DB.sqlite [--host 127.0.0.1] [--port 1433] [--port-file FILE]\n"
    "                   [--user sa] [--password-file FILE] (or SANDBOX_SQL_PASSWORD in the environment)\n"
    "                   [--collation Latin1_General_CI_AS] [--tls-cert PEM --tls-key PEM [--require-encryption]]\n"
    "                   [--control-port N] [--control-port-file FILE]\n"
    "Port 0 takes a free one. When ready, one line on standard output: sandbox-sql: listening on HOST:PORT\n"
    "\n"
    "Control port (loopback, one command a line, answers 'ok' or 'error TEXT'):\n"
    "  FAULT [numbers] [match=TEXT|match=\"TEXT\"] [count=N] [skip=N]   count 1 if not said, 0 = until clear;\n"
    "  match is looked for in the SQL text (logins: in the user name), case-insensitive\n";

static void print_help(void)
{
	struct buf out;

	buf_init(&out, 8192);
	tds_control_help(&out);
	printf("%s%s", usage, buf_text(&out));
	buf_release(&out);
}

static int parse_port(const char *text, int *out)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end != '\0' || number < 0 || number > 65535)
		return -1;
	*out = (int)number;
	return 0;
}

static int text_option(struct options *o, int c)
{
	const char **field[] = {
		['f'] = &o->file, ['h'] = &o->host,      ['u'] = &o->user,
		['w'] = &o->password_file, ['l'] = &o->collation,
		['P'] = &o->port_file, ['C'] = &o->control_port_file, ['t'] = &o->tls_cert, ['k'] = &o->tls_key,
	};

	if (c < 0 || (size_t)c >= sizeof(field) / sizeof(field[0]) || !field[c])
		return -1;
	*field[c] = optarg;
	return 0;
}

/* 0, -1 for a mistake, 1 when help was asked for. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "file", required_argument, NULL, 'f' },          { "host", required_argument, NULL, 'h' },
		{ "port", required_argument, NULL, 'p' },          { "port-file", required_argument, NULL, 'P' },
		{ "user", required_argument, NULL, 'u' },          { "password-file", required_argument, NULL, 'w' },
		{ "collation", required_argument, NULL, 'l' },     { "control-port", required_argument, NULL, 'c' },
		{ "control-port-file", required_argument, NULL, 'C' }, { "tls-cert", required_argument, NULL, 't' },
		{ "tls-key", required_argument, NULL, 'k' },       { "require-encryption", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, '?' + 128 },          { NULL, 0, NULL, 0 },
	};
	int c, rc = 0;

	*o = (struct options){ .host = "127.0.0.1", .port = 1433, .control_port = -1, .user = "sa",
	                        .collation = "Latin1_General_CI_AS" };
	while (rc == 0 && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?' + 128)
			return 1;
		if (c == 'p')
			rc = parse_port(optarg, &o->port);
		else if (c == 'c')
			rc = parse_port(optarg, &o->control_port);
		else if (c == 'r')
			o->require_encryption = true;
		else
			rc = text_option(o, c);
	}
	if (rc != 0 || optind != argc || !o->file || !o->tls_cert != !o->tls_key || (o->require_encryption && !o->tls_cert))
		return -1;
	return 0;
}

/* Into out[size]; the first line of the file, or the environment's value, which is then taken out of it. */
static int read_password(const char *path, char *out, size_t size, struct err *err)
{
	const char *value = getenv("SANDBOX_SQL_PASSWORD");
	FILE *file;

	if (!path) {
		if (!value || strlen(value) >= size)
			return err_set(err, ERR_PERM, "PASSWORD", "no password: --password-file or SANDBOX_SQL_PASSWORD");
		snprintf(out, size, "%s", value);
		unsetenv("SANDBOX_SQL_PASSWORD");
		return 0;
	}
	file = fopen(path, "re");
	if (!file || !fgets(out, (int)size, file)) {
		err_set(err, ERR_PERM, "PASSWORD", "%s: %s", path, file ? "is empty" : strerror(errno));
		if (file)
			fclose(file);
		return -1;
	}
	fclose(file);
	out[strcspn(out, "\r\n")] = '\0';
	return 0;
}

/* Beside and renamed, so that a reader sees the number or nothing. */
static int write_port(const char *path, int port, struct err *err)
{
	char beside[4096];
	FILE *file;

	if (!path)
		return 0;
	snprintf(beside, sizeof(beside), "%.4000s.new", path);
	file = fopen(beside, "we");
	if (!file || fprintf(file, "%d\n", port) < 0 || fclose(file) != 0 || rename(beside, path) != 0)
		return err_set(err, ERR_PERM, "FILE", "%s: %s", path, strerror(errno));
	return 0;
}

static int open_engine(const struct options *o, struct tds_shared *shared, struct err *err)
{
	char password[256];
	int rc = -1;

	if (read_password(o->password_file, password, sizeof(password), err) == 0) {
		shared->engine = engine_open(o->file, o->user, password, o->collation, err);
		rc = shared->engine ? 0 : -1;
	}
	explicit_bzero(password, sizeof(password));
	return rc;
}

static int set_up(const struct options *o, struct tds_shared *shared, struct err *err)
{
	snprintf(shared->collation, sizeof(shared->collation), "%s", o->collation);
	shared->require_encryption = o->require_encryption;
	shared->faults = tds_faults_new();
	if (!shared->faults)
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory");
	if (o->tls_cert) {
		shared->tls = tds_tls_server_new(o->tls_cert, o->tls_key, err);
		if (!shared->tls)
			return -1;
	}
	return open_engine(o, shared, err);
}

int main(int argc, char **argv)
{
	static struct tds_shared shared;
	struct tds_control *control = NULL;
	struct tds_server *server = NULL;
	struct err err = ERR_INIT;
	struct options o;
	sigset_t signals;
	int got, rc = read_options(argc, argv, &o);

	if (rc != 0) {
		if (rc > 0)
			print_help();
		else
			fputs(usage, stderr);
		return rc > 0 ? 0 : 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	log_init("sandbox-sql", LEVEL_ERROR, LOG_TEXT); /* standard output carries the one line only */
	rc = 1;
	if (set_up(&o, &shared, &err) != 0)
		goto out;
	server = tds_server_start(o.host, o.port, &shared, &err);
	if (!server || write_port(o.port_file, tds_server_port(server), &err) != 0)
		goto out;
	if (o.control_port >= 0) {
		control = tds_control_start(o.control_port, server, shared.faults, &err);
		if (!control || write_port(o.control_port_file, tds_control_port(control), &err) != 0)
			goto out;
	}
	printf("sandbox-sql: listening on %s:%d\n", o.host, tds_server_port(server));
	fflush(stdout);
	sigwait(&signals, &got);
	rc = 0;
out:
	tds_control_stop(control);
	tds_server_stop(server);
	if (rc != 0)
		fprintf(stderr, "sandbox-sql: %s\n", err.text);
	if (shared.engine)
		engine_close(shared.engine);
	tds_tls_server_free(shared.tls);
	tds_faults_free(shared.faults);
	return rc;
}
