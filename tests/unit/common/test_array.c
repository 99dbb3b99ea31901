/* Tests of common/array: growing from nothing, sizes that do not fit, the order of numbers at the ends of their range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/array.h"

static void test_it_grows_and_keeps_what_is_in_it(void **state)
{
	int64_t *items = NULL;
	size_t room = 0;

	(void)state;
	for (size_t count = 0; count < 10000; count++) {
		items = array_room(items, count, &room, sizeof(*items));
		assert_non_null(items);
		assert_true(room > count);
		items[count] = (int64_t)count;
	}
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(items[i], i);
	assert_true(room < 20000);
	free(items);
}

static void test_what_does_not_fit_is_refused(void **state)
{
	int64_t one = 7;
	size_t room = SIZE_MAX / 16, before = room;

	(void)state;
	assert_null(array_room(&one, room, &room, sizeof(one) * 16));
	room = before = SIZE_MAX / 2 + 1;
	assert_null(array_room(&one, room, &room, 1));
	assert_int_equal(room, before);
	assert_int_equal(one, 7);
	assert_ptr_equal(array_room(&one, room - 1, &room, 1), &one);
}

static void test_numbers_have_an_order_however_far_apart(void **state)
{
	(void)state;
	assert_true(array_order(INT64_MIN, INT64_MAX) < 0);
	assert_true(array_order(INT64_MAX, INT64_MIN) > 0);
	assert_true(array_order(-1, 0) < 0);
	assert_int_equal(array_order(INT64_MIN, INT64_MIN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_grows_and_keeps_what_is_in_it),
		cmocka_unit_test(test_what_does_not_fit_is_refused),
		cmocka_unit_test(test_numbers_have_an_order_however_far_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
