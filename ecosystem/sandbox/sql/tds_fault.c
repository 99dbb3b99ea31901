/* Rules of the faults: reading them from a line, keeping them, finding the one that applies. What a fault does on the
 * wire stands in tds_session.c and tds_reply.c. */
#include "ecosystem/sandbox/sql/tds_fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX 64

struct tds_faults {
	pthread_mutex_t lock;
	struct tds_fault rules[RULES_MAX];
	int count;
	struct tds_counters counters;
	int64_t clears;
};

static const struct {
	const char *name;
	int numbers;
} kinds[] = {
#define X(kind, name, numbers, help) { name, numbers },
	TDS_FAULTS(X)
#undef X
};

struct tds_faults *tds_faults_new(void)
{
	struct tds_faults *faults = calloc(1, sizeof(*faults));

	if (faults)
		pthread_mutex_init(&faults->lock, NULL);
	return faults;
}

void tds_faults_free(struct tds_faults *faults)
{
	if (!faults)
		return;
	pthread_mutex_destroy(&faults->lock);
	free(faults);
}

/* --- reading a rule --- */

/* The next word, or the quoted text behind match=; NULL at the end of the line. */
static char *next_word(char **at)
{
	char *start = *at, *end;

	start += strspn(start, " \t");
	if (*start == '\0')
		return NULL;
	if (strncmp(start, "match=\"", 7) == 0) {
		end = strchr(start + 7, '"');
		memmove(start + 6, start + 7, strlen(start + 7) + 1);
		end = end ? end - 1 : start + strlen(start);
	} else {
		end = start + strcspn(start, " \t");
	}
	*at = *end == '\0' ? end : end + 1;
	*end = '\0';
	return start;
}

static int parse_number(const char *text, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= 0 ? 0 : -1;
}

static int option(struct tds_fault *fault, const char *word)
{
	if (strncmp(word, "match=", 6) == 0) {
		snprintf(fault->match, sizeof(fault->match), "%s", word + 6);
		return strlen(word + 6) < sizeof(fault->match) ? 0 : -1;
	}
	if (strncmp(word, "count=", 6) == 0)
		return parse_number(word + 6, &fault->count);
	if (strncmp(word, "skip=", 5) == 0)
		return parse_number(word + 5, &fault->skip);
	if (strncmp(word, "after-rows=", 11) == 0 && fault->kind == TDS_FAULT_ERROR)
		return parse_number(word + 11, &fault->after_rows);
	if (fault->kind == TDS_FAULT_HANG && strncmp(word, "attention=", 10) == 0) {
		fault->attention = strcmp(word + 10, "yes") == 0;
		return fault->attention || strcmp(word + 10, "no") == 0 ? 0 : -1;
	}
	return -1;
}

static int find_kind(const char *name, enum tds_fault_kind *kind)
{
	for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(name, kinds[i].name) == 0) {
			*kind = (enum tds_fault_kind)i;
			return 0;
		}
	}
	return -1;
}

static int check(const struct tds_fault *fault, struct err *err)
{
	if (fault->kind == TDS_FAULT_ERROR && (fault->number[0] < 1 || fault->number[0] > INT32_MAX ||
	                                       fault->number[1] > 25))
		return err_set(err, ERR_PERM, "FAULT", "error: number 1..2147483647, severity 0..25");
	return 0;
}

int tds_fault_parse(struct tds_fault *fault, const char *line, struct err *err)
{
	char copy[1024], *at = copy, *word;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", line) >= sizeof(copy))
		return err_set(err, ERR_PERM, "FAULT", "line too long");
	*fault = (struct tds_fault){ .count = 1, .after_rows = -1 };
	word = next_word(&at);
	if (find_kind(word, &fault->kind) != 0)
		return err_set(err, ERR_PERM, "FAULT", "unknown command '%s'", word ? word : "");
	for (int i = 0; i < kinds[fault->kind].numbers; i++) {
		word = next_word(&at);
		if (!word || parse_number(word, &fault->number[i]) != 0)
			return err_set(err, ERR_PERM, "FAULT", "%s wants %d number(s)", kinds[fault->kind].name,
			               kinds[fault->kind].numbers);
	}
	while ((word = next_word(&at)) != NULL) {
		/* "after-rows N" is accepted like "after-rows=N" */
		if (strcmp(word, "after-rows") == 0 && fault->kind == TDS_FAULT_ERROR) {
			word = next_word(&at);
			if (!word || parse_number(word, &fault->after_rows) != 0)
				return err_set(err, ERR_PERM, "FAULT", "after-rows wants a number");
		} else if (option(fault, word) != 0) {
			return err_set(err, ERR_PERM, "FAULT", "bad option '%s'", word);
		}
	}
	return check(fault, err);
}

/* --- the list --- */

int tds_faults_add(struct tds_faults *faults, const struct tds_fault *fault, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&faults->lock);
	if (faults->count < RULES_MAX)
		faults->rules[faults->count++] = *fault;
	else
		rc = err_set(err, ERR_PERM, "FAULT", "more than %d faults", RULES_MAX);
	pthread_mutex_unlock(&faults->lock);
	return rc;
}

void tds_faults_clear(struct tds_faults *faults)
{
	pthread_mutex_lock(&faults->lock);
	faults->count = 0;
	faults->clears++;
	pthread_mutex_unlock(&faults->lock);
}

int64_t tds_faults_clears(struct tds_faults *faults)
{
	int64_t clears;

	pthread_mutex_lock(&faults->lock);
	clears = faults->clears;
	pthread_mutex_unlock(&faults->lock);
	return clears;
}

static bool take(struct tds_faults *faults, bool login, const char *text, struct tds_fault *out)
{
	bool found = false;

	pthread_mutex_lock(&faults->lock);
	for (int i = 0; i < faults->count && !found; i++) {
		struct tds_fault *rule = &faults->rules[i];

		if ((rule->kind == TDS_FAULT_REFUSE_LOGIN || rule->kind == TDS_FAULT_SILENT_LOGIN) != login ||
		    !strcasestr(text, rule->match))
			continue;
		if (rule->skip > 0) {
			rule->skip--;
			continue;
		}
		found = true;
		*out = *rule;
		faults->counters.faults++;
		if (rule->count > 0 && --rule->count == 0) {
			memmove(rule, rule + 1, (size_t)(faults->count - i - 1) * sizeof(*rule));
			faults->count--;
		}
	}
	pthread_mutex_unlock(&faults->lock);
	return found;
}

bool tds_faults_login(struct tds_faults *faults, const char *user, struct tds_fault *fault)
{
	return take(faults, true, user, fault);
}

bool tds_faults_statement(struct tds_faults *faults, const char *sql, struct tds_fault *fault)
{
	return take(faults, false, sql, fault);
}

void tds_faults_count(struct tds_faults *faults, const struct tds_counters *add)
{
	pthread_mutex_lock(&faults->lock);
	faults->counters.connections += add->connections;
	faults->counters.logins += add->logins;
	faults->counters.batches += add->batches;
	faults->counters.statements += add->statements;
	faults->counters.open += add->open;
	pthread_mutex_unlock(&faults->lock);
}

void tds_faults_counters(struct tds_faults *faults, struct tds_counters *out)
{
	pthread_mutex_lock(&faults->lock);
	*out = faults->counters;
	pthread_mutex_unlock(&faults->lock);
}

const char *tds_fault_error_text(int64_t number, int spid, char *out)
{
	if (number == 1205)
		snprintf(out, TDS_FAULT_TEXT,
		         "Transaction (Process ID %d) was deadlocked on lock resources with another process and has been "
		         "chosen as the deadlock victim. Rerun the transaction.",
		         spid);
	else if (number == 1222)
		snprintf(out, TDS_FAULT_TEXT, "Lock request time out period exceeded.");
	else
		snprintf(out, TDS_FAULT_TEXT, "Injected error %lld.", (long long)number);
	return out;
}
