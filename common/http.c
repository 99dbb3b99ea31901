/* http: requests in flight over libcurl's multi interface, and what each way of failing means to a caller.
 * Knows no service, no retry and no signature; no curl type leaves this file. */
#include "common/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <strings.h>
#include <unistd.h>
#include "common/clock.h"

#define RETRY_AFTER_DIGITS 9

/* One place for a request in flight. The easy handle is kept for the next one. */
struct http_transfer {
	CURL *easy;
	struct http_request *request; /* NULL = free */
	struct curl_slist *headers; /* of a mail: the recipients */
	size_t body_taken; /* bytes of the body curl has asked for */
	bool too_large;
	char label[5 + HTTP_LABEL_MAX]; /* method and address */
	char detail[CURL_ERROR_SIZE];
};

struct http {
	CURLM *multi;
	char *ca_file;
	struct http_request *finishing; /* whose done() is running */
	bool cancelling;
	int in_flight;
	int count;
	struct http_transfer transfers[];
};

/* --- life ------------------------------------------------------------------------------------------------------ */

static pthread_once_t http_once = PTHREAD_ONCE_INIT;
static CURLcode http_global = CURLE_FAILED_INIT;

static void http_global_init(void)
{
	http_global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int http_handles_new(struct http *http)
{
	http->multi = curl_multi_init();
	if (http->multi == NULL)
		return -1;
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->count);
	curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)http->count);
	for (int i = 0; i < http->count; i++) {
		http->transfers[i].easy = curl_easy_init();
		if (http->transfers[i].easy == NULL)
			return -1;
	}
	return 0;
}

struct http *http_new(int max_connections, const char *ca_file, struct err *err)
{
	struct http *http;

	assert(max_connections > 0);
	pthread_once(&http_once, http_global_init);
	if (http_global != CURLE_OK) {
		err_set(err, ERR_PERM, "HTTP_SETUP", "the HTTP library does not start: %s", curl_easy_strerror(http_global));
		return NULL;
	}
	if (ca_file != NULL && access(ca_file, R_OK) != 0) {
		err_set(err, ERR_PERM, "HTTP_SETUP", "cannot read the file of certificate authorities %s", ca_file);
		return NULL;
	}
	http = calloc(1, sizeof(*http) + (size_t)max_connections * sizeof(http->transfers[0]));
	if (http == NULL)
		goto no_memory;
	http->count = max_connections;
	if (http_handles_new(http) != 0)
		goto no_memory;
	if (ca_file != NULL) {
		http->ca_file = strdup(ca_file);
		if (http->ca_file == NULL)
			goto no_memory;
	}
	return http;
no_memory:
	http_free(http);
	err_set(err, ERR_TEMP, "HTTP_MEMORY", "out of memory for %d HTTP connections", max_connections);
	return NULL;
}

/* Takes the transfer out of curl's hands and makes its place free. Returns the request. */
static struct http_request *http_detach(struct http *http, struct http_transfer *transfer)
{
	struct http_request *request = transfer->request;

	curl_multi_remove_handle(http->multi, transfer->easy);
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
	transfer->request = NULL;
	http->in_flight--;
	return request;
}

void http_free(struct http *http)
{
	if (http == NULL)
		return;
	for (int i = 0; i < http->count; i++) {
		struct http_transfer *transfer = &http->transfers[i];

		if (transfer->request != NULL)
			buf_release(&http_detach(http, transfer)->response);
		if (transfer->easy != NULL)
			curl_easy_cleanup(transfer->easy);
	}
	if (http->multi != NULL)
		curl_multi_cleanup(http->multi);
	free(http->ca_file);
	free(http);
}

/* --- addresses ------------------------------------------------------------------------------------------------- */

static bool http_host_is_loopback(const char *host)
{
	struct in_addr address;

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

struct http_url {
	char *scheme, *host, *port, *path;
};

static void http_url_release(struct http_url *url)
{
	curl_free(url->path);
	curl_free(url->port);
	curl_free(url->host);
	curl_free(url->scheme);
}

/* curl's own parser, so that what is judged is what will be called. kind: "an https", for the error. Release also after failure. */
static int http_url_read(const char *text, const char *kind, struct http_url *out, struct err *err)
{
	CURLU *url = curl_url();
	int rc = 0;

	*out = (struct http_url){ .scheme = NULL };
	if (url == NULL)
		return err_set(err, ERR_TEMP, "HTTP_MEMORY", "out of memory for a URL");
	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &out->scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &out->host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PATH, &out->path, 0) != CURLUE_OK)
		rc = err_set(err, ERR_PERM, "HTTP_URL", "not %s URL (scheme://host/path)", kind);
	curl_url_cleanup(url);
	return rc;
}

int http_url_check(const char *text, char *label, struct err *err)
{
	struct http_url url;
	int rc = http_url_read(text, "an https", &url, err);

	if (rc == 0 && strcmp(url.scheme, "https") != 0 && !(strcmp(url.scheme, "http") == 0 && http_host_is_loopback(url.host)))
		rc = err_set(err, ERR_PERM, "HTTP_URL", "%s://%s is refused: https only, http for loopback addresses", url.scheme, url.host);
	if (rc == 0 && label != NULL)
		snprintf(label, HTTP_LABEL_MAX, "%s://%s:%s%s", url.scheme, url.host, url.port, url.path);
	http_url_release(&url);
	return rc;
}

int http_mail_check(const char *text, char *label, struct err *err)
{
	struct http_url url;
	int rc = http_url_read(text, "an smtps", &url, err);

	if (rc == 0 && ((strcmp(url.scheme, "smtps") != 0 && strcmp(url.scheme, "smtp") != 0) || strchr(text, '@') != NULL ||
	                strcmp(url.path, "/") != 0))
		rc = err_set(err, ERR_PERM, "HTTP_URL", "%s://%s is refused: smtps://host:port or smtp://host:port, nothing else in it",
		             url.scheme, url.host);
	if (rc == 0 && label != NULL)
		snprintf(label, HTTP_LABEL_MAX, "%s://%s:%s", url.scheme, url.host, url.port);
	http_url_release(&url);
	return rc;
}

/* Method and address as error texts have them. */
static int http_label(struct http_transfer *transfer, const struct http_request *request, struct err *err)
{
	const char *method = request->mail != NULL ? "MAIL " : request->body != NULL ? "POST " : "GET ";
	size_t len = strlen(method);
	char *label = transfer->label + len, *path;

	memcpy(transfer->label, method, len);
	if (request->mail != NULL)
		return http_mail_check(request->url, label, err);
	if (http_url_check(request->url, label, err) != 0)
		return -1;
	path = strstr(label, "://");
	path = path != NULL && request->hide_path ? strchr(path + 3, '/') : NULL;
	if (path != NULL)
		*path = '\0';
	return 0;
}

/* --- starting -------------------------------------------------------------------------------------------------- */

static size_t http_on_response(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	struct http_request *request = transfer->request;
	size_t len = size * count;

	/* The cap counts here, after decompression: curl's own limit does not stop chunked or compressed answers. */
	if (len > request->max_response - request->response.len) {
		transfer->too_large = true;
		return 0;
	}
	buf_add(&request->response, data, len);
	return request->response.failed ? 0 : len;
}

static size_t http_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	const struct http_request *request = transfer->request;
	size_t room = size * count, left = request->body_len - transfer->body_taken;
	size_t len = left < room ? left : room;

	memcpy(data, request->body + transfer->body_taken, len);
	transfer->body_taken += len;
	return len;
}

/* The body goes through a callback that cannot rewind. With POSTFIELDS curl would silently send a POST a second time
 * when a kept-alive connection dies after the first; now that ends in an error, and the caller decides. */
static CURLcode http_set_body(struct http_transfer *transfer, const struct http_request *request)
{
	char line[200];
	struct curl_slist *more;

	curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, http_on_body);
	curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
	snprintf(line, sizeof(line), "Content-Type: %s",
	         request->content_type != NULL ? request->content_type : "application/octet-stream");
	transfer->headers = curl_slist_append(NULL, line);
	if (transfer->headers == NULL)
		return CURLE_OUT_OF_MEMORY;
	more = curl_slist_append(transfer->headers, "Expect:"); /* never wait for "100 Continue" */
	if (more == NULL)
		return CURLE_OUT_OF_MEMORY;
	transfer->headers = more;
	return CURLE_OK;
}

static CURLcode http_set_headers(struct http_transfer *transfer, const struct http_request *request)
{
	struct curl_slist *more;

	if (request->header != NULL) {
		more = curl_slist_append(transfer->headers, request->header);
		if (more == NULL)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = more;
	}
	return transfer->headers != NULL ? curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) : CURLE_OK;
}

/* The envelope. Without TLS nothing leaves the machine. */
static CURLcode http_set_mail(struct http_transfer *transfer, const struct http_request *request)
{
	const struct http_mail *mail = request->mail;
	const char *host = strstr(request->url, "://");
	char name[64];
	size_t len = 0;

	if (host != NULL)
		len = host[3] == '[' ? strcspn(host + 3, "]") + 1 : strcspn(host + 3, ":/");
	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : 0, host != NULL ? host + 3 : "");
	curl_easy_setopt(transfer->easy, CURLOPT_USE_SSL, (long)(http_host_is_loopback(name) ? CURLUSESSL_TRY : CURLUSESSL_ALL));
	for (size_t i = 0; i < mail->to_count; i++) {
		struct curl_slist *more = curl_slist_append(transfer->headers, mail->to[i]);
		if (more == NULL)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = more;
	}
	curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(transfer->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_len);
	curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, http_on_body);
	curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_MAIL_RCPT, transfer->headers);
	if (mail->user != NULL && (curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, mail->user) != CURLE_OK ||
	                           curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD, mail->password) != CURLE_OK))
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_setopt(transfer->easy, CURLOPT_MAIL_FROM, mail->from);
}

static CURLcode http_set_options(struct http *http, struct http_transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	CURLcode rc;

	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a hanging resolver must not hold up the other transfers */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_response);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	rc = curl_easy_setopt(easy, CURLOPT_URL, request->url);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the environment's proxies are not for us */
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, request->mail != NULL ? "smtp,smtps" : "http,https");
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	if (rc == CURLE_OK && http->ca_file != NULL)
		rc = curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
	if (rc == CURLE_OK && request->mail != NULL)
		return http_set_mail(transfer, request);
	if (rc == CURLE_OK && request->body != NULL)
		rc = http_set_body(transfer, request);
	return rc == CURLE_OK ? http_set_headers(transfer, request) : rc;
}

static struct http_transfer *http_free_transfer(struct http *http)
{
	for (int i = 0; i < http->count; i++)
		if (http->transfers[i].request == NULL)
			return &http->transfers[i];
	return NULL;
}

static void http_request_clear(struct http_request *request)
{
	request->err = (struct err)ERR_INIT;
	request->maybe_sent = false;
	request->status = 0;
	request->retry_after_ms = -1;
	request->date_ms = -1;
	buf_init(&request->response, request->max_response);
}

int http_start(struct http *http, struct http_request *request, struct err *err)
{
	struct http_transfer *transfer = http_free_transfer(http);
	CURLcode rc;

	assert(request->done != NULL && request->timeout_ms > 0 && request->connect_timeout_ms > 0);
	assert(request->mail == NULL || request->body != NULL);
	if (http->finishing == request) { /* started again from its own done(): the old answer goes now */
		buf_release(&request->response);
		http->finishing = NULL;
	}
	if (http->cancelling)
		return err_set(err, ERR_CANCELLED, "HTTP_CANCELLED", "no new request while the others are being cancelled");
	if (transfer == NULL)
		return err_set(err, ERR_TEMP, "HTTP_BUSY", "all %d connections are in use", http->count);
	if (http_label(transfer, request, err) != 0)
		return -1;
	http_request_clear(request);
	transfer->body_taken = 0;
	transfer->too_large = false;
	transfer->detail[0] = '\0';
	transfer->request = request;
	http->in_flight++;
	rc = http_set_options(http, transfer, request);
	if (rc == CURLE_OK && curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK)
		return 0;
	http_detach(http, transfer);
	return err_set(err, ERR_TEMP, "HTTP_MEMORY", "%s: cannot be prepared: %s", transfer->label, curl_easy_strerror(rc));
}

/* --- finishing ------------------------------------------------------------------------------------------------- */

struct http_failure {
	CURLcode curl;
	enum err_class class;
	const char *code;
};

static const struct http_failure http_failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_TEMP, "HTTP_DNS" },
	{ CURLE_COULDNT_CONNECT, ERR_TEMP, "HTTP_CONNECT" },
	{ CURLE_OPERATION_TIMEDOUT, ERR_TEMP, "HTTP_TIMEOUT" },
	{ CURLE_SSL_CONNECT_ERROR, ERR_TEMP, "HTTP_TLS" },
	{ CURLE_GOT_NOTHING, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_SEND_ERROR, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_RECV_ERROR, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_SEND_FAIL_REWIND, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_HTTP2, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_HTTP2_STREAM, ERR_TEMP, "HTTP_RESET" },
	{ CURLE_PARTIAL_FILE, ERR_TEMP, "HTTP_TRUNCATED" },
	{ CURLE_BAD_CONTENT_ENCODING, ERR_TEMP, "HTTP_GARBLED" },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_TEMP, "HTTP_GARBLED" },
	{ CURLE_OUT_OF_MEMORY, ERR_TEMP, "HTTP_MEMORY" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_PERM, "HTTP_CERTIFICATE" },
	{ CURLE_SSL_CACERT_BADFILE, ERR_PERM, "HTTP_CERTIFICATE" },
	{ CURLE_SSL_ISSUER_ERROR, ERR_PERM, "HTTP_CERTIFICATE" },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_PERM, "HTTP_PROTOCOL" },
	{ CURLE_URL_MALFORMAT, ERR_PERM, "HTTP_URL" },
};

static void http_failure_set(const struct http_transfer *transfer, CURLcode rc, struct err *err)
{
	const char *detail = transfer->detail[0] != '\0' ? transfer->detail : curl_easy_strerror(rc);
	struct http_failure failure = { rc, ERR_TEMP, "HTTP_FAILED" };

	for (size_t i = 0; i < sizeof(http_failures) / sizeof(http_failures[0]); i++)
		if (http_failures[i].curl == rc)
			failure = http_failures[i];
	if (rc == CURLE_UNSUPPORTED_PROTOCOL && transfer->request->maybe_sent) {
		failure.class = ERR_TEMP; /* the URL was fine: curl says this of an answer that is not HTTP at all */
		failure.code = "HTTP_GARBLED";
	}
	if (transfer->request->mail != NULL && transfer->request->status >= 400)
		failure.code = "MAIL_REFUSED";
	if (rc == CURLE_LOGIN_DENIED)
		failure = (struct http_failure){ rc, ERR_PERM, "MAIL_LOGIN" };
	err_set(err, failure.class, failure.code, "%s: %s (curl %d)", transfer->label, detail, (int)rc);
}

static const char *http_header(CURL *easy, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

static int64_t http_date_ms(const char *text)
{
	time_t seconds = text != NULL ? curl_getdate(text, NULL) : -1;

	return seconds < 0 ? -1 : (int64_t)seconds * 1000;
}

/* Retry-After is a number of seconds or a date (RFC 9110, 10.2.3); the date is seen from the server's own clock. */
static int64_t http_retry_after_ms(const char *text, int64_t date_ms)
{
	size_t digits;
	int64_t until_ms;

	if (text == NULL)
		return -1;
	digits = strspn(text, "0123456789");
	if (digits > 0 && text[digits] == '\0')
		return digits <= RETRY_AFTER_DIGITS ? (int64_t)strtol(text, NULL, 10) * 1000 : -1;
	until_ms = http_date_ms(text);
	if (until_ms < 0)
		return -1;
	if (date_ms < 0)
		date_ms = clock_now_ms();
	return until_ms > date_ms ? until_ms - date_ms : 0;
}

/* Whether any byte of the request may have left us; a POST is not complete without its body. */
static bool http_maybe_sent(const struct http_transfer *transfer)
{
	curl_off_t uploaded = 0;
	long request_bytes = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	if (transfer->request->body_len > 0 && transfer->request->body != NULL)
		return transfer->body_taken > 0 || uploaded > 0;
	return request_bytes > 0;
}

static void http_answer_read(struct http_transfer *transfer)
{
	struct http_request *request = transfer->request;
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	request->status = (int)status;
	request->date_ms = http_date_ms(http_header(transfer->easy, "Date"));
	request->retry_after_ms = http_retry_after_ms(http_header(transfer->easy, "Retry-After"), request->date_ms);
}

/* Gives the request back to its owner. From here on the place may serve another one. */
static void http_deliver(struct http *http, struct http_transfer *transfer)
{
	struct http_request *request = http_detach(http, transfer);

	http->finishing = request;
	request->done(request, request->arg);
	if (http->finishing == request)
		buf_release(&request->response);
	http->finishing = NULL;
}

/* A mail server has said 250 by now, or failed. Left open, curl would close the connection some day with QUIT and wait up to two minutes
 * for the answer, whatever the time-outs say (7.88): in the next transfer, or at the end of the process. */
static void http_hang_up(struct http_transfer *transfer)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
		shutdown(fd, SHUT_RDWR);
}

static void http_finish(struct http *http, struct http_transfer *transfer, CURLcode rc)
{
	struct http_request *request = transfer->request;

	if (request->mail != NULL)
		http_hang_up(transfer);
	request->maybe_sent = http_maybe_sent(transfer);
	http_answer_read(transfer);
	if (transfer->too_large)
		err_set(&request->err, ERR_PERM, "HTTP_TOO_LARGE", "%s: the answer is larger than %zu bytes", transfer->label,
		        request->max_response);
	else if (request->response.failed)
		err_set(&request->err, ERR_TEMP, "HTTP_MEMORY", "%s: out of memory for the answer", transfer->label);
	else if (rc != CURLE_OK)
		http_failure_set(transfer, rc, &request->err);
	http_deliver(http, transfer);
}

/* Returns how many requests were finished. */
static int http_reap(struct http *http)
{
	struct http_transfer *transfer;
	CURLMsg *message;
	char *private;
	int left, finished = 0;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		CURLcode rc = message->data.result; /* message dies with the removal of its handle */

		if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
			continue;
		transfer = (struct http_transfer *)(void *)private;
		http_finish(http, transfer, rc);
		finished++;
	}
	return finished;
}

int http_step(struct http *http, int timeout_ms)
{
	int running;

	curl_multi_perform(http->multi, &running);
	if (http_reap(http) == 0) {
		curl_multi_poll(http->multi, NULL, 0, timeout_ms, NULL);
		curl_multi_perform(http->multi, &running);
		http_reap(http);
	}
	return http->in_flight;
}

void http_cancel(struct http *http)
{
	http->cancelling = true;
	for (int i = 0; i < http->count; i++) {
		struct http_transfer *transfer = &http->transfers[i];
		struct http_request *request = transfer->request;

		if (request == NULL)
			continue;
		request->maybe_sent = http_maybe_sent(transfer);
		err_set(&request->err, ERR_CANCELLED, "HTTP_CANCELLED", "%s: cancelled", transfer->label);
		http_deliver(http, transfer);
	}
	http->cancelling = false;
}

void http_wakeup(struct http *http)
{
	curl_multi_wakeup(http->multi);
}
