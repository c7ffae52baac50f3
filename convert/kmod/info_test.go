package kmod

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/kmod/kmodtest"
)

const sample = "license=GPL\x00\x00firmware=a/b.bin\x00firmware=a/c*.bin\x00depends=mii,snd-pcm\x00alias=pci:v1d*\x00alias=fs-x\x00" +
	"softdep=pre: crypto-crc32c b post: c\x00vermagic=6.1.0 SMP mod_unload \x00softdep=post: d\x00depends=\x00"

func TestReadInfo(t *testing.T) {
	want := Info{
		Firmware: []string{"a/b.bin", "a/c*.bin"}, Depends: []string{"mii", "snd_pcm"}, Aliases: []string{"pci:v1d*", "fs-x"},
		SoftPre: []string{"crypto-crc32c", "b"}, SoftPost: []string{"c", "d"}, Vermagic: "6.1.0 SMP mod_unload ",
	}
	for _, tt := range []struct {
		name  string
		class elf.Class
		order binary.ByteOrder
	}{
		{"64 bit, little", elf.ELFCLASS64, binary.LittleEndian},
		{"64 bit, big", elf.ELFCLASS64, binary.BigEndian},
		{"32 bit, little", elf.ELFCLASS32, binary.LittleEndian},
		{"32 bit, big", elf.ELFCLASS32, binary.BigEndian},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadInfo(bytes.NewReader(object(t, tt.class, tt.order, ".modinfo", elf.SHT_PROGBITS)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadInfoErrors(t *testing.T) {
	little := binary.LittleEndian
	sound := object(t, elf.ELFCLASS64, little, ".modinfo", elf.SHT_PROGBITS)
	huge := bytes.Clone(sound)
	little.PutUint64(huge[64+64+32:], 1<<40) // sh_size of the section
	for _, tt := range []struct {
		name, err string
		data      []byte
	}{
		{"no ELF", "bad magic number", []byte("#!/bin/sh\n# no module at all\n")},
		{"empty", "EOF", nil},
		{"another object", "it has no section .modinfo", object(t, elf.ELFCLASS64, little, ".comment", elf.SHT_PROGBITS)},
		{"stripped", "was the module stripped", object(t, elf.ELFCLASS64, little, ".modinfo", elf.SHT_NOBITS)},
		{"cut off", "EOF", sound[:70]},
		{"too large", "more than", huge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadInfo(bytes.NewReader(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %s", err, tt.err)
			}
		})
	}
}

// object is an ELF file of one section with the sample.
func object(t testing.TB, class elf.Class, order binary.ByteOrder, name string, typ elf.SectionType) []byte {
	t.Helper()
	names := "\x00" + name + "\x00.shstrtab\x00"
	tail := len("\x00" + name + "\x00")
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if order == binary.BigEndian {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var b bytes.Buffer
	write := func(v any) {
		if err := binary.Write(&b, order, v); err != nil {
			t.Fatal(err)
		}
	}
	size := len(sample)
	if class == elf.ELFCLASS64 {
		at := 64 + 3*64
		write(elf.Header64{Ident: ident, Type: uint16(elf.ET_REL), Version: 1, Shoff: 64, Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2})
		write(elf.Section64{})
		write(elf.Section64{Name: 1, Type: uint32(typ), Off: uint64(at), Size: uint64(size)})
		write(elf.Section64{Name: uint32(tail), Type: uint32(elf.SHT_STRTAB), Off: uint64(at + size), Size: uint64(len(names))})
	} else {
		at := 52 + 3*40
		write(elf.Header32{Ident: ident, Type: uint16(elf.ET_REL), Version: 1, Shoff: 52, Ehsize: 52, Shentsize: 40, Shnum: 3, Shstrndx: 2})
		write(elf.Section32{})
		write(elf.Section32{Name: 1, Type: uint32(typ), Off: uint32(at), Size: uint32(size)})
		write(elf.Section32{Name: uint32(tail), Type: uint32(elf.SHT_STRTAB), Off: uint32(at + size), Size: uint32(len(names))})
	}
	return append(b.Bytes(), sample+names...)
}

func TestDecompress(t *testing.T) {
	plain := bytes.Repeat([]byte("a kernel module "), 5000)
	for _, ending := range []string{"", ".gz", ".xz", ".sha256.xz", ".zst"} {
		t.Run("ko"+ending, func(t *testing.T) {
			data := kmodtest.Pack(t, ending, plain)
			got, err := Decompress("x.ko"+ending, data)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if ending == "" {
				return
			}
			for name, bad := range map[string][]byte{"cut off": data[:len(data)-9], "empty": nil, "something else": []byte("something else, long enough")} {
				if _, err := Decompress("x.ko"+ending, bad); err == nil || !strings.HasPrefix(err.Error(), "decompressing x.ko"+ending+": ") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestDecompressLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 256 MiB")
	}
	bomb := kmodtest.Pack(t, ".zst", make([]byte, maxModule+1))
	if _, err := Decompress("x.ko.zst", bomb); err == nil {
		t.Error("a file that grows beyond the limit was decompressed")
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Add(object(f, elf.ELFCLASS64, binary.LittleEndian, ".modinfo", elf.SHT_PROGBITS))
	f.Add(object(f, elf.ELFCLASS32, binary.BigEndian, ".modinfo", elf.SHT_PROGBITS))
	f.Fuzz(func(t *testing.T, data []byte) {
		if i, err := ReadInfo(bytes.NewReader(data)); err != nil && !cmp.Equal(i, Info{}) {
			t.Errorf("%v with %v", i, err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, ending := range []string{".gz", ".xz", ".zst"} {
		f.Add(ending, kmodtest.Pack(f, ending, []byte(sample)))
	}
	f.Fuzz(func(t *testing.T, ending string, data []byte) {
		plain, err := Decompress("x.ko"+ending, data)
		if err != nil && plain != nil || len(plain) > maxModule {
			t.Errorf("%d bytes, %v", len(plain), err)
		}
	})
}
