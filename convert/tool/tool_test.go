package tool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/tool"
)

// A ^C at a terminal reaches the program and this process, in any order.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	kill := []string{"sh", "-c", "kill -INT $$"}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	p := tool.Process{Cmd: tool.Command(context.WithoutCancel(ctx), kill[0], kill[1:]...)}
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted with all others: %v", err)
	}
	p = tool.Process{Cmd: tool.Command(t.Context(), kill[0], kill[1:]...)}
	if err := p.Run(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "/sh: signal: interrupt") {
		t.Errorf("interrupted alone: %v", err)
	}
}

func TestFindErrors(t *testing.T) {
	t.Parallel()
	_, err := tool.Find(t.Context(), tool.Tool{Name: "no-such-program", Packages: "it"})
	if want := "no-such-program is not installed here: install the package it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
