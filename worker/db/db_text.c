/* Text on its way into statements: literals, names, checks, labels for errors.
 * No ct-lib here: what must never reach it is stopped here (libraries.md section 3). */
#include <ctype.h>
#include <string.h>
#include "common/utf8.h"
#include "worker/db/db_internal.h"

#define NAME_UNITS_MAX 128

bool db_text_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || (unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

int db_text_check(const char *what, const char *text, size_t len, size_t max, struct err *err)
{
	if (len > max)
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: %zu bytes, at most %zu are allowed", what, len, max);
	if (!utf8_valid(text, len))
		return err_set(err, ERR_PERM, "SQL_TEXT", "%s: invalid UTF-8 or a NUL; FreeTDS would send it cut off", what);
	return 0;
}

int db_quote(struct buf *out, const char *text, size_t len, struct err *err)
{
	if (db_text_check("literal", text, len, DB_STATEMENT_MAX, err) != 0)
		return -1;
	buf_add_text(out, "N'");
	for (size_t i = 0; i < len; i++) {
		buf_add_char(out, text[i]);
		if (text[i] == '\'')
			buf_add_char(out, '\'');
		/* backslash and line end are a line continuation, even inside a literal */
		if (text[i] == '\\' && i + 1 < len && (text[i + 1] == '\n' || text[i + 1] == '\r'))
			buf_add_text(out, "'+N'");
	}
	buf_add_char(out, '\'');
	return 0;
}

int db_quote_name(struct buf *out, const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (db_text_check("name", name, len, 4 * NAME_UNITS_MAX, err) != 0)
		return -1;
	if (len == 0 || utf8_utf16_units(name, len) > NAME_UNITS_MAX)
		return err_set(err, ERR_PERM, "SQL_TEXT", "a name has 1 to %d characters", NAME_UNITS_MAX);
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)name[i]))
			return err_set(err, ERR_PERM, "SQL_TEXT", "control character in a name");
	buf_add_char(out, '[');
	for (size_t i = 0; i < len; i++) {
		buf_add_char(out, name[i]);
		if (name[i] == ']')
			buf_add_char(out, ']');
	}
	buf_add_char(out, ']');
	return 0;
}

const char *db_text_label(const struct db_statement *statement, char *out)
{
	const char *at = statement && statement->sql ? statement->sql : "";
	size_t len = 0, end;

	if (statement && statement->label) {
		len = utf8_cut(statement->label, strlen(statement->label), DB_LABEL_MAX - 1);
		memcpy(out, statement->label, len);
		out[len] = '\0';
		return out;
	}
	at += strspn(at, " \t\r\n");
	end = strlen(at);
	if (strncmp(at, "--", 2) == 0) {
		at += 2 + strspn(at + 2, " \t");
		end = strcspn(at, "\r\n");
	}
	end = utf8_cut(at, end, DB_LABEL_MAX - 1);
	for (size_t i = 0; i < end; i++) { /* runs of blanks become one */
		bool blank = strchr(" \t\r\n", at[i]) != NULL;

		if (!blank)
			out[len++] = at[i];
		else if (len > 0 && out[len - 1] != ' ')
			out[len++] = ' ';
	}
	out[len] = '\0';
	return out;
}
