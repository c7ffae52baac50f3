package pack

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rootcast/rootcast/convert/tool"
)

// squashMaker runs tar2sqfs of squashfs-tools-ng. The sqfstar of squashfs-tools
// has no place for the root directory's attributes, and before its version 4.6
// gives it another owner and the time of day.
func squashMaker(ctx context.Context, c Codec, level, jobs int) (maker, error) {
	t, err := tool.Find(ctx, tool.Tool{Name: "tar2sqfs", Packages: "squashfs-tools-ng", Version: []string{"--version"}})
	if err != nil {
		return maker{}, fmt.Errorf("packing a squashfs: %w", err)
	}
	m := maker{t, []string{"--quiet", "--force", "--no-skip", "--num-jobs", strconv.Itoa(jobs)}}
	switch c {
	case Zstd, Gzip, XZ:
		m.args = append(m.args, "--compressor", string(c), "--comp-extra", "level="+strconv.Itoa(level))
	case LZ4:
		m.args = append(m.args, "--compressor", "lz4")
		if level > 1 {
			m.args = append(m.args, "--comp-extra", "hc")
		}
	default:
		return maker{}, fmt.Errorf("unknown compression %q: a squashfs has one of %s", c, join(SquashFS.Codecs()))
	}
	return m, nil
}
