/* Item results of a run: a batch is one change, so it is stored whole or not at all. */
#include <string.h>

#include "worker/store/journal_inner.h"

struct batch {
	const char *run_id;
	const struct item_record *items;
	size_t count;
};

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

/* The run's number when it exists, and the highest n of its items. 1 known, 0 unknown, -1. */
static int
find_run(struct lite *lite, const char *run_id, int64_t *number, int64_t *last, struct err *err)
{
	static const char select[] = "SELECT (SELECT coalesce(max(n), 0) FROM items WHERE run = ?1) FROM runs"
	                             " WHERE n = ?1 AND job = ?2 AND shop = ?3";
	char job[JOB_ID_MAX];
	int64_t shop;

	if (!run_id_split(run_id, job, &shop, number))
		return 0;
	sqlite3_stmt *statement = lite_use(lite, select, err);
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, *number);
	lite_bind_text(statement, 2, job);
	sqlite3_bind_int64(statement, 3, shop);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		*last = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	return status;
}

static int
insert_item(struct lite *lite, int64_t run, int64_t n, const struct item_record *item, struct err *err)
{
	static const char insert[] =
	    "INSERT INTO items(run, n, sku, sku_id, goods_id, from_value, to_value, outcome, reason, code, request_id, text, detail)"
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	sqlite3_stmt *statement = lite_use(lite, insert, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	sqlite3_bind_int64(statement, 2, n);
	lite_bind_text(statement, 3, or_empty(item->sku));
	sqlite3_bind_int64(statement, 4, item->sku_id);
	sqlite3_bind_int64(statement, 5, item->goods_id);
	if (item->has_from)
		sqlite3_bind_int64(statement, 6, item->from);
	if (item->has_to)
		sqlite3_bind_int64(statement, 7, item->to);
	lite_bind_text(statement, 8, item_outcome_name(item->outcome));
	lite_bind_text(statement, 9, or_empty(item->reason));
	lite_bind_text(statement, 10, or_empty(item->code));
	lite_bind_text(statement, 11, or_empty(item->request_id));
	lite_bind_text(statement, 12, or_empty(item->text));
	lite_bind_text(statement, 13, item->detail);
	return lite_run(lite, statement, err);
}

/* 1 judged, 0 there is no such row, -1. */
static int
judge_item(struct lite *lite, int64_t run, const struct item_record *item, struct err *err)
{
	static const char update[] =
	    "UPDATE items SET outcome = ?3, code = ?4, request_id = ?5, text = ?6,"
	    " from_value = CASE WHEN ?8 IS NULL THEN from_value ELSE ?7 END, to_value = coalesce(?8, to_value),"
	    " reason = coalesce(nullif(?9, ''), reason), detail = coalesce(?10, detail) WHERE run = ?1 AND n ="
	    " (SELECT max(n) FROM items WHERE run = ?1 AND sku_id = ?2 AND sku_id <> 0)";
	sqlite3_stmt *statement = lite_use(lite, update, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	sqlite3_bind_int64(statement, 2, item->sku_id);
	lite_bind_text(statement, 3, item_outcome_name(item->outcome));
	lite_bind_text(statement, 4, or_empty(item->code));
	lite_bind_text(statement, 5, or_empty(item->request_id));
	lite_bind_text(statement, 6, or_empty(item->text));
	if (item->has_to && item->has_from)
		sqlite3_bind_int64(statement, 7, item->from);
	if (item->has_to)
		sqlite3_bind_int64(statement, 8, item->to);
	lite_bind_text(statement, 9, or_empty(item->reason));
	lite_bind_text(statement, 10, item->detail);
	if (lite_run(lite, statement, err) != 0)
		return -1;
	return sqlite3_changes(lite->db) > 0;
}

static int
apply(struct journal *journal, struct change *change, bool judging, struct err *err)
{
	const struct batch *batch = change->data;
	struct lite *lite = &journal->writer;
	int64_t run, last;
	int status = find_run(lite, batch->run_id, &run, &last, err);

	if (status == 0)
		err_set(&change->err, ERR_PERM, "JOURNAL_RUN", "items of run \"%.*s\", which is not in the journal", RUN_ID_MAX, batch->run_id);
	if (status != 1)
		return status == 0 ? 1 : -1;
	for (size_t i = 0; i < batch->count; i++) {
		int known = judging ? judge_item(lite, run, &batch->items[i], err) : 0;
		if (known < 0 || (known == 0 && insert_item(lite, run, ++last, &batch->items[i], err) != 0))
			return -1;
	}
	return 0;
}

static int
apply_add(struct journal *journal, struct change *change, struct err *err)
{
	return apply(journal, change, false, err);
}

static int
apply_judge(struct journal *journal, struct change *change, struct err *err)
{
	return apply(journal, change, true, err);
}

int
journal_items_add(struct journal *journal, const char *run_id, const struct item_record *items, size_t count, struct err *err)
{
	struct batch batch = { .run_id = run_id, .items = items, .count = count };
	struct change change = { .apply = apply_add, .data = &batch, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

int
journal_items_judge(struct journal *journal, const char *run_id, const struct item_record *items, size_t count, struct err *err)
{
	struct batch batch = { .run_id = run_id, .items = items, .count = count };
	struct change change = { .apply = apply_judge, .data = &batch, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

static void
read_row(sqlite3_stmt *statement, struct item_record *item)
{
	*item = (struct item_record){
		.n = sqlite3_column_int64(statement, 0),
		.sku = lite_text(statement, 1),
		.sku_id = sqlite3_column_int64(statement, 2),
		.goods_id = sqlite3_column_int64(statement, 3),
		.has_from = sqlite3_column_type(statement, 4) != SQLITE_NULL,
		.has_to = sqlite3_column_type(statement, 5) != SQLITE_NULL,
		.from = sqlite3_column_int64(statement, 4),
		.to = sqlite3_column_int64(statement, 5),
		.reason = lite_text(statement, 7),
		.code = lite_text(statement, 8),
		.request_id = lite_text(statement, 9),
		.text = lite_text(statement, 10),
		.detail = sqlite3_column_type(statement, 11) == SQLITE_NULL ? NULL : lite_text(statement, 11),
	};
	if (item_outcome_parse(lite_text(statement, 6), &item->outcome) != 0)
		item->outcome = ITEM_UNKNOWN;
}

int
journal_items_list(struct journal *journal, const char *run_id, int outcome, int64_t after, int64_t limit,
                   bool (*each)(const struct item_record *item, void *arg), void *arg, struct err *err)
{
	static const char select[] =
	    "SELECT n, sku, sku_id, goods_id, from_value, to_value, outcome, reason, code, request_id, text, detail FROM items"
	    " WHERE run = ?1 AND n > ?2 AND (?3 IS NULL OR outcome = ?3) ORDER BY n LIMIT ?4";
	int64_t run, last;
	int status;

	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	status = find_run(reader, run_id, &run, &last, err);
	sqlite3_stmt *statement = status == 1 ? lite_use(reader, select, err) : NULL;
	if (status == 1 && !statement)
		status = -1;
	if (statement) {
		sqlite3_bind_int64(statement, 1, run);
		sqlite3_bind_int64(statement, 2, after);
		if (outcome >= 0)
			lite_bind_text(statement, 3, item_outcome_name((enum item_outcome)outcome));
		sqlite3_bind_int64(statement, 4, limit > 0 ? limit : -1);
	}
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		struct item_record item;
		read_row(statement, &item);
		if (each(&item, arg))
			continue;
		lite_done(statement);
		status = 0;
	}
	reader_put(journal, reader);
	return status;
}
