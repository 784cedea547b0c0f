package ssm

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const (
	al2023       = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended"
	bottlerocket = "/aws/service/bottlerocket/aws-k8s-1.36/arm64/latest"
	windows      = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-1.36"
	ubuntu       = "/aws/service/canonical/ubuntu/eks/24.04/1.36/stable/current/amd64/hvm/ebs-gp3/ami-id"
)

func newWith(w *world.World, images []Image) *Service {
	return New(w, func() []Image { return images })
}

func newService() *Service {
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	at := time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC)
	return newWith(w, []Image{
		{Parameter: al2023 + "/image_id", ID: "ami-1", Name: "amazon-eks-node", Release: "1.36.6-20261112", Created: at},
		{Parameter: bottlerocket + "/image_id", ID: "ami-2", Release: "1.51.0-abc", Created: at},
		{Parameter: windows + "/image_id", ID: "ami-3", Release: "1.36-2026.11.12", Created: at},
		{Parameter: ubuntu, ID: "ami-4", Created: at},
	})
}

func TestPublicParameters(t *testing.T) {
	s := newService()
	for name, want := range map[string]string{
		al2023 + "/image_id": "ami-1", al2023 + "/release_version": "1.36.6-20261112", al2023 + "/image_name": "amazon-eks-node",
		bottlerocket + "/image_id": "ami-2", bottlerocket + "/image_version": "1.51.0-abc", windows + "/image_id": "ami-3", ubuntu: "ami-4",
		"arn:aws:ssm:eu-west-1::parameter" + ubuntu: "ami-4",
	} {
		out, err := s.getParameter(t.Context(), nil, &request{Name: name})
		if err != nil || out.Parameter.Value != want || !strings.HasPrefix(out.Parameter.ARN, "arn:aws:ssm:eu-west-1::parameter/aws/service/") {
			t.Errorf("%s: %+v %v", name, out, err)
		}
	}
	if out, err := s.getParameter(t.Context(), nil, &request{Name: al2023}); err != nil || !strings.Contains(out.Parameter.Value, `"release_version":"1.36.6-20261112"`) {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := s.getParameter(t.Context(), nil, &request{Name: strings.Replace(al2023, "1.36", "1.12", 1)}); err == nil {
		t.Error("an image of Kubernetes 1.12")
	}
	out, err := s.getByPath(t.Context(), nil, &request{Path: "/aws/service/eks/optimized-ami/1.36", Recursive: true})
	if err != nil || len(out.Parameters) != 4 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err = s.getByPath(t.Context(), nil, &request{Path: "/aws/service/eks/optimized-ami/1.36/"}); err != nil || len(out.Parameters) != 0 {
		t.Errorf("not recursive: %+v %v", out, err)
	}
}

// A new release of the images is a new version of the parameters.
func TestPublicParametersFollowTheImages(t *testing.T) {
	s := newService()
	first := s.images()
	if _, _, err := s.find(al2023 + "/image_id"); err != nil {
		t.Fatal(err)
	}
	s.images = func() []Image {
		return []Image{{Parameter: first[0].Parameter, ID: "ami-5", Release: "1.36.7-20261126", Created: first[0].Created.AddDate(0, 0, 14)}}
	}
	for range 2 {
		for name, want := range map[string]string{"/image_id": "ami-5", "/release_version": "1.36.7-20261126", "/image_id:1": "ami-1", "/image_id:2": "ami-5"} {
			if out, err := s.getParameter(t.Context(), nil, &request{Name: al2023 + name}); err != nil || out.Parameter.Value != want {
				t.Errorf("%s: %+v %v", name, out, err)
			}
		}
	}
}

func TestOwnParameters(t *testing.T) {
	s := newService()
	call := &wire.Call{}
	put := func(in request) error {
		_, err := s.putParameter(t.Context(), call, &in)
		return err
	}
	for _, in := range []request{{Name: "/app/a", Type: "String", Value: "1"}, {Name: "/app/a", Value: "2", Overwrite: true}, {Name: "/app/secret", Type: "SecureString", Value: "s3cr3t"}} {
		if err := put(in); err != nil {
			t.Fatal(err)
		}
	}
	get := func(in request) string {
		t.Helper()
		out, err := s.getParameter(t.Context(), call, &in)
		if err != nil {
			return err.Error()
		}
		return out.Parameter.Value
	}
	if a, b := get(request{Name: "/app/a"}), get(request{Name: "/app/a:1"}); a != "2" || b != "1" {
		t.Errorf("got %s and %s", a, b)
	}
	if a, b := get(request{Name: "/app/secret"}), get(request{Name: "/app/secret", WithDecryption: true}); strings.Contains(a, "s3cr3t") || b != "s3cr3t" {
		t.Errorf("got %s and %s", a, b)
	}
	for want, in := range map[string]request{
		"ParameterAlreadyExists":  {Name: "/app/a", Type: "String", Value: "x"},
		"HierarchyTypeMismatch":   {Name: "/app/a", Type: "SecureString", Value: "x", Overwrite: true},
		"AccessDeniedException":   {Name: "/aws/service/x", Type: "String", Value: "x"},
		"ValidationException: Pa": {Name: "aws-x", Type: "String", Value: "x"},
		"ValidationException: St": {Name: "/app/b", Type: "String", Value: strings.Repeat("x", 4097)},
		"ValidationException: A ": {Name: "/app/b", Value: "x"},
		"NotImplemented":          {Name: "/app/b", Type: "String", Value: "x", AllowedPattern: "y"},
	} {
		if err := put(in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	many, err := s.getParameters(t.Context(), call, &request{Names: []string{"/app/a", "/app/none"}})
	if err != nil || len(many.Parameters) != 1 || strings.Join(many.InvalidParameters, " ") != "/app/none" {
		t.Errorf("%+v %v", many, err)
	}
	if _, err := s.deleteParameter(t.Context(), call, &request{Name: "/app/a"}); err != nil {
		t.Error(err)
	}
	if got := get(request{Name: "/app/a"}); !strings.HasPrefix(got, "ParameterNotFound") {
		t.Errorf("after: %s", got)
	}
}
