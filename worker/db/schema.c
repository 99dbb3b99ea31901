/* The own schema's versions: what is there, what is missing, and applying it. The files themselves are in ecosystem/schema/. */
#include "worker/db/schema.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "common/clock.h"
#include "common/log.h"

#define CHECKSUM_MAX 17
#define TRIES 10

struct record {
	const char *exists, *create, *insert;
};
static const struct record base_record = {
	"SELECT ISNULL(OBJECT_ID(N'dbo.temu_schema_version', N'U'), 0)",
	"CREATE TABLE dbo.temu_schema_version ("
	"version int NOT NULL CONSTRAINT PK_temu_schema_version PRIMARY KEY, name varchar(100) NOT NULL, "
	"applied_at datetime2(3) NOT NULL, checksum varchar(64) NOT NULL)",
	"INSERT INTO dbo.temu_schema_version (version, name, applied_at, checksum) "
	"VALUES (@version, @name, CONVERT(datetime2(3), @at, 126), @checksum)",
};
static const struct record addition_record = {
	"SELECT ISNULL(OBJECT_ID(N'dbo.temu_schema_addition', N'U'), 0)",
	"CREATE TABLE dbo.temu_schema_addition ("
	"version int NOT NULL CONSTRAINT PK_temu_schema_addition PRIMARY KEY, name varchar(100) NOT NULL, "
	"applied_at datetime2(3) NOT NULL, checksum varchar(64) NOT NULL)",
	"INSERT INTO dbo.temu_schema_addition (version, name, applied_at, checksum) "
	"VALUES (@version, @name, CONVERT(datetime2(3), @at, 126), @checksum)",
};
static const char sql_read[] = "IF OBJECT_ID(N'dbo.temu_schema_version', N'U') IS NOT NULL\n"
			       "  SELECT 0, version, name, checksum FROM dbo.temu_schema_version ORDER BY version\n"
			       "IF OBJECT_ID(N'dbo.temu_schema_addition', N'U') IS NOT NULL\n"
			       "  SELECT 1, version, name, checksum FROM dbo.temu_schema_addition ORDER BY version";
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
	int version;        /* highest of the base found, 0 = none */
	uint64_t additions; /* found, by their place in the list */
	int foreign;        /* additions that the list does not know */
	int newest_foreign;
	char foreign_name[101];
	int changed; /* a file whose checksum differs, 0 = none */
};

static bool is_addition(const struct schema_file *file)
{
	return file->version > SCHEMA_BASE;
}

static const struct schema_file *find(const struct schema_list *list, int64_t version, bool addition)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->files[i].version == version && is_addition(&list->files[i]) == addition)
			return &list->files[i];
	return NULL;
}

static void take_foreign(struct state *state, int version, const char *name)
{
	state->foreign++;
	state->newest_foreign = version;
	snprintf(state->foreign_name, sizeof(state->foreign_name), "%s", name ? name : "");
}

static int take_version(void *arg, const struct db_row *row, struct err *err)
{
	struct state *state = arg;
	const struct schema_file *file;
	char sum[CHECKSUM_MAX];
	const char *found;
	int64_t addition, version;

	if (db_row_int64(row, 0, &addition, err) != 0 || db_row_int64(row, 1, &version, err) != 0)
		return -1;
	file = find(state->list, version, addition != 0);
	if (!addition)
		state->version = (int)version;
	else if (file)
		state->additions |= UINT64_C(1) << (file - state->list->files);
	else
		take_foreign(state, (int)version, db_row_text(row, 2, NULL));
	if (!file)
		return 0;
	checksum(file->sql, sum);
	found = db_row_text(row, 3, NULL);
	if (!found || strcmp(found, sum) != 0)
		state->changed = file->version;
	return 0;
}

static int read_state(struct db *db, const struct schema_list *list, struct state *state, struct err *err)
{
	struct db_statement read = { .label = "schema version", .sql = sql_read, .row = take_version, .arg = state };

	assert(list->count <= 64);
	*state = (struct state){ .list = list };
	return db_query(db, &read, NULL, err);
}

/* The last version of the list's base. */
static int base_of(const struct schema_list *list)
{
	int version = 0;

	for (size_t i = 0; i < list->count && !is_addition(&list->files[i]); i++)
		version = list->files[i].version;
	return version;
}

static bool missing(const struct state *state, size_t i)
{
	const struct schema_file *file = &state->list->files[i];

	return is_addition(file) ? (state->additions & UINT64_C(1) << i) == 0 : file->version > state->version;
}

static const struct schema_file *first_missing(const struct state *state)
{
	for (size_t i = 0; i < state->list->count; i++)
		if (missing(state, i))
			return &state->list->files[i];
	return NULL;
}

static int judge_state(const struct state *state, struct err *err)
{
	if (state->version > base_of(state->list))
		return err_set(err, ERR_PERM, "SCHEMA_NEWER",
		               "the own database has schema version %d, this release knows %d: install the newer release",
		               state->version, base_of(state->list));
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
	buf_addf(plan, "schema version found: %d, of this release: %d\n", state.version, base_of(list));
	if (state.foreign > 0)
		buf_addf(plan, "additions of a newer release: %d, the last is %03d_%s; they stay\n", state.foreign,
		         state.newest_foreign, state.foreign_name);
	for (size_t i = 0; i < list->count; i++) {
		if (!missing(&state, i))
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
	struct db_statement insert = { .label = "schema version",
		                       .sql = is_addition(file) ? addition_record.insert : base_record.insert,
		                       .params = params,
		                       .count = 4 };

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

static int ensure_table(struct db *db, const struct record *record, struct err *err)
{
	struct db_statement exists = { .label = "schema table", .sql = record->exists };
	struct err inner = ERR_INIT;
	int64_t id;

	if (db_query_int64(db, &exists, &id, err) != 0)
		return -1;
	if (id != 0 || db_execute(db, "schema table", record->create, NULL, &inner) == 0)
		return 0;
	if (inner.number == 2714) /* another one was faster */
		return 0;
	*err = inner;
	return -1;
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

	if (check_openjson(db, err) != 0 || ensure_table(db, &base_record, err) != 0 ||
	    ensure_table(db, &addition_record, err) != 0)
		return -1;
	for (;;) {
		struct err inner = ERR_INIT;
		struct schema_file copy;

		if (read_state(db, list, &state, err) != 0 || judge_state(&state, err) != 0)
			return -1;
		file = first_missing(&state);
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

/* Once in a process: a newer release was here, and nothing of it is in the way. */
static void note_foreign(const struct state *state)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (state->foreign > 0 && !atomic_flag_test_and_set(&said))
		log_info("the own database has additions of a newer release (%d, the last is %03d_%s): not used by this one",
		         state->foreign, state->newest_foreign, state->foreign_name);
}

int schema_check(struct db *db, const struct schema_list *list, struct err *err)
{
	const struct schema_file *file;
	struct state state;

	if (read_state(db, list, &state, err) != 0)
		return -1;
	if (judge_state(&state, err) != 0) {
		err->class = ERR_HOLD;
		return -1;
	}
	file = first_missing(&state);
	if (file)
		return err_set(err, ERR_HOLD, "SCHEMA_OLD",
		               "the own database has schema version %d without %03d_%s, which this release needs: run "
		               "temu-workers --migrate",
		               state.version, file->version, file->name);
	note_foreign(&state);
	return 0;
}
