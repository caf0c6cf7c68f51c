/* The three kinds of work that CPU benchmarks for small machines are made of:
 * linked lists, integer matrices, and a state machine over text. */
#include "bench.h"

/* list: reverse, search, and merge sort of linked nodes. */

enum { NODES = 1024 };

struct node {
	struct node *next;
	u16 key, data;
};

static struct node nodes[NODES];

void setup_list(void) {}

static struct node *reverse(struct node *l)
{
	struct node *done = NULL;
	while (l) {
		struct node *rest = l->next;
		l->next = done;
		done = l;
		l = rest;
	}
	return done;
}

static struct node *merge(struct node *a, struct node *b)
{
	struct node first, *last = &first;
	while (a && b) {
		struct node **from = b->key < a->key ? &b : &a;
		last->next = *from;
		last = *from;
		*from = last->next;
	}
	last->next = a ? a : b;
	return first.next;
}

static struct node *merge_sort(struct node *l, int n)
{
	if (n < 2)
		return l;
	struct node *half = l;
	for (int i = 1; i < n / 2; i++)
		half = half->next;
	struct node *rest = half->next;
	half->next = NULL;
	l = merge_sort(l, n / 2);
	return merge(l, merge_sort(rest, n - n / 2));
}

u64 run_list(void)
{
	u64 seed = 521288629, sum = 0;
	for (int i = 0; i < NODES; i++) {
		u64 r = next(&seed);
		nodes[i] = (struct node){ i + 1 < NODES ? &nodes[i + 1] : NULL, (u16)r, (u16)(r >> 16) };
	}
	struct node *l = nodes;
	for (u16 want = 0; want < 16; want++) {
		l = reverse(l);
		u64 steps = 0;
		for (struct node *n = l; n && (n->data & 255) != want; n = n->next)
			steps++;
		sum = mix(sum, steps);
	}
	for (struct node *n = merge_sort(l, NODES); n; n = n->next)
		sum = mix(sum, n->key);
	return sum;
}

/* matrix: products of 16-bit matrices with sums clipped and bits picked. */

enum { ORDER = 48 };

static int16_t left[ORDER][ORDER], right[ORDER][ORDER];
static int32_t product[ORDER][ORDER];

void setup_matrix(void)
{
	u64 seed = 123456789;
	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			left[i][j] = (int16_t)next(&seed);
			right[i][j] = (int16_t)next(&seed);
		}
}

u64 run_matrix(void)
{
	u64 sum = 0;
	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			u32 s = 0;
			for (int k = 0; k < ORDER; k++)
				s += (u32)(left[i][k] * right[k][j]);
			product[i][j] = (int32_t)s;
		}
	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			int32_t p = product[i][j];
			int32_t clipped = p > 1000000 ? 1000000 : p < -1000000 ? -1000000 : p;
			sum = mix(sum, (u64)(int64_t)clipped + ((u32)p >> 5 & 127));
		}
	return sum;
}

/* state: what kind of number is each word of a text? */

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, POWER_SIGN, POWER, INVALID, STATES };

static char words[8192];

void setup_state(void)
{
	static const char *const samples[] = { "5012", "-874", "+122", "35.54400", ".1234500", "-110.700", "+0.64400",
		"5.500e+3", "-.123e-2", "-87e+832", "+0.6e-12", "T0.3e-1F", "-T.T++Tq", "1T3.4e4z", "34.0e-T^" };
	u64 seed = 77;
	int n = 0;
	for (;;) {
		const char *s = samples[next(&seed) % 15];
		if (n + 16 > (int)sizeof words)
			break;
		while (*s)
			words[n++] = *s++;
		words[n++] = ',';
	}
	words[n] = 0;
}

static enum state step(enum state s, char c)
{
	int digit = c >= '0' && c <= '9';
	switch (s) {
	case START:
		if (c == '+' || c == '-')
			return SIGN;
		/* fall through */
	case SIGN:
		return digit ? DIGITS : c == '.' ? POINT : INVALID;
	case DIGITS:
		return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
	case POINT:
		return digit ? FRACTION : INVALID;
	case FRACTION:
		return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
	case EXPONENT:
		return digit ? POWER : c == '+' || c == '-' ? POWER_SIGN : INVALID;
	case POWER_SIGN:
	case POWER:
		return digit ? POWER : INVALID;
	default:
		return INVALID;
	}
}

u64 run_state(void)
{
	u32 final[STATES] = { 0 }, moves[STATES] = { 0 };
	enum state s = START;
	for (int pass = 0; pass < 8; pass++)
		for (const char *p = words; *p; p++) {
			if (*p == ',') {
				final[s]++;
				s = START;
				continue;
			}
			enum state to = step(s, *p);
			moves[to] += to != s;
			s = to;
		}
	u64 sum = 0;
	for (int i = 0; i < STATES; i++)
		sum = mix(mix(sum, final[i]), moves[i]);
	return sum;
}
