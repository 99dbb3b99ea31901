/* temu-workers: puts the engine, its journal and the jobs together and runs them until a signal comes. What they do stands in their rooms. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "common/clock.h"
#include "common/daemon.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/zone.h"
#include "proto/settings.h"
#include "worker/core/alarm_sender.h"
#include "worker/core/control.h"
#include "worker/core/events.h"
#include "worker/core/pool.h"
#include "worker/core/queue.h"
#include "worker/core/scheduler.h"
#include "worker/jobs/jobs.h"
#include "worker/jobs/migrate.h"
#include "worker/store/journal.h"

#define VERSION "0.1"
#define LOG_QUEUE 20000
#define FREE_FLOOR (64LL << 20)
#define OWN_CONNECTIONS 2  /* of the database, beside those of the runs: the leases' and the log mirror's */
#define DEAF_MAX_MS 15000 /* longer than it takes to notice and to listen anew */

enum mode { MODE_RUN, MODE_MIGRATE, MODE_PLAN, MODE_REPORT, MODE_CHECK, MODE_HELP_CONFIG, MODE_VERSION, MODE_HELP };

struct options {
	enum mode mode;
	const char *config;
};

struct workers {
	char boot[24];
	struct settings settings;
	struct zone *zone; /* of the days that figures are counted by */
	struct events *events;
	struct journal *journal;
	void *env;
	struct queue *queue;
	struct pool *pool;
	struct scheduler *scheduler;
	struct control *control;
	struct alarm_sender *alarms;
	char command_path[200], event_path[200];
};

static const char help[] =
    "temu-workers: runs the jobs that keep TEMU shops and JTL-Wawi in step.\n"
    "  --config FILE      settings (or the variable TEMU_CONFIG); every key is also a TEMU_ variable\n"
    "  --migrate          bring the own database to this release's schema, and end\n"
    "  --migrate --plan   show what that would do\n"
    "  --adoption-report  show what is amiss in the tables the old system left, with the statements that mend it\n"
    "  --check-config     read the settings, and end: 0 when they are right\n"
    "  --help-config      print every setting with its default as a commented file\n"
    "  --version, --help\n";

/* --- the command line ----------------------------------------------------------------------------------------------- */

static int
parse_options(int argc, char **argv, struct options *options, struct err *err)
{
	static const struct {
		const char *name;
		enum mode mode;
	} modes[] = {
		{ "--migrate", MODE_MIGRATE },         { "--adoption-report", MODE_REPORT }, { "--check-config", MODE_CHECK },
		{ "--help-config", MODE_HELP_CONFIG }, { "--version", MODE_VERSION },        { "--help", MODE_HELP },
	};
	const size_t mode_count = sizeof(modes) / sizeof(modes[0]);
	bool plan = false;
	*options = (struct options){ .config = getenv("TEMU_CONFIG") };
	for (int i = 1; i < argc; i++) {
		size_t m = 0;
		while (m < mode_count && strcmp(argv[i], modes[m].name) != 0)
			m++;
		if (m < mode_count && options->mode == MODE_RUN)
			options->mode = modes[m].mode;
		else if (strcmp(argv[i], "--plan") == 0)
			plan = true;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			options->config = argv[++i];
		else
			return err_set(err, ERR_PERM, "USAGE", "%s: not understood here; see temu-workers --help", argv[i]);
	}
	if (plan && options->mode != MODE_MIGRATE)
		return err_set(err, ERR_PERM, "USAGE", "--plan goes with --migrate");
	if (plan)
		options->mode = MODE_PLAN;
	return 0;
}

static void
print_config_help(void)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	settings_print_help(&text);
	fputs(buf_text(&text), stdout);
	buf_release(&text);
}

/* --- start ---------------------------------------------------------------------------------------------------------- */

static int64_t
local_day(int64_t time_ms, void *zone)
{
	struct zone_time local;
	zone_local(zone, time_ms, &local);
	return zone_days(local.year, local.month, local.day);
}

static int
open_store(struct workers *workers, struct err *err)
{
	const struct settings *settings = &workers->settings;
	char path[300];
	uint64_t bits;
	if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return err_set(err, ERR_TEMP, "RANDOM", "no random bits from the kernel");
	snprintf(workers->boot, sizeof(workers->boot), "b-%016" PRIx64, bits);
	snprintf(path, sizeof(path), "%s/journal.db", settings->state_folder);
	snprintf(workers->command_path, sizeof(workers->command_path), "%s/workers.sock", settings->run_folder);
	snprintf(workers->event_path, sizeof(workers->event_path), "%s/events.sock", settings->run_folder);
	if (daemon_folder(settings->run_folder, err) != 0 || daemon_folder(settings->state_folder, err) != 0)
		return -1;
	workers->zone = zone_load(settings->zone, err);
	if (workers->zone == NULL)
		return -1;
	workers->events = events_new(workers->boot, err);
	if (workers->events == NULL)
		return -1;
	struct journal_config config = { .path = path, .boot = workers->boot, .publish = events_publish, .publish_arg = workers->events,
		                         .queue_max = LOG_QUEUE, .free_floor_bytes = FREE_FLOOR, .day_of = local_day,
		                         .day_arg = workers->zone };
	workers->journal = journal_open(&config, err);
	if (workers->journal == NULL)
		return -1;
	log_sink_set(events_log, workers->journal);
	struct journal_retention rules = { .days = settings->retention_days, .runs_days = settings->retention_runs_days,
		                           .max_bytes = settings->retention_max_mb << 20 };
	return journal_retention_start(workers->journal, &rules, err);
}

static int
check_schedules(const struct settings *settings, struct err *err)
{
	size_t job_count;
	const struct job_type *const *jobs = jobs_table(&job_count);
	return scheduler_check(settings, jobs, job_count, err);
}

static int
start_scheduler(struct workers *workers, struct err *err)
{
	struct scheduler_config config = { .journal = workers->journal, .queue = workers->queue, .settings = &workers->settings };
	workers->scheduler = scheduler_start(&config, err);
	return workers->scheduler != NULL ? 0 : -1;
}

static int
start_control(struct workers *workers, struct err *err)
{
	struct control_config config = { .version = VERSION, .boot = workers->boot, .journal = workers->journal,
		                         .queue = workers->queue, .settings = &workers->settings };
	config.shops = (struct control_shops){ jobs_shop_add, jobs_lease_take, workers->env };
	config.scheduler = workers->scheduler;
	config.jobs = jobs_table(&config.job_count);
	config.stats[config.stats_count++] = (struct control_stats){ "queue", queue_stats, workers->queue };
	config.stats[config.stats_count++] = (struct control_stats){ "workers", pool_stats, workers->pool };
	config.stats[config.stats_count++] = (struct control_stats){ "journal", journal_stats, workers->journal };
	config.stats[config.stats_count++] = (struct control_stats){ NULL, jobs_env_stats, workers->env };
	workers->control = control_start(&config, workers->command_path, err);
	return workers->control != NULL ? 0 : -1;
}

static int
start_alarms(struct workers *workers, struct err *err)
{
	struct alarm_watch watch = { .journal = workers->journal, .settings = &workers->settings };
	watch.jobs = jobs_table(&watch.job_count);
	watch.shops = (struct control_shops){ .add = jobs_shop_add, .arg = workers->env };
	workers->alarms = alarm_sender_start(&watch, err);
	return workers->alarms != NULL ? 0 : -1;
}

/* One shop never waits for a thread or a connection that another one has: too few of them in the settings are raised. */
static void
raise_limits(struct settings *settings)
{
	size_t job_count;
	const struct job_type *const *jobs = jobs_table(&job_count);
	int64_t asked = settings->workers_threads, connections = settings->pool_base + settings->pool_overflow;
	settings->workers_threads = pool_threads(asked, settings->shop_count, jobs, job_count);
	if (settings->workers_threads > asked)
		log_info("workers.threads raised from %lld to %lld, for %zu shops", (long long)asked,
		         (long long)settings->workers_threads, settings->shop_count);
	if (connections >= settings->workers_threads + OWN_CONNECTIONS)
		return;
	settings->pool_overflow = settings->workers_threads + OWN_CONNECTIONS - settings->pool_base;
	log_info("database.pool.overflow raised to %lld, for %lld threads", (long long)settings->pool_overflow,
	         (long long)settings->workers_threads);
}

static int
start(struct workers *workers, struct err *err)
{
	size_t recovered;
	if (open_store(workers, err) != 0)
		return -1;
	raise_limits(&workers->settings);
	workers->env = jobs_env_new(&workers->settings, workers->journal, err);
	if (workers->env == NULL)
		return -1;
	struct queue_config config = { .journal = workers->journal, .settings = &workers->settings };
	config.jobs = jobs_table(&config.job_count);
	workers->queue = queue_new(&config, err);
	if (workers->queue == NULL || queue_recover(workers->queue, &recovered, err) != 0)
		return -1;
	/* Who listens first sees everything from the first run on. */
	if (events_start(workers->events, workers->event_path, workers->journal, err) != 0)
		return -1;
	workers->pool = pool_start(workers->queue, (int)workers->settings.workers_threads, workers->env, err);
	if (workers->pool == NULL || start_scheduler(workers, err) != 0 || start_alarms(workers, err) != 0 || start_control(workers, err) != 0)
		return -1;
	log_info("temu-workers %s is up: boot %s, journal %s, %lld threads, %zu shops, %zu runs taken over", VERSION, workers->boot,
	         journal_identity(workers->journal), (long long)workers->settings.workers_threads, workers->settings.shop_count,
	         recovered);
	return 0;
}

/* --- life and end --------------------------------------------------------------------------------------------------- */

/* How long nobody new was let in at one of the sockets. */
static int64_t
deaf_ms(struct workers *workers)
{
	int64_t commands = control_deaf_ms(workers->control), published = events_deaf_ms(workers->events);
	return commands > published ? commands : published;
}

/* A process that cannot be reached is of no use: the supervisor starts a new one, which recovers the runs. */
static void *
watch(void *arg)
{
	struct workers *workers = arg;
	struct timespec pause = { .tv_sec = 1 };
	log_streams_only();
	while (deaf_ms(workers) < DEAF_MAX_MS)
		nanosleep(&pause, NULL);
	log_error("nobody could reach us in %s for %d s: ending, to be started again", workers->settings.run_folder, DEAF_MAX_MS / 1000);
	daemon_exit(1);
}

/* For systemd's watchdog: fed while somebody new is let in and answered. */
static bool
alive(void *arg)
{
	struct workers *workers = arg;
	return deaf_ms(workers) == 0;
}

static void
drain(struct workers *workers)
{
	if (workers->queue != NULL)
		queue_stop(workers->queue);
	control_stop(workers->control); /* its numbers come from the pool, the environment and the retention */
	if (workers->journal != NULL)
		journal_retention_stop(workers->journal);
	scheduler_stop(workers->scheduler);
	pool_stop(workers->pool);
	alarm_sender_stop(workers->alarms);
	jobs_env_free(workers->env);
	log_sink_set(NULL, NULL);
	if (workers->journal != NULL)
		journal_close(workers->journal); /* publishes what is left */
	if (workers->events != NULL)
		events_stop(workers->events);
}

static int
run(struct workers *workers)
{
	struct err err = ERR_INIT;
	pthread_t watcher;
	if (start(workers, &err) != 0) {
		log_error("temu-workers cannot start: %s (%s)", err.text, err.code);
		daemon_drain_limit((int)workers->settings.workers_drain_ms);
		drain(workers);
		return 1;
	}
	if (pthread_create(&watcher, NULL, watch, workers) != 0)
		log_warning("nobody watches whether we can be reached: no thread for it");
	daemon_ready();
	int signal_number = daemon_wait(alive, workers);
	daemon_drain_limit((int)workers->settings.workers_drain_ms);
	log_info("stopping (signal %d)", signal_number);
	int64_t begun_ms = clock_mono_ms();
	drain(workers);
	log_info("stopped: duration %.3f s", (double)(clock_mono_ms() - begun_ms) / 1000);
	return 0;
}

/* What is done to the own database beside the daemon. */
static int
visit_database(const struct settings *settings, enum mode mode)
{
	struct err err = ERR_INIT;
	const char *failed = mode == MODE_MIGRATE ? "the schema is not up to date" :
	                     mode == MODE_PLAN    ? "the schema cannot be looked at" : "there is no adoption report";
	int rc = daemon_folder(settings->state_folder, &err);
	if (rc == 0)
		rc = mode == MODE_REPORT ? migrate_report(settings, &err) : schema_migrate(settings, mode == MODE_PLAN, &err);
	if (rc == 0)
		return 0;
	log_error("%s: %s (%s)", failed, err.text, err.code);
	return 1;
}

int
main(int argc, char **argv)
{
	static struct workers workers;
	struct options options;
	struct err err = ERR_INIT;
	int code = 1;
	daemon_init("temu-workers");
	log_init("temu-workers", LEVEL_INFO, LOG_TEXT);
	if (parse_options(argc, argv, &options, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (options.mode == MODE_HELP)
		return fputs(help, stdout) < 0;
	if (options.mode == MODE_VERSION)
		return printf("temu-workers %s\n", VERSION) < 0;
	if (options.mode == MODE_HELP_CONFIG) {
		print_config_help();
		return 0;
	}
	if (settings_load(options.config, &workers.settings, &err) != 0 || check_schedules(&workers.settings, &err) != 0) {
		log_error("%s", err.text);
		return 2;
	}
	log_init("temu-workers", (enum log_level)workers.settings.log_level, (enum log_format)workers.settings.log_format);
	if (options.mode == MODE_CHECK)
		code = printf("the settings are right: %zu shops\n", workers.settings.shop_count) < 0;
	else if (options.mode == MODE_RUN)
		code = run(&workers);
	else
		code = visit_database(&workers.settings, options.mode);
	daemon_exit(code);
}
