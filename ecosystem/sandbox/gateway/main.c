/* sandbox-gateway: options, the two ports, the state file, the end on SIGTERM.
 * The gateway itself is in the other files of this folder. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/gateway/gw_router.h"

struct options {
	const char *data, *state, *port_file;
	int64_t port, control_port, rate, latency_ms;
	bool repeat_key_error;
};

static const char usage[] =
    "usage: sandbox-gateway --data FILE [--port N] [--control-port N] [--port-file FILE] [--state FILE]\n"
    "                       [--rate N] [--latency-ms N] [--repeat-key error|false]\n";

static int number(const char *text, int64_t max, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max ? 0 : -1;
}

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "data", required_argument, NULL, 'd' },      { "state", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },      { "control-port", required_argument, NULL, 'c' },
		{ "port-file", required_argument, NULL, 'f' }, { "rate", required_argument, NULL, 'r' },
		{ "latency-ms", required_argument, NULL, 'l' }, { "repeat-key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = 0;

	*o = (struct options){ .rate = 20, .repeat_key_error = true };
	while (rc == 0 && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'd')
			o->data = optarg;
		else if (c == 's')
			o->state = optarg;
		else if (c == 'f')
			o->port_file = optarg;
		else if (c == 'p')
			rc = number(optarg, 65535, &o->port);
		else if (c == 'c')
			rc = number(optarg, 65535, &o->control_port);
		else if (c == 'r')
			rc = number(optarg, 1000000, &o->rate);
		else if (c == 'l')
			rc = number(optarg, 60000, &o->latency_ms);
		else if (c == 'k' && (strcmp(optarg, "error") == 0 || strcmp(optarg, "false") == 0))
			o->repeat_key_error = optarg[0] == 'e';
		else
			rc = -1;
	}
	return rc == 0 && o->data && optind == argc ? 0 : -1;
}

/* Beside and renamed, so that a reader sees both numbers or nothing. */
static int write_ports(const char *path, int port, int control_port, struct err *err)
{
	char beside[4096];
	FILE *file;

	if (!path)
		return 0;
	snprintf(beside, sizeof(beside), "%.4000s.new", path);
	file = fopen(beside, "we");
	if (!file || fprintf(file, "%d %d\n", port, control_port) < 0 || fclose(file) != 0 || rename(beside, path) != 0)
		return err_set(err, ERR_PERM, "FILE", "%s: %s", path, strerror(errno));
	return 0;
}

static int load(struct gw *gw, const struct options *o, struct err *err)
{
	gw->rate.per_second = o->rate;
	gw->latency_ms = o->latency_ms;
	gw->repeat_key_error = o->repeat_key_error;
	if (gw_shops_load(&gw->shops, o->data, err) != 0)
		return -1;
	if (!o->state)
		return 0;
	return gw_shops_restore(&gw->shops, o->state, err) != 0 ? -1 : gw_shops_journal_begin(&gw->shops, o->state, err);
}

static int save(struct gw *gw, const char *path, struct err *err)
{
	int rc;

	if (!path)
		return 0;
	pthread_mutex_lock(&gw->lock);
	rc = gw_shops_save(&gw->shops, path, err);
	pthread_mutex_unlock(&gw->lock);
	return rc;
}

int main(int argc, char **argv)
{
	struct gw_wire *wire = NULL, *control = NULL;
	struct err err = ERR_INIT;
	struct options o;
	struct gw *gw = NULL;
	sigset_t signals;
	int got, rc = 1;

	if (read_options(argc, argv, &o) != 0) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	gw = gw_new(&err);
	if (!gw || load(gw, &o, &err) != 0)
		goto out;
	wire = gw_wire_start((int)o.port, gw_router_handle, gw, &err);
	control = wire ? gw_wire_start((int)o.control_port, gw_control_handle, gw, &err) : NULL;
	if (!control || write_ports(o.port_file, gw_wire_port(wire), gw_wire_port(control), &err) != 0)
		goto out;
	printf("sandbox-gateway: listening on 127.0.0.1:%d control 127.0.0.1:%d\n", gw_wire_port(wire), gw_wire_port(control));
	fflush(stdout);
	sigwait(&signals, &got);
	rc = 0;
out:
	gw_wire_stop(wire);
	gw_wire_stop(control);
	if (rc == 0 && save(gw, o.state, &err) != 0)
		rc = 1;
	if (rc != 0)
		fprintf(stderr, "sandbox-gateway: %s\n", err.text);
	gw_free(gw);
	return rc;
}
