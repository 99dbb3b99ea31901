/* Logins in m_login with SHA-256 over salt and password, enough for a stand-in; first contents of databases. */
#include "ecosystem/sandbox/sql/logins.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SALT 16
#define HASH 32

static int hash(const uint8_t *salt, const char *password, uint8_t *out) {
	char text[SALT + 256];
	size_t len = strlen(password);
	if (len > 256)
		return -1;
	memcpy(text, salt, SALT);
	memcpy(text + SALT, password, len);
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, SALT + len, out) == 0 ? 0 : -1;
}

int logins_set(sqlite3 *db, const char *name, const char *password, const char *default_database, bool admin, const char *now) {
	uint8_t salt[SALT], digest[HASH];
	sqlite3_stmt *stmt = NULL;
	if (gnutls_rnd(GNUTLS_RND_NONCE, salt, sizeof salt) != 0 || hash(salt, password, digest) < 0)
		return SQLITE_ERROR;
	int rc = sqlite3_prepare_v2(db, "INSERT INTO m_login(name, salt, hash, default_db, admin, disabled, created) "
				    "VALUES(?1, ?2, ?3, coalesce(?4, 'master'), ?5, 0, ?6) ON CONFLICT(name) DO UPDATE SET salt = excluded.salt, "
				    "hash = excluded.hash, default_db = coalesce(?4, default_db), admin = max(admin, excluded.admin)", -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 2, salt, sizeof salt, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 3, digest, sizeof digest, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, default_database, -1, SQLITE_STATIC);
		sqlite3_bind_int(stmt, 5, admin);
		sqlite3_bind_text(stmt, 6, now, -1, SQLITE_STATIC);
		rc = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int logins_check(sqlite3 *db, const char *name, const char *password, char *login, size_t login_size, char *database,
		 size_t database_size) {
	uint8_t digest[HASH];
	sqlite3_stmt *stmt = NULL;
	int rc = -1;
	sqlite3_prepare_v2(db, "SELECT salt, hash, name, default_db FROM m_login WHERE name = ?1 AND NOT disabled", -1, &stmt, NULL);
	if (stmt)
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == SALT && sqlite3_column_bytes(stmt, 1) == HASH &&
	    hash(sqlite3_column_blob(stmt, 0), password, digest) == 0 && memcmp(digest, sqlite3_column_blob(stmt, 1), HASH) == 0) {
		snprintf(login, login_size, "%s", (const char *)sqlite3_column_text(stmt, 2));
		snprintf(database, database_size, "%s", (const char *)sqlite3_column_text(stmt, 3));
		rc = 0;
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* --- what a database begins with --- */

static int run(sqlite3 *db, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	char *sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return rc;
}

int logins_new_database(sqlite3 *db, const char *name, const char *collation, const char *now) {
	static const struct {
		const char *name;
		int id;
	} roles[] = {
		{ "public", 0 },	      { "db_owner", 16384 },	     { "db_accessadmin", 16385 },    { "db_securityadmin", 16386 },
		{ "db_ddladmin", 16387 },     { "db_backupoperator", 16389 }, { "db_datareader", 16390 },     { "db_datawriter", 16391 },
		{ "db_denydatareader", 16392 }, { "db_denydatawriter", 16393 },
	};
	int rc = run(db, "INSERT INTO m_database(id, name, collation, compat, snapshot, state, single, created) "
			 "SELECT coalesce(max(id), 0) + 1, %Q, %Q, 150, 0, 0, 0, %Q FROM m_database;"
			 "INSERT INTO m_schema(db, name, number) SELECT d.id, s.column1, s.column2 FROM m_database d, "
			 "(VALUES('dbo', 1), ('guest', 2), ('INFORMATION_SCHEMA', 3), ('sys', 4)) s WHERE d.name = %Q;"
			 "INSERT INTO m_principal(db, id, name, type, login, schema) SELECT d.id, p.column1, p.column2, 'S', 0, p.column2 "
			 "FROM m_database d, (VALUES(1, 'dbo'), (2, 'guest')) p WHERE d.name = %Q;", name, collation, now, name, name);
	for (size_t i = 0; i < sizeof roles / sizeof roles[0] && rc == SQLITE_OK; i++)
		rc = run(db, "INSERT INTO m_principal(db, id, name, type, login) SELECT id, %d, %Q, 'R', 0 FROM m_database WHERE name = %Q",
			 roles[i].id, roles[i].name, name);
	return rc;
}

static bool has_database(sqlite3 *db, const char *name) {
	sqlite3_stmt *stmt = NULL;
	sqlite3_prepare_v2(db, "SELECT 1 FROM m_database WHERE name = ?1", -1, &stmt, NULL);
	if (stmt)
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	bool found = stmt && sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return found;
}

int logins_prepare(sqlite3 *db, const char *user, const char *password, const char *collation, const char *now, struct err *err) {
	static const char *const system[] = { "master", "tempdb", "model", "msdb" };
	int rc = run(db, "BEGIN IMMEDIATE");
	for (size_t i = 0; i < sizeof system / sizeof system[0] && rc == SQLITE_OK; i++)
		if (!has_database(db, system[i]))
			rc = logins_new_database(db, system[i], collation, now);
	if (rc == SQLITE_OK)
		rc = logins_set(db, user, password, NULL, true, now);
	if (rc == SQLITE_OK)
		rc = run(db, "COMMIT");
	return rc == SQLITE_OK ? 0 : err_set(err, ERR_PERM, "SQLITE", "catalogue: %s", sqlite3_errmsg(db));
}
