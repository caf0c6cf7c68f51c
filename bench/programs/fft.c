/* A fast Fourier transform of 2048 complex numbers, forth and back. */
#include "bench.h"

enum { LOG = 11, LENGTH = 1 << LOG };

static double re[LENGTH], im[LENGTH], input[LENGTH];
static double cosine[LENGTH / 2], sine[LENGTH / 2];

/* The twiddle factors are computed without the C library, whose last bits
 * differ between processors: a series for one
 * angle, and sums of angles from there. */
void setup_fft(void)
{
	double x = 2 * 3.14159265358979323846 / LENGTH, x2 = x * x;
	double s = x * (1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42))), c = 1 - x2 / 2 * (1 - x2 / 12 * (1 - x2 / 30));
	cosine[0] = 1;
	sine[0] = 0;
	for (int i = 1; i < LENGTH / 2; i++) {
		cosine[i] = cosine[i - 1] * c - sine[i - 1] * s;
		sine[i] = sine[i - 1] * c + cosine[i - 1] * s;
	}
	u64 seed = 42;
	for (int i = 0; i < LENGTH; i++)
		input[i] = (double)(next(&seed) >> 44) / 1024 - 512;
}

static void transform(double sign)
{
	for (u32 i = 1, j = 0; i < LENGTH; i++) {
		u32 bit = LENGTH / 2;
		for (; j & bit; bit >>= 1)
			j ^= bit;
		j ^= bit;
		if (i < j) {
			double t = re[i];
			re[i] = re[j];
			re[j] = t;
			t = im[i];
			im[i] = im[j];
			im[j] = t;
		}
	}
	for (int half = 1, stride = LENGTH / 2; half < LENGTH; half *= 2, stride /= 2)
		for (int start = 0; start < LENGTH; start += 2 * half)
			for (int k = 0; k < half; k++) {
				int p = start + k, q = p + half;
				double wr = cosine[k * stride], wi = sign * sine[k * stride];
				double tr = wr * re[q] - wi * im[q], ti = wr * im[q] + wi * re[q];
				re[q] = re[p] - tr;
				im[q] = im[p] - ti;
				re[p] += tr;
				im[p] += ti;
			}
}

u64 run_fft(void)
{
	u64 sum = 0;
	for (int i = 0; i < LENGTH; i++) {
		re[i] = input[i];
		im[i] = 0;
	}
	transform(-1);
	for (int i = 0; i < LENGTH; i++)
		sum = mix_double(mix_double(sum, re[i]), im[i]);
	transform(1);
	for (int i = 0; i < LENGTH; i++) {
		double error = re[i] / LENGTH - input[i];
		if (error > 1e-6 || error < -1e-6)
			return 0;
	}
	return sum;
}
