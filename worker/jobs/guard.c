/* The limits of a plan and the words for one that goes beyond. What is counted is plan.c's, what happens then is the push step's. */
#include "worker/jobs/guard.h"

#include <inttypes.h>
#include <string.h>
#include "common/json.h"
#include "common/utf8.h"
#include "worker/jobs/rules.h"

#define RULES_ROOM 140 /* of the error's text; the result has them all */

static const struct {
	const char *code, *name;
} names[GUARDS] = {
#define X(id, name) [GUARD_##id] = { GUARD_CODES #id, name },
	GUARD_TABLE(X)
#undef X
};

struct guard_facts guard_count(const struct plan *plan)
{
	struct guard_facts facts = {
		.compared = plan->compared, .changes = (int64_t)plan->count, .rules_before = "", .rules_now = ""
	};

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_item *change = &plan->changes[i];

		if (change->confirmed)
			continue;
		facts.zeros += change->zero;
		facts.raises += change->raise;
		facts.buffers += change->buffer_changed;
	}
	return facts;
}

static bool too_many(int64_t count, int64_t compared, int64_t share_percent, int64_t least)
{
	return count > 0 && count >= least && count * 100 > share_percent * compared;
}

struct guard_verdict guard_judge(const struct guard_facts *facts, const struct shop_settings *shop)
{
	struct guard_verdict verdict = { .any = false };
	bool *tripped = verdict.tripped;

	if (facts->changes == 0)
		return verdict;
	tripped[GUARD_ZEROS] = too_many(facts->zeros, facts->compared, shop->zero_share_percent, shop->zero_share_least);
	tripped[GUARD_RAISES] = too_many(facts->raises, facts->compared, shop->raise_share_percent, shop->raise_share_least);
	tripped[GUARD_BUFFERS] = too_many(facts->buffers, facts->compared, shop->raise_share_percent, shop->raise_share_least);
	tripped[GUARD_RULES] = facts->accepted && !facts->rules_confirmed && strcmp(facts->rules_before, facts->rules_now) != 0;
	for (int i = 0; i < GUARDS; i++)
		verdict.any = verdict.any || tripped[i];
	return verdict;
}

static void add_finding(enum guard guard, const struct guard_facts *facts, struct buf *out)
{
	struct buf rules;
	size_t len;

	switch (guard) {
	case GUARD_ZEROS:
		buf_addf(out, "%" PRId64 " would be set to zero", facts->zeros);
		break;
	case GUARD_RAISES:
		buf_addf(out, "%" PRId64 " would be raised", facts->raises);
		break;
	case GUARD_BUFFERS:
		buf_addf(out, "%" PRId64 " have another buffer", facts->buffers);
		break;
	case GUARD_RULES:
		buf_init(&rules, 8192);
		rules_diff(facts->rules_before, facts->rules_now, &rules);
		len = utf8_cut(buf_text(&rules), rules.len, RULES_ROOM);
		buf_addf(out, "rules changed (%.*s%s)", (int)len, buf_text(&rules), len < rules.len ? "..." : "");
		buf_release(&rules);
		break;
	case GUARDS:
		break;
	}
}

int guard_error(const struct guard_verdict *verdict, const struct guard_facts *facts, const char *run_id, struct err *err)
{
	const char *code = "";
	struct buf found;

	buf_init(&found, ERR_TEXT_MAX);
	for (int i = GUARDS - 1; i >= 0; i--)
		if (verdict->tripped[i])
			code = names[i].code;
	for (int i = 0; i < GUARDS; i++)
		if (verdict->tripped[i]) {
			if (found.len > 0)
				buf_add_text(&found, ", ");
			add_finding((enum guard)i, facts, &found);
		}
	err_set(err, ERR_PERM, code,
	        "nothing was sent. Of %" PRId64 " SKUs: %s. %" PRId64 " sold-out SKUs are still for sale meanwhile. The plan is kept as the "
	        "run's items: check it, JTL's stock and the shop's settings, then confirm it once, within an hour: POST "
	        "/api/runs/%s/confirm; with {\"only\":\"sold_out\"} just the sold-outs go out",
	        facts->compared, buf_text(&found), facts->sold_out, run_id);
	buf_release(&found);
	return -1;
}

void guard_names(const struct guard_verdict *verdict, struct buf *out)
{
	for (int i = 0; i < GUARDS; i++)
		if (verdict->tripped[i])
			json_add_string(out, NULL, names[i].name);
}
