/* The connection file of FreeTDS: the one place where encryption, certificate authority and instance can be said at all.
 * Written privately for this process; what stands in the environment or in other files does not count. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/utf8.h"
#include "worker/db/db_internal.h"

#define DEFAULT_PORT 1433
#define LINE_MAX_BYTES 200 /* FreeTDS reads lines of 255 */

struct target {
	char host[LINE_MAX_BYTES], instance[64];
	int port; /* 0 with an instance */
};

static const char *const encryption_names[] = {
	[DB_ENCRYPTION_OFF] = "off",
	[DB_ENCRYPTION_REQUEST] = "request",
	[DB_ENCRYPTION_REQUIRE] = "require",
};

int db_encryption_parse(const char *name, enum db_encryption *encryption)
{
	for (size_t i = 0; i < sizeof(encryption_names) / sizeof(encryption_names[0]); i++) {
		if (strcmp(name, encryption_names[i]) == 0) {
			*encryption = (enum db_encryption)i;
			return 0;
		}
	}
	return -1;
}

/* FreeTDS ends a value at '#' and ';', folds blanks and cuts long lines: such a value would become another one. */
static int check_value(const char *what, const char *value, struct err *err)
{
	size_t len = strlen(value);

	if (len == 0 || len >= LINE_MAX_BYTES || !utf8_valid(value, len))
		return err_set(err, ERR_PERM, "SQL_CONFIG", "%s: 1 to %d bytes of UTF-8 expected", what, LINE_MAX_BYTES - 1);
	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)value[i]) || strchr("#;", value[i]) ||
		    (value[i] == ' ' && (i == 0 || i + 1 == len || value[i + 1] == ' ')))
			return err_set(err, ERR_PERM, "SQL_CONFIG",
			               "%s '%s': control characters, '#', ';' and outer or double blanks cannot be used", what,
			               value);
	}
	return 0;
}

static int parse_port(const char *text, int *port)
{
	char *end;
	long number;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	number = strtol(text, &end, 10);
	if (*end != '\0' || number < 1 || number > 65535)
		return -1;
	*port = (int)number;
	return 0;
}

static int bad_server(const char *server, const char *why, struct err *err)
{
	return err_set(err, ERR_PERM, "SQL_CONFIG",
	               "server '%s': %s; expected host, host,port, host:port, [v6]:port or host\\instance", server, why);
}

/* Only letters, digits and what names and addresses need. */
static bool clean(const char *text, const char *also)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(also, *text))
			return false;
	return true;
}

/* A name or address; colons only as an IPv6 address has them. */
static bool host_ok(char *host)
{
	struct in6_addr address;
	char *zone = strchr(host, '%');
	bool ok;

	if (!strchr(host, ':'))
		return host[0] != '\0' && clean(host, ".-_");
	if (zone)
		*zone = '\0';
	ok = inet_pton(AF_INET6, host, &address) == 1;
	if (zone)
		*zone = '%';
	return ok && (!zone || clean(zone + 1, ".-_"));
}

/* Cuts "host,port", "host:port", "[v6]:port" in place; *port stays 0 when none is given. */
static int split_port(char *host, int *port)
{
	char *mark = strrchr(host, ',');

	if (host[0] == '[') {
		char *close = strchr(host, ']');

		if (!close || (close[1] != '\0' && close[1] != ':' && close[1] != ','))
			return -1;
		mark = close[1] != '\0' ? close + 1 : NULL;
		*close = '\0';
		memmove(host, host + 1, strlen(host)); /* mark points behind the moved part */
	} else if (!mark && strchr(host, ':') == strrchr(host, ':')) { /* two colons: a bare v6 address */
		mark = strchr(host, ':');
	}
	if (!mark)
		return 0;
	*mark = '\0';
	mark++;
	mark += strspn(mark, " ");
	return parse_port(mark, port);
}

static int parse_server(const char *server, struct target *target, struct err *err)
{
	char *slash;
	size_t len;

	*target = (struct target){ 0 };
	if (check_value("server", server, err) != 0)
		return -1;
	snprintf(target->host, sizeof(target->host), "%s", server);
	slash = strchr(target->host, '\\');
	if (slash) {
		if (strpbrk(slash, ",:") || strpbrk(target->host, ",") || strlen(slash + 1) >= sizeof(target->instance))
			return bad_server(server, "an instance and a port exclude each other", err);
		if (slash[1] == '\0' || !clean(slash + 1, "_$-"))
			return bad_server(server, "no instance name", err);
		snprintf(target->instance, sizeof(target->instance), "%s", slash + 1);
		*slash = '\0';
	} else if (split_port(target->host, &target->port) != 0) {
		return bad_server(server, "no port number from 1 to 65535", err);
	} else if (target->port == 0) {
		target->port = DEFAULT_PORT;
	}
	len = strlen(target->host);
	while (len > 0 && target->host[len - 1] == ' ')
		target->host[--len] = '\0';
	if (strcmp(target->host, ".") == 0 || strcasecmp(target->host, "(local)") == 0)
		snprintf(target->host, sizeof(target->host), "localhost");
	if (!host_ok(target->host))
		return bad_server(server, "no host name", err);
	return 0;
}

static void format_section(const struct db_config *config, const struct target *target, struct buf *out)
{
	buf_addf(out, "[%s]\n\thost = %s\n", DB_SECTION, target->host);
	if (target->instance[0])
		buf_addf(out, "\tinstance = %s\n", target->instance);
	else
		buf_addf(out, "\tport = %d\n", target->port);
	buf_addf(out, "\ttds version = 7.4\n\tclient charset = UTF-8\n\tencryption = %s\n",
	         encryption_names[config->encryption]);
	if (config->ca_file && config->ca_file[0])
		buf_addf(out, "\tca file = %s\n\tcheck certificate hostname = yes\n", config->ca_file);
}

/* Beside and renamed: FreeTDS reads the file at every connect. */
static int write_private(const char *path, const struct buf *text, struct err *err)
{
	char beside[4200];
	int fd;

	snprintf(beside, sizeof(beside), "%s.%ld.new", path, (long)getpid()); /* --migrate may run beside the daemon */
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, ERR_PERM, "SQL_CONFIG", "%s: %s", beside, strerror(errno));
	if (write(fd, text->data, text->len) != (ssize_t)text->len || fchmod(fd, 0600) != 0 || rename(beside, path) != 0) {
		err_set(err, ERR_PERM, "SQL_CONFIG", "%s: %s", path, strerror(errno));
		close(fd);
		unlink(beside);
		return -1;
	}
	close(fd);
	return 0;
}

/* The dump variables would write the password to a file. */
static int set_environment(const char *path, struct err *err)
{
	static const char *const overriding[] = { "TDSVER",  "TDSPORT",       "TDSHOST",  "TDSQUERY", "TDSINIT",
		                                  "TDSDUMP", "TDSDUMPCONFIG", "DSQUERY", "FREETDS",  "SYBASE" };
	const char *set = getenv("FREETDSCONF");

	for (size_t i = 0; i < sizeof(overriding) / sizeof(overriding[0]); i++)
		if (getenv(overriding[i]))
			unsetenv(overriding[i]);
	if ((!set || strcmp(set, path) != 0) && setenv("FREETDSCONF", path, 1) != 0)
		return err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory");
	return 0;
}

int db_setup(const struct db_config *config, struct err *err)
{
	struct target target;
	char path[4096], *folder = NULL;
	struct buf text;
	int rc = -1;

	buf_init(&text, 4096);
	if (parse_server(config->server, &target, err) != 0)
		goto out;
	if (config->ca_file && config->ca_file[0]) {
		if (check_value("ca_file", config->ca_file, err) != 0)
			goto out;
		if (access(config->ca_file, R_OK) != 0) {
			err_set(err, ERR_PERM, "SQL_CONFIG", "ca_file %s: %s", config->ca_file, strerror(errno));
			goto out;
		}
	}
	folder = realpath(config->folder, NULL);
	if (!folder || (size_t)snprintf(path, sizeof(path), "%s/freetds.conf", folder) >= sizeof(path)) {
		err_set(err, ERR_PERM, "SQL_CONFIG", "folder %s: %s", config->folder, strerror(errno));
		goto out;
	}
	format_section(config, &target, &text);
	if (buf_check(&text, "freetds.conf", err) != 0 || write_private(path, &text, err) != 0)
		goto out;
	rc = set_environment(path, err);
out:
	free(folder);
	buf_release(&text);
	return rc;
}
