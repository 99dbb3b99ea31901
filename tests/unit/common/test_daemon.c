/* Tests of common/daemon: each life is led by a forked child, which answers with its exit code; the parent plays systemd,
 * PM2 and the one who sends signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"

#define LIMIT_MS 10000 /* for anything that should happen at once */

static char folder[100];

static int make_folder(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%.60s/test-daemon-XXXXXX", base ? base : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* Runs life() in a child and ends it with what life returned. */
static pid_t start(int (*life)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(LIMIT_MS / 1000); /* a child that hangs fails the test instead of stopping it */
		daemon_init("test");
		log_init("test", LEVEL_ERROR, LOG_TEXT);
		daemon_exit(life());
	}
	return pid;
}

static int finish(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* --- systemd's side --- */

static int open_notify(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void assert_notified(int fd, const char *expected)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char text[64];
	ssize_t len;

	assert_int_equal(poll(&wait, 1, LIMIT_MS), 1);
	len = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	assert_string_equal(text, expected);
}

static int ready_and_wait(void)
{
	daemon_ready();
	return daemon_wait(NULL, NULL);
}

static void live_under_systemd(const char *name, int signal_number)
{
	int fd = open_notify(name);
	pid_t pid = start(ready_and_wait);

	assert_notified(fd, "READY=1");
	kill(pid, SIGHUP);
	kill(pid, SIGPIPE);
	kill(pid, signal_number);
	assert_notified(fd, "STOPPING=1");
	assert_int_equal(finish(pid), signal_number);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}

static void test_systemd_hears_of_ready_and_stopping(void **state)
{
	char name[108];

	(void)state;
	snprintf(name, sizeof(name), "%s/notify", folder);
	live_under_systemd(name, SIGTERM);
	unlink(name);
	snprintf(name, sizeof(name), "@test-daemon-%d", (int)getpid());
	live_under_systemd(name, SIGINT);
}

static void test_watchdog_is_fed(void **state)
{
	char name[108];
	pid_t pid;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@test-watchdog-%d", (int)getpid());
	fd = open_notify(name);
	setenv("WATCHDOG_USEC", "20000", 1);
	pid = start(ready_and_wait);
	assert_notified(fd, "READY=1");
	for (int i = 0; i < 5; i++)
		assert_notified(fd, "WATCHDOG=1");
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), SIGTERM);
	unsetenv("WATCHDOG_USEC");
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

static int asked;

static bool dead_after_two(void *arg)
{
	int *count = arg;

	if (++*count == 5)
		kill(getpid(), SIGTERM);
	return *count <= 2;
}

static int wait_dying(void)
{
	return daemon_wait(dead_after_two, &asked);
}

static void test_watchdog_starves_when_not_alive(void **state)
{
	char name[108];
	pid_t pid;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@test-starve-%d", (int)getpid());
	fd = open_notify(name);
	setenv("WATCHDOG_USEC", "10000", 1);
	pid = start(wait_dying);
	assert_notified(fd, "WATCHDOG=1");
	assert_notified(fd, "WATCHDOG=1");
	assert_notified(fd, "STOPPING=1");
	assert_int_equal(finish(pid), SIGTERM);
	/* Somebody else's watchdog is none of our business. */
	setenv("WATCHDOG_PID", "1", 1);
	pid = start(ready_and_wait);
	assert_notified(fd, "READY=1");
	kill(pid, SIGTERM);
	assert_notified(fd, "STOPPING=1");
	assert_int_equal(finish(pid), SIGTERM);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

/* --- PM2's side --- */

static int channel_write_end;

static int ready_on_channel(void)
{
	daemon_ready();
	return (fcntl(channel_write_end, F_GETFD) & FD_CLOEXEC) ? 0 : 1;
}

static int ready_only(void)
{
	daemon_ready();
	return 0;
}

static void test_pm2_hears_of_ready(void **state)
{
	int ends[2];
	char number[16], text[32] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	channel_write_end = ends[1];
	snprintf(number, sizeof(number), "%d", ends[1]);
	setenv("NODE_CHANNEL_FD", number, 1);
	pid = start(ready_on_channel);
	close(ends[1]);
	assert_int_equal(read(ends[0], text, sizeof(text) - 1), 8);
	assert_string_equal(text, "\"ready\"\n");
	assert_int_equal(finish(pid), 0);
	close(ends[0]);
	/* Rubbish in the variable must not write into a stream of ours. */
	setenv("NODE_CHANNEL_FD", "1", 1);
	assert_int_equal(finish(start(ready_only)), 0);
	setenv("NODE_CHANNEL_FD", "3x", 1);
	assert_int_equal(finish(start(ready_only)), 0);
	unsetenv("NODE_CHANNEL_FD");
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(finish(start(ready_only)), 0);
	unsetenv("NOTIFY_SOCKET");
}

/* --- stopping and draining --- */

static void *stop_from_thread(void *arg)
{
	daemon_stop();
	return arg;
}

static int stopped_by_a_thread(void)
{
	pthread_t thread;
	int got;

	if (pthread_create(&thread, NULL, stop_from_thread, NULL) != 0)
		return 100;
	got = daemon_wait(NULL, NULL);
	pthread_join(thread, NULL);
	return got;
}

static int stopped_before_waiting(void)
{
	daemon_stop();
	return daemon_wait(NULL, NULL) + daemon_wait(NULL, NULL);
}

static void test_stop(void **state)
{
	(void)state;
	assert_int_equal(finish(start(stopped_by_a_thread)), 0);
	assert_int_equal(finish(start(stopped_before_waiting)), 0);
}

static void hush(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDERR_FILENO);
	close(null);
}

static int drain_for_ever(void)
{
	hush();
	daemon_drain_limit(20);
	while (pause() < 0)
		;
	return 0;
}

static int drain_until_second_signal(void)
{
	hush();
	daemon_ready();
	daemon_wait(NULL, NULL);
	daemon_drain_limit(3600000);
	while (pause() < 0)
		;
	return 0;
}

static int drain_in_time(void)
{
	daemon_drain_limit(3600000);
	return 7;
}

static void test_drain_has_an_end(void **state)
{
	char name[108];
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(finish(start(drain_for_ever)), 1);
	assert_int_equal(finish(start(drain_in_time)), 7);
	snprintf(name, sizeof(name), "@test-drain-%d", (int)getpid());
	fd = open_notify(name);
	pid = start(drain_until_second_signal);
	assert_notified(fd, "READY=1");
	kill(pid, SIGTERM);
	assert_notified(fd, "STOPPING=1");
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), 1);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}

static int check_init(void)
{
	sigset_t blocked;
	struct sigaction pipe_action;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	sigaction(SIGPIPE, NULL, &pipe_action);
	return sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGHUP) &&
	                       sigismember(&blocked, SIGCHLD) && pipe_action.sa_handler == SIG_IGN && umask(077) == 077
	               ? 0
	               : 1;
}

static void test_init(void **state)
{
	(void)state;
	assert_int_equal(finish(start(check_init)), 0);
}

static void test_folder(void **state)
{
	char path[200], deep[320], file[300];
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(deep, sizeof(deep), "%s/b//c/", path);
	assert_int_equal(daemon_folder(deep, &err), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(daemon_folder(deep, &err), 0);
	snprintf(file, sizeof(file), "%s/b/file", path);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(daemon_folder(file, &err), -1);
	assert_non_null(strstr(err.text, "is not a folder"));
	assert_int_equal(err.class, ERR_PERM);
	snprintf(deep, sizeof(deep), "%s/below", file);
	assert_int_equal(daemon_folder(deep, &err), -1);
	assert_int_equal(daemon_folder("", &err), -1);
	unlink(file);
	snprintf(deep, sizeof(deep), "%s/b/c", path);
	assert_int_equal(rmdir(deep), 0);
	snprintf(deep, sizeof(deep), "%s/b", path);
	assert_int_equal(rmdir(deep), 0);
	/* Somebody else's: root can give one away, others have /. */
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(daemon_folder(path, &err), -1);
	} else {
		assert_int_equal(daemon_folder("/", &err), -1);
	}
	assert_non_null(strstr(err.text, "belongs to user"));
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_systemd_hears_of_ready_and_stopping),
		cmocka_unit_test(test_watchdog_is_fed),
		cmocka_unit_test(test_watchdog_starves_when_not_alive),
		cmocka_unit_test(test_pm2_hears_of_ready),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_drain_has_an_end),
	};

	/* What the surroundings may have set is not meant for us. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("NODE_CHANNEL_FD");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
