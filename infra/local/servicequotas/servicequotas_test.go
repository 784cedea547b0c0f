package servicequotas

import (
	"log/slog"
	"maps"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// compute is EC2 with one quota of VPC's.
type compute map[string]int

func (c compute) Quotas() map[string]int { return maps.Clone(c) }

func (c compute) SetQuota(code string, limit int) bool {
	_, ok := c[code]
	if ok {
		c[code] = limit
	}
	return ok
}

func newService(region string) *Service {
	return New(world.New("123456789012", region, world.Fast, 1, slog.New(slog.DiscardHandler)), compute{"L-F678F1CE": 7})
}

// Codes are AWS's, each once; what IAM enforces is what stands here.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	enforced := iam.Quotas()
	for _, e := range catalogue {
		if !regexp.MustCompile(`^L-[0-9A-F]{8}$`).MatchString(e.code) || seen[e.code] || services[e.service] == "" {
			t.Errorf("entry %+v", e)
		}
		seen[e.code] = true
		if e.service != "iam" {
			continue
		}
		if v, ok := enforced[e.name]; !ok || float64(v) != e.value {
			t.Errorf("%s is %v here and %v in IAM", e.name, e.value, v)
		}
		delete(enforced, e.name)
	}
	if len(enforced) > 0 {
		t.Errorf("IAM enforces what is not here: %v", enforced)
	}
}

func TestGlobalQuotasAreInOneRegion(t *testing.T) {
	if _, ok := newService("us-east-1").Value("iam", "L-FE177D64"); !ok {
		t.Error("us-east-1 does not have them")
	}
	if _, ok := newService("eu-west-1").Value("iam", "L-FE177D64"); ok {
		t.Error("eu-west-1 has them")
	}
}

func TestIncrease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("eu-west-1")
		ask := func(code string, value float64) (*changeOut, error) {
			return s.requestIncrease(t.Context(), &wire.Call{Account: "123456789012"}, &request{ServiceCode: "eks", QuotaCode: code, DesiredValue: &value})
		}
		for code, value := range map[string]float64{"L-1194D53C": 100, "L-11427A54": 5, "L-00000000": 5} {
			if _, err := ask(code, value); err == nil {
				t.Errorf("%s to %v is granted", code, value)
			}
		}
		out, err := ask("L-1194D53C", 200)
		if err != nil || out.RequestedQuota.Status != "PENDING" {
			t.Fatalf("%+v %v", out, err)
		}
		if _, err := ask("L-1194D53C", 300); err == nil {
			t.Error("two open requests for one quota")
		}
		if v, _ := s.Value("eks", "L-1194D53C"); v != 100 {
			t.Errorf("%v before the decision", v)
		}
		time.Sleep(2 * world.Fast.ConfigUpdate)
		if v, _ := s.Value("eks", "L-1194D53C"); v != 200 {
			t.Errorf("%v after the decision", v)
		}
		if out, err = s.getChange(t.Context(), nil, &request{RequestId: out.RequestedQuota.Id}); err != nil || out.RequestedQuota.Status != "APPROVED" {
			t.Errorf("%+v %v", out, err)
		}
		s.w.Close()
	})
}

// What EC2 enforces is what it says, and what is set is enforced.
func TestEC2sOwn(t *testing.T) {
	s := newService("eu-west-1")
	out, err := s.getQuota(true)(t.Context(), nil, &request{ServiceCode: "vpc", QuotaCode: "L-F678F1CE"})
	if err != nil || out.Quota.Value != 7 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err = s.getQuota(false)(t.Context(), nil, &request{ServiceCode: "vpc", QuotaCode: "L-F678F1CE"}); err != nil || out.Quota.Value != 5 {
		t.Errorf("default: %+v %v", out, err)
	}
	for code, service := range map[string]string{"L-F678F1CE": "vpc", "L-A4707A72": "vpc", "L-1194D53C": "eks"} {
		if err := s.Set(service, code, 9); err != nil {
			t.Error(err)
		}
		if v, ok := s.Value(service, code); !ok || v != 9 {
			t.Errorf("%s: %v", code, v)
		}
	}
	if s.ec2.Quotas()["L-F678F1CE"] != 9 || s.Set("vpc", "L-00000000", 1) == nil {
		t.Error("EC2 does not know, or a quota that is none was set")
	}
}
