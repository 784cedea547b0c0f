package upgrade

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// authority makes, activates or deletes a certificate authority.
func (d *decider) authority(s upgradepath.Step) (api string, in fleet.Props, does string) {
	in = fleet.Props{"clusterName": d.in.EKS.Cluster.Name, "certificateAuthorityId": s.Subject}
	switch s.To {
	case upgradepath.AuthorityInUse:
		return "eks:ActivateCertificateAuthority", in, "activate certificate authority " + s.Subject
	case upgradepath.AuthorityGone:
		return "eks:DeleteCertificateAuthority", in, "delete certificate authority " + s.Subject
	}
	delete(in, "certificateAuthorityId")
	return "eks:CreateCertificateAuthority", in, "make a successor of certificate authority " + s.Subject
}

// activationWatch is how long a cluster is watched after a certificate authority was activated: a node that does not trust it
// is NotReady within a minute, and a regression counts when it has lasted for the policy's time (5 minutes by default).
const activationWatch = 15 * time.Minute

// activated is the authority that this run has activated, while the cluster is watched for that.
func (d *decider) activated() (id string, until time.Time, ok bool) {
	for _, x := range slices.Backward(d.m.Done) {
		if x.Step.Kind == upgradepath.StepAuthority && x.Step.To == upgradepath.AuthorityInUse {
			until = x.Ended.Add(max(activationWatch, 2*d.p.Health.For))
			return x.Step.Subject, until, d.now.Before(until)
		}
	}
	return "", until, false
}

// deactivate says how an authority is taken back under which the cluster is worse; "" if it is not that.
func (d *decider) deactivate() string {
	id, _, ok := d.activated()
	_, _, former := upgradepath.Signer(d.in.EKS.Authorities)
	if !ok || former == nil {
		return ""
	}
	return fmt.Sprintf("; certificate authority %s was activated in this run: if nodes or clients do not trust it, take it back: aws eks activate-certificate-authority --cluster-name %s --certificate-authority-id %s", id, d.in.EKS.Cluster.Name, former.ID)
}
