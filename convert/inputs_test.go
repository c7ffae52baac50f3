package convert

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/statelite"
)

// TestInputs: each option changes what a version is said to be made of, but
// those that change no byte of it.
func TestInputs(t *testing.T) {
	harmless := map[string]bool{"Dir": true, "Jobs": true, "Cache": true, "Keep": true, "Wait": true, "Report": true, "Explain": true, "Run": true, "TempDir": true}
	of := func(o Options) string { return (&converter{o: o, img: &image.Image{Name: "x"}}).inputs(t.Context()) }
	plain := of(Options{})
	for i := range reflect.TypeFor[Options]().NumField() {
		var o Options
		field := reflect.ValueOf(&o).Elem().Field(i)
		name := reflect.TypeFor[Options]().Field(i).Name
		switch field.Interface().(type) {
		case *time.Time:
			at := time.Unix(1, 0)
			field.Set(reflect.ValueOf(&at))
		case *exlist.List:
			field.Set(reflect.ValueOf(exlist.New("./x")))
		case *cache.Store:
			field.Set(reflect.ValueOf(&cache.Store{}))
		case FirstStage:
			field.Set(reflect.ValueOf(FirstStage{CA: []byte("x")}))
		case *statelite.Rules:
			field.Set(reflect.ValueOf(&statelite.Rules{Rules: []statelite.Rule{{Path: "/x"}}}))
		case func(*exlist.Report):
			field.Set(reflect.ValueOf(func(*exlist.Report) {}))
		case Runner:
			field.Set(reflect.ValueOf(Runner(func(context.Context, *image.Image, Command, io.Writer) error { return nil })))
		case Report:
			field.Set(reflect.ValueOf(Report(func(string, int64, int64) {})))
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString("x")
			case reflect.Int:
				field.SetInt(7)
			case reflect.Bool:
				field.SetBool(true)
			default:
				t.Fatalf("%s: how is a %s set?", name, field.Type())
			}
		}
		if changed := of(o) != plain; changed == harmless[name] {
			t.Errorf("%s: changed %v", name, changed)
		}
	}
	other := converter{img: &image.Image{Name: "y"}}
	if other.inputs(t.Context()) == plain {
		t.Error("another image's name changes nothing")
	}
}

// endless is a kernel's file whose first read cancels the convert.
type endless struct {
	fs.File
	cancel func()
	reads  int
}

func (e *endless) Read(p []byte) (int, error) {
	e.cancel()
	if e.reads++; e.reads > 100 {
		return 0, io.EOF
	}
	return len(p), nil
}

func TestKernelEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stage, err := netboot.Begin(ctx, filepath.Join(t.TempDir(), "out"), netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Abort() //nolint:errcheck // the test's directory is removed anyway
	out, err := stage.Create(netboot.KernelName)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // nobody reads it
	file := &endless{cancel: cancel}
	c := converter{img: &image.Image{}, kernelFile: file}
	if _, err := c.writeKernel(ctx, out); !errors.Is(err, context.Canceled) || file.reads > 1 {
		t.Errorf("%d reads, error %v", file.reads, err)
	}
}

// Without layers there is nothing to convert, whatever was true when they were left away.
func TestConvertWithoutLayers(t *testing.T) {
	_, err := Convert(t.Context(), &image.Image{Name: "x"}, Options{Dir: filepath.Join(t.TempDir(), "out")})
	if !errors.Is(err, ErrNotFetched) {
		t.Errorf("error %v", err)
	}
}
