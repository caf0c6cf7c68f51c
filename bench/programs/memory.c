/* Memory: 32 MiB in order, with a stride, at random; and copies. */
#include <string.h>

#include "bench.h"

enum { SIZE = 32 << 20, WORDS = SIZE / 8 };

static u64 *buffer;

static void fill(void)
{
	buffer = allocate(SIZE);
	for (u64 i = 0; i < WORDS; i++)
		buffer[i] = i * 0x9e3779b97f4a7c15u;
}

/* sequential: read, change and write every word. Twice, to end as it began. */

void setup_sequential(void) { fill(); }

u64 run_sequential(void)
{
	u64 sum = 0;
	for (int pass = 0; pass < 2; pass++)
		for (u64 i = 0; i < WORDS; i++) {
			buffer[i] = ~buffer[i];
			sum = (sum << 1 | sum >> 63) + buffer[i];
		}
	return sum;
}

/* strided: one word of each page and a line more, round and round. */

enum { STRIDE = 4096 / 8 + 8, TOUCHES = 40000 };

void setup_strided(void) { fill(); }

u64 run_strided(void)
{
	u64 sum = 0, at = 0;
	for (int i = 0; i < TOUCHES; i++) {
		sum = mix(sum, buffer[at]);
		at = (at + STRIDE) % WORDS;
	}
	return sum;
}

/* chase: one random cycle through all lines, each read telling the next. */

enum { LINE = 64 / 8, LINES = WORDS / LINE };

void setup_chase(void)
{
	u64 seed = 314159265;
	buffer = allocate(SIZE);
	for (u64 i = 0; i < LINES; i++)
		buffer[i * LINE] = i;
	/* Sattolo's shuffle gives one cycle. */
	for (u64 i = LINES - 1; i > 0; i--) {
		u64 j = next(&seed) % i, t = buffer[i * LINE];
		buffer[i * LINE] = buffer[j * LINE];
		buffer[j * LINE] = t;
	}
}

u64 run_chase(void)
{
	u64 at = 0, sum = 0;
	for (int i = 0; i < LINES; i++) {
		at = buffer[at * LINE];
		sum += at ^ (u64)i;
	}
	return at == 0 ? sum : 0;
}

/* memcpy: the C library's, in pieces of 16 bytes to 1 MiB. */

enum { COPY = 1 << 20 };

static u8 *from, *to;

void setup_memcpy(void)
{
	u64 seed = 271828182;
	from = allocate(COPY + 64);
	to = allocate(COPY + 64);
	for (int i = 0; i < COPY + 64; i++)
		from[i] = (u8)(next(&seed) >> 32);
}

u64 run_memcpy(void)
{
	u64 sum = 0;
	for (size_t piece = 16; piece <= COPY; piece *= 4) {
		for (size_t at = 0; at < COPY; at += piece)
			memcpy(to + at, from + (at ^ piece) % COPY, piece);
		sum = mix(sum, to[piece - 1] + (u64)to[COPY - 1] * 256);
	}
	return sum;
}
