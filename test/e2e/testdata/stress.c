/* What threads do to each other: each part adds up something that is wrong if
   a processor breaks an order or an atomic step. Prints "stress: ok" at the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 16

static int rounds;

static void fail(const char *what, long got, long want)
{
	printf("stress: %s is %ld, want %ld\n", what, got, want);
	exit(1);
}

static void check(const char *what, long got, long want)
{
	if (got != want)
		fail(what, got, want);
}

static void together(void *(*f)(void *))
{
	pthread_t t[THREADS];
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], 0, f, (void *)i))
			fail("pthread_create", errno, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], 0);
}

/* A mutex around plain variables. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long guarded, guarded2;

static void *locks(void *p)
{
	for (int i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		guarded++;
		guarded2 += guarded & 1;
		pthread_mutex_unlock(&mutex);
	}
	return 0;
}

/* Atomics of all sizes: those below four bytes are LR and SC loops. */
static atomic_long sum64, swaps;
static atomic_int sum32;
static _Atomic uint8_t bytes[8];
static _Atomic uint16_t halves[4];

static void *atomics(void *p)
{
	long me = (long)p;
	for (int i = 0; i < rounds; i++) {
		atomic_fetch_add(&sum64, me + 1);
		atomic_fetch_add_explicit(&sum32, 1, memory_order_relaxed);
		atomic_fetch_add(&bytes[me % 8], 1);
		atomic_fetch_add(&halves[me % 4], 1);
		long old = atomic_load(&swaps);
		while (!atomic_compare_exchange_weak(&swaps, &old, old + 3))
			;
	}
	return 0;
}

/* Producers and consumers around a ring with condition variables. */
static struct {
	pthread_mutex_t m;
	pthread_cond_t room, data;
	long slot[7];
	int n, at;
} ring = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static atomic_long consumed;

static void *conditions(void *p)
{
	long me = (long)p;
	for (int i = 0; i < rounds / 4; i++) {
		pthread_mutex_lock(&ring.m);
		if (me % 2) {
			while (ring.n == 7)
				pthread_cond_wait(&ring.room, &ring.m);
			ring.slot[(ring.at + ring.n++) % 7] = me * 1000003 + i;
			pthread_cond_signal(&ring.data);
		} else {
			while (ring.n == 0)
				pthread_cond_wait(&ring.data, &ring.m);
			atomic_fetch_add(&consumed, ring.slot[ring.at]);
			ring.at = (ring.at + 1) % 7;
			ring.n--;
			pthread_cond_signal(&ring.room);
		}
		pthread_mutex_unlock(&ring.m);
	}
	return 0;
}

/* A lock made of a futex, with plain data behind it. */
static atomic_int word;
static long behind;

static void *futexes(void *p)
{
	for (int i = 0; i < rounds; i++) {
		int c = 0;
		if (!atomic_compare_exchange_strong(&word, &c, 1)) {
			if (c != 2)
				c = atomic_exchange(&word, 2);
			while (c) {
				syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
				c = atomic_exchange(&word, 2);
			}
		}
		behind++;
		if (atomic_fetch_sub(&word, 1) != 1) {
			atomic_store(&word, 0);
			syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
		}
	}
	return 0;
}

/* Dekker's entry protocol: stores before loads. */
static atomic_int want[2], turn;
static long entered;

static void *dekker(void *p)
{
	long me = (long)p;
	if (me > 1)
		return 0;
	for (int i = 0; i < rounds; i++) {
		atomic_store(&want[me], 1);
		while (atomic_load(&want[!me]))
			if (atomic_load(&turn) != me) {
				atomic_store(&want[me], 0);
				while (atomic_load(&turn) != me)
					sched_yield();
				atomic_store(&want[me], 1);
			}
		entered++;
		atomic_store(&turn, !me);
		atomic_store(&want[me], 0);
	}
	/* The other must not wait for a turn that does not come. */
	return 0;
}

/* Barriers: what one wrote before, all see behind. */
static pthread_barrier_t barrier;
static long row[THREADS];

static void *barriers(void *p)
{
	long me = (long)p;
	for (int i = 0; i < rounds / 16; i++) {
		row[me] = i;
		pthread_barrier_wait(&barrier);
		for (int k = 0; k < THREADS; k++)
			if (row[k] != i)
				fail("a row behind a barrier", row[k], i);
		pthread_barrier_wait(&barrier);
	}
	return 0;
}

/* Mappings that come and go while others use theirs. */
static void *mappings(void *p)
{
	long me = (long)p;
	for (int i = 0; i < rounds / 16; i++) {
		long *m = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			fail("mmap", errno, 0);
		for (int k = 0; k < 16; k++) {
			if (m[512 * k])
				fail("a new page", m[512 * k], 0);
			m[512 * k] = me + 1;
		}
		mprotect(m, 16 * 4096, PROT_READ);
		for (int k = 0; k < 16; k++)
			if (m[512 * k] != me + 1)
				fail("a page", m[512 * k], me + 1);
		munmap(m, 16 * 4096);
	}
	return 0;
}

/* Code that one thread writes and others execute. */
static uint32_t *code;
static atomic_long version;

static void *coding(void *p)
{
	long me = (long)p;
	for (int i = 1; i <= rounds / 64; i++) {
		if (me == 0) {
			code[0] = 0x537 | (uint32_t)i << 12; /* lui a0, i */
			code[1] = 0x8067;
			__builtin___clear_cache((char *)code, (char *)(code + 2));
			atomic_store(&version, i);
			sched_yield();
			continue;
		}
		long before = atomic_load(&version);
		if (before) {
			long got = ((long (*)(void))code)() >> 12;
			if (got < before)
				fail("the code's version", got, before);
		}
	}
	return 0;
}

static void *nothing(void *p) { return p; }

int main(int argc, char **argv)
{
	rounds = argc > 1 ? atoi(argv[1]) : 20000;
	together(locks);
	check("the guarded sum", guarded, (long)THREADS * rounds);
	check("the other guarded sum", guarded2, (long)THREADS * rounds / 2);
	together(atomics);
	check("the sum of doublewords", sum64, (long)rounds * THREADS * (THREADS + 1) / 2);
	check("the sum of words", sum32, (long)rounds * THREADS);
	check("the swaps", swaps, 3L * rounds * THREADS);
	for (int i = 0; i < 8; i++)
		check("a sum of bytes", bytes[i], (uint8_t)(rounds * (THREADS / 8)));
	for (int i = 0; i < 4; i++)
		check("a sum of halves", halves[i], (uint16_t)(rounds * (THREADS / 4)));
	together(conditions);
	long want = 0;
	for (long me = 1; me < THREADS; me += 2)
		for (long i = 0; i < rounds / 4; i++)
			want += me * 1000003 + i;
	check("what was consumed", consumed, want);
	together(futexes);
	check("the sum behind futexes", behind, (long)THREADS * rounds);
	together(dekker);
	check("the entries", entered, 2L * rounds);
	pthread_barrier_init(&barrier, 0, THREADS);
	together(barriers);
	together(mappings);
	code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		fail("mmap", errno, 0);
	together(coding);
	for (int i = 0; i < 64; i++)
		together(nothing);
	printf("stress: ok\n");
	return 0;
}
