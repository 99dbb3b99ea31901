/* One live client. Which clients there are, locks and threads are the hub's business. */
#include "api/hub_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH_BYTES (60 * 1024)
#define OUT_MAX (8 * 1024 * 1024)
#define KEEP_BYTES (256 * 1024) /* a larger buffer is given back once it is empty */
#define SOCKET_BUFFER (64 * 1024)
#define CLOSING_MS 1000
#define JOB_PAUSE_MS 300
#define SAID_PER_SECOND 100

struct hub_client *
hub_client_new(int fd, const struct hub_wish *wish, const char *greeting, int64_t now)
{
	struct hub_client *client = calloc(1, sizeof(*client));
	int size = SOCKET_BUFFER;
	if (client == NULL) {
		close(fd);
		return NULL;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	client->fd = fd;
	client->filter = wish->filter;
	client->catching_up = wish->resume;
	client->next_seq = wish->from;
	snprintf(client->journal, sizeof(client->journal), "%s", wish->journal);
	client->heard_ms = client->pinged_ms = client->counted_ms = now;
	buf_init(&client->out, OUT_MAX);
	buf_add_text(&client->out, greeting);
	return client;
}

void
hub_client_free(struct hub_client *client)
{
	close(client->fd);
	buf_release(&client->out);
	free(client);
}

/* The ring went over this client's place: say so and go on in its middle. */
static void
skip(struct hub_client *client, const struct ring *ring)
{
	uint64_t middle = ring->base + (ring->head - ring->base) / 2;
	const struct line *line = ring_at(ring, middle);
	int64_t next = line->seq > 0 ? line->seq : line->next;
	bool same = strcmp(line->journal, client->journal) == 0;
	line_add_dropped(&client->out, client->journal, client->next_seq, same ? next - 1 : 0, "slow");
	snprintf(client->journal, sizeof(client->journal), "%s", line->journal);
	client->next_seq = next;
	client->position = middle;
}

int
hub_client_fill(struct hub_client *client, const struct hub_place *place)
{
	const struct ring *ring = place->ring;
	int dropped = 0;
	if (client->catching_up || client->closing)
		return 0;
	if (client->position < ring->base) {
		skip(client, ring);
		dropped = 1;
	}
	while (client->position < ring->head && client->out.len < BATCH_BYTES) {
		const struct line *line = ring_at(ring, client->position++);
		bool known = line->seq > 0 && line->seq < client->next_seq && strcmp(line->journal, client->journal) == 0;
		if (known)
			continue;
		if (filter_match(&client->filter, line))
			buf_add(&client->out, line->frame, line->frame_len);
		bool other = strcmp(line->journal, client->journal) != 0;
		if (other)
			snprintf(client->journal, sizeof(client->journal), "%s", line->journal);
		if (other || line->next > client->next_seq)
			client->next_seq = line->next;
	}
	return dropped;
}

static void
refuse_cursor(struct hub_client *client)
{
	static const char text[] = "{\"event\":\"error\",\"code\":\"WRONG_JOURNAL\",\"text\":\"the cursor belongs to another journal;"
	                           " start from 1\"}";
	ws_frame(&client->out, WS_TEXT, text, sizeof(text) - 1);
	hub_client_close(client, WS_POLICY, "cursor of another journal");
}

static void
take_job(struct hub_client *client, struct replay *replay, int64_t now)
{
	struct replay_job *job = client->job;
	client->job = NULL;
	switch (job->result) {
	case REPLAY_OK:
		buf_add(&client->out, buf_text(&job->frames), job->frames.len);
		client->next_seq = job->next;
		break;
	case REPLAY_LATER:
		client->job_after_ms = now + JOB_PAUSE_MS;
		break;
	case REPLAY_WRONG_JOURNAL:
		refuse_cursor(client);
		break;
	}
	replay_drop(replay, job);
}

void
hub_client_catch_up(struct hub_client *client, const struct hub_place *place, struct replay *replay, int64_t now)
{
	if (!client->catching_up || client->closing || client->close_code != 0 || place->journal[0] == '\0')
		return;
	if (client->job != NULL) {
		if (!replay_done(replay, client->job))
			return;
		take_job(client, replay, now);
		if (client->close_code != 0)
			return;
	}
	if (client->journal[0] == '\0')
		snprintf(client->journal, sizeof(client->journal), "%s", place->journal);
	if (strcmp(client->journal, place->journal) != 0) {
		refuse_cursor(client);
		return;
	}
	uint64_t found = ring_find(place->ring, client->journal, 1);
	int64_t oldest = found < place->ring->head ? ring_at(place->ring, found)->seq : place->next;
	if (client->next_seq >= oldest) {
		client->position = ring_find(place->ring, client->journal, client->next_seq);
		client->catching_up = false;
	} else if (now >= client->job_after_ms && client->out.len == 0) {
		client->job = replay_ask(replay, client->journal, client->next_seq, oldest - 1, &client->filter);
	}
}

void
hub_client_control(struct hub_client *client, int64_t now)
{
	if (client->closing)
		return;
	if (client->pong_due)
		ws_frame(&client->out, WS_PONG, client->pong, client->pong_len);
	if (client->ping_due) {
		ws_frame(&client->out, WS_PING, "", 0);
		client->pinged_ms = now;
	}
	client->pong_due = client->ping_due = false;
	if (client->close_code != 0) {
		ws_close(&client->out, (enum ws_close_code)client->close_code, client->close_reason);
		client->closing = true;
		client->closing_until_ms = now + CLOSING_MS;
	}
}

int
hub_client_send(struct hub_client *client, int64_t now)
{
	while (client->sent < client->out.len) {
		ssize_t n = send(client->fd, client->out.data + client->sent, client->out.len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (client->stalled_ms == 0)
				client->stalled_ms = now;
			return 1;
		}
		if (n < 0)
			return -1;
		client->sent += (size_t)n;
		client->stalled_ms = 0;
	}
	client->sent = 0;
	buf_clear(&client->out);
	if (client->out.cap > KEEP_BYTES)
		buf_release(&client->out);
	client->stalled_ms = 0;
	if (client->closing)
		shutdown(client->fd, SHUT_WR);
	return 0;
}

/* A close is answered with its own code if that is one. */
static int
echoed_code(const struct ws_message *message)
{
	int code = message->len >= 2 ? (message->payload[0] << 8 | message->payload[1]) : 1000;
	return code >= 1000 && code <= 4999 && code != 1005 && code != 1006 ? code : WS_PROTOCOL_ERROR;
}

static void
answer(struct hub_client *client, const struct ws_message *message)
{
	switch (message->opcode) {
	case WS_PING:
		memcpy(client->pong, message->payload, message->len);
		client->pong_len = message->len;
		client->pong_due = true;
		break;
	case WS_CLOSE:
		hub_client_close(client, (enum ws_close_code)echoed_code(message), "");
		break;
	case WS_CONTINUATION:
	case WS_TEXT:
	case WS_BINARY:
	case WS_PONG:
		break;
	}
}

int
hub_client_hear(struct hub_client *client, int64_t now)
{
	unsigned char bytes[4096];
	const unsigned char *data = bytes;
	struct ws_message message;
	ssize_t n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	client->heard_ms = now;
	if (now - client->counted_ms >= 1000) {
		client->counted_ms = now;
		client->said = 0;
	}
	size_t len = (size_t)n;
	while (client->close_code == 0) {
		int got = ws_input_next(&client->input, &data, &len, &message);
		if (got == 0)
			break;
		if (got != 1)
			hub_client_close(client, (enum ws_close_code)got, "this server takes small control frames only");
		else if (++client->said > SAID_PER_SECOND)
			hub_client_close(client, WS_POLICY, "too many messages");
		else
			answer(client, &message);
	}
	return 0;
}

void
hub_client_close(struct hub_client *client, enum ws_close_code code, const char *reason)
{
	if (client->close_code != 0)
		return;
	client->close_code = (int)code;
	client->close_reason = reason;
}
