package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
)

// What packimage and liteimg take of a definition alike.
func TestDefinitionFlags(t *testing.T) {
	d := &osimage.Definition{Name: "compute"}
	for name, value := range map[string]string{"netdrivers": "nvme.ko,allupdate,mlx5_core", "exlist": "/a,/b", "kernelver": "6.1.0-1"} {
		if err := d.Set(name, value, "/"); err != nil {
			t.Fatal(err)
		}
	}
	m := definitionFlags(d)
	if diff := cmp.Diff([]string{"nvme", "mlx5_core"}, m.first.add.Value()); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/a", "/b"}, m.exlists.Value()); diff != "" {
		t.Errorf("exclude lists (-want +got):\n%s", diff)
	}
	if m.kernel != "6.1.0-1" {
		t.Errorf("kernel %q", m.kernel)
	}
}
