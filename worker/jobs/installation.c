/* The identity file and the hash of the place. What they are good for is in worker/db/lease.h. */
#include "worker/jobs/installation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/utf8.h"

#define FILE_NAME "installation"
#define DIGITS 32
#define PATH_SIZE 400

static int refuse(const char *path, const char *what, struct err *err)
{
	return err_set(err, ERR_PERM, "KEEPER_IDENTITY", "%s: %s", path, what);
}

static void add_hex(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int write_new(const char *path, struct err *err)
{
	char text[DIGITS + 2];
	uint8_t bits[DIGITS / 2];
	int fd, rc;

	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return refuse(path, "no random bits from the kernel", err);
	add_hex(text, bits, sizeof(bits));
	text[DIGITS] = '\n';
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return refuse(path, strerror(errno), err);
	errno = 0;
	rc = write(fd, text, DIGITS + 1) == DIGITS + 1 && fsync(fd) == 0 ? 0 : refuse(path, errno ? strerror(errno) : "cut short", err);
	close(fd);
	return rc;
}

static int sync_folder(const char *folder, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return refuse(folder, strerror(errno), err);
	rc = fsync(fd) == 0 ? 0 : refuse(folder, strerror(errno), err);
	close(fd);
	return rc;
}

/* Beside, then by its name, so that no crash leaves half a file that nobody dares to replace. */
static int make(const char *folder, const char *path, struct err *err)
{
	char beside[PATH_SIZE + 8];

	snprintf(beside, sizeof(beside), "%s.new", path);
	unlink(beside);
	if (write_new(beside, err) != 0)
		return -1;
	if (link(beside, path) != 0 && errno != EEXIST)
		return refuse(path, strerror(errno), err);
	unlink(beside);
	return sync_folder(folder, err);
}

static int read_file(int fd, const char *path, struct lease_self *self, struct stat *status, struct err *err)
{
	char text[DIGITS + 2] = "";
	ssize_t got = read(fd, text, sizeof(text) - 1);

	if (got < 0 || fstat(fd, status) != 0)
		return refuse(path, strerror(errno), err);
	if (got < DIGITS || strspn(text, "0123456789abcdef") != DIGITS || (text[DIGITS] != '\n' && text[DIGITS] != '\0'))
		return refuse(path, "is not an installation's name (32 hexadecimal digits). Put the right file back, or remove this one: "
		                    "then a new installation is made, which must take the shops' leases over", err);
	snprintf(self->installation, sizeof(self->installation), "%.*s", DIGITS, text);
	return 0;
}

/* --- the place --- */

/* A file of one line that may be missing. */
static void hash_line(struct sha256_ctx *hash, const char *path)
{
	char text[200];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	if (got > 0)
		sha256_update(hash, (size_t)got, (const uint8_t *)text);
	sha256_update(hash, 1, (const uint8_t *)"");
	if (fd >= 0)
		close(fd);
}

static void host_name(char out[LEASE_HOST_MAX])
{
	if (gethostname(out, LEASE_HOST_MAX) != 0 || !memchr(out, '\0', LEASE_HOST_MAX) || out[0] == '\0' ||
	    !utf8_valid(out, strlen(out)) || utf8_utf16_units(out, strlen(out)) > 128)
		snprintf(out, LEASE_HOST_MAX, "unknown");
}

static void place_of(const struct stat *status, const char *host, char out[LEASE_PLACE_MAX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;
	char file[64];

	snprintf(file, sizeof(file), "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
	sha256_init(&hash);
	hash_line(&hash, "/etc/machine-id");
	hash_line(&hash, "/proc/sys/kernel/random/boot_id");
	sha256_update(&hash, strlen(host) + 1, (const uint8_t *)host);
	sha256_update(&hash, strlen(file), (const uint8_t *)file);
	sha256_digest(&hash, sizeof(digest), digest);
	add_hex(out, digest, sizeof(digest));
}

int installation_read(const char *folder, struct lease_self *self, struct err *err)
{
	char path[PATH_SIZE];
	struct stat status;
	int fd, rc;

	memset(self, 0, sizeof(*self));
	snprintf(path, sizeof(path), "%s/%s", folder, FILE_NAME);
	if (access(path, F_OK) != 0 && errno == ENOENT && make(folder, path, err) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return refuse(path, strerror(errno), err);
	rc = read_file(fd, path, self, &status, err);
	close(fd);
	if (rc != 0)
		return -1;
	host_name(self->host);
	place_of(&status, self->host, self->place);
	return 0;
}
