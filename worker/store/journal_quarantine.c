/* The quarantine: what TEMU refused for good, how often in a row, and when it is tried again. Which refusal is one for good, and what an
 * entry means for a plan, is decided elsewhere. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "worker/store/journal_inner.h"

#define COLUMNS "sku_id, goods_id, sku, code, text, request_id, refusals, first_ms, last_ms, since_ms, next_ms"

static_assert(QUARANTINE_AFTER > 1, "the first refusal never is the last");

/* --- the counts in memory --- */

static void
remember(struct journal *journal, int64_t shop, int64_t count)
{
	size_t i = 0;

	pthread_mutex_lock(&journal->gate_lock);
	while (i < journal->quarantine_count && journal->quarantines[i].shop != shop)
		i++;
	if (i == journal->quarantine_count) {
		struct quarantine_entry *grown = realloc(journal->quarantines, (i + 1) * sizeof(*grown));
		if (grown) { /* without memory the count stays what an unknown one is: 0 */
			journal->quarantines = grown;
			journal->quarantine_count++;
		}
	}
	if (i < journal->quarantine_count)
		journal->quarantines[i] = (struct quarantine_entry){ .shop = shop, .count = count };
	pthread_mutex_unlock(&journal->gate_lock);
}

int64_t
journal_quarantine_count(struct journal *journal, int64_t shop)
{
	int64_t count = 0;

	pthread_mutex_lock(&journal->gate_lock);
	for (size_t i = 0; i < journal->quarantine_count; i++)
		if (journal->quarantines[i].shop == shop)
			count = journal->quarantines[i].count;
	pthread_mutex_unlock(&journal->gate_lock);
	return count;
}

int
quarantine_load(struct journal *journal, struct err *err)
{
	static const char select[] = "SELECT shop, count(*) FROM quarantine WHERE since_ms > 0 GROUP BY shop";
	sqlite3_stmt *statement = lite_use(&journal->writer, select, err);
	int status = statement ? 1 : -1;

	while (status == 1 && (status = lite_step(&journal->writer, statement, err)) == 1)
		remember(journal, sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1));
	return status;
}

/* One number about the rows of a shop. */
static int
number_of(struct lite *lite, const char *select, int64_t shop, int64_t *out, struct err *err)
{
	sqlite3_stmt *statement = lite_use(lite, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, shop);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		*out = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

static int
count_in(struct lite *lite, int64_t shop, int64_t *count, struct err *err)
{
	static const char select[] = "SELECT count(*) FROM quarantine WHERE shop = ? AND since_ms > 0";

	return number_of(lite, select, shop, count, err);
}

/* --- judging --- */

struct judgement {
	int64_t shop;
	const char *run;
	const struct quarantine_verdict *verdicts;
	size_t count;
	int64_t in, untold; /* once stored: entries of the shop, and those nobody was told of */
};

static void
bind_cut(sqlite3_stmt *statement, int at, const char *text)
{
	const char *given = text ? text : "";

	sqlite3_bind_text(statement, at, given, (int)utf8_cut(given, strlen(given), QUARANTINE_TEXT_MAX), SQLITE_STATIC);
}

static int
store_refusal(struct lite *lite, const struct judgement *judgement, const struct quarantine_verdict *verdict, int64_t now,
              struct err *err)
{
	/* Right-hand sides see the row as it was: `new` is whether this run is another one than the last that counted. */
	static const char upsert[] =
	    "INSERT INTO quarantine(shop, sku_id, goods_id, sku, code, text, request_id, run, refusals, first_ms, last_ms, since_ms,"
	    " next_ms, told) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9, 0, 0, 0)"
	    " ON CONFLICT(shop, sku_id) DO UPDATE SET goods_id = ?3, sku = ?4, code = ?5, text = ?6, request_id = ?7, run = ?8,"
	    " last_ms = ?9, refusals = refusals + (run <> ?8),"
	    " since_ms = CASE WHEN since_ms = 0 AND refusals + (run <> ?8) >= ?10 THEN ?9 ELSE since_ms END,"
	    " next_ms = CASE WHEN run <> ?8 AND refusals + 1 >= ?10 THEN ?9 + ?11 ELSE next_ms END";
	sqlite3_stmt *statement = lite_use(lite, upsert, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, judgement->shop);
	sqlite3_bind_int64(statement, 2, verdict->sku_id);
	sqlite3_bind_int64(statement, 3, verdict->goods_id);
	bind_cut(statement, 4, verdict->sku);
	bind_cut(statement, 5, verdict->code);
	bind_cut(statement, 6, verdict->text);
	bind_cut(statement, 7, verdict->request_id);
	lite_bind_text(statement, 8, judgement->run);
	sqlite3_bind_int64(statement, 9, now);
	sqlite3_bind_int64(statement, 10, QUARANTINE_AFTER);
	sqlite3_bind_int64(statement, 11, QUARANTINE_RETRY_MS);
	return lite_run(lite, statement, err);
}

static int
forget(struct lite *lite, int64_t shop, int64_t sku_id, struct err *err)
{
	static const char erase[] = "DELETE FROM quarantine WHERE shop = ? AND sku_id = ?";
	sqlite3_stmt *statement = lite_use(lite, erase, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, shop);
	sqlite3_bind_int64(statement, 2, sku_id);
	return lite_run(lite, statement, err);
}

static int
apply_judge(struct journal *journal, struct change *change, struct err *err)
{
	static const char select_any[] = "SELECT EXISTS(SELECT 1 FROM quarantine WHERE shop = ?)";
	static const char select_untold[] = "SELECT count(*) FROM quarantine WHERE shop = ? AND since_ms > 0 AND told = 0";
	struct judgement *judgement = change->data;
	struct lite *lite = &journal->writer;
	int64_t now = clock_now_ms(), any = 0;

	if (number_of(lite, select_any, judgement->shop, &any, err) != 0)
		return -1;
	for (size_t i = 0; i < judgement->count; i++) {
		const struct quarantine_verdict *verdict = &judgement->verdicts[i];
		int status = 0;
		if (verdict->refused)
			status = store_refusal(lite, judgement, verdict, now, err);
		else if (any)
			status = forget(lite, judgement->shop, verdict->sku_id, err);
		if (status != 0)
			return -1;
		any = any || verdict->refused;
	}
	return count_in(lite, judgement->shop, &judgement->in, err) != 0 ||
	               number_of(lite, select_untold, judgement->shop, &judgement->untold, err) != 0
	           ? -1
	           : 0;
}

static void
after_judge(struct journal *journal, struct change *change)
{
	const struct judgement *judgement = change->data;

	remember(journal, judgement->shop, judgement->in);
}

/* --- reading --- */

static void
read_row(sqlite3_stmt *statement, int64_t shop, struct quarantine_record *record)
{
	*record = (struct quarantine_record){
		.shop = shop,
		.sku_id = sqlite3_column_int64(statement, 0),
		.goods_id = sqlite3_column_int64(statement, 1),
		.sku = lite_text(statement, 2),
		.code = lite_text(statement, 3),
		.text = lite_text(statement, 4),
		.request_id = lite_text(statement, 5),
		.refusals = sqlite3_column_int64(statement, 6),
		.first_ms = sqlite3_column_int64(statement, 7),
		.last_ms = sqlite3_column_int64(statement, 8),
		.since_ms = sqlite3_column_int64(statement, 9),
		.next_ms = sqlite3_column_int64(statement, 10),
	};
}

/* The rows of a shop that `select` finds; its parameters: shop, after, all, limit. */
static int
each_row(struct journal *journal, const char *select, int64_t shop, const int64_t more[3],
         bool (*each)(const struct quarantine_record *record, void *arg), void *arg, struct err *err)
{
	struct lite *reader = reader_take(journal, err);
	struct quarantine_record record;

	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	int status = statement ? 1 : -1;
	if (statement) {
		sqlite3_bind_int64(statement, 1, shop);
		for (int i = 0; i < 3; i++)
			sqlite3_bind_int64(statement, i + 2, more[i]);
	}
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		read_row(statement, shop, &record);
		if (each(&record, arg))
			continue;
		lite_done(statement);
		status = 0;
	}
	reader_put(journal, reader);
	return status;
}

int
journal_quarantine_list(struct journal *journal, int64_t shop, bool all, int64_t after, int64_t limit,
                        bool (*each)(const struct quarantine_record *record, void *arg), void *arg, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ?1 AND sku_id > ?2 AND (?3 OR since_ms > 0)"
	                             " ORDER BY sku_id LIMIT ?4";

	return each_row(journal, select, shop, (const int64_t[]){ after, all, limit > 0 ? limit : -1 }, each, arg, err);
}

/* --- telling of those that came in --- */

struct telling {
	void (*entered)(const struct quarantine_record *record, void *arg);
	void *arg;
	int64_t shop;
	int64_t *told;
	size_t count, cap;
};

static bool
tell_one(const struct quarantine_record *record, void *arg)
{
	struct telling *telling = arg;

	if (telling->count == telling->cap)
		return false; /* came in meanwhile: the next judgement tells */
	telling->told[telling->count++] = record->sku_id;
	telling->entered(record, telling->arg);
	return true;
}

static int
apply_told(struct journal *journal, struct change *change, struct err *err)
{
	static const char update[] = "UPDATE quarantine SET told = 1 WHERE shop = ? AND sku_id = ? AND since_ms > 0";
	const struct telling *telling = change->data;
	sqlite3_stmt *statement = lite_use(&journal->writer, update, err);

	for (size_t i = 0; statement && i < telling->count; i++) {
		sqlite3_bind_int64(statement, 1, telling->shop);
		sqlite3_bind_int64(statement, 2, telling->told[i]);
		if (lite_run(&journal->writer, statement, err) != 0)
			return -1;
	}
	return statement ? 0 : -1;
}

static int
tell(struct journal *journal, struct telling *telling, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ?1 AND sku_id > ?2 AND since_ms > 0 AND told = ?3"
	                             " ORDER BY sku_id LIMIT ?4";
	struct change change = { .apply = apply_told, .data = telling, .err = ERR_INIT };

	telling->told = calloc(telling->cap, sizeof(*telling->told));
	if (!telling->told)
		return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for %zu entries of the quarantine", telling->cap);
	int status = each_row(journal, select, telling->shop, (const int64_t[]){ 0, 0, -1 }, tell_one, telling, err);
	if (status == 0)
		status = writer_change(journal, &change, err);
	free(telling->told);
	return status;
}

int
journal_quarantine_judge(struct journal *journal, int64_t shop, const char *run, const struct quarantine_verdict *verdicts,
                         size_t count, void (*entered)(const struct quarantine_record *record, void *arg), void *arg,
                         struct err *err)
{
	struct judgement judgement = { .shop = shop, .run = run, .verdicts = verdicts, .count = count };
	struct change change = { .apply = apply_judge, .committed = after_judge, .data = &judgement, .err = ERR_INIT };
	struct telling telling = { .entered = entered, .arg = arg, .shop = shop };

	if (writer_change(journal, &change, err) != 0)
		return -1;
	telling.cap = (size_t)judgement.untold;
	return entered && judgement.untold > 0 ? tell(journal, &telling, err) : 0;
}

/* --- by hand --- */

struct release {
	int64_t shop, sku_id, in;
	const char *who;
	bool found;
	char text[LOG_TEXT_MAX];
};

/* 1 it is in there, and the event's text says what it was; 0; -1. */
static int
describe(struct lite *lite, struct release *release, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ? AND sku_id = ? AND since_ms > 0";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	struct quarantine_record record;

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, release->shop);
	sqlite3_bind_int64(statement, 2, release->sku_id);
	int status = lite_step(lite, statement, err);
	if (status != 1)
		return status;
	read_row(statement, release->shop, &record);
	snprintf(release->text, sizeof(release->text), "SKU %lld (%.200s) is out of quarantine by hand%s%.400s; refused %lld times: %.40s %.900s",
	         (long long)record.sku_id, record.sku, release->who[0] ? ", by " : "", release->who, (long long)record.refusals,
	         record.code, record.text);
	lite_done(statement);
	return 1;
}

static int
apply_free(struct journal *journal, struct change *change, struct err *err)
{
	struct release *release = change->data;
	struct lite *lite = &journal->writer;
	int status = describe(lite, release, err);
	struct event event = { .time_ms = clock_now_ms(), .shop = release->shop, .kind = proto_event_name(EVENT_LOG),
		                   .level = LEVEL_WARNING, .run = "", .job = "", .step = "", .text = release->text };

	release->found = status == 1;
	if (status == 1 && (forget(lite, release->shop, release->sku_id, err) != 0 || writer_event(journal, &event, err) != 0))
		return -1;
	return status < 0 ? -1 : count_in(lite, release->shop, &release->in, err);
}

static void
after_free(struct journal *journal, struct change *change)
{
	const struct release *release = change->data;

	remember(journal, release->shop, release->in);
}

int
journal_quarantine_free(struct journal *journal, int64_t shop, int64_t sku_id, const char *who, struct err *err)
{
	struct release release = { .shop = shop, .sku_id = sku_id, .who = who ? who : "" };
	struct change change = { .apply = apply_free, .committed = after_free, .data = &release, .err = ERR_INIT };

	if (writer_change(journal, &change, err) != 0)
		return -1;
	return release.found;
}
