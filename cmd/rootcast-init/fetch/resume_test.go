package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestResume(t *testing.T) {
	const size = 3 << 20
	content, digest := root(size)
	other := slices.Clone(content)
	other[size-1] ^= 1
	ignoresRange := func(o *origin) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n > 0 {
				r.Header.Del("Range")
			}
			return false
		}
	}
	then := func(actions ...func(http.ResponseWriter)) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n >= len(actions) || actions[n] == nil {
				return false
			}
			actions[n](w)
			return true
		}
	}
	tests := []struct {
		name     string
		a, b     *origin
		options  Options
		askedA   []string
		askedB   []string
		sentA    int // checked if not 0
		sentB    int
		wait     time.Duration // altogether
		want     error
		wantText string
		ignore   bool // a ignores ranges
	}{
		{name: "whole", a: &origin{content: content}, askedA: []string{"-"}, sentA: size},
		{
			name: "two cuts of healthy connections, one server",
			a:    &origin{content: content, cut: map[int]int{0: 2 << 20, 1: 300_000}}, askedA: []string{
				"-", "bytes=2097152-3145727", "bytes=2397152-3145727",
			}, sentA: size, wait: 3 * time.Second, // 1 s after a healthy one, 2 s after 300,000 bytes
		},
		{
			name: "first server dies halfway, second goes on",
			a: &origin{content: content, cut: map[int]int{0: size / 2}, act: then(nil, func(w http.ResponseWriter) {
				panic(http.ErrAbortHandler)
			})},
			b: &origin{content: content}, askedA: []string{"-"}, sentA: size / 2,
			askedB: []string{"bytes=1572864-3145727"}, sentB: size / 2,
		},
		{
			name: "a healthy connection begins a new round", a: &origin{content: content, act: then(status(500))},
			b:      &origin{content: content, cut: map[int]int{0: 2 << 20}},
			askedA: []string{"-", "bytes=2097152-3145727"}, askedB: []string{"-"}, sentB: 2 << 20,
		},
		{
			name: "range ignored", a: &origin{content: content, cut: map[int]int{0: 1<<20 + 3}}, ignore: true,
			askedA: []string{"-", "bytes=1048579-3145727"}, sentA: 4<<20 + 3, wait: time.Second,
		},
		{
			name: "a file that the server calls compressed", a: &origin{content: content, act: func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Encoding", "gzip")
				return false
			}}, askedA: []string{"-"}, sentA: size,
		},
		{
			name: "503 with Retry-After, then well", a: &origin{content: content, act: then(status(503, "Retry-After", "17"))},
			askedA: []string{"-", "-"}, wait: 18 * time.Second,
		},
		{
			name: "503 of one server is no reason to wait", a: &origin{act: then(status(503, "Retry-After", "100"))},
			b: &origin{content: content}, askedA: []string{"-"}, askedB: []string{"-"},
		},
		{
			name: "Retry-After holds for the one that sent it", a: &origin{content: content, act: then(status(503, "Retry-After", "100"))},
			b: &origin{content: content, act: then(status(500), status(500), status(500))}, askedA: []string{"-"},
			askedB: []string{"-", "-", "-", "-"}, wait: 7 * time.Second,
		},
		{
			name: "wrong size", a: &origin{content: content[1:]}, b: &origin{content: content}, options: Options{Size: size},
			askedA: []string{"-"}, askedB: []string{"-"}, sentB: size,
		},
		{
			name: "wrong size everywhere", a: &origin{content: content[1:]}, b: &origin{content: content[2:]}, options: Options{Size: size},
			askedA: []string{"-"}, askedB: []string{"-"}, want: ErrChanged, wantText: "has 3145726 bytes, expected 3145728",
		},
		{
			name: "second server has another file", a: &origin{content: content, cut: map[int]int{0: 1 << 20}},
			b: &origin{content: content[1:]}, askedA: []string{"-", "bytes=1048576-3145727"}, askedB: []string{"bytes=1048576-3145727"},
			wait: time.Second,
		},
		{
			name: "flipped bit", a: &origin{content: other}, askedA: []string{"-"}, want: &DigestError{},
			wantText: "the root from http://a/root has sha256 ",
		},
		{
			name: "no digest, flipped bit goes unseen", a: &origin{content: other}, options: Options{SHA256: "-"}, askedA: []string{"-"},
		},
		{
			name: "404 for ever", a: &origin{act: then(status(404), status(404), status(404))}, options: Options{Attempts: 3},
			askedA: []string{"-", "-", "-"}, wait: 3 * time.Second,
			wantText: "giving up, for attempt 3 of 3 failed: http://a/root: HTTP status 404 Not Found: not found: check imgurl, and that the rootimgdir is published",
		},
		{
			name: "206 of the wrong place", a: &origin{content: content, cut: map[int]int{0: 1 << 20}, act: then(nil, func(w http.ResponseWriter) {
				status(206, "Content-Range", "bytes 2000000-3145727/3145728")(w)
				_, _ = w.Write(content[2000000:])
			})}, askedA: []string{"-", "bytes=1048576-3145727", "bytes=1048576-3145727"}, wait: 3 * time.Second,
		},
		{
			name: "206 without Content-Range", a: &origin{content: content, cut: map[int]int{0: 1 << 20}, act: then(nil, status(206))},
			askedA: []string{"-", "bytes=1048576-3145727", "bytes=1048576-3145727"}, wait: 3 * time.Second,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, log, start := &network{}, &lines{}, time.Now()
				o := test.options
				o.URLs, o.dial, o.Log = []string{"http://a/root"}, n.dial, log.add
				switch o.SHA256 {
				case "":
					o.SHA256 = strings.ToUpper(digest)
				case "-":
					o.SHA256 = ""
				}
				if test.ignore {
					test.a.act = ignoresRange(test.a)
				}
				n.serve(t, "a:80", test.a)
				if test.b != nil {
					o.URLs = append(o.URLs, "http://b/root")
					n.serve(t, "b:80", test.b)
				}
				got, err := fetchAll(t, o)
				if test.want == nil && test.wantText == "" {
					if err != nil {
						t.Fatalf("%v\n%s", err, log)
					}
					if o.SHA256 != "" && !bytes.Equal(got, content) {
						t.Error("the content is another")
					}
				}
				checkError(t, err, test.want, test.wantText)
				if diff := cmp.Diff(test.askedA, test.a.asked()); diff != "" {
					t.Errorf("requests to a (-want +got):\n%s%s", diff, log)
				}
				if test.b != nil {
					if diff := cmp.Diff(test.askedB, test.b.asked()); diff != "" {
						t.Errorf("requests to b (-want +got):\n%s%s", diff, log)
					}
				}
				if took := time.Since(start); took != test.wait {
					t.Errorf("took %v, want %v\n%s", took, test.wait, log)
				}
				if test.sentA > 0 && test.a.bytesSent() != test.sentA {
					t.Errorf("a sent %d bytes, want %d", test.a.bytesSent(), test.sentA)
				}
				if test.sentB > 0 && test.b.bytesSent() != test.sentB {
					t.Errorf("b sent %d bytes, want %d", test.b.bytesSent(), test.sentB)
				}
			})
		})
	}
}

// checkError compares an error with a sentinel or a type, and a part of its text.
func checkError(t *testing.T, err, want error, text string) {
	t.Helper()
	var digest *DigestError
	switch {
	case want == nil && text == "":
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	case err == nil:
		t.Fatalf("no error, want %v %q", want, text)
	case errors.As(want, &digest):
		if !errors.As(err, &digest) {
			t.Errorf("error %v, want a DigestError", err)
		}
	case want != nil && !errors.Is(err, want):
		t.Errorf("error %v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error\n%v\nwant one with\n%s", err, text)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error of several lines: %q", err)
	}
}

// Without a digest, what the server tells is all there is.
func TestFileChangesMidway(t *testing.T) {
	content, digest := root(2 << 20)
	changed := func(etag string) *origin {
		o := &origin{content: content, etag: `"one"`, cut: map[int]int{0: 1 << 20}}
		o.act = func(n int, _ http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				o.etag = etag
			}
			return false
		}
		return o
	}
	tests := []struct {
		name, etag, digest string
		want               error
	}{
		{"no digest, another tag", `"two"`, "", ErrChanged},
		{"no digest, same tag", `"one"`, "", nil},
		{"no digest, no tag any more", "", "", nil},
		{"digest, another tag", `"two"`, digest, nil}, // servers behind one name differ in tags
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, o := &network{}, changed(test.etag)
				var condition string
				n.serve(t, "a:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					condition = r.Header.Get("If-Range")
					o.ServeHTTP(w, r)
				}))
				_, err := fetchAll(t, Options{URLs: []string{"http://a/root"}, SHA256: test.digest, dial: n.dial})
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if want := map[bool]string{true: `"one"`}[test.digest == ""]; condition != want {
					t.Errorf("the last If-Range is %q, want %q", condition, want)
				}
				if test.want == nil && o.bytesSent() != len(content) && test.etag != "" {
					t.Errorf("%d bytes were sent, want %d", o.bytesSent(), len(content))
				}
			})
		})
	}
}

func TestFileShrinksMidway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(2 << 20)
		n, o := &network{}, &origin{content: content, cut: map[int]int{0: 1 << 20}}
		o.act = func(n int, _ http.ResponseWriter, _ *http.Request) bool {
			if n == 1 {
				o.content = content[:1<<19]
			}
			return false
		}
		n.serve(t, "a:80", o)
		_, err := fetchAll(t, Options{URLs: []string{"http://a/root"}, SHA256: digest, dial: n.dial})
		checkError(t, err, ErrChanged, "the file has 524288 bytes")
	})
}

// A body without a length ends where the server says; with a size it must be that.
func TestUnknownLength(t *testing.T) {
	content, digest := root(1 << 20)
	tests := []struct {
		name    string
		options Options
		open    int64 // size after Open
		cut     bool
		short   bool // the body ends before the file does
		want    error
	}{
		{name: "digest", options: Options{SHA256: digest}, open: -1},
		{name: "nothing", open: -1},
		{name: "size", options: Options{Size: 1 << 20}, open: 1 << 20},
		{name: "size too small", options: Options{Size: 1<<20 - 1}, open: 1<<20 - 1, want: ErrChanged},
		{name: "cut behind the last byte", options: Options{SHA256: digest}, open: -1, cut: true},
		{name: "short, with a size", options: Options{Size: 1 << 20}, open: 1 << 20, short: true},
		{name: "cut, with a size", options: Options{Size: 1 << 20}, open: 1 << 20, cut: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, o := &network{}, &origin{content: content}
				o.act = func(n int, w http.ResponseWriter, r *http.Request) bool {
					if r.Header.Get("Range") != "" {
						return false
					}
					w.Header().Set("Transfer-Encoding", "chunked")
					if test.short {
						_, _ = w.Write(content[:1<<19])
						return true
					}
					_, _ = w.Write(content)
					if test.cut {
						_ = http.NewResponseController(w).Flush()
						panic(http.ErrAbortHandler)
					}
					return true
				}
				n.serve(t, "a:80", o)
				test.options.URLs, test.options.dial, test.options.jitter = []string{"http://a/root"}, n.dial, whole
				s, err := Open(t.Context(), test.options)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if s.Size != test.open {
					t.Errorf("size %d, want %d", s.Size, test.open)
				}
				got, err := io.ReadAll(s)
				if !errors.Is(err, test.want) || test.want == nil && !bytes.Equal(got, content) {
					t.Errorf("%d bytes, error %v, want %v", len(got), err, test.want)
				}
				if test.options.Size > 0 && int64(len(got)) > test.options.Size {
					t.Errorf("%d bytes came through", len(got))
				}
				if done, total, _ := s.Progress(); test.want == nil && (done != 1<<20 || total != 1<<20) {
					t.Errorf("progress %d of %d", done, total)
				}
			})
		})
	}
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(2 << 20)
		n, log := &network{}, &lines{}
		a := &origin{act: func(n int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(content[:1000])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}}
		b := &origin{content: content}
		n.serve(t, "a:80", a)
		n.serve(t, "b:80", b)
		start := time.Now()
		got, err := fetchAll(t, Options{URLs: []string{"http://a/root", "http://b/root"}, SHA256: digest, dial: n.dial, Log: log.add})
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took != stall {
			t.Errorf("took %v, want %v", took, stall)
		}
		if want := []string{"bytes=1000-2097151"}; !slices.Equal(b.asked(), want) {
			t.Errorf("requests to b: %q, want %q", b.asked(), want)
		}
		for _, want := range []string{
			"http://a/root: cut at byte 1000: ", "not a byte for 30s: check the server's load and the network\n",
			"going on at byte 1000 of the root from http://b/root\n",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
		}
	})
}

// A reader that takes its time is no fault of the server.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(4 << 20)
		n, o := &network{}, &origin{content: content, cut: map[int]int{0: 3 << 20}}
		n.serve(t, "a:80", o)
		s, err := Open(t.Context(), Options{
			URLs: []string{"http://a/root"}, SHA256: digest, Limit: time.Minute, dial: n.dial, jitter: whole,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var got bytes.Buffer
		for {
			time.Sleep(time.Hour)
			if _, err = io.CopyN(&got, struct{ io.Reader }{s}, 32<<10); err != nil {
				break
			}
		}
		if !errors.Is(err, io.EOF) || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("%d bytes, error %v", got.Len(), err)
		}
		if len(o.asked()) != 2 {
			t.Errorf("requests %q", o.asked())
		}
	})
}

func TestWriteToAndProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content, digest := root(1<<20 + 17)
		n := &network{}
		n.serve(t, "a:80", &origin{content: content})
		s, err := Open(t.Context(), Options{URLs: []string{"http://u:secret@a/root?sig=1"}, SHA256: digest, dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		head := make([]byte, 5)
		if _, err := io.ReadFull(s, head); err != nil {
			t.Fatal(err)
		}
		var rest bytes.Buffer
		if n, err := io.Copy(&rest, s); err != nil || n != int64(len(content)-5) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if !bytes.Equal(append(head, rest.Bytes()...), content) {
			t.Error("the content is another")
		}
		done, total, url := s.Progress()
		if done != int64(len(content)) || total != done || url != "http://***@a/root?***" {
			t.Errorf("progress %d of %d from %s", done, total, url)
		}
	})
}

func TestCloseAndCancel(t *testing.T) {
	content, _ := root(8 << 20)
	open := func(t *testing.T) (*Stream, *origin) {
		n, o := &network{}, &origin{content: content}
		n.serve(t, "a:80", o)
		s, err := Open(t.Context(), Options{URLs: []string{"http://a/root"}, dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		return s, o
	}
	t.Run("close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, o := open(t)
			synctest.Wait()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Read after Close: %v", err)
			}
			if o.bytesSent() > 4<<20 {
				t.Errorf("%d bytes were read ahead", o.bytesSent())
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			n.serve(t, "a:80", &origin{act: func(_ int, _ http.ResponseWriter, r *http.Request) bool {
				<-r.Context().Done()
				return true
			}})
			ctx, cancel := contextWithCause(t, 5*time.Second)
			defer cancel()
			_, err := Open(ctx, Options{URLs: []string{"http://a/root"}, dial: n.dial})
			checkError(t, err, errTooLate, "")
		})
	})
	t.Run("context in a wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			ctx, cancel := contextWithCause(t, 5*time.Second)
			defer cancel()
			start := time.Now()
			_, err := Open(ctx, Options{URLs: []string{"http://a/root"}, dial: n.dial, jitter: whole})
			checkError(t, err, errTooLate, "")
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("context in Read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			n.serve(t, "a:80", &origin{act: func(_ int, w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write(content[:10])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return true
			}})
			ctx, cancel := contextWithCause(t, 5*time.Second)
			defer cancel()
			s, err := Open(ctx, Options{URLs: []string{"http://a/root"}, dial: n.dial})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, err := io.ReadAll(s)
			checkError(t, err, errTooLate, "")
			if len(got) != 10 {
				t.Errorf("%d bytes", len(got))
			}
		})
	})
}
