// A small supervisor that runs a user program under Sv39 and gives it pages on
// demand, setting A and D by itself as Svade has it. It prints and ends through
// HTIF.
typedef unsigned long u64;

extern volatile u64 tohost, fromhost;
extern char user_start[], user_end[], strap[], kernel_stack_top[];
extern void resume(void) __attribute__((noreturn));

#define PAGE 4096ul
enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

static u64 root[512] __attribute__((aligned(4096)));
static u64 middle[512] __attribute__((aligned(4096)));
static u64 leaves[512] __attribute__((aligned(4096)));
static char pages[64][4096] __attribute__((aligned(4096)));
static int used, faults;

static void finish(u64 code)
{
	for (;;) {
		tohost = code;
		fromhost = 0;
	}
}

static void print(const char *text)
{
	static volatile u64 block[8] __attribute__((aligned(64)));
	u64 n = 0;
	while (text[n])
		n++;
	block[0] = 64;
	block[1] = 1;
	block[2] = (u64)text;
	block[3] = n;
	__sync_synchronize();
	tohost = (u64)block;
	while (fromhost == 0)
		;
	fromhost = 0;
	__sync_synchronize();
}

void machine_trap(u64 cause, u64 epc)
{
	(void)cause;
	(void)epc;
	finish(1337 << 1 | 1);
}

static u64 *leaf(u64 va)
{
	if (va >= 512 * PAGE)
		finish(9 << 1 | 1);
	return &leaves[va / PAGE];
}

struct frame {
	u64 pc, x[33];
};

void supervisor_trap(struct frame *f)
{
	u64 cause, va;
	asm volatile("csrr %0, scause" : "=r"(cause));
	asm volatile("csrr %0, stval" : "=r"(va));
	switch (cause) {
	case 8: // the program's call: 1 for a pass
		if (faults < 20)
			finish(4 << 1 | 1);
		print("user program done\n");
		finish(f->x[9]); // a0
	case 12: // fetch, load, store: page faults
	case 13:
	case 15: {
		u64 *pte = leaf(va);
		faults++;
		if (!(*pte & V)) {
			if (used == 64)
				finish(5 << 1 | 1);
			*pte = (u64)pages[used++] >> 2 | V | R | W | X | U;
		} else if (cause != 15 && !(*pte & A)) {
			*pte |= A;
		} else if (cause == 15 && !(*pte & D)) {
			*pte |= A | D;
		} else {
			finish(6 << 1 | 1);
		}
		asm volatile("sfence.vma %0" ::"r"(va) : "memory");
		return;
	}
	default:
		finish((cause + 32) << 1 | 1);
	}
}

void machine_start(void)
{
	u64 code = (u64)user_start;
	root[0] = (u64)middle >> 2 | V;
	middle[0] = (u64)leaves >> 2 | V;
	root[2] = 0x80000000ul >> 2 | V | R | W | X | A | D; // the kernel, one page of 1 GiB
	for (u64 va = 0; va < (u64)(user_end - user_start); va += PAGE)
		leaves[va / PAGE] = (code + va) >> 2 | V | R | X | U;
	asm volatile("csrw pmpaddr0, %0" ::"r"(-1ul));
	asm volatile("csrw pmpcfg0, %0" ::"r"(0x1f));
	asm volatile("csrw medeleg, %0" ::"r"(1 << 8 | 1 << 12 | 1 << 13 | 1 << 15));
	asm volatile("csrw menvcfg, zero"); // A and D are ours to set
	asm volatile("csrw stvec, %0" ::"r"(strap));
	asm volatile("csrw satp, %0" ::"r"(8ul << 60 | (u64)root >> 12));
	asm volatile("sfence.vma");
	print("starting\n");
	// To S-mode, and from there by "resume" to the program.
	struct frame *f = (struct frame *)(kernel_stack_top - 272);
	f->pc = 0;
	asm volatile("csrc mstatus, %0" ::"r"(0x1800));
	asm volatile("csrs mstatus, %0" ::"r"(0x800));
	asm volatile("csrc sstatus, %0" ::"r"(0x100));
	asm volatile("csrw mepc, %0\n mv sp, %1\n mret" ::"r"(resume), "r"(f));
	__builtin_unreachable();
}
