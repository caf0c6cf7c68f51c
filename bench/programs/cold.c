/* Cold code: an iteration writes 20000 basic blocks anew and runs them a
 * number of times. To translate code that runs once must not cost more than
 * to interpret it. Each time they are a little further on, so that no page
 * holds what it held before. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

/* bench/generate.go writes these; the linker gives the section's ends. */
u64 generated_code(u64 x);
extern const u8 __start_generated[], __stop_generated[];

enum { STEP = 68, STEPS = 100 };

static u8 *area;
static size_t size;

static void setup(void)
{
	size = (size_t)(__stop_generated - __start_generated);
	area = mmap(NULL, size + STEP * STEPS, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		fail("mmap");
}

/* Some x86 processors (AMD, family 26) rarely execute what an address held
 * before the store, although they should not; a serializing instruction
 * between keeps them from it (AMD APM volume 2, "Cross-Modifying Code"). */
static void serialize(void)
{
#if defined(__x86_64__)
	unsigned a = 0, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
#endif
}

static u64 run(int times)
{
	static unsigned turn;
	u8 *copy = area + STEP * (turn++ % STEPS);
	memcpy(copy, __start_generated, size);
	__builtin___clear_cache((char *)copy, (char *)copy + size);
	serialize();
	u64 (*entry)(u64) = (u64 (*)(u64))(uintptr_t)(copy + ((const u8 *)(uintptr_t)generated_code - __start_generated));
	u64 x = 1;
	for (int i = 0; i < times; i++)
		x = entry(x);
	return x;
}

void setup_once(void) { setup(); }
u64 run_once(void) { return run(1); }

void setup_few(void) { setup(); }
u64 run_few(void) { return run(8); }

void setup_many(void) { setup(); }
u64 run_many(void) { return run(64); }
