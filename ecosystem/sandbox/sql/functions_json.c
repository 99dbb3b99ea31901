/* ISJSON, JSON_VALUE, JSON_QUERY; STRING_SPLIT as a table. OPENJSON is in openjson.c. */
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/functions_internal.h"
#include "ecosystem/sandbox/sql/json_scan.h"

static bool null_among(int n, sqlite3_value **v) {
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return true;
	return false;
}

static void is_json(sqlite3_context *c, int n, sqlite3_value **v) {
	size_t wrong;
	if (!null_among(n, v))
		sqlite3_result_int(c,
			json_scan_check((const char *)sqlite3_value_text(v[0]), (size_t)sqlite3_value_bytes(v[0]), &wrong) == 0);
}

static bool find(sqlite3_context *c, int n, sqlite3_value **v, struct json_path *path, struct json_span *out) {
	size_t wrong;
	const char *text = (const char *)sqlite3_value_text(v[0]);
	size_t len = (size_t)sqlite3_value_bytes(v[0]);
	const char *at = n > 1 ? (const char *)sqlite3_value_text(v[1]) : "$";
	if (json_scan_check(text, len, &wrong) < 0) {
		functions_error(c, 13609,
			"JSON text is not properly formatted. Unexpected character '%.*s' is found at position %zu.",
			wrong < len ? 1 : 0, text + wrong, wrong);
		return false;
	}
	if (json_path_parse(at, strlen(at), path) < 0) {
		functions_error(c, 13607, "JSON path is not properly formatted. Unexpected character is found at position 0.");
		return false;
	}
	*out = json_path_find(json_scan_value(text, text + len), path, 0);
	if (!out->at && path->strict)
		functions_error(c, 13608, "Property cannot be found on the specified JSON path.");
	return out->at != NULL;
}

static void json_value(sqlite3_context *c, int n, sqlite3_value **v) {
	struct json_path path;
	struct json_span s;
	if (null_among(n, v) || !find(c, n, v, &path, &s) || s.type == JSON_SCAN_NULL)
		return;
	if (s.type >= JSON_SCAN_ARRAY) {
		if (path.strict)
			functions_error(c, 13623, "Scalar value cannot be found in the specified JSON path.");
		return;
	}
	if (s.type != JSON_SCAN_STRING) {
		sqlite3_result_text64(c, s.at, s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
		return;
	}
	char *text = sqlite3_malloc64(s.len + 1);
	if (!text) {
		sqlite3_result_error_nomem(c);
		return;
	}
	size_t len = json_scan_decode(&s, text);
	if (functions_units(text, len) > 4000) {
		sqlite3_free(text);
		if (path.strict)
			functions_error(c, 13625, "String value in the specified JSON path would be truncated.");
		return;
	}
	sqlite3_result_text64(c, text, len, sqlite3_free, SQLITE_UTF8);
}

static void json_query(sqlite3_context *c, int n, sqlite3_value **v) {
	struct json_path path;
	struct json_span s;
	if (null_among(n, v) || !find(c, n, v, &path, &s))
		return;
	if (s.type >= JSON_SCAN_ARRAY)
		sqlite3_result_text64(c, s.at, s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
	else if (path.strict)
		functions_error(c, 13624, "Object or array cannot be found in the specified JSON path.");
}

/* --- t_split(text, separator) --- */

struct split {
	sqlite3_vtab_cursor base;
	char *text, *separator;
	size_t len, separator_len, at, end;
	bool done;
	sqlite3_int64 row;
};

static int split_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **message) {
	(void)aux;
	(void)argc;
	(void)argv;
	(void)message;
	int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(c1, text HIDDEN, separator HIDDEN)");
	if (rc != SQLITE_OK)
		return rc;
	*out = sqlite3_malloc(sizeof **out);
	if (!*out)
		return SQLITE_NOMEM;
	memset(*out, 0, sizeof **out);
	return SQLITE_OK;
}

static int split_disconnect(sqlite3_vtab *base) {
	sqlite3_free(base);
	return SQLITE_OK;
}

static int split_best(sqlite3_vtab *base, sqlite3_index_info *info) {
	int found = 0;
	(void)base;
	for (int i = 0; i < info->nConstraint; i++) {
		if (info->aConstraint[i].iColumn < 1 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		info->aConstraintUsage[i].argvIndex = info->aConstraint[i].iColumn;
		info->aConstraintUsage[i].omit = 1;
		found++;
	}
	info->estimatedCost = 10000;
	info->estimatedRows = 100;
	return found == 2 ? SQLITE_OK : SQLITE_CONSTRAINT;
}

static int split_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
	struct split *s = sqlite3_malloc(sizeof *s);
	(void)base;
	if (!s)
		return SQLITE_NOMEM;
	memset(s, 0, sizeof *s);
	*out = &s->base;
	return SQLITE_OK;
}

static int split_close(sqlite3_vtab_cursor *base) {
	struct split *s = (struct split *)base;
	free(s->text);
	free(s->separator);
	sqlite3_free(s);
	return SQLITE_OK;
}

static void find_end(struct split *s) {
	s->end = s->at;
	while (s->end < s->len &&
		(s->len - s->end < s->separator_len || memcmp(s->text + s->end, s->separator, s->separator_len) != 0))
		s->end++;
}

static int split_filter(sqlite3_vtab_cursor *base, int plan, const char *name, int argc, sqlite3_value **v) {
	struct split *s = (struct split *)base;
	(void)plan;
	(void)name;
	free(s->text);
	free(s->separator);
	s->text = s->separator = NULL;
	s->at = 0;
	s->row = 1;
	s->done = argc < 2 || null_among(2, v);
	if (s->done)
		return SQLITE_OK;
	s->text = strdup((const char *)sqlite3_value_text(v[0]));
	s->separator = strdup((const char *)sqlite3_value_text(v[1]));
	if (!s->text || !s->separator)
		return SQLITE_NOMEM;
	s->len = strlen(s->text);
	s->separator_len = strlen(s->separator);
	if (functions_units(s->separator, s->separator_len) != 1) {
		base->pVtab->zErrMsg =
			sqlite3_mprintf("@214:Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'.");
		return SQLITE_ERROR;
	}
	find_end(s);
	return SQLITE_OK;
}

static int split_next(sqlite3_vtab_cursor *base) {
	struct split *s = (struct split *)base;
	s->done = s->end >= s->len;
	s->at = s->end + s->separator_len;
	s->row++;
	if (!s->done)
		find_end(s);
	return SQLITE_OK;
}

static int split_eof(sqlite3_vtab_cursor *base) { return ((struct split *)base)->done; }

static int split_column(sqlite3_vtab_cursor *base, sqlite3_context *c, int i) {
	const struct split *s = (struct split *)base;
	if (i == 0)
		sqlite3_result_text64(c, s->text + s->at, s->end - s->at, SQLITE_TRANSIENT, SQLITE_UTF8);
	return SQLITE_OK;
}

static int split_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
	*out = ((struct split *)base)->row;
	return SQLITE_OK;
}

int functions_json_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_isjson", 1, is_json, false },
		{ "t_json_value", 2, json_value, false },
		{ "t_json_query", -1, json_query, false },
		{ NULL, 0, NULL, false },
	};
	static const sqlite3_module split = { .xConnect = split_connect,
		.xBestIndex = split_best,
		.xDisconnect = split_disconnect,
		.xOpen = split_open,
		.xClose = split_close,
		.xFilter = split_filter,
		.xNext = split_next,
		.xEof = split_eof,
		.xColumn = split_column,
		.xRowid = split_rowid };
	int rc = functions_add(db, context, entries);
	return rc == SQLITE_OK ? sqlite3_create_module_v2(db, "t_split", &split, NULL, NULL) : rc;
}
