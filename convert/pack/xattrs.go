package pack

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/xattrs"
)

// XattrsName is the file of a cpio root that lists its extended attributes.
const XattrsName = xattrs.Name

// Xattrs lists the extended attributes of all files as "getfattr --dump" does,
// so that "setfattr -h --restore" in the unpacked root gives them back, and
// counts the files that have some. A file with several names is listed by its
// first one.
func Xattrs(t *rootfs.Tree) (list []byte, files int) {
	seen := map[*rootfs.Inode]bool{}
	for name, in := range t.All() {
		if len(in.Xattrs) == 0 || seen[in] {
			continue
		}
		seen[in] = true
		files++
		list = append(list, "# file: "+quoteXattr(name, "\\\n\r")+"\n"...)
		for _, attr := range slices.Sorted(maps.Keys(in.Xattrs)) {
			list = append(list, quoteXattr(attr, "\\\n\r=")+"=0s"+base64.StdEncoding.EncodeToString([]byte(in.Xattrs[attr]))+"\n"...)
		}
		list = append(list, '\n')
	}
	return list, files
}

// quoteXattr writes special characters in octal (attr's libmisc/quote.c).
func quoteXattr(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
