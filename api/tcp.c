/* Descriptors by their addresses, and bytes on them. Whose connections they are is not known here. */
#include "api/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/clock.h"

#define FD_LIMIT 65536
#define NEAR_FDS 100
#define DRAIN_MS 300
#define DRAIN_BYTES (256 * 1024)

static bool
is_between(int fd, const struct tcp_ends *ends)
{
	struct sockaddr_in peer, own;
	struct in_addr address;
	socklen_t len = sizeof(peer), own_len = sizeof(own);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || peer.sin_family != AF_INET ||
	    ntohs(peer.sin_port) != ends->peer_port)
		return false;
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) != 0 || ntohs(own.sin_port) != ends->own_port)
		return false;
	return inet_pton(AF_INET, ends->peer, &address) == 1 && address.s_addr == peer.sin_addr.s_addr;
}

static int
fd_limit(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FD_LIMIT ? (int)limit.rlim_cur : FD_LIMIT;
}

static int
find_within(const struct tcp_ends *ends, int from, int to)
{
	for (int fd = from > STDERR_FILENO ? from : STDERR_FILENO + 1; fd < to; fd++)
		if (is_between(fd, ends))
			return fd;
	return -1;
}

int
tcp_find(const struct tcp_ends *ends, int near)
{
	int fd = find_within(ends, near - NEAR_FDS, near + NEAR_FDS);
	return fd >= 0 ? fd : find_within(ends, 0, fd_limit());
}

int
tcp_send(int fd, const char *data, size_t len, int64_t deadline_ms)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		int64_t left = deadline_ms - clock_mono_ms();
		struct pollfd wait = { .fd = fd, .events = POLLOUT };
		if (errno == EINTR)
			continue;
		if ((errno != EAGAIN && errno != EWOULDBLOCK) || left <= 0 || poll(&wait, 1, (int)left) == 0)
			return -1;
	}
	return 0;
}

void
tcp_drain(int fd)
{
	char scrap[4096];
	int64_t until = clock_mono_ms() + DRAIN_MS, left;
	size_t sum = 0;
	shutdown(fd, SHUT_WR);
	while (sum < DRAIN_BYTES && (left = until - clock_mono_ms()) > 0) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (poll(&wait, 1, (int)left) <= 0)
			return;
		ssize_t n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
		if (n <= 0)
			return;
		sum += (size_t)n;
	}
}

void
tcp_close_port(int port)
{
	int limit = fd_limit(), nothing = eventfd(0, EFD_CLOEXEC);
	for (int fd = STDERR_FILENO + 1; nothing >= 0 && fd < limit; fd++) {
		struct sockaddr_in own;
		socklen_t len = sizeof(own), size = sizeof(int);
		int listens = 0;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0 ||
		    getsockname(fd, (struct sockaddr *)&own, &len) != 0 || own.sin_family != AF_INET || ntohs(own.sin_port) != port)
			continue;
		shutdown(fd, SHUT_RDWR);
		/* Not dup3(): TSan cannot see how the library's threads know that they may close it later. */
		syscall(SYS_dup3, nothing, fd, O_CLOEXEC);
	}
	if (nothing >= 0)
		close(nothing);
}
