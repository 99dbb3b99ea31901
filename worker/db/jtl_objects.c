/* The columns of JTL's database that are read: their types as text, and what changed between two such texts.
 * Whether they may be read and the warehouses are jtl_probe.c's. */
#include "worker/db/jtl_objects.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum need { NEED_ALWAYS, NEED_PHYSICAL, NEED_BOTH, NEED_READ /* by a statement of the probe itself */ };

#define COLUMNS_MAX 12

/* Sorted by name, and each one's columns too. */
static const struct object {
	const char *name;
	enum need need;
	const char *columns[COLUMNS_MAX];
} objects[] = {
	{ "tArtikel",
	  NEED_ALWAYS,
	  { "cAktiv", "cArtNr", "cLagerAktiv", "cLagerKleinerNull", "kArtikel", "kStueckliste", "nDelete", "nIstVater", "nPuffer" } },
	{ "tStueckliste", NEED_ALWAYS, { "fAnzahl", "kArtikel", "kStueckliste" } },
	{ "tWarenLager", NEED_READ, { "kQuellLager", "kWarenLager", "kZielLager", "nAktiv", "nFulfillment" } },
	{ "tlagerbestand", NEED_ALWAYS, { "fVerfuegbar", "kArtikel" } },
	{ "tlagerbestandProLagerLagerartikel", NEED_ALWAYS, { "kArtikel", "kWarenlager" } },
	{ "tversion", NEED_READ, { "cVersion" } },
	{ "vLagerbestandAvaibleProLager", NEED_BOTH, { "fAvaibleQuantity", "kArtikel", "kWarenlager" } },
	{ "vLagerbestandProLager", NEED_PHYSICAL, { "fBestand", "kArtikel", "kWarenlager" } },
};
#define OBJECTS (sizeof(objects) / sizeof(objects[0]))
#define TYPE_MAX 60

struct reading {
	char types[OBJECTS][COLUMNS_MAX][TYPE_MAX]; /* "" = no such column */
	char *collation;
};

static void add_columns(struct buf *sql, const struct object *object, const char *open, const char *close)
{
	for (int i = 0; i < COLUMNS_MAX && object->columns[i]; i++)
		buf_addf(sql, "%s%s%s%s", i ? ", " : "", open, object->columns[i], close);
}

void jtl_objects_probe(struct buf *sql, const char *quoted, enum jtl_source source)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		const struct object *object = &objects[i];

		if (object->need == NEED_READ || (object->need == NEED_PHYSICAL && source != JTL_PHYSICAL) ||
		    (object->need == NEED_BOTH && source != JTL_BOTH))
			continue;
		buf_add_text(sql, "SELECT ");
		add_columns(sql, object, "", "");
		buf_addf(sql, " FROM %s.dbo.%s WHERE 1 = 0\n", quoted, object->name);
	}
}

/* "decimal(25,13)", "nvarchar(100)", "nvarchar(max)"; others have their name only. */
static void format_type(const struct db_row *row, char *out)
{
	const char *name = db_row_text(row, 2, NULL);
	int64_t length, precision, scale = 0;
	struct err ignored = ERR_INIT;
	bool number;

	if (!name)
		return;
	number = strcasecmp(name, "decimal") == 0 || strcasecmp(name, "numeric") == 0;
	if (db_row_int64(row, 3, &length, &ignored) == 0 && length < 0)
		snprintf(out, TYPE_MAX, "%.30s(max)", name);
	else if (!db_row_null(row, 3) && db_row_int64(row, 3, &length, &ignored) == 0)
		snprintf(out, TYPE_MAX, "%.30s(%" PRId64 ")", name, length);
	else if (number && db_row_int64(row, 4, &precision, &ignored) == 0 &&
	         (db_row_null(row, 5) || db_row_int64(row, 5, &scale, &ignored) == 0))
		snprintf(out, TYPE_MAX, "%.30s(%" PRId64 ",%" PRId64 ")", name, precision, scale);
	else
		snprintf(out, TYPE_MAX, "%.30s", name);
}

static int take_column(void *arg, const struct db_row *row, struct err *err)
{
	struct reading *r = arg;
	const char *table = db_row_text(row, 0, NULL), *column = db_row_text(row, 1, NULL);

	if (!table || !column)
		return 0;
	for (size_t i = 0; i < OBJECTS; i++) {
		for (int k = 0; k < COLUMNS_MAX && objects[i].columns[k]; k++) {
			if (strcasecmp(objects[i].name, table) != 0 || strcasecmp(objects[i].columns[k], column) != 0)
				continue;
			format_type(row, r->types[i][k]);
			if (strcmp(objects[i].columns[k], "cArtNr") == 0 && !db_row_null(row, 6))
				return db_row_copy(row, 6, r->collation, JTL_COLLATION_MAX, err);
		}
	}
	return 0;
}

static void write_objects(const struct reading *r, struct jtl_probe *probe)
{
	struct buf out;

	buf_init(&out, sizeof(probe->objects));
	for (size_t i = 0; i < OBJECTS; i++)
		for (int k = 0; k < COLUMNS_MAX && objects[i].columns[k]; k++)
			if (r->types[i][k][0])
				buf_addf(&out, "dbo.%s.%s %s\n", objects[i].name, objects[i].columns[k], r->types[i][k]);
	snprintf(probe->objects, sizeof(probe->objects), "%s", buf_text(&out));
	buf_release(&out);
}

int jtl_objects_read(struct db *db, const char *quoted, struct jtl_probe *probe, char *collation, struct err *err)
{
	struct reading r = { .collation = collation };
	struct db_statement read = { .label = "JTL columns", .row = take_column, .arg = &r };
	struct err inner = ERR_INIT;
	struct buf sql;
	int rc = 0;

	buf_init(&sql, 1 << 14);
	buf_addf(&sql,
	         "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, "
	         "c.COLLATION_NAME\nFROM %s.INFORMATION_SCHEMA.COLUMNS c WHERE c.TABLE_SCHEMA = N'dbo' AND (",
	         quoted);
	for (size_t i = 0; i < OBJECTS; i++) {
		buf_addf(&sql, "%sc.TABLE_NAME = N'%s' AND c.COLUMN_NAME IN (", i ? ")\n  OR " : "", objects[i].name);
		add_columns(&sql, &objects[i], "N'", "'");
	}
	buf_add_text(&sql, "))");
	read.sql = buf_text(&sql);
	if (db_query(db, &read, NULL, &inner) == 0) {
		write_objects(&r, probe);
	} else {
		collation[0] = '\0';
		if (inner.class != ERR_PERM) {
			*err = inner;
			rc = -1;
		}
	}
	buf_release(&sql);
	return rc;
}

/* --- what changed --- */

/* A line's name ends at its first blank. */
static size_t name_length(const char *line)
{
	return strcspn(line, " \n");
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

static const char *find_line(const char *text, const char *line)
{
	size_t len = name_length(line);

	while (*text) {
		if (name_length(text) == len && strncmp(text, line, len) == 0)
			return text;
		text = next_line(text);
	}
	return NULL;
}

static void add_type(struct buf *out, const char *line)
{
	line += name_length(line);
	line += *line == ' ';
	buf_add(out, line, strcspn(line, "\n"));
}

static void add_name(struct buf *out, int count, const char *line)
{
	if (count > 0)
		buf_add_text(out, "; ");
	buf_add(out, line, name_length(line));
}

/* is NULL: gone. */
static int add_change(struct buf *out, int count, const char *was, const char *is)
{
	size_t len = strcspn(was, "\n");

	if (is && strcspn(is, "\n") == len && strncmp(was, is, len) == 0)
		return 0;
	add_name(out, count, was);
	if (!is) {
		buf_add_text(out, " is gone");
		return 1;
	}
	buf_add_text(out, ": ");
	add_type(out, was);
	buf_add_text(out, " -> ");
	add_type(out, is);
	return 1;
}

int jtl_probe_diff(const char *before, const char *after, struct buf *out)
{
	int count = 0;

	if (!before[0] || !after[0])
		return 0;
	for (const char *line = before; *line; line = next_line(line))
		count += add_change(out, count, line, find_line(after, line));
	for (const char *line = after; *line; line = next_line(line)) {
		if (find_line(before, line))
			continue;
		add_name(out, count++, line);
		buf_add_char(out, ' ');
		add_type(out, line);
		buf_add_text(out, " is new");
	}
	return count;
}
