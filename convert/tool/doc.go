// Package tool finds and runs other programs, as those that make file systems:
// with an environment of their own, and with what they complained of last in the
// error.
//
//	t, err := tool.Find(ctx, tool.Tool{Name: "xz", Packages: "xz-utils", Version: []string{"--version"}})
//	p := tool.Process{Cmd: tool.Command(ctx, t.Path, "--compress")}
package tool
