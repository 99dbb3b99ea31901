/* CREATE, ALTER, DROP, GRANT. The inside of tables is in parser_table.c. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <string.h>
#include <strings.h>

/* CREATE VIEW and the like must stand alone. */
static void must_be_first(struct parser *p, const char *what) {
	int at = 0;
	while (at < p->at && strcmp(p->tokens[at].text, ";") == 0)
		at++;
	if (at != p->at)
		sqlerror_set(p->error, 111, parser_peek(p, 0)->line, "'%s' must be the first statement in a query batch.", what);
}

static const char *equals_word(struct parser *p) {
	parser_expect(p, "=");
	return parser_word(p);
}

static const char *equals_string(struct parser *p) {
	parser_expect(p, "=");
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_STRING && t->kind != T_NSTRING) {
		parser_fail(p);
		return "";
	}
	p->at++;
	return t->text;
}

/* --- databases --- */

static struct stmt *create_database(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_DATABASE;
	s->text = parser_ident(p);
	if (parser_accept(p, "COLLATE"))
		s->text2 = parser_ident(p);
	return s;
}

static void database_option(struct parser *p, struct vec *list) {
	const char *option = parser_upper(p, parser_word(p));
	const char *value = "";
	parser_accept(p, "=");
	const struct token *t = parser_peek(p, 0);
	if (t->kind == T_INTEGER || (t->kind == T_WORD && !parser_is(p, "WITH") && !parser_statement_follows(p))) {
		value = parser_upper(p, t->text);
		p->at++;
	}
	if (parser_accept(p, "(")) { /* QUERY_STORE and the like */
		while (!parser_is(p, ")") && parser_peek(p, 0)->kind != T_END)
			p->at++;
		parser_expect(p, ")");
	}
	vec_add(p->arena, list, (void *)(uintptr_t)option);
	vec_add(p->arena, list, (void *)(uintptr_t)value);
}

/* columns: option, value, option, value...; flag: WITH ROLLBACK IMMEDIATE; flag2: WITH NO_WAIT. */
static struct stmt *alter_database(struct parser *p, struct stmt *s) {
	struct vec list = { 0 };
	s->kind = S_ALTER_DATABASE;
	s->text = parser_accept(p, "CURRENT") ? NULL : parser_ident(p);
	if (parser_accept(p, "COLLATE")) {
		vec_add(p->arena, &list, (void *)(uintptr_t)"COLLATE");
		vec_add(p->arena, &list, (void *)(uintptr_t)parser_ident(p));
	} else if (parser_accept2(p, "MODIFY", "NAME")) {
		vec_add(p->arena, &list, (void *)(uintptr_t)"NAME");
		vec_add(p->arena, &list, (void *)(uintptr_t)equals_word(p));
	} else {
		parser_expect(p, "SET");
		do
			database_option(p, &list);
		while (parser_accept(p, ","));
	}
	s->columns = parser_texts(p, &list);
	s->column_count = list.count;
	if (parser_accept(p, "WITH")) {
		s->flag2 = parser_accept(p, "NO_WAIT");
		if (!s->flag2) {
			s->flag = true;
			parser_expect(p, "ROLLBACK");
			if (parser_accept(p, "AFTER")) {
				p->at += parser_peek(p, 0)->kind == T_INTEGER;
				parser_accept(p, "SECONDS");
			} else {
				parser_expect(p, "IMMEDIATE");
			}
		}
	}
	return s;
}

/* --- tables --- */

static struct stmt *create_table(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_TABLE;
	s->name = parser_name(p);
	parser_table_body(p, s);
	return s;
}

/* columns: names; text: COLUMN or CONSTRAINT */
static struct stmt *alter_drop(struct parser *p, struct stmt *s) {
	struct vec list = { 0 };
	s->kind = S_ALTER_DROP;
	s->text = parser_accept(p, "COLUMN") ? "COLUMN" : "CONSTRAINT";
	if (strcmp(s->text, "CONSTRAINT") == 0)
		parser_accept(p, "CONSTRAINT");
	s->flag = parser_accept2(p, "IF", "EXISTS");
	do
		vec_add(p->arena, &list, (void *)(uintptr_t)parser_ident(p));
	while (parser_accept(p, ","));
	s->columns = parser_texts(p, &list);
	s->column_count = list.count;
	return s;
}

static struct stmt *alter_column(struct parser *p, struct stmt *s) {
	struct column_def *d = arena_alloc(p->arena, sizeof *d);
	s->kind = S_ALTER_COLUMN;
	d->line = parser_peek(p, 0)->line;
	d->name = parser_ident(p);
	d->type = parser_type(p);
	d->nullable = true;
	if (parser_accept(p, "COLLATE"))
		d->collation = parser_ident(p);
	if (parser_accept2(p, "NOT", "NULL")) {
		d->nullable = false;
		d->null_said = true;
	} else {
		d->null_said = parser_accept(p, "NULL");
	}
	s->defs = d;
	s->def_count = 1;
	return s;
}

/* ENABLE or DISABLE TRIGGER name | ALL; flag: enable; columns: names, none = all */
static struct stmt *alter_triggers(struct parser *p, struct stmt *s) {
	struct vec list = { 0 };
	s->kind = S_ALTER_TRIGGERS;
	s->flag = parser_accept(p, "ENABLE");
	if (!s->flag)
		parser_expect(p, "DISABLE");
	parser_expect(p, "TRIGGER");
	if (!parser_accept(p, "ALL")) {
		do
			vec_add(p->arena, &list, (void *)(uintptr_t)parser_ident(p));
		while (parser_accept(p, ","));
	}
	s->columns = parser_texts(p, &list);
	s->column_count = list.count;
	return s;
}

/* flag: WITH NOCHECK */
static struct stmt *alter_table(struct parser *p, struct stmt *s) {
	s->name = parser_name(p);
	if (parser_accept2(p, "WITH", "NOCHECK"))
		s->flag = true;
	else
		parser_accept2(p, "WITH", "CHECK");
	if (parser_accept(p, "ADD")) {
		s->kind = S_ALTER_ADD;
		parser_table_parts(p, s);
	} else if (parser_accept(p, "DROP")) {
		return alter_drop(p, s);
	} else if (parser_accept2(p, "ALTER", "COLUMN")) {
		return alter_column(p, s);
	} else if (parser_accept(p, "REBUILD")) {
		s->kind = S_NOTHING;
	} else {
		return alter_triggers(p, s);
	}
	return s;
}

/* --- modules: text is the source with CREATE in front --- */

static void module_text(struct parser *p, struct stmt *s, bool altered) {
	const char *source = parser_text_since(p, altered ? s->module_at : s->module_at - 1);
	s->text = altered ? arena_fmt(p->arena, "CREATE %s", source) : source;
}

static struct stmt *view(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_VIEW;
	s->name = parser_name(p);
	if (parser_is(p, "("))
		s->columns = parser_ident_list(p, &s->column_count);
	if (parser_accept(p, "WITH"))
		do
			parser_word(p);
		while (parser_accept(p, ","));
	parser_expect(p, "AS");
	s->select = parser_select(p);
	parser_accept(p, ";");
	if (parser_peek(p, 0)->kind != T_END)
		parser_fail(p);
	return s;
}

static struct stmt *procedure(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_PROCEDURE;
	s->name = parser_name(p);
	bool bracket = parser_accept(p, "(");
	if (parser_peek(p, 0)->kind == T_VARIABLE)
		s->defs = parser_parameter_list(p, &s->def_count);
	if (bracket)
		parser_expect(p, ")");
	if (parser_accept(p, "WITH")) {
		do
			if (parser_accept2(p, "EXECUTE", "AS"))
				parser_word(p);
			else
				parser_word(p);
		while (parser_accept(p, ","));
	}
	parser_expect(p, "AS");
	s->body = parser_list(p, false);
	return s;
}

/* text2: the letters of its events, "IUD" */
static struct stmt *trigger(struct parser *p, struct stmt *s) {
	char events[4] = "";
	s->kind = S_CREATE_TRIGGER;
	s->name = parser_name(p);
	parser_expect(p, "ON");
	s->name2 = parser_name(p);
	if (!parser_accept(p, "AFTER"))
		parser_expect(p, "FOR");
	do {
		const char *word = parser_is(p, "INSERT") ? "I" : parser_is(p, "UPDATE") ? "U" : "D";
		if (!parser_accept(p, "INSERT") && !parser_accept(p, "UPDATE"))
			parser_expect(p, "DELETE");
		if (!strstr(events, word) && strlen(events) < 3)
			events[strlen(events)] = word[0];
	} while (parser_accept(p, ","));
	s->text2 = arena_dup(p->arena, events, strlen(events));
	parser_accept2(p, "NOT", "FOR");
	parser_expect(p, "AS");
	s->body = parser_list(p, false);
	if (!s->body)
		parser_fail(p);
	return s;
}

/* after CREATE, CREATE OR ALTER (flag) or ALTER (flag2) */
static struct stmt *module(struct parser *p, struct stmt *s) {
	s->module_at = p->at;
	if (parser_accept(p, "VIEW"))
		view(p, s);
	else if (parser_accept(p, "PROCEDURE") || parser_accept(p, "PROC"))
		procedure(p, s);
	else if (parser_accept(p, "TRIGGER"))
		trigger(p, s);
	else
		return NULL;
	module_text(p, s, s->flag || s->flag2);
	return s;
}

static bool is_module(const struct parser *p) {
	return parser_is(p, "VIEW") || parser_is(p, "PROCEDURE") || parser_is(p, "PROC") || parser_is(p, "TRIGGER");
}

static void module_is_first(struct parser *p, int ahead, const char *verb) {
	const char *what = parser_upper(p, parser_peek(p, ahead)->text);
	must_be_first(p, arena_fmt(p->arena, "%s %s", verb, strcmp(what, "PROC") == 0 ? "PROCEDURE" : what));
}

/* --- principals --- */

static void login_options(struct parser *p, struct stmt *s) {
	do {
		if (parser_accept(p, "PASSWORD")) {
			s->text2 = equals_string(p);
			parser_accept(p, "MUST_CHANGE");
		} else if (parser_accept(p, "DEFAULT_DATABASE")) {
			s->name2.part[0] = equals_word(p);
			s->name2.count = 1;
		} else if (parser_accept(p, "CHECK_POLICY") || parser_accept(p, "CHECK_EXPIRATION") ||
			   parser_accept(p, "DEFAULT_LANGUAGE")) {
			equals_word(p);
		} else {
			parser_fail(p);
		}
	} while (parser_accept(p, ","));
}

/* text name, text2 password, name2 default database; flag2: ALTER, and then columns[0] = ENABLE or DISABLE */
static struct stmt *login(struct parser *p, struct stmt *s, bool alter) {
	s->kind = S_CREATE_LOGIN;
	s->flag2 = alter;
	s->text = parser_ident(p);
	if (alter && (parser_is(p, "ENABLE") || parser_is(p, "DISABLE"))) {
		s->columns = arena_alloc(p->arena, sizeof *s->columns);
		s->columns[0] = parser_upper(p, parser_word(p));
		s->column_count = 1;
		return s;
	}
	parser_expect(p, "WITH");
	login_options(p, s);
	if (!alter && !s->text2)
		parser_fail(p);
	return s;
}

/* text name, text2 login (NULL = same name), name2 default schema; flag: WITHOUT LOGIN; flag2: ALTER */
static struct stmt *user(struct parser *p, struct stmt *s, bool alter) {
	s->kind = S_CREATE_USER;
	s->flag2 = alter;
	s->text = parser_ident(p);
	if (!alter && (parser_accept(p, "FOR") || parser_accept(p, "FROM"))) {
		parser_expect(p, "LOGIN");
		s->text2 = parser_ident(p);
	} else if (!alter && parser_accept(p, "WITHOUT")) {
		parser_expect(p, "LOGIN");
		s->flag = true;
	}
	if (!parser_accept(p, "WITH"))
		return s;
	do {
		if (parser_accept(p, "DEFAULT_SCHEMA")) {
			s->name2.part[0] = equals_word(p);
			s->name2.count = 1;
		} else if (alter && parser_accept(p, "LOGIN")) {
			s->text2 = equals_word(p);
		} else {
			parser_fail(p);
		}
	} while (parser_accept(p, ","));
	return s;
}

static struct stmt *role(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_ROLE;
	s->text = parser_ident(p);
	if (parser_accept(p, "AUTHORIZATION"))
		parser_ident(p);
	return s;
}

/* text role, text2 member; flag: DROP; flag2: server role */
static struct stmt *role_member(struct parser *p, struct stmt *s, bool server) {
	s->kind = S_ROLE_MEMBER;
	s->flag2 = server;
	s->text = parser_ident(p);
	s->flag = parser_accept(p, "DROP");
	if (!s->flag)
		parser_expect(p, "ADD");
	parser_expect(p, "MEMBER");
	s->text2 = parser_ident(p);
	return s;
}

static struct stmt *schema(struct parser *p, struct stmt *s) {
	s->kind = S_CREATE_SCHEMA;
	if (parser_accept(p, "AUTHORIZATION")) {
		s->text = parser_ident(p);
		return s;
	}
	s->text = parser_ident(p);
	if (parser_accept(p, "AUTHORIZATION"))
		parser_ident(p);
	return s;
}

/* "VIEW ANY DATABASE", "SELECT", "CREATE TABLE": the words of one permission; its columns are refused. */
static const char *permission(struct parser *p) {
	const char *text = parser_upper(p, parser_word(p));
	while (parser_peek(p, 0)->kind == T_WORD && !parser_is(p, "ON") && !parser_is(p, "TO") && !parser_is(p, "FROM"))
		text = arena_fmt(p->arena, "%s %s", text, parser_upper(p, parser_word(p)));
	return text;
}

/* text GRANT, DENY or REVOKE; columns: permissions; text2: class OBJECT, SCHEMA, DATABASE, LOGIN or NULL; name: securable;
 * names: grantees */
struct stmt *parser_grant(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_GRANT);
	struct vec permissions = { 0 }, grantees = { 0 };
	s->text = parser_upper(p, parser_word(p));
	if (strcmp(s->text, "REVOKE") == 0 && parser_accept2(p, "GRANT", "OPTION"))
		parser_expect(p, "FOR");
	do
		vec_add(p->arena, &permissions, (void *)(uintptr_t)permission(p));
	while (parser_accept(p, ","));
	s->columns = parser_texts(p, &permissions);
	s->column_count = permissions.count;
	if (parser_accept(p, "ON")) {
		s->text2 = "OBJECT";
		if (parser_is_at(p, 1, "::")) {
			s->text2 = parser_upper(p, parser_word(p));
			p->at++;
		}
		s->name = parser_name(p);
	}
	if (!parser_accept(p, "TO") && !(strcmp(s->text, "REVOKE") == 0 && parser_accept(p, "FROM")))
		parser_fail(p);
	do {
		struct name *n = arena_alloc(p->arena, sizeof *n);
		*n = (struct name){ .part = { parser_word(p) }, .count = 1 };
		vec_add(p->arena, &grantees, n);
	} while (parser_accept(p, ","));
	s->names = parser_flatten(p, &grantees, sizeof *s->names);
	s->name_count = grantees.count;
	if (parser_accept2(p, "WITH", "GRANT"))
		parser_expect(p, "OPTION");
	else
		parser_accept(p, "CASCADE");
	return s;
}

/* --- which one --- */

struct stmt *parser_create(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_NOTHING);
	bool or_alter = parser_is_at(p, 1, "OR") && parser_is_at(p, 2, "ALTER");
	struct parser ahead = *p;
	ahead.at += or_alter ? 3 : 1;
	if (is_module(&ahead))
		module_is_first(p, or_alter ? 3 : 1, "CREATE");
	p->at++;
	if (or_alter) {
		p->at += 2;
		s->flag = true;
	}
	if (is_module(p))
		return module(p, s);
	if (or_alter)
		parser_fail(p);
	if (parser_accept(p, "TABLE"))
		return create_table(p, s);
	if (parser_accept(p, "DATABASE"))
		return create_database(p, s);
	if (parser_accept(p, "SCHEMA"))
		return schema(p, s);
	if (parser_accept(p, "LOGIN"))
		return login(p, s, false);
	if (parser_accept(p, "USER"))
		return user(p, s, false);
	if (parser_accept(p, "ROLE"))
		return role(p, s);
	if (parser_is(p, "UNIQUE") || parser_is(p, "CLUSTERED") || parser_is(p, "NONCLUSTERED") || parser_is(p, "INDEX"))
		return parser_index(p, s);
	parser_fail(p);
	return s;
}

struct stmt *parser_alter(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_NOTHING);
	struct parser ahead = *p;
	ahead.at++;
	if (is_module(&ahead))
		module_is_first(p, 1, "ALTER");
	p->at++;
	if (is_module(p)) {
		s->flag2 = true;
		return module(p, s);
	}
	if (parser_accept(p, "TABLE"))
		return alter_table(p, s);
	if (parser_accept(p, "DATABASE"))
		return alter_database(p, s);
	if (parser_accept(p, "LOGIN"))
		return login(p, s, true);
	if (parser_accept(p, "USER"))
		return user(p, s, true);
	if (parser_accept2(p, "SERVER", "ROLE"))
		return role_member(p, s, true);
	if (parser_accept(p, "ROLE"))
		return role_member(p, s, false);
	if (parser_is(p, "INDEX")) { /* ALTER INDEX x ON t REBUILD | REORGANIZE: nothing to do */
		p->at++;
		if (!parser_accept(p, "ALL"))
			parser_ident(p);
		parser_expect(p, "ON");
		s->name = parser_name(p);
		if (!parser_accept(p, "REBUILD") && !parser_accept(p, "REORGANIZE"))
			parser_fail(p);
		return s;
	}
	parser_fail(p);
	return s;
}

/* text: kind; flag: IF EXISTS; names. An index is named "name ON table": names[i] the index, name2 the table. */
struct stmt *parser_drop(struct parser *p) {
	static const char *const kinds[] = { "TABLE", "VIEW", "PROCEDURE", "TRIGGER", "SCHEMA", "LOGIN", "USER", "ROLE", "INDEX",
					     "DATABASE", NULL };
	struct stmt *s = parser_stmt_new(p, S_DROP);
	struct vec list = { 0 };
	p->at++;
	if (parser_accept(p, "PROC"))
		s->text = "PROCEDURE";
	for (int i = 0; kinds[i] && !s->text; i++)
		if (parser_accept(p, kinds[i]))
			s->text = kinds[i];
	if (!s->text) {
		parser_fail(p);
		return s;
	}
	if (strcmp(s->text, "DATABASE") == 0)
		s->kind = S_DROP_DATABASE;
	s->flag = parser_accept2(p, "IF", "EXISTS");
	do {
		struct name *n = arena_alloc(p->arena, sizeof *n);
		*n = parser_name(p);
		vec_add(p->arena, &list, n);
		if (strcmp(s->text, "INDEX") == 0) {
			parser_expect(p, "ON");
			s->name2 = parser_name(p);
		}
	} while (parser_accept(p, ",") && !parser_failed(p));
	s->names = parser_flatten(p, &list, sizeof *s->names);
	s->name_count = list.count;
	return s;
}
