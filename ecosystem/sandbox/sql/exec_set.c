/* SET options, USE and KILL. An option that would change results and is not supported is refused, others are remembered. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void options_init(struct options *o) {
	*o = (struct options){ .ansi_nulls = true,
		.ansi_padding = true,
		.ansi_warnings = true,
		.concat_null = true,
		.quoted_identifier = true,
		.arithabort = true,
		.lock_timeout = -1,
		.textsize = 2147483647,
		.isolation = 'C',
		.language = "us_english" };
}

/* --- ON and OFF --- */

static bool *flag_of(struct options *o, const char *name) {
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "NOCOUNT", &o->nocount },
		{ "XACT_ABORT", &o->xact_abort },
		{ "IMPLICIT_TRANSACTIONS", &o->implicit_transactions },
		{ "ANSI_NULLS", &o->ansi_nulls },
		{ "ANSI_PADDING", &o->ansi_padding },
		{ "ANSI_WARNINGS", &o->ansi_warnings },
		{ "ARITHABORT", &o->arithabort },
		{ "CONCAT_NULL_YIELDS_NULL", &o->concat_null },
		{ "QUOTED_IDENTIFIER", &o->quoted_identifier },
		{ "NUMERIC_ROUNDABORT", &o->numeric_roundabort },
	};
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(flags[i].name, name) == 0)
			return flags[i].flag;
	return NULL;
}

/* Nothing depends on them here. */
static bool is_ignored(const char *name) {
	static const char *const names[] = { "ANSI_NULL_DFLT_ON", "ANSI_NULL_DFLT_OFF", "CURSOR_CLOSE_ON_COMMIT", "FORCEPLAN",
		"IO", "TIME", "ARITHIGNORE", "CONTEXT_INFO", "REMOTE_PROC_TRANSACTIONS", "DEADLOCK_PRIORITY", NULL };
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static enum flow set_flag(struct session *s, const struct stmt *stmt, const char *name) {
	bool on = strcasecmp(stmt->text2, "ON") == 0;
	if (!on && strcasecmp(stmt->text2, "OFF") != 0)
		return exec_failf(s, stmt->line, 102, "Incorrect syntax near '%s'.", stmt->text2);
	if (strcmp(name, "ANSI_DEFAULTS") == 0) {
		s->options.ansi_nulls = s->options.ansi_padding = s->options.ansi_warnings = s->options.quoted_identifier = on;
		s->options.implicit_transactions = on;
		return FLOW_NEXT;
	}
	bool *flag = flag_of(&s->options, name);
	if (flag)
		*flag = on;
	else if (!is_ignored(name) && on)
		return exec_failf(s, stmt->line, 195, "'%s' is not a recognized SET option.", name);
	return FLOW_NEXT;
}

/* --- values --- */

static enum flow number_of(struct session *s, const struct stmt *stmt, int64_t *out) {
	const struct variable *v = stmt->text2[0] == '@' ? exec_variable(s->frame, stmt->text2) : NULL;
	char *end;
	*out = v && v->value ? sqlite3_value_int64(v->value) : strtoll(stmt->text2, &end, 10);
	if (!v && *end != '\0')
		return exec_failf(s, stmt->line, 102, "Incorrect syntax near '%s'.", stmt->text2);
	return FLOW_NEXT;
}

static enum flow set_number(struct session *s, const struct stmt *stmt, const char *name) {
	int64_t n;
	enum flow flow = number_of(s, stmt, &n);
	if (flow != FLOW_NEXT)
		return flow;
	if (strcmp(name, "LOCK_TIMEOUT") == 0) {
		s->options.lock_timeout = n < -1 ? -1 : n > INT32_MAX ? INT32_MAX : (int)n;
	} else if (strcmp(name, "TEXTSIZE") == 0) {
		s->options.textsize = n <= 0 ? 4096 : (int)n;
	} else if (strcmp(name, "ROWCOUNT") == 0) {
		s->options.rowcount = n < 0 ? 0 : n;
	} else {
		if (n < 1 || n > 7)
			return exec_failf(s, stmt->line, 2744, "The first day of the week must be from 1 to 7.");
		s->functions.date_first = (int)n;
	}
	return FLOW_NEXT;
}

static enum flow set_language(struct session *s, const struct stmt *stmt) {
	const struct variable *v = stmt->text2[0] == '@' ? exec_variable(s->frame, stmt->text2) : NULL;
	const char *name = v && v->value ? (const char *)sqlite3_value_text(v->value) : stmt->text2;
	bool english = strcasecmp(name, "us_english") == 0 || strcasecmp(name, "English") == 0;
	bool british = strcasecmp(name, "British") == 0 || strcasecmp(name, "British English") == 0;
	bool german = strcasecmp(name, "Deutsch") == 0 || strcasecmp(name, "German") == 0;
	if (!english && !british && !german)
		return exec_failf(s, stmt->line, 2740,
			"SET LANGUAGE failed because '%s' is not an official language name or a language alias on "
			"this SQL Server.",
			name);
	snprintf(s->options.language, sizeof s->options.language, "%s", german ? "Deutsch" : british ? "British" : "us_english");
	s->functions.date_first = english ? 7 : 1;
	s->functions.date_format = english ? 'm' : 'd';
	return FLOW_NEXT;
}

static enum flow set_date_format(struct session *s, const struct stmt *stmt) {
	static const char *const known[] = { "mdy", "dmy", "ymd", NULL };
	const struct variable *v = stmt->text2[0] == '@' ? exec_variable(s->frame, stmt->text2) : NULL;
	const char *name = v && v->value ? (const char *)sqlite3_value_text(v->value) : stmt->text2;
	for (int i = 0; known[i]; i++)
		if (strcasecmp(known[i], name) == 0) {
			s->functions.date_format = known[i][0];
			return FLOW_NEXT;
		}
	return exec_failf(s, stmt->line, 2741, "SET DATEFORMAT date order '%s' is invalid.", name);
}

static enum flow set_isolation(struct session *s, const struct stmt *stmt) {
	s->options.isolation = strcmp(stmt->text2, "READ COMMITTED") == 0     ? 'C'
			       : strcmp(stmt->text2, "READ UNCOMMITTED") == 0 ? 'U'
			       : strcmp(stmt->text2, "REPEATABLE READ") == 0  ? 'R'
			       : strcmp(stmt->text2, "SERIALIZABLE") == 0     ? 'S'
									      : 'N';
	return FLOW_NEXT;
}

static enum flow set_identity_insert(struct session *s, const struct stmt *stmt) {
	struct sqlerror error = { 0 };
	struct object *table = catalog_object(s->catalog, &stmt->name, &error);
	if (!table)
		return exec_failf(s, stmt->line, 1088,
			"Cannot find the object \"%s\" because it does not exist or you do not have permissions.",
			stmt->name.part[stmt->name.count - 1]);
	if (table->identity < 0)
		return exec_failf(s, stmt->line, 8106,
			"Table '%s.%s' does not have the identity property. Cannot perform SET operation.", table->schema,
			table->name);
	if (!stmt->flag) {
		if (s->options.identity_insert == table->id)
			s->options.identity_insert = 0;
		return FLOW_NEXT;
	}
	if (s->options.identity_insert && s->options.identity_insert != table->id) {
		const struct object *other = catalog_by_id(s->catalog, s->options.identity_insert);
		if (other)
			return exec_failf(s, stmt->line, 8107,
				"IDENTITY_INSERT is already ON for table '%s.%s.%s'. Cannot perform SET operation for "
				"table '%s'.",
				other->database->name, other->schema, other->name, table->name);
	}
	s->options.identity_insert = table->id;
	return FLOW_NEXT;
}

static enum flow set_priority(struct session *s, const struct stmt *stmt) {
	int64_t n = 0;
	if (strcasecmp(stmt->text2, "LOW") == 0)
		n = -5;
	else if (strcasecmp(stmt->text2, "HIGH") == 0)
		n = 5;
	else if (strcasecmp(stmt->text2, "NORMAL") != 0) {
		enum flow flow = number_of(s, stmt, &n);
		if (flow != FLOW_NEXT)
			return flow;
	}
	s->options.deadlock_priority = n < -10 ? -10 : n > 10 ? 10 : (int)n;
	return FLOW_NEXT;
}

static enum flow set_one(struct session *s, const struct stmt *stmt, const char *name) {
	if (strcmp(name, "ISOLATION") == 0)
		return set_isolation(s, stmt);
	if (strcmp(name, "IDENTITY_INSERT") == 0)
		return set_identity_insert(s, stmt);
	if (strcmp(name, "LOCK_TIMEOUT") == 0 || strcmp(name, "TEXTSIZE") == 0 || strcmp(name, "ROWCOUNT") == 0 ||
		strcmp(name, "DATEFIRST") == 0)
		return set_number(s, stmt, name);
	if (strcmp(name, "LANGUAGE") == 0)
		return set_language(s, stmt);
	if (strcmp(name, "DATEFORMAT") == 0)
		return set_date_format(s, stmt);
	if (strcmp(name, "DEADLOCK_PRIORITY") == 0)
		return set_priority(s, stmt);
	if (strcmp(name, "CONTEXT_INFO") == 0)
		return FLOW_NEXT;
	return set_flag(s, stmt, name);
}

enum flow exec_set_option(struct session *s, const struct stmt *stmt) {
	enum flow flow = FLOW_NEXT;
	for (int i = 0; i < stmt->column_count && flow == FLOW_NEXT; i++)
		flow = set_one(s, stmt, stmt->columns[i]);
	return flow;
}

/* --- options that stored things ask for --- */

int exec_check_options(struct session *s, const struct object *table, const char *verb, int line, struct sqlerror *error) {
	const struct options *o = &s->options;
	bool asks = false;
	for (int i = 0; i < table->index_count; i++)
		asks |= table->indexes[i].filter != NULL;
	for (int i = 0; i < table->column_count && !asks; i++)
		for (int k = 0; table->columns[i].computed_expr && k < table->index_count; k++)
			for (int c = 0; c < table->indexes[k].column_count; c++)
				asks |= table->indexes[k].columns[c].column == i;
	if (!asks)
		return 0;
	char wrong[200] = "";
	const struct {
		const char *name;
		bool bad;
	} all[] = {
		{ "ANSI_NULLS", !o->ansi_nulls },
		{ "QUOTED_IDENTIFIER", !o->quoted_identifier },
		{ "CONCAT_NULL_YIELDS_NULL", !o->concat_null },
		{ "ANSI_WARNINGS", !o->ansi_warnings },
		{ "ANSI_PADDING", !o->ansi_padding },
		{ "NUMERIC_ROUNDABORT", o->numeric_roundabort },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i].bad)
			snprintf(wrong + strlen(wrong), sizeof wrong - strlen(wrong), "%s%s", wrong[0] ? ", " : "", all[i].name);
	if (!wrong[0])
		return 0;
	return sqlerror_set(error, 1934, line,
		"%s failed because the following SET options have incorrect settings: '%s'. Verify that SET "
		"options are correct for use with indexed views and/or indexes on computed columns and/or filtered indexes "
		"and/or query "
		"notifications and/or XML data type methods and/or spatial index operations.",
		verb, wrong);
}

/* --- USE and KILL --- */

enum flow exec_use(struct session *s, const char *name, int line) {
	const struct database *d = catalog_database(s->catalog, name);
	struct sqlerror error = { 0 };
	char text[300];
	if (!d)
		return exec_failf(
			s, line, 911, "Database '%s' does not exist. Make sure that the name is entered correctly.", name);
	if (catalog_opens(d, line, &error) < 0 || session_may_enter(s, d, line, &error) < 0)
		return exec_fail(s, &error);
	session_set_database(s, d);
	if (s->sink->database(s->sink->arg, d->name) < 0)
		s->gone = true;
	snprintf(text, sizeof text, "Changed database context to '%s'.", d->name);
	exec_info(s, 5701, 0, 2, line, text);
	return s->gone ? FLOW_GONE : FLOW_NEXT;
}

enum flow exec_kill(struct session *s, const struct stmt *stmt) {
	struct xtype type = xtype_of(SQL_INT, 0, 0, 0);
	sqlite3_value *value;
	enum flow flow = exec_value(s, stmt->expr, &type, NULL, &value);
	if (flow != FLOW_NEXT)
		return flow;
	int id = value ? sqlite3_value_int(value) : 0;
	sqlite3_value_free(value);
	if (!security_is_admin(s))
		return exec_failf(s, stmt->line, 6102, "User does not have permission to use the KILL statement.");
	if (id == s->id)
		return exec_failf(s, stmt->line, 6104, "Cannot use KILL to kill your own process.");
	if (id < 51 || engine_kill(s->engine, id) < 0)
		return exec_failf(s, stmt->line, 6106, "Process ID %d is not an active process ID.", id);
	return FLOW_NEXT;
}
