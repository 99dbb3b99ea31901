/* Tests of common/secret: trimming, all forms in which a secret can show up, overlaps, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/secret.h"

static void assert_masked(const char *before, const char *after)
{
	char text[512];

	snprintf(text, sizeof(text), "%s", before);
	secret_mask(text);
	assert_string_equal(text, after);
}

static void test_bytes_are_trimmed_and_kept(void **state)
{
	const struct secret *secret = secret_new(" \tpass word\r\n", 13);

	(void)state;
	assert_string_equal(secret_bytes(secret), "pass word");
	assert_int_equal(secret_len(secret), 9);
	assert_ptr_equal(secret_new("pass word", 9), secret);
	assert_string_equal(secret_bytes(NULL), "");
	assert_int_equal(secret_len(NULL), 0);
	assert_string_equal(secret_bytes(secret_new("  ", 2)), "");
	assert_masked("", "");
}

static void test_every_form_is_masked(void **state)
{
	static const char raw[] = "p\"q\\r/s t&\xC3\xBCz";
	struct buf buf;
	char *text;

	(void)state;
	assert_non_null(secret_new(raw, sizeof(raw) - 1));
	assert_masked("key=p\"q\\r/s t&\xC3\xBCz;", "key=***;");
	assert_masked("{\"k\":\"p\\\"q\\\\r/s t&\xC3\xBCz\"}", "{\"k\":\"***\"}");
	assert_masked("{\"k\":\"p\\\"q\\\\r\\/s t&\xC3\xBCz\"}", "{\"k\":\"***\"}");
	assert_masked("k=p%22q%5Cr%2Fs%20t%26%C3%BCz&", "k=***&");
	assert_masked("k=p%22q%5cr%2fs%20t%26%c3%bcz&", "k=***&");
	assert_masked("k=p%22q%5Cr%2Fs+t%26%C3%BCz&", "k=***&");
	buf_init(&buf, 1000);
	json_add_ascii_string(&buf, NULL, raw);
	text = buf_take(&buf, NULL);
	secret_mask(text);
	assert_string_equal(text, "\"***\"");
	free(text);
}

static void test_short_secrets_stay(void **state)
{
	(void)state;
	assert_non_null(secret_new("abcde", 5));
	assert_masked("abcde", "abcde");
	assert_non_null(secret_new("abcdeF", 6));
	assert_masked("abcdeF abcde", "*** abcde");
}

static void test_neighbours_and_overlaps(void **state)
{
	(void)state;
	assert_non_null(secret_new("alphabeta", 9));
	assert_non_null(secret_new("betagamma", 9));
	assert_non_null(secret_new("alphabetagammadelta", 19));
	assert_masked("alphabeta", "***");
	assert_masked("xalphabetagammay", "x***y");
	assert_masked("alphabetagammadelta!", "***!");
	assert_masked("alphabeta-alphabeta", "***-***");
	assert_masked("alphabetaalphabeta", "***");
	assert_masked("alphabet", "alphabet");
}

static void *mask_a_lot(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		char text[] = "with thread-secret inside";
		secret_mask(text);
		if (strcmp(text, "with *** inside") != 0)
			return arg;
	}
	return NULL;
}

static void test_threads_mask_while_another_registers(void **state)
{
	pthread_t threads[3];
	char text[32];
	void *failed;

	(void)state;
	assert_non_null(secret_new("thread-secret", 13));
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mask_a_lot, text), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "other-secret-%d", i);
		assert_non_null(secret_new(text, strlen(text)));
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_trimmed_and_kept),
		cmocka_unit_test(test_every_form_is_masked),
		cmocka_unit_test(test_short_secrets_stay),
		cmocka_unit_test(test_neighbours_and_overlaps),
		cmocka_unit_test(test_threads_mask_while_another_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
