package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// fargateRole is what Fargate pulls images and writes logs with. The condition keeps other clusters' profiles from using it.
// https://docs.aws.amazon.com/eks/latest/userguide/pod-execution-role.html
func (b *builder) fargateRole() role {
	return role{
		id: idFargateRole, name: RoleName(b.s, "fargate"), boundary: b.s.IAM.FargateRoleBoundary,
		trust: trustsWhen("eks-fargate-pods.amazonaws.com", fleet.Props{
			"ArnLike": fleet.Props{"aws:SourceArn": b.arn("eks", "fargateprofile/"+b.s.Name+"/*")},
		}, "sts:AssumeRole"),
		policies: b.awsPolicies("AmazonEKSFargatePodExecutionRolePolicy"),
	}
}

// fargate are the profiles, one after another: EKS works on one at a time. A profile that has failed holds nobody up.
func (b *builder) fargate(net network) {
	before := ""
	for _, f := range b.s.Fargate {
		if r := b.profile(f, net, before); r.state != failed {
			before = r.id
		}
	}
}

func (b *builder) profile(f fleet.FargateSpec, net network, before string) *resource {
	id := "fargate/" + f.Name
	subnets, needs := net.fargateSubnets(f)
	needs = append([]string{idCluster}, needs...)
	if before != "" {
		needs = append(needs, before)
	}
	arn := nameOr(f.RoleARN, b.s.IAM.FargateRoleARN)
	if arn == "" {
		arn = b.roleARN(idFargateRole)
		for _, r := range b.list {
			if r.id == idFargateRole || strings.HasPrefix(r.id, idFargateRole+"/") && !strings.Contains(r.id, "/without/") {
				needs = append(needs, r.id)
			}
		}
	}
	call := func(effect plan.Effect, api, does string, in fleet.Props) plan.Call {
		in["fargateProfileName"] = f.Name
		c := b.child(effect, id, api, does, in)
		c.Queue = "fargate"
		return c
	}
	return b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "fargate", Name: f.Name}, area: "Fargate", needs: needs,
		create: func() plan.Call {
			return call(plan.Create, "eks:CreateFargateProfile", fmt.Sprintf("create Fargate profile %s (%s)", f.Name, namespaces(f)), fleet.Props{
				"podExecutionRoleArn": arn, "subnets": b.physical(subnets), "selectors": selectors(f), "tags": owned(b.s, f.Tags),
			})
		},
		differ: func(have fleet.Resource) (_ []plan.Call, notes []string) {
			const why, instead = "EKS does not change profiles", "give the new one another name, and take this one out of the file"
			what := "Fargate profile " + f.Name
			if have := have.Props["selectors"]; !fleet.Covers(have, selectors(f)) || !fleet.Covers(selectors(f), have) {
				notes = append(notes, cannot(what, "selectors", why, instead))
			}
			want := fleet.Texts(fleet.Props{"subnets": b.physical(subnets)}, "subnets")
			if len(f.Subnets) > 0 && !slices.ContainsFunc(want, plan.IsUnknown) && !sameSet(fleet.Texts(have.Props, "subnets"), want) {
				notes = append(notes, cannot(what, "subnets", why, instead))
			}
			if got := fleet.Text(have.Props, "podExecutionRoleArn"); !plan.IsUnknown(arn) && got != arn {
				notes = append(notes, cannot(what, "podExecutionRoleARN ("+got+")", why, instead))
			}
			return b.retag(have, owned(b.s, f.Tags)), notes
		},
		remake: func(fleet.Resource) plan.Call {
			return call(plan.Delete, "eks:DeleteFargateProfile", "delete Fargate profile "+f.Name+", which failed", fleet.Props{})
		},
	})
}

func selectors(f fleet.FargateSpec) (out []any) {
	for _, s := range f.Selectors {
		out = append(out, fleet.Drop(fleet.Props{"namespace": s.Namespace, "labels": s.Labels}))
	}
	return out
}

func namespaces(f fleet.FargateSpec) string {
	var list []string
	for _, s := range f.Selectors {
		list = append(list, s.Namespace)
	}
	return "pods of " + strings.Join(list, ", ")
}
