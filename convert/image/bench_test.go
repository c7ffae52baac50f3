package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// The layer that the benchmarks read.
const (
	benchFiles = 28_000
	benchBody  = 4000 // bytes of each
)

// benchLayer makes a layer's directory, as a store keeps it, and its packed record.
func benchLayer(b *testing.B) (dir string, record []byte, names []string) {
	b.Helper()
	dir = b.TempDir()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	pr, pw := io.Pipe()
	go func() {
		w := tar.NewWriter(pw)
		body := bytes.Repeat([]byte("x"), benchBody)
		var err error
		for i := range benchFiles {
			name := fmt.Sprintf("usr/share/%03d/file-%05d", i%200, i)
			names = append(names, name)
			file := filepath.Join(dir, name)
			err = errors.Join(
				err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, body, 0o600),
				w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: benchBody, Format: tar.FormatPAX}),
			)
			if err == nil {
				_, err = w.Write(body)
			}
		}
		_ = pw.CloseWithError(errors.Join(err, w.Close()))
	}()
	in, err := asm.NewInputTarStream(pr, storage.NewJSONPacker(z), storage.NewDiscardFilePutter())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, packed.Bytes(), names
}

// BenchmarkStoredRecord reads the record of a layer of 28,000 files.
func BenchmarkStoredRecord(b *testing.B) {
	dir, record, _ := benchLayer(b)
	for b.Loop() {
		t, err := openStoredTar("L", dir, memory{bytes.NewReader(record)}, -1)
		if err != nil {
			b.Fatal(err)
		}
		if err := t.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStoredIndex indexes a layer.
func BenchmarkStoredIndex(b *testing.B) {
	dir, record, _ := benchLayer(b)
	for b.Loop() {
		t, err := openStoredTar("L", dir, memory{bytes.NewReader(record)}, -1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := rootfs.IndexTar(b.Context(), rootfs.Layer{Name: "bench", Tar: t, Size: t.size}); err != nil {
			b.Fatal(err)
		}
		if err := t.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStoredReadAt reads each file of a layer through the tar.
func BenchmarkStoredReadAt(b *testing.B) {
	dir, record, _ := benchLayer(b)
	t, err := openStoredTar("L", dir, memory{bytes.NewReader(record)}, -1)
	if err != nil {
		b.Fatal(err)
	}
	defer t.Close()
	buf := make([]byte, 32<<10)
	for b.Loop() {
		for _, at := range t.record.Pieces {
			if at.Name != "" {
				if _, err := t.ReadAt(buf[:at.Size], at.Off); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// BenchmarkStoredReadFile reads each file of a layer on its own.
func BenchmarkStoredReadFile(b *testing.B) {
	dir, record, names := benchLayer(b)
	t, err := openStoredTar("L", dir, memory{bytes.NewReader(record)}, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer t.Close()
	buf := make([]byte, benchBody)
	for b.Loop() {
		for _, name := range names {
			if _, err := t.ReadFileAt(name, buf, 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}
