// A Lambda function for tests that does what its event says. It speaks the Runtime API by hand, so that compiling it
// takes a second.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

var base = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"

type event struct {
	Do      string
	Millis  int
	Text    string
	Records []struct{ MessageID, Body string }
	// Of a call by a function URL.
	RawPath, Body string
	// Of a subscription to a log.
	AWSLogs *struct{ Data string } `json:"awslogs"`
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		os.Exit(3)
	case "error":
		post("init/error", []byte(`{"errorType":"Init.Bad","errorMessage":"no settings"}`))
		os.Exit(1)
	}
	served := 0
	for {
		r, err := http.Get(base + "invocation/next")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		id := r.Header.Get("Lambda-Runtime-Aws-Request-Id")
		served++
		answer, err := handle(body, served, r.Header)
		if err != nil {
			b, _ := json.Marshal(map[string]string{"errorType": "errorString", "errorMessage": err.Error()})
			post("invocation/"+id+"/error", b)
			continue
		}
		post("invocation/"+id+"/response", answer)
	}
}

func post(path string, body []byte) {
	r, err := http.Post(base+path, "application/json", bytes.NewReader(body))
	if err == nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}

func handle(body []byte, served int, h http.Header) ([]byte, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.Records != nil {
		return batch(e)
	}
	if e.AWSLogs != nil {
		fmt.Println("awslogs", e.AWSLogs.Data)
	}
	switch e.RawPath {
	case "/answer":
		return []byte(e.Body), nil
	case "/error":
		return nil, fmt.Errorf("as told")
	}
	switch e.Do {
	case "error":
		return nil, fmt.Errorf("as told: %s", e.Text)
	case "exit":
		os.Exit(4)
	case "sleep":
		time.Sleep(time.Duration(e.Millis) * time.Millisecond)
	case "big":
		return []byte(`"` + strings.Repeat("x", e.Millis) + `"`), nil
	case "raw":
		return []byte(e.Text), nil
	case "print":
		fmt.Println(e.Text)
	case "burn":
		for start := time.Now(); time.Since(start) < time.Duration(e.Millis)*time.Millisecond; {
		}
	}
	return json.Marshal(map[string]any{"served": served, "pid": os.Getpid(), "env": os.Environ(), "headers": h, "event": string(body)})
}

// batch answers an SQS event: bodies say which records fail.
func batch(e event) ([]byte, error) {
	type item struct {
		ItemIdentifier string `json:"itemIdentifier"`
	}
	out := struct {
		Failures []item `json:"batchItemFailures"`
	}{[]item{}}
	for _, r := range e.Records {
		fmt.Println("record", r.Body)
		switch r.Body {
		case "bad":
			out.Failures = append(out.Failures, item{r.MessageID})
		case "unknown":
			out.Failures = append(out.Failures, item{"nobody"})
		case "crash":
			os.Exit(5)
		}
	}
	return json.Marshal(out)
}
