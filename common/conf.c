/* Configuration files: libyaml's events become a flat list of settings, which the table then binds into the target.
 * Types are in conf_value.c, names and the environment in conf_table.c; no other file sees libyaml. */
#include "common/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yaml.h>

#include "common/conf_table.h"
#include "common/conf_value.h"

#define FILE_BYTES_MAX ((size_t)256 * 1024)
#define SECRET_BYTES_MAX ((size_t)64 * 1024)
#define INTS_TEXT_MAX ((size_t)24 * 1000)
#define WHERE_MAX 512

struct entry {
	char path[CONF_PATH_MAX];
	char *value; /* NULL for a section or list that was opened */
	size_t line, column;
};

struct reader {
	const struct conf_table *table;
	const char *name; /* of the file, NULL without one */
	const char *text; /* its content, len bytes */
	size_t len;
	yaml_parser_t parser;
	struct entry *entries;
	size_t count, capacity;
	size_t *records; /* per list: how many there are */
	struct err *err;
};

/* Where we are: with numbers ("shops[0].name") and as the table writes it ("shops[].name"). The table bounds the depth:
 * nothing is entered that it does not know. */
struct place {
	char path[CONF_PATH_MAX], pattern[CONF_PATH_MAX];
};

/* --- errors and entries --- */

PRINTF_LIKE(3, 4)
static int refuse(struct reader *reader, yaml_mark_t mark, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return err_set(reader->err, ERR_PERM, "CONFIG", "%s:%zu:%zu: %s", reader->name, mark.line + 1, mark.column + 1, text);
}

static struct entry *find_entry(const struct reader *reader, const char *path)
{
	for (size_t i = 0; i < reader->count; i++)
		if (strcmp(reader->entries[i].path, path) == 0)
			return &reader->entries[i];
	return NULL;
}

/* Copies value (may be NULL). */
static int add_entry(struct reader *reader, const char *path, const char *value, yaml_mark_t mark)
{
	struct entry *entry;

	if (reader->count == reader->capacity) {
		size_t capacity = reader->capacity ? reader->capacity * 2 : 64;
		struct entry *grown = realloc(reader->entries, capacity * sizeof(*grown));
		if (!grown)
			return refuse(reader, mark, "out of memory");
		reader->entries = grown;
		reader->capacity = capacity;
	}
	entry = &reader->entries[reader->count];
	*entry = (struct entry){ .line = mark.line + 1, .column = mark.column + 1 };
	snprintf(entry->path, sizeof(entry->path), "%s", path);
	if (value && !(entry->value = strdup(value)))
		return refuse(reader, mark, "out of memory");
	reader->count++;
	return 0;
}

static void release_reader(struct reader *reader)
{
	for (size_t i = 0; i < reader->count; i++) {
		if (reader->entries[i].value) /* may have been a secret */
			explicit_bzero(reader->entries[i].value, strlen(reader->entries[i].value));
		free(reader->entries[i].value);
	}
	free(reader->entries);
	free(reader->records);
}

/* --- events --- */

/* For bytes that are no UTF-8 libyaml knows the offset only. */
static yaml_mark_t mark_of(const struct reader *reader, size_t offset)
{
	const char *text = reader->text;
	yaml_mark_t mark = { 0 };

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)text[i] & 0xC0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static int syntax_error(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ? parser->problem : "not YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return err_set(reader->err, ERR_PERM, "CONFIG", "%s: out of memory", reader->name);
	if (parser->error == YAML_READER_ERROR)
		return refuse(reader, mark_of(reader, parser->problem_offset), "%s (printable UTF-8 expected)", problem);
	return refuse(reader, parser->problem_mark, "%s%s%s", parser->context ? parser->context : "",
	              parser->context ? ": " : "", problem);
}

static const char *forbidden(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return "aliases are not accepted";
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	}
	return anchor ? "anchors are not accepted" : tag ? "tags are not accepted" : NULL;
}

/* The caller deletes the event after success. */
static int next_event(struct reader *reader, yaml_event_t *event)
{
	const char *why;
	int failed = 0;

	if (!yaml_parser_parse(&reader->parser, event))
		return syntax_error(reader);
	why = forbidden(event);
	if (why)
		failed = refuse(reader, event->start_mark, "%s", why);
	else if (event->type == YAML_SCALAR_EVENT &&
	         strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		failed = refuse(reader, event->start_mark, "a NUL character is not accepted");
	if (failed)
		yaml_event_delete(event);
	return failed;
}

static const char *scalar(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT ? (const char *)event->data.scalar.value : NULL;
}

/* Nothing behind the colon, or YAML's words for nothing. */
static bool is_null(const yaml_event_t *event)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(scalar(event), words[i]) == 0)
			return true;
	return false;
}

static int read_value(struct reader *reader, const struct place *place, const yaml_event_t *event);

/* [1, 2] becomes the text "1,2", each element checked where it stands. */
static int read_ints(struct reader *reader, const struct place *place, const struct conf_key *key, yaml_mark_t start)
{
	char expected[CONF_EXPECTED_MAX];
	struct conf_key one = *key;
	struct buf text;
	int failed = 0;

	one.type = CONF_INT;
	conf_value_expected(&one, expected);
	buf_init(&text, INTS_TEXT_MAX);
	for (bool more = true; more && !failed;) {
		yaml_event_t event;
		int64_t value;
		if (next_event(reader, &event) < 0) {
			failed = -1;
			break;
		}
		if (event.type == YAML_SEQUENCE_END_EVENT)
			more = false;
		else if (!scalar(&event) || conf_value_integer(scalar(&event), key->min, key->max, &value) < 0)
			failed = refuse(reader, event.start_mark, "%s: %s expected, found '%.60s'", place->path, expected,
			                scalar(&event) ? scalar(&event) : "a list or mapping");
		else
			buf_addf(&text, "%s%s", text.len > 0 ? "," : "", scalar(&event));
		yaml_event_delete(&event);
	}
	if (!failed && text.failed)
		failed = refuse(reader, start, "%s: the list is too long", place->path);
	if (!failed)
		failed = add_entry(reader, place->path, buf_text(&text), start);
	buf_release(&text);
	return failed;
}

static int read_key(struct reader *reader, const struct place *place, const struct conf_key *key, const yaml_event_t *event)
{
	char expected[CONF_EXPECTED_MAX];

	conf_value_expected(key, expected);
	if (is_null(event))
		return refuse(reader, event->start_mark, "%s: no value, %s expected%s", place->path, expected,
		              key->type == CONF_STRING ? " (\"\" for an empty one)" : "");
	if (key->type == CONF_INTS) {
		if (event->type != YAML_SEQUENCE_START_EVENT)
			return refuse(reader, event->start_mark, "%s: %s expected", place->path, expected);
		return read_ints(reader, place, key, event->start_mark);
	}
	if (!scalar(event))
		return refuse(reader, event->start_mark, "%s: %s expected, found a list or mapping", place->path, expected);
	return add_entry(reader, place->path, scalar(event), event->start_mark);
}

/* "database" and "server" make "database.server". False when that is longer than any path of the table may be. */
static bool join(char *out, const char *section, const char *name)
{
	int len = snprintf(out, CONF_PATH_MAX, "%s%s%s", section, section[0] ? "." : "", name);

	return len >= 0 && len < CONF_PATH_MAX;
}

/* The place of a member, if the table knows it and it was not there before. */
static int enter_member(struct reader *reader, const struct place *section, const yaml_event_t *event, struct place *member)
{
	const char *name = scalar(event);
	char nearest[CONF_PATH_MAX];
	const struct conf_key *key;
	const struct conf_list *list;
	const struct entry *before;

	if (!name)
		return refuse(reader, event->start_mark, "a plain key expected");
	if (!join(member->path, section->path, name) || !join(member->pattern, section->pattern, name))
		return refuse(reader, event->start_mark, "unknown key %.40s...", name);
	/* A dot or bracket inside the name would look like a path of its own. */
	if (strpbrk(name, ".[]") || name[0] == '\0' ||
	    conf_table_find(reader->table, member->pattern, &key, &list) == CONF_PLACE_UNKNOWN) {
		conf_table_suggest(reader->table, member->pattern, nearest);
		return refuse(reader, event->start_mark, "unknown key %s%s%s%s", member->path, nearest[0] ? " (did you mean " : "",
		              nearest, nearest[0] ? "?)" : "");
	}
	before = find_entry(reader, member->path);
	if (before)
		return refuse(reader, event->start_mark, "%s stands here for the second time, first in line %zu", member->path,
		              before->line);
	return 0;
}

static int read_section(struct reader *reader, const struct place *place, const yaml_event_t *start)
{
	int failed = 0;

	if (is_null(start))
		return add_entry(reader, place->path, NULL, start->start_mark);
	if (start->type != YAML_MAPPING_START_EVENT)
		return refuse(reader, start->start_mark, "%s%skeys with values expected here", place->path,
		              place->path[0] ? ": " : "");
	if (add_entry(reader, place->path, NULL, start->start_mark) < 0)
		return -1;
	for (bool more = true; more && !failed;) {
		yaml_event_t event;
		struct place member;
		if (next_event(reader, &event) < 0)
			return -1;
		more = event.type != YAML_MAPPING_END_EVENT;
		failed = more ? enter_member(reader, place, &event, &member) : 0;
		yaml_event_delete(&event);
		if (failed || !more)
			break;
		failed = next_event(reader, &event);
		if (failed)
			break;
		failed = read_value(reader, &member, &event);
		yaml_event_delete(&event);
	}
	return failed;
}

static int read_list(struct reader *reader, const struct place *place, const struct conf_list *list,
                     const yaml_event_t *start)
{
	size_t *count = &reader->records[list - reader->table->lists];
	int failed = add_entry(reader, place->path, NULL, start->start_mark);

	if (is_null(start) || failed)
		return failed;
	if (start->type != YAML_SEQUENCE_START_EVENT)
		return refuse(reader, start->start_mark, "%s: a list expected, each record beginning with '-'", place->path);
	for (bool more = true; more && !failed;) {
		yaml_event_t event;
		struct place record;
		if (next_event(reader, &event) < 0)
			return -1;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			more = false;
		} else if (*count >= list->max_records) {
			failed = refuse(reader, event.start_mark, "%s: at most %zu records", place->path, list->max_records);
		} else {
			snprintf(record.path, sizeof(record.path), "%.120s[%zu]", place->path, (*count)++);
			snprintf(record.pattern, sizeof(record.pattern), "%.120s[]", place->pattern);
			failed = read_section(reader, &record, &event);
		}
		yaml_event_delete(&event);
	}
	return failed;
}

static int read_value(struct reader *reader, const struct place *place, const yaml_event_t *event)
{
	const struct conf_key *key = NULL;
	const struct conf_list *list = NULL;

	switch (conf_table_find(reader->table, place->pattern, &key, &list)) {
	case CONF_PLACE_KEY:
		return read_key(reader, place, key, event);
	case CONF_PLACE_SECTION:
		return read_section(reader, place, event);
	case CONF_PLACE_LIST:
		return read_list(reader, place, list, event);
	case CONF_PLACE_UNKNOWN:
		break;
	}
	return refuse(reader, event->start_mark, "unknown key %s", place->path);
}

/* Stream start, at most one document, stream end. */
static int read_stream(struct reader *reader)
{
	const struct place root = { 0 };
	bool more = true, seen = false;
	int failed = 0;

	while (more && !failed) {
		yaml_event_t event;
		if (next_event(reader, &event) < 0)
			return -1;
		if (event.type == YAML_STREAM_END_EVENT) {
			more = false;
		} else if (event.type == YAML_DOCUMENT_START_EVENT) {
			if (seen)
				failed = refuse(reader, event.start_mark, "a second document is not accepted");
			seen = true;
		} else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_END_EVENT) {
			failed = read_value(reader, &root, &event);
		}
		yaml_event_delete(&event);
	}
	return failed;
}

static int read_text(struct reader *reader, const char *text, size_t len)
{
	int failed;

	if (len > FILE_BYTES_MAX)
		return err_set(reader->err, ERR_PERM, "CONFIG", "%s: larger than %zu bytes", reader->name, FILE_BYTES_MAX);
	reader->text = text;
	reader->len = len;
	if (!yaml_parser_initialize(&reader->parser))
		return err_set(reader->err, ERR_PERM, "CONFIG", "%s: out of memory", reader->name);
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, len);
	failed = read_stream(reader);
	yaml_parser_delete(&reader->parser);
	return failed;
}

/* --- files --- */

/* The whole file into out, whose max is the limit. */
static int read_file(const char *path, const char *prefix, struct buf *out, struct err *err)
{
	char piece[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	if (fd >= 0) {
		while ((got = read(fd, piece, sizeof(piece))) > 0)
			buf_add(out, piece, (size_t)got);
		explicit_bzero(piece, sizeof(piece));
	}
	if (got < 0)
		err_set(err, ERR_PERM, "CONFIG", "%s%s: cannot be read: %m", prefix, path);
	else if (out->failed)
		err_set(err, ERR_PERM, "CONFIG", "%s%s: larger than %zu bytes", prefix, path, out->max);
	if (fd >= 0)
		close(fd);
	return got < 0 || out->failed ? -1 : 0;
}

/* --- binding --- */

static int set_from_secret_file(struct reader *reader, const struct conf_key *key, const char *variable, const char *path,
                                void *record)
{
	const char *file = getenv(variable);
	char prefix[CONF_PATH_MAX + 16];
	struct buf text;
	int failed;

	buf_init(&text, SECRET_BYTES_MAX);
	snprintf(prefix, sizeof(prefix), "%s: ", variable);
	failed = read_file(file, prefix, &text, reader->err);
	if (!failed && text.len != strlen(buf_text(&text)))
		failed = err_set(reader->err, ERR_PERM, "CONFIG", "%s: %s: %s holds a NUL character", variable, path, file);
	if (!failed)
		failed = conf_value_set(key, buf_text(&text), variable, path, record, reader->err);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_release(&text);
	return failed;
}

static int missing(struct reader *reader, const struct conf_key *key, const char *path, const char *variable)
{
	char expected[CONF_EXPECTED_MAX];

	return err_set(reader->err, ERR_PERM, "CONFIG", "%s: %s is required (%s; %s): set it there%s%s%s",
	               reader->name ? reader->name : "configuration", path, key->help, conf_value_expected(key, expected),
	               variable[0] ? " or as " : "", variable,
	               variable[0] && key->type == CONF_SECRET ? " or its ..._FILE" : "");
}

/* The environment wins over the file, the file over the default. */
static int bind_key(struct reader *reader, const struct conf_key *key, size_t index, void *record)
{
	char path[CONF_PATH_MAX], variable[CONF_PATH_MAX] = "", in_file[CONF_PATH_MAX + 8] = "", where[WHERE_MAX];
	const struct entry *entry;
	const char *text = NULL;

	conf_table_path(key, index, path);
	if (reader->table->prefix) {
		conf_table_variable(reader->table, key, index, variable);
		snprintf(in_file, sizeof(in_file), "%s_FILE", variable);
		text = getenv(variable);
		if (key->type == CONF_SECRET && getenv(in_file)) {
			if (text)
				return err_set(reader->err, ERR_PERM, "CONFIG", "%s and %s are both set: one of them expected", variable, in_file);
			return set_from_secret_file(reader, key, in_file, path, record);
		}
		if (text)
			return conf_value_set(key, text, variable, path, record, reader->err);
	}
	entry = find_entry(reader, path);
	if (entry) {
		snprintf(where, sizeof(where), "%s:%zu:%zu", reader->name, entry->line, entry->column);
		return conf_value_set(key, entry->value, where, path, record, reader->err);
	}
	if (!key->fallback)
		return missing(reader, key, path, variable);
	return conf_value_set(key, key->fallback, "default", path, record, reader->err);
}

static void **array_of(const struct conf_list *list, void *target)
{
	return (void **)(void *)((char *)target + list->offset_array);
}

static size_t *count_of(const struct conf_list *list, void *target)
{
	return (size_t *)(void *)((char *)target + list->offset_count);
}

static void empty_target(const struct conf_table *table, void *target)
{
	for (size_t i = 0; i < table->list_count; i++) {
		*array_of(&table->lists[i], target) = NULL;
		*count_of(&table->lists[i], target) = 0;
	}
	for (size_t i = 0; i < table->key_count; i++)
		if (!conf_table_list_of(table, &table->keys[i]))
			conf_value_clear(&table->keys[i], target);
}

static int make_records(struct reader *reader, void *target)
{
	for (size_t i = 0; i < reader->table->list_count; i++) {
		const struct conf_list *list = &reader->table->lists[i];
		if (reader->records[i] == 0)
			continue;
		*array_of(list, target) = calloc(reader->records[i], list->record_size);
		if (!*array_of(list, target))
			return err_set(reader->err, ERR_PERM, "CONFIG", "out of memory for %zu %s", reader->records[i], list->path);
		*count_of(list, target) = reader->records[i];
	}
	return 0;
}

static int bind_all(struct reader *reader, void *target)
{
	if (make_records(reader, target) < 0)
		return -1;
	for (size_t i = 0; i < reader->table->key_count; i++) {
		const struct conf_key *key = &reader->table->keys[i];
		const struct conf_list *list = conf_table_list_of(reader->table, key);
		size_t records = list ? *count_of(list, target) : 1;
		char *record = list ? *array_of(list, target) : target;
		for (size_t n = 0; n < records; n++)
			if (bind_key(reader, key, n, record + (list ? n * list->record_size : 0)) < 0)
				return -1;
	}
	return 0;
}

/* text NULL: no file. */
static int load(const struct conf_table *table, const char *name, const char *text, size_t len, void *target,
                struct err *err)
{
	struct reader reader = { .table = table, .name = name, .err = err };
	int failed = -1;

	empty_target(table, target);
	reader.records = calloc(table->list_count + 1, sizeof(reader.records[0]));
	if (!reader.records) {
		err_set(err, ERR_PERM, "CONFIG", "out of memory");
		goto out;
	}
	if (text && read_text(&reader, text, len) < 0)
		goto out;
	if (conf_table_check_environment(table, reader.records, err) < 0)
		goto out;
	failed = bind_all(&reader, target);
	if (failed)
		conf_release(table->keys, table->key_count, table->lists, table->list_count, target);
out:
	release_reader(&reader);
	return failed;
}

int conf_load_text(const char *name, const char *text, size_t len, const char *env_prefix, const struct conf_key *keys,
                   size_t key_count, const struct conf_list *lists, size_t list_count, void *target, struct err *err)
{
	const struct conf_table table = { env_prefix, keys, key_count, lists, list_count };

	return load(&table, name, text, len, target, err);
}

int conf_load(const char *file, const char *env_prefix, const struct conf_key *keys, size_t key_count,
              const struct conf_list *lists, size_t list_count, void *target, struct err *err)
{
	const struct conf_table table = { env_prefix, keys, key_count, lists, list_count };
	struct buf text;
	int failed;

	buf_init(&text, FILE_BYTES_MAX);
	empty_target(&table, target);
	failed = file ? read_file(file, "", &text, err) : 0;
	if (!failed)
		failed = load(&table, file, file ? buf_text(&text) : NULL, text.len, target, err);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_release(&text);
	return failed;
}

void conf_release(const struct conf_key *keys, size_t key_count, const struct conf_list *lists, size_t list_count,
                  void *target)
{
	const struct conf_table table = { NULL, keys, key_count, lists, list_count };

	for (size_t i = 0; i < key_count; i++) {
		const struct conf_list *list = conf_table_list_of(&table, &keys[i]);
		char *record = list ? *array_of(list, target) : target;
		for (size_t n = 0; n < (list ? *count_of(list, target) : 1); n++)
			conf_value_release(&keys[i], record + (list ? n * list->record_size : 0));
	}
	for (size_t i = 0; i < list_count; i++) {
		free(*array_of(&lists[i], target));
		*array_of(&lists[i], target) = NULL;
		*count_of(&lists[i], target) = 0;
	}
}
