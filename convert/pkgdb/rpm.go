package pkgdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3" // the driver

	"github.com/rootcast/rootcast/convert/ctxio"
)

// Where rpm keeps its database: by its own default, by that of older versions,
// and where rpm-ostree puts it.
var rpmDirs = [...]string{"usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"} //nolint:gochecknoglobals // a constant table

// The files that hold the headers, one of each of rpm's back ends.
const (
	rpmSQLite = "rpmdb.sqlite"
	rpmNDB    = "Packages.db"
	rpmBDB    = "Packages"
)

func readRPM(ctx context.Context, r *resolver, tempDir string) ([]Package, error) {
	dir, file := findRPM(r.fsys)
	if file == "" {
		return nil, nil
	}
	c := rpmReader{r: r}
	if err := c.read(ctx, dir, file, tempDir); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(dir, file), err)
	}
	return c.all, nil
}

func findRPM(fsys fs.FS) (dir, file string) {
	for _, dir := range rpmDirs {
		for _, file := range []string{rpmSQLite, rpmNDB, rpmBDB} {
			info, err := fs.Stat(fsys, path.Join(dir, file))
			if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				return dir, file
			}
		}
	}
	return "", ""
}

// rpmReader collects packages.
type rpmReader struct {
	r   *resolver
	all []Package
}

// read copies the database, for SQLite wants a file, and takes its headers.
func (c *rpmReader) read(ctx context.Context, dir, file, tempDir string) (err error) {
	temp, err := os.MkdirTemp(tempDir, "rootcast-rpmdb-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	db := filepath.Join(temp, file)
	if err := copyOut(ctx, c.r.fsys, path.Join(dir, file), db); err != nil {
		return err
	}
	do := func(blob []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.add(blob)
	}
	if file == rpmSQLite {
		// What rpm wrote last may still stand in the log beside the database.
		err := copyOut(ctx, c.r.fsys, path.Join(dir, file+"-wal"), db+"-wal")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return readSQLite(ctx, db, do)
	}
	f, err := os.Open(db)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if file == rpmNDB {
		return readNDB(f, info.Size(), do)
	}
	return readBDB(f, info.Size(), do)
}

func (c *rpmReader) add(blob []byte) error {
	h, err := parseHeader(blob)
	if err != nil {
		return err
	}
	p := h.pack()
	err = h.files(func(name string) {
		if found, ok := c.r.file(name); ok {
			p.Files = append(p.Files, found)
		}
	})
	c.all = append(c.all, p)
	return err
}

// readSQLite calls do with each header. The database is the image's, so nothing
// that its schema could run is: Packages must be a plain table.
func readSQLite(ctx context.Context, name string, do func(blob []byte) error) (err error) {
	db, err := sql.Open("sqlite3", "file:"+name+"?mode=rw&_query_only=true")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "PRAGMA trusted_schema=OFF"); err != nil {
		return err
	}
	var tables int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name='Packages' AND type='table' AND rootpage>0").Scan(&tables)
	if err == nil && tables != 1 {
		err = errors.New("it has no table of packages")
	}
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT blob FROM Packages ORDER BY hnum")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var blob sql.RawBytes
		if err := rows.Scan(&blob); err != nil {
			return err
		}
		if err := do(blob); err != nil {
			return err
		}
	}
	return rows.Err()
}

func copyOut(ctx context.Context, fsys fs.FS, from, to string) (err error) {
	in, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, ctxio.NewReader(ctx, in, nil))
	return err
}
