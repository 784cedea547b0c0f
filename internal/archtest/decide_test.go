package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// impure is what a decision must not call of the packages that it may import.
var impure = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Local", "LoadLocation"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln", "Fprint", "Fprintf", "Fprintln"},
	"net":  nil, // no network; net/netip is arithmetic
}

// TestDecisionsArePure looks into the code for what imports do not show: the clock, and state between two decisions.
func TestDecisionsArePure(t *testing.T) {
	files := 0
	err := filepath.WalkDir(filepath.Join("..", "..", "shared", "decide"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		return checkFile(t, path)
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

func checkFile(t *testing.T, path string) error {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	names := map[string]string{} // by the name in this file: the package
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := p[strings.LastIndex(p, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure[names[x.Name]], n.Sel.Name) {
				t.Errorf("%s: %s.%s: a decision is given the time, and says what it has to say in its plan", set.Position(n.Pos()), x.Name, n.Sel.Name)
			}
		case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			t.Errorf("%s: a decision is not concurrent", set.Position(n.Pos()))
		}
		return true
	})
	return nil
}
