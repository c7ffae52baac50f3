package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// difference is what rootcast does otherwise than xCAT, and means to.
type difference struct{ xcat, rootcast string }

// topic is what differences are about.
type topic struct {
	name        string
	differences []difference
}

// xcatTopics are all the differences from xCAT that are meant. This is their one place.
func xcatTopics() []topic {
	return []topic{
		{"Definitions (lsdef, mkdef, chdef, rmdef)", []difference{
			{"rows of the tables osimage and linuximage in a database", "a YAML file for each osimage, in /etc/rootcast/osimages or where --osimages says; of objects there are osimages alone"},
			{"files are named, their content is not checked", "all mistakes at once with file and line: osimage lint; a digest covers every file that a definition names"},
			{"osimages share a rootimgdir without a word", "a warning, for each overwrites what the other's nodes boot"},
			{"mkdef -u needs lists in xCAT's directories", "rootcast's own profiles stand in for them; --explain tells which file was taken and why"},
			{"mkdef -d and -w, rmdef -C make and use groups", "they are errors: there are no groups and nodes here"},
			{"attributes are what the schema has", "two more: baseimage, an OCI image to start from, and gpgkeys"},
		}},
		{"All commands", []difference{
			{"unknown options pass", "they are errors, with the nearest option that there is"},
			{"exit code 1 whatever failed", "2 for wrong usage, 130 when interrupted, else 1"},
			{"root and xcatd are needed; work is done in the management node's own file system", "any user; no daemon; work is done in containers, of which nothing is left, and never by a lazy unmount"},
		}},
		{"copycds", []difference{
			{"mounts the medium, as root", "reads ISO 9660 and UDF itself, without root or a mount"},
			{"makes osdistro rows and five osimages", "makes the tree and the definitions of images for network boot, compute and login"},
			{"copies into the live tree", "beside it, and puts it in place when it is complete"},
			{"netboot and statelite share a rootimgdir", "each has its own"},
			{"further discs of Debian go into the same tree", "they become disc2 and so on, and are added to pkgdir"},
		}},
		{"genimage", []difference{
			{"makes a directory, rootimgdir/rootimg, which packimage and others change in place", "makes an OCI image, NAME and OSVER-ARCH-PROVMETHOD-PROFILE in the local store, that can be pushed and pulled; nothing changes it in place"},
			{"the management node's own package manager installs into the directory", "mmdebstrap, dnf or zypper makes a base from pkgdir's repositories, or baseimage is taken; all else runs in a container of the image, so any machine makes any distribution"},
			{"postinstall runs on the management node, as root, outside of the image", "it runs in a build container, with the root as $1, the other arguments and IMG_*; --postinstall-on-host runs it as xCAT does"},
			{"signatures of packages are not checked", "they are, by gpgkeys and the distribution's keys, unless --nogpgcheck is given"},
			{"a package that is taken out of the pkglist stays; -NAME in it is ignored", "it goes: each image is made anew, or from layers that still hold"},
			{"a cycle of #INCLUDE never ends; one that cannot be read in an exlist is passed over", "both are errors with file and line"},
			{"--dryrun's line needs xCAT on the other machine", "it needs rootcast there"},
			{"dracut makes two initrds, under emulation for another architecture", "convert assembles the one that is needed, natively; --initrd dracut for a site's own modules"},
			{"arguments of --noupdate and --ignorekernelchk end up as the image's name", "they are options without arguments"},
			{"recommended packages come along with yum, dnf and apt", "they do not, with any package manager: lists name what is wanted"},
			{"without arguments it asks for image, profile and interface", "an error that says how to list the osimages"},
			{"a temporary file tells xcatd what to write into its tables (--tempfile)", "there is no xcatd, and no such option"},
			{"--interactive asks; -t limits /tmp", "neither is of use here, and a warning says so"},
			{"driver disks (dud:) and packages (rpm:) in driverupdatesrc", "packages alone"},
			{"the options given are written into the definition before the work", "after it, if the image was made"},
			{"the newest kernel by the order of letters", "by the order of versions; kernelver or -k names another"},
		}},
		{"packimage", []difference{
			{"unlinks what nodes boot from before it is made anew", "a new version takes the old one's place in one step; earlier ones stay for rollback, and what xCAT made there in before-rootcast/"},
			{"-m cpio, tar, squashfs; -c gzip, pigz, xz, ignored for squashfs", "erofs too; zstd, lz4, none and auto too, for file systems as well; gzip by default, whose name xCAT's nodeset finds"},
			{"cpio and squashfs lose capabilities and other extended attributes", "every format carries them; a cpio root as a list that the node applies"},
			{"an exlist's + brings back a file without its directories, and twice if it was not excluded", "its directories stay, and each file is there once"},
			{"synclists change rootimg in place; EXECUTE, APPEND and MERGE end the list", "they are a layer on top of the image; APPEND and MERGE are applied; scripts are counted and not run"},
			{"whether a synclist's destination is a directory is asked of the management node", "of the image"},
			{"/xcatpost, xcatdsklspost and xcatinfo are copied into the image", "they are not: postinstall, or COPY in a recipe, brings what a site needs"},
			{"root's password hash from the passwd table is in a file that anybody can read", "no secret is put into an image"},
			{"the date, an UUID and a salt make each image another", "the same image and options make the same bytes"},
		}},
		{"liteimg", []difference{
			{"moves files of rootimg to /.default and puts links in their places", "the image stays as it is; the node mounts over the paths"},
			{"reads the tables litefile, litetree and statelite", "reads what tabdump prints of them; rows for one of several groups count, and those of the image stand in for its groups' and ALL's"},
			{"rootfstype=nfs mounts the root by NFS", "nodes fetch it, with initrd-statelite.gz; -m squashfs keeps it compressed in memory"},
			{"directories of litetree are mounted", "ro and con take files from the image and the node's persistent store"},
			{"the node asks xcatd for its rules", "they are in the image; the store is named by rootcast.persistent= or STATEMNT="},
		}},
		{"rmimage", []difference{
			{"deletes rootimgdir/rootimg with all that is mounted in it", "removes image tags, and of a rootimgdir only files that rootcast or packimage makes; refuses where something is mounted below it or another osimage has it too"},
		}},
		{"imgexport, imgimport", []difference{
			{"a tar archive with manifest.xml", "an OCI archive, or xCAT's, both ways; push and pull carry images to any registry"},
			{"of two files with one name the last wins; included lists stay behind", "both travel, and so do included lists"},
			{"imgimport writes where the manifest says, at once", "below known directories and --allow DIR alone, all or nothing, and over other files only by --force"},
			{"-p names nodes", "an error: there are no node tables"},
			{"litefile's rows for ALL and for several groups are not exported", "they are"},
		}},
		{"On the node", []difference{
			{"one download loop without an end, and no checksum", "several URLs, resumed where one breaks off, and checked by digest before use"},
			{"initrd-stateless.gz and initrd-statelite.gz, rootimg.cpio.gz and so on", "the same names, and ramdisk.img where one download holds all"},
		}},
	}
}

// newHelpCommand takes the place of the library's, which knows no topics.
func newHelpCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "help", Aliases: []string{"h"}, ArgsUsage: "[COMMAND|xcat]",
		Usage:       "tell about a command, or about xcat: in what rootcast differs from it",
		Description: "   rootcast help convert\n   rootcast help osimage create\n   rootcast help xcat",
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			switch {
			case len(args) == 0:
				return cli.ShowAppHelp(c)
			case args[0] == "xcat" && len(args) == 1:
				return printDifferences(e.stdout, xcatTopics())
			}
			return c.App.RunContext(c.Context, append(append([]string{c.App.Name}, args...), "--help"))
		},
	}
}

// column is how wide each of two columns is, in letters.
const column = 38

func printDifferences(w io.Writer, topics []topic) error {
	var b strings.Builder
	fmt.Fprintln(&b, "In what rootcast differs from xCAT, and means to. All else is as xCAT has it.")
	for _, t := range topics {
		fmt.Fprintf(&b, "\n%s\n", t.name)
		fmt.Fprintf(&b, "  %-*s %s\n", column, "xCAT", "rootcast")
		for _, d := range t.differences {
			left, right := wrap(d.xcat, column-1), wrap(d.rootcast, column)
			for i := range max(len(left), len(right)) {
				marker := "  "
				if i == 0 {
					marker = "- "
				}
				fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s%-*s %s", marker, column, at(left, i), at(right, i)), " "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// wrap breaks text between words, after at most width letters where words allow.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
