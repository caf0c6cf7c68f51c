/* Quicksort with insertion sort for short runs, over 16384 random words. */
#include "bench.h"

enum { LENGTH = 16384, SHORT = 12 };

static u32 values[LENGTH];

void setup_sort(void) {}

static void insertion(u32 *a, long n)
{
	for (long i = 1; i < n; i++) {
		u32 v = a[i];
		long j = i;
		for (; j > 0 && a[j - 1] > v; j--)
			a[j] = a[j - 1];
		a[j] = v;
	}
}

static void quicksort(u32 *a, long n)
{
	while (n > SHORT) {
		u32 pivot = a[n / 2];
		long i = 0, j = n - 1;
		while (i <= j) {
			while (a[i] < pivot)
				i++;
			while (a[j] > pivot)
				j--;
			if (i <= j) {
				u32 t = a[i];
				a[i++] = a[j];
				a[j--] = t;
			}
		}
		/* The shorter side by recursion: depth stays logarithmic. */
		if (j + 1 < n - i) {
			quicksort(a, j + 1);
			a += i;
			n -= i;
		} else {
			quicksort(a + i, n - i);
			n = j + 1;
		}
	}
	insertion(a, n);
}

u64 run_sort(void)
{
	u64 seed = 88172645463325252u, sum = 0;
	for (int i = 0; i < LENGTH; i++)
		values[i] = (u32)next(&seed);
	quicksort(values, LENGTH);
	for (int i = 0; i < LENGTH; i++) {
		if (i && values[i - 1] > values[i])
			return 0;
		sum = mix(sum, values[i]);
	}
	return sum;
}
