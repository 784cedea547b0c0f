package workload

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const rest = `"nodePools":[{"name":"default"}],"instanceTypes":[{"name":"a","arch":"amd64","cpuMilli":2000,"memMiB":4096,"pods":29,"offerings":[{"zone":"z","capacityType":"spot","price":0.1}]}]`

func withPod(pod string) string { return `{"pods":[{"name":"first"},` + pod + `],` + rest + `}` }

// Whoever wrote a file has to find the place.
func TestWrongFilesNameThePlace(t *testing.T) {
	deep := strings.Repeat(`[`, 20_000)
	for name, tc := range map[string]struct{ file, says string }{
		"nothing":                {"", "ends at byte 0"},
		"a list":                 {`[]`, "shall be an object"},
		"half a file":            {`{"pods":[{"name":"a"`, "in the middle"},
		"not JSON":               {`{"pods":[{name:1}]}`, "not JSON after byte"},
		"more behind":            {`{"pods":[],` + rest + `} {}`, "something follows"},
		"nothing to place":       {`{` + rest + `}`, "pods: is missing"},
		"an unknown part":        {`{"pods":[],"tea":1,` + rest + `}`, "tea: unknown field"},
		"a part twice":           {`{"pods":[],"pods":[],` + rest + `}`, "pods: is there twice"},
		"pods that are no list":  {`{"pods":"many",` + rest + `}`, "pods: is many, and shall be a list"},
		"a pod that is no pod":   {withPod(`7`), "pods[1]: is not an object"},
		"an unknown field":       {withPod(`{"name":"b","cpuMili":5}`), `pods[1] ("b").cpuMili: unknown field`},
		"deep in a pod":          {withPod(`{"name":"b","topologySpread":[{"maxSkew":1,"topologyKey":"z"},{"maxSkew":1,"topologyKey":"z","min":1}]}`), `pods[1] ("b").topologySpread[1].min: unknown field`},
		"deep in a type":         {strings.Replace(`{"pods":[],`+rest+`}`, `"zone"`, `"Zones"`, 1), `instanceTypes[0].offerings[0].Zones: unknown field`},
		"a text for a number":    {withPod(`{"name":"b","cpuMilli":"5"}`), `pods[1] ("b").cpuMilli: is string, and shall be a whole number`},
		"a fraction":             {withPod(`{"name":"b","memMiB":0.5}`), `.memMiB: is number 0.5`},
		"a number for a name":    {withPod(`{"name":7}`), `pods[1].name: is number`},
		"no name":                {withPod(`{"cpuMilli":7}`), "pods[1].name: is missing"},
		"a name twice":           {withPod(`{"name":"first"}`), `pods[1].name: "first" is there twice`},
		"two names":              {withPod(`{"name":"b","name":"c"}`), `pods[1] ("b").name: is there twice`},
		"an escape in a name":    {withPod(`{"name":"b\u001b[2J"}`), "control characters"},
		"a long name":            {withPod(`{"name":"` + strings.Repeat("n", 600) + `"}`), "600 characters"},
		"less than nothing":      {withPod(`{"name":"b","cpuMilli":-1}`), `.cpuMilli: is negative or too great`},
		"more than there is":     {withPod(`{"name":"b","memMiB":9223372036854775807}`), `.memMiB: is negative or too great`},
		"more than a number has": {withPod(`{"name":"b","memMiB":92233720368547758070}`), `.memMiB: is number`},
		"no skew":                {withPod(`{"name":"b","topologySpread":[{"topologyKey":"z"}]}`), `.topologySpread[0].maxSkew: is 0`},
		"a strange wish":         {withPod(`{"name":"b","topologySpread":[{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"Perhaps"}]}`), `"Perhaps" is neither`},
		"an operator":            {withPod(`{"name":"b","nodeAffinity":[{"matchExpressions":[{"key":"k","operator":"Like","values":["v"]}]}]}`), `nodeAffinity[0].matchExpressions[0].operator: "Like"`},
		"Gt of pods":             {withPod(`{"name":"b","podAffinity":[{"topologyKey":"z","matchExpressions":[{"key":"k","operator":"Gt","values":["1"]}]}]}`), "Gt is for nodes only"},
		"a heavy wish":           {withPod(`{"name":"b","preferredPodAffinity":[{"topologyKey":"z","weight":101}]}`), "weight: is 101"},
		"a port":                 {withPod(`{"name":"b","hostPorts":[{"port":70000}]}`), "hostPorts[0]"},
		"a node that is not":     {withPod(`{"name":"b","node":"n"}`), `there is no node "n"`},
		"a type that is not":     {`{"pods":[],"nodes":[{"name":"n","instanceType":"b","zone":"z","capacityType":"spot"}],` + rest + `}`, `nodes[0].instanceType: there is no instance type "b"`},
		"a capacity type":        {strings.Replace(`{"pods":[],`+rest+`}`, `"spot"`, `"cheap"`, 1), `instanceTypes[0] ("a").offerings[0].capacityType: is "cheap"`},
		"a price":                {strings.Replace(`{"pods":[],`+rest+`}`, `0.1`, `-0.1`, 1), `offerings[0].price: -0.1`},
		"nesting":                {`{"pods":` + deep, "depth"},
		"a pool's requirement":   {strings.Replace(`{"pods":[],`+rest+`}`, `{"name":"default"}`, `{"name":"default","requirements":[{"key":"k","operator":"In"}]}`, 1), "nodePools[0].requirements[0].values: In needs some"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(strings.NewReader(tc.file))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("it says %v, want %q", err, tc.says)
			}
		})
	}
}

func TestUnknownRequirementIsRefused(t *testing.T) {
	f := load(t, strings.Replace(`{"pods":[],`+rest+`}`, `{"name":"default"}`, `{"name":"default","requirements":[{"key":"colour","operator":"In","values":["red"]}]}`, 1))
	if _, err := f.Problem(); err == nil || !strings.Contains(err.Error(), `nodePools[0] ("default"): requirement on "colour"`) {
		t.Errorf("it says %v", err)
	}
}

func load(t *testing.T, text string) *File {
	t.Helper()
	f, err := Load(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// 100,000 pods of 20 owners are 20 specs, whatever the order of their fields' white space and their names.
func TestPodsShareWhatTheyHaveInCommon(t *testing.T) {
	f := load(t, withPod(`{"name":"b","owner":"x","cpuMilli":1},{"owner":"x", "name":"c","cpuMilli":1},{"owner":"x","cpuMilli":1,"name":"\u0064"}`))
	if f.Pods[1].PodSpec != f.Pods[2].PodSpec || f.Pods[2].PodSpec != f.Pods[3].PodSpec || f.Pods[3].Name != "d" {
		t.Errorf("specs of %+v are not shared", f.Pods)
	}
	if f.Pods[0].PodSpec == f.Pods[1].PodSpec {
		t.Error("two different pods share a spec")
	}
	p, err := f.Problem()
	if err != nil {
		t.Fatal(err)
	}
	if p.Pods[1].Demand != p.Pods[2].Demand || p.Pods[1].Demand.Requests.CPU != 1 || p.Pods[1].Owner.Name != "x" {
		t.Errorf("demands are not shared: %+v, %+v", p.Pods[1], p.Pods[2])
	}
}

func TestNullIsAnEmptyList(t *testing.T) {
	f := load(t, `{"pods":null,"daemonPods":null,"nodes":null,`+rest+`}`)
	if len(f.Pods)+len(f.DaemonPods)+len(f.Nodes) != 0 {
		t.Errorf("it has %+v", f)
	}
}

// What is generated is read again as it was.
func TestGeneratedFilesRoundTrip(t *testing.T) {
	for _, kind := range Kinds() {
		f, err := Generate(Shape{Kind: kind, Pods: 300, Types: 60, Nodes: 10, Seed: 3})
		if err != nil {
			t.Fatal(kind, err)
		}
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Problem()
		if err != nil {
			t.Fatal(kind, err)
		}
		want, err := load(t, string(text)).Problem()
		if err != nil {
			t.Fatal(kind, err)
		}
		if !sameJSON(t, got, want) {
			t.Errorf("%s is not what was written", kind)
		}
		again, _ := Generate(Shape{Kind: kind, Pods: 300, Types: 60, Nodes: 10, Seed: 3})
		if !reflect.DeepEqual(f, again) {
			t.Errorf("%s is not always the same", kind)
		}
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func seeds(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "examples", "workloads", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	out := [][]byte{[]byte(withPod(everything))}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

// try loads a text; whatever it is, nothing panics, and what is accepted has believable amounts.
func try(t *testing.T, text []byte) {
	f, err := Load(bytes.NewReader(text))
	if err != nil {
		return
	}
	p, err := f.Problem()
	if err != nil {
		return
	}
	for _, pod := range p.Pods {
		if r := pod.Demand.Requests; r.CPU < 0 || r.Memory < 0 || r.Storage < 0 || pod.Name == "" {
			t.Errorf("pod %+v was accepted", pod)
		}
	}
	for _, typ := range p.Types {
		if r := typ.Allocatable; r.CPU < 0 || r.Memory < 0 {
			t.Errorf("type %+v was accepted", typ)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(try)
}

// The same with a fixed budget, in every run of the tests.
func TestDamagedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"{", "}", "[", "]", ",", ":", `"`, "-", "0", "1e400", "null", "true", `\u0000`, "\xff", `"name":"x",`, `"pods":[`, "99999999999999999999"}
	all := seeds(t)
	for range 3000 {
		text := bytes.Clone(all[r.IntN(len(all))])
		for range 1 + r.IntN(4) {
			at := r.IntN(len(text))
			switch r.IntN(4) {
			case 0:
				text[at] = byte(r.IntN(256))
			case 1:
				text = append(text[:at], text[min(len(text), at+1+r.IntN(20)):]...)
			case 2:
				word := words[r.IntN(len(words))]
				text = append(text[:at:at], append([]byte(word), text[at:]...)...)
			default:
				text = text[:max(1, at)]
			}
			if len(text) == 0 {
				break
			}
		}
		try(t, text)
	}
}

// everything is a pod with every field.
const everything = `{"name":"all","namespace":"shop","owner":"all","labels":{"app":"all"},"cpuMilli":250,"memMiB":512,"storageMiB":1024,"gpus":1,
"resources":{"example.com/disk":2},"priority":7,"tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":60}],
"nodeSelector":{"a":"b"},"nodeAffinity":[{"matchExpressions":[{"key":"c","operator":"Gt","values":["3"]}]}],
"preferredNodeAffinity":[{"weight":5,"matchExpressions":[{"key":"d","operator":"Exists"}]}],
"topologySpread":[{"maxSkew":2,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","minDomains":3,"nodeAffinityPolicy":"Ignore","nodeTaintsPolicy":"Honor","matchLabels":{"app":"all"},"matchExpressions":[{"key":"e","operator":"DoesNotExist"}]}],
"podAffinity":[{"topologyKey":"z","namespaces":["other"],"matchLabels":{"app":"f"}}],"podAntiAffinity":[{"topologyKey":"h","allNamespaces":true}],
"preferredPodAffinity":[{"weight":1,"topologyKey":"z"}],"preferredPodAntiAffinity":[{"weight":2,"topologyKey":"z"}],
"hostPorts":[{"port":80,"protocol":"UDP","ip":"10.0.0.1"}],"volumes":[{"name":"data","driver":"ebs.csi.aws.com","zones":["z"],"readWriteOncePod":true}]}`

func TestEveryFieldArrives(t *testing.T) {
	p, err := load(t, withPod(everything)).Problem()
	if err != nil {
		t.Fatal(err)
	}
	got := p.Pods[1]
	app := map[string]string{"app": "all"}
	want := fleet.Pod{
		Namespace: "shop", Name: "all", UID: "shop/all", Labels: app, Owner: fleet.Owner{Kind: "ReplicaSet", Name: "all"}, Phase: "Pending", Priority: 7,
		Tolerations: []fleet.Toleration{{Key: "k", Operator: "Exists", Effect: "NoExecute"}},
		Demand: &fleet.Demand{
			Requests:       fleet.Resources{CPU: 250, Memory: 512 << 20, Storage: 1 << 30, Other: map[string]int64{"nvidia.com/gpu": 1, "example.com/disk": 2}},
			NodeSelector:   map[string]string{"a": "b"},
			NodeTerms:      []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: "c", Operator: "Gt", Values: []string{"3"}}}}},
			PreferredNodes: []fleet.PreferredNode{{Weight: 5, Term: fleet.NodeTerm{Labels: []fleet.Requirement{{Key: "d", Operator: "Exists"}}}}},
			Spread: []fleet.Spread{{MaxSkew: 2, TopologyKey: "z", Soft: true, MinDomains: 3, IgnoreAffinity: true, HonorTaints: true,
				Selector: &fleet.Selector{Labels: app, Requirements: []fleet.Requirement{{Key: "e", Operator: "DoesNotExist"}}}}},
			Affinity:              []fleet.PodTerm{{TopologyKey: "z", Namespaces: []string{"other"}, Selector: &fleet.Selector{Labels: map[string]string{"app": "f"}}}},
			AntiAffinity:          []fleet.PodTerm{{TopologyKey: "h", AllNamespaces: true, Selector: &fleet.Selector{}}},
			PreferredAffinity:     []fleet.PreferredPod{{Weight: 1, Term: fleet.PodTerm{TopologyKey: "z", Selector: &fleet.Selector{}}}},
			PreferredAntiAffinity: []fleet.PreferredPod{{Weight: 2, Term: fleet.PodTerm{TopologyKey: "z", Selector: &fleet.Selector{}}}},
			HostPorts:             []fleet.HostPort{{Port: 80, Protocol: "UDP", IP: "10.0.0.1"}},
			Volumes: []fleet.Volume{{ID: "shop/data", Driver: "ebs.csi.aws.com", Alone: true,
				Where: []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{"z"}}}}}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it is\n%+v %+v\nwant\n%+v %+v", got, *got.Demand, want, *want.Demand)
	}
}
