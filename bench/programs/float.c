/* Matrix product, Mandelbrot set, square roots and divisions. */
#include <math.h>

#include "bench.h"

/* matmul: product of double matrices, blocked by rows. */

enum { ORDER = 80 };

static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];

void setup_matmul(void)
{
	u64 seed = 987654321;
	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++) {
			a[i][j] = (double)(next(&seed) >> 40) / 65536;
			b[i][j] = (double)(next(&seed) >> 40) / 65536;
		}
}

u64 run_matmul(void)
{
	u64 sum = 0;
	for (int i = 0; i < ORDER; i++) {
		for (int j = 0; j < ORDER; j++)
			c[i][j] = 0;
		for (int k = 0; k < ORDER; k++)
			for (int j = 0; j < ORDER; j++)
				c[i][j] += a[i][k] * b[k][j];
	}
	for (int i = 0; i < ORDER; i++)
		for (int j = 0; j < ORDER; j++)
			sum = mix_double(sum, c[i][j]);
	return sum;
}

/* mandelbrot: 48 by 48 points, up to 100 steps each. */

void setup_mandelbrot(void) {}

u64 run_mandelbrot(void)
{
	u64 sum = 0;
	for (int y = 0; y < 48; y++)
		for (int x = 0; x < 48; x++) {
			double cr = x / 20.0 - 1.7, ci = y / 20.0 - 1.2, zr = 0, zi = 0;
			int n = 0;
			while (n < 100 && zr * zr + zi * zi < 4) {
				double t = zr * zr - zi * zi + cr;
				zi = 2 * zr * zi + ci;
				zr = t;
				n++;
			}
			sum = mix(sum, (u64)n);
		}
	return sum;
}

/* sqrtdiv: square roots, divisions and conversions, in both precisions. */

void setup_sqrtdiv(void) {}

u64 run_sqrtdiv(void)
{
	double s = 1;
	float f = 1;
	u64 sum = 0;
	for (int i = 1; i <= 20000; i++) {
		s = sqrt(s + i) / (1 + 1 / (s + 3));
		f = sqrtf(f + (float)i) / (float)s;
		sum += (u64)(s * 1000) + (u64)(f * 1000);
	}
	return mix_double(mix_double(sum, s), f);
}
