/* The own schema's versions: what is there, what is missing, and applying it. The files themselves are in ecosystem/schema/. */
#include "worker/db/schema.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "common/clock.h"
#include "common/log.h"

#define CHECKSUM_MAX 17
#define TRIES 10

static const char sql_exists[] = "SELECT ISNULL(OBJECT_ID(N'dbo.temu_schema_version', N'U'), 0)";
static const char sql_create[] =
    "CREATE TABLE dbo.temu_schema_version ("
    "version int NOT NULL CONSTRAINT PK_temu_schema_version PRIMARY KEY, name varchar(100) NOT NULL, "
    "applied_at datetime2(3) NOT NULL, checksum varchar(64) NOT NULL)";
static const char sql_read[] = "IF OBJECT_ID(N'dbo.temu_schema_version', N'U') IS NOT NULL\n"
			       "  SELECT version, name, checksum FROM dbo.temu_schema_version ORDER BY version";
static const char sql_insert[] = "INSERT INTO dbo.temu_schema_version (version, name, applied_at, checksum) "
				 "VALUES (@version, @name, CONVERT(datetime2(3), @at, 126), @checksum)";
static const char sql_openjson[] = "SELECT COUNT(*) FROM OPENJSON(@j) WITH (n int '$.n')";

struct schema_list schema_own(void)
{
	return (struct schema_list){ schema_files, schema_file_count };
}

/* FNV-1a: tells two texts apart, proves nothing. */
static void checksum(const char *sql, char out[CHECKSUM_MAX])
{
	uint64_t hash = 14695981039346656037u;

	for (; *sql; sql++)
		hash = (hash ^ (unsigned char)*sql) * 1099511628211u;
	snprintf(out, CHECKSUM_MAX, "%016" PRIx64, hash);
}

struct state {
	const struct schema_list *list;
	int version;    /* highest found, 0 = none */
	size_t applied; /* of the list */
	int changed;    /* a version whose checksum differs, 0 = none */
};

static const struct schema_file *find(const struct schema_list *list, int64_t version)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->files[i].version == version)
			return &list->files[i];
	return NULL;
}

static int take_version(void *arg, const struct db_row *row, struct err *err)
{
	struct state *state = arg;
	const struct schema_file *file;
	char sum[CHECKSUM_MAX];
	const char *found;
	int64_t version;

	if (db_row_int64(row, 0, &version, err) != 0)
		return -1;
	state->version = (int)version;
	file = find(state->list, version);
	if (!file)
		return 0;
	state->applied++;
	checksum(file->sql, sum);
	found = db_row_text(row, 2, NULL);
	if (!found || strcmp(found, sum) != 0)
		state->changed = file->version;
	return 0;
}

static int read_state(struct db *db, const struct schema_list *list, struct state *state, struct err *err)
{
	struct db_statement read = { .label = "schema version", .sql = sql_read, .row = take_version, .arg = state };

	*state = (struct state){ .list = list };
	return db_query(db, &read, NULL, err);
}

static int newest(const struct schema_list *list)
{
	return list->count ? list->files[list->count - 1].version : 0;
}

static int judge_state(const struct state *state, struct err *err)
{
	if (state->version > newest(state->list))
		return err_set(err, ERR_PERM, "SCHEMA_NEWER",
		               "the own database has schema version %d, this release knows %d: install the newer release",
		               state->version, newest(state->list));
	if (state->changed)
		return err_set(
		    err, ERR_PERM, "SCHEMA_CHANGED",
		    "schema version %d was applied from another text than this release carries: is this the right database?",
		    state->changed);
	return 0;
}

/* A statement of the kind every job sends; compatibility levels below 130 do not have it. */
static int check_openjson(struct db *db, struct err *err)
{
	struct db_param param = { .name = "@j", .type = DB_JSON, .text = "[]", .len = 2 };
	struct db_statement try = { .label = "OPENJSON", .sql = sql_openjson, .params = &param, .count = 1 };
	struct err inner = ERR_INIT;
	int64_t rows;

	if (db_query_int64(db, &try, &rows, &inner) == 0)
		return 0;
	if (inner.class != ERR_PERM) {
		*err = inner;
		return -1;
	}
	return err_set_number(
	    err, ERR_PERM, "SCHEMA_JSON", inner.number,
	    "the own database does not know OPENJSON (%.200s): ALTER DATABASE ... SET COMPATIBILITY_LEVEL = 130", inner.text);
}

int schema_plan(struct db *db, const struct schema_list *list, struct buf *plan, size_t *pending, struct err *err)
{
	struct state state;
	size_t count = 0;

	if (check_openjson(db, err) != 0 || read_state(db, list, &state, err) != 0 || judge_state(&state, err) != 0)
		return -1;
	buf_addf(plan, "schema version found: %d, of this release: %d\n", state.version, newest(list));
	for (size_t i = 0; i < list->count; i++) {
		if (list->files[i].version <= state.version)
			continue;
		count++;
		buf_addf(plan, "-- to apply: %03d_%s\n%s", list->files[i].version, list->files[i].name, list->files[i].sql);
	}
	if (count == 0)
		buf_add_text(plan, "nothing to apply\n");
	if (pending)
		*pending = count;
	return buf_check(plan, "schema plan", err);
}

/* --- applying --- */

static bool go_line(const char *line, size_t len)
{
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	return len == 2 && toupper((unsigned char)line[0]) == 'G' && toupper((unsigned char)line[1]) == 'O';
}

/* The batch at text into out, and what comes after its GO line; NULL at the end. */
static const char *next_batch(const char *text, struct buf *out)
{
	buf_clear(out);
	while (*text) {
		const char *end = strchr(text, '\n');
		size_t len = end ? (size_t)(end - text) : strlen(text);
		const char *after = end ? end + 1 : text + len;

		if (go_line(text, len))
			return after;
		buf_add(out, text, (size_t)(after - text));
		text = after;
	}
	return out->len ? text : NULL;
}

static bool blank(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return *text == '\0';
}

static int insert_version(struct db *db, const struct schema_file *file, struct err *err)
{
	char sum[CHECKSUM_MAX], at[CLOCK_TEXT_MAX];
	struct db_param params[4];
	struct db_statement insert = { .label = "schema version", .sql = sql_insert, .params = params, .count = 4 };

	checksum(file->sql, sum);
	clock_format(clock_now_ms(), at);
	at[strcspn(at, "Z")] = '\0';
	params[0] = db_param_int64("@version", file->version);
	params[1] = db_param_text("@name", file->name);
	params[2] = db_param_text("@at", at);
	params[3] = db_param_text("@checksum", sum);
	return db_query(db, &insert, NULL, err);
}

static int apply_file(struct db *db, void *arg, struct err *err)
{
	const struct schema_file *file = arg;
	struct buf batch;
	const char *rest = file->sql;
	int number = 0, rc;

	buf_init(&batch, 1 << 20);
	rc = insert_version(db, file, err);
	while (rc == 0 && (rest = next_batch(rest, &batch)) != NULL) {
		number++;
		rc = buf_check(&batch, "schema batch", err);
		if (rc == 0 && !blank(buf_text(&batch)))
			rc = db_execute(db, "schema", buf_text(&batch), NULL, err);
		if (rc != 0)
			err_context(err, "schema file %03d_%s, batch %d", file->version, file->name, number);
	}
	buf_release(&batch);
	return rc;
}

static int ensure_table(struct db *db, struct err *err)
{
	struct db_statement exists = { .label = "schema table", .sql = sql_exists };
	struct err inner = ERR_INIT;
	int64_t id;

	if (db_query_int64(db, &exists, &id, err) != 0)
		return -1;
	if (id != 0 || db_execute(db, "schema table", sql_create, NULL, &inner) == 0)
		return 0;
	if (inner.number == 2714) /* another one was faster */
		return 0;
	*err = inner;
	return -1;
}

static const struct schema_file *first_missing(const struct schema_list *list, int version)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->files[i].version > version)
			return &list->files[i];
	return NULL;
}

static bool somebody_else(const struct err *err)
{
	return err->number == 2627 || err->number == 2601 || err->number == 1222 || err->number == 1205;
}

int schema_apply(struct db *db, const struct schema_list *list, struct err *err)
{
	const struct schema_file *file;
	struct state state;
	int waits = 0;

	if (check_openjson(db, err) != 0 || ensure_table(db, err) != 0)
		return -1;
	for (;;) {
		struct err inner = ERR_INIT;
		struct schema_file copy;

		if (read_state(db, list, &state, err) != 0 || judge_state(&state, err) != 0)
			return -1;
		file = first_missing(list, state.version);
		if (!file)
			return 0;
		copy = *file;
		if (db_transaction(db, NULL, apply_file, &copy, &inner) == 0) {
			log_info("schema version %d (%s) applied", file->version, file->name);
			waits = 0;
		} else if (!somebody_else(&inner) || ++waits >= TRIES) {
			*err = inner;
			return -1;
		} else {
			log_info("schema version %d: another migration is under way (%s), looking again", file->version,
			         inner.code);
			nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
		}
	}
}

int schema_check(struct db *db, const struct schema_list *list, struct err *err)
{
	struct state state;

	if (read_state(db, list, &state, err) != 0)
		return -1;
	if (judge_state(&state, err) != 0) {
		err->class = ERR_HOLD;
		return -1;
	}
	if (state.version < newest(list))
		return err_set(err, ERR_HOLD, "SCHEMA_OLD",
		               "the own database has schema version %d, this release needs %d: run temu-workers --migrate",
		               state.version, newest(list));
	return 0;
}
