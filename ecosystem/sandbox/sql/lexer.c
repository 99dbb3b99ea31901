/* Cuts a batch into tokens: nested comments, bracketed names, N'' and 0x literals.
 * Keywords are words here; the parser decides what a word means. */
#include "ecosystem/sandbox/sql/lexer.h"

#include <ctype.h>
#include <string.h>

struct lexer {
	struct arena *arena;
	const char *sql;
	size_t len, at;
	int line;
	struct token *tokens;
	int count, cap;
	struct sqlerror *error;
};

static int peek(const struct lexer *l, size_t ahead) {
	return l->at + ahead < l->len ? (unsigned char)l->sql[l->at + ahead] : 0;
}

static bool is_word_start(int c) {
	return isalpha(c) || c == '_' || c == '#' || c >= 0x80;
}

static bool is_word(int c) {
	return isalnum(c) || c == '_' || c == '#' || c == '$' || c == '@' || c >= 0x80;
}

static struct token *add(struct lexer *l, enum token_kind kind, const char *text, size_t len, size_t begin) {
	if (l->count == l->cap) {
		int cap = l->cap ? l->cap * 2 : 128;
		struct token *more = arena_alloc(l->arena, sizeof *more * (size_t)cap);
		if (l->count)
			memcpy(more, l->tokens, sizeof *more * (size_t)l->count);
		l->tokens = more;
		l->cap = cap;
	}
	struct token *t = &l->tokens[l->count++];
	*t = (struct token){ .kind = kind, .text = arena_dup(l->arena, text, len), .len = len, .line = l->line,
			     .begin = begin, .end = l->at };
	return t;
}

static int skip_comment(struct lexer *l) {
	int depth = 0, start = l->line;
	do {
		if (l->at >= l->len)
			return sqlerror_set(l->error, 113, start, "Missing end comment mark '*/'.");
		if (peek(l, 0) == '/' && peek(l, 1) == '*') {
			depth++;
			l->at += 2;
		} else if (peek(l, 0) == '*' && peek(l, 1) == '/') {
			depth--;
			l->at += 2;
		} else {
			l->line += peek(l, 0) == '\n';
			l->at++;
		}
	} while (depth > 0);
	return 0;
}

static int skip_blanks(struct lexer *l) {
	for (;;) {
		int c = peek(l, 0);
		if (l->at >= l->len)
			return 0;
		if (isspace(c)) {
			l->line += c == '\n';
			l->at++;
		} else if (c == '-' && peek(l, 1) == '-') {
			while (l->at < l->len && peek(l, 0) != '\n')
				l->at++;
		} else if (c == '/' && peek(l, 1) == '*') {
			if (skip_comment(l) < 0)
				return -1;
		} else {
			return 0;
		}
	}
}

static size_t quoted_size(const struct lexer *l, char close) {
	size_t i = l->at;
	while (i < l->len && (l->sql[i] != close || (i + 1 < l->len && l->sql[i + 1] == close)))
		i += l->sql[i] == close ? 2 : 1;
	return (i < l->len ? i : l->len) - l->at;
}

/* Reads up to the closing mark, which counts when doubled. A backslash before a line end joins the lines in strings. */
static int quoted(struct lexer *l, enum token_kind kind, char close, size_t begin) {
	int start = l->line;
	char *out = arena_alloc(l->arena, quoted_size(l, close) + 1);
	size_t n = 0;
	for (;; l->at++) {
		if (l->at >= l->len)
			return sqlerror_set(l->error, 105, start, "Unclosed quotation mark after the character string '%.80s'.",
					    out);
		char c = l->sql[l->at];
		if (c == close) {
			if (peek(l, 1) != close)
				break;
			l->at++;
		} else if (c == '\\' && close == '\'' && peek(l, 1) == '\n') {
			l->at++;
			l->line++;
			continue;
		}
		l->line += c == '\n';
		out[n++] = c;
	}
	l->at++;
	if ((kind == T_QUOTED) && n > 128)
		return sqlerror_set(l->error, 103, start,
				    "The identifier that starts with '%.60s' is too long. Maximum length is 128.", out);
	struct token *t = add(l, kind, "", 0, begin);
	t->text = out;
	t->len = n;
	t->line = start;
	return 0;
}

static void number(struct lexer *l) {
	size_t begin = l->at;
	if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X')) {
		l->at += 2;
		while (isxdigit(peek(l, 0)))
			l->at++;
		add(l, T_BINARY, l->sql + begin + 2, l->at - begin - 2, begin);
		return;
	}
	enum token_kind kind = T_INTEGER;
	while (isdigit(peek(l, 0)))
		l->at++;
	if (peek(l, 0) == '.') {
		kind = T_DECIMAL;
		l->at++;
		while (isdigit(peek(l, 0)))
			l->at++;
	}
	if (peek(l, 0) == 'e' || peek(l, 0) == 'E') {
		kind = T_FLOAT;
		l->at++;
		if (peek(l, 0) == '+' || peek(l, 0) == '-')
			l->at++;
		while (isdigit(peek(l, 0)))
			l->at++;
	}
	add(l, kind, l->sql + begin, l->at - begin, begin);
}

static int symbol(struct lexer *l) {
	static const char *const two[] = { "<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "::", NULL };
	size_t begin = l->at;
	for (int i = 0; two[i]; i++)
		if (peek(l, 0) == two[i][0] && peek(l, 1) == two[i][1]) {
			l->at += 2;
			add(l, T_SYMBOL, two[i], 2, begin);
			return 0;
		}
	int c = peek(l, 0);
	if (!c || !strchr("()+-*/%=<>,.;&|^~:", c))
		return sqlerror_set(l->error, 102, l->line, "Incorrect syntax near '%c'.", isprint(c) ? c : '?');
	l->at++;
	add(l, T_SYMBOL, l->sql + begin, 1, begin);
	return 0;
}

static int one(struct lexer *l) {
	size_t begin = l->at;
	int c = peek(l, 0);
	if ((c == 'N' || c == 'n') && peek(l, 1) == '\'') {
		l->at += 2;
		return quoted(l, T_NSTRING, '\'', begin);
	}
	if (c == '\'' || c == '"' || c == '[') {
		l->at++;
		return quoted(l, c == '\'' ? T_STRING : T_QUOTED, (char)(c == '[' ? ']' : c), begin);
	}
	if (isdigit(c) || (c == '.' && isdigit(peek(l, 1)))) {
		number(l);
		return 0;
	}
	if (c == '@' || is_word_start(c)) {
		while (is_word(peek(l, 0)))
			l->at++;
		if (l->at - begin > 128)
			return sqlerror_set(l->error, 103, l->line,
					    "The identifier that starts with '%.60s' is too long. Maximum length is 128.",
					    l->sql + begin);
		add(l, c == '@' ? T_VARIABLE : T_WORD, l->sql + begin, l->at - begin, begin);
		return 0;
	}
	return symbol(l);
}

struct token *lexer_run(struct arena *arena, const char *sql, size_t len, int *count, struct sqlerror *error) {
	struct lexer l = { .arena = arena, .sql = sql, .len = len, .line = 1, .error = error };
	if (len >= 3 && memcmp(sql, "\xEF\xBB\xBF", 3) == 0)
		l.at = 3;
	for (;;) {
		if (skip_blanks(&l) < 0)
			return NULL;
		if (l.at >= l.len)
			break;
		if (one(&l) < 0)
			return NULL;
	}
	add(&l, T_END, "", 0, l.at);
	*count = l.count;
	return l.tokens;
}
