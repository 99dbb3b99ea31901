/* TZif files and the calendar: which offset holds at a moment, and which moments a local time has.
 * What somebody does at a local time (schedules, sums of a day) does not live here. */
#include "common/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/zone_rule.h"

#define DAY_S 86400
#define FILE_BYTES_MAX ((size_t)256 * 1024)
#define HEADER_BYTES 44
#define CHANGES_MAX 20000
#define OFFSET_MAX (26 * 3600) /* RFC 8536: less than that either way */
#define RULE_YEARS 3           /* in which a rule that changes anything does so */
#define MOMENT_MAX_S ((int64_t)1 << 53)

struct change {
	int64_t at_s;
	int32_t offset_s; /* from then on */
};

struct zone {
	char name[ZONE_NAME_MAX];
	int32_t first_offset_s; /* before the first change */
	struct change *changes;
	size_t count;
	bool has_rule; /* for what comes after the last change */
	struct zone_rule rule;
};

/* --- the calendar ---------------------------------------------------------------------------------------------------- */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t
zone_days(int64_t year, int64_t month, int64_t day)
{
	/* Years that begin in March: the leap day is the last one of its year. */
	int64_t months = year * 12 + month - 3, y = floor_div(months, 12), m = months - y * 12;
	int64_t era = floor_div(y, 400), of_era = y - era * 400;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void
set_date(struct zone_time *out, int64_t days)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
	out->day = (int)(of_year - (153 * m + 2) / 5 + 1);
	out->month = (int)(m < 10 ? m + 3 : m - 9);
	out->year = y + era * 400 + (out->month <= 2);
	out->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

/* --- offsets --------------------------------------------------------------------------------------------------------- */

static int64_t
year_of(int64_t seconds)
{
	struct zone_time time;
	set_date(&time, floor_div(seconds, DAY_S));
	return time.year;
}

/* The changes of the rule in the year and its neighbours, in order; returns how many. The one to summer time comes last at the same
 * moment: a year that is summer time throughout ends and begins in one. */
static size_t
rule_changes(const struct zone *zone, int64_t year, struct change out[2 * RULE_YEARS])
{
	size_t count = 0;
	for (int64_t y = year - 1; y <= year + 1; y++) {
		struct change two[2] = { { zone_rule_start(&zone->rule, y), zone->rule.summer_s },
			                 { zone_rule_end(&zone->rule, y), zone->rule.standard_s } };
		for (int i = 0; i < 2; i++) {
			size_t at = count++;
			for (; at > 0 && (out[at - 1].at_s > two[i].at_s ||
			                  (out[at - 1].at_s == two[i].at_s && i == 1 && out[at - 1].offset_s == zone->rule.summer_s)); at--)
				out[at] = out[at - 1];
			out[at] = two[i];
		}
	}
	return count;
}

static int64_t
rule_offset(const struct zone *zone, int64_t at_s)
{
	struct change changes[2 * RULE_YEARS];
	int64_t offset = zone->rule.standard_s;
	if (!zone->rule.has_summer)
		return offset;
	size_t count = rule_changes(zone, year_of(at_s + offset), changes);
	for (size_t i = 0; i < count && changes[i].at_s <= at_s; i++)
		offset = changes[i].offset_s;
	return offset;
}

/* How many changes of the table are not after at_s. */
static size_t
passed(const struct zone *zone, int64_t at_s)
{
	size_t low = 0, high = zone->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->changes[middle].at_s <= at_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int64_t
offset_at(const struct zone *zone, int64_t at_s)
{
	size_t index = passed(zone, at_s);
	if (index == zone->count && zone->has_rule)
		return rule_offset(zone, at_s);
	return index > 0 ? zone->changes[index - 1].offset_s : zone->first_offset_s;
}

static bool
next_change(const struct zone *zone, int64_t after_s, int64_t *at_s)
{
	struct change changes[2 * RULE_YEARS];
	for (size_t i = passed(zone, after_s); i < zone->count; i++) {
		*at_s = zone->changes[i].at_s;
		if (offset_at(zone, *at_s) != offset_at(zone, *at_s - 1))
			return true;
		after_s = *at_s;
	}
	if (!zone->has_rule || !zone->rule.has_summer)
		return false;
	size_t count = rule_changes(zone, year_of(after_s) + 1, changes);
	for (size_t i = 0; i < count; i++) {
		*at_s = changes[i].at_s;
		if (*at_s > after_s && offset_at(zone, *at_s) != offset_at(zone, *at_s - 1))
			return true;
	}
	return false;
}

static int64_t
seconds_of(int64_t ms)
{
	int64_t seconds = floor_div(ms, 1000);
	return seconds > MOMENT_MAX_S ? MOMENT_MAX_S : seconds < -MOMENT_MAX_S ? -MOMENT_MAX_S : seconds;
}

void
zone_local(const struct zone *zone, int64_t utc_ms, struct zone_time *out)
{
	int64_t seconds = seconds_of(utc_ms);
	out->offset_s = offset_at(zone, seconds);
	int64_t local = seconds + out->offset_s, days = floor_div(local, DAY_S);
	int of_day = (int)(local - days * DAY_S);
	set_date(out, days);
	out->hour = of_day / 3600;
	out->minute = of_day / 60 % 60;
	out->second = of_day % 60;
	out->ms = (int)((utc_ms % 1000 + 1000) % 1000);
}

enum zone_fit
zone_utc(const struct zone *zone, const struct zone_time *time, int64_t *first_ms, int64_t *second_ms)
{
	int64_t local = zone_days(time->year, time->month, time->day) * DAY_S + time->hour * INT64_C(3600) + time->minute * INT64_C(60) +
	                time->second;
	int64_t begin = local - OFFSET_MAX - 1, last = local + OFFSET_MAX, found[2] = { 0, 0 }, gap_s = begin;
	int hits = 0;
	for (bool more = true; more && hits < 2;) { /* from one change to the next */
		int64_t offset = offset_at(zone, begin), end, moment = local - offset;
		more = next_change(zone, begin, &end) && end <= last;
		if (moment >= begin && (!more || moment < end))
			found[hits++] = moment;
		else if (more && moment >= end && end + offset_at(zone, end) > local)
			gap_s = end;
		begin = end;
	}
	if (hits == 0)
		found[0] = gap_s;
	*first_ms = found[0] * 1000 + (hits == 0 ? 0 : time->ms);
	*second_ms = hits == 2 ? found[1] * 1000 + time->ms : *first_ms;
	return hits == 0 ? ZONE_GAP : hits == 1 ? ZONE_ONCE : ZONE_TWICE;
}

bool
zone_next_change(const struct zone *zone, int64_t after_ms, int64_t *change_ms)
{
	int64_t at_s;
	if (!next_change(zone, seconds_of(after_ms), &at_s))
		return false;
	*change_ms = at_s * 1000;
	return true;
}

/* --- the file -------------------------------------------------------------------------------------------------------- */

static int
bad(const char *name, const char *what, struct err *err)
{
	return err_set(err, ERR_PERM, "ZONE", "time zone %s: %s", name, what);
}

static int64_t
big_endian(const unsigned char *at, int bytes)
{
	uint64_t value = at[0] >= 0x80 ? UINT64_MAX : 0;
	for (int i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return (int64_t)value;
}

struct layout {
	size_t utc_marks, standard_marks, leaps, times, types, letters; /* counts */
	size_t bytes;                                                   /* of the block behind the header */
};

static int
read_header(const char *name, const unsigned char *data, size_t len, int time_bytes, struct layout *layout, struct err *err)
{
	size_t *const counts[] = { &layout->utc_marks, &layout->standard_marks, &layout->leaps, &layout->times, &layout->types,
		                   &layout->letters };
	if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0)
		return bad(name, "its file is not one of time zones", err);
	if (data[4] < '2')
		return bad(name, "its file is of version 1, 2 or later expected", err);
	for (size_t i = 0; i < 6; i++) {
		int64_t count = big_endian(data + 20 + 4 * i, 4);
		if (count < 0 || count > CHANGES_MAX)
			return bad(name, "its file counts too much", err);
		*counts[i] = (size_t)count;
	}
	layout->bytes = layout->times * ((size_t)time_bytes + 1) + layout->types * 6 + layout->letters +
	                layout->leaps * ((size_t)time_bytes + 4) + layout->standard_marks + layout->utc_marks;
	return len - HEADER_BYTES >= layout->bytes ? 0 : bad(name, "its file is cut off", err);
}

static int
read_offset(const char *name, const unsigned char *types, size_t count, size_t index, int32_t *offset, struct err *err)
{
	if (index >= count)
		return bad(name, "its file names a type that it does not have", err);
	*offset = (int32_t)big_endian(types + 6 * index, 4);
	return *offset > -OFFSET_MAX && *offset < OFFSET_MAX ? 0 : bad(name, "its file has an offset beyond a day", err);
}

static int
read_block(struct zone *zone, const unsigned char *data, const struct layout *layout, struct err *err)
{
	const unsigned char *indexes = data + 8 * layout->times, *types = indexes + layout->times;
	if (layout->leaps > 0)
		return bad(zone->name, "counts leap seconds, which clocks of computers do not", err);
	if (read_offset(zone->name, types, layout->types, 0, &zone->first_offset_s, err) != 0)
		return -1;
	zone->changes = calloc(layout->times + 1, sizeof(zone->changes[0]));
	if (zone->changes == NULL)
		return bad(zone->name, "out of memory", err);
	zone->count = layout->times;
	for (size_t i = 0; i < zone->count; i++) {
		struct change *change = &zone->changes[i];
		change->at_s = big_endian(data + 8 * i, 8);
		if (change->at_s > MOMENT_MAX_S || (i > 0 && change->at_s <= change[-1].at_s))
			return bad(zone->name, "the moments in its file are not in order", err);
		if (change->at_s < -MOMENT_MAX_S)
			change->at_s = -MOMENT_MAX_S - (int64_t)(zone->count - i); /* the big bang, in old files */
		if (read_offset(zone->name, types, layout->types, indexes[i], &change->offset_s, err) != 0)
			return -1;
	}
	return 0;
}

static int
read_footer(struct zone *zone, const unsigned char *data, size_t len, struct err *err)
{
	char text[ZONE_RULE_MAX];
	const unsigned char *end = len > 1 && data[0] == '\n' ? memchr(data + 1, '\n', len - 1) : NULL;
	if (end == NULL || (size_t)(end - data) > sizeof(text))
		return bad(zone->name, "its file has no rule at its end", err);
	size_t size = (size_t)(end - data) - 1;
	memcpy(text, data + 1, size);
	text[size] = '\0';
	if (text[0] == '\0')
		return 0;
	zone->has_rule = true;
	return zone_rule_parse(text, &zone->rule) == 0 ? 0 : bad(zone->name, "the rule at the end of its file is not understood", err);
}

static bool
is_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
	size_t len = strlen(name);
	return len > 0 && len < ZONE_NAME_MAX && strspn(name, letters) == len && name[0] != '/' && name[len - 1] != '/' &&
	       strstr(name, "//") == NULL;
}

struct zone *
zone_read(const char *name, const unsigned char *data, size_t len, struct err *err)
{
	struct zone *zone = calloc(1, sizeof(*zone));
	struct layout old, layout;
	if (zone == NULL) {
		bad(name, "out of memory", err);
		return NULL;
	}
	snprintf(zone->name, sizeof(zone->name), "%s", name);
	if (read_header(zone->name, data, len, 4, &old, err) != 0)
		goto failed;
	data += HEADER_BYTES + old.bytes;
	len -= HEADER_BYTES + old.bytes;
	if (read_header(zone->name, data, len, 8, &layout, err) != 0 || read_block(zone, data + HEADER_BYTES, &layout, err) != 0 ||
	    read_footer(zone, data + HEADER_BYTES + layout.bytes, len - HEADER_BYTES - layout.bytes, err) != 0)
		goto failed;
	return zone;
failed:
	zone_free(zone);
	return NULL;
}

/* At most FILE_BYTES_MAX + 1 bytes; -1 with errno. */
static ssize_t
read_file(const char *path, unsigned char *data)
{
	size_t len = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while ((got = read(fd, data + len, FILE_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)got;
	int saved = errno;
	close(fd);
	errno = saved;
	return got < 0 ? -1 : (ssize_t)len;
}

struct zone *
zone_load(const char *name, struct err *err)
{
	char path[sizeof(ZONE_FOLDER) + ZONE_NAME_MAX + 1];
	struct zone *zone = NULL;
	if (!is_name(name)) {
		err_set(err, ERR_PERM, "ZONE", "\"%.60s\" is no name of a time zone, such as Europe/Berlin", name);
		return NULL;
	}
	unsigned char *data = malloc(FILE_BYTES_MAX + 1);
	if (data == NULL) {
		bad(name, "out of memory", err);
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/%s", ZONE_FOLDER, name);
	ssize_t len = read_file(path, data);
	if (len < 0)
		err_set(err, ERR_PERM, "ZONE", "time zone %s is not known here: %s: %s (package tzdata)", name, path, strerror(errno));
	else if ((size_t)len > FILE_BYTES_MAX)
		bad(name, "its file is too large", err);
	else
		zone = zone_read(name, data, (size_t)len, err);
	free(data);
	return zone;
}

void
zone_free(struct zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->changes);
	free(zone);
}

const char *
zone_name(const struct zone *zone)
{
	return zone->name;
}
