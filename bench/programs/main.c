/* usage: bench NAME COUNT
 * Runs COUNT iterations of a program after one that is not timed, and prints
 *   @result NAME COUNT NANOSECONDS CHECKSUM
 * The time is the guest's own clock, so that starting up is not part of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

static const struct {
	const char *name;
	void (*setup)(void);
	u64 (*run)(void);
} programs[] = {
#define ENTRY(name) { #name, setup_##name, run_##name },
	PROGRAMS(ENTRY)
#undef ENTRY
};

void fail(const char *what)
{
	printf("@error %s: %s\n", what, strerror(errno));
	exit(1);
}

void *allocate(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		fail("memory");
	return p;
}

static u64 now(void)
{
	struct timespec t;
	if (clock_gettime(CLOCK_MONOTONIC, &t))
		fail("clock_gettime");
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static int measure(size_t i, unsigned long long count)
{
	programs[i].setup();
	u64 sum = programs[i].run();
	int bad = 0;
	u64 start = now();
	for (unsigned long long n = 0; n < count; n++)
		bad |= programs[i].run() != sum;
	u64 end = now();
	if (bad) {
		printf("@error %s: two iterations gave different checksums\n", programs[i].name);
		return 1;
	}
	printf("@result %s %llu %llu %016llx\n", programs[i].name, count,
		(unsigned long long)(end - start), (unsigned long long)sum);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "exit")) /* what run_exec starts */
		return 0;
	unsigned long long count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	for (size_t i = 0; count && i < sizeof programs / sizeof *programs; i++)
		if (!strcmp(argv[1], programs[i].name))
			return measure(i, count);
	fprintf(stderr, "usage: bench NAME COUNT; the programs are:");
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		fprintf(stderr, " %s", programs[i].name);
	fprintf(stderr, "\n");
	return 2;
}
