/* openjson: OPENJSON as the SQLite table t_openjson(json, path, spec). */
#ifndef SANDBOX_SQL_OPENJSON_H
#define SANDBOX_SQL_OPENJSON_H

#include <sqlite3.h>
#include "common/err.h"

/* SQLite result code. */
int openjson_register(sqlite3 *db) MUSTCHECK;

#endif
