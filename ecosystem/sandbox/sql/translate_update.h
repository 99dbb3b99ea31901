/* translate_update: what UPDATE and DELETE share: the target among the FROM sources, rows kept in temp.m_update<width>. */
#ifndef SANDBOX_SQL_TRANSLATE_UPDATE_H
#define SANDBOX_SQL_TRANSLATE_UPDATE_H

#include "ecosystem/sandbox/sql/translate_internal.h"

/* The interpreter makes temp.m_update16, temp.m_update64 and temp.m_update512: rid INTEGER PRIMARY KEY, v1.. */
#define TR_KEPT_MAX 512

struct tr_target {
	const struct object *object;
	struct tr_source *source;
	const char *from;  /* text after FROM, the target in it */
	const char *where; /* NULL = none */
};

struct tr_kept {
	const char *sql[TR_KEPT_MAX];
	int count;
};

/* Pushes the statement's scope. */
int tr_target(struct tr *tr, const struct stmt *s, struct tr_target *t) MUSTCHECK;
struct tr_source *tr_rows_of(struct tr *tr, const struct object *o, const char *exposed, const char *prefix);
/* "u.v<i>" for an expression over the FROM sources. */
const char *tr_keep(struct tr *tr, struct tr_kept *kept, const char *sql);
const char *tr_kept_table(struct tr *tr, const struct tr_kept *kept);
void tr_keep_sources(struct tr *tr, struct tr_kept *kept, const struct tr_source *but);
void tr_fill_kept(struct tr *tr, const struct stmt *s, const struct tr_target *t, const struct tr_kept *kept);

#endif
