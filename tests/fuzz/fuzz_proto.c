/* Whatever arrives on the socket: the three decoders take it or refuse it, and what they take can be walked. */
#include <stddef.h>
#include <stdint.h>
#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *message = (const char *)data;
	struct err err = ERR_INIT;
	struct proto_request request;
	struct proto_reply reply;
	struct proto_batch batch;
	enum proto_error code;

	if (proto_request_decode(message, size, &request, &code, &err) == 0)
		proto_request_release(&request);
	if (proto_reply_decode(message, size, &reply, &err) == 0)
		proto_reply_release(&reply);
	if (proto_batch_decode(message, size, &batch, &err) == 0)
		proto_batch_release(&batch);
	return 0;
}
