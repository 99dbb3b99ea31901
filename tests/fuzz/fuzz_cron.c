/* Fuzz target of common/cron: any text is refused with the right code, or has moments that come later and later. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone *zone;
	struct err err = ERR_INIT;
	struct cron cron;
	struct cron_span span;
	char text[200];
	int64_t at = 1774700000000, next, first; /* a day before a change */

	if (!zone && !(zone = zone_load("Europe/Berlin", &err)))
		abort();
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (cron_parse(text, &cron, &err) != 0) {
		if (err.class != ERR_PERM || strcmp(err.code, "BAD_REQUEST") != 0)
			abort();
		return 0;
	}
	for (int i = 0; i < 20; i++, at = next) {
		if (cron_next(&cron, at, zone, &next) != 0 || next <= at)
			abort(); /* whatever is taken is due some day */
		first = i == 0 ? next : first;
	}
	cron_count(&cron, 1774700000000, at, zone, &span);
	if (span.count != 20 || span.first_ms != first || span.last_ms != at)
		abort();
	return 0;
}
