/* temu-api: options, start in order, the end on SIGTERM. What it answers is in routes.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "api/api.h"
#include "api/call.h"
#include "api/feed.h"
#include "api/httpd.h"
#include "api/hub.h"
#include "api/routes.h"
#include "common/clock.h"
#include "common/daemon.h"
#include "common/log.h"
#include "proto/settings.h"

/* Together less than what PM2 gives a process before it kills it (1.6 s). */
#define DRAIN_LIMIT_MS 1150
#define REQUESTS_LIMIT_MS 500
#define CLIENTS_LIMIT_MS 400
#define DESCRIPTORS 65536
#define REMEMBER_MOST 10000 /* events that are looked at once, at the first contact with the workers */

struct options {
	const char *config, *port_file;
	bool check;
};

static const char usage[] =
    "usage: temu-api [--config FILE] [--port-file FILE]\n"
    "\n"
    "Serves the REST interface and the live logs of temu-workers.\n"
    "\n"
    "  --config FILE     configuration (default: the file named by TEMU_CONFIG; every key can also come from the environment)\n"
    "  --port-file FILE  where to write the port once it is open (of use with api.port: 0)\n"
    "  --check-config    read the configuration, and end: 0 when it is right\n"
    "  --help-config     print every setting with its default as a commented file\n"
    "  --version         print the version\n"
    "  --help            print this\n";

static void
print_config_help(void)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	settings_print_help(&text);
	fputs(buf_text(&text), stdout);
	buf_release(&text);
}

/* 0: go on; 1: done; -1: wrong. */
static int
read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' }, { "port-file", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },         { "version", no_argument, NULL, 'v' },
		{ "check-config", no_argument, NULL, 'k' }, { "help-config", no_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int c;
	*options = (struct options){ .config = getenv("TEMU_CONFIG") };
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 'p':
			options->port_file = optarg;
			break;
		case 'k':
			options->check = true;
			break;
		case 'o':
			print_config_help();
			return 1;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'v':
			puts("temu-api " API_VERSION);
			return 1;
		default:
			return -1;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "temu-api: %s: not understood here\n", argv[optind]);
	return -1;
}

/* Beside and renamed: a reader sees the whole number or nothing. */
static int
write_port(const char *path, int port, struct err *err)
{
	char beside[4096];
	if (path == NULL)
		return 0;
	snprintf(beside, sizeof(beside), "%.4000s.new", path);
	FILE *file = fopen(beside, "we");
	if (file == NULL)
		return err_set(err, ERR_PERM, "FILE", "cannot write %s: %m", beside);
	int rc = fprintf(file, "%d\n", port) < 0 ? -1 : 0;
	if (fclose(file) != 0 || rc != 0 || rename(beside, path) != 0)
		return err_set(err, ERR_PERM, "FILE", "cannot write %s: %m", path);
	return 0;
}

/* Every live client and every connection is a descriptor. */
static void
raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warning("the number of descriptors stays at %llu: %m", (unsigned long long)limit.rlim_cur);
}

static int
read_events(void *arg, const struct event_query *query, struct answer *answer)
{
	return workers_event_read(arg, query, answer);
}

static int
say_hello(void *arg, struct answer *answer)
{
	return workers_hello(arg, answer);
}

static void
feed_enter(void *arg, const char *journal, const char *boot, int64_t next)
{
	log_info("live: journal %s, boot %s, next event %lld", journal, boot, (long long)next);
	hub_enter(arg, journal, boot, next);
}

static void
feed_add(void *arg, const struct json *event)
{
	hub_add(arg, event);
}

static void
feed_lost(void *arg, int64_t from, int64_t to)
{
	log_warning("live: the journal has the events %lld to %lld no more", (long long)from, (long long)to);
	hub_lost(arg, from, to);
}

/* Everything but the server, which comes last: once it listens, all else is there. */
static int
start_rooms(struct api *api, const struct settings *settings, struct err *err)
{
	struct hub_options hub = HUB_OPTIONS_INIT;
	struct feed_options feed = { .run_folder = settings->run_folder, .read = read_events, .hello = say_hello };
	struct feed_sink sink = { feed_enter, feed_add, feed_lost, NULL };
	api->started_ms = clock_mono_ms();
	api->workers = workers_new(settings->run_folder, err);
	if (api->workers == NULL)
		return -1;
	hub.lines = (size_t)settings->api_live_queue;
	hub.clients = (int)settings->api_live_clients;
	hub.read = read_events;
	hub.read_arg = api->workers;
	api->hub = hub_start(&hub, err);
	if (api->hub == NULL)
		return -1;
	feed.remember = (size_t)(settings->api_live_queue < REMEMBER_MOST ? settings->api_live_queue : REMEMBER_MOST);
	feed.arg = api->workers;
	sink.arg = api->hub;
	api->feed = feed_start(&feed, &sink, err);
	return api->feed != NULL ? 0 : -1;
}

/* For the watchdog: who cannot look at the live clients any more does not come back from here. */
static bool
alive(void *arg)
{
	struct hub_stats stats;
	hub_stats_get(arg, &stats);
	return true;
}

static int
serve(const struct options *options, const struct settings *settings, struct err *err)
{
	static struct api api; /* the threads look at it until the process ends */
	struct httpd_options http = HTTPD_OPTIONS_INIT;
	if (daemon_folder(settings->run_folder, err) != 0 || start_rooms(&api, settings, err) != 0)
		return -1;
	http.host = settings->api_host;
	http.port = (int)settings->api_port;
	http.threads = (int)settings->api_threads;
	http.handler = routes_handle;
	http.arg = &api;
	http.problem = call_plain_problem;
	struct httpd *httpd = httpd_start(&http, err);
	if (httpd == NULL || write_port(options->port_file, httpd_port(httpd), err) != 0)
		return -1;
	log_info("temu-api %s listens on %s:%d", API_VERSION, settings->api_host, httpd_port(httpd));
	daemon_ready();
	daemon_wait(alive, api.hub);
	log_info("temu-api is stopping");
	daemon_drain_limit(DRAIN_LIMIT_MS);
	httpd_stop(httpd, REQUESTS_LIMIT_MS);
	hub_stop(api.hub, CLIENTS_LIMIT_MS);
	log_info("temu-api has stopped");
	return 0;
}

int
main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct settings settings;
	struct options options;
	int rc = read_options(argc, argv, &options);
	if (rc > 0)
		return 0;
	if (rc < 0) {
		fputs(usage, stderr);
		return 2;
	}
	daemon_init("temu-api");
	if (settings_load(options.config, &settings, &err) != 0) {
		fprintf(stderr, "temu-api: %s\n", err.text);
		return 2;
	}
	if (options.check)
		daemon_exit(printf("the settings are right: %zu shops\n", settings.shop_count) < 0);
	log_init("temu-api", (enum log_level)settings.log_level, (enum log_format)settings.log_format);
	raise_descriptors();
	if (serve(&options, &settings, &err) != 0) {
		log_error("temu-api cannot start: %s", err.text);
		daemon_exit(1);
	}
	daemon_exit(0);
}
