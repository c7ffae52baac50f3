package statelite

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOrder(t *testing.T) {
	t.Parallel()
	const table = "#image,file,options,comments,disable\nALL,/a,ro,,\ngroup,/a,con,,\nimage,/a,persistent,,\ngroup,/b,con,,\nALL,/b,ro,,\nother,/b,localdisk,,\nALL,/c,ro,,\n"
	rules, err := Parse(strings.NewReader(table), "litefile", "image", "group", "other")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/a persistent", "/b con", "/c ro"}, lines(rules)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	_, err = Parse(strings.NewReader("ALL,/a\n"), "litefile")
	if err == nil {
		t.Error("a path without an option and with a comma is a rule")
	}
	_, err = Parse(strings.NewReader("\"i\",\"/a\"\n\"i\",\"/a\",\"ro\"\n"), "litefile", "i")
	if err == nil || err.Error() != "litefile:2: /a has a rule already (line 1)" {
		t.Errorf("%v", err)
	}
}

func TestParseTrees(t *testing.T) {
	t.Parallel()
	const table = "#priority,image,directory,mntopts,comments,disable\n\"1.0\",,\"nfs1:/tree\",,,\n\"2\",\"ALL\",\"$noderes.nfsserver:/t/#CMD=uname -r#\",\"soft,timeo=30\",\"a \"\"b\"\"\",\n" +
		"\"3\",\"img\",\"h:/i\",,,\n\"4\",\"no\",\"h:/n\",,,\n\"5\",\"ALL\",\"h:/d\",,,\"1\"\n"
	got, err := ParseTrees(strings.NewReader(table), "litetree", "img", "g")
	if err != nil {
		t.Fatal(err)
	}
	want := []Tree{{"1.0", "nfs1:/tree", "", 2}, {"2", "$noderes.nfsserver:/t/#CMD=uname -r#", "soft,timeo=30", 3}, {"3", "h:/i", "", 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseStores(t *testing.T) {
	t.Parallel()
	const table = "#node,image,statemnt,mntopts,comments,disable\n\"compute\",,\"nfs1:/state\",\"vers=3\",,\n\"login\",,\"$noderes.nfsserver:/s\",,,\n"
	got, err := ParseStores(strings.NewReader(table), "statelite")
	if err != nil {
		t.Fatal(err)
	}
	want := []Store{{"compute", "nfs1:/state", "vers=3", 2}, {"login", "$noderes.nfsserver:/s", "", 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got[0].HasVariables() || !got[1].HasVariables() {
		t.Error("variables are not told from places")
	}
	const wrong = "\"a\",,\"nfs1\"\n,,\"h:/x\"\n\"a\",\"\n\"a\",,\"h:/x\",,,,\n\"a\"\n"
	const text = `s:1: "nfs1" is not SERVER:/DIRECTORY
s:2: the row names no node
s:3: "\"a\",\"" is no row of a table: extraneous or missing " in quoted-field
s:4: "\"a\",,\"h:/x\",,,," has 7 columns, and a row is node,image,statemnt,mntopts,comments,disable
s:5: "" is not SERVER:/DIRECTORY`
	if _, err = ParseStores(strings.NewReader(wrong), "s"); err == nil || err.Error() != text {
		t.Errorf("got  %v\nwant %s", err, text)
	}
}

func FuzzParseTables(f *testing.F) {
	f.Add("#node,image,statemnt,mntopts,comments,disable\n\"compute\",,\"nfs1:/state\",\"vers=3\",,\n")
	f.Fuzz(func(t *testing.T, text string) {
		stores, _ := ParseStores(strings.NewReader(text), "s")
		for _, s := range stores {
			if s.Node == "" || s.Mount == "" || s.Line < 1 {
				t.Errorf("%+v", s)
			}
		}
		trees, _ := ParseTrees(strings.NewReader(text), "t")
		for _, tree := range trees {
			if tree.Directory == "" || tree.Line < 1 {
				t.Errorf("%+v", tree)
			}
		}
	})
}
