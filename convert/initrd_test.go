package convert

import (
	"testing"

	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/pack"
)

// Only a configuration's word is enough for zstd: a wrong guess gives a node that
// does not boot.
func TestInitrdCodec(t *testing.T) {
	for name, tt := range map[string]struct {
		support kernel.Support
		want    pack.Codec
	}{
		"configured":  {kernel.Support{Source: "/boot/config-6.1", Initramfs: []string{"zstd", "gzip"}}, pack.Zstd},
		"no zstd":     {kernel.Support{Source: "/boot/config-6.1", Initramfs: []string{"gzip", "xz"}}, pack.Gzip},
		"xz alone":    {kernel.Support{Source: "/boot/config-6.1", Initramfs: []string{"xz", "none"}}, pack.XZ},
		"by version":  {kernel.Support{Initramfs: []string{"zstd", "gzip"}}, pack.Gzip},
		"that is odd": {kernel.Support{Initramfs: []string{"none"}}, pack.None},
	} {
		t.Run(name, func(t *testing.T) {
			c := &converter{support: tt.support, kernel: kernel.Kernel{Version: "6.1"}}
			if got, err := c.initrdCodec(); err != nil || got != tt.want {
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
	c := &converter{support: kernel.Support{Source: "/boot/config-6.1"}, kernel: kernel.Kernel{Version: "6.1"}}
	if codec, err := c.initrdCodec(); err == nil {
		t.Errorf("%s for a kernel that loads no initrd", codec)
	}
}
