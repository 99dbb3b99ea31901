/* tds_rpc: remote procedure calls as plain data: procedure, parameters, and the declarations of sp_executesql.
 * Untrusted input. One call a message: batches of several calls are refused. */
#ifndef SANDBOX_SQL_TDS_RPC_H
#define SANDBOX_SQL_TDS_RPC_H

#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_bytes.h"
#include "ecosystem/sandbox/sql/tds_collation.h"

#define TDS_PARAMS_MAX 2100
#define TDS_NAME_MAX 400

enum tds_proc {
	TDS_PROC_NAMED = 0,
	TDS_SP_EXECUTESQL = 10,
	TDS_SP_PREPARE = 11,
	TDS_SP_EXECUTE = 12,
	TDS_SP_PREPEXEC = 13,
	TDS_SP_UNPREPARE = 15,
};

struct tds_rpc {
	int proc;                /* enum tds_proc, or another number the caller refuses */
	char name[TDS_NAME_MAX]; /* when called by name (sp_executesql and its kin by name become their number too) */
	struct sql_param *params;
	char **data;  /* what params[i].value points into */
	bool *output; /* passed by reference */
	int count;
};

/* Skips ALL_HEADERS in front of batches and calls. */
int tds_skip_headers(struct tds_reader *r, struct err *err) MUSTCHECK;

/* The caller releases in every case. err->number as SQL Server's (8009, 8003...). */
int tds_rpc_decode(struct tds_rpc *rpc, struct tds_reader *r, const struct tds_collation *server,
                   struct err *err) MUSTCHECK;
void tds_rpc_release(struct tds_rpc *rpc);

/* "@P1 varchar(10), @P2 int OUTPUT": the declared names and types into malloc'ed *defs (NULL when empty); known = the
 * type is one of engine.h's. Returns their number, -1 when the text is no such list or has more than TDS_PARAMS_MAX. */
struct tds_def {
	char name[129];
	struct sql_column column;
	bool known, output;
};
int tds_defs_parse(const char *text, struct tds_def **defs) MUSTCHECK;

/* Gives the values from `first` on their declared names and types, so that params[first..] are ready for the engine. A
 * value keeps its own type where the declared one is of another family. -1 with 8178 (missing), 8144 (too many), 102
 * (bad declarations). */
int tds_rpc_bind(struct tds_rpc *rpc, int first, const char *defs, struct err *err) MUSTCHECK;

#endif
