/* Programs of others: one iteration starts one anew, in a folder that has it,
 * its libraries and its input (bench/applications.go), and folds what it
 * writes into the checksum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void setup(void)
{
	const char *folder = getenv("BENCH_APPLICATIONS");
	if (chdir(folder ? folder : "/applications"))
		fail("chdir");
}

static u64 read_all(int from, u64 sum)
{
	static u8 buf[65536];
	size_t have = 0;
	for (;;) {
		ssize_t n = read(from, buf + have, sizeof buf - have);
		if (n < 0)
			fail("read");
		have += (size_t)n;
		/* Whole words, however the text came: only the last is padded. */
		if (n == 0 || have == sizeof buf) {
			memset(buf + have, 0, sizeof buf - have);
			for (size_t i = 0; i < have; i += 4)
				sum = mix(sum, buf[i] | (u64)buf[i + 1] << 8 | (u64)buf[i + 2] << 16 | (u64)buf[i + 3] << 24);
			have = 0;
		}
		if (n == 0)
			return sum;
	}
}

static u64 run(char *const argv[])
{
	static char home[4096] = "PYTHONHOME=";
	size_t prefix = strlen("PYTHONHOME=");
	if (!getcwd(home + prefix, sizeof home - prefix))
		fail("getcwd");
	char *const environment[] = { "LC_ALL=C", home, "PYTHONHASHSEED=0", NULL };
	int out[2];
	if (pipe(out))
		fail("pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		if (dup2(out[1], 1) == 1) {
			close(out[0]);
			close(out[1]);
			execve(argv[0], argv, environment);
		}
		_exit(127);
	}
	close(out[1]);
	u64 sum = read_all(out[0], 1);
	close(out[0]);
	int status;
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	if (status) {
		printf("@error %s: wait status %#x\n", argv[3], (unsigned)status);
		exit(1);
	}
	return sum;
}

/* The dynamic linker takes the libraries from the folder. */
#define LINKED "./ld.so", "--library-path", "lib"

void setup_compiler(void) { setup(); }

u64 run_compiler(void)
{
	return run((char *const[]){ LINKED, "./cc1", "-quiet", "-fpreprocessed", "-O2", "-march=rv64gc", "-mabi=lp64d",
		"-fno-pie", "-fno-ident", "-w", "source.i", "-o", "-", NULL });
}

void setup_python(void) { setup(); }

u64 run_python(void)
{
	return run((char *const[]){ LINKED, "./python3", "-B", "-S", "-s", "script.py", NULL });
}
