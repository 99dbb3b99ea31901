/* The life of a process: what happens before threads, between readiness and the signal, and at the end.
 * Messages to systemd and PM2 are written by hand; jobs, routes and sockets of our own are not known here. */
#include "common/daemon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define PATH_LIMIT 4096
#define IDLE_WAIT_MS 3600000

static atomic_bool stopping;

/* SIGHUP and SIGCHLD are blocked with the others, so that neither a closed terminal nor a child ends or interrupts us. */
static void blocked_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

/* daemon_stop() signals with SIGUSR2, which only daemon_wait ever takes. */
static void waited_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR2);
}

void daemon_init(const char *name)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	blocked_signals(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* The supervisor's descriptors (PM2's channel among them) stay usable here but are not for our children. */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	umask(077);
	/* One heap for all threads: dozens of them allocate a little each, and a heap a thread would keep the peak of each for ever. */
	mallopt(M_ARENA_MAX, 1);
	pthread_setname_np(pthread_self(), name);
}

/* --- folders --- */

static int make_folder(const char *path, struct err *err)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_PERM, "FOLDER", "cannot create folder %s: %m", path);
	if (stat(path, &st) < 0)
		return err_set(err, ERR_PERM, "FOLDER", "cannot look at folder %s: %m", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_PERM, "FOLDER", "%s exists and is not a folder", path);
	return 0;
}

int daemon_folder(const char *path, struct err *err)
{
	char part[PATH_LIMIT];
	struct stat st;
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return err_set(err, ERR_PERM, "FOLDER", "a folder name of %zu bytes cannot be used (1 to %d)", len, PATH_LIMIT - 1);
	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (make_folder(part, err) < 0)
			return -1;
	}
	if (stat(path, &st) < 0)
		return err_set(err, ERR_PERM, "FOLDER", "cannot look at folder %s: %m", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_PERM, "FOLDER", "folder %s belongs to user %u, not to us (user %u)",
		               path, (unsigned)st.st_uid, (unsigned)geteuid());
	return 0;
}

/* --- systemd and PM2 --- */

static void notify_systemd(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warning("systemd could not be told %s: %m", message);
	close(fd);
}

static void notify_pm2(void)
{
	static const char ready[] = "\"ready\"\n";
	const char *text = getenv("NODE_CHANNEL_FD");
	char *end = NULL;
	long fd;

	if (!text)
		return;
	fd = strtol(text, &end, 10);
	if (end == text || *end || fd <= STDERR_FILENO || fd > INT32_MAX)
		return;
	if (write((int)fd, ready, sizeof(ready) - 1) < 0)
		log_warning("PM2 could not be told that we are ready: %m");
}

void daemon_ready(void)
{
	notify_systemd("READY=1");
	notify_pm2();
}

/* How often the watchdog wants to be fed, in ms; -1 without one. WATCHDOG_PID says whom systemd means. */
static int64_t watchdog_interval_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long value = usec ? strtoll(usec, NULL, 10) : 0;

	if (value <= 0 || (pid && strtol(pid, NULL, 10) != getpid()))
		return -1;
	value /= 2000; /* twice per interval */
	return value > 0 ? value : 1;
}

/* --- waiting for the end --- */

/* 0 when the time is up. */
static int wait_signal(const sigset_t *set, int64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
	int signal_number = sigtimedwait(set, NULL, &ts);

	return signal_number < 0 ? 0 : signal_number;
}

int daemon_wait(bool (*alive)(void *arg), void *arg)
{
	int64_t interval = watchdog_interval_ms(), next = clock_mono_ms();
	int got = 0;
	sigset_t set;

	waited_signals(&set);
	while (got == 0 && !atomic_load(&stopping)) {
		int64_t now = clock_mono_ms();
		if (interval > 0 && now >= next) {
			if (!alive || alive(arg))
				notify_systemd("WATCHDOG=1");
			next = now + interval;
		}
		got = wait_signal(&set, interval > 0 ? next - now : IDLE_WAIT_MS);
	}
	notify_systemd("STOPPING=1");
	return got == SIGUSR2 ? 0 : got;
}

void daemon_stop(void)
{
	atomic_store(&stopping, true);
	kill(getpid(), SIGUSR2);
}

/* --- the end --- */

static void *watch_drain(void *arg)
{
	int64_t limit = (intptr_t)arg, end = clock_mono_ms() + limit;
	sigset_t set;
	int got = 0;

	log_streams_only(); /* a hanging journal may be the very reason why we are late */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	for (int64_t now = clock_mono_ms(); got == 0 && now < end; now = clock_mono_ms())
		got = wait_signal(&set, end - now);
	if (got)
		log_error("second signal during the drain: leaving at once");
	else
		log_error("the drain took longer than %lld ms: leaving at once", (long long)limit);
	_exit(1);
}

void daemon_drain_limit(int limit_ms)
{
	pthread_attr_t attr;
	pthread_t thread;
	int failed;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &attr, watch_drain, (void *)(intptr_t)limit_ms);
	pthread_attr_destroy(&attr);
	if (failed)
		log_warning("the drain has no limit, its thread could not be started: %s", strerror(failed));
}

void daemon_exit(int code)
{
	fflush(NULL);
	_exit(code);
}
