package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// choose returns the rows that are asked for and that this rootcast can do, and
// their sides in the order of their turns.
func (b *bench) choose(h help) ([]row, []side) {
	all := h.sides()
	known := func(name string) bool {
		return name == "" || slices.ContainsFunc(all, func(s side) bool { return s.name == name && h.has(s.flags) })
	}
	var chosen []row
	for _, w := range rows() {
		if len(b.rows) > 0 && !slices.Contains(b.rows, w.number) {
			continue
		}
		if !known(w.ours) || !known(w.theirs) {
			b.say("leaving out row %d, %s: this rootcast cannot do it", w.number, w.work)
			continue
		}
		chosen = append(chosen, w)
	}
	all = slices.DeleteFunc(all, func(s side) bool {
		return !slices.ContainsFunc(chosen, func(w row) bool { return s.name == w.ours || s.name == w.theirs })
	})
	return chosen, all
}

// measureAll runs all sides in turns: once for nothing, when what they make is
// checked, and then for each round.
func (b *bench) measureAll(ctx context.Context, r results) error {
	for round := range b.rounds + 1 {
		for _, s := range r.sides {
			if round == 0 && (s.warm || s.once) || round > 1 && s.once {
				continue
			}
			m, err := b.measureSide(ctx, s)
			if err != nil {
				return err
			}
			if round == 0 {
				b.say("warming up: %s, %s", s.name, seconds(m.wall))
				if err := b.checkSide(ctx, s); err != nil {
					return err
				}
				continue
			}
			b.say("round %d of %d: %s, %s, %s", round, b.rounds, s.name, seconds(m.wall), bytesString(m.peak))
			r.samples[s.name] = append(r.samples[s.name], m)
			if s.once {
				if err := b.checkSide(ctx, s); err != nil {
					return err
				}
			}
		}
		if b.keep && round == b.rounds {
			break
		}
		if err := os.RemoveAll(filepath.Join(b.dir, "out")); err != nil {
			return err
		}
	}
	return nil
}

// checkSide checks what a side made.
func (b *bench) checkSide(ctx context.Context, s side) error {
	if s.check == "" {
		return nil
	}
	_, err := output(ctx, s.check, append(slices.Clone(b.env), "OUT="+filepath.Join(b.dir, "out", s.name)))
	if err != nil {
		return fmt.Errorf("checking what %s made: %w", s.name, err)
	}
	return nil
}

// say prints a line about what is done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
