/* Indirect calls and recursion. */
#include "bench.h"

/* calls: objects of eight classes, called through pointers in an order that
 * only a history of calls predicts. */

enum { OBJECTS = 251, CALLS = 40000 };

struct object {
	u64 (*method)(struct object *, u64);
	u64 state;
};

static struct object objects[OBJECTS];

static u64 m0(struct object *o, u64 x) { return o->state += x; }
static u64 m1(struct object *o, u64 x) { return o->state ^= x; }
static u64 m2(struct object *o, u64 x) { return o->state = x - o->state; }
static u64 m3(struct object *o, u64 x) { return o->state += x << 3; }
static u64 m4(struct object *o, u64 x) { return o->state ^= x >> 5; }
static u64 m5(struct object *o, u64 x) { return o->state *= x | 1; }
static u64 m6(struct object *o, u64 x) { return o->state + x; }
static u64 m7(struct object *o, u64 x) { return o->state & x; }

void setup_calls(void) {}

u64 run_calls(void)
{
	static u64 (*const methods[])(struct object *, u64) = { m0, m1, m2, m3, m4, m5, m6, m7 };
	u64 seed = 2463534242u, x = 1;
	for (int i = 0; i < OBJECTS; i++)
		objects[i] = (struct object){ methods[next(&seed) & 7], seed };
	for (int i = 0, at = 0; i < CALLS; i++) {
		struct object *o = &objects[at];
		x = o->method(o, x + (u64)i);
		at = (at + 7) % OBJECTS;
	}
	return x;
}

/* recursion: Takeuchi's function and Fibonacci numbers. */

void setup_recursion(void) {}

static __attribute__((noinline)) int tak(int x, int y, int z)
{
	if (y >= x)
		return z;
	return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static __attribute__((noinline)) u64 fibonacci(int n)
{
	return n < 2 ? (u64)n : fibonacci(n - 1) + fibonacci(n - 2);
}

u64 run_recursion(void)
{
	return mix(mix(0, (u64)tak(18, 12, 6)), fibonacci(20));
}

/* deep: calls thousands of frames deep and back, out of reach of any
 * prediction of returns. */

enum { DEPTH = 20000 };

void setup_deep(void) {}

static __attribute__((noinline)) u64 descend(u64 depth, u64 x)
{
	volatile u64 local = x; /* keeps the frame, and the call from becoming a loop */
	if (depth == 0)
		return x;
	u64 below = descend(depth - 1, x * 6364136223846793005u + 1);
	return mix(below, local);
}

u64 run_deep(void) { return descend(DEPTH, 1); }
