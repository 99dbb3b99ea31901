/* One result set: columns bound as text, rows handed to the reader, values too long for their buffer read again in full.
 * What a row means is the reader's business. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "worker/db/db_internal.h"

#define COLUMNS_MAX 1024
#define BOUND_TEXT_MAX 4096 /* longer values are rare and cost a copy */
#define BOUND_OTHER 128     /* numbers, dates, identifiers as text */
#define BOUND_BINARY_MAX 16020
#define CHUNK 16384

/* --- columns --- */

static bool is_text(CS_INT type)
{
	return type == CS_CHAR_TYPE || type == CS_VARCHAR_TYPE || type == CS_LONGCHAR_TYPE || type == CS_TEXT_TYPE ||
	       type == CS_UNITEXT_TYPE || type == CS_XML_TYPE || type == CS_UNICHAR_TYPE;
}

static bool is_binary(CS_INT type)
{
	return type == CS_BINARY_TYPE || type == CS_VARBINARY_TYPE || type == CS_LONGBINARY_TYPE || type == CS_IMAGE_TYPE;
}

static size_t bound_size(const CS_DATAFMT *format)
{
	size_t declared = format->maxlength > 0 ? (size_t)format->maxlength : BOUND_TEXT_MAX;

	if (is_binary(format->datatype))
		return declared < BOUND_BINARY_MAX / 2 ? 2 * declared + 3 : BOUND_BINARY_MAX;
	if (!is_text(format->datatype))
		return BOUND_OTHER;
	return declared < BOUND_TEXT_MAX ? declared + 1 : BOUND_TEXT_MAX;
}

static int bind_column(struct db *db, int index, struct err *err)
{
	struct db_column *column = &db->row.columns[index];
	CS_DATAFMT format = { 0 }, wanted = { .datatype = CS_CHAR_TYPE, .format = CS_FMT_NULLTERM, .count = 1 };
	size_t size;

	if (ct_describe(db->command, index + 1, &format) != CS_SUCCEED)
		return db_error_fill(db, err);
	snprintf(column->name, sizeof(column->name), "%.*s",
	         format.namelen > 0 && format.namelen < (CS_INT)sizeof(format.name) ? (int)format.namelen : 0, format.name);
	column->text = is_text(format.datatype);
	size = bound_size(&format);
	if (size > column->bound_size) {
		char *grown = realloc(column->bound, size);

		if (!grown)
			return err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory for a row");
		column->bound = grown;
		column->bound_size = size;
	}
	wanted.maxlength = (CS_INT)size;
	if (ct_bind(db->command, index + 1, &wanted, column->bound, &column->copied, &column->indicator) != CS_SUCCEED)
		return db_error_fill(db, err);
	return 0;
}

static int grow(struct db_row *row, int count, struct err *err)
{
	struct db_column *grown;

	if (count < 0 || count > COLUMNS_MAX)
		return err_set(err, ERR_PERM, "SQL_ROW", "a row of %d columns", count);
	if (count > row->room) {
		grown = realloc(row->columns, (size_t)count * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory for a row");
		for (int i = row->room; i < count; i++) {
			grown[i] = (struct db_column){ 0 };
			buf_init(&grown[i].large, DB_VALUE_MAX);
		}
		row->columns = grown;
		row->room = count;
	}
	row->count = count;
	return 0;
}

void db_row_release(struct db_row *row)
{
	for (int i = 0; i < row->room; i++) {
		free(row->columns[i].bound);
		buf_release(&row->columns[i].large);
	}
	free(row->columns);
	*row = (struct db_row){ 0 };
}

/* --- one row --- */

static int read_whole(struct db *db, int index, struct err *err)
{
	struct db_column *column = &db->row.columns[index];
	char chunk[CHUNK];
	CS_RETCODE rc;
	CS_INT got;

	buf_clear(&column->large);
	do {
		got = 0;
		rc = ct_get_data(db->command, index + 1, chunk, sizeof(chunk), &got);
		if (rc != CS_SUCCEED && rc != CS_END_ITEM && rc != CS_END_DATA)
			return err_set(err, ERR_PERM, "SQL_ROW", "column %s: its value cannot be read", column->name);
		buf_add(&column->large, chunk, (size_t)got);
	} while (rc == CS_SUCCEED && got > 0);
	column->data = buf_text(&column->large);
	column->len = column->large.len;
	return buf_check(&column->large, column->name, err);
}

static int take_column(struct db *db, int index, bool cut, struct err *err)
{
	struct db_column *column = &db->row.columns[index];

	column->null = column->indicator == -1;
	column->data = NULL;
	column->len = 0;
	if (column->null)
		return 0;
	if (!cut || (column->indicator == 0 && column->copied > 0 && (size_t)column->copied < column->bound_size)) {
		column->data = column->bound;
		column->len = column->copied > 0 ? (size_t)column->copied - 1 : 0; /* copied counts the NUL */
		return 0;
	}
	if (!column->text)
		return err_set(err, ERR_PERM, "SQL_ROW", "column %s: its value cannot be read as text", column->name);
	return read_whole(db, index, err);
}

/* cut: ct-lib says that at least one value did not fit. */
static int take_row(struct db *db, bool cut, struct err *err)
{
	for (int i = 0; i < db->row.count; i++)
		if (take_column(db, i, cut, err) != 0)
			return -1;
	return 0;
}

static int deliver_row(struct db *db, bool cut, struct err *err)
{
	const struct db_statement *statement = db->statement;
	int64_t now_ms = clock_mono_ms();

	if (now_ms - db->looked_ms >= DB_LIMIT_EVERY_MS && db_limit_check(db, now_ms) != DB_STOP_NONE)
		return -1;
	if (!statement->row)
		return 0;
	if (take_row(db, cut, err) != 0 || statement->row(statement->arg, &db->row, err) != 0) {
		char label[DB_LABEL_MAX];

		db->stop = DB_STOP_ROW;
		return err_context(err, "%s", db_text_label(statement, label));
	}
	return 0;
}

int db_row_deliver(struct db *db, struct err *err)
{
	CS_INT count = 0, got;
	CS_RETCODE rc;

	if (ct_res_info(db->command, CS_NUMDATA, &count, CS_UNUSED, NULL) != CS_SUCCEED)
		return db_error_fill(db, err);
	if (grow(&db->row, count, err) != 0) {
		db->stop = DB_STOP_ROW;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (bind_column(db, i, err) != 0) {
			db->stop = DB_STOP_ROW;
			return -1;
		}
	}
	while ((rc = ct_fetch(db->command, CS_UNUSED, CS_UNUSED, CS_UNUSED, &got)) == CS_SUCCEED || rc == CS_ROW_FAIL)
		if (deliver_row(db, rc == CS_ROW_FAIL, err) != 0)
			return -1;
	db->row.set++;
	/* CS_END_DATA also stands for a cut connection and an error among the rows: the next ct_results tells */
	if (rc == CS_END_DATA || rc == CS_CANCELED)
		return 0;
	db->doubtful = true;
	return -1;
}

/* --- accessors --- */

int db_row_set(const struct db_row *row)
{
	return row->set;
}

int db_row_columns(const struct db_row *row)
{
	return row->count;
}

bool db_row_null(const struct db_row *row, int column)
{
	return column < 0 || column >= row->count || row->columns[column].null;
}

const char *db_row_text(const struct db_row *row, int column, size_t *len)
{
	bool null = db_row_null(row, column);

	if (len)
		*len = null ? 0 : row->columns[column].len;
	return null ? NULL : row->columns[column].data;
}

static const char *name_of(const struct db_row *row, int column, char *out, size_t size)
{
	if (column < 0 || column >= row->count)
		snprintf(out, size, "%d of %d", column, row->count);
	else if (row->columns[column].name[0])
		snprintf(out, size, "%s", row->columns[column].name);
	else
		snprintf(out, size, "%d", column);
	return out;
}

/* What follows the point of a whole number: zeros only. */
static bool zeros(const char *text)
{
	if (*text == '.')
		text += 1 + strspn(text + 1, "0");
	return *text == '\0';
}

int db_row_int64(const struct db_row *row, int column, int64_t *value, struct err *err)
{
	const char *text = db_row_text(row, column, NULL);
	char name[160], *end;
	long long number;

	if (!text)
		return err_set(err, ERR_PERM, "SQL_ROW", "column %s is NULL or missing", name_of(row, column, name, sizeof(name)));
	errno = 0;
	number = strtoll(text, &end, 10);
	if (end == text || errno != 0 || !zeros(end))
		return err_set(err, ERR_PERM, "SQL_ROW", "column %s: '%.40s' is no 64-bit integer",
		               name_of(row, column, name, sizeof(name)), text);
	*value = number;
	return 0;
}

int db_row_copy(const struct db_row *row, int column, char *out, size_t size, struct err *err)
{
	size_t len;
	const char *text = db_row_text(row, column, &len);
	char name[160];

	if (!text)
		return err_set(err, ERR_PERM, "SQL_ROW", "column %s is NULL or missing", name_of(row, column, name, sizeof(name)));
	if (len >= size)
		return err_set(err, ERR_PERM, "SQL_ROW", "column %s: %zu bytes, at most %zu expected",
		               name_of(row, column, name, sizeof(name)), len, size - 1);
	memcpy(out, text, len + 1);
	return 0;
}
