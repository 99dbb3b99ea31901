/* world: a seeded SQL server, a gateway, a journal, the queue and the jobs, for tests of whole runs. The gateway is always the
 * stand-in of this build, since these tests need its control port. For test programs only, hence static. */
#ifndef TESTS_UNIT_JOBS_WORLD_H
#define TESTS_UNIT_JOBS_WORLD_H

#include <inttypes.h>
#include <sys/stat.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/unit/db/sql_world.h"
#include "worker/core/pool.h"
#include "worker/core/queue.h"
#include "worker/jobs/jobs.h"
#include "worker/jobs/migrate.h"

#define MALL 634418200000001
#define APP_KEY "simkey00000000000000000000000001"
#define APP_SECRET "simsecret0123456789abcdef0123456789ab"
#define ACCESS_TOKEN "simtoken-a1"

struct world {
	struct sql_world sql;
	pid_t gateway;
	int gateway_port, gateway_control;
	char state[100];
	struct settings settings;
	struct journal *journal;
	struct queue *queue;
	struct pool *pool;
	void *env;
	struct db *db; /* the test's own connection to the own database */
	struct err err;
};

/* --- the gateway's control port --- */

static bool answer_whole(const struct buf *answer)
{
	const char *end = strstr(buf_text(answer), "\r\n\r\n"), *length = strcasestr(buf_text(answer), "content-length:");

	return end && length && length < end &&
	       answer->len >= (size_t)(end + 4 - buf_text(answer)) + (size_t)strtoull(length + 15, NULL, 10);
}

/* The body of the answer, "" when it was not 200. */
static void gateway_ask(const struct world *w, const char *method, const char *path, const char *body, struct buf *out)
{
	char chunk[65536];
	ssize_t got;
	const char *start;
	struct buf answer;
	int fd = world_connect(w->gateway_control);

	buf_init(&answer, 64 << 20);
	if (fd >= 0)
		dprintf(fd,
		        "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "
		        "%zu\r\n\r\n%s",
		        method, path, strlen(body), body);
	while (fd >= 0 && !answer_whole(&answer) && (got = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&answer, chunk, (size_t)got);
	start = strstr(buf_text(&answer), "\r\n\r\n");
	buf_clear(out);
	if (start && strstr(buf_text(&answer), " 200 "))
		buf_add_text(out, start + 4);
	else
		fprintf(stderr, "gateway %s %s: %s\n", path, body, buf_text(&answer));
	buf_release(&answer);
	if (fd >= 0)
		close(fd);
}

WORLD_UNUSED static void gateway_order(const struct world *w, const char *path, const char *body)
{
	struct buf out;

	buf_init(&out, 64 << 20);
	gateway_ask(w, "POST", path, body, &out);
	buf_release(&out);
}

struct temu_truth {
	int64_t sku_id, stock, edits;
	char sku[128];
};

/* Every SKU of the shop; heap. */
WORLD_UNUSED static struct temu_truth *gateway_stock(const struct world *w, size_t *count)
{
	struct err err = ERR_INIT;
	struct temu_truth *list;
	struct json *root;
	struct buf out;
	size_t n = 0;

	buf_init(&out, 64 << 20);
	gateway_ask(w, "GET", "/stock", "", &out);
	root = json_parse(buf_text(&out), out.len, &err);
	list = calloc(json_size(json_get(root, "skus")) + 1, sizeof(*list));
	for (const struct json *s = json_first(json_get(root, "skus")); s; s = json_next(s), n++) {
		list[n].sku_id = json_get_int64(s, "sku_id", 0);
		list[n].stock = json_get_int64(s, "stock", -1);
		list[n].edits = json_get_int64(s, "edits", 0);
		snprintf(list[n].sku, sizeof(list[n].sku), "%s", json_get_string(s, "sku_sn", ""));
	}
	json_free(root);
	buf_release(&out);
	*count = n;
	return list;
}

/* --- start and stop --- */

static bool world_start_gateway(struct world *w)
{
	char program[4200], data[100], ports[100], log[100];
	const char *argv[] = { program, "--data", data, "--port-file", ports, "--rate", "100000", NULL };

	world_program("sandbox-gateway", program, sizeof(program));
	snprintf(data, sizeof(data), "%s/gateway.json", w->sql.folder);
	snprintf(ports, sizeof(ports), "%s/gateway.ports", w->sql.folder);
	snprintf(log, sizeof(log), "%s/gateway.log", w->sql.folder);
	if (!program[0])
		return false;
	w->gateway = world_spawn(argv, log);
	return world_ports(w->gateway, ports, &w->gateway_port, &w->gateway_control);
}

/* The shops' credentials for the seed; no setting of the daemons, which would refuse the variable. */
static void world_credentials(bool set)
{
	if (set)
		setenv("TEMU_SEED_SHOPS",
		       "[{\"app_key\":\"" APP_KEY "\",\"app_secret\":\"" APP_SECRET "\",\"access_token\":\"" ACCESS_TOKEN "\"},"
		       "{\"app_key\":\"" APP_KEY "-2\",\"app_secret\":\"" APP_SECRET "-2\",\"access_token\":\"" ACCESS_TOKEN "-2\"}]",
		       1);
	else
		unsetenv("TEMU_SEED_SHOPS");
}

WORLD_UNUSED static bool world_seed(const struct world *w, int articles, const char *own_collation, const char *data)
{
	bool seeded;

	world_credentials(true);
	seeded = sql_world_seed(&w->sql, articles, own_collation, data);
	world_credentials(false);
	return seeded;
}

static bool world_configure(struct world *w, const char *extra, const char *shop_extra)
{
	char path[100], url[200];
	FILE *file;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/openapi/router", w->gateway_port);
	snprintf(path, sizeof(path), "%s/temu.yaml", w->sql.folder);
	file = fopen(path, "we");
	if (!file)
		return false;
	fprintf(
	    file,
	    "paths:\n  run: %s\n  state: %s\ndatabase:\n  server: \"%s\"\n  user: %s\n  password: \"%s\"\n  name: %s\n  jtl: %s\n"
	    "  lock_timeout_ms: 1000\nworkers:\n  threads: 2\n  backoff_ms: 10\n  backoff_max_ms: 50\n  hold_ms: 60000\n"
	    "lease:\n  ttl_s: 3600\nmirror:\n  enabled: false\n%s"
	    "shops:\n  - id: 1\n    name: Test\n    url: \"%s\"\n    app_key: %s\n    app_secret: %s\n    access_token: %s\n"
	    "    warehouses: [2]\n%s",
	    w->state, w->state, w->sql.address, w->sql.user, w->sql.password, w->sql.own, w->sql.jtl, extra, url,
	    APP_KEY, APP_SECRET, ACCESS_TOKEN, shop_extra);
	if (strstr(shop_extra, "url: "))
		fprintf(file, "\"%s\"\n", url);
	fclose(file);
	return settings_load(path, &w->settings, &w->err) == 0;
}

static bool world_start_engine(struct world *w)
{
	static char journal[200];
	struct journal_config config = { .path = journal, .boot = "test", .queue_max = 10000 };
	struct queue_config queue = { .settings = &w->settings };

	snprintf(journal, sizeof(journal), "%s/journal.db", w->state);
	queue.jobs = jobs_table(&queue.job_count);
	w->journal = journal_open(&config, &w->err);
	if (!w->journal)
		return false;
	w->env = jobs_env_new(&w->settings, w->journal, &w->err);
	queue.journal = w->journal;
	w->queue = w->env ? queue_new(&queue, &w->err) : NULL;
	w->pool = w->queue ? pool_start(w->queue, 2, w->env, &w->err) : NULL;
	return w->pool != NULL;
}

/* extra: more lines of the configuration ("temu:\n  attempts: 1\n"), shop_extra: of the shop ("    formula: jtl\n"); a second
 * shop in it ends in "url: ". 0; sql.there tells whether there is a server. */
WORLD_UNUSED static int world_start(struct world *w, int articles, const char *own_collation, const char *extra,
                                    const char *shop_extra)
{
	char data[100];

	memset(w, 0, sizeof(*w));
	w->err = (struct err)ERR_INIT;
	log_init("test", getenv("TEMU_TEST_VERBOSE") ? LEVEL_DEBUG : LEVEL_ERROR, LOG_TEXT);
	if (sql_world_start(&w->sql, articles, own_collation, NULL) != 0)
		return -1;
	if (!w->sql.there)
		return 0;
	snprintf(data, sizeof(data), "%s/gateway.json", w->sql.folder);
	snprintf(w->state, sizeof(w->state), "%s/state", w->sql.folder);
	if (mkdir(w->state, 0700) != 0 || !world_seed(w, articles, own_collation, data) || !world_start_gateway(w) ||
	    !world_configure(w, extra, shop_extra) || schema_migrate(&w->settings, false, &w->err) != 0 ||
	    !world_start_engine(w)) {
		fprintf(stderr, "world: %s %s\n", w->err.code, w->err.text);
		return -1;
	}
	w->db = sql_world_open(&w->sql, w->sql.own);
	return w->db ? 0 : -1;
}

WORLD_UNUSED static void world_stop(struct world *w)
{
	static const char *const files[] = { "state/journal.db",      "state/journal.db-wal", "state/journal.db-shm",
		                             "state/journal.db.lock", "state/freetds.conf",   "gateway.json",
		                             "gateway.ports",         "gateway.log",          "temu.yaml",
		                             "state/installation" };
	char path[200];

	db_close(w->db);
	if (w->queue)
		queue_stop(w->queue);
	pool_stop(w->pool);
	queue_free(w->queue);
	jobs_env_free(w->env);
	journal_close(w->journal);
	settings_release(&w->settings);
	world_end(&w->gateway);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->sql.folder, files[i]);
		unlink(path);
	}
	rmdir(w->state);
	sql_world_stop(&w->sql);
}

/* --- runs --- */

WORLD_UNUSED static bool world_gate(struct world *w, enum gate gate)
{
	return journal_gate_set(w->journal, 1, gate, "test", "test", NULL, &w->err) == 0;
}

/* Queues a run of a shop; its id into id[RUN_ID_MAX]. */
WORLD_UNUSED static bool world_submit_shop(struct world *w, int64_t shop, const char *params, char *id)
{
	struct json *json = json_parse(params, strlen(params), &w->err);
	struct queue_request request = { .job = "temu_inventory_sync", .shop = shop, .params = json };
	struct queue_answer answer;
	int rc = json ? queue_submit(w->queue, &request, &answer, &w->err) : -1;

	json_free(json);
	if (rc == 0)
		snprintf(id, RUN_ID_MAX, "%s", answer.run_id);
	else
		fprintf(stderr, "submit: %s %s\n", w->err.code, w->err.text);
	return rc == 0;
}

WORLD_UNUSED static bool world_submit(struct world *w, const char *params, char *id)
{
	return world_submit_shop(w, 1, params, id);
}

/* A run as it ended: the caller frees with ended_release. */
struct ended {
	struct run_record record;
	struct json *result;
};

static bool run_over(const struct run_record *record)
{
	return record->state == RUN_SUCCESS || record->state == RUN_PARTIAL || record->state == RUN_FAILED ||
	       record->state == RUN_CANCELLED || record->state == RUN_HELD;
}

/* Until the run is over or held; at most a minute. */
WORLD_UNUSED static bool world_await(struct world *w, const char *id, struct ended *ended)
{
	int64_t until = clock_mono_ms() + 60000;

	memset(ended, 0, sizeof(*ended));
	while (clock_mono_ms() < until) {
		if (journal_run_get(w->journal, id, &ended->record, &w->err) != 1)
			return false;
		if (run_over(&ended->record)) {
			if (ended->record.result)
				ended->result = json_parse(ended->record.result, strlen(ended->record.result), &w->err);
			return true;
		}
		run_record_release(&ended->record);
		world_nap();
	}
	fprintf(stderr, "run %s does not end\n", id);
	return false;
}

WORLD_UNUSED static void ended_release(struct ended *ended)
{
	run_record_release(&ended->record);
	json_free(ended->result);
}

WORLD_UNUSED static int64_t figure(const struct ended *ended, const char *name)
{
	return json_get_int64(ended->result, name, -1);
}

#endif
