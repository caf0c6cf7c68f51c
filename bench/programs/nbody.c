/* Five bodies under gravity, advanced by small steps. */
#include <math.h>

#include "bench.h"

enum { BODIES = 5, STEPS = 1000 };

struct body {
	double x[3], v[3], mass;
};

static const struct body initial[BODIES] = {
	{ { 0, 0, 0 }, { 0, 0, 0 }, 39.47841760435743 },
	{ { 4.84, -1.16, -0.10 }, { 0.6, 2.81, -0.02 }, 0.0377 },
	{ { 8.34, 4.12, -0.40 }, { -1.01, 1.82, 0.008 }, 0.0113 },
	{ { 12.89, -15.11, -0.22 }, { 1.08, 0.87, -0.01 }, 0.0017 },
	{ { 15.38, -25.92, 0.18 }, { 0.98, 0.59, -0.034 }, 0.002 },
};

void setup_nbody(void) {}

static void advance(struct body *b, double dt)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) {
			double d[3], square = 0;
			for (int k = 0; k < 3; k++) {
				d[k] = b[i].x[k] - b[j].x[k];
				square += d[k] * d[k];
			}
			double scale = dt / (square * sqrt(square));
			for (int k = 0; k < 3; k++) {
				b[i].v[k] -= d[k] * b[j].mass * scale;
				b[j].v[k] += d[k] * b[i].mass * scale;
			}
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			b[i].x[k] += dt * b[i].v[k];
}

u64 run_nbody(void)
{
	struct body b[BODIES];
	u64 sum = 0;
	for (int i = 0; i < BODIES; i++)
		b[i] = initial[i];
	for (int i = 0; i < STEPS; i++)
		advance(b, 0.001);
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			sum = mix_double(mix_double(sum, b[i].x[k]), b[i].v[k]);
	return sum;
}
