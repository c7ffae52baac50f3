// A finder looks for matches in place of libzstd's own: see finder.c.

#ifndef ROOTCAST_FINDER_H
#define ROOTCAST_FINDER_H

#include <stddef.h>

// What zstd.h declares.
typedef struct ZSTD_CCtx_s ZSTD_CCtx;

typedef struct finder finder;

// finder_new returns a finder, or NULL where there is no memory for it.
extern finder *finder_new(void);

extern void finder_free(finder *f);

// finder_compress makes one frame of src, as ZSTD_compress2 does, with the matches of f.
extern size_t finder_compress(finder *f, ZSTD_CCtx *c, void *dst, size_t room, const void *src, size_t size);

#endif
