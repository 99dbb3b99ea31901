/* OPENJSON as a table-valued function of SQLite: t_openjson(json, path, spec). spec NULL: key, value, type; else a line for each
 * column, "type,length,precision,scale,json,path". Columns are c1..; plain integers and texts are converted here, the rest by
 * t_cast. */
#include "ecosystem/sandbox/sql/openjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/json_scan.h"

#define ARGUMENTS 3

struct json_target {
	enum sql_type type;
	int length, precision, scale;
	bool as_json;
	struct json_path path;
};

struct table {
	sqlite3_vtab base;
	sqlite3 *db;
};

struct cursor {
	sqlite3_vtab_cursor base;
	char *text;
	struct json_span root;
	struct json_cursor walk;
	bool walking, at_end, loaded; /* walking: rows are elements; else the root is the one row */
	struct json_span key, row;
	sqlite3_int64 number;
	struct json_target *targets;
	struct json_span *found;
	int target_count;
	bool keyed; /* no WITH */
	sqlite3_stmt *cast;
};

/* --- the module --- */

static int connect_module(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message) {
	char sql[SQL_MAX_COLUMNS * 6 + 100] = "CREATE TABLE x(";
	size_t n = strlen(sql);
	(void)aux;
	(void)argc;
	(void)argv;
	(void)message;
	for (int i = 1; i <= SQL_MAX_COLUMNS; i++)
		n += (size_t)snprintf(sql + n, sizeof sql - n, "c%d,", i);
	snprintf(sql + n, sizeof sql - n, "json HIDDEN,path HIDDEN,spec HIDDEN)");
	int rc = sqlite3_declare_vtab(db, sql);
	if (rc != SQLITE_OK)
		return rc;
	struct table *t = sqlite3_malloc(sizeof *t);
	if (!t)
		return SQLITE_NOMEM;
	memset(t, 0, sizeof *t);
	t->db = db;
	*out = &t->base;
	return sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
}

static int disconnect_module(sqlite3_vtab *base) {
	sqlite3_free(base);
	return SQLITE_OK;
}

/* All three arguments, or the plan is impossible. Dear to read again, so that it becomes the outer loop. */
static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
	int at[ARGUMENTS] = { -1, -1, -1 };
	(void)base;
	for (int i = 0; i < info->nConstraint; i++) {
		int argument = info->aConstraint[i].iColumn - SQL_MAX_COLUMNS;
		if (argument < 0 || argument >= ARGUMENTS || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		at[argument] = i;
	}
	for (int a = 0; a < ARGUMENTS; a++) {
		if (at[a] < 0)
			return SQLITE_CONSTRAINT;
		info->aConstraintUsage[at[a]].argvIndex = a + 1;
		info->aConstraintUsage[at[a]].omit = 1;
	}
	info->estimatedCost = 100000;
	info->estimatedRows = 1000;
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
	struct cursor *c = sqlite3_malloc(sizeof *c);
	(void)base;
	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof *c);
	*out = &c->base;
	return SQLITE_OK;
}

static void clear(struct cursor *c) {
	free(c->text);
	free(c->targets);
	free(c->found);
	c->text = NULL;
	c->targets = NULL;
	c->found = NULL;
	c->target_count = 0;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
	struct cursor *c = (struct cursor *)base;
	clear(c);
	sqlite3_finalize(c->cast);
	sqlite3_free(c);
	return SQLITE_OK;
}

/* --- arguments --- */

static int fail(struct cursor *c, char *text) {
	sqlite3_free(c->base.pVtab->zErrMsg);
	c->base.pVtab->zErrMsg = text;
	return SQLITE_ERROR;
}

static int bad_path(struct cursor *c) {
	return fail(
		c, sqlite3_mprintf("@13607:JSON path is not properly formatted. Unexpected character is found at position 0."));
}

static int read_spec(struct cursor *c, const char *spec) {
	int count = 0;
	for (const char *p = spec; *p; p++)
		count += *p == '\n';
	c->targets = calloc((size_t)count + 1, sizeof *c->targets);
	c->found = calloc((size_t)count + 1, sizeof *c->found);
	if (!c->targets || !c->found)
		return SQLITE_NOMEM;
	for (const char *p = spec; *p; p = strchr(p, '\n') + 1) {
		struct json_target *t = &c->targets[c->target_count++];
		int type, json, n = 0;
		if (sscanf(p, "%d,%d,%d,%d,%d,%n", &type, &t->length, &t->precision, &t->scale, &json, &n) < 5 || !n)
			return SQLITE_ERROR;
		t->type = (enum sql_type)type;
		t->as_json = json != 0;
		if (json_path_parse(p + n, (size_t)(strchr(p, '\n') - p - n), &t->path) < 0)
			return bad_path(c);
	}
	return SQLITE_OK;
}

static int bad_text(struct cursor *c, const char *text, size_t len, size_t wrong) {
	char shown[8] = "";
	size_t n = wrong < len ? 1 : 0;
	while (n && wrong + n < len && n < 4 && ((unsigned char)text[wrong + n] & 0xc0) == 0x80)
		n++;
	memcpy(shown, text + wrong, n);
	return fail(c, sqlite3_mprintf(
			       "@13609:JSON text is not properly formatted. Unexpected character '%s' is found at position %lld.",
			       n ? shown : ".", (long long)wrong));
}

static int not_found(struct cursor *c) {
	return fail(c, sqlite3_mprintf("@13608:Property cannot be found on the specified JSON path."));
}

static int next_row(struct cursor *c) {
	c->loaded = false;
	c->at_end = !json_scan_next(&c->walk, &c->key, &c->row);
	return SQLITE_OK;
}

static int begin(struct cursor *c, const char *path_text, size_t path_len) {
	struct json_path path;
	if (json_path_parse(path_text, path_len, &path) < 0)
		return bad_path(c);
	c->root = json_path_find(c->root, &path, 0);
	if (!c->root.at || c->root.type < JSON_SCAN_ARRAY) {
		c->at_end = true;
		return path.strict ? not_found(c) : SQLITE_OK;
	}
	c->walking = c->keyed || c->root.type == JSON_SCAN_ARRAY;
	if (!c->walking) {
		c->row = c->root;
		return SQLITE_OK;
	}
	json_scan_enter(&c->root, &c->walk);
	return next_row(c);
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *name, int argc, sqlite3_value **argv) {
	struct cursor *c = (struct cursor *)base;
	size_t wrong;
	(void)plan;
	(void)name;
	clear(c);
	c->at_end = c->loaded = false;
	c->number = 0;
	if (argc < ARGUMENTS || sqlite3_value_type(argv[0]) == SQLITE_NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL) {
		c->at_end = true;
		return SQLITE_OK;
	}
	size_t len = (size_t)sqlite3_value_bytes(argv[0]);
	c->text = malloc(len + 1);
	if (!c->text)
		return SQLITE_NOMEM;
	memcpy(c->text, sqlite3_value_text(argv[0]), len + 1);
	c->keyed = sqlite3_value_type(argv[2]) == SQLITE_NULL;
	int rc = c->keyed ? SQLITE_OK : read_spec(c, (const char *)sqlite3_value_text(argv[2]));
	if (rc != SQLITE_OK)
		return rc;
	if (json_scan_check(c->text, len, &wrong) < 0)
		return bad_text(c, c->text, len, wrong);
	c->root = json_scan_value(c->text, c->text + len);
	const char *path = (const char *)sqlite3_value_text(argv[1]);
	return begin(c, path, (size_t)sqlite3_value_bytes(argv[1]));
}

static int next(sqlite3_vtab_cursor *base) {
	struct cursor *c = (struct cursor *)base;
	c->number++;
	if (c->walking)
		return next_row(c);
	c->at_end = true;
	return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base) { return ((struct cursor *)base)->at_end; }

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
	*out = ((struct cursor *)base)->number;
	return SQLITE_OK;
}

/* --- values --- */

/* One pass over the members of the row for all columns. */
static void load(struct cursor *c) {
	struct json_cursor walk;
	struct json_span key, item;
	memset(c->found, 0, sizeof *c->found * (size_t)c->target_count);
	c->loaded = true;
	for (int i = 0; i < c->target_count; i++)
		if (c->targets[i].path.count == 0 || !c->targets[i].path.steps[0].key)
			c->found[i] = json_path_find(c->row, &c->targets[i].path, 0);
	if (c->row.type != JSON_SCAN_OBJECT)
		return;
	json_scan_enter(&c->row, &walk);
	while (json_scan_next(&walk, &key, &item))
		for (int i = 0; i < c->target_count; i++) {
			const struct json_path *path = &c->targets[i].path;
			if (path->count && path->steps[0].key && !c->found[i].at &&
				json_scan_key_is(&key, path->steps[0].key, path->steps[0].key_len))
				c->found[i] = item;
		}
	for (int i = 0; i < c->target_count; i++)
		if (c->targets[i].path.count > 1 && c->targets[i].path.steps[0].key && c->found[i].at)
			c->found[i] = json_path_find(c->found[i], &c->targets[i].path, 1);
}

static void result_string(sqlite3_context *out, const struct json_span *s) {
	char *text = sqlite3_malloc64(s->len + 1);
	if (!text) {
		sqlite3_result_error_nomem(out);
		return;
	}
	size_t n = json_scan_decode(s, text);
	sqlite3_result_text64(out, text, n, sqlite3_free, SQLITE_UTF8);
}

static bool plain_integer(const struct json_span *s, enum sql_type type, sqlite3_int64 *out) {
	static const long long min[] = {
		[SQL_TINYINT] = 0, [SQL_SMALLINT] = INT16_MIN, [SQL_INT] = INT32_MIN, [SQL_BIGINT] = -999999999999999999
	};
	static const long long max[] = {
		[SQL_TINYINT] = 255, [SQL_SMALLINT] = INT16_MAX, [SQL_INT] = INT32_MAX, [SQL_BIGINT] = 999999999999999999
	};
	bool minus = s->len && s->at[0] == '-';
	long long value = 0;
	if (type < SQL_TINYINT || type > SQL_BIGINT || s->type != JSON_SCAN_NUMBER || s->len > 18)
		return false;
	for (size_t i = minus; i < s->len; i++) {
		if (s->at[i] < '0' || s->at[i] > '9')
			return false;
		value = value * 10 + (s->at[i] - '0');
	}
	*out = minus ? -value : value;
	return *out >= min[type] && *out <= max[type];
}

/* Through t_cast from nvarchar, as SQL Server converts the text of the value. */
static int result_cast(struct cursor *c, sqlite3_context *out, const struct json_target *t, const struct json_span *s) {
	sqlite3 *db = ((struct table *)c->base.pVtab)->db;
	char *text = malloc(s->len + 1);
	if (!text)
		return SQLITE_NOMEM;
	size_t n = s->len;
	if (s->type == JSON_SCAN_STRING)
		n = json_scan_decode(s, text);
	else
		memcpy(text, s->at, s->len);
	int rc = SQLITE_OK;
	if (!c->cast)
		rc = sqlite3_prepare_v2(db, "SELECT t_cast(?1, ?2, ?3, ?4, ?5)", -1, &c->cast, NULL);
	if (rc == SQLITE_OK) {
		bool exact = t->type == SQL_DECIMAL || t->type == SQL_MONEY;
		sqlite3_bind_text(c->cast, 1, text, (int)n, SQLITE_TRANSIENT);
		sqlite3_bind_int(c->cast, 2, SQL_NVARCHAR);
		sqlite3_bind_int(c->cast, 3, t->type);
		sqlite3_bind_int(c->cast, 4, exact ? t->precision : t->length);
		sqlite3_bind_int(c->cast, 5, t->scale);
		rc = sqlite3_step(c->cast);
		if (rc == SQLITE_ROW)
			sqlite3_result_value(out, sqlite3_column_value(c->cast, 0));
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : fail(c, sqlite3_mprintf("%s", sqlite3_errmsg(db)));
		sqlite3_reset(c->cast);
	}
	free(text);
	return rc;
}

static bool plain_text(const struct json_target *t, const struct json_span *s) {
	return t->type == SQL_NVARCHAR && (t->length == SQL_MAX_LENGTH || s->len <= (size_t)t->length);
}

static int result_target(struct cursor *c, sqlite3_context *out, int i) {
	const struct json_target *t = &c->targets[i];
	const struct json_span *s = &c->found[i];
	sqlite3_int64 number;
	if (!s->at)
		return t->path.strict ? not_found(c) : SQLITE_OK;
	if (t->as_json) {
		if (s->type >= JSON_SCAN_ARRAY)
			sqlite3_result_text64(out, s->at, s->len, SQLITE_TRANSIENT, SQLITE_UTF8);
		else if (t->path.strict)
			return fail(c, sqlite3_mprintf("@13624:Object or array cannot be found in the specified JSON path."));
		return SQLITE_OK;
	}
	if (s->type == JSON_SCAN_NULL)
		return SQLITE_OK;
	if (s->type >= JSON_SCAN_ARRAY)
		return t->path.strict
			       ? fail(c, sqlite3_mprintf("@13623:Scalar value cannot be found in the specified JSON path."))
			       : SQLITE_OK;
	if (plain_integer(s, t->type, &number))
		sqlite3_result_int64(out, number);
	else if (s->type == JSON_SCAN_STRING && plain_text(t, s))
		result_string(out, s);
	else
		return result_cast(c, out, t, s);
	return SQLITE_OK;
}

static void result_keyed(struct cursor *c, sqlite3_context *out, int i) {
	if (i == 0 && c->key.at) {
		result_string(out, &c->key);
	} else if (i == 0) {
		char text[24];
		int n = snprintf(text, sizeof text, "%lld", (long long)c->number);
		sqlite3_result_text(out, text, n, SQLITE_TRANSIENT);
	} else if (i == 1) {
		if (c->row.type == JSON_SCAN_STRING)
			result_string(out, &c->row);
		else if (c->row.type != JSON_SCAN_NULL)
			sqlite3_result_text64(out, c->row.at, c->row.len, SQLITE_TRANSIENT, SQLITE_UTF8);
	} else if (i == 2) {
		sqlite3_result_int(out, (int)c->row.type);
	}
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *out, int i) {
	struct cursor *c = (struct cursor *)base;
	if (c->keyed) {
		result_keyed(c, out, i);
		return SQLITE_OK;
	}
	if (i >= c->target_count)
		return SQLITE_OK;
	if (!c->loaded)
		load(c);
	return result_target(c, out, i);
}

int openjson_register(sqlite3 *db) {
	static const sqlite3_module module = {
		.xConnect = connect_module,
		.xBestIndex = best_index,
		.xDisconnect = disconnect_module,
		.xOpen = open_cursor,
		.xClose = close_cursor,
		.xFilter = filter,
		.xNext = next,
		.xEof = eof,
		.xColumn = column,
		.xRowid = row_id,
	};
	return sqlite3_create_module_v2(db, "t_openjson", &module, NULL, NULL);
}
