package pack

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rootcast/rootcast/convert/tool"
)

// erofsUUID is the same for all: the digest in the manifest names the file system.
const erofsUUID = "726f6f74-6361-4374-8000-65726f667300"

// erofsMaker runs mkfs.erofs, which takes a tar since version 1.7.
func erofsMaker(ctx context.Context, o Options, level, jobs int) (maker, error) {
	t, err := tool.Find(ctx, tool.Tool{Name: "mkfs.erofs", Packages: "erofs-utils, 1.8 or newer", Version: []string{"--version"}})
	if err != nil {
		return maker{}, fmt.Errorf("packing an erofs: %w", err)
	}
	major, minor, ok := erofsVersion(t.Says)
	if !ok || major < 1 || major == 1 && minor < 8 {
		return maker{}, fmt.Errorf("packing an erofs: %s says %q: erofs-utils 1.8 or newer is needed, as Debian 13 has it", t.Path, t.Says)
	}
	m := maker{t, []string{
		"-d1", "--quiet", "--tar=f", "-U" + erofsUUID, "-T" + strconv.FormatInt(o.buildTime(), 10), "--mkfs-time",
		"--workers=" + strconv.Itoa(jobs),
	}}
	compressor, err := erofsCompressor(o.Codec, level)
	if err != nil {
		return maker{}, err
	}
	if compressor == "" {
		return m, nil
	}
	algorithm, _, _ := strings.Cut(compressor, ",")
	out, err := tool.Command(ctx, t.Path, "--version").Output()
	if err != nil {
		return maker{}, fmt.Errorf("asking %s for its compressors: %w", t.Path, err)
	}
	if !regexp.MustCompile(`compressors: .*\b` + algorithm + `\b`).Match(out) {
		return maker{}, fmt.Errorf("packing an erofs: %s was built without %s, which --compress %s takes", t.Path, algorithm, o.Codec)
	}
	m.args = append(m.args, "-z"+compressor)
	return m, nil
}

// erofsCompressor is what mkfs.erofs calls a codec; "" is none.
func erofsCompressor(c Codec, level int) (string, error) {
	switch {
	case c == Zstd:
		return fmt.Sprintf("zstd,level=%d", level), nil
	case c == Gzip:
		return fmt.Sprintf("deflate,level=%d", level), nil
	case c == XZ:
		return fmt.Sprintf("lzma,level=%d", level), nil
	case c == LZ4 && level == 1:
		return "lz4", nil
	case c == LZ4:
		return fmt.Sprintf("lz4hc,level=%d", level), nil
	case c == None:
		return "", nil
	}
	return "", fmt.Errorf("unknown compression %q: an erofs has one of %s", c, join(EROFS.Codecs()))
}

// erofsVersion reads "mkfs.erofs (erofs-utils) 1.8.6", or "mkfs.erofs 1.5" of old.
func erofsVersion(says string) (major, minor int, ok bool) {
	words := strings.Fields(says)
	if len(words) < 2 || !strings.HasPrefix(words[0], "mkfs.erofs") {
		return 0, 0, false
	}
	n, err := fmt.Sscanf(words[len(words)-1], "%d.%d", &major, &minor)
	return major, minor, n == 2 && err == nil
}
