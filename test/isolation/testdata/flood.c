// flood does one thing without end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { piece = 1 << 20, pieces = 16, batch = 32 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

// compute does what leaves the caches of the host alone.
static void compute(void)
{
	for (unsigned long x = 1;; x ^= x << 13, x ^= x >> 7, x ^= x << 17)
		__asm__ volatile("" : "+r"(x));
}

// Both harts compute.
static void spin(void)
{
	fork();
	compute();
}

static void bomb(void)
{
	for (;;)
		fork();
}

// hog touches memory until the kernel kills it, and begins again.
static void hog(void)
{
	for (;;) {
		pid_t p = fork();
		if (p > 0)
			waitpid(p, NULL, 0);
		while (p == 0) {
			char *m = malloc(piece);
			if (m)
				memset(m, 1, piece);
		}
	}
}

// Timer interrupts, with a hart that sleeps between them.
static void timers(void)
{
	const struct timespec soon = { 0, 1 };
	prctl(PR_SET_TIMERSLACK, 1);
	fork();
	for (;;)
		nanosleep(&soon, NULL);
}

// One hart interrupts the other.
static void ipis(void)
{
	cpu_set_t set;
	int hart;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0))
		die("membarrier");
	hart = fork() == 0;
	CPU_ZERO(&set);
	CPU_SET(hart, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		die("sched_setaffinity");
	for (;;)
		if (!hart)
			syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
		else
			__asm__ volatile("");
}

// Datagrams of size bytes, many with each system call.
static void udp(const char *address, const char *size)
{
	static char data[65536];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = inet_addr(address) };
	struct iovec v = { data, atoi(size) };
	struct mmsghdr m[batch];
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	memset(m, 0, sizeof m);
	for (int i = 0; i < batch; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &v, .msg_iovlen = 1 };
	if (s < 0)
		die("socket");
	for (;;)
		sendmmsg(s, m, batch, 0);
}

// Large requests past the guest's cache: the guest does next to nothing.
static void disk(int write)
{
	char *data;
	int f = open("/dev/vda", O_RDWR | O_DIRECT);
	if (f < 0 || posix_memalign((void **)&data, 4096, piece))
		die("/dev/vda");
	memset(data, 'x', piece);
	fork(), fork();
	for (;;)
		for (int i = 0; i < pieces; i++) {
			ssize_t n = write ? pwrite(f, data, piece, (off_t)i * piece) : pread(f, data, piece, (off_t)i * piece);
			if (n != piece || (write && i % 4 == 3 && fsync(f)))
				die("disk");
		}
}

int main(int n, char **arg)
{
	const char *what = n > 1 ? arg[1] : "";
	if (!strcmp(what, "compute"))
		compute();
	if (!strcmp(what, "spin"))
		spin();
	if (!strcmp(what, "bomb"))
		bomb();
	if (!strcmp(what, "hog"))
		hog();
	if (!strcmp(what, "timers"))
		timers();
	if (!strcmp(what, "ipis"))
		ipis();
	if (!strcmp(what, "read") || !strcmp(what, "write"))
		disk(*what == 'w');
	if (!strcmp(what, "udp") && n == 4)
		udp(arg[2], arg[3]);
	fprintf(stderr, "flood: %s?\n", what);
	return 2;
}
