package statelite

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Tree is a row of xCAT's table litetree: where nodes look for files of option ro
// and con, in the order of priorities.
type Tree struct {
	Priority  string
	Directory string // HOST:/PATH; may have xCAT's variables in it
	Options   string // of the mount
	Line      int    // where the row stands
}

// Store is a row of xCAT's table statelite: where nodes keep persistent files.
type Store struct {
	Node    string // a range of nodes, or a group
	Mount   string // SERVER:/DIR; may have xCAT's variables in it
	Options string // of the mount
	Line    int    // where the row stands
}

// HasVariables tells whether the place is another for each node, as xCAT's
// variables and commands make it.
func (s Store) HasVariables() bool { return hasVariables(s.Mount) || hasVariables(s.Options) }

func hasVariables(text string) bool { return strings.ContainsAny(text, "$#") }

// ParseTrees reads what "tabdump litetree" prints and returns the rows of ALL and
// of the images named. The error has a line "NAME:LINE: …" for each mistake.
func ParseTrees(r io.Reader, name string, images ...string) ([]Tree, error) {
	var trees []Tree
	err := readTable(r, name, "priority,image,directory,mntopts,comments,disable", func(row []string, line int) error {
		t := Tree{Priority: row[0], Directory: row[2], Options: row[3], Line: line}
		if err := checkPlace(t.Directory); err != nil {
			return err
		}
		if row[1] == "ALL" || row[1] == "" || slices.Contains(images, row[1]) {
			trees = append(trees, t)
		}
		return nil
	})
	return trees, err
}

// ParseStores reads what "tabdump statelite" prints. The error has a line
// "NAME:LINE: …" for each mistake.
func ParseStores(r io.Reader, name string) ([]Store, error) {
	var stores []Store
	err := readTable(r, name, "node,image,statemnt,mntopts,comments,disable", func(row []string, line int) error {
		s := Store{Node: row[0], Mount: row[2], Options: row[3], Line: line}
		if s.Node == "" {
			return errors.New("the row names no node")
		}
		if err := checkPlace(s.Mount); err != nil {
			return err
		}
		stores = append(stores, s)
		return nil
	})
	return stores, err
}

// checkPlace refuses what is no directory of a server.
func checkPlace(place string) error {
	server, dir, ok := strings.Cut(place, ":")
	switch {
	case hasVariables(place) && place != "":
		return nil
	case !ok || server == "" || !strings.HasPrefix(dir, "/") || strings.ContainsAny(place, " \t\""):
		return fmt.Errorf("%q is not SERVER:/DIRECTORY", place)
	}
	return nil
}

// readTable calls take for each row that counts, whose columns are those of header.
func readTable(r io.Reader, name, header string, take func(row []string, line int) error) error {
	columns := strings.Count(header, ",") + 1
	var errs []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row, err := splitRow(line)
		if err == nil && len(row) > columns {
			err = fmt.Errorf("%q has %d columns, and a row is %s", line, len(row), header)
		}
		if err == nil {
			row = append(row, make([]string, columns-len(row))...)
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			if disabled(row[columns-1]) {
				continue
			}
			err = take(row, n)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s:%d: reading the table: %w", name, n+1, err))
	}
	return errors.Join(errs...)
}

// splitRow splits a row of a table as tabdump prints it.
func splitRow(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.TrimLeadingSpace = true
	row, err := r.Read()
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		err = bad.Err // without the position, which is that in the line alone
	}
	if err != nil {
		return nil, fmt.Errorf("%q is no row of a table: %w", line, err)
	}
	return row, nil
}

// disabled follows xCAT, which takes a row unless its column disable says
// something else than no (xCAT::Table).
func disabled(value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	return value != "" && value != "0" && value != "no"
}
