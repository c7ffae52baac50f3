package exlist

import (
	"iter"
	"strings"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// Effect is what one rule does to a tree beside those before it.
type Effect struct {
	Rule

	// Matched counts the names that the pattern matches, whatever other rules
	// say of them.
	Matched int

	// Files counts the names that the rule drops and no rule before it does or,
	// if it keeps, those that it keeps from being dropped and no rule before it does.
	Files int

	// Bytes is the content of those files. What has several names counts once,
	// for the rule that drops the last of them.
	Bytes int64
}

// Report is what a list does to a tree.
type Report struct {
	Effects []Effect // of the rules that drop, then of those that keep
	Files   int      // names that stay out
	Bytes   int64    // content that does
}

// Explain tells what each rule does to a tree, which [rootfs.Tree.All] walks
// before anything is pruned from it. The directories above a file that stays,
// which stay with it, are not counted as dropped.
func (l *List) Explain(tree iter.Seq2[string, *rootfs.Inode]) *Report {
	e := explainer{list: l, links: map[*rootfs.Inode]*link{}, report: &Report{}}
	for _, r := range l.drop {
		e.report.Effects = append(e.report.Effects, Effect{Rule: r.Rule})
	}
	for _, r := range l.keep {
		e.report.Effects = append(e.report.Effects, Effect{Rule: r.Rule})
	}
	for name, in := range tree {
		if name != "." {
			e.add(name, in)
		}
	}
	e.leave("")
	e.countLinks()
	return e.report
}

// explainer follows a walk of the tree.
type explainer struct {
	list   *List
	report *Report
	above  []above // the directories above the file that the walk is at
	links  map[*rootfs.Inode]*link
	order  []*link
}

// above is a directory that the walk is in.
type above struct {
	prefix string // of the names in it
	rule   int    // that drops the last of it, unless it stays
	stays  bool   // for something in it does
}

// link is content that has several names.
type link struct {
	inode   *rootfs.Inode
	dropped int // of its names
	matched int // of its names, by a rule that drops
	drop    int // the last rule that drops one of them
	keep    int // the first rule that keeps one of them
}

func (e *explainer) add(name string, in *rootfs.Inode) {
	e.leave(name)
	drop, keep := e.match(newSubject("./" + name))
	dropped := drop
	if keep >= 0 {
		dropped = -1
		if drop >= 0 {
			e.report.Effects[keep].Files++
		}
	}
	for i := len(e.above) - 1; dropped < 0 && i >= 0 && !e.above[i].stays; i-- {
		e.above[i].stays = true
	}
	switch {
	case in.IsDir():
		e.above = append(e.above, above{name + "/", dropped, dropped < 0})
	case dropped >= 0:
		e.drop(dropped)
	}
	e.addContent(in, drop, keep)
}

// match asks every rule, and returns the first that drops and the first that
// keeps, -1 where there is none.
func (e *explainer) match(s subject) (drop, keep int) {
	drop, keep = -1, -1
	for i := range e.list.drop {
		if e.list.drop[i].matches(s) {
			e.report.Effects[i].Matched++
			if drop < 0 {
				drop = i
			}
		}
	}
	for i := range e.list.keep {
		if e.list.keep[i].matches(s) {
			e.report.Effects[len(e.list.drop)+i].Matched++
			if keep < 0 {
				keep = len(e.list.drop) + i
			}
		}
	}
	return drop, keep
}

// leave goes up to the directory that name is in. Of a directory that has been
// left it is known whether it stays.
func (e *explainer) leave(name string) {
	for len(e.above) > 0 {
		last := e.above[len(e.above)-1]
		if strings.HasPrefix(name, last.prefix) {
			return
		}
		e.above = e.above[:len(e.above)-1]
		if !last.stays {
			e.drop(last.rule)
		}
	}
}

// drop counts a file that a rule drops. No earlier rule can drop the directory
// that it is in.
func (e *explainer) drop(rule int) {
	e.report.Effects[rule].Files++
	e.report.Files++
	if len(e.above) > 0 {
		parent := &e.above[len(e.above)-1]
		parent.rule = max(parent.rule, rule)
	}
}

func (e *explainer) addContent(in *rootfs.Inode, drop, keep int) {
	if in.Names() <= 1 {
		e.count(in, drop, keep)
		return
	}
	l := e.links[in]
	if l == nil {
		l = &link{inode: in, drop: -1, keep: -1}
		e.links[in] = l
		e.order = append(e.order, l)
	}
	if drop >= 0 {
		l.matched++
		l.drop = max(l.drop, drop)
	}
	if drop >= 0 && keep < 0 {
		l.dropped++
	}
	if keep >= 0 && (l.keep < 0 || keep < l.keep) {
		l.keep = keep
	}
}

// countLinks counts the content of several names whose fate depends on rules.
func (e *explainer) countLinks() {
	for _, l := range e.order {
		switch l.inode.Names() {
		case l.dropped:
			e.count(l.inode, l.drop, -1)
		case l.matched:
			e.count(l.inode, l.drop, l.keep)
		}
	}
}

func (e *explainer) count(in *rootfs.Inode, drop, keep int) {
	switch {
	case drop < 0:
	case keep >= 0:
		e.report.Effects[keep].Bytes += in.Size
	default:
		e.report.Effects[drop].Bytes += in.Size
		e.report.Bytes += in.Size
	}
}
