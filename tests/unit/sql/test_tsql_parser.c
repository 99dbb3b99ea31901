/* Tokens, expressions and queries of the T-SQL stand-in: what is accepted, and the number and line of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ecosystem/sandbox/sql/parser_internal.h"

static int parse(struct arena *arena, const char *sql, struct select **out, struct sqlerror *error) {
	struct parser p = { .arena = arena, .sql = sql, .error = error };
	memset(error, 0, sizeof *error);
	p.tokens = lexer_run(arena, sql, strlen(sql), &p.count, error);
	if (!p.tokens)
		return -1;
	*out = parser_select(&p);
	if (parser_peek(&p, 0)->kind != T_END)
		parser_fail(&p);
	return error->number ? -1 : 0;
}

static void test_accepted(void **state) {
	static const char *const good[] = {
		"SELECT TOP (5) a.x AS [y z], N'it''s' FROM db..t a WITH (NOLOCK) WHERE (a.x + 1) * 2 > 3 AND NOT (a.y = 1 OR a.z IS NULL)",
		"SELECT j.id FROM OPENJSON(@p) WITH (id bigint '$.id', t nvarchar(max) '$.t' AS JSON) j LEFT JOIN a.dbo.t ON t.i = j.id",
		"WITH c(a, b) AS (SELECT 1, 2) SELECT a FROM c UNION ALL SELECT 3 ORDER BY 1 OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY",
		"SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC), COUNT(*), COUNT(DISTINCT c) FROM t GROUP BY a HAVING COUNT(*) > 1",
		"SELECT CASE WHEN a IN (1, 2) THEN 'x' ELSE LEFT(b, 3) END, CONVERT(varchar(33), d, 126), IIF(a = 1, 2, 3) FROM t",
		"SELECT x COLLATE Latin1_General_BIN2 /* a /* nested */ b */ FROM t CROSS APPLY (SELECT 1 AS o) q -- end",
	};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct arena arena = { 0 };
		struct sqlerror error;
		struct select *s = NULL;
		if (parse(&arena, good[i], &s, &error) < 0)
			fail_msg("%s: %d %s", good[i], error.number, error.text);
		arena_release(&arena);
	}
}

static void test_refused(void **state) {
	static const struct {
		const char *sql;
		int number, line;
	} bad[] = {
		{ "SELECT 1 +", 102, 1 },
		{ "SELECT a\nFROM\nWHERE", 156, 3 },
		{ "SELECT 'abc", 105, 1 },
		{ "SELECT 1 /* x", 113, 1 },
		{ "SELECT a FROM t WHERE a", 102, 1 },
		{ "SELECT (SELECT 1", 102, 1 },
		{ "SELECT CAST(1 AS decimal(39,2))", 2750, 1 },
		{ "SELECT a FROM t WITH (NOSUCH)", 321, 1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct arena arena = { 0 };
		struct sqlerror error;
		struct select *s = NULL;
		assert_int_equal(parse(&arena, bad[i].sql, &s, &error), -1);
		assert_int_equal(error.number, bad[i].number);
		assert_int_equal(error.line, bad[i].line);
		arena_release(&arena);
	}
}

static void test_shape(void **state) {
	struct arena arena = { 0 };
	struct sqlerror error;
	struct select *s = NULL;
	(void)state;
	assert_int_equal(parse(&arena, "SELECT 1 + 2 * 3 AS v, CONVERT(varchar, (f(1))), CAST('a' AS char(1)) FROM a..b", &s, &error), 0);
	assert_string_equal(s->items[0].alias, "v");
	assert_string_equal(s->items[0].expr->text, "+");
	assert_string_equal(s->items[0].expr->b->text, "*");
	assert_int_equal(s->items[1].expr->type.length, 30);
	assert_int_equal(s->items[2].expr->type.length, 1);
	assert_int_equal(s->from->name.count, 3);
	assert_string_equal(s->from->name.part[1], "");
	arena_release(&arena);
}

static void test_depth(void **state) {
	char sql[4096] = "SELECT ";
	struct arena arena = { 0 };
	struct sqlerror error;
	struct select *s = NULL;
	(void)state;
	memset(sql + 7, '(', 3000);
	assert_int_equal(parse(&arena, sql, &s, &error), -1);
	assert_int_equal(error.number, 191);
	arena_release(&arena);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
