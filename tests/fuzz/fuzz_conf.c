/* Fuzz target of common/conf: any text either loads within the limits of the table or is refused with a message that
 * begins with the name of the file, and nothing is left behind. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct record {
	int64_t id;
	struct conf_ints list;
	char *name;
};

struct target {
	char *text, *decimal, *when, *object;
	int64_t number;
	bool flag;
	int choice;
	struct record *records;
	size_t count;
};

static const struct conf_key keys[] = {
	{ "a.text", CONF_STRING, offsetof(struct target, text), "x", 1, 10, NULL, "text" },
	{ "a.number", CONF_INT, offsetof(struct target, number), "5", -5, 5, NULL, "number" },
	{ "a.flag", CONF_BOOL, offsetof(struct target, flag), "true", 0, 0, NULL, "flag" },
	{ "b", CONF_CHOICE, offsetof(struct target, choice), "x", 0, 0, "x|y|z", "choice" },
	{ "d", CONF_DECIMAL, offsetof(struct target, decimal), "0", -1, 1, NULL, "decimal" },
	{ "w", CONF_WHEN, offsetof(struct target, when), "every 5m", 1, 100, NULL, "schedule" },
	{ "o", CONF_OBJECT, offsetof(struct target, object), "{}", 2, 50, NULL, "object" },
	{ "r[].id", CONF_INT, offsetof(struct record, id), NULL, 1, 9, NULL, "id" },
	{ "r[].l", CONF_INTS, offsetof(struct record, list), "", 1, 9, NULL, "list" },
	{ "r[].s.name", CONF_STRING, offsetof(struct record, name), "", 0, 10, NULL, "name" },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct conf_list lists[] = {
	{ "r", sizeof(struct record), 4, offsetof(struct target, records), offsetof(struct target, count), false },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct target t;

	if (conf_load_text("f", (const char *)data, size, NULL, keys, KEYS, lists, 1, &t, &err) < 0) {
		if (err.class != ERR_PERM || strncmp(err.text, "f:", 2) != 0)
			abort();
		return 0;
	}
	if (strlen(t.text) < 1 || strlen(t.text) > 10 || t.number < -5 || t.number > 5 || t.choice < 0 || t.choice > 2 ||
	    t.count > 4 || strlen(t.object) > 50 || t.when[0] == '\0')
		abort();
	for (size_t i = 0; i < t.count; i++)
		if (t.records[i].id < 1 || t.records[i].id > 9 || !t.records[i].name || strlen(t.records[i].name) > 10)
			abort();
	conf_release(keys, KEYS, lists, 1, &t);
	return 0;
}
