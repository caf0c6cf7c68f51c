/* An LZ77 compressor and decompressor of our own over 64 KiB of made-up text.
 * Format: a byte below 128 is that many literals plus one; otherwise a match
 * of length (byte - 128 + 4) at the 16-bit distance that follows. */
#include <string.h>

#include "bench.h"

enum { SIZE = 65536, HASHES = 4096, LEAST = 4, MOST = 127 + LEAST, TRIES = 8 };

static u8 text[SIZE], packed[2 * SIZE], unpacked[SIZE];
static int head[HASHES], before[SIZE];

void setup_compress(void)
{
	static const char *const words[] = { "machine ", "memory ", "the ", "of ", "translation ", "page ",
		"a ", "guest ", "writes ", "and ", "reads ", "interrupt ", "queue ", "in ", "trap ", "\n" };
	u64 seed = 362436069;
	for (int n = 0; n < SIZE;) {
		u64 r = next(&seed);
		const char *w = words[(r >> 8) & (r >> 16) & 15];
		for (; *w && n < SIZE; w++)
			text[n++] = (u8)*w;
		if ((r & 31) == 0 && n < SIZE)
			text[n++] = (u8)(r >> 40);
	}
}

static u32 hash_at(const u8 *p)
{
	u32 v = p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
	return v * 2654435761u >> 20;
}

static int match(int at, int with)
{
	int n = 0, most = SIZE - at < MOST ? SIZE - at : MOST;
	while (n < most && text[at + n] == text[with + n])
		n++;
	return n;
}

static void enter(int at)
{
	if (at > SIZE - LEAST)
		return;
	u32 h = hash_at(text + at);
	before[at] = head[h];
	head[h] = at;
}

static int literals(u8 *out, int from, int to)
{
	int n = 0;
	while (from < to) {
		int k = to - from < 128 ? to - from : 128;
		out[n++] = (u8)(k - 1);
		memcpy(out + n, text + from, (size_t)k);
		n += k;
		from += k;
	}
	return n;
}

static int pack(void)
{
	int n = 0, at = 0, pending = 0;
	memset(head, 0xff, sizeof head);
	while (at < SIZE) {
		int best = 0, where = 0;
		int candidate = at <= SIZE - LEAST ? head[hash_at(text + at)] : -1;
		for (int t = 0; candidate >= 0 && t < TRIES && at - candidate < 65536; t++) {
			int length = match(at, candidate);
			if (length > best) {
				best = length;
				where = candidate;
			}
			candidate = before[candidate];
		}
		if (best < LEAST) {
			enter(at++);
			continue;
		}
		n += literals(packed + n, pending, at);
		packed[n++] = (u8)(128 + best - LEAST);
		packed[n++] = (u8)(at - where);
		packed[n++] = (u8)((at - where) >> 8);
		for (int i = 0; i < best; i++)
			enter(at + i);
		pending = at += best;
	}
	return n + literals(packed + n, pending, at);
}

static int unpack(int length)
{
	int n = 0;
	for (int i = 0; i < length;) {
		int op = packed[i++];
		if (op < 128) {
			memcpy(unpacked + n, packed + i, (size_t)op + 1);
			n += op + 1;
			i += op + 1;
			continue;
		}
		int distance = packed[i] | packed[i + 1] << 8;
		i += 2;
		for (int k = op - 128 + LEAST; k > 0; k--, n++)
			unpacked[n] = unpacked[n - distance];
	}
	return n;
}

u64 run_compress(void)
{
	int length = pack();
	u64 sum = mix(0, (u64)length);
	for (int i = 0; i < length; i++)
		sum = mix(sum, packed[i]);
	if (unpack(length) != SIZE || memcmp(text, unpacked, SIZE))
		return 0;
	return sum;
}
