// Command rpmdistro turns Debian packages into the sources of RPM packages, for
// hack/rpmdistro.sh:
//
//	go run ./hack/rpmdistro -rules hack/rpmdistro/rules -kernel linux-image-cloud-amd64 list
//	go run ./hack/rpmdistro -rules hack/rpmdistro/rules -kernel linux-image-cloud-amd64 \
//		-adjust hack/rpmdistro/adjust -out DIR convert DEB...
//
// list prints the Debian packages to fetch. convert makes DIR/NAME/root and
// DIR/NAME/NAME.spec of each package that the rules do not drop, and DIR/NAME/root
// alone of the others. Maintainer scripts are not converted: what they are needed
// for is done to root by adjust/NAME.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// settings is what the command line says.
type settings struct {
	rules, kernel, adjust, out string
}

func main() {
	var s settings
	flag.StringVar(&s.rules, "rules", "hack/rpmdistro/rules", "what to convert and how stands in `FILE`")
	flag.StringVar(&s.kernel, "kernel", "", "Debian's `PACKAGE` that depends on the newest kernel")
	flag.StringVar(&s.adjust, "adjust", "hack/rpmdistro/adjust", "run `DIR`/NAME in the root of package NAME")
	flag.StringVar(&s.out, "out", "", "write roots and spec files below `DIR`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rpmdistro:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: list or convert")
	}
	f, err := os.Open(s.rules)
	if err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	r, err := parseRules(f, s.kernel)
	if err != nil {
		return fmt.Errorf("reading the rules: %s:%w", s.rules, err)
	}
	switch {
	case args[0] == "list" && len(args) == 1:
		for _, name := range r.fetch {
			fmt.Println(name)
		}
		return nil
	case args[0] == "convert" && s.out != "":
		return convert(ctx, s, r, args[1:])
	}
	return fmt.Errorf("%s: say list, or convert with -out DIR and packages", args[0])
}

// convert reads all packages before it converts one: what a requirement becomes
// depends on what there is.
func convert(ctx context.Context, s settings, r *rules, debs []string) error {
	var set []*deb
	for _, file := range debs {
		d, err := readDeb(ctx, file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		set = append(set, d)
	}
	names := available(set, r)
	todo := make(chan *deb, len(set))
	for _, d := range set {
		todo <- d
	}
	close(todo)
	errs := make([]error, runtime.NumCPU())
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			for d := range todo {
				if errs[i] = convertOne(ctx, s, r, d, names); errs[i] != nil {
					errs[i] = fmt.Errorf("converting %s: %w", d.name, errs[i])
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

func convertOne(ctx context.Context, s settings, r *rules, d *deb, names map[string]bool) error {
	dir := filepath.Join(s.out, d.name)
	root := filepath.Join(dir, "root")
	owners, err := unpack(ctx, d.file, root)
	if err != nil {
		return err
	}
	if r.dropped(d.name) {
		return nil
	}
	if err := adjust(ctx, s.adjust, r.name(d.name), root); err != nil {
		return err
	}
	for path, o := range r.owners[d.name] {
		owners[path] = o
	}
	requires, err := requirements(d, r, names)
	if err != nil {
		return err
	}
	return writeSpec(filepath.Join(dir, d.name+".spec"), spec{
		deb: d, rules: r, root: root, owners: owners, requires: requires,
	})
}
