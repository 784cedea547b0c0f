package cluster

import (
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestUserData: what machines of each family start with is in testdata/userdata.
func TestUserData(t *testing.T) {
	kubelet := fleet.Props{"featureGates": fleet.Props{"A": true}, "evictionHard": fleet.Props{"memory.available": "5%"}}
	own := func(family, kind string) func(*fleet.NodeGroupSpec) {
		return func(g *fleet.NodeGroupSpec) {
			g.SelfManaged, g.Group, g.AMIFamily, g.AMIType, g.AMI = true, &fleet.GroupSpec{}, family, kind, "ami-1"
			g.Taints = []fleet.Taint{{Key: "only", Value: "web", Effect: "NoSchedule"}}
			g.Labels = map[string]string{"team": "web", "tier": "1"}
			g.Machine.MaxPods, g.Machine.PreBootstrapCommands = 58, []string{"echo 'hello'"}
			if strings.HasPrefix(family, "Bottlerocket") {
				g.Machine.PreBootstrapCommands = nil
			} else {
				g.Machine.Kubelet = kubelet
			}
		}
	}
	for name, change := range map[string]func(*fleet.NodeGroupSpec){
		"managed-al2023": func(g *fleet.NodeGroupSpec) {
			g.Machine.MaxPods, g.Machine.PreBootstrapCommands = 58, []string{"echo one", "echo two"}
			g.Machine.OverrideBootstrap = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n      shutdownGracePeriod: 30s\n"
		},
		"managed-al2023-image": func(g *fleet.NodeGroupSpec) { g.AMI, g.AMIType = "ami-1", "CUSTOM" },
		"managed-al2": func(g *fleet.NodeGroupSpec) {
			g.AMIFamily, g.AMIType, g.Machine.MaxPods = "AmazonLinux2", "AL2_x86_64", 20
		},
		"managed-bottlerocket": func(g *fleet.NodeGroupSpec) {
			g.AMIFamily, g.AMIType, g.Machine.AdminContainer = "Bottlerocket", "BOTTLEROCKET_x86_64", switchedOn()
			g.Machine.Bottlerocket = fleet.Props{"motd": "hello \"you\"", "kubernetes": fleet.Props{"allowed-unsafe-sysctls": []any{"net.core.somaxconn"}}}
		},
		"managed-windows": func(g *fleet.NodeGroupSpec) {
			g.AMIFamily, g.AMIType, g.Machine.PreBootstrapCommands = "WindowsServer2022CoreContainer", "WINDOWS_CORE_2022_x86_64", []string{"Write-Host hello"}
		},
		"own-al2023":       own("AmazonLinux2023", "CUSTOM"),
		"own-bottlerocket": own("Bottlerocket", "CUSTOM"),
		"own-ubuntu":       own("Ubuntu2404", "CUSTOM"),
		"own-windows":      own("WindowsServer2022CoreContainer", "CUSTOM"),
		"own-al2-command": func(g *fleet.NodeGroupSpec) {
			own("AmazonLinux2", "CUSTOM")(g)
			g.Machine.OverrideBootstrap = "source " + helper + "\n/etc/eks/bootstrap.sh ${CLUSTER_NAME} --kubelet-extra-args \"--node-labels=${NODE_LABELS}\"\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := empty()
			golden(t, "userdata/"+name+".txt", startOf(t, simulate(t, grouped(change), &o)))
		})
	}
}

func TestNoUserDataWithoutNeed(t *testing.T) {
	o := empty()
	if text := startOf(t, simulate(t, grouped(func(*fleet.NodeGroupSpec) {}), &o)); text != "" {
		t.Errorf("%s", text)
	}
}

func TestDNSAddress(t *testing.T) {
	for cidr, want := range map[string]string{"10.100.0.0/16": "10.100.0.10", "172.20.0.0/16": "172.20.0.10", "fd12:3456::/108": "fd12:3456::a", "": "${cluster.dns}"} {
		if got := dnsAddress(cidr); got != want {
			t.Errorf("%s: %s, want %s", cidr, got, want)
		}
	}
}

func TestTOML(t *testing.T) {
	got := tomlText(fleet.Props{"a": 1, "bb": fleet.Props{"c d": []any{"x", true, fleet.Props{"y": 1.5}}, "yes": fleet.Props{"ff": "g\n"}}}, "settings")
	want := "[settings]\n\"a\" = 1\n[settings.bb]\n\"c d\" = [\"x\", true, { \"y\" = 1.5 }]\n[settings.bb.\"yes\"]\nff = \"g\\n\"\n"
	if got != want {
		t.Errorf("%s", got)
	}
}
