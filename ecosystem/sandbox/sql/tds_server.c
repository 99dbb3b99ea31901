/* Threads and the list of connections. What is spoken on a connection is in tds_session.c. */
#include "ecosystem/sandbox/sql/tds_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct slot {
	struct tds_server *server;
	struct tds_packet packet;
};

struct tds_server {
	struct tds_shared *shared;
	int listener, wake, port;
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct slot *slots[TDS_CONNECTIONS_MAX]; /* NULL = free */
	int count;
};

static bool parse_address(const char *host, int port, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*len = sizeof(*v6);
		return true;
	}
	return false;
}

static int port_of(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	return ntohs(address->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
}

int tds_server_listen(const char *host, int port, int *got, struct err *err)
{
	struct sockaddr_storage address;
	int fd, one = 1;
	socklen_t len;

	if (!parse_address(host, port, &address, &len))
		return err_set(err, ERR_PERM, "LISTEN", "%s is no IP address", host);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, ERR_TEMP, "LISTEN", "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 128) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		err_set(err, ERR_PERM, "LISTEN", "%s port %d: %s", host, port, strerror(errno));
		close(fd);
		return -1;
	}
	*got = port_of(&address);
	return fd;
}

static void *serve(void *arg)
{
	struct slot *slot = arg;
	struct tds_server *server = slot->server;
	bool reset = tds_session_run(server->shared, &slot->packet);

	pthread_mutex_lock(&server->lock);
	tds_packet_close(&slot->packet, reset); /* under the lock: close_all must not meet a recycled descriptor */
	for (int i = 0; i < TDS_CONNECTIONS_MAX; i++)
		if (server->slots[i] == slot)
			server->slots[i] = NULL;
	free(slot);
	server->count--;
	pthread_cond_signal(&server->idle);
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static int place(struct tds_server *server, struct slot *slot)
{
	for (int i = 0; i < TDS_CONNECTIONS_MAX; i++) {
		if (!server->slots[i]) {
			server->slots[i] = slot;
			server->count++;
			return i;
		}
	}
	return -1;
}

static void take(struct tds_server *server, int fd)
{
	struct slot *slot = calloc(1, sizeof(*slot));
	pthread_attr_t attr;
	pthread_t thread;
	int at, one = 1;

	if (!slot) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	slot->server = server;
	tds_packet_init(&slot->packet, fd);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&server->lock);
	at = place(server, slot);
	if (at >= 0 && pthread_create(&thread, &attr, serve, slot) != 0) {
		server->slots[at] = NULL;
		server->count--;
		at = -1;
	}
	pthread_mutex_unlock(&server->lock);
	pthread_attr_destroy(&attr);
	if (at < 0) {
		tds_packet_close(&slot->packet, true);
		free(slot);
	}
}

static void *accept_loop(void *arg)
{
	struct tds_server *server = arg;
	struct pollfd fds[2] = { { .fd = server->listener, .events = POLLIN }, { .fd = server->wake, .events = POLLIN } };

	while (!atomic_load(&server->shared->stop)) {
		int fd;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		while ((fds[0].revents & POLLIN) != 0 && (fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			take(server, fd);
	}
	return NULL;
}

struct tds_server *tds_server_start(const char *host, int port, struct tds_shared *shared, struct err *err)
{
	struct tds_server *server = calloc(1, sizeof(*server));

	if (!server) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	server->shared = shared;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->idle, NULL);
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->listener = tds_server_listen(host, port, &server->port, err);
	if (server->listener < 0)
		goto failed;
	if (server->wake < 0 || pthread_create(&server->acceptor, NULL, accept_loop, server) != 0) {
		err_set(err, ERR_TEMP, "THREAD", "cannot start the acceptor");
		goto failed;
	}
	return server;
failed:
	if (server->listener >= 0)
		close(server->listener);
	if (server->wake >= 0)
		close(server->wake);
	pthread_cond_destroy(&server->idle);
	pthread_mutex_destroy(&server->lock);
	free(server);
	return NULL;
}

int tds_server_port(const struct tds_server *server)
{
	return server->port;
}

struct engine *tds_server_engine(const struct tds_server *server)
{
	return server->shared->engine;
}

void tds_server_close_all(struct tds_server *server)
{
	pthread_mutex_lock(&server->lock);
	for (int i = 0; i < TDS_CONNECTIONS_MAX; i++)
		if (server->slots[i])
			shutdown(server->slots[i]->packet.fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
}

void tds_server_stop(struct tds_server *server)
{
	uint64_t one = 1;

	if (!server)
		return;
	atomic_store(&server->shared->stop, true);
	if (write(server->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(server->acceptor, NULL);
	tds_server_close_all(server);
	pthread_mutex_lock(&server->lock);
	while (server->count > 0)
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
	close(server->listener);
	close(server->wake);
	pthread_cond_destroy(&server->idle);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
