/* ipc: the two nng patterns of the project (commands over req/rep, events over pub/sub) on Unix sockets.
 * Knows neither what a message means nor when to send one; no nng type leaves this file. */
#include "common/ipc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/ipc_guard.h"
#include "common/ipc_probe.h"
#include "common/log.h"

enum {
	PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
	WIRE_MAX = IPC_MESSAGE_MAX + 64, /* nng counts its own header (request id) as part of the message */
	QUEUE_MESSAGES = 8192,
	RECONNECT_MIN_MS = 50,
	RECONNECT_MAX_MS = 100,
	MAX_THREADS = 64,
	REDIAL_AFTER_MS = 1000,  /* a request that finds no connection for so long asks whether the peer is there */
	REDIAL_PROBE_MS = 500,
	SILENCE_MS = 3000,       /* a subscriber that hears nothing for so long asks the same */
};

/* ipc_url: "ipc://" + path, checked for the length the kernel can take. */
struct ipc_url {
	char text[PATH_BYTES + 8];
};

static int ipc_url_set(struct ipc_url *url, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (len == 0 || len >= PATH_BYTES)
		return err_set(err, ERR_PERM, "IPC_PATH", "socket path \"%s\" has %zu bytes, allowed are 1 to %d", path, len,
		               (int)PATH_BYTES - 1);
	snprintf(url->text, sizeof(url->text), "ipc://%s", path);
	return 0;
}

static int ipc_nng_error(struct err *err, const char *what, const char *path, int rv)
{
	if (rv == NNG_EADDRINUSE)
		return err_set(err, ERR_PERM, "IPC_IN_USE", "already running: somebody is listening on %s", path);
	return err_set(err, ERR_PERM, "IPC_SETUP", "%s %s: %s", what, path, nng_strerror(rv));
}

/* What lives until the process ends stays reachable from here, so that a leak checker reports real leaks only. */
struct ipc_object {
	struct ipc_object *next;
};

static void ipc_keep(struct ipc_object *object)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct ipc_object *kept;

	pthread_mutex_lock(&lock);
	object->next = kept;
	kept = object;
	pthread_mutex_unlock(&lock);
}

/* --- listening ------------------------------------------------------------------------------------------------- */

/* nng deletes whatever lies at the path, even a regular file, so we look first. */
static int ipc_path_check(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return err_set(err, ERR_PERM, "IPC_PATH", "cannot look at socket path %s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_PERM, "IPC_PATH", "%s is not a socket; it stays untouched, move it away", path);
	return 0;
}

struct ipc_lock_path {
	char text[PATH_BYTES + 8];
};

static struct ipc_lock_path ipc_lock_path(const char *path)
{
	struct ipc_lock_path lock;

	snprintf(lock.text, sizeof(lock.text), "%s.lock", path);
	return lock;
}

/* The lock file beside a socket says that somebody listens there. nng's own test (connect, hang up) must never meet a
 * living listener: in nng 1.5.2 (issue 1518) that one accepts nobody afterwards. Returns the lock's descriptor. */
static int ipc_lock_take(const char *path, struct err *err)
{
	struct ipc_lock_path lock = ipc_lock_path(path);
	struct stat ours, there;
	int fd, code;

	for (;;) {
		fd = open(lock.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_set(err, ERR_PERM, "IPC_PATH", "cannot open %s: %s", lock.text, strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			code = errno;
			close(fd);
			if (code == EWOULDBLOCK)
				return err_set(err, ERR_PERM, "IPC_IN_USE", "already running: somebody holds %s", lock.text);
			return err_set(err, ERR_PERM, "IPC_PATH", "cannot lock %s: %s", lock.text, strerror(code));
		}
		if (fstat(fd, &ours) == 0 && lstat(lock.text, &there) == 0 && ours.st_ino == there.st_ino &&
		    ours.st_dev == there.st_dev)
			return fd;
		close(fd); /* the holder before us removed the file between our open and our lock */
	}
}

static void ipc_lock_drop(const char *path, int fd)
{
	struct ipc_lock_path lock = ipc_lock_path(path);

	unlink(lock.text); /* while we still hold it */
	close(fd);
}

/* What a server or publisher listens with. */
struct ipc_ear {
	char path[PATH_BYTES];
	nng_socket socket;
	nng_listener listener;
	int lock_fd; /* guards the path */
	struct ipc_guard guard;
};

static int ipc_listener_start(struct ipc_ear *ear, const struct ipc_url *url, struct err *err)
{
	int rv = nng_listener_create(&ear->listener, ear->socket, url->text);

	if (rv == 0)
		rv = nng_listener_set_int(ear->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
	if (rv == 0)
		rv = nng_listener_start(ear->listener, 0);
	return rv == 0 ? 0 : ipc_nng_error(err, "cannot listen on", ear->path, rv);
}

/* The socket is open. */
static int ipc_listen(struct ipc_ear *ear, const char *path, struct err *err)
{
	struct ipc_url url;
	int fd;

	if (ipc_url_set(&url, path, err) != 0)
		return -1;
	fd = ipc_lock_take(path, err);
	if (fd < 0)
		return -1;
	snprintf(ear->path, sizeof(ear->path), "%s", path);
	if (ipc_path_check(path, err) == 0 && ipc_listener_start(ear, &url, err) == 0) {
		ear->lock_fd = fd;
		return 0;
	}
	ipc_lock_drop(path, fd);
	return -1;
}

/* First the path, then the lock: afterwards both may belong to our successor. */
static void ipc_unlisten(const struct ipc_ear *ear)
{
	unlink(ear->path);
	ipc_lock_drop(ear->path, ear->lock_fd);
}

/* --- threads and the guard of a listener -------------------------------------------------------------------------- */

static int ipc_thread_start(void *(*main)(void *), void *arg, const char *name, struct err *err)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, main, arg);

	if (rc != 0)
		return err_set(err, ERR_TEMP, "IPC_SETUP", "cannot start thread %s: %s", name, strerror(rc));
	pthread_setname_np(thread, name);
	pthread_detach(thread);
	return 0;
}

/* For ipc_guard: a new listener in place of a deaf one. That one goes with all its connections: nng let them in as far as the greeting,
 * and their owners would wait for ever. 1 when the owner has stopped. */
static int ipc_relisten(struct ipc_ear *ear, pthread_mutex_t *lock, const bool *stopped, struct err *err)
{
	struct ipc_url url;
	int rc = ipc_url_set(&url, ear->path, err);

	pthread_mutex_lock(lock); /* once stopped, the path may be our successor's */
	if (*stopped)
		rc = 1;
	else if (rc == 0 && ipc_path_check(ear->path, err) == 0) {
		nng_listener_close(ear->listener);
		unlink(ear->path);
		rc = ipc_listener_start(ear, &url, err);
	} else {
		rc = -1;
	}
	pthread_mutex_unlock(lock);
	return rc;
}

/* --- server: REP contexts, each with its own thread ------------------------------------------------------------ */

struct ipc_server {
	struct ipc_object object;
	ipc_handler *handler;
	void *arg;
	struct ipc_ear ear;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	int in_hand; /* requests between receive and reply */
	bool stopping;
};

/* What one thread needs; lives as long as the thread, that is for ever. */
struct ipc_server_thread {
	struct ipc_server *server;
	nng_ctx ctx;
	nng_aio *aio;
	struct buf reply;
};

static bool ipc_server_enter(struct ipc_server *server)
{
	bool admitted;

	pthread_mutex_lock(&server->lock);
	admitted = !server->stopping;
	if (admitted)
		server->in_hand++;
	pthread_mutex_unlock(&server->lock);
	return admitted;
}

static void ipc_server_leave(struct ipc_server *server)
{
	pthread_mutex_lock(&server->lock);
	if (--server->in_hand == 0)
		pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

/* Fills message with the handler's reply. An empty message stands for "no answer". */
static void ipc_server_answer(struct ipc_server_thread *thread, nng_msg *message)
{
	struct ipc_server *server = thread->server;
	struct buf *reply = &thread->reply;
	bool usable;

	buf_clear(reply);
	if (nng_msg_len(message) == 0)
		buf_add_char(reply, '.'); /* somebody wants to know whether we are there */
	else
		server->handler(nng_msg_body(message), nng_msg_len(message), reply, server->arg);
	usable = !reply->failed && reply->len > 0;
	if (!usable)
		log_error("ipc: the reply to a request of %zu bytes is empty or larger than %d bytes; the client gets none",
		          nng_msg_len(message), IPC_MESSAGE_MAX);
	nng_msg_clear(message);
	if (usable && nng_msg_append(message, reply->data, reply->len) != 0) {
		log_error("ipc: out of memory for a reply of %zu bytes; the client gets none", reply->len);
		nng_msg_clear(message);
	}
}

/* One request. False when nng has no more for us. */
static bool ipc_server_turn(struct ipc_server_thread *thread)
{
	nng_msg *message;
	bool admitted;
	int rv;

	nng_ctx_recv(thread->ctx, thread->aio);
	nng_aio_wait(thread->aio);
	rv = nng_aio_result(thread->aio);
	if (rv != 0) {
		log_error("ipc: a server thread ends, receive failed: %s", nng_strerror(rv));
		return false;
	}
	message = nng_aio_get_msg(thread->aio);
	admitted = ipc_server_enter(thread->server);
	if (admitted)
		ipc_server_answer(thread, message);
	else
		nng_msg_clear(message);
	nng_aio_set_msg(thread->aio, message);
	nng_ctx_send(thread->ctx, thread->aio);
	nng_aio_wait(thread->aio);
	if (nng_aio_result(thread->aio) != 0)
		nng_msg_free(message); /* the client is gone; it knows that it has no answer */
	if (admitted)
		ipc_server_leave(thread->server);
	return true;
}

static void *ipc_server_main(void *arg)
{
	struct ipc_server_thread *thread = arg;

	while (ipc_server_turn(thread))
		continue;
	return NULL;
}

static int ipc_server_thread_start(struct ipc_server *server, struct err *err)
{
	struct ipc_server_thread *thread = calloc(1, sizeof(*thread));
	int rv;

	if (thread == NULL)
		return err_set(err, ERR_TEMP, "IPC_SETUP", "out of memory for a server thread");
	thread->server = server;
	buf_init(&thread->reply, IPC_MESSAGE_MAX);
	rv = nng_aio_alloc(&thread->aio, NULL, NULL);
	if (rv == 0) {
		nng_aio_set_timeout(thread->aio, NNG_DURATION_INFINITE);
		rv = nng_ctx_open(&thread->ctx, server->ear.socket);
	}
	if (rv == 0 && ipc_thread_start(ipc_server_main, thread, "ipc-rep", err) == 0)
		return 0;
	if (rv != 0)
		ipc_nng_error(err, "cannot serve", server->ear.path, rv);
	if (thread->aio != NULL)
		nng_aio_free(thread->aio);
	free(thread);
	return -1;
}

static int ipc_server_relisten(void *arg, struct err *err)
{
	struct ipc_server *server = arg;

	return ipc_relisten(&server->ear, &server->lock, &server->stopping, err);
}

struct ipc_server *ipc_server_start(const char *path, int threads, ipc_handler *handler, void *arg, struct err *err)
{
	struct ipc_server *server;
	int rv;

	assert(threads >= 1 && threads <= MAX_THREADS);
	server = calloc(1, sizeof(*server));
	if (server == NULL) {
		err_set(err, ERR_TEMP, "IPC_SETUP", "out of memory for the server on %s", path);
		return NULL;
	}
	server->handler = handler;
	server->arg = arg;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->idle, NULL);
	rv = nng_rep0_open(&server->ear.socket);
	if (rv == 0)
		rv = nng_socket_set_size(server->ear.socket, NNG_OPT_RECVMAXSZ, WIRE_MAX);
	if (rv != 0) {
		ipc_nng_error(err, "cannot open the server socket", path, rv);
		free(server);
		return NULL;
	}
	/* Listening comes first: it is the single-instance guard, and threads cannot be taken back. */
	if (ipc_listen(&server->ear, path, err) != 0) {
		free(server);
		return NULL;
	}
	ipc_keep(&server->object);
	for (int i = 0; i < threads; i++) {
		if (ipc_server_thread_start(server, err) != 0) {
			ipc_server_stop(server); /* not freed: threads before this one look at it */
			return NULL;
		}
	}
	server->ear.guard = (struct ipc_guard){ .path = server->ear.path, .relisten = ipc_server_relisten, .owner = server };
	if (ipc_thread_start(ipc_guard_main, &server->ear.guard, "ipc-guard", err) != 0) {
		ipc_server_stop(server);
		return NULL;
	}
	return server;
}

int64_t ipc_server_deaf_ms(struct ipc_server *server)
{
	return ipc_guard_deaf_ms(&server->ear.guard);
}

void ipc_server_stop(struct ipc_server *server)
{
	if (server == NULL)
		return;
	pthread_mutex_lock(&server->lock);
	if (!server->stopping)
		ipc_unlisten(&server->ear);
	server->stopping = true;
	while (server->in_hand > 0)
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

/* --- publisher ------------------------------------------------------------------------------------------------- */

struct ipc_publisher {
	struct ipc_object object;
	struct ipc_ear ear;
	pthread_mutex_t lock;
	bool stopped;
};

static void ipc_publisher_nudge(void *arg)
{
	ipc_publish(arg, "", 0);
}

static int ipc_publisher_relisten(void *arg, struct err *err)
{
	struct ipc_publisher *publisher = arg;

	return ipc_relisten(&publisher->ear, &publisher->lock, &publisher->stopped, err);
}

struct ipc_publisher *ipc_publisher_start(const char *path, struct err *err)
{
	struct ipc_publisher *publisher = calloc(1, sizeof(*publisher));
	int rv;

	if (publisher == NULL) {
		err_set(err, ERR_TEMP, "IPC_SETUP", "out of memory for the publisher on %s", path);
		return NULL;
	}
	pthread_mutex_init(&publisher->lock, NULL);
	rv = nng_pub0_open(&publisher->ear.socket);
	if (rv == 0)
		rv = nng_socket_set_int(publisher->ear.socket, NNG_OPT_SENDBUF, QUEUE_MESSAGES);
	if (rv == 0)
		rv = nng_socket_set_size(publisher->ear.socket, NNG_OPT_RECVMAXSZ, WIRE_MAX);
	if (rv != 0) {
		ipc_nng_error(err, "cannot open the publisher socket", path, rv);
		free(publisher);
		return NULL;
	}
	if (ipc_listen(&publisher->ear, path, err) != 0) {
		free(publisher);
		return NULL;
	}
	ipc_keep(&publisher->object);
	publisher->ear.guard = (struct ipc_guard){ .path = publisher->ear.path, .relisten = ipc_publisher_relisten,
		                                   .nudge = ipc_publisher_nudge, .owner = publisher };
	if (ipc_thread_start(ipc_guard_main, &publisher->ear.guard, "ipc-guard", err) != 0) {
		ipc_publisher_stop(publisher);
		return NULL;
	}
	return publisher;
}

int64_t ipc_publisher_deaf_ms(struct ipc_publisher *publisher)
{
	return ipc_guard_deaf_ms(&publisher->ear.guard);
}

void ipc_publish(struct ipc_publisher *publisher, const char *message, size_t len)
{
	nng_msg *msg;
	int rv = 0;

	assert(len <= IPC_MESSAGE_MAX);
	pthread_mutex_lock(&publisher->lock); /* also keeps the order of callers on the wire */
	if (!publisher->stopped) {
		rv = nng_msg_alloc(&msg, 0);
		if (rv == 0) {
			rv = nng_msg_append(msg, message, len);
			if (rv == 0)
				rv = nng_sendmsg(publisher->ear.socket, msg, NNG_FLAG_NONBLOCK);
			if (rv != 0)
				nng_msg_free(msg);
		}
	}
	pthread_mutex_unlock(&publisher->lock);
	if (rv != 0) /* not an error to anybody: what is published can be asked for again */
		log_warning("ipc: an event message of %zu bytes was not published: %s", len, nng_strerror(rv));
}

void ipc_publisher_stop(struct ipc_publisher *publisher)
{
	if (publisher == NULL)
		return;
	pthread_mutex_lock(&publisher->lock);
	if (!publisher->stopped)
		ipc_unlisten(&publisher->ear);
	publisher->stopped = true;
	pthread_mutex_unlock(&publisher->lock);
}

/* --- client: a few REQ sockets taken in turn ------------------------------------------------------------------- */

/* One end that connects. */
struct ipc_line {
	nng_socket socket;
	nng_dialer dialer;
};

struct ipc_client {
	struct ipc_object object;
	char path[PATH_BYTES];
	int count;
	int absent_ms; /* 0: as long as the request */
	struct ipc_line lines[IPC_MAX_CLIENT_SOCKETS];
	bool taken[IPC_MAX_CLIENT_SOCKETS];
	pthread_mutex_t lock;
	pthread_cond_t returned;
};

/* Dials in the background, for ever. */
static int ipc_dial(struct ipc_line *line, const char *path, struct err *err)
{
	struct ipc_url url;
	int rv;

	if (ipc_url_set(&url, path, err) != 0)
		return -1;
	rv = nng_dialer_create(&line->dialer, line->socket, url.text);
	if (rv == 0)
		rv = nng_dialer_set_ms(line->dialer, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
	if (rv == 0)
		rv = nng_dialer_set_ms(line->dialer, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
	if (rv == 0)
		rv = nng_dialer_set_size(line->dialer, NNG_OPT_RECVMAXSZ, WIRE_MAX);
	if (rv == 0)
		rv = nng_dialer_start(line->dialer, NNG_FLAG_NONBLOCK);
	return rv == 0 ? 0 : ipc_nng_error(err, "cannot dial", path, rv);
}

/* A peer that dies while we connect to it makes nng 1.5.2 stop dialling for good, as it makes a listener deaf. Only for a line that has
 * no connection although the peer answers others. */
static void ipc_redial(struct ipc_line *line, const char *path)
{
	struct err err = ERR_INIT;

	nng_dialer_close(line->dialer);
	if (ipc_dial(line, path, &err) != 0)
		log_error("ipc: %s", err.text);
}

static int ipc_req_open(struct ipc_line *line, const char *path, struct err *err)
{
	int rv = nng_req0_open(&line->socket);

	/* Never resend: nng would deliver a request twice; who repeats decides that for himself. */
	if (rv == 0)
		rv = nng_socket_set_ms(line->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
	if (rv != 0)
		return ipc_nng_error(err, "cannot open a client socket for", path, rv);
	return ipc_dial(line, path, err);
}

struct ipc_client *ipc_client_new(const char *path, int sockets, struct err *err)
{
	struct ipc_client *client;
	pthread_condattr_t attr;

	assert(sockets >= 1 && sockets <= IPC_MAX_CLIENT_SOCKETS);
	client = calloc(1, sizeof(*client));
	if (client == NULL) {
		err_set(err, ERR_TEMP, "IPC_SETUP", "out of memory for the client of %s", path);
		return NULL;
	}
	snprintf(client->path, sizeof(client->path), "%s", path);
	client->count = sockets;
	for (int i = 0; i < sockets; i++) {
		if (ipc_req_open(&client->lines[i], path, err) != 0) {
			free(client);
			return NULL;
		}
	}
	pthread_mutex_init(&client->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&client->returned, &attr);
	pthread_condattr_destroy(&attr);
	ipc_keep(&client->object);
	return client;
}

void ipc_client_patience(struct ipc_client *client, int absent_ms)
{
	assert(absent_ms > 0);
	client->absent_ms = absent_ms;
}

static int ipc_client_free_slot(const struct ipc_client *client)
{
	for (int i = 0; i < client->count; i++)
		if (!client->taken[i])
			return i;
	return -1;
}

/* The index of a socket that is ours until ipc_client_put, or -1 when none came free in time. */
static int ipc_client_take(struct ipc_client *client, int64_t deadline_ms)
{
	struct timespec until = { .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };
	int slot, rc = 0;

	pthread_mutex_lock(&client->lock);
	for (;;) {
		slot = ipc_client_free_slot(client);
		if (slot >= 0 || rc == ETIMEDOUT)
			break;
		rc = pthread_cond_timedwait(&client->returned, &client->lock, &until);
	}
	if (slot >= 0)
		client->taken[slot] = true;
	pthread_mutex_unlock(&client->lock);
	return slot;
}

static void ipc_client_put(struct ipc_client *client, int slot)
{
	pthread_mutex_lock(&client->lock);
	client->taken[slot] = false;
	pthread_cond_signal(&client->returned);
	pthread_mutex_unlock(&client->lock);
}

/* A time-out of 0 means "do not wait" to nng, a negative one "for ever". */
static int64_t ipc_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_kernel_ms();

	return left < 1 ? 1 : left;
}

/* At most until deadline_ms. A message that could not be sent stays with the caller. */
static int ipc_send_message(nng_socket socket, nng_msg *message, int64_t deadline_ms)
{
	int rv = nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, (nng_duration)ipc_left_ms(deadline_ms));

	return rv == 0 ? nng_sendmsg(socket, message, 0) : rv;
}

static int ipc_send(struct ipc_client *client, struct ipc_line *line, const char *request, size_t len, int64_t deadline_ms,
                    struct err *err)
{
	nng_msg *message = NULL;
	int64_t begun_ms = clock_kernel_ms(), half_ms;
	int rv = nng_msg_alloc(&message, 0);

	if (client->absent_ms > 0 && begun_ms + client->absent_ms < deadline_ms)
		deadline_ms = begun_ms + client->absent_ms;
	half_ms = (deadline_ms - begun_ms) / 2;
	if (rv == 0)
		rv = nng_msg_append(message, request, len);
	if (rv == 0)
		rv = ipc_send_message(line->socket, message, begun_ms + (half_ms < REDIAL_AFTER_MS ? half_ms : REDIAL_AFTER_MS));
	if (rv == NNG_ETIMEDOUT) {
		int64_t left_ms = ipc_left_ms(deadline_ms);

		if (ipc_probe(client->path, "", 0, (int)(left_ms < REDIAL_PROBE_MS ? left_ms : REDIAL_PROBE_MS), NULL, NULL) == 0)
			ipc_redial(line, client->path);
		rv = ipc_send_message(line->socket, message, deadline_ms);
	}
	if (rv == 0)
		return 0;
	if (message != NULL)
		nng_msg_free(message);
	if (rv == NNG_ETIMEDOUT)
		return err_set(err, ERR_TEMP, "IPC_ABSENT", "nobody answers on %s; the request was not sent", client->path);
	return err_set(err, ERR_TEMP, "IPC_DOWN", "sending to %s failed, the request was not sent: %s", client->path,
	               nng_strerror(rv));
}

static int ipc_receive(struct ipc_client *client, nng_socket socket, int64_t left_ms, struct buf *reply,
                       struct err *err)
{
	nng_msg *message = NULL;
	int rv = nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, (nng_duration)left_ms);

	if (rv == 0)
		rv = nng_recvmsg(socket, &message, 0);
	if (rv == NNG_ETIMEDOUT)
		return err_set(err, ERR_TEMP, "IPC_TIMEOUT", "no reply from %s in time; the outcome is unknown", client->path);
	if (rv != 0)
		return err_set(err, ERR_TEMP, "IPC_DOWN",
		               "the connection to %s ended before the reply, the outcome is unknown: %s", client->path,
		               nng_strerror(rv));
	if (nng_msg_len(message) == 0) {
		nng_msg_free(message);
		return err_set(err, ERR_TEMP, "IPC_DOWN",
		               "the process behind %s is stopping or has no reply; the outcome is unknown", client->path);
	}
	buf_clear(reply);
	buf_add(reply, nng_msg_body(message), nng_msg_len(message));
	nng_msg_free(message);
	return buf_check(reply, "ipc reply", err);
}

int ipc_request(struct ipc_client *client, const char *request, size_t len, int timeout_ms, struct buf *reply,
                struct err *err)
{
	int64_t deadline_ms = clock_kernel_ms() + timeout_ms;
	struct ipc_line *line;
	int slot, rc;

	assert(timeout_ms > 0);
	if (len > IPC_MESSAGE_MAX)
		return err_set(err, ERR_PERM, "IPC_TOO_LARGE", "a request of %zu bytes is larger than %d bytes", len,
		               IPC_MESSAGE_MAX);
	slot = ipc_client_take(client, deadline_ms);
	if (slot < 0)
		return err_set(err, ERR_TEMP, "IPC_TIMEOUT",
		               "all %d connections to %s stayed busy for %d ms; the request was not sent", client->count,
		               client->path, timeout_ms);
	line = &client->lines[slot];
	rc = ipc_send(client, line, request, len, deadline_ms, err);
	if (rc == 0)
		rc = ipc_receive(client, line->socket, ipc_left_ms(deadline_ms), reply, err);
	ipc_client_put(client, slot);
	return rc;
}

/* --- subscriber ------------------------------------------------------------------------------------------------ */

struct ipc_subscriber {
	void (*receive)(const char *message, size_t len, void *arg);
	void *arg;
	char path[PATH_BYTES];
	struct ipc_line line;
	_Atomic int64_t heard_ms;
	nng_aio *aio; /* without a time-out: those of SUB sockets crash this version of nng */
};

static void *ipc_subscriber_main(void *arg)
{
	struct ipc_subscriber *subscriber = arg;
	nng_msg *message;
	int rv;

	for (;;) {
		nng_recv_aio(subscriber->line.socket, subscriber->aio);
		nng_aio_wait(subscriber->aio);
		rv = nng_aio_result(subscriber->aio);
		if (rv != 0)
			break;
		message = nng_aio_get_msg(subscriber->aio);
		atomic_store(&subscriber->heard_ms, clock_kernel_ms());
		if (nng_msg_len(message) > 0) /* an empty one is the publisher's self-check */
			subscriber->receive(nng_msg_body(message), nng_msg_len(message), subscriber->arg);
		nng_msg_free(message);
	}
	log_error("ipc: the event thread ends, receive failed: %s", nng_strerror(rv));
	return NULL;
}

/* A living publisher is heard at least once a second: it publishes for its own guard. */
static void *ipc_subscriber_watch(void *arg)
{
	struct ipc_subscriber *subscriber = arg;
	struct timespec pause = { .tv_sec = 1 };

	for (;;) {
		nanosleep(&pause, NULL);
		if (clock_kernel_ms() - atomic_load(&subscriber->heard_ms) < SILENCE_MS ||
		    ipc_probe_events(subscriber->path, NULL, NULL, SILENCE_MS, NULL) != 0 ||
		    clock_kernel_ms() - atomic_load(&subscriber->heard_ms) < SILENCE_MS)
			continue;
		ipc_redial(&subscriber->line, subscriber->path);
		atomic_store(&subscriber->heard_ms, clock_kernel_ms());
	}
	return NULL;
}

struct ipc_subscriber *ipc_subscriber_start(const char *path,
                                            void (*receive)(const char *message, size_t len, void *arg), void *arg,
                                            struct err *err)
{
	struct ipc_subscriber *subscriber = calloc(1, sizeof(*subscriber));
	int rv;

	if (subscriber == NULL) {
		err_set(err, ERR_TEMP, "IPC_SETUP", "out of memory for the subscriber of %s", path);
		return NULL;
	}
	subscriber->receive = receive;
	subscriber->arg = arg;
	snprintf(subscriber->path, sizeof(subscriber->path), "%s", path);
	atomic_store(&subscriber->heard_ms, clock_kernel_ms());
	rv = nng_aio_alloc(&subscriber->aio, NULL, NULL);
	if (rv == 0) {
		nng_aio_set_timeout(subscriber->aio, NNG_DURATION_INFINITE);
		rv = nng_sub0_open(&subscriber->line.socket);
	}
	if (rv == 0)
		rv = nng_socket_set_int(subscriber->line.socket, NNG_OPT_RECVBUF, QUEUE_MESSAGES);
	if (rv == 0)
		rv = nng_socket_set(subscriber->line.socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
	if (rv != 0) {
		ipc_nng_error(err, "cannot open the subscriber socket for", path, rv);
		goto failed;
	}
	if (ipc_dial(&subscriber->line, path, err) != 0)
		goto failed;
	if (ipc_thread_start(ipc_subscriber_main, subscriber, "ipc-sub", err) != 0)
		goto failed;
	if (ipc_thread_start(ipc_subscriber_watch, subscriber, "ipc-sub-watch", err) != 0)
		return NULL; /* not freed: the other thread looks at it */
	return subscriber;
failed:
	if (subscriber->aio != NULL)
		nng_aio_free(subscriber->aio);
	free(subscriber);
	return NULL;
}
