/* Exact decimal arithmetic over 128 bits with 256-bit intermediate results. Which precision and scale a result has is decided here
 * too; what the error is called is decided by the caller. */
#include "ecosystem/sandbox/sql/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct wide {
	decimal_units hi, lo;
};

decimal_units decimal_power10(int exponent) {
	decimal_units p = 1;
	while (exponent-- > 0)
		p *= 10;
	return p;
}

static struct wide wide_multiply(decimal_units a, decimal_units b) {
	const decimal_units low = UINT64_MAX;
	decimal_units a0 = a & low, a1 = a >> 64, b0 = b & low, b1 = b >> 64;
	decimal_units p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
	decimal_units middle = (p00 >> 64) + (p01 & low) + (p10 & low);
	return (struct wide){ .hi = p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64), .lo = (p00 & low) | (middle << 64) };
}

static struct wide wide_add(struct wide a, struct wide b) {
	struct wide sum = { .hi = a.hi + b.hi, .lo = a.lo + b.lo };
	sum.hi += sum.lo < a.lo;
	return sum;
}

static struct wide wide_subtract(struct wide a, struct wide b) {
	struct wide rest = { .hi = a.hi - b.hi, .lo = a.lo - b.lo };
	rest.hi -= a.lo < b.lo;
	return rest;
}

static int wide_compare(struct wide a, struct wide b) {
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo < b.lo ? -1 : a.lo > b.lo;
}

/* Divisor below 2^127. */
static struct wide wide_divide(struct wide a, decimal_units divisor, decimal_units *rest) {
	struct wide q = { 0 };
	if (!a.hi) {
		q.lo = a.lo / divisor;
		*rest = a.lo % divisor;
		return q;
	}
	decimal_units r = 0;
	for (int i = 255; i >= 0; i--) {
		r = (r << 1) | (((i >= 128 ? a.hi >> (i - 128) : a.lo >> i)) & 1);
		if (r < divisor)
			continue;
		r -= divisor;
		if (i >= 128)
			q.hi |= (decimal_units)1 << (i - 128);
		else
			q.lo |= (decimal_units)1 << i;
	}
	*rest = r;
	return q;
}

int decimal_digits(const struct decimal *d) {
	int n = 1;
	for (decimal_units u = d->units; u >= 10; u /= 10)
		n++;
	return n;
}

static enum decimal_status keep(struct wide w, bool negative, int precision, int scale, struct decimal *out) {
	if (w.hi || w.lo >= decimal_power10(precision))
		return DECIMAL_OVERFLOW;
	*out = (struct decimal){ .units = w.lo, .scale = scale, .negative = negative && w.lo };
	return DECIMAL_OK;
}

/* From scale `from` down to `to` digits. */
static struct wide wide_round(struct wide w, int from, int to, bool truncate) {
	for (int drop = from - to; drop > 0;) {
		int step = drop > DECIMAL_DIGITS ? DECIMAL_DIGITS : drop;
		decimal_units rest, divisor = decimal_power10(step);
		w = wide_divide(w, divisor, &rest);
		drop -= step;
		if (!truncate && drop == 0 && rest >= divisor - rest)
			w = wide_add(w, (struct wide){ .lo = 1 });
	}
	return w;
}

static bool is_blank(char c) {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

enum decimal_status decimal_parse(const char *text, size_t len, struct decimal *out) {
	struct decimal d = { 0 };
	size_t i = 0;
	int significant = 0; /* digits already in d.units, leading zeros not counted */
	bool point = false, digits = false, cut = false;
	while (len > 0 && is_blank(text[len - 1]))
		len--;
	while (i < len && is_blank(text[i]))
		i++;
	if (i < len && (text[i] == '-' || text[i] == '+'))
		d.negative = text[i++] == '-';
	while (i < len && is_blank(text[i]))
		i++;
	for (; i < len; i++) {
		if (text[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			return DECIMAL_MALFORMED;
		digits = true;
		decimal_units digit = (decimal_units)(text[i] - '0');
		significant += d.units != 0;
		if (cut)
			continue;
		if (significant >= DECIMAL_DIGITS || d.scale == DECIMAL_DIGITS) {
			if (!point)
				return DECIMAL_OVERFLOW;
			d.units += digit >= 5 && d.units < decimal_power10(DECIMAL_DIGITS) - 1;
			cut = true;
			continue;
		}
		d.units = d.units * 10 + digit;
		d.scale += point;
	}
	if (!digits)
		return DECIMAL_MALFORMED;
	d.negative = d.negative && d.units;
	*out = d;
	return DECIMAL_OK;
}

size_t decimal_format(const struct decimal *d, char out[DECIMAL_TEXT]) {
	char digits[DECIMAL_TEXT];
	int n = 0, at = 0;
	decimal_units u = d->units;
	do {
		digits[n++] = (char)('0' + (int)(u % 10));
		u /= 10;
	} while (u || n <= d->scale);
	if (d->negative)
		out[at++] = '-';
	while (n > 0) {
		if (n == d->scale)
			out[at++] = '.';
		out[at++] = digits[--n];
	}
	out[at] = '\0';
	return (size_t)at;
}

void decimal_from_int(int64_t value, struct decimal *out) {
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	*out = (struct decimal){ .units = magnitude, .negative = value < 0 };
}

enum decimal_status decimal_from_double(double value, int scale, struct decimal *out) {
	char text[400];
	if (!isfinite(value) || fabs(value) >= 1e38)
		return DECIMAL_OVERFLOW;
	int len = snprintf(text, sizeof text, "%.*f", scale, value);
	return decimal_parse(text, (size_t)len, out);
}

double decimal_to_double(const struct decimal *d) {
	char text[DECIMAL_TEXT];
	double value = 0;
	decimal_format(d, text);
	sscanf(text, "%lf", &value);
	return value;
}

enum decimal_status decimal_to_int(const struct decimal *d, int64_t *out) {
	decimal_units whole = d->units / decimal_power10(d->scale);
	if (whole > (decimal_units)INT64_MAX + (d->negative ? 1 : 0))
		return DECIMAL_OVERFLOW;
	*out = d->negative ? (int64_t)(0 - (uint64_t)whole) : (int64_t)whole;
	return DECIMAL_OK;
}

enum decimal_status decimal_fit(struct decimal *d, int precision, int scale, bool truncate) {
	struct wide w = { .lo = d->units };
	if (scale > d->scale)
		w = wide_multiply(d->units, decimal_power10(scale - d->scale));
	else
		w = wide_round(w, d->scale, scale, truncate);
	return keep(w, d->negative, precision, scale, d);
}

/* Both over the same power of ten. */
static int align(const struct decimal *a, const struct decimal *b, struct wide *x, struct wide *y) {
	int scale = a->scale > b->scale ? a->scale : b->scale;
	*x = wide_multiply(a->units, decimal_power10(scale - a->scale));
	*y = wide_multiply(b->units, decimal_power10(scale - b->scale));
	return scale;
}

int decimal_compare(const struct decimal *a, const struct decimal *b) {
	struct wide x, y;
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	align(a, b, &x, &y);
	int c = wide_compare(x, y);
	return a->negative ? -c : c;
}

static enum decimal_status add(const struct decimal *a, const struct decimal *b, bool b_negative, int precision, int scale,
                               struct decimal *out) {
	struct wide x, y, sum;
	bool negative = a->negative;
	int from = align(a, b, &x, &y);
	if (a->negative == b_negative) {
		sum = wide_add(x, y);
	} else if (wide_compare(x, y) >= 0) {
		sum = wide_subtract(x, y);
	} else {
		sum = wide_subtract(y, x);
		negative = b_negative;
	}
	if (scale > from) {
		if (sum.hi)
			return DECIMAL_OVERFLOW;
		sum = wide_multiply(sum.lo, decimal_power10(scale - from));
	}
	return keep(wide_round(sum, from, scale, false), negative, precision, scale, out);
}

static enum decimal_status multiply(const struct decimal *a, const struct decimal *b, int precision, int scale,
                                    struct decimal *out) {
	struct wide product = wide_multiply(a->units, b->units);
	int from = a->scale + b->scale;
	if (scale > from) {
		if (product.hi)
			return DECIMAL_OVERFLOW;
		product = wide_multiply(product.lo, decimal_power10(scale - from));
	}
	return keep(wide_round(product, from, scale, false), a->negative != b->negative, precision, scale, out);
}

/* a / b with `scale` digits: digits are brought down up to 38 at a time. */
static enum decimal_status divide(const struct decimal *a, const struct decimal *b, int precision, int scale,
                                  struct decimal *out) {
	if (!b->units)
		return DECIMAL_ZERO_DIVIDE;
	int shift = scale + b->scale - a->scale;
	decimal_units quotient = a->units / b->units, rest = a->units % b->units;
	for (int drop = shift; drop < 0; drop++)
		quotient /= 10;
	while (shift > 0) {
		int step = shift > DECIMAL_DIGITS ? DECIMAL_DIGITS : shift;
		decimal_units power = decimal_power10(step);
		struct wide next = wide_divide(wide_multiply(rest, power), b->units, &rest);
		struct wide moved = wide_add(wide_multiply(quotient, power), next);
		if (moved.hi)
			return DECIMAL_OVERFLOW;
		quotient = moved.lo;
		shift -= step;
	}
	return keep((struct wide){ .lo = quotient }, a->negative != b->negative, precision, scale, out);
}

static enum decimal_status modulo(const struct decimal *a, const struct decimal *b, int precision, int scale,
                                  struct decimal *out) {
	struct wide x, y;
	if (!b->units)
		return DECIMAL_ZERO_DIVIDE;
	int from = align(a, b, &x, &y);
	if (wide_compare(x, y) >= 0) {
		if (y.hi || y.lo >> 127)
			return DECIMAL_OVERFLOW;
		decimal_units rest;
		wide_divide(x, y.lo, &rest);
		x = (struct wide){ .lo = rest };
	}
	return keep(wide_round(x, from, scale, false), a->negative, precision, scale, out);
}

enum decimal_status decimal_calc(char op, const struct decimal *a, const struct decimal *b, int precision, int scale,
                                 struct decimal *out) {
	switch (op) {
	case '+':
		return add(a, b, b->negative, precision, scale, out);
	case '-':
		return add(a, b, !b->negative, precision, scale, out);
	case '*':
		return multiply(a, b, precision, scale, out);
	case '/':
		return divide(a, b, precision, scale, out);
	case '%':
		return modulo(a, b, precision, scale, out);
	default:
		return DECIMAL_MALFORMED;
	}
}

static int max(int a, int b) {
	return a > b ? a : b;
}

static int min(int a, int b) {
	return a < b ? a : b;
}

void decimal_result_type(char op, int p1, int s1, int p2, int s2, int *precision, int *scale) {
	int p, s;
	switch (op) {
	case '*':
		s = s1 + s2;
		p = p1 + p2 + 1;
		break;
	case '/':
		s = max(6, s1 + p2 + 1);
		p = p1 - s1 + s2 + s;
		break;
	case '%':
		s = max(s1, s2);
		p = min(p1 - s1, p2 - s2) + s;
		break;
	default: /* + - */
		s = max(s1, s2);
		p = max(p1 - s1, p2 - s2) + s + 1;
		break;
	}
	if (p > DECIMAL_DIGITS) {
		int whole = p - s;
		if (op == '*' || op == '/')
			s = whole < 32 ? min(s, DECIMAL_DIGITS - whole) : min(s, 6);
		else
			s = max(min(s, DECIMAL_DIGITS - whole), 0);
		p = DECIMAL_DIGITS;
	}
	*precision = p;
	*scale = s;
}
