package notify_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var update = flag.Bool("update", false, "write the golden files")

var links = notify.Links{Region: "us-east-1", Dashboard: "ekspedite", LogGroups: map[string]string{"interruption": "ekspedite-automation-InterruptionLogGroup-1A2B"}}

// TestGolden shows each sample in each form. What a message looks like is decided by reading these files.
func TestGolden(t *testing.T) {
	all := notify.Samples()
	for _, kind := range []fleet.NotificationType{fleet.NotifySNS, fleet.NotifySlack, fleet.NotifyTeams, fleet.NotifyWebhook} {
		var got strings.Builder
		for _, name := range slices.Sorted(maps.Keys(all)) {
			b, err := notify.Compose(fleet.NotificationTarget{Type: kind}, all[name], links)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString("== " + name + "\n")
			if kind == fleet.NotifySNS {
				got.WriteString("Subject: " + b.Subject + "\n" + string(b.Data))
				continue
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, b.Data, "", " "); err != nil {
				t.Fatalf("%s %s: %v\n%s", kind, name, err, b.Data)
			}
			got.WriteString(pretty.String() + "\n")
		}
		file := filepath.Join("testdata", strings.ToLower(string(kind))+".txt")
		want, err := os.ReadFile(file)
		if err == nil && string(want) == got.String() {
			continue
		}
		if !*update {
			t.Errorf("%s differs (run with -update to accept): %v", file, err)
			continue
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
