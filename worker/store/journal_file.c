/* The journal's file: creating it, refusing what is not ours or is damaged, its schema and its high-water marks.
 * What is written into the tables stands beside the functions that do it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/store/journal_inner.h"

#define APPLICATION_ID 0x544a5442 /* "TJTB" */
#define HEADER_MAGIC "SQLite format 3"
#define WAL_KEEP_BYTES "16777216"

/* One element a schema version: statements that lead from the version before to this one. Released ones never change.
 * runs.n, events.seq: counted in marks, so that a number stays used when retention deleted its row. Names instead of enum values,
 * so that the lists of messages.def may be reordered. events.run: the run's number, or a negative hash of another text. */
static const char *const schema[] = {
	"CREATE TABLE marks(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO marks VALUES('seq', 0), ('run', 0), ('probe', 0);"
	"CREATE TABLE about(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE events(seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, level INTEGER NOT NULL,"
	" shop INTEGER NOT NULL, run INTEGER, run_text TEXT, job TEXT, step TEXT, state TEXT, attempt INTEGER, text TEXT NOT NULL);"
	"CREATE INDEX events_by_run ON events(run) WHERE run IS NOT NULL;"
	"CREATE TABLE runs(n INTEGER PRIMARY KEY, job TEXT NOT NULL, shop INTEGER NOT NULL, trigger TEXT NOT NULL, key TEXT,"
	" params TEXT NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL, attempt INTEGER NOT NULL, rescues INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL, queued_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL,"
	" not_before_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, cancel INTEGER NOT NULL,"
	" step TEXT NOT NULL, steps_done INTEGER NOT NULL, steps_total INTEGER NOT NULL, items_done INTEGER NOT NULL,"
	" items_total INTEGER NOT NULL, seen INTEGER NOT NULL, changed INTEGER NOT NULL, failed INTEGER NOT NULL,"
	" skipped INTEGER NOT NULL, error_class TEXT NOT NULL, error_code TEXT NOT NULL, error_text TEXT NOT NULL, result TEXT);"
	"CREATE INDEX runs_by_job ON runs(job);"
	"CREATE INDEX runs_by_state ON runs(state);"
	"CREATE INDEX runs_open ON runs(n) WHERE over = 0;"
	"CREATE INDEX runs_ended ON runs(job, finished_ms, state, duration_ms, attempt) WHERE over = 1;"
	"CREATE TABLE keys(job TEXT, shop INTEGER, key TEXT, run INTEGER NOT NULL, made_ms INTEGER NOT NULL,"
	" PRIMARY KEY(job, shop, key)) WITHOUT ROWID;"
	"CREATE INDEX keys_by_age ON keys(made_ms);"
	"CREATE TABLE items(run INTEGER, n INTEGER, sku TEXT NOT NULL, sku_id INTEGER NOT NULL, goods_id INTEGER NOT NULL,"
	" from_value INTEGER, to_value INTEGER, outcome TEXT NOT NULL, reason TEXT NOT NULL, code TEXT NOT NULL,"
	" request_id TEXT NOT NULL, text TEXT NOT NULL, detail TEXT, PRIMARY KEY(run, n)) WITHOUT ROWID;"
	"CREATE INDEX items_by_sku ON items(run, sku_id) WHERE sku_id <> 0;"
	"CREATE TABLE gates(shop INTEGER PRIMARY KEY, gate TEXT NOT NULL, changed_ms INTEGER NOT NULL, reason TEXT NOT NULL,"
	" who TEXT NOT NULL);",
};
#define SCHEMA_VERSION ((int64_t)(sizeof(schema) / sizeof(schema[0])))

/* Tables beside the schema, made at every open where they are missing: a release that does not know them works on without them, and the
 * file goes back and forth between the two. plan and run: run numbers; made_ms: when it was confirmed. told: its alarm was handed on. */
static const char additions[] =
	"CREATE TABLE IF NOT EXISTS plans_confirmed(plan INTEGER PRIMARY KEY, run INTEGER NOT NULL, made_ms INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS schedules(name TEXT PRIMARY KEY, when_text TEXT NOT NULL, paused INTEGER NOT NULL, who TEXT NOT NULL,"
	" changed_ms INTEGER NOT NULL, next_of TEXT NOT NULL, next_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
	" fired_ms INTEGER NOT NULL, run TEXT NOT NULL, refusal TEXT NOT NULL, fires INTEGER NOT NULL, refused INTEGER NOT NULL,"
	" late_ms INTEGER NOT NULL, late_max_ms INTEGER NOT NULL, missed INTEGER NOT NULL, missed_first_ms INTEGER NOT NULL,"
	" missed_last_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS quarantine(shop INTEGER, sku_id INTEGER, goods_id INTEGER NOT NULL, sku TEXT NOT NULL,"
	" code TEXT NOT NULL, text TEXT NOT NULL, request_id TEXT NOT NULL, refusals INTEGER NOT NULL, run TEXT NOT NULL,"
	" first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL,"
	" told INTEGER NOT NULL, PRIMARY KEY(shop, sku_id)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS quarantine_in ON quarantine(shop, told) WHERE since_ms > 0;"
	"CREATE TABLE IF NOT EXISTS alarms(id INTEGER PRIMARY KEY, code TEXT NOT NULL, shop INTEGER NOT NULL, job TEXT NOT NULL,"
	" run TEXT NOT NULL, text TEXT NOT NULL, count INTEGER NOT NULL, seq INTEGER NOT NULL, open_seq INTEGER NOT NULL,"
	" opened_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, acked_ms INTEGER NOT NULL, acked_by TEXT NOT NULL,"
	" snoozed_ms INTEGER NOT NULL, resolved_ms INTEGER NOT NULL, resolved_text TEXT NOT NULL, UNIQUE(code, shop, job));"
	"CREATE INDEX IF NOT EXISTS alarms_open ON alarms(shop) WHERE resolved_ms = 0;"
	"CREATE TABLE IF NOT EXISTS alarm_calls(alarm INTEGER, channel TEXT, resolved INTEGER NOT NULL, told_ms INTEGER NOT NULL,"
	" rang_ms INTEGER NOT NULL, told_seq INTEGER NOT NULL, tries INTEGER NOT NULL, tried_ms INTEGER NOT NULL,"
	" next_ms INTEGER NOT NULL, given_up_seq INTEGER NOT NULL, error TEXT NOT NULL, PRIMARY KEY(alarm, channel)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS items_gone(run INTEGER PRIMARY KEY, count INTEGER NOT NULL);"
	KPI_TABLES;

static int
damaged(const struct journal *journal, const char *what, struct err *err)
{
	return err_set(err, ERR_PERM, "JOURNAL_DAMAGED",
	               "%s is damaged: %s. Restore it from a back-up, or move it and its -wal file away to begin a new one", journal->path,
	               what);
}

static int
bad_path(const struct journal *journal, const char *what, struct err *err)
{
	return err_set(err, ERR_PERM, "JOURNAL_PATH", "%s: %s", journal->path, what);
}

/* The lock is a file of its own: SQLite's locks on the journal would go away with any descriptor of it that we close. */
static int
take_lock(struct journal *journal, struct err *err)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s.lock", journal->path) >= sizeof(path))
		return bad_path(journal, "the path is too long", err);
	journal->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (journal->lock_fd < 0)
		return err_set(err, ERR_PERM, "JOURNAL_PATH", "%s: %s; the folder must exist and be writable", path, strerror(errno));
	if (flock(journal->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_set(err, ERR_PERM, "JOURNAL_PATH", "%s: %s", path, strerror(errno));
	return err_set(err, ERR_PERM, "JOURNAL_IN_USE", "%s is in use by another process (lock on %s): stop that one first",
	               journal->path, path);
}

static int
sync_folder(const struct journal *journal, struct err *err)
{
	char path[PATH_MAX];
	int fd, status = -1;

	snprintf(path, sizeof(path), "%s", journal->path);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		status = fsync(fd);
	if (status != 0)
		err_set(err, ERR_TEMP, "JOURNAL_DISK", "folder of %s: %s", journal->path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

/* Looks at the file before SQLite does: an absent or empty one is created, anything else must be a database. */
static int
look(struct journal *journal, struct err *err)
{
	char wal[PATH_MAX], header[sizeof(HEADER_MAGIC)] = "";
	struct stat info, wal_info;
	int fd;

	snprintf(wal, sizeof(wal), "%s-wal", journal->path);
	journal->unclean = lstat(wal, &wal_info) == 0;
	if (lstat(journal->path, &info) != 0) {
		if (errno != ENOENT)
			return bad_path(journal, strerror(errno), err);
		info.st_mode = S_IFREG;
		info.st_size = 0;
	}
	if (!S_ISREG(info.st_mode))
		return bad_path(journal, "is not a regular file", err);
	/* SQLite would delete a -wal file that has lost its database, and what was committed with it. */
	if (info.st_size == 0 && journal->unclean && wal_info.st_size > 0)
		return damaged(journal, "the file is missing or empty, but its -wal file has content", err);
	fd = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return bad_path(journal, strerror(errno), err);
	ssize_t got = read(fd, header, sizeof(header));
	if (info.st_size == 0 && fchmod(fd, 0600) != 0)
		got = -1;
	close(fd);
	if (got < 0)
		return bad_path(journal, strerror(errno), err);
	if (got > 0 && memcmp(header, HEADER_MAGIC, sizeof(header)) != 0)
		return damaged(journal, "it is not a database", err);
	return 0;
}

static int
create_identity(struct journal *journal, struct err *err)
{
	static const char insert[] = "INSERT INTO about VALUES('identity', ?)";
	unsigned char random[16];
	char text[sizeof(random) * 2 + 1];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no random numbers: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	sqlite3_stmt *statement = lite_use(&journal->writer, insert, err);
	if (!statement)
		return -1;
	lite_bind_text(statement, 1, text);
	return lite_run(&journal->writer, statement, err);
}

/* From `version` to ours, in one transaction. */
static int
migrate(struct journal *journal, int64_t version, struct err *err)
{
	struct lite *lite = &journal->writer;
	char set[100];

	if (lite_exec(lite, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	for (int64_t at = version; at < SCHEMA_VERSION; at++)
		if (lite_exec(lite, schema[at], err) != 0)
			goto undo;
	if (version == 0 && create_identity(journal, err) != 0)
		goto undo;
	snprintf(set, sizeof(set), "PRAGMA application_id=%d; PRAGMA user_version=%lld", APPLICATION_ID, (long long)SCHEMA_VERSION);
	if (lite_exec(lite, set, err) != 0 || lite_exec(lite, "COMMIT", err) != 0)
		goto undo;
	if (lite_exec(lite, "PRAGMA wal_checkpoint(TRUNCATE)", err) != 0)
		return -1;
	return sync_folder(journal, err);
undo:
	if (!sqlite3_get_autocommit(lite->db))
		sqlite3_exec(lite->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int
check_version(struct journal *journal, struct err *err)
{
	struct lite *lite = &journal->writer;
	int64_t id, version, tables;

	if (lite_int64(lite, "PRAGMA application_id", 0, &id, err) != 0 ||
	    lite_int64(lite, "PRAGMA user_version", 0, &version, err) != 0 ||
	    lite_int64(lite, "SELECT count(*) FROM sqlite_schema", 0, &tables, err) != 0)
		return -1;
	bool fresh = id == 0 && version == 0 && tables == 0;
	if (!fresh && (id != APPLICATION_ID || version < 1))
		return damaged(journal, "it is the database of another program", err);
	if (version > SCHEMA_VERSION)
		return err_set(err, ERR_PERM, "JOURNAL_SCHEMA",
		               "%s has schema version %lld, this program knows up to %lld: install the newer release again", journal->path,
		               (long long)version, (long long)SCHEMA_VERSION);
	if (fresh && lite_exec(lite, "PRAGMA auto_vacuum=INCREMENTAL", err) != 0)
		return -1;
	if (lite_exec(lite, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000;"
	                    "PRAGMA journal_size_limit=" WAL_KEEP_BYTES, err) != 0)
		return -1;
	return version < SCHEMA_VERSION ? migrate(journal, version, err) : 0;
}

static int
check_whole(struct journal *journal, struct err *err)
{
	struct lite *lite = &journal->writer;
	sqlite3_stmt *statement = lite_use(lite, "PRAGMA quick_check(1)", err);
	char text[200];

	if (!statement || lite_step(lite, statement, err) < 0)
		return -1;
	lite_copy(statement, 0, text, sizeof(text));
	lite_done(statement);
	return strcmp(text, "ok") == 0 ? 0 : damaged(journal, text, err);
}

static int
read_marks(struct journal *journal, struct err *err)
{
	struct lite *lite = &journal->writer;
	int64_t newest_event, newest_run;

	if (lite_int64(lite, "SELECT value FROM marks WHERE name='seq'", -1, &journal->committed_seq, err) != 0 ||
	    lite_int64(lite, "SELECT value FROM marks WHERE name='run'", -1, &journal->committed_run, err) != 0 ||
	    lite_int64(lite, "SELECT max(seq) FROM events", 0, &newest_event, err) != 0 ||
	    lite_int64(lite, "SELECT max(n) FROM runs", 0, &newest_run, err) != 0)
		return -1;
	sqlite3_stmt *statement = lite_use(lite, "SELECT value FROM about WHERE name='identity'", err);
	int status = statement ? lite_step(lite, statement, err) : -1;
	if (status < 0)
		return -1;
	if (status == 1) {
		lite_copy(statement, 0, journal->identity, sizeof(journal->identity));
		lite_done(statement);
	}
	if (journal->identity[0] == '\0' || newest_event > journal->committed_seq || newest_run > journal->committed_run)
		return damaged(journal, "its high-water marks do not fit its rows", err);
	atomic_store(&journal->last, journal->committed_seq);
	return 0;
}

int
file_open(struct journal *journal, struct err *err)
{
	if (take_lock(journal, err) != 0 || look(journal, err) != 0 || lite_open(&journal->writer, journal->path, true, err) != 0)
		return -1;
	/* A refused file keeps its -wal file, so that it is checked again the next time. */
	sqlite3_db_config(journal->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (check_version(journal, err) != 0 || (journal->unclean && check_whole(journal, err) != 0) ||
	    read_marks(journal, err) != 0 || lite_exec(&journal->writer, additions, err) != 0)
		return -1;
	sqlite3_db_config(journal->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

void
file_close(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_READERS; i++)
		lite_close(&journal->readers[i]);
	lite_close(&journal->writer); /* the last one: SQLite folds the -wal file in and removes it, the mark of a clean end */
	if (journal->lock_fd >= 0)
		close(journal->lock_fd);
	journal->lock_fd = -1;
}
