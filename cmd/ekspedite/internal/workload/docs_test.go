package workload

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Whoever writes a workload file reads docs/workloads.md: it names every field.
func TestDocsNameEveryField(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "workloads.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var visit func(of reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(of.Elem())
		case reflect.Struct:
			if seen[of] {
				return
			}
			seen[of] = true
			for f := range of.Fields() {
				if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !strings.Contains(string(text), "`"+name+"`") {
					t.Errorf("%s of %s is not there", name, of.Name())
				}
				visit(f.Type)
			}
		default:
		}
	}
	visit(reflect.TypeFor[File]())
	if len(seen) < 15 {
		t.Errorf("only %d types were visited", len(seen))
	}
}
