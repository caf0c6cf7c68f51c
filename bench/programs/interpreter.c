/* A loop that interprets byte code: the longest Collatz sequence below a
 * limit, on a machine of eight registers. */
#include "bench.h"

enum op { SET, MOVE, ADD, ADDI, SHR1, MUL3, ODD, JUMP, JZERO, JLESS, MAX, STOP };

struct inst {
	u8 op, a, b;
	int16_t k;
};

/* r0 number, r1 limit, r2 current, r3 steps, r4 best, r5 bit, r6 one, r7 sum */
static const struct inst code[] = {
	{ SET, 0, 0, 1 }, { SET, 1, 0, 600 }, { SET, 4, 0, 0 }, { SET, 6, 0, 1 }, { SET, 7, 0, 0 },
	/* 5: next number */
	{ MOVE, 2, 0, 0 }, { SET, 3, 0, 0 },
	/* 7: next step */
	{ ODD, 5, 2, 0 }, { JZERO, 5, 0, 12 },
	{ JLESS, 2, 6, 15 }, { MUL3, 2, 2, 0 }, { JUMP, 0, 0, 13 },
	{ SHR1, 2, 2, 0 },
	/* 13 */
	{ ADDI, 3, 0, 1 }, { JLESS, 6, 2, 7 },
	/* 15: sequence done */
	{ MAX, 4, 3, 0 }, { ADD, 7, 3, 0 }, { ADDI, 0, 0, 1 }, { JLESS, 0, 1, 5 }, { STOP, 0, 0, 0 },
};

void setup_interpreter(void) {}

u64 run_interpreter(void)
{
	u64 r[8] = { 0 }, executed = 0;
	for (int pc = 0;; executed++) {
		const struct inst *i = &code[pc++];
		switch ((enum op)i->op) {
		case SET:   r[i->a] = (u64)i->k; break;
		case MOVE:  r[i->a] = r[i->b]; break;
		case ADD:   r[i->a] += r[i->b]; break;
		case ADDI:  r[i->a] += (u64)i->k; break;
		case SHR1:  r[i->a] = r[i->b] >> 1; break;
		case MUL3:  r[i->a] = 3 * r[i->b] + 1; break;
		case ODD:   r[i->a] = r[i->b] & 1; break;
		case JUMP:  pc = i->k; break;
		case JZERO: if (!r[i->a]) pc = i->k; break;
		case JLESS: if (r[i->a] < r[i->b]) pc = i->k; break;
		case MAX:   if (r[i->a] < r[i->b]) r[i->a] = r[i->b]; break;
		case STOP:  return mix(mix(mix(0, r[4]), r[7]), executed);
		}
	}
}
