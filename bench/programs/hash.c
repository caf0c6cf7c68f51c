/* A hash table with open addressing, keyed by short strings: insertion, and
 * lookups that hit and that miss. */
#include <string.h>

#include "bench.h"

enum { SLOTS = 16384, KEYS = 8192, KEY = 12 };

struct slot {
	u32 hash, value;
	char key[KEY];
};

static struct slot table[SLOTS];

void setup_hash(void) {}

static void make_key(char *key, u32 n)
{
	for (int i = 0; i < KEY; i++) {
		key[i] = (char)('a' + (n & 15));
		n = n >> 4 | n * 2654435761u << 28;
	}
}

static u32 hash_of(const char *key)
{
	u32 h = 2166136261u;
	for (int i = 0; i < KEY; i++)
		h = (h ^ (u8)key[i]) * 16777619u;
	return h | 1; /* 0 marks a free slot */
}

static struct slot *find(const char *key, u32 h)
{
	u32 i = h & (SLOTS - 1);
	while (table[i].hash && (table[i].hash != h || memcmp(table[i].key, key, KEY)))
		i = (i + 1) & (SLOTS - 1);
	return &table[i];
}

u64 run_hash(void)
{
	char key[KEY];
	u64 sum = 0;
	memset(table, 0, sizeof table);
	for (u32 n = 0; n < KEYS; n++) {
		make_key(key, n * 7);
		u32 h = hash_of(key);
		struct slot *s = find(key, h);
		s->hash = h;
		s->value += n;
		memcpy(s->key, key, KEY);
	}
	for (u32 n = 0; n < 2 * KEYS; n++) {
		make_key(key, n * 5);
		struct slot *s = find(key, hash_of(key));
		sum = mix(sum, s->hash ? s->value : n);
	}
	return sum;
}
