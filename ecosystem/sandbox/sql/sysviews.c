/* sys.* and INFORMATION_SCHEMA.*: each view is a column list in T-SQL and a SQLite query over the catalogue's tables.
 * {db} stands for the database's id. Lists of sessions come as JSON from s_sessions(). */
#include "ecosystem/sandbox/sql/catalog.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/parser.h"

struct sysview {
	const char *schema, *name, *columns, *sql;
};

#define TYPE_NAME(x) "(SELECT t.column2 FROM m_types t WHERE t.column1 = " x ")"

/* system_type_id, name, bytes, precision, scale by enum sql_type */
#define TYPES                                                                                                                    \
	"m_types AS "                                                                                                            \
	"(VALUES(0,'bit',104,1,1,0),(1,'tinyint',48,1,3,0),(2,'smallint',52,2,5,0),(3,'int',56,4,10,0),(4,'bigint',127,8,19,0)," \
	"(5,'decimal',106,17,38,38),(6,'float',62,8,53,0),(7,'real',59,4,24,0),(8,'money',60,8,19,4),(9,'char',175,8000,0,0),"   \
	"(10,'varchar',167,8000,0,0),(11,'nchar',239,8000,0,0),(12,'nvarchar',231,8000,0,0),(13,'binary',173,8000,0,0),"         \
	"(14,'varbinary',165,8000,0,0),(15,'date',40,3,10,0),(16,'time',41,5,16,7),(17,'datetime',61,8,23,3),(18,'"              \
	"smalldatetime',58,4,16,0),"                                                                                             \
	"(19,'datetime2',42,8,27,7),(20,'datetimeoffset',43,10,34,7),(21,'uniqueidentifier',36,16,0,0),(22,'timestamp',189,8,0," \
	"0))"

#define MAX_LENGTH                                                                                                               \
	"CASE WHEN c.length = -1 THEN -1 WHEN c.type IN (11, 12) THEN c.length * 2 WHEN c.type IN (9, 10, 13, 14) THEN "         \
	"c.length "                                                                                                              \
	"WHEN c.type = 5 THEN CASE WHEN c.prec <= 9 THEN 5 WHEN c.prec <= 19 THEN 9 WHEN c.prec <= 28 THEN 13 ELSE 17 END "      \
	"ELSE (SELECT t.column4 FROM m_types t WHERE t.column1 = c.type) END"

#define OBJECT_COLUMNS                                                                                                           \
	"name sysname NOT NULL, object_id int NOT NULL, principal_id int, schema_id int NOT NULL, parent_object_id int NOT "     \
	"NULL, type char(2) NOT NULL, "                                                                                          \
	"type_desc nvarchar(60), create_date datetime NOT NULL, modify_date datetime NOT NULL, is_ms_shipped bit NOT NULL"
#define OBJECT_TYPE                                                                                                              \
	"CASE o.type WHEN 'T' THEN 'TR' WHEN 'U' THEN 'U ' WHEN 'V' THEN 'V ' WHEN 'P' THEN 'P ' WHEN 'F' THEN 'F ' WHEN 'C' "   \
	"THEN 'C ' WHEN 'D' THEN 'D ' ELSE o.type END"
#define OBJECT_SELECT                                                                                                            \
	"SELECT o.name, o.id, NULL, s.number, o.parent, " OBJECT_TYPE                                                            \
	", CASE o.type WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'P' THEN "                                           \
	"'SQL_STORED_PROCEDURE' WHEN 'T' THEN 'SQL_TRIGGER' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' WHEN 'UQ' THEN "             \
	"'UNIQUE_CONSTRAINT' WHEN 'F' THEN "                                                                                     \
	"'FOREIGN_KEY_CONSTRAINT' WHEN 'C' THEN 'CHECK_CONSTRAINT' ELSE 'DEFAULT_CONSTRAINT' END, o.created, o.modified, 0"
#define OBJECT_FROM " FROM m_object o JOIN m_schema s ON s.id = o.schema WHERE o.db = {db}"

static const struct sysview views[] = {
	{ "sys", "databases",
		"name sysname NOT NULL, database_id int NOT NULL, create_date datetime NOT NULL, compatibility_level tinyint NOT "
		"NULL, collation_name sysname NULL, "
		"user_access tinyint, user_access_desc nvarchar(60), is_read_only bit, state tinyint, state_desc nvarchar(60), "
		"snapshot_isolation_state tinyint, "
		"is_read_committed_snapshot_on bit, recovery_model tinyint, recovery_model_desc nvarchar(60)",
		"SELECT name, id, created, compat, CASE state WHEN 0 THEN collation END, single, CASE single WHEN 1 THEN "
		"'SINGLE_USER' WHEN 2 THEN 'RESTRICTED_USER' ELSE 'MULTI_USER' END, 0, state, CASE state WHEN 1 THEN 'RESTORING' "
		"WHEN 2 THEN 'RECOVERING' WHEN 3 THEN 'RECOVERY_PENDING' WHEN 4 THEN 'SUSPECT' WHEN 6 THEN 'OFFLINE' ELSE 'ONLINE' "
		"END, allow_snapshot, snapshot, 3, 'SIMPLE' FROM m_database" },
	{ "sys", "schemas", "name sysname NOT NULL, schema_id int NOT NULL, principal_id int",
		"SELECT name, number, 1 FROM m_schema WHERE db = {db}" },
	{ "sys", "objects", OBJECT_COLUMNS, OBJECT_SELECT OBJECT_FROM },
	{ "sys", "all_objects", OBJECT_COLUMNS, OBJECT_SELECT OBJECT_FROM },
	{ "sys", "tables", OBJECT_COLUMNS ", temporal_type tinyint, is_memory_optimized bit",
		OBJECT_SELECT ", 0, 0" OBJECT_FROM " AND o.type = 'U'" },
	{ "sys", "views", OBJECT_COLUMNS, OBJECT_SELECT OBJECT_FROM " AND o.type = 'V'" },
	{ "sys", "procedures", OBJECT_COLUMNS, OBJECT_SELECT OBJECT_FROM " AND o.type = 'P'" },
	{ "sys", "triggers",
		"name sysname NOT NULL, object_id int NOT NULL, parent_id int NOT NULL, type char(2), create_date datetime, "
		"modify_date datetime, is_disabled bit, "
		"is_instead_of_trigger bit",
		"SELECT name, id, parent, 'TR', created, modified, disabled, 0 FROM m_object WHERE db = {db} AND type = 'T'" },
	{ "sys", "sql_modules", "object_id int NOT NULL, definition nvarchar(max)",
		"SELECT id, text FROM m_object WHERE db = {db} AND type IN ('V', 'P', 'T')" },
	{ "sys", "key_constraints", OBJECT_COLUMNS ", unique_index_id int",
		OBJECT_SELECT ", (SELECT x.id FROM m_index x WHERE x.constr_object = o.id)" OBJECT_FROM
			      " AND o.type IN ('PK', 'UQ')" },
	{ "sys", "check_constraints", OBJECT_COLUMNS ", definition nvarchar(max), is_disabled bit, is_not_trusted bit",
		OBJECT_SELECT ", o.text, o.disabled, 0" OBJECT_FROM " AND o.type = 'C'" },
	{ "sys", "default_constraints", OBJECT_COLUMNS ", definition nvarchar(max), parent_column_id int",
		OBJECT_SELECT
		", o.text, (SELECT c.id FROM m_column c WHERE c.object = o.parent AND c.def_object = o.id)" OBJECT_FROM
		" AND o.type = 'D'" },
	{ "sys", "foreign_keys",
		OBJECT_COLUMNS ", referenced_object_id int, delete_referential_action tinyint, delete_referential_action_desc "
			       "nvarchar(60), is_disabled bit",
		OBJECT_SELECT ", f.ref, f.on_delete, CASE f.on_delete WHEN 1 THEN 'CASCADE' WHEN 2 THEN 'SET_NULL' ELSE "
			      "'NO_ACTION' END, o.disabled FROM m_object o "
			      "JOIN m_schema s ON s.id = o.schema JOIN m_fkey f ON f.id = o.id WHERE o.db = {db}" },
	{ "sys", "columns",
		"object_id int NOT NULL, name sysname NULL, column_id int NOT NULL, system_type_id tinyint NOT NULL, "
		"user_type_id int NOT NULL, max_length smallint "
		"NOT NULL, [precision] tinyint NOT NULL, scale tinyint NOT NULL, collation_name sysname NULL, is_nullable bit, "
		"is_identity bit NOT NULL, is_computed bit "
		"NOT NULL, default_object_id int NOT NULL",
		"WITH " TYPES " SELECT c.object, c.name, c.id, t.column3, t.column3, " MAX_LENGTH
		", c.prec, c.scale, c.collation, c.nullable, c.ident, "
		"c.computed IS NOT NULL, coalesce(c.def_object, 0) FROM m_column c JOIN m_object o ON o.id = c.object JOIN "
		"m_types t ON t.column1 = c.type "
		"WHERE o.db = {db}" },
	{ "sys", "identity_columns",
		"object_id int NOT NULL, name sysname NULL, column_id int NOT NULL, seed_value bigint, increment_value bigint, "
		"last_value bigint",
		"SELECT c.object, c.name, c.id, c.seed, c.step, (SELECT k.last FROM m_counter k WHERE k.object = c.object) FROM "
		"m_column c JOIN m_object o ON o.id = "
		"c.object WHERE o.db = {db} AND c.ident" },
	{ "sys", "computed_columns",
		"object_id int NOT NULL, name sysname NULL, column_id int NOT NULL, definition nvarchar(max), is_persisted bit",
		"SELECT c.object, c.name, c.id, c.computed, 0 FROM m_column c JOIN m_object o ON o.id = c.object WHERE o.db = "
		"{db} AND c.computed IS NOT NULL" },
	{ "sys", "types",
		"name sysname NOT NULL, system_type_id tinyint NOT NULL, user_type_id int NOT NULL, schema_id int, max_length "
		"smallint, [precision] tinyint, "
		"scale tinyint, collation_name sysname NULL, is_nullable bit, is_user_defined bit",
		"WITH " TYPES " SELECT t.column2, t.column3, t.column3, 4, t.column4, t.column5, t.column6, NULL, 1, 0 FROM "
			      "m_types t UNION ALL SELECT 'numeric', 108, "
		"108, 4, 17, 38, 38, NULL, 1, 0 UNION ALL SELECT 'sysname', 231, 256, 4, 256, 0, 0, NULL, 0, 0" },
	{ "sys", "indexes",
		"object_id int NOT NULL, name sysname NULL, index_id int NOT NULL, type tinyint NOT NULL, type_desc "
		"nvarchar(60), is_unique bit, is_primary_key bit, "
		"is_unique_constraint bit, has_filter bit, filter_definition nvarchar(max), is_disabled bit, fill_factor "
		"tinyint, ignore_dup_key bit",
		"SELECT x.object, x.name, x.id, CASE x.clustered WHEN 1 THEN 1 ELSE 2 END, CASE x.clustered WHEN 1 THEN "
		"'CLUSTERED' ELSE 'NONCLUSTERED' END, x.uniq, "
		"x.prim, x.constr AND NOT x.prim, x.filter IS NOT NULL, x.filter, 0, 0, 0 FROM m_index x JOIN m_object o ON o.id "
		"= x.object WHERE o.db = {db} UNION ALL "
		"SELECT o.id, NULL, 0, 0, 'HEAP', 0, 0, 0, 0, NULL, 0, 0, 0 FROM m_object o WHERE o.db = {db} AND o.type = 'U' "
		"AND NOT EXISTS (SELECT 1 FROM m_index x "
		"WHERE x.object = o.id AND x.clustered)" },
	{ "sys", "index_columns",
		"object_id int NOT NULL, index_id int NOT NULL, index_column_id int NOT NULL, column_id int NOT NULL, "
		"key_ordinal tinyint NOT NULL, is_descending_key "
		"bit, is_included_column bit",
		"SELECT k.object, k.idx, k.ordinal, k.column, CASE k.included WHEN 1 THEN 0 ELSE k.ordinal END, k.descending, "
		"k.included FROM m_index_column k JOIN "
		"m_object o ON o.id = k.object WHERE o.db = {db}" },
	{ "sys", "database_principals",
		"name sysname NOT NULL, principal_id int NOT NULL, type char(1) NOT NULL, type_desc nvarchar(60), "
		"default_schema_name sysname NULL, is_fixed_role bit",
		"SELECT name, id, type, CASE type WHEN 'R' THEN 'DATABASE_ROLE' ELSE 'SQL_USER' END, schema, type = 'R' AND (id "
		"= 0 OR id >= 16384) FROM m_principal "
		"WHERE db = {db}" },
	{ "sys", "database_role_members", "role_principal_id int NOT NULL, member_principal_id int NOT NULL",
		"SELECT role, member FROM m_member WHERE db = {db}" },
	{ "sys", "database_permissions",
		"class tinyint NOT NULL, class_desc nvarchar(60), major_id int NOT NULL, minor_id int NOT NULL, "
		"grantee_principal_id int NOT NULL, permission_name "
		"nvarchar(128), state char(1), state_desc nvarchar(60)",
		"SELECT CASE class WHEN 'OBJECT' THEN 1 WHEN 'SCHEMA' THEN 3 ELSE 0 END, CASE class WHEN 'OBJECT' THEN "
		"'OBJECT_OR_COLUMN' ELSE class END, major, 0, "
		"grantee, permission, state, CASE state WHEN 'D' THEN 'DENY' ELSE 'GRANT' END FROM m_permission WHERE db = "
		"{db}" },
	{ "sys", "server_principals",
		"name sysname NOT NULL, principal_id int NOT NULL, type char(1) NOT NULL, type_desc nvarchar(60), is_disabled "
		"bit, "
		"default_database_name sysname NULL",
		"SELECT name, id, 'S', 'SQL_LOGIN', disabled, default_db FROM m_login" },
	{ "sys", "sql_logins",
		"name sysname NOT NULL, principal_id int NOT NULL, type char(1) NOT NULL, is_disabled bit, default_database_name "
		"sysname NULL",
		"SELECT name, id, 'S', disabled, default_db FROM m_login" },
	{ "sys", "partitions",
		"partition_id bigint NOT NULL, object_id int NOT NULL, index_id int NOT NULL, partition_number int NOT NULL, "
		"rows bigint",
		"SELECT o.id, o.id, coalesce((SELECT min(x.id) FROM m_index x WHERE x.object = o.id AND x.clustered), 0), 1, "
		"s_row_count(o.id) FROM m_object o WHERE "
		"o.db = {db} AND o.type = 'U'" },
	{ "sys", "dm_exec_sessions",
		"session_id smallint NOT NULL, login_time datetime NOT NULL, host_name nvarchar(128), program_name "
		"nvarchar(128), login_name nvarchar(128) NOT NULL, "
		"status nvarchar(30) NOT NULL, database_id smallint NOT NULL, open_transaction_count int NOT NULL, "
		"is_user_process bit NOT NULL, original_login_name "
		"nvarchar(128)",
		"SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), json_extract(j.value, '$[2]'), "
		"json_extract(j.value, '$[3]'), "
		"json_extract(j.value, '$[4]'), json_extract(j.value, '$[5]'), json_extract(j.value, '$[6]'), "
		"json_extract(j.value, '$[7]'), 1, "
		"json_extract(j.value, '$[4]') FROM json_each(s_sessions()) j" },
	{ "sys", "dm_exec_requests",
		"session_id smallint NOT NULL, status nvarchar(30) NOT NULL, database_id smallint NOT NULL, blocking_session_id "
		"smallint, wait_type nvarchar(60)",
		"SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[5]'), json_extract(j.value, '$[6]'), "
		"json_extract(j.value, '$[8]'), CASE WHEN "
		"json_extract(j.value, '$[8]') > 0 THEN 'LCK_M_X' END FROM json_each(s_sessions()) j WHERE json_extract(j.value, "
		"'$[5]') = 'running'" },
	{ "sys", "sysprocesses",
		"spid smallint NOT NULL, blocked smallint NOT NULL, dbid smallint NOT NULL, open_tran smallint NOT NULL, status "
		"nchar(30) NOT NULL, hostname nchar(128) "
		"NOT NULL, program_name nchar(128) NOT NULL, loginame nchar(128) NOT NULL, login_time datetime NOT NULL",
		"SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[8]'), json_extract(j.value, '$[6]'), "
		"json_extract(j.value, '$[7]'), "
		"json_extract(j.value, '$[5]'), json_extract(j.value, '$[2]'), json_extract(j.value, '$[3]'), "
		"json_extract(j.value, '$[4]'), "
		"json_extract(j.value, '$[1]') FROM json_each(s_sessions()) j" },
	{ "INFORMATION_SCHEMA", "TABLES",
		"TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128) NOT NULL, TABLE_TYPE "
		"varchar(10)",
		"SELECT d.name, s.name, o.name, CASE o.type WHEN 'V' THEN 'VIEW' ELSE 'BASE TABLE' END FROM m_object o JOIN "
		"m_schema s ON s.id = o.schema JOIN "
		"m_database d ON d.id = o.db WHERE o.db = {db} AND o.type IN ('U', 'V') AND s_visible(o.db, o.id, o.schema)" },
	{ "INFORMATION_SCHEMA", "VIEWS",
		"TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128) NOT NULL, VIEW_DEFINITION "
		"nvarchar(4000)",
		"SELECT d.name, s.name, o.name, o.text FROM m_object o JOIN m_schema s ON s.id = o.schema JOIN m_database d ON "
		"d.id = o.db WHERE o.db = {db} AND "
		"o.type = 'V'" },
	{ "INFORMATION_SCHEMA", "ROUTINES",
		"ROUTINE_CATALOG nvarchar(128), ROUTINE_SCHEMA nvarchar(128), ROUTINE_NAME nvarchar(128) NOT NULL, ROUTINE_TYPE "
		"nvarchar(20)",
		"SELECT d.name, s.name, o.name, 'PROCEDURE' FROM m_object o JOIN m_schema s ON s.id = o.schema JOIN m_database d "
		"ON d.id = o.db WHERE "
		"o.db = {db} AND o.type = 'P'" },
	{ "INFORMATION_SCHEMA", "SCHEMATA", "CATALOG_NAME nvarchar(128), SCHEMA_NAME nvarchar(128), SCHEMA_OWNER nvarchar(128)",
		"SELECT d.name, s.name, 'dbo' FROM m_schema s JOIN m_database d ON d.id = s.db WHERE s.db = {db}" },
	{ "INFORMATION_SCHEMA", "COLUMNS",
		"TABLE_CATALOG nvarchar(128), TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128) NOT NULL, COLUMN_NAME "
		"nvarchar(128), ORDINAL_POSITION int, "
		"COLUMN_DEFAULT nvarchar(4000), IS_NULLABLE varchar(3), DATA_TYPE nvarchar(128), CHARACTER_MAXIMUM_LENGTH int, "
		"CHARACTER_OCTET_LENGTH int, "
		"NUMERIC_PRECISION tinyint, NUMERIC_SCALE int, DATETIME_PRECISION smallint, COLLATION_NAME nvarchar(128)",
		"WITH " TYPES
		" SELECT d.name, s.name, o.name, c.name, c.id, c.def_text, CASE c.nullable WHEN 1 THEN 'YES' ELSE 'NO' "
		"END, " TYPE_NAME("c.type") ", CASE "
					    "WHEN c.type BETWEEN 9 AND 14 THEN c.length END, CASE WHEN c.type BETWEEN 9 AND 14 "
					    "THEN " MAX_LENGTH " END, CASE WHEN c.type BETWEEN 1 AND 8 THEN c.prec "
					    "END, CASE WHEN c.type IN (1, 2, 3, 4, 5, 8) THEN c.scale END, CASE WHEN c.type "
					    "BETWEEN 15 AND 20 THEN c.scale END, c.collation FROM m_column c JOIN "
					    "m_object o ON o.id = c.object JOIN m_schema s ON s.id = o.schema JOIN m_database d "
					    "ON d.id = o.db WHERE o.db = {db} AND s_visible(o.db, o.id, o.schema)" },
	{ "INFORMATION_SCHEMA", "TABLE_CONSTRAINTS",
		"CONSTRAINT_CATALOG nvarchar(128), CONSTRAINT_SCHEMA nvarchar(128), CONSTRAINT_NAME nvarchar(128) NOT NULL, "
		"TABLE_CATALOG nvarchar(128), TABLE_SCHEMA "
		"nvarchar(128), TABLE_NAME nvarchar(128), CONSTRAINT_TYPE varchar(11)",
		"SELECT d.name, s.name, k.name, d.name, s.name, o.name, CASE k.type WHEN 'PK' THEN 'PRIMARY KEY' WHEN 'UQ' THEN "
		"'UNIQUE' WHEN 'F' THEN 'FOREIGN KEY' ELSE "
		"'CHECK' END FROM m_object k JOIN m_object o ON o.id = k.parent JOIN m_schema s ON s.id = o.schema JOIN "
		"m_database d ON d.id = o.db WHERE o.db = {db} AND "
		"k.type IN ('PK', 'UQ', 'F', 'C')" },
	{ "INFORMATION_SCHEMA", "KEY_COLUMN_USAGE",
		"CONSTRAINT_NAME nvarchar(128) NOT NULL, TABLE_SCHEMA nvarchar(128), TABLE_NAME nvarchar(128), COLUMN_NAME "
		"nvarchar(128), ORDINAL_POSITION int NOT NULL",
		"SELECT x.name, s.name, o.name, c.name, k.ordinal FROM m_index x JOIN m_index_column k ON k.object = x.object "
		"AND k.idx = x.id JOIN m_column c ON c.object "
		"= k.object AND c.id = k.column JOIN m_object o ON o.id = x.object JOIN m_schema s ON s.id = o.schema WHERE o.db "
		"= {db} AND x.constr" },
};

/* Old names of the same things. */
static const struct {
	const char *schema, *name;
	const char *is;
} aliases[] = { { "dbo", "sysprocesses", "sysprocesses" }, { "sys", "all_columns", "columns" }, { "sys", "all_views", "views" } };

static const struct sysview *find(const char *schema, const char *name) {
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (strcasecmp(aliases[i].schema, schema) == 0 && strcasecmp(aliases[i].name, name) == 0) {
			schema = "sys";
			name = aliases[i].is;
			break;
		}
	for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
		if (strcasecmp(views[i].schema, schema) == 0 && strcasecmp(views[i].name, name) == 0)
			return &views[i];
	return NULL;
}

static const char *query(struct arena *arena, const struct sysview *v, int columns, int database) {
	const char *names = "", *sql = "";
	for (int i = 1; i <= columns; i++)
		names = arena_fmt(arena, "%s%sc%d", names, i > 1 ? "," : "", i);
	for (const char *p = v->sql;;) {
		const char *mark = strstr(p, "{db}");
		sql = mark ? arena_fmt(arena, "%s%.*s%d", sql, (int)(mark - p), p, database) : arena_fmt(arena, "%s%s", sql, p);
		if (!mark)
			break;
		p = mark + 4;
	}
	return arena_fmt(arena, "(WITH m_view(%s) AS (%s) SELECT * FROM m_view)", names, sql);
}

struct object *sysviews_object(struct arena *arena, const struct database *database, const char *schema, const char *name) {
	const struct sysview *v = find(schema, name);
	struct sqlerror error = { 0 };
	struct stmt *stmt = NULL;
	if (!v)
		return NULL;
	const char *text = arena_fmt(arena, "CREATE TABLE v(%s)", v->columns);
	if (parser_batch(arena, text, strlen(text), &stmt, &error) < 0 || !stmt)
		return NULL;
	struct object *o = arena_alloc(arena, sizeof *o);
	o->id = -1000000 - (v - views);
	o->kind = O_SYSTEM;
	o->database = database;
	o->schema = v->schema;
	o->name = v->name;
	o->identity = o->rowversion = -1;
	o->column_count = stmt->def_count;
	o->columns = arena_alloc(arena, sizeof *o->columns * (size_t)stmt->def_count);
	for (int i = 0; i < stmt->def_count; i++) {
		struct column *c = &o->columns[i];
		*c = (struct column){ .name = stmt->defs[i].name,
			.sql = arena_fmt(arena, "c%d", i + 1),
			.id = i + 1,
			.type = stmt->defs[i].type,
			.nullable = stmt->defs[i].nullable };
		if (c->type.type >= SQL_CHAR && c->type.type <= SQL_NVARCHAR)
			c->collation = database->collation;
	}
	o->sql = query(arena, v, o->column_count, database->id);
	return o;
}
