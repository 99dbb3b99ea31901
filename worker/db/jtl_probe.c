/* Whether JTL's database is there, readable and as expected, and whether the configured warehouses may be offered.
 * The look-up itself is in jtl_stock.c. */
#include "worker/db/jtl_stock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/log.h"
#include "worker/db/dbjson.h"
#include "worker/db/jtl_objects.h"

/* Result sets of the probe's batch; those of the objects follow and are empty. */
enum probe_set { SET_WAREHOUSES, SET_DATABASE };

static const char sql_version[] = "SELECT TOP (1) cVersion FROM %s.dbo.tversion";
static const char sql_probe[] =
    "SELECT w.kWarenLager, w.nAktiv, w.nFulfillment, w.kQuellLager, w.kZielLager FROM %s.dbo.tWarenLager w\n"
    "JOIN OPENJSON(@j) WITH (w int '$.w') k ON k.w = w.kWarenLager\n"
    "SELECT is_read_committed_snapshot_on, collation_name FROM sys.databases WHERE name = @database\n";
/* Where INFORMATION_SCHEMA does not tell. Not by OBJECT_ID: some engines look up objects in the current database only. */
static const char sql_collation[] =
    "SELECT c.collation_name FROM %s.sys.columns c JOIN %s.sys.objects o ON o.object_id = c.object_id\n"
    "WHERE o.name = N'tArtikel' AND c.name = N'cArtNr'";
static const char sql_compare[] = "SELECT COUNT(*) FROM OPENJSON(@j) WITH (s nvarchar(400) '$.s') k\n"
				  "JOIN %s.dbo.tArtikel a ON a.cArtNr = k.s";

struct probing {
	const int64_t *warehouses;
	size_t count;
	bool found[256];
	struct jtl_probe *probe;
	struct buf wrong; /* what is wrong with the warehouses, for people */
};

static int take_warehouse(struct probing *p, const struct db_row *row, struct err *err)
{
	int64_t v[5];

	for (int i = 0; i < 5; i++)
		if (db_row_int64(row, i, &v[i], err) != 0)
			return -1;
	for (size_t i = 0; i < p->count && i < sizeof(p->found); i++)
		if (p->warehouses[i] == v[0])
			p->found[i] = true;
	if (v[1] != 1)
		buf_addf(&p->wrong, "%s%" PRId64 " is not active", p->wrong.len ? ", " : "", v[0]);
	if (v[2] != 0)
		buf_addf(&p->wrong, "%s%" PRId64 " is %s", p->wrong.len ? ", " : "", v[0],
		         v[2] == 2 ? "Amazon FBA" : "a fulfilment warehouse");
	if (v[3] != 0 || v[4] != 0)
		buf_addf(&p->wrong, "%s%" PRId64 " is a transit warehouse", p->wrong.len ? ", " : "", v[0]);
	return 0;
}

static int take_probe(void *arg, const struct db_row *row, struct err *err)
{
	struct probing *p = arg;
	int64_t snapshot = 0;

	switch (db_row_set(row)) {
	case SET_WAREHOUSES:
		return take_warehouse(p, row, err);
	case SET_DATABASE:
		if (!db_row_null(row, 0) && db_row_int64(row, 0, &snapshot, err) != 0)
			return -1;
		p->probe->snapshot = snapshot != 0;
		if (!db_row_null(row, 1))
			return db_row_copy(row, 1, p->probe->collation, sizeof(p->probe->collation), err);
		return 0;
	default:
		return 0;
	}
}

static int take_version(void *arg, const struct db_row *row, struct err *err)
{
	return db_row_null(row, 0) ? 0 : db_row_copy(row, 0, arg, JTL_VERSION_MAX, err);
}

static int take_collation(void *arg, const struct db_row *row, struct err *err)
{
	return db_row_null(row, 0) ? 0 : db_row_copy(row, 0, arg, JTL_COLLATION_MAX, err);
}

static bool identifier(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return false;
	return len > 0 && len < JTL_COLLATION_MAX;
}

/* Every %s of the text becomes the quoted database name. */
static void add_sql(struct buf *out, const char *text, const char *quoted)
{
	const char *at;

	while ((at = strstr(text, "%s")) != NULL) {
		buf_add(out, text, (size_t)(at - text));
		buf_add_text(out, quoted);
		text = at + 2;
	}
	buf_add_text(out, text);
}

int jtl_error(struct err *err, const char *database)
{
	/* missing column or object, no permission, a view whose columns went away, no user in the database */
	static const int numbers[] = { 207, 208, 229, 230, 916, 4413, 4502 };
	const char *code = db_unavailable(err) ? "JTL_UNAVAILABLE" : NULL;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (err->number == numbers[i])
			code = "JTL_OBJECT";
	if (code) {
		err->class = ERR_HOLD;
		snprintf(err->code, sizeof(err->code), "%s", code);
	}
	return err_context(err, "JTL's database %s", database);
}

static int judge_warehouses(struct probing *p, struct err *err)
{
	for (size_t i = 0; i < p->count && i < sizeof(p->found); i++)
		if (!p->found[i])
			buf_addf(&p->wrong, "%s%" PRId64 " does not exist", p->wrong.len ? ", " : "", p->warehouses[i]);
	if (p->wrong.len == 0)
		return 0;
	return err_set(err, ERR_HOLD, "JTL_WAREHOUSE", "warehouses that cannot be offered: %s; correct shops[].warehouses",
	               buf_text(&p->wrong));
}

static int probe_objects(struct db *db, const char *database, const char *quoted, enum jtl_source source, struct probing *p,
                         struct err *err)
{
	struct db_param params[2];
	struct db_statement probe = { .label = "JTL probe", .params = params, .count = 2, .row = take_probe, .arg = p };
	struct dbjson rows;
	struct buf sql;
	int rc;

	buf_init(&sql, 1 << 16);
	dbjson_init(&rows, 1 << 16);
	for (size_t i = 0; i < p->count; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "w", p->warehouses[i]);
	}
	add_sql(&sql, sql_probe, quoted);
	jtl_objects_probe(&sql, quoted, source);
	params[1] = db_param_text("@database", database);
	probe.sql = buf_text(&sql);
	rc = buf_check(&sql, "JTL probe", err) == 0 && dbjson_end(&rows, "@j", &params[0], err) == 0 ? 0 : -1;
	if (rc == 0 && db_query(db, &probe, NULL, err) != 0)
		rc = jtl_error(err, database);
	dbjson_release(&rows);
	buf_release(&sql);
	return rc;
}

/* The comparison every look-up makes, with no key. PERM: this engine does not take the name. */
static int try_collation(struct db *db, const char *quoted, const char *collation, struct err *err)
{
	struct db_param param = { .name = "@j", .type = DB_JSON, .text = "[]", .len = 2 };
	struct db_statement try = { .label = "JTL collation", .params = &param, .count = 1 };
	struct buf sql;
	int64_t rows;
	int rc;

	buf_init(&sql, 1 << 12);
	add_sql(&sql, sql_compare, quoted);
	if (collation[0])
		buf_addf(&sql, " COLLATE %s", collation);
	try.sql = buf_text(&sql);
	rc = db_query_int64(db, &try, &rows, err);
	buf_release(&sql);
	return rc;
}

/* The column's own name, or the database's where the column's cannot be read or is no name that COLLATE takes (some engines show an
 * inner one); at last none, which an engine refuses where the collations of the two databases differ. */
static int choose_collation(struct db *db, const char *quoted, const char *column, struct jtl_probe *probe, struct err *err)
{
	char database[JTL_COLLATION_MAX];
	const char *const names[] = { column, database, "" };
	struct err inner = ERR_INIT;

	snprintf(database, sizeof(database), "%s", probe->collation);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i][0] ? !identifier(names[i]) : i < 2)
			continue;
		inner = (struct err)ERR_INIT;
		if (try_collation(db, quoted, names[i], &inner) == 0) {
			snprintf(probe->collation, sizeof(probe->collation), "%s", names[i]);
			return 0;
		}
		if (inner.class != ERR_PERM)
			break;
	}
	if (inner.class != ERR_PERM) {
		*err = inner;
		return -1;
	}
	return err_set(err, ERR_HOLD, "JTL_OBJECT", "SKUs cannot be compared with tArtikel.cArtNr (collation \"%.60s\"): %s", column,
	               inner.text);
}

static int read_text(struct db *db, const char *label, const char *text, const char *quoted, db_row_fn *row, char *out, struct err *err)
{
	struct db_statement read = { .label = label, .row = row, .arg = out };
	struct buf sql;
	int rc;

	buf_init(&sql, 1 << 12);
	add_sql(&sql, text, quoted);
	read.sql = buf_text(&sql);
	rc = db_query(db, &read, NULL, err);
	buf_release(&sql);
	return rc;
}

static int probe_version(struct db *db, const char *database, const char *quoted, struct jtl_probe *probe, struct err *err)
{
	if (read_text(db, "JTL version", sql_version, quoted, take_version, probe->version, err) != 0)
		return jtl_error(err, database);
	return 0;
}

/* column: as INFORMATION_SCHEMA told it. */
static int probe_collation(struct db *db, const char *quoted, char *column, struct jtl_probe *probe, struct err *err)
{
	struct err inner = ERR_INIT;

	if (!column[0] && read_text(db, "JTL collation", sql_collation, quoted, take_collation, column, &inner) != 0 &&
	    inner.class != ERR_PERM) {
		*err = inner;
		return -1;
	}
	return choose_collation(db, quoted, column, probe, err);
}

int jtl_stock_probe(struct db *db, const char *database, enum jtl_source source, const int64_t *warehouses, size_t count,
                    struct jtl_probe *probe, struct err *err)
{
	struct probing p = { .warehouses = warehouses, .count = count, .probe = probe };
	char column[JTL_COLLATION_MAX] = "";
	struct buf quoted;
	const char *name;
	int rc = -1;

	*probe = (struct jtl_probe){ .version = "" };
	buf_init(&quoted, 1024);
	buf_init(&p.wrong, 4096);
	if (count > sizeof(p.found)) {
		err_set(err, ERR_PERM, "JTL_WAREHOUSE", "%zu warehouses are more than the %zu that can be offered", count,
		        sizeof(p.found));
		goto out;
	}
	if (db_quote_name(&quoted, database, err) != 0)
		goto out;
	name = buf_text(&quoted);
	if (probe_version(db, database, name, probe, err) != 0)
		goto out;
	if (jtl_objects_read(db, name, probe, column, err) != 0) {
		jtl_error(err, database);
		goto out;
	}
	if (probe_objects(db, database, name, source, &p, err) != 0 || judge_warehouses(&p, err) != 0)
		goto out;
	if (probe_collation(db, name, column, probe, err) != 0) {
		jtl_error(err, database);
		goto out;
	}
	rc = 0;
out:
	buf_release(&p.wrong);
	buf_release(&quoted);
	return rc;
}
