/* Small shared parts of the repository files. No statement here. */
#include "worker/db/rows.h"

#include <stdio.h>
#include <string.h>
#include "common/clock.h"

const char *rows_time(int64_t now_ms, char out[ROWS_TIME_MAX])
{
	clock_format(now_ms, out);
	out[strcspn(out, "Z")] = '\0';
	return out;
}

int rows_time_read(const char *text, int64_t *ms, struct err *err)
{
	char zulu[ROWS_TIME_MAX + 2];

	*ms = 0;
	if (!text)
		return 0;
	snprintf(zulu, sizeof(zulu), "%.*sZ", ROWS_TIME_MAX, text);
	if (clock_parse(zulu, ms) == 0)
		return 0;
	return err_set(err, ERR_PERM, "SQL_ROW", "\"%.40s\" is no time", text);
}

void rows_maybe(struct dbjson *rows, const char *name, struct maybe value)
{
	if (value.set)
		dbjson_int64(rows, name, value.value);
	else
		dbjson_null(rows, name);
}

int rows_maybe_read(const struct db_row *row, int column, struct maybe *out, struct err *err)
{
	*out = (struct maybe){ .set = !db_row_null(row, column) };
	return out->set ? db_row_int64(row, column, &out->value, err) : 0;
}

int rows_send(struct db *db, const char *label, const char *sql, struct dbjson *rows, struct db_param *params, size_t count,
              int64_t *affected, struct err *err)
{
	struct db_statement statement = { .label = label, .sql = sql, .params = params, .count = count };

	if (dbjson_end(rows, "@j", &params[0], err) != 0)
		return -1;
	return db_query(db, &statement, affected, err);
}

int rows_send_ids(struct db *db, const char *label, const char *sql, const char *name, const int64_t *ids, size_t ids_count,
                  struct db_param *params, size_t count, struct err *err)
{
	struct dbjson rows;
	int rc;

	dbjson_init(&rows, ROWS_MAX);
	for (size_t i = 0; i < ids_count; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, name, ids[i]);
	}
	rc = rows_send(db, label, sql, &rows, params, count, NULL, err);
	dbjson_release(&rows);
	return rc;
}
