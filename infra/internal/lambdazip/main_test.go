package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPacksOneExecutableTheSameWayEveryTime(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("machine code "), 1000)
	var zips [][]byte
	for i, mode := range []os.FileMode{0o755, 0o600} { // neither name, time nor mode of the binary may show
		binary := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(binary, content, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(binary, time.Time{}, time.Unix(int64(i)*1e9, 0)); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out.zip")
		if err := run([]string{"-out", out, binary}); err != nil {
			t.Fatal(err)
		}
		packed, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		zips = append(zips, packed)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("two zips of the same binary differ")
	}

	archive, err := zip.NewReader(bytes.NewReader(zips[0]), int64(len(zips[0])))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 {
		t.Fatalf("want one executable bootstrap, got %v", archive.File)
	}
	entry, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(entry); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the content did not survive: %d bytes, %v", len(got), err)
	}
}

func TestRefusesWhatIsNoBinary(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no output": {empty},
		"no binary": {"-out", filepath.Join(dir, "x.zip")},
		"missing":   {"-out", filepath.Join(dir, "x.zip"), filepath.Join(dir, "missing")},
		"directory": {"-out", filepath.Join(dir, "x.zip"), dir},
		"empty":     {"-out", filepath.Join(dir, "x.zip"), empty},
	} {
		if err := run(args); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x.zip")); err == nil {
		t.Error("a zip was left behind")
	}
}
