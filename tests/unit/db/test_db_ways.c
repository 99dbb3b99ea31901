/* The ways to a server: encryption off, request and require with and without TLS at the other end, the check of certificates (made
 * here, by GnuTLS), and a named instance, asked for at a SQL Browser of this file's own. */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/socket.h>
#include <time.h>
#include "tests/unit/db/wire.h"

static struct wire wire;
static char cert[100], key[100], other_cert[100], other_key[100];

static void write_file(const char *path, const gnutls_datum_t *data)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data->data, 1, data->size, file), data->size);
	fclose(file);
}

/* A certificate that is its own authority. */
static void make_certificate(const char *host, const char *cert_path, const char *key_path)
{
	gnutls_x509_privkey_t private;
	gnutls_x509_crt_t crt;
	gnutls_datum_t out;

	assert_int_equal(gnutls_x509_privkey_init(&private), 0);
	assert_int_equal(
	    gnutls_x509_privkey_generate(private, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	    0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(crt, "\x01", 1), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(crt, time(NULL) - 3600), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 86400), 0);
	assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, host, (unsigned)strlen(host)), 0);
	assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host),
							      GNUTLS_FSAN_SET),
			 0);
	assert_int_equal(gnutls_x509_crt_set_basic_constraints(crt, 1, 0), 0);
	assert_int_equal(gnutls_x509_crt_set_key(crt, private), 0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, private, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out), 0);
	write_file(cert_path, &out);
	gnutls_free(out.data);
	assert_int_equal(gnutls_x509_privkey_export2(private, GNUTLS_X509_FMT_PEM, &out), 0);
	write_file(key_path, &out);
	gnutls_free(out.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(private);
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	wire_start(&wire);
	snprintf(wire.address, sizeof(wire.address), "localhost:%d", tds_server_port(wire.server));
	snprintf(cert, sizeof(cert), "%s/cert.pem", wire.folder);
	snprintf(key, sizeof(key), "%s/key.pem", wire.folder);
	snprintf(other_cert, sizeof(other_cert), "%s/other.pem", wire.folder);
	snprintf(other_key, sizeof(other_key), "%s/other-key.pem", wire.folder);
	make_certificate("localhost", cert, key);
	make_certificate("localhost", other_cert, other_key);
	wire.shared.tls = tds_tls_server_new(cert, key, &err);
	assert_non_null(wire.shared.tls);
	return 0;
}

static int tear_down(void **state)
{
	struct tds_tls_server *tls = wire.shared.tls;

	(void)state;
	unlink(cert);
	unlink(key);
	unlink(other_cert);
	unlink(other_key);
	wire_stop(&wire);
	tds_tls_server_free(tls);
	return 0;
}

/* Expects a session that works, or (code) none. */
static void connect_as(enum db_encryption encryption, const char *ca_file, const char *code)
{
	struct err err = ERR_INIT;
	int64_t value = 0;
	struct db *db;

	wire.config.encryption = encryption;
	wire.config.ca_file = ca_file;
	assert_int_equal(db_setup(&wire.config, &err), 0);
	db = db_open(&wire.config, &err);
	if (!db) {
		if (!code)
			fail_msg("%s", err.text);
		assert_string_equal(err.code, code);
		assert_int_equal(err.class, ERR_TEMP);
		return;
	}
	assert_null(code);
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err), 0);
	assert_int_equal(value, 42);
	db_close(db);
}

static void modes(void **state)
{
	struct tds_tls_server *tls = wire.shared.tls;

	(void)state;
	connect_as(DB_ENCRYPTION_OFF, NULL, NULL);
	connect_as(DB_ENCRYPTION_REQUEST, NULL, NULL);
	connect_as(DB_ENCRYPTION_REQUIRE, NULL, NULL);
	wire.shared.require_encryption = true;
	connect_as(DB_ENCRYPTION_OFF, NULL, "SQL_CONNECTION");
	connect_as(DB_ENCRYPTION_REQUEST, NULL, NULL);
	connect_as(DB_ENCRYPTION_REQUIRE, NULL, NULL);
	wire.shared.require_encryption = false;
	wire.shared.tls = NULL; /* a server without a certificate */
	connect_as(DB_ENCRYPTION_OFF, NULL, NULL);
	connect_as(DB_ENCRYPTION_REQUEST, NULL, NULL);
	connect_as(DB_ENCRYPTION_REQUIRE, NULL, "SQL_CONNECTION");
	wire.shared.tls = tls;
}

static void certificates(void **state)
{
	(void)state;
	connect_as(DB_ENCRYPTION_REQUIRE, cert, NULL);
	connect_as(DB_ENCRYPTION_REQUIRE, other_cert, "SQL_CONNECTION");
	snprintf(wire.address, sizeof(wire.address), "127.0.0.1:%d", tds_server_port(wire.server)); /* not the certificate's name */
	connect_as(DB_ENCRYPTION_REQUIRE, cert, "SQL_CONNECTION");
	connect_as(DB_ENCRYPTION_REQUIRE, NULL, NULL);
}

static void wide_over_tls(void **state)
{
	struct err err = ERR_INIT;
	int64_t affected;
	struct db *db;

	(void)state;
	wire.config.encryption = DB_ENCRYPTION_REQUIRE;
	wire.config.ca_file = cert;
	assert_int_equal(db_setup(&wire.config, &err), 0);
	db = wire_open(&wire);
	assert_int_equal(db_execute(db, NULL, "wide 2000000", &affected, &err), 0);
	assert_int_equal(db_execute(db, NULL, "rows 2100", &affected, &err), 0);
	assert_int_equal(affected, 2100);
	wire_fault(&wire, "cut-rows 20 match=rows");
	assert_int_equal(db_execute(db, NULL, "rows 2100", &affected, &err), -1);
	assert_string_equal(err.code, "SQL_CONNECTION");
	assert_true(db_doubtful(db));
	db_close(db);
}

/* --- a named instance --- */

struct browser {
	int fd, port;
	char asked[40];
};

/* MC-SQLR: 0x04 and the name of the instance; the answer lists what it listens on. */
static void *answer_once(void *arg)
{
	struct browser *browser = arg;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char in[40] = "", out[300];
	ssize_t n = recvfrom(browser->fd, in, sizeof(in) - 1, 0, (struct sockaddr *)&from, &len);
	int text;

	if (n < 1 || in[0] != 4)
		return NULL;
	snprintf(browser->asked, sizeof(browser->asked), "%s", in + 1);
	text = snprintf(out + 3, sizeof(out) - 3,
	                "ServerName;SHOP;InstanceName;JTLWAWI;IsClustered;No;Version;15.0.2000.5;tcp;%d;;", browser->port);
	out[0] = 5;
	out[1] = (char)text;
	out[2] = 0;
	sendto(browser->fd, out, (size_t)text + 3, 0, (struct sockaddr *)&from, len);
	return NULL;
}

static void named_instance(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1434), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct browser browser = { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .port = tds_server_port(wire.server) };
	struct timeval patience = { .tv_sec = 5 };
	pthread_t thread;

	(void)state;
	if (bind(browser.fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(browser.fd);
		skip(); /* somebody else is the SQL Browser of this machine */
	}
	setsockopt(browser.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	snprintf(wire.address, sizeof(wire.address), "127.0.0.1\\JTLWAWI");
	assert_int_equal(pthread_create(&thread, NULL, answer_once, &browser), 0);
	connect_as(DB_ENCRYPTION_REQUEST, NULL, NULL);
	pthread_join(thread, NULL);
	close(browser.fd);
	assert_string_equal(browser.asked, "JTLWAWI");
}

int main(void)
{
#define OVER_THE_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		OVER_THE_WIRE(modes),
		OVER_THE_WIRE(certificates),
		OVER_THE_WIRE(wide_over_tls),
		OVER_THE_WIRE(named_instance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
