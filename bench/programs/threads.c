/* The same work by one thread and by two: the processor is all that it takes,
 * but for a count that the threads share now and then. */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

enum { UNITS = 2, CELLS = 1024, ROUNDS = 5000, SHARE = 50 };

static atomic_ulong shared;

/* work is one unit: a small table that is stirred again and again. */
static void *work(void *arg)
{
	u64 *sum = arg, state = *sum;
	u32 cells[CELLS];
	for (int i = 0; i < CELLS; i++)
		cells[i] = (u32)next(&state);
	for (int n = 0; n < ROUNDS; n++) {
		for (int i = 0; i < CELLS; i++) {
			u32 x = cells[i], y = cells[x % CELLS];
			cells[i] = x & 1 ? (x >> 1) + y : x * 2654435761u ^ y >> 3;
		}
		if (n % SHARE == 0)
			atomic_fetch_add(&shared, 1);
	}
	for (int i = 0; i < CELLS; i++)
		state = mix(state, cells[i]);
	*sum = state;
	return 0;
}

static u64 units(int threads)
{
	pthread_t t[UNITS];
	u64 sums[UNITS];
	for (int i = 0; i < UNITS; i++) {
		sums[i] = 0x9e3779b97f4a7c15u + (u64)i;
		if (threads == 1)
			work(&sums[i]);
		else if (pthread_create(&t[i], 0, work, &sums[i]))
			fail("pthread_create");
	}
	for (int i = 0; threads > 1 && i < UNITS; i++)
		pthread_join(t[i], 0);
	u64 sum = 0;
	for (int i = 0; i < UNITS; i++)
		sum = mix(sum, sums[i]);
	return sum;
}

void setup_alone(void) {}
u64 run_alone(void) { return units(1); }

void setup_pair(void) {}
u64 run_pair(void)
{
	u64 before = atomic_load(&shared), sum = units(2);
	/* What both have added is all there, or the sum is wrong. */
	return atomic_load(&shared) - before == UNITS * (ROUNDS / SHARE) ? sum : 0;
}
