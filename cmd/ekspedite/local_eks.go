package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// tell sends what the embedded cloud is to do and says what it was.
func tell(cmd *cobra.Command, method, path string, body map[string]any, done string, args ...any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := admin(cmd.Context(), io.Discard, method, path, text); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), done+"\n", args...)
	return nil
}

func localEKS() *cobra.Command {
	c := &cobra.Command{Use: "eks", Short: "Have the embedded EKS fail, patch and object in the ways that AWS documents"}
	c.AddCommand(localFail(), localMend(), localPatch(), localInsight(), localSwitch(), localLifecycle(), localRelease(), localAuthority())
	failures := localGet("eks/failures", "Print the failures that are in force")
	failures.Use = "failures"
	c.AddCommand(failures)
	return c
}

// subject is the flags that name what a command is about.
type subject struct{ region, cluster, group, addon string }

func (s *subject) add(c *cobra.Command) {
	c.Flags().StringVar(&s.region, "region", "", "the cluster's Region; the home Region when empty")
	c.Flags().StringVar(&s.cluster, "cluster", "", "the cluster's name")
	c.Flags().StringVar(&s.group, "node-group", "", "a node group of the cluster")
	c.Flags().StringVar(&s.addon, "addon", "", "an add-on of the cluster")
}

func (s *subject) addCluster(c *cobra.Command) {
	c.Flags().StringVar(&s.region, "region", "", "the cluster's Region; the home Region when empty")
	c.Flags().StringVar(&s.cluster, "cluster", "", "the cluster's name")
	_ = c.MarkFlagRequired("cluster")
}

func (s *subject) body() map[string]any {
	return map[string]any{"region": s.region, "cluster": s.cluster, "nodegroup": s.group, "addon": s.addon}
}

func (s *subject) String() string {
	switch {
	case s.group != "":
		return "node group " + s.group + " of " + s.cluster
	case s.addon != "":
		return "add-on " + s.addon + " of " + s.cluster
	}
	return cmp.Or(s.cluster, "all clusters")
}

func localFail() *cobra.Command {
	var on subject
	var how string
	var times int
	c := &cobra.Command{
		Use:   "fail --cluster X [--node-group Y | --addon Z] --how NodeCreationFailure",
		Short: "Let the next updates fail",
		Long: `Lets updates of a control plane, a node group or an add-on fail. How is an error code of EKS's updates: PodEvictionFailure and
NodeCreationFailure (node groups), ConfigurationConflict (add-ons), InsufficientFreeAddresses, Unknown and others; or, of a
control plane, RollbackRefused or AutoModeBlocked. It lasts for --times updates, or until "local eks mend".`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if times < 0 {
				return usageError{fmt.Errorf("--times %d: 1 or more, or 0 for all until mended", times)}
			}
			body := on.body()
			body["how"], body["times"] = how, times
			return tell(cmd, http.MethodPost, "/eks/fail", body, "%s: %s", &on, how)
		},
	}
	on.add(c)
	c.Flags().StringVar(&how, "how", "", "error code, or RollbackRefused or AutoModeBlocked")
	c.Flags().IntVar(&times, "times", 1, "how many updates fail; 0 is all until mended")
	_ = c.MarkFlagRequired("cluster")
	_ = c.MarkFlagRequired("how")
	return c
}

func localMend() *cobra.Command {
	var on subject
	c := &cobra.Command{
		Use: "mend [--cluster X] [--node-group Y | --addon Z]", Short: "Take failures away", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/eks/mend", on.body(), "%s: mended", &on)
		},
	}
	on.add(c)
	return c
}

func localPatch() *cobra.Command {
	var on subject
	c := &cobra.Command{
		Use: "patch --cluster X", Short: "Let AWS roll a new platform version out now, of its own accord", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/eks/patch", map[string]any{"region": on.region, "cluster": on.cluster}, "%s: AWS patches the platform", &on)
		},
	}
	on.addCluster(c)
	return c
}

func localAuthority() *cobra.Command {
	var on subject
	var at string
	c := &cobra.Command{
		Use: "expire-authority --cluster X --at 2027-06-01", Short: "Let the certificate authority that signs end at a date, so that it is to be renewed", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			end, err := time.Parse(time.DateOnly, at)
			if err != nil {
				return usageError{fmt.Errorf("--at %q: a date such as 2027-06-01", at)}
			}
			body := map[string]any{"region": on.region, "cluster": on.cluster, "expires": end}
			return tell(cmd, http.MethodPost, "/eks/authority", body, "%s: its certificate authority ends on %s", &on, at)
		},
	}
	on.addCluster(c)
	c.Flags().StringVar(&at, "at", "", "the date; EKS appends a successor two years before it, and activates that half a year before")
	_ = c.MarkFlagRequired("at")
	return c
}

func localInsight() *cobra.Command {
	var on subject
	var name, category, version, status, reason, api, removed, agent string
	var resources []string
	var age time.Duration
	var count int
	var drop bool
	c := &cobra.Command{
		Use:   "insight --cluster X {--name N --status ERROR [--version 1.36] | --deprecated /apis/G/V/R --removed 1.37 | --drop}",
		Short: "Plant a cluster insight, or calls of a deprecated API; or take what was planted away",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := map[string]any{"region": on.region, "cluster": on.cluster}
			switch {
			case drop:
				return tell(cmd, http.MethodDelete, "/eks/insights", body, "%s: what was planted is gone", &on)
			case api != "":
				parts := strings.Split(strings.Trim(api, "/"), "/")
				if len(parts) != 4 || parts[0] != "apis" || removed == "" {
					return usageError{fmt.Errorf("--deprecated is /apis/GROUP/VERSION/RESOURCE and needs --removed, the minor without it")}
				}
				body["group"], body["version"], body["resource"], body["removed"] = parts[1], parts[2], parts[3], removed
				body["userAgent"], body["count"], body["lastRequest"] = agent, count, time.Now().Add(-age)
				return tell(cmd, http.MethodPost, "/eks/deprecated", body, "%s: %s was called by %s", &on, api, agent)
			case name == "" || status == "":
				return usageError{fmt.Errorf("say --name and --status, or --deprecated, or --drop")}
			}
			body["name"], body["category"], body["kubernetesVersion"], body["status"], body["reason"], body["resources"] = name, category, version, status, reason, resources
			return tell(cmd, http.MethodPost, "/eks/insight", body, "%s: %s is %s", &on, name, status)
		},
	}
	on.addCluster(c)
	c.Flags().StringVar(&name, "name", "", "the insight's name")
	c.Flags().StringVar(&category, "category", "UPGRADE_READINESS", "UPGRADE_READINESS, MISCONFIGURATION or ROLLBACK_READINESS")
	c.Flags().StringVar(&version, "version", "", "the Kubernetes minor that it is about")
	c.Flags().StringVar(&status, "status", "", "PASSING, WARNING, ERROR or UNKNOWN")
	c.Flags().StringVar(&reason, "reason", "planted", "why")
	c.Flags().StringSliceVar(&resources, "resource", nil, "path of a Kubernetes object that it is about")
	c.Flags().StringVar(&api, "deprecated", "", "path of a deprecated API that somebody calls")
	c.Flags().StringVar(&removed, "removed", "", "the minor that does not serve it any more")
	c.Flags().StringVar(&agent, "user-agent", "kubectl/v1.30.0", "who calls it")
	c.Flags().IntVar(&count, "count", 1, "how often")
	c.Flags().DurationVar(&age, "age", 0, "how long ago the last call was: 48h")
	c.Flags().BoolVar(&drop, "drop", false, "take what was planted away")
	return c
}

func localSwitch() *cobra.Command {
	var skew, gate string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "switch [--skew n3|strict] [--insight-gate on|off] [--eviction-patience 2m]",
		Short: "Choose between behaviours of EKS that its documents contradict each other about",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := map[string]any{}
			for _, f := range []struct{ flag, value, off, on, key string }{{"skew", skew, "n3", "strict", "strictSkew"}, {"insight-gate", gate, "off", "on", "insightGate"}} {
				switch f.value {
				case "":
				case f.off, f.on:
					body[f.key] = f.value == f.on
				default:
					return usageError{fmt.Errorf("--%s is %s or %s, not %q", f.flag, f.off, f.on, f.value)}
				}
			}
			if cmd.Flags().Changed("eviction-patience") {
				body["evictionPatience"] = patience.String()
			}
			if len(body) == 0 {
				return usageError{fmt.Errorf("say what to switch: --skew, --insight-gate or --eviction-patience")}
			}
			return tell(cmd, http.MethodPut, "/eks/switches", body, "switched")
		},
	}
	c.Flags().StringVar(&skew, "skew", "", "n3: kubelets may be three minors older; strict: node groups follow minor by minor")
	c.Flags().StringVar(&gate, "insight-gate", "", "on: insights of status ERROR refuse an upgrade that is not forced")
	c.Flags().DurationVar(&patience, "eviction-patience", 0, "how long a PodDisruptionBudget may block the drain of a node; 0 is EKS's 15m")
	return c
}

// localLifecycle sends AWS Health's notice.
func localLifecycle() *cobra.Command {
	var on subject
	var start, status string
	c := &cobra.Command{
		Use: "planned-lifecycle --cluster X [--start 2026-12-02]", Short: "Send AWS Health's notice that standard support of a cluster's version ends", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := map[string]any{"region": on.region, "cluster": on.cluster, "start": start, "status": status}
			return tell(cmd, http.MethodPost, "/health/planned-lifecycle", body, "%s: AWS_EKS_PLANNED_LIFECYCLE_EVENT sent", &on)
		},
	}
	on.addCluster(c)
	c.Flags().StringVar(&start, "start", "", "when it ends: a date or RFC 3339; what EKS's calendar says when empty")
	c.Flags().StringVar(&status, "status", "PENDING", "of the cluster: PENDING or RESOLVED")
	return c
}

// localRelease brings new AMIs.
func localRelease() *cobra.Command {
	var region string
	c := &cobra.Command{
		Use: "release-images", Short: "Let AWS publish the next release of the images of all Kubernetes minors now", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/images/publish", map[string]any{"region": region}, "a new AMI release is out")
		},
	}
	c.Flags().StringVar(&region, "region", "", "the Region; the home Region when empty")
	return c
}

func localAlarm() *cobra.Command {
	var name, state, reason string
	c := &cobra.Command{
		Use: "alarm --name X --state ALARM", Short: "Set the state of a CloudWatch alarm", Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tell(cmd, http.MethodPost, "/alarms", map[string]any{"name": name, "state": state, "reason": reason}, "%s is %s", name, state)
		},
	}
	c.Flags().StringVar(&name, "name", "", "the alarm's name")
	c.Flags().StringVar(&state, "state", "", "OK, ALARM or INSUFFICIENT_DATA")
	c.Flags().StringVar(&reason, "reason", "ekspedite local alarm", "what DescribeAlarms shows as the reason")
	_ = c.MarkFlagRequired("name")
	_ = c.MarkFlagRequired("state")
	return c
}
