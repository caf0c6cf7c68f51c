/* What every benchmark program shares. One iteration of a program gives the
 * same checksum each time and on each machine; it must not depend on the size
 * of long, the signedness of char, the clock or addresses. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* The programs: setup_NAME is not timed, run_NAME is one iteration. */
#define PROGRAMS(P) \
	P(sort) P(hash) P(sieve) P(format) P(compress) P(interpreter) P(list) P(matrix) P(state) \
	P(calls) P(recursion) P(deep) \
	P(nbody) P(matmul) P(fft) P(mandelbrot) P(sqrtdiv) \
	P(sequential) P(strided) P(chase) P(memcpy) \
	P(syscall) P(fault) P(fork) P(exec) P(pipe) P(switch) \
	P(compiler) P(python) \
	P(once) P(few) P(many) \
	P(alone) P(pair)

#define DECLARE(name) void setup_##name(void); u64 run_##name(void);
PROGRAMS(DECLARE)
#undef DECLARE

/* fail prints what went wrong with errno and ends the program. */
void fail(const char *what) __attribute__((noreturn));

/* allocate gives cleared memory, or fails. */
void *allocate(size_t size);

/* mix folds a value into a checksum (FNV-1a on whole words, rotated). */
static inline u64 mix(u64 sum, u64 value)
{
	sum = (sum ^ value) * 0x100000001b3u;
	return sum << 23 | sum >> 41;
}

/* mix_double folds all bits of a number in. */
static inline u64 mix_double(u64 sum, double value)
{
	union { double d; u64 u; } bits = { value };
	return mix(sum, bits.u);
}

/* next is a xorshift generator; state is never 0. */
static inline u64 next(u64 *state)
{
	u64 x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

#endif
