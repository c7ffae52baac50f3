// Finds matches for libzstd, which does all the rest: it splits the data into
// blocks, codes literals and sequences, and writes the frame.
//
// libzstd's own search at level 3 reads the text behind each candidate that its
// tables name. Most turn out to be none, and where other programs, or the other
// workers of this one, use the processor's caches too, the time of a compression
// goes into waiting for those reads. Here an entry of the table has some bits of
// the hash beside the position, so that nearly all wrong candidates are known for
// what they are without a look at the text; and there is one table instead of two,
// which stays in the cache of one core.

#include "finder.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What zstd.h declares (ZSTD_STATIC_LINKING_ONLY, "BLOCK-LEVEL SEQUENCE PRODUCER API").
typedef struct {
	unsigned int offset, litLength, matchLength, rep;
} ZSTD_Sequence;

typedef size_t (*ZSTD_sequenceProducer_F)(void *state, ZSTD_Sequence *out, size_t room, const void *src, size_t size,
                                          const void *dict, size_t dictSize, int level, size_t windowSize);

#pragma weak ZSTD_compress2
#pragma weak ZSTD_registerSequenceProducer
extern size_t ZSTD_compress2(ZSTD_CCtx *, void *dst, size_t room, const void *src, size_t size);
extern void ZSTD_registerSequenceProducer(ZSTD_CCtx *, void *state, ZSTD_sequenceProducer_F);

enum {
	TABLE_LOG = 17,  // 512 KiB
	TAG_BITS = 9,    // of an entry; the others are the low bits of a position
	HASHED = 6,      // bytes: the shortest match that is looked for, but for repeated offsets
	SKIP_LOG = 8,    // after so many bytes without a match, as a power of two, steps get longer
	MARGIN = 16,     // no match begins in so many last bytes of a block
	FIRST_OFFSET = 1, // of a block, in place of the offsets before, ...
	SECOND_OFFSET = 4, // ... which are not known: any that leads to bytes of the frame
};

struct finder {
	const uint8_t *start; // of the frame
	const uint8_t *next;  // where the block begins that continues it
	uint32_t table[1 << TABLE_LOG];
};

finder *finder_new(void) {
	finder *f = malloc(sizeof *f);
	if (f) f->start = f->next = NULL;
	return f;
}

void finder_free(finder *f) { free(f); }

// load32 and load64 read 4 and 8 bytes, the first as the lowest on every machine:
// all make the same frames.
static inline uint32_t load32(const uint8_t *p) {
	uint32_t v;
	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t load64(const uint8_t *p) {
	uint64_t v;
	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

// same_bytes counts the equal bytes at the start of two words that differ by x.
static inline size_t same_bytes(uint64_t x) { return (size_t)__builtin_ctzll(x) >> 3; }

// match_length counts the equal bytes at a and b, up to end of a. Few matches are
// longer than 16 bytes, and up to there nothing is left to be guessed by the processor.
static inline size_t match_length(const uint8_t *a, const uint8_t *b, const uint8_t *end) {
	const uint8_t *start = a;
	if (end - a >= 16) {
		uint64_t x = load64(a) ^ load64(b), y = load64(a + 8) ^ load64(b + 8);
		uint64_t first = x ? x : y;
		size_t before = x ? 0 : 8;
		if (first) return before + same_bytes(first);
		a += 16, b += 16;
	}
	for (; end - a >= 8; a += 8, b += 8) {
		uint64_t x = load64(a) ^ load64(b);
		if (x) return (size_t)(a - start) + same_bytes(x);
	}
	while (a < end && *a == *b) a++, b++;
	return (size_t)(a - start);
}

// hash is of the first bytes of a word: a place in the table and, below it, a tag.
static inline uint64_t hash(uint64_t word) {
	const uint64_t prime = 227718039650203u; // as libzstd has it for 6 bytes
	return ((word << (64 - 8 * HASHED)) * prime) >> (64 - TABLE_LOG - TAG_BITS);
}

static inline uint32_t entry(uint32_t position, uint64_t hash) {
	return position << TAG_BITS | (uint32_t)(hash & ((1u << TAG_BITS) - 1));
}

static inline int same_tag(uint32_t entry, uint64_t hash) { return ((entry ^ hash) & ((1u << TAG_BITS) - 1)) == 0; }

// distance is from an entry's position to a later one, if that is the nearest
// with its low bits; anything where the entry is from farther back, or empty.
static inline uint32_t distance(uint32_t position, uint32_t entry) {
	return (position - (entry >> TAG_BITS)) & (UINT32_MAX >> TAG_BITS);
}

static inline void put(uint32_t *table, const uint8_t *start, uint32_t position) {
	uint64_t h = hash(load64(start + position));
	table[h >> TAG_BITS] = entry(position, h);
}

// REPEAT is the offset that stands for the last one, in a sequence with literals,
// or the one before, in one without (RFC 8878, section 3.1.1.5). libzstd adds 3 to
// every offset, since 1 to 3 are the format's codes of repeated ones; nobody checks
// for an overflow, and to find out by itself what is repeated takes it longer.
#define REPEAT ((unsigned int)-2)

// produce implements ZSTD_sequenceProducer_F. Blocks of a frame lie behind each
// other in memory, as ZSTD_compress2 hands them on, and are searched together; any
// other block is searched by itself. libzstd may write a block without its
// sequences, so no block counts on the last offsets of the one before.
static size_t produce(void *state, ZSTD_Sequence *out, size_t room, const void *src, size_t size,
                      const void *dict, size_t dictSize, int level, size_t windowSize) {
	(void)room, (void)dict, (void)dictSize, (void)level; // room is for every size of src
	finder *f = state;
	ZSTD_Sequence *o = out;
	const uint8_t *ip = src, *anchor = src, *const end = ip + size;
	if (f->next != ip) {
		f->start = ip;
		memset(f->table, 0, sizeof f->table);
	}
	f->next = end;
	const uint8_t *const start = f->start;
	uint32_t *const table = f->table;
	if (size < 4 * MARGIN) goto last;
	const uint8_t *const limit = end - MARGIN;
	uint32_t offset1 = FIRST_OFFSET, offset2 = SECOND_OFFSET;
	unsigned int code1 = offset1, code2 = offset2; // what to write for them
	if (ip == start) ip += 8;

	while (ip < limit) {
		size_t step = 1, length;
		const uint8_t *longer = ip + (1 << SKIP_LOG); // from there on steps are longer
		uint64_t word = load64(ip), h = hash(word);
		uint32_t e = table[h >> TAG_BITS], position, offset;
		for (;;) {
			position = (uint32_t)(ip - start);
			table[h >> TAG_BITS] = entry(position, h);
			const uint8_t *ip1 = ip + step;
			if (ip1 >= limit) goto last;
			uint64_t word1 = load64(ip1), h1 = hash(word1);
			uint32_t e1 = table[h1 >> TAG_BITS];
			if (load32(ip + 1 - offset1) == (uint32_t)(word >> 8)) {
				length = 4 + match_length(ip + 5, ip + 5 - offset1, end);
				ip++;
				*o++ = (ZSTD_Sequence){code1, (unsigned int)(ip - anchor), (unsigned int)length, 0};
				code1 = REPEAT;
				anchor = ip += length;
				goto taken;
			}
			offset = distance(position, e);
			if (same_tag(e, h) && offset - 1 < windowSize && offset <= position && load32(ip - offset) == (uint32_t)word) {
				length = 4 + match_length(ip + 4, ip + 4 - offset, end);
				break;
			}
			if (ip1 >= longer) step++, longer += 1 << SKIP_LOG;
			ip = ip1, word = word1, h = h1, e = e1;
		}
		const uint8_t *match = ip - offset;
		while (ip > anchor && match > start && ip[-1] == match[-1]) ip--, match--, length++;
		*o++ = (ZSTD_Sequence){offset, (unsigned int)(ip - anchor), (unsigned int)length, 0};
		offset2 = offset1, code2 = code1;
		offset1 = offset, code1 = REPEAT;
		anchor = ip += length;
	taken:
		if (ip >= limit) break;
		put(table, start, position + 1); // behind where the match was found
		put(table, start, (uint32_t)(ip - start) - 4); // and where it ends
		put(table, start, (uint32_t)(ip - start) - 2);
		while (ip < limit && load32(ip) == load32(ip - offset2)) {
			length = 4 + match_length(ip + 4, ip + 4 - offset2, end);
			put(table, start, (uint32_t)(ip - start));
			*o++ = (ZSTD_Sequence){code2, 0, (unsigned int)length, 0};
			offset = offset2;
			offset2 = offset1, code2 = code1;
			offset1 = offset, code1 = REPEAT;
			anchor = ip += length;
		}
	}
last:
	*o++ = (ZSTD_Sequence){0, (unsigned int)(end - anchor), 0, 0};
	return (size_t)(o - out);
}

size_t finder_compress(finder *f, ZSTD_CCtx *c, void *dst, size_t room, const void *src, size_t size) {
	ZSTD_registerSequenceProducer(c, f, produce);
	size_t made = ZSTD_compress2(c, dst, room, src, size);
	f->start = f->next = NULL; // a frame knows nothing of the one before, wherever that lay
	return made;
}
