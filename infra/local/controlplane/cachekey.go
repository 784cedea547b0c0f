package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// cacheKey is a hash of all that goes into the binary: sources, module versions, toolchain, platform and flags.
func cacheKey(dir, goVersion string, flags []string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s/%s\n%q\n", goVersion, runtime.GOOS, runtime.GOARCH, flags)
	// WalkDir goes in lexical order, so that the same files always give the same hash.
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != dir && (name == "testdata" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		// Tests are not part of the binary: to change one must not cost a build.
		source := filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go")
		if !source && name != "go.mod" && name != "go.sum" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %x\n", filepath.ToSlash(relative), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^(?:require)?\s*k8s\.io/kubernetes v(\S+)`)

// kubernetesVersion is the version that the module's go.mod asks for, without its v.
func kubernetesVersion(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the sources of the control plane are not in %s: run this in a checkout of the repository, or name a built binary in %s", dir, EnvBinary)
	}
	if err != nil {
		return "", err
	}
	match := kubernetesRequirement.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s does not require k8s.io/kubernetes", filepath.Join(dir, "go.mod"))
	}
	return string(match[1]), nil
}
