/* The write gates: a small table in memory that every effect asks, and its rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "worker/store/journal_inner.h"

struct move {
	int64_t shop;
	enum gate gate, was;
	const char *reason, *who;
};

/* Under gate_lock; adds the shop when it is new. NULL = no memory. */
static struct gate_entry *
entry_of(struct journal *journal, int64_t shop)
{
	for (size_t i = 0; i < journal->gate_count; i++)
		if (journal->gates[i].shop == shop)
			return &journal->gates[i];
	struct gate_entry *grown = realloc(journal->gates, (journal->gate_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	journal->gates = grown;
	grown[journal->gate_count] = (struct gate_entry){ .shop = shop, .gate = GATE_OFF };
	return &grown[journal->gate_count++];
}

static void
remember(struct journal *journal, int64_t shop, enum gate gate)
{
	pthread_mutex_lock(&journal->gate_lock);
	struct gate_entry *entry = entry_of(journal, shop);
	if (entry)
		entry->gate = gate; /* without memory a gate stays what an unknown one is: off */
	pthread_mutex_unlock(&journal->gate_lock);
}

int
gates_load(struct journal *journal, struct err *err)
{
	static const char select[] = "SELECT shop, gate FROM gates";
	sqlite3_stmt *statement = lite_use(&journal->writer, select, err);
	int status = statement ? 1 : -1;

	while (status == 1 && (status = lite_step(&journal->writer, statement, err)) == 1) {
		enum gate gate;
		if (gate_parse(lite_text(statement, 1), &gate) == 0)
			remember(journal, sqlite3_column_int64(statement, 0), gate);
	}
	return status;
}

enum gate
journal_gate(struct journal *journal, int64_t shop)
{
	enum gate gate = GATE_OFF;

	pthread_mutex_lock(&journal->gate_lock);
	for (size_t i = 0; i < journal->gate_count; i++)
		if (journal->gates[i].shop == shop)
			gate = journal->gates[i].gate;
	pthread_mutex_unlock(&journal->gate_lock);
	return gate;
}

static int
read_gate(struct lite *lite, int64_t shop, enum gate *gate, struct err *err)
{
	static const char select[] = "SELECT gate FROM gates WHERE shop = ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	*gate = GATE_OFF;
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, shop);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		if (gate_parse(lite_text(statement, 0), gate) != 0)
			*gate = GATE_OFF;
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

static int
apply_set(struct journal *journal, struct change *change, struct err *err)
{
	static const char replace[] = "INSERT OR REPLACE INTO gates(shop, gate, changed_ms, reason, who) VALUES(?, ?, ?, ?, ?)";
	struct move *move = change->data;
	int64_t now = clock_now_ms();
	char text[LOG_TEXT_MAX];

	if (read_gate(&journal->writer, move->shop, &move->was, err) != 0)
		return -1;
	sqlite3_stmt *statement = lite_use(&journal->writer, replace, err);
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, move->shop);
	lite_bind_text(statement, 2, gate_name(move->gate));
	sqlite3_bind_int64(statement, 3, now);
	lite_bind_text(statement, 4, move->reason);
	lite_bind_text(statement, 5, move->who);
	if (lite_run(&journal->writer, statement, err) != 0)
		return -1;
	snprintf(text, sizeof(text), "%s -> %s%s%.900s%s%.400s%s", gate_name(move->was), gate_name(move->gate),
	         move->reason[0] ? ": " : "", move->reason, move->who[0] ? " (" : "", move->who, move->who[0] ? ")" : "");
	struct event event = { .time_ms = now, .shop = move->shop, .kind = proto_event_name(EVENT_GATE), .level = LEVEL_WARNING,
		                   .run = "", .job = "", .step = "", .text = text };
	return writer_event(journal, &event, err);
}

static void
after_set(struct journal *journal, struct change *change)
{
	const struct move *move = change->data;

	remember(journal, move->shop, move->gate);
}

int
journal_gate_set(struct journal *journal, int64_t shop, enum gate gate, const char *reason, const char *who, enum gate *was,
                 struct err *err)
{
	struct move move = { .shop = shop, .gate = gate, .was = journal_gate(journal, shop), .reason = reason ? reason : "",
		                 .who = who ? who : "" };
	struct change change = { .apply = apply_set, .committed = after_set, .data = &move, .err = ERR_INIT };

	if (gate == GATE_OFF)
		remember(journal, shop, gate); /* at once: it is the emergency stop too */
	int status = writer_change(journal, &change, err);
	if (status != 0 && gate == GATE_OFF)
		remember(journal, shop, gate); /* one opened just before may have been remembered in between */
	if (was)
		*was = move.was;
	return status;
}
