/* The ...PROPERTY functions: facts of server, databases, objects and columns by their name. An unknown name is NULL. */
#include "ecosystem/sandbox/sql/session_functions.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CALL(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)
#define SESSION struct session *s = sqlite3_user_data(c); (void)n; (void)v; (void)s

static bool is(const char *a, const char *b) {
	return strcasecmp(a, b) == 0;
}

CALL(server_property) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	static const char *const facts[][2] = {
		{ "ProductVersion", "15.0.4000.0" }, { "ProductMajorVersion", "15" },   { "ProductLevel", "RTM" },
		{ "Edition", "Developer Edition (64-bit)" }, { "EngineEdition", "3" },   { "ServerName", "SANDBOX" },
		{ "MachineName", "SANDBOX" },        { "IsClustered", "0" },            { "IsIntegratedSecurityOnly", "0" },
		{ "IsFullTextInstalled", "0" },      { "ProductMinorVersion", "0" },    { "IsHadrEnabled", "0" },
	};
	if (name && is(name, "Collation"))
		result_text(c, catalog_server_collation(s->catalog));
	for (size_t i = 0; name && i < sizeof facts / sizeof facts[0]; i++)
		if (is(name, facts[i][0]))
			result_text(c, facts[i][1]);
}

CALL(database_property) {
	SESSION;
	const char *database = argument_text(n, v, 0), *name = argument_text(n, v, 1);
	const struct database *d = database ? catalog_database(s->catalog, database) : NULL;
	if (!d || !name)
		return;
	if (is(name, "Collation"))
		result_text(c, d->state != DATABASE_ONLINE ? NULL : d->collation);
	else if (is(name, "Status"))
		result_text(c, catalog_state_name(d->state));
	else if (is(name, "Updateability"))
		result_text(c, "READ_WRITE");
	else if (is(name, "UserAccess"))
		result_text(c, catalog_access_name(d->access));
	else if (is(name, "Recovery"))
		result_text(c, "SIMPLE");
	else if (is(name, "IsReadCommittedSnapshotOn"))
		sqlite3_result_int(c, d->snapshot);
	else if (is(name, "Version"))
		sqlite3_result_int(c, 904);
	else if (is(name, "IsAutoClose") || is(name, "IsAutoShrink") || is(name, "IsInStandBy"))
		sqlite3_result_int(c, 0);
}

static bool has_key(const struct object *o, bool primary) {
	for (int i = 0; i < o->index_count; i++)
		if (o->indexes[i].constraint && o->indexes[i].primary == primary)
			return true;
	return false;
}

CALL(object_property) {
	SESSION;
	int64_t id = sqlite3_value_int64(v[0]);
	const char *name = argument_text(n, v, 1);
	const struct object *o = object_by_id(s, id);
	if (!name || (!o && !exec_int(s, 0, "SELECT count(*) FROM m_object WHERE id = ?1", "i", id)))
		return;
	char kind = o ? (char)o->kind : 'X';
	if (is(name, "IsTable") || is(name, "IsUserTable"))
		sqlite3_result_int(c, kind == 'U');
	else if (is(name, "IsView"))
		sqlite3_result_int(c, kind == 'V');
	else if (is(name, "IsProcedure"))
		sqlite3_result_int(c, kind == 'P');
	else if (is(name, "IsTrigger"))
		sqlite3_result_int(c, kind == 'T');
	else if (is(name, "IsMSShipped"))
		sqlite3_result_int(c, kind == 'S');
	else if (is(name, "TableHasIdentity"))
		sqlite3_result_int(c, o && o->identity >= 0);
	else if (is(name, "TableHasPrimaryKey"))
		sqlite3_result_int(c, o && has_key(o, true));
	else if (is(name, "TableHasUniqueCnst"))
		sqlite3_result_int(c, o && has_key(o, false));
	else if (is(name, "TableHasIndex"))
		sqlite3_result_int(c, o && o->index_count > 0);
	else if (is(name, "IsPrimaryKey") || is(name, "IsUniqueCnst") || is(name, "IsForeignKey") || is(name, "IsCheckCnst") ||
		 is(name, "IsDefaultCnst") || is(name, "IsConstraint"))
		sqlite3_result_int64(c, exec_int(s, 0, "SELECT count(*) FROM m_object WHERE id = ?1 AND (type = ?2 OR (?2 = '*' AND type IN "
					      "('PK', 'UQ', 'F', 'C', 'D')))", "is", id, is(name, "IsPrimaryKey") ? "PK" :
					      is(name, "IsUniqueCnst") ? "UQ" : is(name, "IsForeignKey") ? "F" :
					      is(name, "IsCheckCnst") ? "C" : is(name, "IsDefaultCnst") ? "D" : "*"));
	else if (is(name, "OwnerId"))
		sqlite3_result_int(c, 1);
}

CALL(column_property) {
	SESSION;
	const struct object *o = object_by_id(s, sqlite3_value_int64(v[0]));
	const char *column = argument_text(n, v, 1), *name = argument_text(n, v, 2);
	int i = o && column ? catalog_column(o, column) : -1;
	if (i < 0 || !name)
		return;
	const struct column *k = &o->columns[i];
	if (is(name, "AllowsNull"))
		sqlite3_result_int(c, k->nullable);
	else if (is(name, "IsIdentity"))
		sqlite3_result_int(c, k->identity);
	else if (is(name, "IsComputed"))
		sqlite3_result_int(c, k->computed_expr != NULL);
	else if (is(name, "ColumnId") || is(name, "Ordinal"))
		sqlite3_result_int(c, k->id);
	else if (is(name, "Scale"))
		sqlite3_result_int(c, k->type.scale);
	else if (is(name, "Precision"))
		sqlite3_result_int(c, xtype_is_char(k->type.type) ? k->type.length : k->type.precision);
	else if (is(name, "CharMaxLen")) {
		if (xtype_is_char(k->type.type))
			sqlite3_result_int(c, k->type.length);
	} else if (is(name, "UsesAnsiTrim"))
		sqlite3_result_int(c, 1);
	else if (is(name, "IsRowGuidCol") || is(name, "IsSparse"))
		sqlite3_result_int(c, 0);
}

CALL(index_property) {
	SESSION;
	const struct object *o = object_by_id(s, sqlite3_value_int64(v[0]));
	const char *index = argument_text(n, v, 1), *name = argument_text(n, v, 2);
	for (int i = 0; o && index && name && i < o->index_count; i++) {
		const struct index *x = &o->indexes[i];
		if (strcasecmp(x->name, index) != 0)
			continue;
		if (is(name, "IsUnique"))
			sqlite3_result_int(c, x->unique);
		else if (is(name, "IsClustered"))
			sqlite3_result_int(c, x->clustered);
		else if (is(name, "IndexID"))
			sqlite3_result_int(c, x->id);
		else if (is(name, "IsDisabled"))
			sqlite3_result_int(c, 0);
	}
}

CALL(full_text) { SESSION; sqlite3_result_int(c, 0); }

const struct session_function property_functions[] = {
	{ { "SERVERPROPERTY", "s_server_property", "s", NAME_TYPE }, server_property },
	{ { "DATABASEPROPERTYEX", "s_database_property", "ss", NAME_TYPE }, database_property },
	{ { "OBJECTPROPERTY", "s_object_property", "is", INT_TYPE }, object_property },
	{ { "OBJECTPROPERTYEX", "s_object_property_ex", "is", INT_TYPE }, object_property },
	{ { "COLUMNPROPERTY", "s_column_property", "iss", INT_TYPE }, column_property },
	{ { "INDEXPROPERTY", "s_index_property", "iss", INT_TYPE }, index_property },
	{ { "FULLTEXTSERVICEPROPERTY", "s_full_text_property", "s", INT_TYPE }, full_text },
	{ { NULL, NULL, NULL, INT_TYPE }, NULL },
};
