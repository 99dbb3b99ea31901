/* Rows as one ASCII JSON document for OPENJSON.
 * The escaping is json.h's; here are only the shape and the promise that nothing is replaced silently. */
#include "worker/db/dbjson.h"

#include <string.h>
#include "common/utf8.h"

void dbjson_init(struct dbjson *rows, size_t max)
{
	*rows = (struct dbjson){ 0 };
	buf_init(&rows->text, max);
	json_array_open(&rows->text, NULL);
}

void dbjson_release(struct dbjson *rows)
{
	buf_release(&rows->text);
	*rows = (struct dbjson){ 0 };
}

void dbjson_clear(struct dbjson *rows)
{
	buf_clear(&rows->text);
	rows->rows = 0;
	rows->open = false;
	rows->invalid = false;
	json_array_open(&rows->text, NULL);
}

void dbjson_row(struct dbjson *rows)
{
	if (rows->open)
		json_object_close(&rows->text);
	json_object_open(&rows->text, NULL);
	rows->open = true;
	rows->rows++;
}

void dbjson_int64(struct dbjson *rows, const char *name, int64_t value)
{
	json_add_int64(&rows->text, name, value);
}

void dbjson_text(struct dbjson *rows, const char *name, const char *value)
{
	if (value && !utf8_valid(value, strlen(value)))
		rows->invalid = true;
	json_add_ascii_string(&rows->text, name, value);
}

void dbjson_bool(struct dbjson *rows, const char *name, bool value)
{
	json_add_bool(&rows->text, name, value);
}

void dbjson_null(struct dbjson *rows, const char *name)
{
	json_add_null(&rows->text, name);
}

void dbjson_decimal(struct dbjson *rows, const char *name, const char *value)
{
	dbjson_text(rows, name, value);
}

int dbjson_end(struct dbjson *rows, const char *param_name, struct db_param *param, struct err *err)
{
	if (rows->open) {
		json_object_close(&rows->text);
		rows->open = false;
	}
	json_array_close(&rows->text);
	if (rows->invalid)
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: a text of the rows is not valid UTF-8", param_name);
	if (rows->text.failed)
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %zu rows are more than %zu bytes", param_name, rows->rows,
		               rows->text.max);
	*param = db_param_json(param_name, &rows->text);
	return 0;
}
