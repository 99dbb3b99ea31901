/* exec: the session and what the interpreter's files (exec_*.c, ddl*.c, procs*.c, tran.c, session_functions.c) share.
 * A session belongs to the thread that runs its batch (session.busy is held meanwhile). */
#ifndef SANDBOX_SQL_EXEC_H
#define SANDBOX_SQL_EXEC_H

#include <pthread.h>
#include <stdatomic.h>
#include "common/buf.h"
#include "ecosystem/sandbox/sql/catalog.h"
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/functions.h"
#include "ecosystem/sandbox/sql/locks.h"
#include "ecosystem/sandbox/sql/stmts.h"
#include "ecosystem/sandbox/sql/translate.h"

#define SESSIONS_MAX 1000
#define NEST_MAX 32
#define SAVEPOINTS_MAX 64
#define PARAMETERS_MAX 2100
#define TOUCHED_MAX 64
#define TEMPORARY_INDEXES 16

struct counter {
	int64_t object, last;
	bool used; /* false: no value was given yet */
};

struct engine {
	char file[4096];
	char collation[129];
	struct locks *locks;
	pthread_mutex_t mutex; /* sessions, counters */
	struct session *sessions[SESSIONS_MAX];
	struct counter *counters; /* identity values; object 0 = rowversion */
	int counter_count, counter_cap;
	char started[32];
	_Atomic int64_t versions; /* of the catalogue: the last number given out */
};

struct variable {
	const char *name;
	struct xtype type;
	int slot;
	sqlite3_value *value; /* NULL = NULL */
	bool output;
};

/* What ERROR_NUMBER() and its kin see in a CATCH block. */
struct caught {
	struct sqlerror error;
	char procedure[129];
	struct caught *outer;
};

/* A TRY block that runs. */
struct try_mark {
	const struct frame *frame;
	struct try_mark *outer;
};

/* One batch, procedure, trigger or EXEC text that runs. */
struct frame {
	struct frame *parent;
	struct arena arena;
	const char *procedure; /* NULL = a batch */
	int64_t object;	       /* of the procedure or trigger */
	struct variable *variables;
	int variable_count, variable_cap;
	int64_t scope_identity;
	bool has_scope_identity;
	int return_value, entry_trancount, nest;
	bool trigger;
	int database; /* to go back to */
};

/* How a statement ended. */
enum flow {
	FLOW_NEXT,
	FLOW_FAILED, /* an error was reported, the next statement runs */
	FLOW_BREAK,
	FLOW_CONTINUE,
	FLOW_RETURN,
	FLOW_ERROR, /* session.error is on its way to a CATCH, or out of the scope */
	FLOW_GONE,  /* sink gone or session killed: the connection ends */
};

/* How far an error goes when nobody catches it. */
enum reach { REACH_STATEMENT, REACH_SCOPE, REACH_BATCH };

struct options {
	bool nocount, xact_abort, implicit_transactions, noexec, parseonly, fmtonly;
	bool ansi_nulls, ansi_padding, ansi_warnings, arithabort, concat_null, quoted_identifier, numeric_roundabort;
	int lock_timeout, deadlock_priority, textsize;
	int64_t rowcount;
	char isolation; /* U, C, R, S(erializable), N (snapshot) */
	char language[64];
	int64_t identity_insert; /* object, 0 = none */
};

struct session {
	struct engine *engine;
	int id;
	sqlite3 *db;
	struct stmts *stmts;
	struct catalog *catalog;
	struct functions functions;
	char login[129], application[129], host[129];
	char login_time[32];
	pthread_mutex_t busy; /* held while a batch runs */
	atomic_bool killed;
	struct options options;

	/* transaction (tran.c) */
	int trancount;
	bool doomed, in_sqlite;
	struct savepoint {
		char name[33];
		int id; /* of the SQLite savepoint, 0 = nothing was written before it */
	} savepoints[SAVEPOINTS_MAX];
	int savepoint_count, savepoint_id;
	int write_depth; /* statements that write, nested by triggers and INSERT ... EXEC */

	/* running batch */
	const struct sink *sink;
	struct frame *frame;
	struct sqlerror error; /* FLOW_ERROR: the one that is on its way; number 0 = the client knows it */
	char error_procedure[129];
	enum reach reach;
	const struct frame *skip; /* TRY blocks of this frame do not catch it (names found missing at run time) */
	struct try_mark *tries;
	struct caught *caught;
	int64_t rowcount;
	int last_error; /* @@ERROR */
	int64_t identity;
	bool has_identity, has_batch_identity;
	int64_t batch_identity;
	int64_t touched[TOUCHED_MAX]; /* counters that the statement moved */
	int touched_count;
	struct insert_exec *insert_exec; /* INSERT ... EXEC is collecting result sets */
	int trigger_depth;
	int64_t temporary_id;	/* counts down: ids of temporary objects */
	int command;		/* of the statement that runs, 195, 196, 197: for 547 */
	int64_t command_target; /* object_id of the table it writes */
	int64_t last_poll;	/* exec_cancelled */
	bool gone;
	_Atomic int64_t batches;
	atomic_bool running;
	atomic_int database_shown; /* id of the current database for other threads */
	atomic_int trancount_shown;
	_Atomic uint64_t using;  /* bit of id % 64: databases besides the current one that the batch or transaction is in */
	atomic_int holds_single; /* id of a database that this session set to SINGLE_USER, wherever it is now; 0 = none */
	void (*on_kill)(void *arg);
	void *on_kill_arg;
};

/* --- engine.c --- */

/* Ends another session: its transaction is rolled back at once, its next statement finds it closed. -1: no such session. */
int engine_kill(struct engine *engine, int id) MUSTCHECK;
/* Is another session in the database, or does it hold it as its single user? */
bool engine_single_user_taken(struct engine *engine, int database, const struct session *but);
/* All that are in it, also by a name in three parts. How many. */
int engine_kill_database(struct engine *engine, int database, const struct session *but);
/* -1 with 916, 923 (restricted) or 924 (single-user, and somebody else is the one). The state is catalog_opens()'s. */
int session_may_enter(struct session *s, const struct database *database, int line, struct sqlerror *error) MUSTCHECK;
/* Calls back for each session; other sessions' fields that change are read without their lock: only the atomic ones. */
void engine_each_session(struct engine *engine, void (*each)(void *arg, struct session *other), void *arg);
/* The current database of the session, its user's default schema with it. */
void session_set_database(struct session *s, const struct database *database);

/* --- exec.c --- */

/* Runs parsed statements in the current frame. */
enum flow exec_list(struct session *s, struct stmt *list);
enum flow exec_statement(struct session *s, struct stmt *stmt);
/* Parses and runs a text in a frame of its own; parameters are already its variables. compile errors are reported as errors. */
enum flow exec_text(struct session *s, struct frame *frame, const char *sql, size_t len);
void exec_frame_init(struct session *s, struct frame *frame);
void exec_frame_release(struct session *s, struct frame *frame);
/* Names and types known before anything runs (137, 207, ...): -1 with the error. */
int exec_compile(struct session *s, struct stmt *list, struct sqlerror *error) MUSTCHECK;

/* --- exec_error.c --- */

/* Raises session error `error` as the way a statement ends: to the CATCH, or to the client, by its number and XACT_ABORT. */
enum flow exec_fail(struct session *s, const struct sqlerror *error);
/* The same for errors in the text of a batch or procedure, which a TRY of its own frame does not catch. */
enum flow exec_fail_scope(struct session *s, const struct sqlerror *error);
enum flow exec_failf(struct session *s, int line, int number, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The SQLite error of the connection as SQL Server's. */
void exec_sqlite_error(struct session *s, int line, struct sqlerror *out);
void exec_info(struct session *s, int number, int severity, int state, int line, const char *text);
enum flow exec_raiserror(struct session *s, const struct stmt *stmt);
enum flow exec_throw(struct session *s, const struct stmt *stmt);
enum flow exec_print(struct session *s, const struct stmt *stmt);
enum flow exec_try(struct session *s, struct stmt *stmt);

/* --- exec_vars.c --- */

struct tr_host exec_host(struct session *s);
struct variable *exec_variable(struct frame *frame, const char *name);
/* A new one with NULL in it; the name is copied. */
struct variable *exec_variable_add(struct session *s, struct frame *frame, const char *name, const struct xtype *type);
void exec_variable_set(struct variable *v, sqlite3_value *value); /* takes the value over */
enum flow exec_declare(struct session *s, struct stmt *stmt);
enum flow exec_set_variable(struct session *s, struct stmt *stmt);
/* Value of an expression converted to `target` (NULL: as it is, type told in *type). Owned by the caller. */
enum flow exec_value(struct session *s, struct expr *expr, const struct xtype *target, struct xtype *type, sqlite3_value **out);
enum flow exec_condition(struct session *s, struct expr *expr, bool *out);
/* Text of an expression, or NULL for NULL; in the frame's arena. */
enum flow exec_string(struct session *s, struct expr *expr, const char **out);
/* Translates without running; kept in the expression. */
int exec_compile_value(struct session *s, struct expr *expr, const struct xtype *target, struct sqlerror *error) MUSTCHECK;
int exec_compile_condition(struct session *s, struct expr *expr, struct sqlerror *error) MUSTCHECK;
int exec_bind(struct session *s, sqlite3_stmt *stmt);
struct xtype exec_type(struct session *s, const struct type_spec *spec);

/* --- exec_query.c --- */

/* SELECT, INSERT, UPDATE, DELETE. */
enum flow exec_query(struct session *s, struct stmt *stmt);
int exec_translate(struct session *s, struct stmt *stmt, struct tr_result **out, struct sqlerror *error) MUSTCHECK;
/* Takes the locks of uses, checks permissions; before anything is read. */
enum flow exec_admit(struct session *s, const struct tr_result *r, int line);
/* Runs one SQLite text without rows. */
int exec_run(struct session *s, const char *sql, int line, struct sqlerror *error) MUSTCHECK;
int exec_runf(struct session *s, int line, struct sqlerror *error, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Catalogue texts with bound arguments: s = text, i = int64, n = NULL. */
int exec_sql(struct session *s, struct sqlerror *error, const char *sql, const char *kinds, ...) MUSTCHECK;
/* First column of the first row as int64; `none` when there is no row. */
int64_t exec_int(struct session *s, int64_t none, const char *sql, const char *kinds, ...);
/* A result set of one's own: types by sql_column, values as text (NULL = NULL). */
enum flow exec_columns(struct session *s, const struct sql_column *columns, int count);
enum flow exec_row(struct session *s, const char *const *values, int count);
enum flow exec_done(struct session *s, int64_t rows, int command, bool failed);
bool exec_cancelled(struct session *s);

/* --- exec_insert.c: INSERT ... EXEC --- */

enum flow exec_insert_exec(struct session *s, struct stmt *stmt);
enum flow insert_exec_columns(struct session *s, const struct sql_column *columns, int count);
enum flow insert_exec_values(struct session *s, const struct sql_value *values, int count);
enum flow insert_exec_row(struct session *s, sqlite3_stmt *stmt, int count);

/* --- exec_set.c --- */

enum flow exec_set_option(struct session *s, const struct stmt *stmt);
enum flow exec_use(struct session *s, const char *name, int line);
enum flow exec_kill(struct session *s, const struct stmt *stmt);
void options_init(struct options *o);
/* 1934 when the options are not those that indexed views, computed columns and filtered indexes ask for. */
int exec_check_options(
	struct session *s, const struct object *table, const char *verb, int line, struct sqlerror *error) MUSTCHECK;

/* --- tran.c --- */

enum flow tran_begin(struct session *s, const struct stmt *stmt);
enum flow tran_commit(struct session *s, const struct stmt *stmt);
enum flow tran_rollback_statement(struct session *s, const struct stmt *stmt);
enum flow tran_save(struct session *s, const struct stmt *stmt);
/* Rolls everything back and lets the locks go. */
void tran_rollback_all(struct session *s);
/* Before a statement writes: SQLite's transaction (durable: a table of a database, or a #table inside a transaction) and a
 * savepoint for the statement. tran_end_write() ends it; in autocommit it commits. */
int tran_begin_write(struct session *s, bool durable, int line, struct sqlerror *error) MUSTCHECK;
int tran_end_write(struct session *s, bool failed, int line, struct sqlerror *error);
/* IMPLICIT_TRANSACTIONS: the statement opens one. */
void tran_implicit(struct session *s);
/* End of a read: autocommit lets locks go. */
void tran_end_read(struct session *s);
/* Locks for a request list; reports 1222, 1205. FLOW_NEXT or how it ended. */
enum flow tran_lock(struct session *s, const struct lock_request *requests, int count, int line);

/* --- ddl.c, ddl_table.c, security.c --- */

enum flow ddl_execute(struct session *s, struct stmt *stmt);
/* A table from definitions; `temporary` = #t or @t. The result table for SELECT INTO too. NULL with the error. */
struct object *ddl_create_table(struct session *s, const struct stmt *stmt, struct sqlerror *error) MUSTCHECK;
/* "inserted" or "deleted" of a trigger: temporary, columns as the table's. */
struct object *ddl_capture_table(struct session *s, const struct object *table, struct sqlerror *error) MUSTCHECK;
void ddl_drop_capture(struct session *s, const struct object *capture);
enum flow security_execute(struct session *s, struct stmt *stmt);
/* 229 when the login may not do it. permission: S, I, U, D, E (execute) */
int security_check(struct session *s, const struct object *object, char permission, struct sqlerror *error) MUSTCHECK;
bool security_has(struct session *s, int database, int64_t object, int64_t schema, const char *permission);
bool security_is_admin(const struct session *s);
bool security_is_member(struct session *s, int database, const char *role);
/* The user of the login in the database ("dbo", "guest" ...); 0 or -1 = none. */
int security_user(struct session *s, int database, char *name, size_t size, int *id);

void security_default_schema(struct session *s, int database, char *out, size_t size);

/* --- procs.c --- */

enum flow procs_execute(struct session *s, const struct stmt *stmt);
enum flow procs_execute_text(struct session *s, const struct stmt *stmt);
/* Runs the AFTER triggers of the table for what the captures hold. */
enum flow procs_triggers(
	struct session *s, const struct object *table, char event, const struct object *inserted, const struct object *deleted);

/* --- session_functions.c --- */

int session_functions_register(struct session *s) MUSTCHECK;
/* Values of s_identity at the end of a statement go to the file. */
void counters_save(struct session *s);
int64_t counter_next(struct session *s, int64_t object);
int64_t counter_current(struct session *s, int64_t object, bool *used);
void counter_reset(struct session *s, int64_t object, bool used, int64_t last);

#endif
