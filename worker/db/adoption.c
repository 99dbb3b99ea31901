/* The report about the old system's tables: composing, reading, writing it down. The kinds and their statements are in
 * adoption_checks.c. */
#include "worker/db/adoption.h"

#include <inttypes.h>
#include <string.h>
#include "common/utf8.h"

#define STATEMENT_MAX (1 << 16)
#define LINE_MAX_BYTES 240
#define JTL_MARK "<JTL>"

/* sql with the name of JTL's database in its place. */
static int compose(struct buf *out, const char *sql, const char *jtl_database, struct err *err)
{
	const char *mark;

	while ((mark = strstr(sql, JTL_MARK)) != NULL) {
		buf_add(out, sql, (size_t)(mark - sql));
		if (db_quote_name(out, jtl_database, err) != 0)
			return -1;
		sql = mark + strlen(JTL_MARK);
	}
	buf_add_text(out, sql);
	return buf_check(out, "adoption statement", err);
}

int adoption_mend(const struct adoption_check *check, const char *jtl_database, struct buf *sql, struct err *err)
{
	return compose(sql, check->mend, jtl_database, err);
}

struct found {
	int64_t count;
	struct buf lines; /* the examples */
};

/* A SKU may hold anything. */
static void add_line(struct buf *out, const char *text)
{
	size_t len = utf8_cut(text, strlen(text), LINE_MAX_BYTES);

	buf_add_text(out, "     ");
	for (size_t i = 0; i < len; i++)
		buf_add_char(out, (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i]);
	buf_add_text(out, text[len] ? "...\n" : "\n");
}

static int take_example(void *arg, const struct db_row *row, struct err *err)
{
	struct found *found = arg;
	const char *text = db_row_text(row, 0, NULL);

	(void)err;
	add_line(&found->lines, text ? text : "");
	return 0;
}

static int read_kind(struct db *db, const struct adoption_check *check, const char *jtl_database, struct found *found,
                     struct err *err)
{
	struct db_statement read = { .label = check->id, .row = take_example, .arg = found };
	struct buf sql;
	int rc = 0;

	found->count = 0;
	buf_clear(&found->lines);
	buf_init(&sql, STATEMENT_MAX);
	buf_add_text(&sql, "SELECT COUNT(*) FROM (\n");
	if (compose(&sql, check->find, jtl_database, err) != 0)
		rc = -1;
	buf_add_text(&sql, ") f");
	read.sql = buf_text(&sql);
	if (rc == 0)
		rc = db_query_int64(db, &read, &found->count, err);
	if (rc == 0 && found->count > 0) {
		buf_clear(&sql);
		buf_addf(&sql, "SELECT TOP (%d) f.what FROM (\n", ADOPTION_EXAMPLES);
		rc = compose(&sql, check->find, jtl_database, err);
		buf_add_text(&sql, ") f\nORDER BY f.place, f.what");
		read.sql = buf_text(&sql);
		if (rc == 0)
			rc = db_query(db, &read, NULL, err);
	}
	buf_release(&sql);
	return rc;
}

/* Lines of a statement, set in. */
static void add_statement(struct buf *out, const char *sql)
{
	while (*sql) {
		size_t len = strcspn(sql, "\n");

		buf_add_text(out, "       ");
		buf_add(out, sql, len);
		buf_add_char(out, '\n');
		sql += len + (sql[len] == '\n');
	}
}

static int add_finding(struct buf *out, size_t number, const struct adoption_check *check, const char *jtl_database,
                       const struct found *found, struct err *err)
{
	struct buf mend;
	int rc = 0;

	buf_addf(out, "\n%2zu. %s: %" PRId64 "   [%s]\n     %s\n", number, check->title, found->count, check->id, check->meaning);
	buf_add_text(out, buf_text(&found->lines));
	if (found->count > ADOPTION_EXAMPLES)
		buf_addf(out, "     ... and %" PRId64 " more\n", found->count - ADOPTION_EXAMPLES);
	if (!check->mend)
		return 0;
	buf_init(&mend, STATEMENT_MAX);
	rc = adoption_mend(check, jtl_database, &mend, err);
	buf_add_text(out, "     To mend it:\n");
	add_statement(out, buf_text(&mend));
	buf_release(&mend);
	return rc;
}

/* The connection is gone, or the server is too busy: not a matter of this one kind. */
static bool everybodys(const struct err *err)
{
	return err->class != ERR_PERM && err->class != ERR_HOLD;
}

static int add_kinds(struct db *db, const char *jtl_database, struct buf *out, size_t *findings, struct err *err)
{
	size_t count;
	const struct adoption_check *checks = adoption_checks(&count);
	struct found found = { .count = 0 };
	int rc = 0;

	buf_init(&found.lines, STATEMENT_MAX);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct err inner = ERR_INIT;

		if (read_kind(db, &checks[i], jtl_database, &found, &inner) != 0) {
			if (everybodys(&inner)) {
				*err = inner;
				rc = -1;
			} else {
				buf_addf(out, "\n    %s: could not be looked at   [%s]\n     %s\n", checks[i].title, checks[i].id,
				         inner.text);
			}
		} else if (found.count > 0) {
			rc = add_finding(out, ++*findings, &checks[i], jtl_database, &found, err);
		}
	}
	buf_release(&found.lines);
	return rc;
}

int adoption_report(struct db *db, const char *jtl_database, struct buf *out, size_t *findings, struct err *err)
{
	size_t count, found = 0;
	struct buf body;
	int rc;

	(void)adoption_checks(&count);
	buf_init(&body, 1 << 20);
	rc = add_kinds(db, jtl_database, &body, &found, err);
	if (rc == 0) {
		buf_addf(out, "Adoption report: %zu kinds of damage looked for in the tables of the old system, %zu found.\n", count,
		         found);
		if (found > 0)
			buf_add_text(out,
			             "None of it makes a run do wrong: what these tables say TEMU has is not believed. The first full "
			             "run compares every SKU\nwith TEMU itself, and once the gate is open runs write the products "
			             "and inventory rows anew. No statement below was run.\n");
		buf_add_text(out, buf_text(&body));
		rc = buf_check(out, "adoption report", err);
	}
	if (findings)
		*findings = found;
	buf_release(&body);
	return rc;
}
