/* The sieve of Eratosthenes below 2^18. */
#include <string.h>

#include "bench.h"

enum { LIMIT = 1 << 18 };

static u8 composite[LIMIT];

void setup_sieve(void) {}

u64 run_sieve(void)
{
	u64 sum = 0;
	memset(composite, 0, sizeof composite);
	for (u32 n = 2; n < LIMIT; n++) {
		if (composite[n])
			continue;
		sum = mix(sum, n);
		for (u64 m = (u64)n * n; m < LIMIT; m += n)
			composite[m] = 1;
	}
	return sum;
}
