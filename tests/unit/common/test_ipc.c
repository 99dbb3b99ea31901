/* Tests of common/ipc: commands and events between processes that time out, stop, restart and are killed.
 * nng does not survive fork(), so the other processes are this program run again in another role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/ipc.h"
#include "common/ipc_probe.h"

#define LONG_MS 20000 /* nobody should ever wait that long; generous for sanitizers on a busy machine */

extern char **environ;
static char folder[80];

/* --- helpers: time, paths, the gate, the handler --------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&span, NULL);
}

static const char *path_of(char *out, size_t size, const char *name)
{
	if (snprintf(out, size, "%s/%s", folder, name) >= (int)size)
		fail_msg("path of %s is too long", name);
	return out;
}
#define PATH(name) path_of((char[120]){ 0 }, 120, name)

/* Requests "gate:..." wait inside the handler until the gate is open; entered counts those that came in. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	int entered;
	int openings; /* who was let through once must not meet the next closing before it woke up */
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0 };

static void gate_set(bool open)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = open;
	if (open)
		gate.openings++;
	else
		gate.entered = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_await_entered(int count)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.entered < count)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void)
{
	int openings;

	pthread_mutex_lock(&gate.lock);
	gate.entered++;
	openings = gate.openings;
	pthread_cond_broadcast(&gate.changed);
	while (!gate.open && gate.openings == openings)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

/* Answers with the request itself, after what its first word asks for. */
static void handle(const char *request, size_t len, struct buf *reply, void *arg)
{
	(void)arg;
	if (len >= 5 && memcmp(request, "gate:", 5) == 0)
		gate_pass();
	if (len >= 5 && memcmp(request, "slow:", 5) == 0)
		pause_ms(10);
	if (len >= 5 && memcmp(request, "hang:", 5) == 0)
		pause_ms(LONG_MS);
	if (len >= 6 && memcmp(request, "empty:", 6) == 0)
		return;
	if (len >= 5 && memcmp(request, "huge:", 5) == 0)
		for (int i = 0; i <= IPC_MESSAGE_MAX / 64; i++)
			buf_addf(reply, "%064d", i);
	buf_add(reply, request, len);
}

static struct ipc_server *serve(const char *path, int threads)
{
	struct err err = ERR_INIT;
	struct ipc_server *server = ipc_server_start(path, threads, handle, NULL, &err);

	if (server == NULL)
		fail_msg("server: %s", err.text);
	return server;
}

static struct ipc_client *client_of(const char *path, int sockets)
{
	struct err err = ERR_INIT;
	struct ipc_client *client = ipc_client_new(path, sockets, &err);

	if (client == NULL)
		fail_msg("client: %s", err.text);
	return client;
}

/* Sends text; 0 when exactly it came back, -1 with err; a wrong reply ends the program (also from threads). */
static int ask(struct ipc_client *client, const char *text, int timeout_ms, struct err *err)
{
	struct buf reply;
	int rc;

	buf_init(&reply, IPC_MESSAGE_MAX);
	rc = ipc_request(client, text, strlen(text), timeout_ms, &reply, err);
	if (rc == 0 && (reply.len != strlen(text) || memcmp(reply.data, text, reply.len) != 0)) {
		fprintf(stderr, "wrong reply: asked \"%s\", got \"%s\"\n", text, buf_text(&reply));
		abort();
	}
	buf_release(&reply);
	return rc;
}

static void must_ask(struct ipc_client *client, const char *text)
{
	struct err err = ERR_INIT;

	if (ask(client, text, LONG_MS, &err) != 0)
		fail_msg("%s: %s", text, err.text);
}

static void must_fail(struct ipc_client *client, const char *text, int timeout_ms, const char *code, const char *words)
{
	struct err err = ERR_INIT;

	assert_int_equal(ask(client, text, timeout_ms, &err), -1);
	assert_string_equal(err.code, code);
	assert_int_equal(err.class, ERR_TEMP);
	assert_non_null(strstr(err.text, words));
}

/* --- other processes ------------------------------------------------------------------------------------------- */

/* Runs this program again as `role path`; returns once it wrote its first byte. */
static pid_t spawn_role(const char *role, const char *path)
{
	char program[300], role_arg[20], path_arg[120], byte;
	char *argv[] = { program, role_arg, path_arg, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1); /* valgrind: our name, not its own */

	assert_true(len > 0);
	program[len] = '\0';
	snprintf(role_arg, sizeof(role_arg), "%s", role);
	snprintf(path_arg, sizeof(path_arg), "%s", path);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		fail_msg("%s on %s did not come up", role, path);
	close(fds[0]);
	return pid;
}

static void kill_role(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Afterwards nobody reads our standard output, and a line logged there must not kill us. */
static void say_up(void)
{
	if (write(STDOUT_FILENO, "+", 1) != 1 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		_exit(2);
}

static void role_publish(const char *path)
{
	struct err err = ERR_INIT;
	struct ipc_publisher *publisher = ipc_publisher_start(path, &err);
	char message[64];

	if (publisher == NULL)
		_exit(2);
	say_up();
	for (long number = 1;; number++) {
		int len = snprintf(message, sizeof(message), "%d %ld", (int)getpid(), number);

		ipc_publish(publisher, message, (size_t)len);
		pause_ms(1);
	}
}

static void *role_client_thread(void *arg)
{
	struct err err = ERR_INIT;
	char text[64];

	for (long i = 0;; i++) {
		snprintf(text, sizeof(text), "%s %d %p %ld", i % 4 == 0 ? "slow:" : "echo:", (int)getpid(), (void *)&i, i);
		if (ask(arg, text, i % 4 == 0 ? 5 : 500, &err) != 0)
			err_clear(&err);
	}
	return NULL;
}

static int role_main(const char *role, const char *path)
{
	struct err err = ERR_INIT;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strcmp(role, "publish") == 0)
		role_publish(path);
	if (strcmp(role, "serve") == 0) {
		if (ipc_server_start(path, 8, handle, NULL, &err) == NULL)
			_exit(2);
		say_up();
		for (;;)
			pause();
	}
	if (strcmp(role, "ask") == 0) {
		struct ipc_client *client = ipc_client_new(path, 4, &err);

		if (client == NULL)
			_exit(2);
		for (int i = 0; i < 3; i++)
			pthread_create(&thread, NULL, role_client_thread, client);
		say_up();
		role_client_thread(client);
	}
	return 2;
}

/* --- commands -------------------------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
	static char big[IPC_MESSAGE_MAX + 1];
	const size_t sizes[] = { 1, 200, 70000, IPC_MESSAGE_MAX };
	struct ipc_client *client;
	struct err err = ERR_INIT;
	struct buf reply;

	(void)state;
	serve(PATH("round"), 2);
	client = client_of(PATH("round"), 1);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
	buf_init(&reply, IPC_MESSAGE_MAX);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(ipc_request(client, big, sizes[i], LONG_MS, &reply, &err), 0);
		assert_int_equal(reply.len, sizes[i]);
		assert_memory_equal(reply.data, big, sizes[i]);
	}
	assert_int_equal(ipc_request(client, big, sizeof(big), LONG_MS, &reply, &err), -1);
	assert_string_equal(err.code, "IPC_TOO_LARGE");
	assert_int_equal(err.class, ERR_PERM);
	must_ask(client, "still there");
	buf_release(&reply);
	buf_init(&reply, 4); /* the caller's own maximum holds too */
	assert_int_equal(ipc_request(client, "12345", 5, LONG_MS, &reply, &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	buf_release(&reply);
}

static atomic_int losses_allowed; /* each socket may lose one request to a restart it has not noticed yet */

static void *ask_many(void *arg)
{
	struct err err = ERR_INIT;
	char text[64];

	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "thread %lx number %d", (unsigned long)pthread_self(), i);
		while (ask(arg, text, LONG_MS, &err) != 0) {
			if (strcmp(err.code, "IPC_DOWN") != 0 || atomic_fetch_sub(&losses_allowed, 1) <= 0) {
				fprintf(stderr, "%s: %s\n", text, err.text);
				return arg;
			}
		}
	}
	return NULL;
}

static void ask_with_threads(struct ipc_client *client, int count)
{
	pthread_t threads[16];
	void *failed;

	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_many, client), 0);
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void test_many_threads(void **state)
{
	(void)state;
	serve(PATH("many"), 4);
	ask_with_threads(client_of(PATH("many"), IPC_MAX_CLIENT_SOCKETS), 8);
	ask_with_threads(client_of(PATH("many"), 2), 16);
}

static void test_late_reply_is_not_taken_for_the_next(void **state)
{
	struct ipc_client *client;
	char text[40];

	(void)state;
	serve(PATH("late"), 2);
	client = client_of(PATH("late"), 1);
	must_ask(client, "warm");
	for (int i = 0; i < 20; i++) {
		gate_set(false);
		snprintf(text, sizeof(text), "gate: old %d", i);
		must_fail(client, text, 60, "IPC_TIMEOUT", "outcome is unknown");
		gate_await_entered(1);
		if (i % 2 == 0) { /* the old reply arrives before the next request, or while that one waits */
			gate_set(true);
			must_ask(client, "new");
		} else {
			must_ask(client, "new, while the old one is in hand");
			gate_set(true);
		}
		must_ask(client, "newer");
	}
}

/* Patience is for an absent peer only: a slow reply gets the request's whole time. */
static void test_patience(void **state)
{
	struct ipc_client *client = client_of(PATH("patience"), 1);
	int64_t start_ms = now_ms();

	(void)state;
	ipc_client_patience(client, 100);
	must_fail(client, "hello", LONG_MS, "IPC_ABSENT", "not sent");
	assert_in_range(now_ms() - start_ms, 90, LONG_MS / 2);
	serve(PATH("patience"), 1);
	ipc_client_patience(client, LONG_MS);
	must_ask(client, "hello");
	ipc_client_patience(client, 5);
	must_ask(client, "slow:");
}

static void test_nobody_there_then_somebody(void **state)
{
	struct ipc_client *client = client_of(PATH("nobody"), 1);
	int64_t start_ms = now_ms();

	(void)state;
	must_fail(client, "hello", 150, "IPC_ABSENT", "not sent");
	assert_in_range(now_ms() - start_ms, 140, LONG_MS / 2);
	serve(PATH("nobody"), 1);
	must_ask(client, "hello");
}

static void *ask_gate(void *arg)
{
	struct err err = ERR_INIT;

	return ask(arg, "gate: in hand", LONG_MS, &err) == 0 ? NULL : arg;
}

static void test_all_sockets_busy(void **state)
{
	struct ipc_client *client;
	pthread_t thread;
	void *failed;

	(void)state;
	serve(PATH("busy"), 2);
	client = client_of(PATH("busy"), 1);
	gate_set(false);
	pthread_create(&thread, NULL, ask_gate, client);
	gate_await_entered(1);
	must_fail(client, "me too", 50, "IPC_TIMEOUT", "stayed busy");
	gate_set(true);
	pthread_join(thread, &failed);
	assert_null(failed);
	must_ask(client, "me too");
}

static void *stop_server(void *server)
{
	ipc_server_stop(server);
	return NULL;
}

static void test_stop_finishes_what_is_in_hand(void **state)
{
	struct ipc_server *server = serve(PATH("stop"), 2);
	struct ipc_client *client = client_of(PATH("stop"), 2);
	pthread_t asking, stopping;
	void *failed;

	(void)state;
	gate_set(false);
	pthread_create(&asking, NULL, ask_gate, client);
	gate_await_entered(1);
	pthread_create(&stopping, NULL, stop_server, server);
	while (access(PATH("stop"), F_OK) == 0)
		pause_ms(1);
	must_fail(client, "too late", LONG_MS, "IPC_DOWN", "stopping");
	assert_int_equal(pthread_tryjoin_np(stopping, NULL), EBUSY);
	gate_set(true);
	pthread_join(asking, &failed);
	assert_null(failed);
	pthread_join(stopping, NULL);
	ipc_server_stop(NULL);
	serve(PATH("stop"), 1); /* the successor takes the path; stopping again must not take it away from him */
	ipc_server_stop(server);
	must_ask(client_of(PATH("stop"), 1), "successor");
}

static void test_handler_without_usable_reply(void **state)
{
	struct ipc_client *client;

	(void)state;
	serve(PATH("reply"), 1);
	client = client_of(PATH("reply"), 1);
	must_fail(client, "empty:", LONG_MS, "IPC_DOWN", "no reply");
	must_fail(client, "huge:", LONG_MS, "IPC_DOWN", "no reply");
	must_ask(client, "fine");
}

/* --- paths ----------------------------------------------------------------------------------------------------- */

static void must_refuse(const char *path, const char *code, const char *words)
{
	struct err err = ERR_INIT;

	assert_null(ipc_server_start(path, 1, handle, NULL, &err));
	assert_string_equal(err.code, code);
	assert_int_equal(err.class, ERR_PERM);
	assert_non_null(strstr(err.text, words));
	err_clear(&err);
	assert_null(ipc_publisher_start(path, &err));
	assert_string_equal(err.code, code);
}

static void test_only_sockets_are_replaced(void **state)
{
	char long_path[200], content[20] = "";
	struct err err = ERR_INIT;
	FILE *file = fopen(PATH("file"), "w");

	(void)state;
	assert_non_null(file);
	fputs("precious", file);
	fclose(file);
	assert_int_equal(symlink(PATH("file"), PATH("link")), 0);
	must_refuse(PATH("file"), "IPC_PATH", "not a socket");
	must_refuse(PATH("link"), "IPC_PATH", "not a socket");
	must_refuse(folder, "IPC_PATH", "not a socket");
	file = fopen(PATH("file"), "r");
	assert_non_null(file);
	assert_non_null(fgets(content, sizeof(content), file));
	fclose(file);
	assert_string_equal(content, "precious");

	must_refuse(PATH("none/sock"), "IPC_PATH", "none");
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[108] = '\0';
	must_refuse(long_path, "IPC_PATH", "108 bytes");
	must_refuse("", "IPC_PATH", "0 bytes");
	assert_null(ipc_client_new(long_path, 1, &err));
	assert_string_equal(err.code, "IPC_PATH");
}

/* The second part matters: nng's own test for a living listener leaves that one deaf to everybody who comes later. */
static void test_mode_and_single_instance(void **state)
{
	mode_t mask = umask(0);
	struct ipc_server *server;
	struct stat st;

	(void)state;
	server = serve(PATH("single"), 1);
	umask(mask);
	assert_int_equal(lstat(PATH("single"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	must_refuse(PATH("single"), "IPC_IN_USE", "already running");
	must_ask(client_of(PATH("single"), 1), "untouched");
	assert_int_equal(ipc_server_deaf_ms(server), 0);
}

static int raw_socket(const char *path, bool listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (listening)
		assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	else
		assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void test_stale_socket_is_replaced(void **state)
{
	(void)state;
	close(raw_socket(PATH("stale"), true));
	assert_int_equal(access(PATH("stale"), F_OK), 0);
	serve(PATH("stale"), 1);
	must_ask(client_of(PATH("stale"), 1), "fresh");
}

static void test_foreign_listener_is_left_alone(void **state)
{
	int fd = raw_socket(PATH("foreign"), true);

	(void)state;
	assert_int_equal(listen(fd, 4), 0);
	must_refuse(PATH("foreign"), "IPC_IN_USE", "already running");
	close(raw_socket(PATH("foreign"), false));
	close(fd);
	assert_int_equal(access(PATH("foreign.lock"), F_OK), -1);
}

/* What a foreign client may announce: a message of 1 MB. The connection ends before anything is allocated for it. */
static void test_oversize_on_the_wire(void **state)
{
	static const char hello[] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
	static const char head[] = { 1, 0, 0, 0, 0, 0, 0x10, 0, 0 };
	char answer[64];
	ssize_t got;
	int fd;

	(void)state;
	serve(PATH("wire"), 1);
	fd = raw_socket(PATH("wire"), false);
	assert_int_equal(write(fd, hello, sizeof(hello)), sizeof(hello));
	assert_int_equal(recv(fd, answer, sizeof(hello), MSG_WAITALL), sizeof(hello));
	assert_memory_equal(answer, "\0SP\0", 4);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	do
		got = read(fd, answer, sizeof(answer));
	while (got > 0);
	assert_true(got == 0 || errno == ECONNRESET);
	close(fd);
	must_ask(client_of(PATH("wire"), 1), "others are served");
}

/* nng 1.5.2 (issue 1518): peers that hang up while they connect leave the listener deaf. It must hear again by itself, and those who
 * connected meanwhile must not be forgotten. */
static void must_ask_across_relisten(struct ipc_client *client, const char *text)
{
	struct err err = ERR_INIT;

	if (ask(client, text, LONG_MS, &err) == 0)
		return;
	assert_string_equal(err.code, "IPC_DOWN"); /* cut off, not forgotten */
	must_ask(client, text);
}

static void test_deaf_listener_listens_anew(void **state)
{
	pid_t pid = spawn_role("serve", PATH("deaf")); /* not here: nng never frees those it has forgotten */
	struct ipc_client *early = client_of(PATH("deaf"), 1);
	struct stat st;

	(void)state;
	must_ask(early, "before");
	for (int i = 0; i < 50; i++)
		close(raw_socket(PATH("deaf"), false));
	must_ask_across_relisten(client_of(PATH("deaf"), 1), "a newcomer");
	must_ask_across_relisten(early, "one from before");
	must_ask(client_of(PATH("deaf"), 1), "after");
	assert_int_equal(lstat(PATH("deaf"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	kill_role(pid);
}

/* Lets somebody in and hangs up before the greeting, as a peer that dies while it comes up. */
static void hang_up_on_one(const char *path, bool accepted, bool greeted)
{
	int fd = raw_socket(path, true), peer = -1;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char greeting[8];

	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(poll(&wait, 1, LONG_MS), 1);
	if (accepted)
		assert_true((peer = accept(fd, NULL, NULL)) >= 0);
	if (greeted)
		assert_int_equal(recv(peer, greeting, sizeof(greeting), MSG_WAITALL), sizeof(greeting));
	if (peer >= 0)
		close(peer);
	close(fd);
	unlink(path);
}

/* The other end of the same bug: a dialler whose peer dies while it connects dials no more. */
static void test_stuck_client_dials_anew(void **state)
{
	const char *path;

	(void)state;
	for (int way = 0; way < 3; way++) {
		path = path_of((char[120]){ 0 }, 120, (const char *[]){ "stuck-0", "stuck-1", "stuck-2" }[way]);
		struct ipc_client *client = client_of(path, 1);

		hang_up_on_one(path, way > 0, way > 1);
		serve(path, 1);
		must_ask(client, "hello");
	}
}

static void must_not_reach(const char *path, const char *code, int timeout_ms)
{
	struct err err = ERR_INIT;

	assert_int_equal(ipc_probe(path, "x", 1, timeout_ms, NULL, &err), -1);
	assert_string_equal(err.code, code);
}

static void publish_one(void *publisher)
{
	ipc_publish(publisher, "x", 1);
}

static void test_probe(void **state)
{
	struct ipc_publisher *publisher;
	struct err err = ERR_INIT;
	struct buf reply;
	char long_path[200];
	int fd = raw_socket(PATH("silent"), true);

	(void)state;
	serve(PATH("probe"), 1);
	buf_init(&reply, IPC_MESSAGE_MAX);
	assert_int_equal(ipc_probe(PATH("probe"), "question", 8, LONG_MS, &reply, &err), 0);
	assert_string_equal(buf_text(&reply), "question");
	buf_clear(&reply);
	assert_int_equal(ipc_probe(PATH("probe"), "", 0, LONG_MS, &reply, &err), 0); /* not for the handler */
	assert_string_equal(buf_text(&reply), ".");
	buf_release(&reply);
	buf_init(&reply, 3);
	assert_int_equal(ipc_probe(PATH("probe"), "question", 8, LONG_MS, &reply, &err), -1);
	buf_release(&reply);
	must_not_reach(PATH("nobody-there"), "IPC_DOWN", LONG_MS);
	must_not_reach(PATH("silent"), "IPC_DOWN", LONG_MS); /* bound, nobody listens */
	assert_int_equal(listen(fd, 4), 0);
	must_not_reach(PATH("silent"), "IPC_TIMEOUT", 50);
	close(fd);
	assert_non_null(publisher = ipc_publisher_start(PATH("probe-events"), &err));
	must_not_reach(PATH("probe-events"), "IPC_DOWN", LONG_MS); /* another protocol */
	assert_int_equal(ipc_probe_events(PATH("probe-events"), publish_one, publisher, LONG_MS, &err), 0);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	must_not_reach(long_path, "IPC_PATH", LONG_MS);
}

/* --- restarts -------------------------------------------------------------------------------------------------- */

static void *ask_hang(void *arg)
{
	struct err *err = calloc(1, sizeof(*err));

	if (ask(arg, "hang:", LONG_MS, err) == 0)
		abort();
	return err;
}

static void test_server_killed_and_restarted(void **state)
{
	pid_t pid = spawn_role("serve", PATH("kill"));
	struct ipc_client *client = client_of(PATH("kill"), 2);
	int64_t start_ms = now_ms();
	pthread_t thread;
	void *err;

	(void)state;
	must_ask(client, "first life");
	must_refuse(PATH("kill"), "IPC_IN_USE", "already running");
	must_ask(client_of(PATH("kill"), 1), "newcomers are accepted");
	pthread_create(&thread, NULL, ask_hang, client);
	for (int i = 0; i < 50; i++) /* both sockets have been connected for a while: "hang:" is on its way */
		must_ask(client, "meanwhile");
	kill_role(pid);
	pthread_join(thread, &err);
	assert_string_equal(((struct err *)err)->code, "IPC_DOWN");
	free(err);
	struct err dead = ERR_INIT;
	assert_int_equal(ask(client, "dead", 100, &dead), -1);
	assert_true(strcmp(dead.code, "IPC_DOWN") == 0 || strcmp(dead.code, "IPC_ABSENT") == 0); /* nng may not have noticed yet */
	assert_true(now_ms() - start_ms < LONG_MS);
	assert_int_equal(access(PATH("kill"), F_OK), 0);
	pid = spawn_role("serve", PATH("kill"));
	must_ask(client, "second life");
	kill_role(pid);
}

/* --- events ---------------------------------------------------------------------------------------------------- */

/* Everything a subscriber saw: per process ("boot") the numbers must follow one another. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t more;
	int boot;
	long last, count;
	bool gap;
};

static void see(const char *message, size_t len, void *arg)
{
	struct seen *seen = arg;
	char text[64];
	long number;
	int boot;

	if (len >= sizeof(text))
		abort();
	memcpy(text, message, len);
	text[len] = '\0';
	if (sscanf(text, "%d %ld", &boot, &number) != 2)
		abort();
	pthread_mutex_lock(&seen->lock);
	if (boot != seen->boot)
		seen->count = 0;
	else if (number != seen->last + 1)
		seen->gap = true;
	seen->boot = boot;
	seen->last = number;
	seen->count++;
	pthread_cond_broadcast(&seen->more);
	pthread_mutex_unlock(&seen->lock);
}

static void seen_await(struct seen *seen, int boot, long count)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2 * LONG_MS / 1000;
	pthread_mutex_lock(&seen->lock);
	while (rc == 0 && (seen->boot != boot || seen->count < count))
		rc = pthread_cond_timedwait(&seen->more, &seen->lock, &until);
	if (rc != 0)
		fail_msg("waited in vain for %ld events of %d; seen: %ld of %d", count, boot, seen->count, seen->boot);
	assert_false(seen->gap);
	pthread_mutex_unlock(&seen->lock);
}

static void test_events_across_restarts(void **state)
{
	static struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	struct err err = ERR_INIT;
	pid_t pid;

	(void)state;
	assert_non_null(ipc_subscriber_start(PATH("events"), see, &seen, &err)); /* before there is a publisher */
	for (int life = 0; life < 3; life++) {
		pid = spawn_role("publish", PATH("events"));
		seen_await(&seen, pid, 100);
		kill_role(pid);
	}
}

static void test_burst_is_complete(void **state)
{
	static struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	struct err err = ERR_INIT;
	struct ipc_publisher *publisher = ipc_publisher_start(PATH("burst"), &err);
	char message[64];
	long number = 0, count = 0;

	(void)state;
	assert_non_null(publisher);
	assert_non_null(ipc_subscriber_start(PATH("burst"), see, &seen, &err));
	while (count == 0) { /* until the subscriber is connected */
		ipc_publish(publisher, message, (size_t)snprintf(message, sizeof(message), "1 %ld", ++number));
		pause_ms(1);
		pthread_mutex_lock(&seen.lock);
		count = seen.count;
		pthread_mutex_unlock(&seen.lock);
	}
	for (int i = 0; i < 5000; i++)
		ipc_publish(publisher, message, (size_t)snprintf(message, sizeof(message), "1 %ld", ++number));
	seen_await(&seen, 1, 5001);
	ipc_publisher_stop(publisher);
	assert_int_equal(access(PATH("burst"), F_OK), -1);
	ipc_publish(publisher, "1 0", 3); /* would be seen as a gap */
	ipc_publisher_stop(publisher);
	ipc_publisher_stop(NULL);
	seen_await(&seen, 1, 5001);
}

static void test_stuck_subscriber_dials_anew(void **state)
{
	static struct seen seen[3];
	struct err err = ERR_INIT;
	const char *path;
	pid_t pid;

	(void)state;
	for (int way = 0; way < 3; way++) {
		path = path_of((char[120]){ 0 }, 120, (const char *[]){ "stuck-e0", "stuck-e1", "stuck-e2" }[way]);
		pthread_mutex_init(&seen[way].lock, NULL);
		pthread_cond_init(&seen[way].more, NULL);
		assert_non_null(ipc_subscriber_start(path, see, &seen[way], &err));
		hang_up_on_one(path, way > 0, way > 1);
		pid = spawn_role("publish", path);
		seen_await(&seen[way], pid, 10);
		kill_role(pid);
	}
}

static void test_deaf_publisher_listens_anew(void **state)
{
	static struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	struct err err = ERR_INIT;
	pid_t pid = spawn_role("publish", PATH("deaf-events"));

	(void)state;
	for (int i = 0; i < 50; i++)
		close(raw_socket(PATH("deaf-events"), false));
	assert_non_null(ipc_subscriber_start(PATH("deaf-events"), see, &seen, &err)); /* greeted and forgotten, until it is replaced */
	seen_await(&seen, pid, 10);
	kill_role(pid);
}

/* --- soak: load with kills on both sides (TEMU_TEST_SOAK_SECONDS) ---------------------------------------------- */

struct soak {
	struct ipc_client *client;
	atomic_bool stop;
	atomic_long replies, timeouts, downs;
};

static void *soak_thread(void *arg)
{
	struct soak *soak = arg;
	struct err err = ERR_INIT;
	char text[64];

	for (long i = 0; !atomic_load(&soak->stop); i++) {
		bool slow = i % 8 == 0; /* these time out before their reply comes */

		snprintf(text, sizeof(text), "%s %lx %ld", slow ? "slow:" : "echo:", (unsigned long)pthread_self(), i);
		if (ask(soak->client, text, slow ? 5 : 2000, &err) == 0)
			atomic_fetch_add(&soak->replies, 1);
		else
			atomic_fetch_add(strcmp(err.code, "IPC_TIMEOUT") == 0 ? &soak->timeouts : &soak->downs, 1);
		err_clear(&err);
	}
	return NULL;
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void test_soak(void **state)
{
	static struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	const char *seconds = getenv("TEMU_TEST_SOAK_SECONDS");
	int64_t end_ms = now_ms() + (seconds != NULL ? atoi(seconds) : 2) * 1000;
	pid_t server = spawn_role("serve", PATH("soak")), asker = spawn_role("ask", PATH("soak")), publisher;
	struct soak soak = { .client = client_of(PATH("soak"), IPC_MAX_CLIENT_SOCKETS) };
	struct err err = ERR_INIT;
	pthread_t threads[10];
	int descriptors, kills = 0;

	(void)state;
	assert_non_null(ipc_subscriber_start(PATH("soak-events"), see, &seen, &err));
	publisher = spawn_role("publish", PATH("soak-events"));
	seen_await(&seen, publisher, 1);
	ask_with_threads(soak.client, 8);
	descriptors = open_descriptors();
	for (int i = 0; i < 10; i++)
		pthread_create(&threads[i], NULL, soak_thread, &soak);
	for (; now_ms() < end_ms; kills++) {
		long until = atomic_load(&soak.replies) + 100 + kills * 37 % 300;

		while (atomic_load(&soak.replies) < until && now_ms() < end_ms)
			pause_ms(1);
		kill_role(kills % 3 == 0 ? server : kills % 3 == 1 ? asker : publisher);
		if (kills % 3 == 0)
			server = spawn_role("serve", PATH("soak"));
		else if (kills % 3 == 1)
			asker = spawn_role("ask", PATH("soak"));
		else
			publisher = spawn_role("publish", PATH("soak-events"));
	}
	atomic_store(&soak.stop, true);
	for (int i = 0; i < 10; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&losses_allowed, IPC_MAX_CLIENT_SOCKETS);
	ask_with_threads(soak.client, 8);
	seen_await(&seen, publisher, 10);
	print_message("soak: %d kills, %ld replies, %ld time-outs, %ld lost connections\n", kills,
	              atomic_load(&soak.replies), atomic_load(&soak.timeouts), atomic_load(&soak.downs));
	assert_true(atomic_load(&soak.replies) > 0 && atomic_load(&soak.timeouts) > 0);
	/* Clients of other tests dial for ever what is not there any more: such a try has a descriptor for a moment. */
	for (int64_t until_ms = now_ms() + 10000; open_descriptors() > descriptors + 2 && now_ms() < until_ms;)
		pause_ms(1);
	assert_in_range(open_descriptors(), descriptors - 20, descriptors + 2);
	kill_role(server);
	kill_role(asker);
	kill_role(publisher);
}

/* --- frame ----------------------------------------------------------------------------------------------------- */

static int make_folder(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/test-ipc-XXXXXX", base != NULL && strlen(base) < 40 ? base : "/tmp");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	(void)state;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(PATH(entry->d_name));
	if (dir != NULL)
		closedir(dir);
	return rmdir(folder);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_late_reply_is_not_taken_for_the_next),
		cmocka_unit_test(test_patience), cmocka_unit_test(test_nobody_there_then_somebody),
		cmocka_unit_test(test_all_sockets_busy),
		cmocka_unit_test(test_stop_finishes_what_is_in_hand),
		cmocka_unit_test(test_handler_without_usable_reply),
		cmocka_unit_test(test_only_sockets_are_replaced),
		cmocka_unit_test(test_mode_and_single_instance),
		cmocka_unit_test(test_stale_socket_is_replaced),
		cmocka_unit_test(test_foreign_listener_is_left_alone),
		cmocka_unit_test(test_oversize_on_the_wire),
		cmocka_unit_test(test_deaf_listener_listens_anew),
		cmocka_unit_test(test_stuck_client_dials_anew),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_server_killed_and_restarted),
		cmocka_unit_test(test_events_across_restarts),
		cmocka_unit_test(test_burst_is_complete),
		cmocka_unit_test(test_deaf_publisher_listens_anew),
		cmocka_unit_test(test_stuck_subscriber_dials_anew),
		cmocka_unit_test(test_soak),
	};

	if (argc == 3)
		return role_main(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
