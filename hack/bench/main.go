// Command bench measures rootcast against the tools it replaces, side by side on
// the same image, and writes hack/bench/RESULTS.md.
//
//	go run ./hack/bench                        all rows, five rounds
//	go run ./hack/bench -rows 1,4 -rounds 2    some of them; prints the table only
//	go run ./hack/bench -rows 10,11,12 -results hack/bench/RESULTS.md    one chapter anew
//	go run ./hack/bench -check                 status 1 if a target is missed
//
// It makes the reference image itself, from Debian packages. All that it makes
// is below .cache/bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	program string // rootcast
	dir     string // for all that is made
	here    string // hack/bench
	results string // where to write; "" prints the table only
	rows    []int  // numbers of rows; none: all
	rounds  int
	keep    bool
	check   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can unpack trees with the owners of their files; run this as root")
	}
	b := &bench{options: o, env: []string{
		"ROOTCAST=" + o.program, "DIR=" + o.dir, "HERE=" + o.here, "TMPDIR=" + filepath.Join(o.dir, "tmp"), "LC_ALL=C",
	}}
	r, err := b.run(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	fmt.Print(r.comparison())
	if o.results != "" {
		earlier, err := os.ReadFile(o.results)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(o.results, []byte(r.update(string(earlier))), 0o644); err != nil {
			return err
		}
		b.say("wrote %s", o.results)
	}
	if n := r.missed(); n > 0 && o.check {
		return fmt.Errorf("%d of %d rows miss their targets", n, len(r.rows))
	}
	return nil
}

// parse reads the flags.
func parse(args []string) (options, error) {
	var o options
	var numbers string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.program, "rootcast", "bin/rootcast", "measure this `program`")
	f.StringVar(&o.dir, "dir", ".cache/bench", "keep the reference image and all else in `DIR`")
	f.StringVar(&o.here, "here", "hack/bench", "`DIR` of the recipes of the images")
	f.StringVar(&o.results, "results", "hack/bench/RESULTS.md", "write to `FILE`, chapter by chapter: the one of rows that were not all measured stays; with -rows nothing is written unless this is given")
	f.StringVar(&numbers, "rows", "", "measure these `ROWS` of the table, such as 1,4 (default: all)")
	f.IntVar(&o.rounds, "rounds", 5, "measure each side `N` times")
	f.BoolVar(&o.keep, "keep", false, "keep what the last round made")
	f.BoolVar(&o.check, "check", false, "end with status 1 if a target is missed")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q for? there are only flags", f.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	given := false
	f.Visit(func(v *flag.Flag) { given = given || v.Name == "results" })
	var err error
	if o.rows, err = parseRows(numbers); err != nil {
		return o, err
	}
	if len(o.rows) > 0 && !given {
		o.results = ""
	}
	for _, name := range []*string{&o.program, &o.dir, &o.here} {
		if *name, err = filepath.Abs(*name); err != nil {
			return o, err
		}
	}
	return o, nil
}

// parseRows reads numbers of rows, with commas between them.
func parseRows(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	known := rows()
	var numbers []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || !slices.ContainsFunc(known, func(w row) bool { return w.number == n }) {
			return nil, fmt.Errorf("-rows %s: there is no row %q; there are 1 to %d", list, word, known[len(known)-1].number)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// run prepares and measures.
func (b *bench) run(ctx context.Context) (results, error) {
	h, err := output(ctx, `"$ROOTCAST" convert --help`, b.env)
	if err != nil {
		return results{}, err
	}
	r := results{date: time.Now().UTC().Format(time.DateOnly), rounds: b.rounds, samples: map[string][]sample{}}
	if r.tools, err = b.tools(ctx); err != nil {
		return r, err
	}
	r.rows, r.sides = b.choose(help(h))
	needs := []string{"layout", "tree"}
	for _, s := range r.sides {
		needs = append(needs, s.needs...)
	}
	if err := b.prepare(ctx, needs); err != nil {
		return r, err
	}
	if r.machine, err = b.machine(ctx); err != nil {
		return r, err
	}
	r.image = b.image.String()
	if !b.keep {
		defer os.RemoveAll(filepath.Join(b.dir, "out")) //nolint:errcheck // the next run removes it otherwise
	}
	return r, b.measureAll(ctx, r)
}
