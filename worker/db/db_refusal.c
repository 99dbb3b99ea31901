/* Why a login was refused its database (4060 says nothing about it): looked up over a login to master, for people. */
#include <stdio.h>
#include <string.h>
#include "worker/db/db_internal.h"

#define REFUSED 4060

struct reason {
	char state[61], access[61];
	bool found;
};

static int take_reason(void *arg, const struct db_row *row, struct err *err)
{
	struct reason *r = arg;

	r->found = true;
	if (db_row_copy(row, 0, r->state, sizeof(r->state), err) != 0)
		return -1;
	return db_row_copy(row, 1, r->access, sizeof(r->access), err);
}

static const char *words(const struct reason *r)
{
	if (!r->found)
		return "there is no such database, or this login may not see it";
	if (strcmp(r->state, "ONLINE") != 0)
		return NULL;
	if (strcmp(r->access, "SINGLE_USER") == 0)
		return "it is in SINGLE_USER mode and somebody else is in it";
	if (strcmp(r->access, "RESTRICTED_USER") == 0)
		return "it is in RESTRICTED_USER mode";
	return "it is ONLINE, so the login has no user in it";
}

void db_refusal_explain(const struct db_config *config, struct err *err)
{
	struct db_config master = *config;
	struct db_param name = db_param_text("@name", config->database);
	struct reason reason = { .found = false };
	struct db_statement read = {
		.label = "state",
		.sql = "SELECT state_desc, user_access_desc FROM sys.databases WHERE name = @name",
		.params = &name,
		.count = 1,
		.row = take_reason,
		.arg = &reason,
	};
	struct err ignored = ERR_INIT;
	struct db *db;
	const char *why;

	if (err->number != REFUSED || strcmp(config->database, "master") == 0)
		return;
	master.database = "master";
	db = db_open(&master, &ignored);
	if (!db)
		return;
	if (db_query(db, &read, NULL, &ignored) == 0) {
		why = words(&reason);
		err_context(err, "database %.100s: %s%.60s", config->database, why ? why : "it is ", why ? "" : reason.state);
	}
	db_close(db);
}
