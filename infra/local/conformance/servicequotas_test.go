package conformance

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
)

func TestServiceQuotas(t *testing.T) {
	tg := target(t, "servicequotas")
	if !exact(tg) {
		t.Skip("moto has VPC's defaults only")
	}
	c := servicequotas.NewFromConfig(tg.Config)
	ctx := t.Context()
	for code, service := range map[string]string{
		"L-1194D53C": "eks", "L-6D54EA21": "eks", "L-BD136A63": "eks", "L-33415657": "eks", "L-F678F1CE": "vpc", "L-A4707A72": "vpc", "L-FE5A380F": "vpc",
		"L-0263D0A3": "ec2", "L-1216C47A": "ec2", "L-34B43A08": "ec2", "L-DB2E81BA": "ec2", "L-417A185B": "ec2", "L-FE177D64": "iam",
	} {
		d, err := c.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &service, QuotaCode: &code})
		if err != nil {
			t.Errorf("%s/%s: %v", service, code, err)
			continue
		}
		q, err := c.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &service, QuotaCode: &code})
		if err != nil || *q.Quota.QuotaCode != code || *q.Quota.Value < *d.Quota.Value || *q.Quota.QuotaName == "" || q.Quota.GlobalQuota != (service == "iam") {
			t.Errorf("%s/%s: %+v %v, default %v", service, code, q, err, *d.Quota.Value)
		}
	}
	list, err := c.ListServiceQuotas(ctx, &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("vpc")})
	if err != nil || len(list.Quotas) < 5 {
		t.Errorf("%+v %v", list, err)
	}
	_, err = c.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("vpc"), QuotaCode: aws.String("L-00000000")})
	apiError(t, err, "NoSuchResourceException")
}

// What Service Quotas says is what EC2 enforces, also after an increase.
func TestServiceQuotasAreEnforced(t *testing.T) {
	tg := target(t, "servicequotas")
	if !tg.Embedded {
		t.Skip("would take all of an account's addresses")
	}
	// A Region of its own, so that no other test's addresses count.
	cfg := tg.Config.Copy()
	cfg.Region = "ap-southeast-2"
	quotas, machines := servicequotas.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
	ctx := t.Context()
	fill := func() (n float64) {
		for {
			_, err := machines.AllocateAddress(ctx, &ec2.AllocateAddressInput{})
			if err == nil {
				n++
				continue
			}
			apiError(t, err, "AddressLimitExceeded")
			return n
		}
	}
	q, err := quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("ec2"), QuotaCode: aws.String("L-0263D0A3")})
	if err != nil {
		t.Fatal(err)
	}
	if n := fill(); n != *q.Quota.Value {
		t.Errorf("%v addresses, quota %v", n, *q.Quota.Value)
	}
	r, err := cloud(t).In("ap-southeast-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ServiceQuotas.Set("ec2", "L-0263D0A3", *q.Quota.Value+2); err != nil {
		t.Fatal(err)
	}
	if n := fill(); n != 2 {
		t.Errorf("%v more addresses, want 2", n)
	}
}
