package pack

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/rootcast/rootcast/convert/tool"
)

// xzEncoder runs xz, whose encoder is several times as fast as those in Go.
type xzEncoder struct {
	onHeap
	path  string
	level int
}

// openXZ finds the program.
func openXZ(ctx context.Context, level int) (codec, error) {
	t, err := tool.Find(ctx, tool.Tool{Name: "xz", Packages: "xz-utils (Debian) or xz", Version: []string{"--version"}})
	if err != nil {
		return codec{}, err
	}
	return codec{"xz: " + t.Says, false, func() (encoder, error) { return xzEncoder{path: t.Path, level: level}, nil }}, nil
}

// kernelCheck is the one of xz's checks that the kernel knows (Documentation/staging/xz.rst).
const kernelCheck = "--check=crc32"

func (z xzEncoder) encode(ctx context.Context, dst, plain []byte, _ kind) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	p := tool.Process{Cmd: tool.Command(ctx, z.path, "--compress", "--stdout", "--threads=1", kernelCheck, z.preset())}
	p.Cmd.Stdin, p.Cmd.Stdout = bytes.NewReader(plain), out
	if err := p.Run(ctx); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// stream: with two threads or more xz cuts its input into blocks, always at the same places.
func (z xzEncoder) stream(ctx context.Context, w io.Writer, threads int) (io.WriteCloser, error) {
	p := &tool.Process{Cmd: tool.Command(ctx, z.path, "--compress", "--stdout", "--block-size=16MiB", kernelCheck, z.preset(), "--threads="+strconv.Itoa(max(2, threads)))}
	p.Cmd.Stdout = w
	if err := p.Start(); err != nil {
		return nil, err
	}
	return tool.NewWriter(ctx, p), nil
}

func (z xzEncoder) preset() string { return "-" + strconv.Itoa(z.level) }
