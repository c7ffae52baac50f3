package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"

	"github.com/rootcast/rootcast/convert/cache"
)

// keyVersion changes with the rules by which segments are written.
const keyVersion = "rootcast segment 2"

// key names the segment by everything that is in it, without reading any file;
// false where the content of one of its files has no identity.
func (s *segment) key(p *packer) (cache.Key, bool, error) {
	h := keyHash{h: sha256.New()}
	h.text(keyVersion)
	h.text(p.codec.identity)
	h.number(int64(p.o.Level))
	h.number(boolNumber(s.last))
	h.number(s.from)
	h.number(s.size)
	h.bytes(p.format.appendTrailer(nil)) // it stands for the format
	var head []byte
	for i := range s.items {
		it := &s.items[i]
		var err error
		if head, err = p.format.appendHead(head[:0], it); err != nil {
			return cache.Key{}, false, err
		}
		h.bytes(head)
		if it.size == 0 {
			continue
		}
		layer, off, ok := it.inode.ContentID()
		if !ok {
			return cache.Key{}, false, nil
		}
		h.text(layer)
		h.number(off)
		h.number(it.size)
	}
	var k cache.Key
	h.h.Sum(k[:0])
	return k, true, nil
}

// keyHash hashes values so that no two rows of values look the same.
type keyHash struct {
	h   hash.Hash
	buf [8]byte
}

func (k *keyHash) number(n int64) {
	binary.BigEndian.PutUint64(k.buf[:], uint64(n)) //nolint:gosec // all bits are kept
	_, _ = k.h.Write(k.buf[:])
}

func (k *keyHash) bytes(b []byte) {
	k.number(int64(len(b)))
	_, _ = k.h.Write(b)
}

func (k *keyHash) text(s string) {
	k.number(int64(len(s)))
	_, _ = io.WriteString(k.h, s)
}

func boolNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
