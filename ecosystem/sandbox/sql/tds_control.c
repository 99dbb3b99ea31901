/* The control port. One command a line, one answer a line: "ok", "error TEXT", or JSON for stats. Several clients at
 * once; the faults themselves live in tds_fault.c.
 *
 * Faults: NAME [numbers] [match=TEXT|match="TEXT WITH BLANKS"] [count=N] [skip=N]
 *   refuse-login, silent-login: match is tried on the user name
 *   cut-before, cut-after, cut-rows N, cut-clean-rows N, error NUMBER SEVERITY [after-rows N], delay MS,
 *   hang [attention=yes], garbage, bad-metadata, severe: match is tried on the text of the batch or statement,
 *   case-insensitive. A result with fewer rows than N meets its fault at its end.
 *   count: how often (default 1, 0 = until `clear`); skip: let so many matching statements pass first.
 *   The first rule in the list that matches is taken, one a statement.
 * Others: clear (forget all faults; a delay under way is over), stats, close-all (drop every connection), database NAME STATE (online, restoring, recovering,
 * recovery-pending, suspect, offline: kept over a restart; whoever is in it is cut). */
#include "ecosystem/sandbox/sql/tds_control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/json.h"

#define CLIENTS_MAX 16
#define LINE_MAX_LEN 1024

struct client {
	int fd; /* -1 = free */
	char line[LINE_MAX_LEN];
	size_t len;
};

struct tds_control {
	struct tds_server *server;
	struct tds_faults *faults;
	int listener, wake, port;
	pthread_t thread;
	struct client clients[CLIENTS_MAX];
};

static void stats(struct tds_faults *faults, struct buf *answer)
{
	struct tds_counters c;

	tds_faults_counters(faults, &c);
	json_object_open(answer, NULL);
	json_add_int64(answer, "connections", c.connections);
	json_add_int64(answer, "logins", c.logins);
	json_add_int64(answer, "open_sessions", c.open);
	json_add_int64(answer, "batches", c.batches);
	json_add_int64(answer, "statements", c.statements);
	json_add_int64(answer, "faults", c.faults);
	json_object_close(answer);
	buf_add_char(answer, '\n');
}

void tds_control_line(struct tds_server *server, struct tds_faults *faults, const char *line, struct buf *answer)
{
	char name[129] = "", state[20] = "";
	struct err err = ERR_INIT;
	struct tds_fault fault;
	int rc = 0;

	if (strcmp(line, "stats") == 0) {
		stats(faults, answer);
		return;
	}
	if (strcmp(line, "clear") == 0)
		tds_faults_clear(faults);
	else if (server && sscanf(line, "database %128s %19s", name, state) == 2)
		rc = engine_database_state(tds_server_engine(server), name, state, &err);
	else if (strcmp(line, "close-all") == 0 && server)
		tds_server_close_all(server);
	else if (tds_fault_parse(&fault, line, &err) != 0 || tds_faults_add(faults, &fault, &err) != 0)
		rc = -1;
	if (rc == 0)
		buf_add_text(answer, "ok\n");
	else
		buf_addf(answer, "error %s\n", err.text);
}

void tds_control_help(struct buf *out)
{
#define X(kind, name, numbers, help) buf_addf(out, "  %-15s %s\n", name, help);
	TDS_FAULTS(X)
#undef X
	buf_add_text(out, "  clear           forget all faults\n"
	                  "  stats           counters as JSON\n"
	                  "  close-all       drop every connection\n"
	                  "  database        NAME STATE: online, restoring, recovering, recovery-pending, suspect, offline\n");
}

static void drop(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->len = 0;
}

/* Answers are short: what the socket's buffer does not take means a client that never reads. */
static void answer_line(struct tds_control *control, struct client *client, char *line)
{
	struct buf answer;
	size_t len = strlen(line);

	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	buf_init(&answer, 4096);
	tds_control_line(control->server, control->faults, line, &answer);
	if (send(client->fd, buf_text(&answer), answer.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)answer.len)
		drop(client);
	buf_release(&answer);
}

static void lines(struct tds_control *control, struct client *client)
{
	char *end;

	while (client->fd >= 0 && (end = memchr(client->line, '\n', client->len)) != NULL) {
		size_t used = (size_t)(end - client->line) + 1;
		char line[LINE_MAX_LEN];

		memcpy(line, client->line, used);
		line[used - 1] = '\0';
		memmove(client->line, client->line + used, client->len - used);
		client->len -= used;
		answer_line(control, client, line);
	}
	if (client->fd >= 0 && client->len == LINE_MAX_LEN)
		drop(client);
}

static void readable(struct tds_control *control, struct client *client)
{
	ssize_t n = recv(client->fd, client->line + client->len, LINE_MAX_LEN - client->len, MSG_DONTWAIT);

	if (n > 0) {
		client->len += (size_t)n;
		lines(control, client);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		drop(client);
	}
}

static void accept_client(struct tds_control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		if (control->clients[i].fd < 0) {
			control->clients[i].fd = fd;
			control->clients[i].len = 0;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void *loop(void *arg)
{
	struct tds_control *control = arg;
	struct pollfd fds[CLIENTS_MAX + 2];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = control->wake, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = control->listener, .events = POLLIN };
		for (int i = 0; i < CLIENTS_MAX; i++)
			fds[i + 2] = (struct pollfd){ .fd = control->clients[i].fd, .events = POLLIN };
		if (poll(fds, CLIENTS_MAX + 2, -1) < 0)
			continue;
		if (fds[0].revents != 0)
			return NULL;
		for (int i = 0; i < CLIENTS_MAX; i++)
			if (fds[i + 2].revents != 0 && control->clients[i].fd >= 0)
				readable(control, &control->clients[i]);
		if (fds[1].revents != 0)
			accept_client(control);
	}
}

struct tds_control *tds_control_start(int port, struct tds_server *server, struct tds_faults *faults, struct err *err)
{
	struct tds_control *control = calloc(1, sizeof(*control));

	if (!control) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	control->server = server;
	control->faults = faults;
	for (int i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	control->wake = eventfd(0, EFD_CLOEXEC);
	control->listener = tds_server_listen("127.0.0.1", port, &control->port, err);
	if (control->listener < 0)
		goto failed;
	if (control->wake < 0 || pthread_create(&control->thread, NULL, loop, control) != 0) {
		err_set(err, ERR_TEMP, "THREAD", "cannot start the control thread");
		goto failed;
	}
	return control;
failed:
	if (control->listener >= 0)
		close(control->listener);
	if (control->wake >= 0)
		close(control->wake);
	free(control);
	return NULL;
}

int tds_control_port(const struct tds_control *control)
{
	return control->port;
}

void tds_control_stop(struct tds_control *control)
{
	uint64_t one = 1;

	if (!control)
		return;
	if (write(control->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(control->thread, NULL);
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			close(control->clients[i].fd);
	close(control->listener);
	close(control->wake);
	free(control);
}
