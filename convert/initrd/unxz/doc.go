// Package unxz decompresses xz files that are in memory as a whole, such as
// kernel modules, several times as fast as a streaming decoder does.
//
//	plain, err := unxz.Decode(data, 256<<20)
//	if errors.Is(err, unxz.ErrUnsupported) { … github.com/ulikunitz/xz … }
//
// It takes files of one stream with the filter LZMA2 alone, which is what xz(1)
// makes by itself, and verifies checksums of CRC32 and CRC64. The formats are those of
// the specification "The .xz File Format" 1.2.1 and of the LZMA and LZMA2 decoders
// of the kernel (lib/xz/xz_dec_lzma2.c).
package unxz
