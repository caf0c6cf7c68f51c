/* Formatting with the C library's snprintf, and parsing what came out. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { LINES = 1000 };

void setup_format(void) {}

u64 run_format(void)
{
	static const char *const names[] = { "alpha", "beta", "gamma", "delta" };
	char line[128];
	u64 seed = 0x9e3779b97f4a7c15u, sum = 0;
	for (int i = 0; i < LINES; i++) {
		u64 r = next(&seed);
		int n = snprintf(line, sizeof line, "%d %-8s 0x%08x %llu", (int)(u32)r,
			names[r & 3], (unsigned)(r >> 32), (unsigned long long)r);
		for (int j = 0; j < n; j++)
			sum = mix(sum, (u8)line[j]);
		if (strtol(line, NULL, 10) != (int)(u32)r)
			return 0;
	}
	return sum;
}
