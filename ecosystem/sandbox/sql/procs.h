/* procs: what procs.c (calling, triggers) and procs_system.c (sp_...) share. */
#ifndef SANDBOX_SQL_PROCS_H
#define SANDBOX_SQL_PROCS_H

#include "ecosystem/sandbox/sql/exec.h"

/* A call that is being prepared: arguments with their values. */
struct call_argument {
	const char *name; /* @x or NULL */
	sqlite3_value *value;
	struct xtype type;
	struct variable *output; /* the caller's variable, NULL = in only; looked up by name again when used */
	const char *output_name;
	bool is_default;
};

struct call {
	struct session *s;
	const struct stmt *stmt;
	struct call_argument *arguments;
	int count;
	int status;
};

/* Procedures of the server. False when there is none of that name. */
bool procs_system(struct call *call, const char *name, enum flow *flow);
/* Argument by name (without @) or position as text in the frame's arena, NULL when missing or NULL. */
const char *call_text(const struct call *call, const char *name, int position);
/* Writes an argument's variable. */
void call_output(const struct call *call, const char *name, int position, sqlite3_value *value);
enum flow procs_run_text(struct session *s, const char *sql, const char *parameters, const struct call *call, int first);

#endif
