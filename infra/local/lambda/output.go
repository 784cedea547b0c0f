package lambda

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	maxLine = 256 << 10 // Lambda cuts longer lines
	maxTail = 4 << 10   // LogType Tail returns the last 4 KB
)

// output carries what an environment's process prints, and what the platform says of it, to the log stream.
type output struct {
	s      *Service
	config Config
	stream string
	pipe   *os.File

	mu     sync.Mutex
	ready  bool // the stream exists
	warned bool
	part   []byte // of a line
	tail   []byte // of the current invocation's lines
}

func newOutput(s *Service, c Config, stream string, pipe *os.File) *output {
	return &output{s: s, config: c, stream: stream, pipe: pipe}
}

// run reads until the last writer is gone.
func (o *output) run() {
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = conn.Read(o.pump) // its only error is that the pipe was closed
}

// drain takes what is in the pipe now, so that what a function printed before its answer stands before the report.
func (o *output) drain() {
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { o.pump(fd) })
}

func (o *output) close() {
	o.mu.Lock()
	if len(o.part) > 0 {
		o.write(string(o.part))
		o.part = nil
	}
	o.mu.Unlock()
	_ = o.pipe.Close() // only read; without the lock: it waits for run, which may wait for the lock
}

// pump reads all that is there; it is done at the end of the file.
func (o *output) pump(fd uintptr) (done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf := make([]byte, 32<<10)
	var lines []string
	defer func() {
		if len(lines) > 0 {
			o.write(lines...)
		}
	}()
	for {
		n, err := syscall.Read(int(fd), buf)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			return false
		}
		if n <= 0 || err != nil {
			return true
		}
		o.part = append(o.part, buf[:n]...)
		for {
			line, rest, ok := bytes.Cut(o.part, []byte("\n"))
			if !ok && len(o.part) < maxLine {
				break
			}
			if !ok {
				line, rest = o.part[:maxLine], o.part[maxLine:]
			}
			if len(line) > 0 {
				lines = append(lines, string(line))
			}
			o.part = bytes.Clone(rest)
		}
	}
}

// write needs the lock. Without permission the lines are lost, as on AWS; unlike there, a warning says so.
func (o *output) write(lines ...string) {
	for _, l := range lines {
		o.tail = append(append(o.tail, l...), '\n')
	}
	if over := len(o.tail) - maxTail; over > 0 {
		o.tail = bytes.Clone(o.tail[over:])
	}
	if err := o.deliver(lines); err != nil && !o.warned {
		o.warned = true
		o.s.w.Log.Warn("embedded cloud: the log of a function is lost", "function", o.config.Name, "group", o.config.logGroup(), "reason", err)
	}
}

func (o *output) deliver(lines []string) error {
	group := o.config.logGroup()
	allowed := func(action, resource string) error {
		return o.s.roles.AuthorizeRole(o.config.Role, wire.Need{Action: "logs:" + action, Resource: resource})
	}
	if !o.ready {
		if !o.s.logs.HasGroup(group) {
			if err := allowed("CreateLogGroup", o.s.logs.StreamARN(group, "")); err != nil {
				return err
			}
			if err := o.s.logs.CreateGroup(group); err != nil && !o.s.logs.HasGroup(group) {
				return err
			}
		}
		if err := allowed("CreateLogStream", o.s.logs.StreamARN(group, o.stream)); err != nil {
			return err
		}
		if err := o.s.logs.CreateStream(group, o.stream); err != nil {
			return err
		}
		o.ready = true
	}
	if err := allowed("PutLogEvents", o.s.logs.StreamARN(group, o.stream)); err != nil {
		return err
	}
	return o.s.logs.Append(group, o.stream, time.Now(), lines...)
}

// begin writes the platform's first line of an invocation.
func (o *output) begin(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = nil
	if o.config.LogJSON {
		o.platform("start", map[string]any{"requestId": id, "version": "$LATEST"})
		return
	}
	o.write(fmt.Sprintf("START RequestId: %s Version: $LATEST", id))
}

type report struct {
	id            string
	status        string
	duration      time.Duration
	initDuration  time.Duration // of a cold start
	memoryMB, max int
	timeout       time.Duration // that ran out
}

// end writes the platform's last lines of an invocation and returns the tail of the log.
func (o *output) end(r report) []byte {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	billed := (r.duration + r.initDuration + time.Millisecond - 1).Milliseconds()
	if o.config.LogJSON {
		metrics := map[string]any{"durationMs": millis(r.duration), "billedDurationMs": billed, "memorySizeMB": r.memoryMB, "maxMemoryUsedMB": r.max}
		if r.initDuration > 0 {
			metrics["initDurationMs"] = millis(r.initDuration)
		}
		o.platform("report", map[string]any{"requestId": r.id, "metrics": metrics, "status": r.status})
		return bytes.Clone(o.tail)
	}
	if r.status == "timeout" {
		o.write(fmt.Sprintf("%s %s Task timed out after %.2f seconds", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), r.id, r.timeout.Seconds()))
	}
	init := ""
	if r.initDuration > 0 {
		init = fmt.Sprintf("\tInit Duration: %.2f ms", millis(r.initDuration))
	}
	o.write("END RequestId: "+r.id, fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB%s",
		r.id, millis(r.duration), billed, r.memoryMB, r.max, init))
	return bytes.Clone(o.tail)
}

func (o *output) platform(kind string, record map[string]any) {
	if o.config.SystemLogLevel == "WARN" && record["status"] != "timeout" && record["status"] != "failure" {
		return // start and successful reports are of level INFO
	}
	b, _ := json.Marshal(struct {
		Time   string         `json:"time"`
		Type   string         `json:"type"`
		Record map[string]any `json:"record"`
	}{time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "platform." + kind, record}) // strings and numbers: no error
	o.write(string(b))
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
