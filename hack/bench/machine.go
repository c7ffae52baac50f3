package main

import (
	"context"
	"fmt"
	"strings"
)

// machine describes the machine in lines, without any name or place of it.
func (b *bench) machine(ctx context.Context) ([]string, error) {
	facts := []struct{ format, script string }{
		{"Processor: %s", `model=$(sed -n 's/^\(model name\|cpu\|Processor\)[[:space:]]*: //p' /proc/cpuinfo | sed -n 1p); echo "${model:-$(uname -m)}, $(nproc) cores"`},
		{"Memory: %s", `awk '/^MemTotal/ { printf "%.1f GiB\n", $2 / 1048576 }' /proc/meminfo`},
		{"Kernel: Linux %s", `uname -r`},
		{"File system: %s", `findmnt -n -o FSTYPE -T "$DIR"`},
	}
	var lines []string
	for _, f := range facts {
		out, err := output(ctx, f.script, b.env)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf(f.format, out))
	}
	return lines, nil
}

// tools names the tools that are measured, with their versions, and fails where one is missing.
func (b *bench) tools(ctx context.Context) ([]string, error) {
	versions := []struct{ name, script string }{
		{"", `"$ROOTCAST" --version`},
		{"zstd", `zstd --version | sed -n 's/.* v\([0-9.]*\),.*/\1/p'`},
		{"", `cpio --version | sed -n '1p'`},
		{"", `pigz --version 2>&1`},
		{"", `tar --version | sed -n '1p'`},
		{"", `mksquashfs -version | sed -n '1s/ (.*//; 1s/ version//p'`},
		{"mkfs.erofs", `(set +e; mkfs.erofs -V; mkfs.erofs --help; true) 2>&1 | sed -n 's/^mkfs.erofs[^0-9]*\([0-9.]*[0-9]\)$/\1/p' | sed -n 1p`},
		{"", `umoci --version | sed 's/ version//'`},
		{"", `skopeo --version | sed 's/ version//; s/ (.*//'`},
		{"", `buildah --version | sed 's/ version//; s/ (.*//'`},
	}
	var lines []string
	for _, v := range versions {
		out, err := output(ctx, v.script, b.env)
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.TrimSpace(v.name+" "+out))
	}
	return lines, nil
}
