package fetch

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

const (
	// tftpBlock fits an Ethernet frame with IPv6; a fragment that is lost costs the
	// whole block.
	tftpBlock = 1428

	// A lost packet costs the first; the second is how often it is sent anew, until
	// stall has passed.
	tftpTimeout = time.Second
	tftpRetries = int(stall / tftpTimeout)
)

// tftpFile is a file on a TFTP server. The protocol knows no offset, so every
// reply starts at the file's first byte.
type tftpFile struct {
	host *url.URL
	name string
}

// open returns when the server has answered. If the context ends before, the
// request goes on for at most stall by itself, since the library cannot be stopped.
func (t *tftpFile) open(ctx context.Context, _, _ int64) (*reply, error) {
	client, err := t.client(ctx)
	if err != nil {
		return nil, err
	}
	type answer struct {
		size int64
		err  error
	}
	answers := make(chan answer, 1)
	out, in := io.Pipe()
	go func() {
		transfer, err := client.Receive(t.name, "octet")
		if err != nil {
			answers <- answer{err: asTFTPError(err)}
			return
		}
		answers <- answer{size: announced(transfer)}
		// A block is too little to hand over by itself.
		w := bufio.NewWriterSize(in, 64<<10)
		_, err = transfer.WriteTo(w)
		if flushed := w.Flush(); err == nil {
			err = flushed
		}
		in.CloseWithError(asTFTPError(err))
	}()
	stop := context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
	select {
	case a := <-answers:
		if a.err != nil {
			stop()
			return nil, a.err
		}
		return &reply{ReadCloser: &tftpBody{out, stop}, size: a.size}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// tftpBody is the file as it comes in.
type tftpBody struct {
	*io.PipeReader
	stop func() bool
}

func (b *tftpBody) Close() error {
	b.stop()
	return b.PipeReader.Close()
}

func (t *tftpFile) client(ctx context.Context) (*tftp.Client, error) {
	// The library would resolve the name without the context.
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host.Hostname())
	if err != nil {
		return nil, fmt.Errorf("resolving the server's name: %w", err)
	}
	port := "69"
	if p := t.host.Port(); p != "" {
		port = p
	}
	client, err := tftp.NewClient(net.JoinHostPort(addresses[0].Unmap().String(), port))
	if err != nil {
		return nil, fmt.Errorf("preparing TFTP: %w", err)
	}
	client.SetBlockSize(tftpBlock)
	client.RequestTSize(true)
	client.SetTimeout(tftpTimeout)
	client.SetRetries(tftpRetries)
	client.SetBackoff(func(int) time.Duration { return 0 }) // it has waited by then
	return client, nil
}

// announced is the size that the server told (RFC 2349), -1 if it told none: a
// server that knows no options leaves the zero of the request.
func announced(transfer io.WriterTo) int64 {
	if in, ok := transfer.(tftp.IncomingTransfer); ok {
		if size, ok := in.Size(); ok && size > 0 {
			return size
		}
	}
	return -1
}

// tftpError is what a server answered in place of the file (RFC 1350, section 5).
type tftpError struct {
	code    int
	message string
}

func (e *tftpError) Error() string { return fmt.Sprintf("TFTP error %d %q", e.code, e.message) }

func (e *tftpError) hint() string {
	switch e.code {
	case 1:
		return "not found: check imgurl, and that the file is below the TFTP server's directory"
	case 2:
		return "access denied: check the file's mode and the TFTP server's directory"
	}
	return "check the TFTP server's log"
}

// asTFTPError takes apart what the library made a string of.
func asTFTPError(err error) error {
	if err == nil {
		return nil
	}
	text, ok := strings.CutPrefix(err.Error(), "code: ")
	number, message, ok2 := strings.Cut(text, ", message: ")
	code, bad := strconv.Atoi(number)
	if !ok || !ok2 || bad != nil {
		return fmt.Errorf("TFTP: %w", err)
	}
	return &tftpError{code, strings.TrimRight(message, "\x00")}
}
