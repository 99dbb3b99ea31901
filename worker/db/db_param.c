/* Parameters: the few forms that reach the server unharmed (libraries.md section 3), and how a statement is sent.
 * Text must be ASCII here: ct-lib would push anything else through the code page of the server's collation. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "worker/db/db_internal.h"

#define TEXT_MAX 8000
#define DECIMAL_DIGITS 25 /* before the point */
#define DECIMAL_SCALE 13
#define DECIMAL_PRECISION 38

struct db_param db_param_int64(const char *name, int64_t value)
{
	return (struct db_param){ .name = name, .type = DB_INT64, .number = value };
}

static struct db_param of_text(const char *name, enum db_param_type type, const char *text)
{
	return (struct db_param){
		.name = name, .type = type, .null = !text, .text = text, .len = text ? strlen(text) : 0
	};
}

struct db_param db_param_text(const char *name, const char *text)
{
	return of_text(name, DB_TEXT, text);
}

struct db_param db_param_decimal(const char *name, const char *text)
{
	return of_text(name, DB_DECIMAL, text);
}

struct db_param db_param_json(const char *name, const struct buf *json)
{
	return (struct db_param){ .name = name, .type = DB_JSON, .text = buf_text(json), .len = json->len };
}

struct db_param db_param_null(const char *name, enum db_param_type type)
{
	return (struct db_param){ .name = name, .type = type, .null = true };
}

/* --- checks, all before ct-lib sees anything --- */

static bool decimal_ok(const char *text, size_t len)
{
	size_t at = len > 0 && (text[0] == '-' || text[0] == '+'), whole = 0, places = 0;

	while (at < len && isdigit((unsigned char)text[at]))
		at++, whole++;
	if (at < len && text[at] == '.')
		for (at++; at < len && isdigit((unsigned char)text[at]); at++)
			places++;
	return at == len && whole >= 1 && whole <= DECIMAL_DIGITS && places <= DECIMAL_SCALE;
}

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (len < 2 || len > 60 || name[0] != '@')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return true;
}

static int check(const struct db_param *param, const char *label, struct err *err)
{
	size_t max = param->type == DB_JSON ? DB_VALUE_MAX : TEXT_MAX;

	if (!name_ok(param->name))
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: '%s' is no parameter name", label, param->name ? param->name : "");
	if (param->null || param->type == DB_INT64)
		return 0;
	if (param->len > max)
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %s has %zu bytes, at most %zu are possible", label, param->name,
		               param->len, max);
	if (!db_text_ascii(param->text, param->len))
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %s is not pure ASCII; such text travels as JSON", label,
		               param->name);
	if (param->type == DB_DECIMAL && !decimal_ok(param->text, param->len))
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %s is no decimal of at most %d.%d digits", label, param->name,
		               DECIMAL_DIGITS, DECIMAL_SCALE);
	return 0;
}

/* --- binding: ct-lib copies the values --- */

static CS_RETCODE bind_text(CS_COMMAND *command, CS_DATAFMT *format, const struct db_param *param)
{
	union {
		const char *in;
		CS_VOID *out;
	} text = { .in = param->null ? NULL : param->text };

	/* few widths, so that the server keeps few plans */
	format->maxlength = param->len <= 50 ? 50 : param->len <= 400 ? 400 : TEXT_MAX;
	if (param->type == DB_JSON)
		format->maxlength = 0x7FFFFFFF;
	return ct_param(command, format, text.out, (CS_INT)param->len, param->null ? -1 : 0);
}

static CS_RETCODE bind_decimal(struct db *db, CS_DATAFMT *format, const struct db_param *param)
{
	CS_NUMERIC number = { .precision = DECIMAL_PRECISION, .scale = DECIMAL_SCALE };
	CS_DATAFMT from = { .datatype = CS_CHAR_TYPE };
	char text[64];
	CS_INT len;

	format->precision = DECIMAL_PRECISION;
	format->scale = DECIMAL_SCALE;
	format->maxlength = sizeof(number);
	if (param->null)
		return ct_param(db->command, format, &number, sizeof(number), -1);
	from.maxlength = snprintf(text, sizeof(text), "%.*s", (int)param->len, param->text);
	if (cs_convert(db->context, &from, text, format, &number, &len) != CS_SUCCEED)
		return CS_FAIL;
	return ct_param(db->command, format, &number, sizeof(number), 0);
}

static CS_RETCODE bind(struct db *db, const struct db_param *param)
{
	CS_DATAFMT format = { .status = CS_INPUTVALUE };
	CS_BIGINT number = param->number;

	format.namelen = snprintf(format.name, sizeof(format.name), "%s", param->name);
	switch (param->type) {
	case DB_INT64:
		format.datatype = CS_BIGINT_TYPE;
		format.maxlength = sizeof(number);
		return ct_param(db->command, &format, &number, sizeof(number), param->null ? -1 : 0);
	case DB_TEXT:
		format.datatype = CS_LONGCHAR_TYPE;
		return bind_text(db->command, &format, param);
	case DB_JSON:
		format.datatype = CS_TEXT_TYPE;
		return bind_text(db->command, &format, param);
	case DB_DECIMAL:
		format.datatype = CS_NUMERIC_TYPE;
		return bind_decimal(db, &format, param);
	}
	return CS_FAIL;
}

int db_param_send(struct db *db, const struct db_statement *statement, struct err *err)
{
	char label[DB_LABEL_MAX];
	union {
		const char *in;
		CS_VOID *out;
	} sql = { .in = statement->sql };
	size_t len = strlen(statement->sql);

	db_text_label(statement, label);
	if (db_text_check(label, statement->sql, len, DB_STATEMENT_MAX, err) != 0)
		return -1;
	if (len == 0)
		return err_set(err, ERR_PERM, "SQL_TEXT", "an empty statement");
	if (statement->count > DB_PARAMS_MAX)
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %zu parameters, at most %d are possible", label, statement->count,
		               DB_PARAMS_MAX);
	for (size_t i = 0; i < statement->count; i++)
		if (check(&statement->params[i], label, err) != 0)
			return -1;
	db->phase = DB_PHASE_SENDING;
	if (ct_command(db->command, CS_LANG_CMD, sql.out, (CS_INT)len, CS_UNUSED) != CS_SUCCEED)
		goto failed;
	for (size_t i = 0; i < statement->count; i++)
		if (bind(db, &statement->params[i]) != CS_SUCCEED)
			goto failed;
	if (ct_send(db->command) != CS_SUCCEED)
		goto failed;
	db->phase = DB_PHASE_READING;
	return 0;
failed: /* whatever was half built must not reach the server with the next request */
	db->doubtful = true;
	return db_error_fill(db, err);
}
