/* Reading the catalogue: databases at once, objects one by one as they are named, kept until the version row changes.
 * What writes it is in ddl*.c and security.c; the tables are made in catalog_file.c. */
#include "ecosystem/sandbox/sql/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/catalog_load.h"
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/parser.h"

#define BUCKETS 256

struct cached {
	struct object *object; /* NULL: there is none of that name */
	const char *key;
	struct cached *next;
};

struct temporary {
	struct object object;
	struct arena arena;
	const void *scope;
	struct temporary *next;
};

struct catalog {
	sqlite3 *db;
	struct stmts *stmts;
	_Atomic int64_t *versions;
	catalog_access *access;
	void *access_arg;
	struct arena arena;
	struct retired {
		struct arena arena;
		struct retired *next;
	} * retired;
	int64_t version, temporary_version;
	struct database *databases;
	int database_count;
	struct cached *buckets[BUCKETS];
	struct temporary *temporaries;
	const void *scope;
	int current;
	char schema[129], server_collation[129];
};

/* --- life --- */

static const char *column_text(struct arena *arena, sqlite3_stmt *stmt, int i) {
	const char *text = (const char *)sqlite3_column_text(stmt, i);
	return text ? arena_dup(arena, text, (size_t)sqlite3_column_bytes(stmt, i)) : NULL;
}

static void load_databases(struct catalog *c) {
	sqlite3_stmt *stmt = stmts_take(c->stmts, "SELECT id, name, collation, compat, snapshot, state, single, created, "
						  "(SELECT count(*) FROM m_database) FROM m_database ORDER BY id");
	c->database_count = 0;
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
		if (!c->database_count)
			c->databases = arena_alloc(&c->arena, sizeof *c->databases * (size_t)sqlite3_column_int(stmt, 8));
		struct database *d = &c->databases[c->database_count++];
		d->id = sqlite3_column_int(stmt, 0);
		d->name = column_text(&c->arena, stmt, 1);
		d->collation = column_text(&c->arena, stmt, 2);
		d->compatibility = sqlite3_column_int(stmt, 3);
		d->snapshot = sqlite3_column_int(stmt, 4) != 0;
		d->state = sqlite3_column_int(stmt, 5);
		d->access = sqlite3_column_int(stmt, 6);
		snprintf(d->created, sizeof d->created, "%s", (const char *)sqlite3_column_text(stmt, 7));
	}
	stmts_put(c->stmts, stmt);
}

static int64_t read_version(struct catalog *c) {
	sqlite3_stmt *stmt = stmts_take(c->stmts, "SELECT value FROM m_meta WHERE key = 'version'");
	int64_t version = stmt && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
	stmts_put(c->stmts, stmt);
	return version;
}

struct catalog *catalog_new(sqlite3 *db, struct stmts *stmts, _Atomic int64_t *versions, catalog_access *access, void *arg) {
	struct catalog *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	c->db = db;
	c->stmts = stmts;
	c->versions = versions;
	c->access = access;
	c->access_arg = arg;
	c->version = -1;
	c->current = 1;
	snprintf(c->schema, sizeof c->schema, "dbo");
	sqlite3_stmt *stmt = stmts_take(stmts, "SELECT value FROM m_meta WHERE key = 'collation'");
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		snprintf(c->server_collation, sizeof c->server_collation, "%s", (const char *)sqlite3_column_text(stmt, 0));
	stmts_put(stmts, stmt);
	catalog_refresh(c);
	return c;
}

void catalog_forget(struct catalog *c) {
	while (c->retired) {
		struct retired *r = c->retired;
		c->retired = r->next;
		arena_release(&r->arena);
		free(r);
	}
}

void catalog_free(struct catalog *c) {
	if (!c)
		return;
	while (c->temporaries)
		catalog_remove_temporary(c, &c->temporaries->object);
	catalog_forget(c);
	arena_release(&c->arena);
	free(c);
}

void catalog_refresh(struct catalog *c) {
	int64_t version = read_version(c);
	if (version == c->version)
		return;
	if (c->arena.chunks) {
		struct retired *r = calloc(1, sizeof *r);
		if (!r)
			abort();
		r->arena = c->arena;
		r->next = c->retired;
		c->retired = r;
	}
	memset(&c->arena, 0, sizeof c->arena);
	memset(c->buckets, 0, sizeof c->buckets);
	c->version = version;
	load_databases(c);
}

int64_t catalog_version(const struct catalog *c) { return c->version * 1000003 + c->temporary_version; }

int catalog_changed(struct catalog *c) {
	int64_t next = atomic_fetch_add(c->versions, 1) + 1;
	sqlite3_stmt *stmt = stmts_take(c->stmts, "UPDATE m_meta SET value = ?1 WHERE key = 'version'");
	int rc = SQLITE_ERROR;
	if (stmt) {
		sqlite3_bind_int64(stmt, 1, next);
		rc = sqlite3_step(stmt);
	}
	stmts_put(c->stmts, stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* --- databases --- */

static const struct {
	int state, number;
	const char *name, *text;
} states[] = {
	{ DATABASE_ONLINE, 0, "ONLINE", "" },
	{ DATABASE_RESTORING, 927, "RESTORING", "Database '%s' cannot be opened. It is in the middle of a restore." },
	{ DATABASE_RECOVERING, 922, "RECOVERING", "Database '%s' is being recovered. Waiting until recovery is finished." },
	{ DATABASE_PENDING, 945, "RECOVERY_PENDING",
		"Database '%s' cannot be opened due to inaccessible files or insufficient memory or disk space. See the SQL Server "
		"errorlog for details." },
	{ DATABASE_SUSPECT, 926, "SUSPECT",
		"Database '%s' cannot be opened. It has been marked SUSPECT by recovery. See the SQL Server errorlog for more "
		"information." },
	{ DATABASE_OFFLINE, 942, "OFFLINE", "Database '%s' cannot be opened because it is offline." },
};

int catalog_opens(const struct database *d, int line, struct sqlerror *error) {
	char text[400];
	for (size_t i = 1; i < sizeof states / sizeof states[0]; i++) {
		if (states[i].state != d->state)
			continue;
		const char *mark = strstr(states[i].text, "%s");
		snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - states[i].text), states[i].text, d->name, mark + 2);
		return sqlerror_set(error, states[i].number, line, "%s", text);
	}
	return 0;
}

const char *catalog_state_name(int state) {
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (states[i].state == state)
			return states[i].name;
	return "ONLINE";
}

const char *catalog_access_name(int access) {
	return access == ACCESS_SINGLE ? "SINGLE_USER" : access == ACCESS_RESTRICTED ? "RESTRICTED_USER" : "MULTI_USER";
}

const struct database *catalog_database_by_id(struct catalog *c, int id) {
	for (int i = 0; i < c->database_count; i++)
		if (c->databases[i].id == id)
			return &c->databases[i];
	return NULL;
}

const struct database *catalog_current(const struct catalog *c) {
	for (int i = 0; i < c->database_count; i++)
		if (c->databases[i].id == c->current)
			return &c->databases[i];
	return &c->databases[0]; /* dropped by another session: master */
}

const struct database *catalog_database(struct catalog *c, const char *name) {
	for (int i = 0; i < c->database_count; i++)
		if (collation_same_name(c->databases[i].name, name))
			return &c->databases[i];
	return NULL;
}

const char *catalog_schema(const struct catalog *c) { return c->schema; }

const char *catalog_server_collation(const struct catalog *c) { return c->server_collation; }

int catalog_use(struct catalog *c, const char *name, const char *schema) {
	const struct database *d = catalog_database(c, name);
	if (!d)
		return -1;
	c->current = d->id;
	snprintf(c->schema, sizeof c->schema, "%s", schema ? schema : "dbo");
	return 0;
}

void catalog_switch(struct catalog *c, int database) { c->current = database; }

/* --- objects --- */

static const char *part(const struct name *n, int from_end) {
	return n->count > from_end && n->part[n->count - 1 - from_end] ? n->part[n->count - 1 - from_end] : "";
}

static const char *written(struct catalog *c, const struct name *n) {
	const char *text = "";
	for (int i = 0; i < n->count; i++)
		text = arena_fmt(&c->arena, "%s%s%s", text, i ? "." : "", n->part[i] ? n->part[i] : "");
	return text;
}

static uint32_t key_hash(const char *key) {
	uint32_t h = 2166136261u;
	for (; *key; key++)
		h = (h ^ (unsigned char)(*key >= 'A' && *key <= 'Z' ? *key + 32 : *key)) * 16777619u;
	return h % BUCKETS;
}

static int64_t find_id(struct catalog *c, int database, const char *schema, const char *name, const char *types) {
	sqlite3_stmt *stmt =
		stmts_take(c->stmts, "SELECT o.id FROM m_object o JOIN m_schema s ON s.id = o.schema WHERE o.db = ?1 "
				     "AND s.name = ?2 AND o.name = ?3 AND instr(?4, o.type)");
	int64_t id = 0;
	if (stmt) {
		sqlite3_bind_int(stmt, 1, database);
		sqlite3_bind_text(stmt, 2, schema, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, name, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, types, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			id = sqlite3_column_int64(stmt, 0);
	}
	stmts_put(c->stmts, stmt);
	return id;
}

static struct object *remember(struct catalog *c, const char *key, struct object *object) {
	struct cached *entry = arena_alloc(&c->arena, sizeof *entry);
	uint32_t h = key_hash(key);
	entry->object = object;
	entry->key = arena_dup(&c->arena, key, strlen(key));
	entry->next = c->buckets[h];
	c->buckets[h] = entry;
	return object;
}

struct object *catalog_by_id(struct catalog *c, int64_t id) {
	char key[40];
	snprintf(key, sizeof key, "#%lld", (long long)id);
	for (struct cached *e = c->buckets[key_hash(key)]; e; e = e->next)
		if (strcmp(e->key, key) == 0)
			return e->object;
	struct catalog_load load = {
		.arena = &c->arena, .stmts = c->stmts, .databases = c->databases, .database_count = c->database_count
	};
	return remember(c, key, catalog_load_object(&load, id));
}

static struct object *find(struct catalog *c, const struct database *d, const char *schema, const char *name, const char *types) {
	char key[300];
	snprintf(key, sizeof key, "%d.%s.%.129s.%s", d->id, schema, name, types);
	for (struct cached *e = c->buckets[key_hash(key)]; e; e = e->next)
		if (collation_same_name(e->key, key))
			return e->object;
	struct object *object = NULL;
	if (types[0] == 'U')
		object = sysviews_object(&c->arena, d, schema, name);
	int64_t id = object ? 0 : find_id(c, d->id, schema, name, types);
	if (id)
		object = catalog_by_id(c, id);
	return remember(c, key, object);
}

static int enter(struct catalog *c, const struct database *d, const struct name *n, struct sqlerror *error) {
	if (catalog_opens(d, n->line, error) < 0)
		return -1;
	return d->id != c->current && c->access ? c->access(c->access_arg, d, n->line, error) : 0;
}

static struct object *look_up(struct catalog *c, const struct database *home, const char *home_schema, const struct name *n,
	const char *types, struct sqlerror *error) {
	const char *database = part(n, 2), *schema = part(n, 1), *name = part(n, 0);
	const struct database *d = database[0] ? catalog_database(c, database) : home;
	if (part(n, 3)[0]) {
		sqlerror_set(error, 7202, n->line,
			"Could not find server '%.128s' in sys.servers. Verify that the correct server name "
			"was specified.",
			part(n, 3));
		return NULL;
	}
	if (!d)
		return NULL;
	if (enter(c, d, n, error) < 0)
		return NULL;
	struct object *object = NULL;
	if (schema[0])
		return find(c, d, schema, name, types);
	if (home_schema && strcasecmp(home_schema, "dbo") != 0)
		object = find(c, d, home_schema, name, types);
	return object ? object : find(c, d, "dbo", name, types);
}

struct object *catalog_temporary(struct catalog *c, const char *name) {
	for (struct temporary *t = c->temporaries; t; t = t->next)
		if (collation_same_name(t->object.name, name) && (name[0] != '@' || t->scope == c->scope))
			return &t->object;
	return NULL;
}

static struct object *resolve(
	struct catalog *c, const struct database *home, const char *home_schema, const struct name *n, struct sqlerror *error) {
	const char *name = part(n, 0);
	struct object *object;
	if (name[0] == '@' && n->count == 1) {
		object = catalog_temporary(c, name);
		if (!object)
			sqlerror_set(error, 1087, n->line, "Must declare the table variable \"%.128s\".", name);
		return object;
	}
	object = catalog_temporary(c, name);
	if (object && (name[0] == '#' || n->count == 1))
		return object;
	object = look_up(c, home, home_schema, n, "UV", error);
	if (!object)
		sqlerror_set(error, 208, n->line, "Invalid object name '%.400s'.", written(c, n));
	return object;
}

struct object *catalog_object(struct catalog *c, const struct name *name, struct sqlerror *error) {
	return resolve(c, catalog_current(c), c->schema, name, error);
}

struct object *catalog_object_from(
	struct catalog *c, const struct object *from, const struct name *name, struct sqlerror *error) {
	return resolve(c, from->database, from->schema, name, error);
}

struct object *catalog_module(struct catalog *c, const struct name *name, enum object_kind kind) {
	struct sqlerror ignored = { 0 };
	char types[2] = { (char)kind, '\0' };
	return look_up(c, catalog_current(c), c->schema, name, types, &ignored);
}

int catalog_place(
	struct catalog *c, const struct name *name, const struct database **database, int64_t *schema, struct sqlerror *error) {
	const char *d = part(name, 2), *s = part(name, 1);
	*database = d[0] ? catalog_database(c, d) : catalog_current(c);
	if (!*database)
		return sqlerror_set(error, 911, name->line,
			"Database '%.128s' does not exist. Make sure that the name is entered "
			"correctly.",
			d);
	if (enter(c, *database, name, error) < 0)
		return -1;
	if (!s[0])
		s = d[0] ? "dbo" : c->schema;
	sqlite3_stmt *stmt = stmts_take(c->stmts, "SELECT id FROM m_schema WHERE db = ?1 AND name = ?2");
	*schema = 0;
	if (stmt) {
		sqlite3_bind_int(stmt, 1, (*database)->id);
		sqlite3_bind_text(stmt, 2, s, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			*schema = sqlite3_column_int64(stmt, 0);
	}
	stmts_put(c->stmts, stmt);
	if (!*schema)
		return sqlerror_set(error, 2760, name->line,
			"The specified schema name \"%.128s\" either does not exist or you do not "
			"have permission to use it.",
			s);
	return 0;
}

int catalog_column(const struct object *object, const char *name) {
	for (int i = 0; i < object->column_count; i++)
		if (strcasecmp(object->columns[i].name, name) == 0)
			return i;
	for (int i = 0; i < object->column_count; i++)
		if (collation_same_name(object->columns[i].name, name))
			return i;
	return -1;
}

/* --- temporary objects --- */

void catalog_set_scope(struct catalog *c, const void *scope) { c->scope = scope; }

struct object *catalog_add_temporary(struct catalog *c, const struct object *object, struct arena *arena, const void *scope) {
	struct temporary *t = arena_alloc(arena, sizeof *t);
	t->object = *object;
	t->arena = *arena; /* its head chunk may grow: t itself stays where it is */
	t->scope = scope;
	t->next = c->temporaries;
	c->temporaries = t;
	c->temporary_version++;
	return &t->object;
}

void catalog_remove_temporary(struct catalog *c, const struct object *object) {
	for (struct temporary **t = &c->temporaries; *t; t = &(*t)->next)
		if (&(*t)->object == object) {
			struct temporary *gone = *t;
			*t = gone->next;
			struct retired *r = calloc(1, sizeof *r);
			if (!r)
				abort();
			r->arena = gone->arena;
			r->next = c->retired;
			c->retired = r;
			c->temporary_version++;
			return;
		}
}

void catalog_drop_temporary(
	struct catalog *c, const void *scope, bool tables, void (*drop)(void *arg, const char *sql), void *arg) {
	struct temporary *next;
	for (struct temporary *t = c->temporaries; t; t = next) {
		next = t->next;
		if ((scope && t->scope != scope) || (!tables && t->object.name[0] == '#'))
			continue;
		drop(arg, t->object.sql);
		catalog_remove_temporary(c, &t->object);
	}
}

struct object *catalog_each_temporary(struct catalog *c, int i) {
	struct temporary *t = c->temporaries;
	while (t && i-- > 0)
		t = t->next;
	return t ? &t->object : NULL;
}

struct arena *catalog_temporary_arena(struct catalog *c, const struct object *object) {
	for (struct temporary *t = c->temporaries; t; t = t->next)
		if (&t->object == object)
			return &t->arena;
	return NULL;
}
