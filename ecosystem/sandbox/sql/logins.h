/* logins: who may connect, with salted hashes, and what every new database begins with. Works on a bare SQLite connection. */
#ifndef SANDBOX_SQL_LOGINS_H
#define SANDBOX_SQL_LOGINS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"

/* master, tempdb, model, msdb and the administrator's login with this password (set anew at each start). */
int logins_prepare(sqlite3 *db, const char *user, const char *password, const char *collation, const char *now,
                   struct err *err) MUSTCHECK;
/* Rows of a new database with its schemas, roles, dbo and guest. SQLite result code. */
int logins_new_database(sqlite3 *db, const char *name, const char *collation, const char *now) MUSTCHECK;
/* Creates the login or sets its password. SQLite result code. */
int logins_set(sqlite3 *db, const char *name, const char *password, const char *default_database, bool admin,
               const char *now) MUSTCHECK;
/* -1: unknown, disabled or wrong password. login gets the name as it is stored. */
int logins_check(sqlite3 *db, const char *name, const char *password, char *login, size_t login_size, char *database,
                 size_t database_size) MUSTCHECK;

#endif
