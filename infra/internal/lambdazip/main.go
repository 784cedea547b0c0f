// Command lambdazip packs a binary the way Lambda's provided.al2023 runtime wants it: a zip that holds one executable
// named bootstrap. The same binary gives the same bytes on every machine and at every time, so that a deployment changes
// a function only when its code has changed.
//
//	go run ./infra/internal/lambdazip -out build/lambda/cluster.zip build/lambda/cluster/bootstrap
package main

import (
	"archive/zip"
	"compress/flate"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("lambdazip", flag.ContinueOnError)
	out := flags.String("out", "", "the zip `file` to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() != 1 {
		return fmt.Errorf("usage: lambdazip -out FILE.zip BINARY")
	}
	binary, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer func() { _ = binary.Close() }() // only read
	if info, err := binary.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() || info.Size() == 0 {
		return fmt.Errorf("%s is not a binary", flags.Arg(0))
	}
	// Written beside the target and renamed: whoever reads the zip meanwhile sees the old one or the new one, whole.
	file, err := os.CreateTemp(filepath.Dir(*out), ".lambdazip-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // fails, rightly, once it is renamed
	defer func() { _ = file.Close() }()           // fails, rightly, once it is closed below
	if err := pack(file, binary); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), *out)
}

// epoch is the time that every entry carries: the earliest that a zip can say.
var epoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// pack writes a zip with one executable, bootstrap.
func pack(w io.Writer, binary io.Reader) error {
	archive := zip.NewWriter(w)
	// Small zips start faster, and packing is rare. The level is explicit because the bytes depend on it.
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, binary); err != nil {
		return err
	}
	return archive.Close()
}
