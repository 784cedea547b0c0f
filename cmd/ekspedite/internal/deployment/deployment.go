// Package deployment finds ekspedite in an account: its ledger, its bus and its functions' roles. On AWS, CloudFormation
// knows them; the embedded cloud tells them itself.
package deployment

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// The stacks of infra/stacks, and what they call what a user has to know.
const (
	dataStack       = "ekspedite-data"
	automationStack = "ekspedite-automation"

	tableID            = "Table"
	busID              = "Bus"
	clusterRoleID      = "ClusterFunctionRole"
	interruptionRoleID = "InterruptionFunctionRole"
	scalingRoleID      = "ScalingFunctionRole"
	upgradeRoleID      = "UpgradeFunctionRole"
)

// Options say where to look. Empty ones are taken from the environment, as the AWS CLI does.
type Options struct {
	Endpoint string // of all services, the embedded cloud's; AWS_ENDPOINT_URL
	Region   string // in which ekspedite is deployed; AWS_REGION, or the profile's
	Table    string // the ledger's; EKSPEDITE_TABLE
	Bus      string // ekspedite's; EKSPEDITE_BUS
}

// Deployment is an account with ekspedite in it.
type Deployment struct {
	Config    awscloud.Config
	Endpoint  string // "" is AWS itself
	Region    string
	table     string
	bus       string
	resources map[string]string // physical by logical id; nil until they are asked for
}

// Open reads the configuration. It makes no call.
func Open(ctx context.Context, o Options) (*Deployment, error) {
	cfg, err := awscloud.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("the AWS configuration cannot be read: %w", err)
	}
	cfg = awscloud.Quiet(cfg)
	d := &Deployment{Endpoint: strings.TrimSuffix(cmp.Or(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL")), "/")}
	if d.Endpoint != "" {
		cfg = awscloud.At(cfg, d.Endpoint)
	}
	if region := cmp.Or(o.Region, cfg.Region); region != cfg.Region {
		cfg = awscloud.InRegion(cfg, region)
	}
	d.Config, d.Region = cfg, cfg.Region
	d.table, d.bus = cmp.Or(o.Table, os.Getenv("EKSPEDITE_TABLE")), cmp.Or(o.Bus, os.Getenv("EKSPEDITE_BUS"))
	return d, nil
}

// In is the configuration for another Region.
func (d *Deployment) In(region string) awscloud.Config { return awscloud.InRegion(d.Config, region) }

// Ledger opens the deployment's ledger.
func (d *Deployment) Ledger(ctx context.Context) (*ledger.Ledger, error) {
	if d.table == "" {
		table, err := d.resource(ctx, tableID)
		if err != nil {
			return nil, fmt.Errorf("ekspedite's ledger is not found: %w\nname its table by --table or EKSPEDITE_TABLE, and the Region where ekspedite is deployed by --home", err)
		}
		d.table = table
	}
	return &ledger.Ledger{Store: awscloud.NewStore(d.Config, d.table), Now: time.Now}, nil
}

// Bus opens the deployment's bus.
func (d *Deployment) Bus() *awscloud.Bus {
	return awscloud.NewBus(d.Config, cmp.Or(d.bus, string(events.BusEkspedite)))
}

// Roles are the ARNs of the functions' roles, which plans name.
type Roles struct{ Cluster, Interruption, Scaling, Upgrade string }

// Roles asks for the functions' roles.
func (d *Deployment) Roles(ctx context.Context) (r Roles, err error) {
	for id, to := range map[string]*string{clusterRoleID: &r.Cluster, interruptionRoleID: &r.Interruption, scalingRoleID: &r.Scaling, upgradeRoleID: &r.Upgrade} {
		name, err := d.resource(ctx, id)
		if err != nil {
			return r, err
		}
		if *to, err = awscloud.RoleARN(ctx, d.Config, name); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Account asks for the account's number.
func (d *Deployment) Account(ctx context.Context) (string, error) {
	return awscloud.Account(ctx, d.Config)
}

func (d *Deployment) resource(ctx context.Context, id string) (string, error) {
	if d.resources == nil {
		if err := d.find(ctx); err != nil {
			return "", err
		}
	}
	physical, ok := d.resources[id]
	if !ok {
		return "", fault.New(fault.NotFound, "the deployment in %s has no %s: is it of another version?", d.Region, id)
	}
	return physical, nil
}

func (d *Deployment) find(ctx context.Context) error {
	if d.Endpoint != "" {
		found, ok, err := embedded(ctx, d.Endpoint)
		if err != nil {
			return err
		}
		if ok {
			d.resources = found
			return nil
		}
	}
	all := map[string]string{}
	for _, stack := range []string{dataStack, automationStack} {
		found, err := awscloud.StackResources(ctx, d.Config, stack)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "ekspedite is not deployed in %s of this account (no stack %s): run make deploy, or choose another Region or profile", d.Region, stack)
		}
		if err != nil {
			return err
		}
		for id, physical := range found {
			all[id] = physical
		}
	}
	d.resources = all
	return nil
}

// embedded asks the embedded cloud. It is false if something else answers there.
func embedded(ctx context.Context, endpoint string) (map[string]string, bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/_ekspedite/stack", nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("nothing answers at %s: is `ekspedite local up` still running? %w", endpoint, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	var answer struct {
		Resources []struct{ LogicalID, Ref string }
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&answer) != nil {
		return nil, false, nil
	}
	found := map[string]string{}
	for _, r := range answer.Resources {
		found[r.LogicalID] = r.Ref
	}
	return found, true, nil
}
