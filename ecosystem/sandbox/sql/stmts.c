/* A hash table of prepared statements; when a slot is taken by another text, the older statement goes.
 * A text that is in use twice at a time (recursion) gets a statement that is not kept. */
#include "ecosystem/sandbox/sql/stmts.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 512

struct stmts {
	sqlite3 *db;
	struct slot {
		sqlite3_stmt *stmt;
		bool busy;
	} slots[SLOTS];
};

struct stmts *stmts_new(sqlite3 *db) {
	struct stmts *stmts = calloc(1, sizeof *stmts);
	if (stmts)
		stmts->db = db;
	return stmts;
}

void stmts_clear(struct stmts *stmts) {
	for (int i = 0; i < SLOTS; i++)
		if (stmts->slots[i].stmt && !stmts->slots[i].busy) {
			sqlite3_finalize(stmts->slots[i].stmt);
			stmts->slots[i].stmt = NULL;
		}
}

void stmts_free(struct stmts *stmts) {
	if (!stmts)
		return;
	stmts_clear(stmts);
	free(stmts);
}

static uint32_t hash(const char *text) {
	uint32_t h = 2166136261u;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

sqlite3_stmt *stmts_take(struct stmts *stmts, const char *sql) {
	struct slot *slot = &stmts->slots[hash(sql) % SLOTS];
	sqlite3_stmt *stmt = NULL;
	if (slot->stmt && !slot->busy && strcmp(sqlite3_sql(slot->stmt), sql) == 0) {
		slot->busy = true;
		return slot->stmt;
	}
	if (sqlite3_prepare_v3(stmts->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK || !stmt)
		return NULL;
	if (!slot->busy) {
		sqlite3_finalize(slot->stmt);
		*slot = (struct slot){ .stmt = stmt, .busy = true };
	}
	return stmt;
}

void stmts_put(struct stmts *stmts, sqlite3_stmt *stmt) {
	if (!stmt)
		return;
	struct slot *slot = &stmts->slots[hash(sqlite3_sql(stmt)) % SLOTS];
	if (slot->stmt != stmt) {
		sqlite3_finalize(stmt);
		return;
	}
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	slot->busy = false;
}
