package ec2

import "fmt"

// The quotas that EC2 enforces here, by their codes in Service Quotas.
const (
	QuotaVPCs              = "L-F678F1CE" // VPCs per Region
	QuotaInternetGateways  = "L-A4707A72" // internet gateways per Region
	QuotaEgressGateways    = "L-45FE3B85" // egress-only internet gateways per Region
	QuotaNATGateways       = "L-FE5A380F" // NAT gateways per Availability Zone
	QuotaAddresses         = "L-0263D0A3" // Elastic IP addresses
	QuotaOnDemandStandard  = "L-1216C47A" // vCPUs of running on-demand standard instances (A, C, D, H, I, M, R, T, Z)
	QuotaSpotStandard      = "L-34B43A08" // vCPUs of standard Spot requests
	QuotaOnDemandG         = "L-DB2E81BA" // vCPUs of running on-demand G and VT instances
	QuotaOnDemandP         = "L-417A185B" // vCPUs of running on-demand P instances
	QuotaOnDemandInf       = "L-1945791B" // vCPUs of running on-demand Inf instances
	QuotaOnDemandTrn       = "L-2C3B7624" // vCPUs of running on-demand Trn instances
	QuotaSecurityGroups    = "L-E79EC296" // security groups per Region
	QuotaRulesPerGroup     = "L-0EA8095F" // inbound or outbound rules of a security group
	QuotaRoutesPerTable    = "L-93826ACB" // routes of a route table
	QuotaSubnetsPerVPC     = "L-407747CB" // subnets of a VPC
	QuotaInterfaceEndpoint = "L-29B6F2EB" // interface endpoints of a VPC
)

// defaultQuotas are AWS's defaults, but for the vCPUs: AWS raises an account's own with its use, from 5 or even 0, and
// these are what an account in use has.
var defaultQuotas = map[string]int{
	QuotaVPCs: 5, QuotaInternetGateways: 5, QuotaEgressGateways: 5, QuotaNATGateways: 5, QuotaAddresses: maxAddresses,
	QuotaOnDemandStandard: 1920, QuotaSpotStandard: 1920, QuotaOnDemandG: 768, QuotaOnDemandP: 384, QuotaOnDemandInf: 256, QuotaOnDemandTrn: 256,
	QuotaSecurityGroups: 2500, QuotaRulesPerGroup: 60, QuotaRoutesPerTable: 500, QuotaSubnetsPerVPC: 200, QuotaInterfaceEndpoint: 50,
}

// quota is the limit in force. The lock is held.
func (s *Service) quota(code string) int {
	if n, ok := s.quotas[code]; ok {
		return n
	}
	n, ok := defaultQuotas[code]
	if !ok {
		panic(fmt.Sprintf("EC2 has no quota %s", code)) // a programming error
	}
	return n
}

// Quotas returns the limits in force by their codes in Service Quotas.
func (s *Service) Quotas() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for code := range defaultQuotas {
		out[code] = s.quota(code)
	}
	return out
}

// SetQuota changes a limit, as an approved request for an increase does. It reports whether EC2 enforces such a quota.
func (s *Service) SetQuota(code string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := defaultQuotas[code]; !ok {
		return false
	}
	s.quotas[code] = limit
	return true
}

// QuotaUse returns how much of a quota is taken where one number says it: per Region, not per zone, VPC or group.
func (s *Service) QuotaUse(code string) (used int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch code {
	case QuotaVPCs:
		return len(all[*vpc](s)), true
	case QuotaInternetGateways:
		return len(all[*gateway](s)), true
	case QuotaEgressGateways:
		return len(all[*egressGateway](s)), true
	case QuotaAddresses:
		return len(all[*address](s)), true
	case QuotaSecurityGroups:
		return len(all[*securityGroup](s)), true
	}
	for _, spot := range []bool{false, true} {
		for _, class := range []string{"standard", "g", "p", "inf", "trn"} {
			if vcpuQuota(class, spot) == code {
				return s.vcpus(class, spot), true
			}
		}
	}
	return 0, false
}

// vcpuQuota is the quota that instances of a class count against; "" for those that are not limited here.
func vcpuQuota(class string, spot bool) string {
	switch {
	case spot && class == "standard":
		return QuotaSpotStandard
	case spot:
		return ""
	}
	return map[string]string{
		"standard": QuotaOnDemandStandard, "g": QuotaOnDemandG, "p": QuotaOnDemandP, "inf": QuotaOnDemandInf, "trn": QuotaOnDemandTrn,
	}[class]
}

// vcpus counts those of pending and running instances of a class and market. The lock is held.
func (s *Service) vcpus(class string, spot bool) int {
	n := 0
	for _, i := range all[*instance](s) {
		if (i.state == "pending" || i.state == "running") && (i.spotRequest != "") == spot && i.typ.class() == class {
			n += i.typ.VCPU
		}
	}
	return n
}
