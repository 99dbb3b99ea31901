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

/* Bytes of one entry in an alarm, so that all of them and the caller's text find room. */
#define NAMED_SKU_MAX 100
#define NAMED_TEXT_MAX 150

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
	int64_t in; /* entries of the shop once stored */
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
	return count_in(lite, judgement->shop, &judgement->in, err);
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

int
journal_quarantine_list(struct journal *journal, int64_t shop, bool all, int64_t after, int64_t limit,
                        bool (*each)(const struct quarantine_record *record, void *arg), void *arg, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ? AND sku_id > ? AND (? OR since_ms > 0)"
	                             " ORDER BY sku_id LIMIT ?";
	struct lite *reader = reader_take(journal, err);
	struct quarantine_record record;

	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	int status = statement ? 1 : -1;
	if (statement) {
		sqlite3_bind_int64(statement, 1, shop);
		sqlite3_bind_int64(statement, 2, after);
		sqlite3_bind_int64(statement, 3, all);
		sqlite3_bind_int64(statement, 4, limit > 0 ? limit : -1);
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
journal_quarantine_judge(struct journal *journal, int64_t shop, const char *run, const struct quarantine_verdict *verdicts,
                         size_t count, struct err *err)
{
	struct judgement judgement = { .shop = shop, .run = run, .verdicts = verdicts, .count = count };
	struct change change = { .apply = apply_judge, .committed = after_judge, .data = &judgement, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

/* --- telling of those that came in --- */

struct telling {
	const struct alarm_record *alarm;
	int64_t untold;
	struct buf names;
	char text[8192];
};

static int
cut_to(const char *text, size_t max)
{
	return (int)utf8_cut(text, strlen(text), max);
}

static int
count_untold(struct lite *lite, int64_t shop, int64_t *count, struct err *err)
{
	static const char select[] = "SELECT count(*) FROM quarantine WHERE shop = ? AND since_ms > 0 AND told = 0";

	return number_of(lite, select, shop, count, err);
}

static int
name_untold(struct lite *lite, struct telling *telling, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ? AND since_ms > 0 AND told = 0 ORDER BY sku_id LIMIT ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	struct quarantine_record record;
	int status = statement ? 1 : -1;

	buf_clear(&telling->names);
	if (statement) {
		sqlite3_bind_int64(statement, 1, telling->alarm->shop);
		sqlite3_bind_int64(statement, 2, QUARANTINE_NAMED);
	}
	while (status == 1 && (status = lite_step(lite, statement, err)) == 1) {
		read_row(statement, telling->alarm->shop, &record);
		buf_addf(&telling->names, "%s%lld \"%.*s\" (%.40s %.*s)", telling->names.len ? ", " : "", (long long)record.sku_id,
		         cut_to(record.sku, NAMED_SKU_MAX), record.sku, record.code, cut_to(record.text, NAMED_TEXT_MAX), record.text);
	}
	return status;
}

static int
mark_told(struct lite *lite, int64_t shop, struct err *err)
{
	static const char update[] = "UPDATE quarantine SET told = 1 WHERE shop = ? AND since_ms > 0 AND told = 0";
	sqlite3_stmt *statement = lite_use(lite, update, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, shop);
	return lite_run(lite, statement, err);
}

static int
apply_tell(struct journal *journal, struct change *change, struct err *err)
{
	struct telling *telling = change->data;
	const struct alarm_record *alarm = telling->alarm;
	struct alarm_record record = *alarm;
	struct lite *lite = &journal->writer;

	if (count_untold(lite, alarm->shop, &telling->untold, err) != 0)
		return -1;
	if (telling->untold == 0)
		return 0;
	if (name_untold(lite, telling, err) != 0)
		return -1;
	snprintf(telling->text, sizeof(telling->text), "%lld SKUs that TEMU refused %d times go into quarantine: %s%s. %s",
	         (long long)telling->untold, QUARANTINE_AFTER, buf_text(&telling->names),
	         telling->untold > QUARANTINE_NAMED ? ", ..." : "", alarm->text);
	record.text = telling->text;
	return alarms_open(journal, &record, err) == 0 ? mark_told(lite, alarm->shop, err) : -1;
}

static void
after_tell(struct journal *journal, struct change *change)
{
	(void)change;
	alarms_tell(journal);
}

int
journal_quarantine_tell(struct journal *journal, const struct alarm_record *alarm, struct buf *said, struct err *err)
{
	struct telling telling = { .alarm = alarm, .untold = 0 };
	struct change change = { .apply = apply_tell, .committed = after_tell, .data = &telling, .err = ERR_INIT };
	struct lite *reader = reader_take(journal, err); /* nearly always there is nobody to tell of, which costs no commit */
	int status = reader ? count_untold(reader, alarm->shop, &telling.untold, err) : -1;

	if (reader)
		reader_put(journal, reader);
	if (status != 0 || telling.untold == 0)
		return status;
	buf_init(&telling.names, 4096);
	status = writer_change(journal, &change, err);
	if (status == 0 && telling.untold > 0 && said)
		buf_add_text(said, telling.text);
	buf_release(&telling.names);
	return status == 0 ? telling.untold > 0 : -1;
}

/* --- those that leave --- */

struct leaving {
	int64_t shop;
	const int64_t *sku_ids;
	size_t count;
	const char *why;
	bool all; /* also what is not in quarantine yet */
	int64_t freed, in;
	char text[LOG_TEXT_MAX];
};

/* 1 it is in there, and the event's text says what it was; 0; -1. */
static int
describe(struct lite *lite, struct leaving *leaving, int64_t sku_id, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM quarantine WHERE shop = ? AND sku_id = ? AND since_ms > 0";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	struct quarantine_record record;

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, leaving->shop);
	sqlite3_bind_int64(statement, 2, sku_id);
	int status = lite_step(lite, statement, err);
	if (status != 1)
		return status;
	read_row(statement, leaving->shop, &record);
	snprintf(leaving->text, sizeof(leaving->text), "SKU %lld (%.200s) is out of quarantine%s; refused %lld times: %.40s %.900s",
	         (long long)record.sku_id, record.sku, leaving->why, (long long)record.refusals, record.code, record.text);
	lite_done(statement);
	return 1;
}

static int
leave_one(struct journal *journal, struct leaving *leaving, int64_t sku_id, struct err *err)
{
	int status = describe(&journal->writer, leaving, sku_id, err);
	struct event event = { .time_ms = clock_now_ms(), .shop = leaving->shop, .kind = proto_event_name(EVENT_LOG),
		                   .level = LEVEL_WARNING, .run = "", .job = "", .step = "", .text = leaving->text };

	if (status < 0)
		return -1;
	leaving->freed += status;
	if (status == 1 && writer_event(journal, &event, err) != 0)
		return -1;
	return status == 1 || leaving->all ? forget(&journal->writer, leaving->shop, sku_id, err) : 0;
}

static int
apply_leave(struct journal *journal, struct change *change, struct err *err)
{
	struct leaving *leaving = change->data;

	leaving->freed = 0;
	for (size_t i = 0; i < leaving->count; i++)
		if (leave_one(journal, leaving, leaving->sku_ids[i], err) != 0)
			return -1;
	return count_in(&journal->writer, leaving->shop, &leaving->in, err);
}

static void
after_leave(struct journal *journal, struct change *change)
{
	const struct leaving *leaving = change->data;

	remember(journal, leaving->shop, leaving->in);
}

static int
leave(struct journal *journal, struct leaving *leaving, struct err *err)
{
	struct change change = { .apply = apply_leave, .committed = after_leave, .data = leaving, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

int
journal_quarantine_free(struct journal *journal, int64_t shop, int64_t sku_id, const char *who, struct err *err)
{
	char why[500];
	struct leaving leaving = { .shop = shop, .sku_ids = &sku_id, .count = 1, .why = why };

	snprintf(why, sizeof(why), " by hand%s%.400s", who && who[0] ? ", by " : "", who ? who : "");
	return leave(journal, &leaving, err) == 0 ? leaving.freed > 0 : -1;
}

int
journal_quarantine_gone(struct journal *journal, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err)
{
	struct leaving leaving = { .shop = shop, .sku_ids = sku_ids, .count = count, .why = ", since TEMU does not list it any more", .all = true };

	return count > 0 ? leave(journal, &leaving, err) : 0;
}
