package synclist

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/rootcast/rootcast/build/osimage"
)

// Rule is a line of a synclist.
type Rule = osimage.SyncRule

// Read reads synclists; see [osimage.ReadSynclists].
func Read(files []string, env map[string]string) ([]Rule, error) {
	return osimage.ReadSynclists(files, env)
}

// Report is what became of the rules.
type Report struct {
	Files    int      // that were copied
	Bytes    int64    // in them
	Appended []string // files of the image to which lines were added
	Merged   []string // files of the image into which entries were merged
	Skipped  []Rule   // for some nodes alone
	NotRun   []Rule   // scripts of nodes
	Warnings []string // what could not be kept of a file
}

// Apply applies rules, in their order, to the image whose root is a directory here.
// Before anything is written all sources are looked for: the error is Problems of
// those that are missing. Another error leaves what was done until then.
func Apply(ctx context.Context, root string, rules []Rule) (Report, error) {
	var report Report
	plans, err := plan(rules, &report)
	if err != nil || len(plans) == 0 {
		return report, err
	}
	t, err := openTree(root)
	if err != nil {
		return report, err
	}
	defer t.close()
	a := &applier{tree: t, report: &report, owners: readOwners()}
	for _, p := range plans {
		if err := a.apply(ctx, p); err != nil {
			return report, osimage.Problem{File: p.File, Line: p.Line, Text: err.Error()}
		}
	}
	a.warn()
	return report, nil
}

// planned is a rule with what its sources stand for.
type planned struct {
	Rule
	sources []string
}

func plan(rules []Rule, report *Report) (plans []planned, err error) {
	var problems osimage.Problems
	for _, r := range rules {
		switch {
		case r.Nodes != "":
			report.Skipped = append(report.Skipped, r)
			continue
		case r.Kind == osimage.SyncExecute || r.Kind == osimage.SyncExecuteAlways:
			report.NotRun = append(report.NotRun, r)
			continue
		}
		p := planned{Rule: r}
		for _, source := range r.Sources {
			found := osimage.MatchSource(source)
			if found == nil {
				problems = append(problems, osimage.Problem{File: r.File, Line: r.Line, Text: notThere(source)})
			}
			p.sources = append(p.sources, found...)
		}
		plans = append(plans, p)
	}
	if problems != nil {
		return nil, problems
	}
	return plans, nil
}

func notThere(source string) string {
	if osimage.IsPattern(source) {
		return source + " matches no file of this machine"
	}
	if _, err := os.Lstat(source); err != nil && !os.IsNotExist(err) {
		return fmt.Sprintf("reading the source: %v", err)
	}
	return source + " is not on this machine"
}

// applier applies rules to an image.
type applier struct {
	tree   *tree
	report *Report
	owners owners
	lost   map[string]*lost // attributes that the image's file system does not take
}

// lost counts files without an attribute that they had.
type lost struct {
	files int
	first string
	err   error
}

func (a *applier) apply(ctx context.Context, p planned) error {
	for _, source := range p.sources {
		var err error
		switch p.Kind {
		case osimage.SyncAppend:
			err = a.appendTo(p.Dest, source)
		case osimage.SyncMerge:
			err = a.mergeInto(p.Dest, source)
		default:
			err = a.copy(ctx, p, source)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) warn() {
	for _, name := range slices.Sorted(maps.Keys(a.lost)) {
		l := a.lost[name]
		a.report.Warnings = append(a.report.Warnings, fmt.Sprintf("%s of %s and %d more files is not in the image: %v", name, l.first, l.files-1, l.err))
	}
	if n := a.owners.unknown; n > 0 {
		a.report.Warnings = append(a.report.Warnings, fmt.Sprintf("%d files whose owners this user cannot give to a file belong to root in the image", n))
	}
}
