/* sql_world: a seeded T-SQL server for tests: the stand-in of this build, started in a folder of its own, or the one that
 * TEMU_TEST_TDS=host:port names (with TEMU_TEST_TDS_USER and _PASSWORD): there, databases of this process's own names are made
 * and dropped again. For test programs only, hence static. */
#ifndef TESTS_UNIT_DB_SQL_WORLD_H
#define TESTS_UNIT_DB_SQL_WORLD_H

#include <libgen.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "worker/db/db.h"

#define WORLD_UNUSED __attribute__((unused))

struct sql_world {
	char folder[64], address[128], user[64], own[64], jtl[64], password[128];
	pid_t server; /* 0 = somebody else's, or none */
	int port, control;
	bool there, external;
	struct db_config config; /* of the own database */
};

WORLD_UNUSED static void world_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* The program beside this test's build, "" when it was not built. */
WORLD_UNUSED static void world_program(const char *name, char *out, size_t size)
{
	char self[4096] = "";

	out[0] = '\0';
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return;
	snprintf(out, size, "%s/../../%s", dirname(self), name);
	if (access(out, X_OK) != 0)
		out[0] = '\0';
}

WORLD_UNUSED static pid_t world_spawn(const char *const argv[], const char *log)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing is left running when the test is killed */
		if (!freopen(log, "ae", stdout) || dup2(fileno(stdout), STDERR_FILENO) < 0)
			_exit(126);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

/* Up to two numbers from a file that a program writes when it is ready. */
WORLD_UNUSED static bool world_ports(pid_t pid, const char *path, int *first, int *second)
{
	for (int i = 0; i < 10000 && waitpid(pid, NULL, WNOHANG) == 0; i++) {
		FILE *file = fopen(path, "re");
		char line[64] = "", *end = line;

		if (file) {
			if (!fgets(line, sizeof(line), file))
				line[0] = '\0';
			fclose(file);
		}
		*first = (int)strtol(line, &end, 10);
		if (*first > 0) {
			if (second)
				*second = (int)strtol(end, NULL, 10);
			return true;
		}
		world_nap();
	}
	return false;
}

WORLD_UNUSED static void world_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGTERM);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void world_setting(const char *name, const char *fallback, char *out, size_t size)
{
	const char *value = getenv(name);

	snprintf(out, size, "%s", value && value[0] ? value : fallback);
}

static void sql_world_launch(struct sql_world *w, const char *program, const char *collation)
{
	char file[100], ports[100], controls[100], log[100], path[4200];
	const char *argv[] = { path,      "--file",
		               file,      "--port",
		               "0",       "--port-file",
		               ports,     "--control-port",
		               "0",       "--control-port-file",
		               controls,  "--collation",
		               collation, NULL };

	snprintf(path, sizeof(path), "%s", program);
	snprintf(file, sizeof(file), "%s/db.sqlite", w->folder);
	snprintf(ports, sizeof(ports), "%s/sql.port", w->folder);
	snprintf(controls, sizeof(controls), "%s/sql.control", w->folder);
	snprintf(log, sizeof(log), "%s/sandbox-sql.log", w->folder);
	setenv("SANDBOX_SQL_PASSWORD", w->password, 1);
	w->server = world_spawn(argv, log);
	w->there = world_ports(w->server, ports, &w->port, NULL) && world_ports(w->server, controls, &w->control, NULL);
	snprintf(w->address, sizeof(w->address), "127.0.0.1:%d", w->port);
}

/* What a program said before it failed. */
static void world_show(const char *path)
{
	char text[4000] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	fprintf(stderr, "%s: %s\n", path, text);
}

/* Both sides from one seed; gateway_data may be NULL. */
static bool sql_world_seed(const struct sql_world *w, int articles, const char *own_collation, const char *gateway_data)
{
	char number[20], log[100];
	const char *argv[] = { "/usr/bin/python3",
		               "ecosystem/sandbox/seed.py",
		               "--server",
		               w->address,
		               "--user",
		               w->user,
		               "--own",
		               w->own,
		               "--jtl",
		               w->jtl,
		               "--articles",
		               number,
		               "--own-collation",
		               own_collation,
		               gateway_data ? "--gateway-data" : NULL,
		               gateway_data,
		               NULL };
	int status = -1;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", articles);
	snprintf(log, sizeof(log), "%s/seed.log", w->folder);
	setenv("TEMU_SEED_PASSWORD", w->password, 1);
	pid = world_spawn(argv, log);
	unsetenv("TEMU_SEED_PASSWORD"); /* the daemons' settings would refuse it */
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (status != 0)
		world_show(log);
	return status == 0;
}

/* 0; w->there tells whether there is a server at all (without one the tests are skipped). -1: it did not start or could not be
 * filled. */
WORLD_UNUSED static int sql_world_start(struct sql_world *w, int articles, const char *own_collation, const char *gateway_data)
{
	char program[4200];
	const char *given = getenv("TEMU_TEST_TDS");

	memset(w, 0, sizeof(*w));
	snprintf(w->folder, sizeof(w->folder), "/tmp/temu-world-XXXXXX");
	if (!mkdtemp(w->folder))
		return -1;
	w->external = given && given[0];
	world_setting("TEMU_TEST_TDS_USER", "sa", w->user, sizeof(w->user));
	world_setting("TEMU_TEST_TDS_PASSWORD", "Test-42-password", w->password, sizeof(w->password));
	snprintf(w->own, sizeof(w->own), "toci");
	snprintf(w->jtl, sizeof(w->jtl), "eazybusiness");
	if (w->external) {
		snprintf(w->own, sizeof(w->own), "temu_test_own_%d", (int)getpid());
		snprintf(w->jtl, sizeof(w->jtl), "temu_test_jtl_%d", (int)getpid());
	}
	world_program("sandbox-sql", program, sizeof(program));
	if (!w->external && !program[0]) {
		fprintf(stderr, "skip: no T-SQL engine (TEMU_TEST_TDS is not set, this build has no sandbox-sql)\n");
		return 0;
	}
	if (w->external) {
		w->there = true;
		snprintf(w->address, sizeof(w->address), "%s", given);
	} else {
		sql_world_launch(w, program, "Latin1_General_CI_AS");
	}
	w->config = (struct db_config){ .server = w->address,
		                        .user = w->user,
		                        .database = w->own,
		                        .login_timeout_s = 10,
		                        .statement_timeout_s = 60,
		                        .lock_timeout_ms = 2000,
		                        .folder = w->folder };
	w->config.password = secret_new(w->password, strlen(w->password));
	if (!w->there || !sql_world_seed(w, articles, own_collation, gateway_data))
		return -1;
	return db_setup(&w->config, &(struct err)ERR_INIT);
}

/* A connection of the test's own; NULL after a message. */
WORLD_UNUSED static struct db *sql_world_open(const struct sql_world *w, const char *database)
{
	struct db_config config = w->config;
	struct err err = ERR_INIT;
	struct db *db;

	config.database = database;
	db = db_open(&config, &err);
	if (!db)
		fprintf(stderr, "%s: %s\n", err.code, err.text);
	return db;
}

WORLD_UNUSED static bool world_run_sql(struct db *db, const char *sql)
{
	struct err err = ERR_INIT;

	if (db_execute(db, "test", sql, NULL, &err) == 0)
		return true;
	fprintf(stderr, "%s\n  %s: %s\n", sql, err.code, err.text);
	return false;
}

/* Databases of this process's own names, made by it on somebody else's server. */
static void sql_world_drop(const struct sql_world *w)
{
	struct db *master = sql_world_open(w, "master");
	char sql[200];

	snprintf(sql, sizeof(sql), "DROP DATABASE [%s]\nDROP DATABASE [%s]", w->own, w->jtl);
	if (master)
		world_run_sql(master, sql);
	db_close(master);
}

WORLD_UNUSED static void sql_world_stop(struct sql_world *w)
{
	static const char *const files[] = { "db.sqlite",   "db.sqlite-wal",   "db.sqlite-shm", "sql.port",
		                             "sql.control", "sandbox-sql.log", "seed.log",      "freetds.conf" };
	char path[200];

	if (w->there && w->external)
		sql_world_drop(w);
	world_end(&w->server);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->folder, files[i]);
		unlink(path);
	}
	rmdir(w->folder);
}

WORLD_UNUSED static int world_connect(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One line to the stand-in's control port; true when it said ok. */
WORLD_UNUSED static bool sql_world_order(const struct sql_world *w, const char *line)
{
	char answer[256] = "";
	int fd = world_connect(w->control);
	bool ok =
	    fd >= 0 && dprintf(fd, "%s\n", line) > 0 && read(fd, answer, sizeof(answer) - 1) > 0 && strncmp(answer, "ok", 2) == 0;

	if (!ok)
		fprintf(stderr, "order \"%s\": %s\n", line, answer);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* The one number of a query; -1 after a message. */
WORLD_UNUSED static int64_t world_number(struct db *db, const char *sql)
{
	struct err err = ERR_INIT;
	int64_t value = -1;

	if (db_query_int64(db, &(struct db_statement){ .sql = sql }, &value, &err) != 0)
		fprintf(stderr, "%s\n  %s: %s\n", sql, err.code, err.text);
	return value;
}

#endif
