package local

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// maxFeed is how many of the newest entries a feed keeps.
const maxFeed = 50_000

// feed is a numbered list of JSON lines that readers can follow.
type feed struct {
	mu    sync.Mutex
	first int64 // number of lines[0]
	lines [][]byte
	more  chan struct{} // closed at the next entry
}

func newFeed() *feed { return &feed{first: 1, more: make(chan struct{})} }

// add appends an entry: an object, which gets its number as its first member.
func (f *feed) add(v any) {
	body, err := json.Marshal(v)
	if err != nil || len(body) < 2 || body[0] != '{' {
		return // never: all entries are structs of ours
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	line := append([]byte(`{"seq":`), strconv.FormatInt(f.first+int64(len(f.lines)), 10)...)
	if len(body) > 2 {
		line = append(line, ',')
	}
	f.lines = append(f.lines, append(append(line, body[1:]...), '\n'))
	if over := len(f.lines) - maxFeed; over > maxFeed/10 {
		f.lines = append([][]byte(nil), f.lines[over:]...)
		f.first += int64(over)
	}
	close(f.more)
	f.more = make(chan struct{})
}

// since returns the entries after a number, the number of the last, and a channel that is closed when there are more.
func (f *feed) since(after int64) (lines [][]byte, last int64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := min(max(after+1-f.first, 0), int64(len(f.lines)))
	return f.lines[from:], f.first + int64(len(f.lines)) - 1, f.more
}

// serve writes the entries after ?since=N as JSON lines; with follow=1 it goes on as they come.
func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	after, err := int64(0), error(nil)
	if s := r.URL.Query().Get("since"); s != "" {
		if after, err = strconv.ParseInt(s, 10, 64); err != nil {
			http.Error(w, "since is not a number", http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	for {
		lines, last, more := f.since(after)
		for _, l := range lines {
			if _, err := w.Write(l); err != nil {
				return
			}
		}
		after = last
		if r.URL.Query().Get("follow") != "1" {
			return
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
