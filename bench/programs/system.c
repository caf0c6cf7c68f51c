/* What the kernel does for a program: system calls, page faults, processes,
 * pipes and context switches. All on one processor, as a guest has one. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void stay_here(void)
{
	int here = sched_getcpu();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(here < 0 ? 0 : here, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		fail("sched_setaffinity");
}

/* syscall: the shortest one, not through the C library's cache. */

void setup_syscall(void) {}

u64 run_syscall(void)
{
	long first = syscall(SYS_getppid);
	for (int i = 0; i < 999; i++)
		if (syscall(SYS_getppid) != first)
			return 0;
	return 1;
}

/* fault: small pages, each touched for the first time. */

enum { PAGE = 4096, PAGES = 256 };

void setup_fault(void) {}

u64 run_fault(void)
{
	u8 *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	if (madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE))
		fail("madvise");
	u64 sum = 0;
	for (int i = 0; i < PAGES; i++) {
		p[i * PAGE + i] = (u8)i;
		sum = mix(sum, p[i * PAGE] + (u64)p[i * PAGE + i]);
	}
	if (munmap(p, PAGES * PAGE))
		fail("munmap");
	return sum;
}

/* fork: a child that ends at once. */

static u64 wait_for(pid_t child)
{
	int status;
	if (child < 0)
		fail("fork");
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	return (u64)status + 1;
}

void setup_fork(void) { stay_here(); }

u64 run_fork(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(3);
	return wait_for(child);
}

/* exec: a child that becomes this program anew, to end at once. */

void setup_exec(void) { stay_here(); }

u64 run_exec(void)
{
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "bench", "exit", (char *)NULL);
		_exit(127);
	}
	return wait_for(child);
}

/* pipe: 64 KiB through a pipe in pieces of 4 KiB, within one process. */

static int ends[2];
static u8 piece[PAGE];

void setup_pipe(void)
{
	if (pipe(ends))
		fail("pipe");
}

u64 run_pipe(void)
{
	u64 sum = 0;
	for (int i = 0; i < 16; i++) {
		piece[i] = (u8)i;
		if (write(ends[1], piece, sizeof piece) != sizeof piece)
			fail("write");
		piece[i] = 0;
		if (read(ends[0], piece, sizeof piece) != sizeof piece)
			fail("read");
		sum = mix(sum, piece[i]);
		piece[i] = 0;
	}
	return sum;
}

/* switch: a byte to another process and back, 100 times. */

static int there[2], back[2];

void setup_switch(void)
{
	stay_here();
	if (pipe(there) || pipe(back))
		fail("pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		close(there[0]);
		close(back[1]);
		return;
	}
	close(there[1]); /* else the child would never see the end */
	u8 b;
	while (read(there[0], &b, 1) == 1) {
		b++;
		if (write(back[1], &b, 1) != 1)
			break;
	}
	_exit(0);
}

u64 run_switch(void)
{
	u64 sum = 0;
	for (int i = 0; i < 100; i++) {
		u8 b = (u8)i;
		if (write(there[1], &b, 1) != 1)
			fail("write");
		if (read(back[0], &b, 1) != 1)
			fail("read");
		sum = mix(sum, b);
	}
	return sum;
}
