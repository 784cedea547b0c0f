// Command ekspedite-kubernetes is the real Kubernetes control plane behind one emulated EKS cluster, in one process,
// with a stand-in for the kubelets of its nodes; or, as `ekspedite-kubernetes oracle`, only the scheduler's filters. See
// README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/oracle"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/plane"
)

// patience is how long an orderly end may take before the process ends all the same.
const patience = 1200 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ekspedite-kubernetes:", err)
		os.Exit(1)
	}
}

type settings struct {
	data, log    string
	version      plane.Version
	listen       string
	serviceCIDR  *net.IPNet
	tokenWebhook string
	systemAddons bool
	ignoreStdin  bool
	nodeGrace    time.Duration
}

func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 1 && args[0] == "oracle" {
		return oracle.Serve(ctx, stdin, stdout)
	}
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return err
	}
	logFile, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	release, err := lock(filepath.Join(s.data, "lock"))
	if err != nil {
		return err
	}
	defer release()

	if !s.ignoreStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			// The parent holds the other end. Whatever way it ends, the kernel closes it, and this process follows.
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	// Kubernetes and etcd write to standard error in many ways, some through loggers that were made before main, and so
	// does a panic. Putting the log in the place of the descriptor catches all of them.
	restore, err := redirect(logFile)
	if err != nil {
		return fmt.Errorf("redirect standard error to %s: %w", s.log, err)
	}
	defer restore()
	if err := run(ctx, s, stdout); err != nil {
		fmt.Fprintln(logFile, "ekspedite-kubernetes:", err)
		return err
	}
	return nil
}

// redirect puts f in the place of standard error until restore is called.
func redirect(f *os.File) (restore func(), err error) {
	const stderr = 2
	saved, err := unix.Dup(stderr)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(saved)
	if err := replaceDescriptor(int(f.Fd()), stderr); err != nil {
		return nil, err
	}
	return func() { _ = replaceDescriptor(saved, stderr) }, nil
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("ekspedite-kubernetes", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.data, "data", "", "`directory` that holds the cluster; required")
	version := fs.String("version", "", fmt.Sprintf("Kubernetes minor `version` to be, 1.%d to 1.%d; required", plane.OldestMinor, plane.NewestMinor))
	fs.StringVar(&s.listen, "listen", "127.0.0.1:0", "loopback `address` of the API server")
	cidr := fs.String("service-cidr", "172.20.0.0/16", "`range` of the Services' addresses")
	fs.StringVar(&s.tokenWebhook, "token-webhook", "", "`URL` that TokenReviews are sent to")
	fs.BoolVar(&s.systemAddons, "system-addons", true, "create aws-node, kube-proxy and coredns when absent")
	fs.StringVar(&s.log, "log", "", "log `file`; DATA/log when empty")
	fs.DurationVar(&s.nodeGrace, "node-monitor-grace-period", 50*time.Second, "how long a silent node still counts as ready")
	fs.BoolVar(&s.ignoreStdin, "ignore-stdin", false, "do not end when standard input does")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	if s.data == "" {
		errs = append(errs, errors.New("--data is required"))
	}
	var err error
	if s.data, err = filepath.Abs(s.data); err != nil {
		errs = append(errs, err)
	}
	if err := checkSocketPath(s.socket()); err != nil {
		errs = append(errs, err)
	}
	if s.log == "" {
		s.log = filepath.Join(s.data, "log")
	}
	if s.version, err = plane.ParseVersion(*version); err != nil {
		errs = append(errs, fmt.Errorf("--version: %w", err))
	}
	if _, s.serviceCIDR, err = net.ParseCIDR(*cidr); err != nil {
		errs = append(errs, fmt.Errorf("--service-cidr: %w", err))
	}
	if err := checkLoopback(s.listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen: %w", err))
	}
	if s.nodeGrace < 15*time.Second {
		errs = append(errs, fmt.Errorf("--node-monitor-grace-period %s is too short: leases are renewed every 10 s", s.nodeGrace))
	}
	return s, errors.Join(errs...)
}

func (s settings) socket() string { return filepath.Join(s.data, "control.sock") }

// checkSocketPath keeps a path that the kernel would refuse, with an error that names no path, from getting there.
func checkSocketPath(path string) error {
	const longest = 103 // macOS's limit; Linux allows 107.
	if len(path) > longest {
		return fmt.Errorf("--data is too deep: the path of the unix socket %s has %d bytes, the operating system allows %d", path, len(path), longest)
	}
	return nil
}

func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.Equal(net.IPv4(127, 0, 0, 1)) {
		return fmt.Errorf("%q is not on 127.0.0.1: this control plane is for this machine only", address)
	}
	return nil
}

// lock keeps two processes from sharing one data directory: etcd would only say "timeout" after a while.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another control plane runs over %s", filepath.Dir(path))
	}
	return func() { f.Close() }, nil
}
