package rootfs

import (
	"fmt"
	"strings"
)

// The xattrs of overlayfs (Documentation/filesystems/overlayfs.rst), behind
// "trusted." or, with the mount option userxattr, "user.".
const (
	overlayPrefix   = "overlay."
	overlayOpaque   = "opaque"
	overlayWhiteout = "whiteout"
	overlayRedirect = "redirect"
	overlayMetacopy = "metacopy"
)

// overlayXattr returns what follows overlayfs's prefix in the name of an xattr.
func overlayXattr(name string) (key string, ok bool) {
	for _, class := range [...]string{"trusted.", "user."} {
		if rest, ok := strings.CutPrefix(name, class); ok {
			return strings.CutPrefix(rest, overlayPrefix)
		}
	}
	return "", false
}

// isOverlayWhiteout tells whether the file is how overlayfs hides a name.
func isOverlayWhiteout(in *Inode) bool {
	if in.Type() == TypeChar {
		return in.Major == 0 && in.Minor == 0
	}
	if in.Type() == TypeRegular && in.Size == 0 {
		for name := range in.Xattrs {
			if key, ok := overlayXattr(name); ok && key == overlayWhiteout {
				return true
			}
		}
	}
	return false
}

// dropOverlayXattrs takes overlayfs's own xattrs off; opaque tells what they said.
func dropOverlayXattrs(in *Inode) (opaque bool, err error) {
	for name, value := range in.Xattrs {
		key, ok := overlayXattr(name)
		if !ok {
			continue
		}
		switch key {
		case overlayOpaque:
			opaque = opaque || in.IsDir() && value == "y"
		case overlayRedirect, overlayMetacopy:
			return false, fmt.Errorf("its xattr %s says that its content is in another layer; make the layer without overlayfs's redirect_dir and metacopy", name)
		}
		delete(in.Xattrs, name)
	}
	if len(in.Xattrs) == 0 {
		in.Xattrs = nil
	}
	return opaque, nil
}
