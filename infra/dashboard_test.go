package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// dashboard is the body of the template's dashboard, with names in place of CloudFormation's functions.
func dashboard(t *testing.T) (widgets []struct {
	Type                string
	X, Y, Width, Height int
	Properties          struct {
		Title    string
		Markdown string
		Metrics  [][]any
	}
}) {
	t.Helper()
	list := everything(t).of(t, "AWS::CloudWatch::Dashboard")
	if len(list) != 1 || list[0].Properties["DashboardName"] != "ekspedite" {
		t.Fatalf("%+v", list)
	}
	var body strings.Builder
	for _, part := range at(list[0].Properties["DashboardBody"], "Fn::Join").([]any)[1].([]any) {
		if s, ok := part.(string); ok {
			body.WriteString(s)
		} else {
			body.WriteString(target(part))
		}
	}
	var out struct {
		Widgets json.RawMessage
	}
	if err := json.Unmarshal([]byte(body.String()), &out); err != nil {
		t.Fatalf("%v\n%s", err, body.String())
	}
	if err := json.Unmarshal(out.Widgets, &widgets); err != nil {
		t.Fatal(err)
	}
	return widgets
}

// emitted are the names of metrics that code below a folder emits. One that is put together, like "Runs"+outcome, is given by its
// beginning, with a *.
func emitted(t *testing.T, folders ...string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) < 2 {
					return true
				}
				if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Count" && f.Sel.Name != "Took" {
					return true
				}
				ending, arg := "", call.Args[0]
				if sum, ok := arg.(*ast.BinaryExpr); ok {
					ending, arg = "*", sum.X
				}
				if text, ok := arg.(*ast.BasicLit); ok && text.Kind == token.STRING {
					if name, err := strconv.Unquote(text.Value); err == nil {
						names[name+ending] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// R28: what the dashboard shows is what the functions emit: a graph of a metric that nobody writes would be calm for ever.
func TestR28_TheDashboardShowsWhatIsEmitted(t *testing.T) {
	by := map[string]map[string]bool{
		"interruption": emitted(t, "shared/work/interruption", "shared/handler"),
		"notify":       emitted(t, "shared/work/notify", "shared/handler"),
	}
	for function, names := range by {
		if len(names) < 5 {
			t.Fatalf("%s emits only %v", function, names)
		}
	}
	shown := map[string]bool{}
	for _, w := range dashboard(t) {
		if w.X+w.Width > 24 || w.Width < 1 || w.Height < 1 {
			t.Errorf("%s is at %d, %d wide", w.Properties.Title, w.X, w.Width)
		}
		for _, m := range w.Properties.Metrics {
			name := m[1].(string)
			shown[name] = true
			if m[0] != "ekspedite" {
				continue
			}
			function := m[3].(string)
			found := by[function][name]
			for known := range by[function] {
				beginning, open := strings.CutSuffix(known, "*")
				found = found || open && strings.HasPrefix(name, beginning)
			}
			if !found || m[2] != "function" {
				t.Errorf("%s: the %s function emits no %s", w.Properties.Title, function, name)
			}
		}
	}
	// The other way round: rule R28 names what somebody has to be able to see.
	for _, name := range []string{"EventAgeAtCordon", "DrainDuration", "DeadlineMargin", "PodsEvicted", "PodsForced", "EventsIgnored",
		"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NotificationsSent", "NotificationsRefused"} {
		if !shown[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
