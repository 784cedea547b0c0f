package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Environment variables that Binary reads.
const (
	// EnvBinary names a built binary and switches the building off.
	EnvBinary = "EKSPEDITE_KUBERNETES"
	// EnvCache is the cache folder, instead of the user's.
	EnvCache = "EKSPEDITE_CACHE"
)

const (
	binaryPrefix = "ekspedite-kubernetes-"
	// keep is how many binaries stay in the cache: two, for those who go back and forth between two branches. Each
	// takes about 140 MB.
	keep = 2
)

// Binary returns the path of the control plane's program, building it first when this version of it is not in the cache.
// That takes minutes, so progress is told how far it is; it hears nothing when nothing is built. Several processes may
// call it at once: one builds, the others wait for it.
func Binary(ctx context.Context, repoRoot string, progress io.Writer) (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", EnvBinary, err)
		}
		return filepath.Abs(path)
	}
	cache := os.Getenv(EnvCache)
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder (set %s): %w", EnvCache, err)
		}
		cache = filepath.Join(user, "ekspedite")
	}
	b := builder{
		source:   filepath.Join(repoRoot, "infra", "local", "kubernetes"),
		cache:    filepath.Join(cache, "kubernetes"),
		progress: progress,
		every:    15 * time.Second,
	}
	return b.binary(ctx)
}

// builder builds one module into one cache folder.
type builder struct {
	source, cache string
	progress      io.Writer
	every         time.Duration // between two lines of progress
}

func (b builder) binary(ctx context.Context) (string, error) {
	version, err := kubernetesVersion(b.source)
	if err != nil {
		return "", err
	}
	flags := buildFlags(version)
	key, err := cacheKey(b.source, b.goVersion(ctx), flags)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.cache, binaryPrefix+key)
	if cached(path) {
		return path, nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if cached(path) {
		return path, nil // The one that this waited for has built it.
	}
	if err := b.build(ctx, version, flags, path); err != nil {
		return "", err
	}
	return path, b.prune(path)
}

// cached tells whether the binary is there, and marks it as used, which prune goes by.
func cached(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// buildFlags leave -trimpath out on purpose. With it, the compiler's cache would hold two copies of Kubernetes, several
// gigabytes and minutes each: one for this build and one for go vet and go test in the module.
func buildFlags(version string) []string {
	const pkg = "k8s.io/component-base/version"
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return []string{"-buildvcs=false", "-ldflags", fmt.Sprintf(
		"-s -w -X %[1]s.gitVersion=v%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, major, minor)}
}

// goVersion is that of the toolchain which the module's go.mod selects. Without a go command a cached binary is still
// found when the toolchain of this program built it.
func (b builder) goVersion(ctx context.Context) string {
	out, err := b.command(ctx, "env", "GOVERSION").Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}

// command is the go command in the module, shielded from settings that are meant for other builds: a workspace, flags,
// and the platform that the Lambda functions are cross-compiled for. GOFLAGS is set rather than emptied, because an
// empty one would let `go env -w` settings through.
func (b builder) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.source
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	// Interrupted, go removes its work directory; killed, it could not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// lock waits until no other process builds in this cache.
func (b builder) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(b.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	told := false
	for {
		ok, err := tryLock(f)
		if err != nil {
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if ok {
			return func() { _ = f.Close() }, nil // The lock goes with the descriptor, whatever Close says.
		}
		if !told {
			b.say("another process is building Kubernetes: waiting for it")
			told = true
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("wait for the other build of Kubernetes: %w", ctx.Err())
		}
	}
}

// prune removes all but the most recently used binaries, and what interrupted builds have left.
func (b builder) prune(current string) error {
	entries, err := os.ReadDir(b.cache)
	if err != nil {
		return err
	}
	type binary struct {
		path string
		used time.Time
	}
	var binaries []binary
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(b.cache, entry.Name())
		switch {
		case !strings.HasPrefix(entry.Name(), binaryPrefix) || path == current:
		case strings.HasSuffix(entry.Name(), temporarySuffix):
			// Nobody writes it: the lock is held.
			errs = append(errs, os.Remove(path))
		default:
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			binaries = append(binaries, binary{path, info.ModTime()})
		}
	}
	slices.SortFunc(binaries, func(x, y binary) int { return cmp.Or(y.used.Compare(x.used), strings.Compare(x.path, y.path)) })
	for i, old := range binaries {
		if i >= keep-1 {
			errs = append(errs, os.Remove(old.path))
		}
	}
	return errors.Join(errs...)
}

func (b builder) say(format string, args ...any) {
	if b.progress != nil {
		fmt.Fprintf(b.progress, format+"\n", args...)
	}
}
