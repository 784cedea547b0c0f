package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// iamAnswer is an IAM response: the first text below each element's name, in order of appearance.
type iamAnswer struct {
	status int
	texts  map[string][]string
}

func (a iamAnswer) get(name string) string {
	if len(a.texts[name]) == 0 {
		return ""
	}
	return a.texts[name][0]
}

// iamCall signs a Query call: the IAM SDK is not among this module's dependencies.
func iamCall(t *testing.T, tg Target, creds aws.CredentialsProvider, action string, params ...string) iamAnswer {
	t.Helper()
	return iamCallIn(t.Context(), t, tg, creds, action, params...)
}

func iamCallIn(ctx context.Context, t *testing.T, tg Target, creds aws.CredentialsProvider, action string, params ...string) iamAnswer {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	endpoint := tg.Endpoint
	if endpoint == "" {
		endpoint = "https://iam.amazonaws.com"
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c, err := creds.Retrieve(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, c, req, hex.EncodeToString(sum[:]), "iam", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := iamAnswer{resp.StatusCode, map[string][]string{}}
	name := ""
	for d := xml.NewDecoder(bytes.NewReader(raw)); ; {
		tok, err := d.Token()
		if err == io.EOF {
			return a
		}
		if err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name = tok.Name.Local
		case xml.CharData:
			if s := strings.TrimSpace(string(tok)); s != "" {
				a.texts[name] = append(a.texts[name], s)
			}
		}
	}
}

// iamOK fails the test unless the call succeeds.
func iamOK(t *testing.T, tg Target, action string, params ...string) iamAnswer {
	t.Helper()
	a := iamCall(t, tg, tg.Config.Credentials, action, params...)
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %v", action, a.status, a.texts)
	}
	return a
}

func iamRefused(t *testing.T, tg Target, status int, code, action string, params ...string) {
	t.Helper()
	a := iamCall(t, tg, tg.Config.Credentials, action, params...)
	if a.status != status || a.get("Code") != code {
		t.Errorf("%s: got %d %v, want %d %s", action, a.status, a.texts, status, code)
	}
}

const (
	trustEC2   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	nodePolicy = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
)

// iamRole makes a role that goes away with the test.
func iamRole(t *testing.T, tg Target, trust string, params ...string) (name, arn string) {
	t.Helper()
	name = fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	a := iamOK(t, tg, "CreateRole", append([]string{"RoleName", name, "AssumeRolePolicyDocument", trust}, params...)...)
	t.Cleanup(func() {
		// The test's context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		call := func(action string, params ...string) iamAnswer {
			return iamCallIn(ctx, t, tg, tg.Config.Credentials, action, params...)
		}
		for _, p := range call("ListAttachedRolePolicies", "RoleName", name).texts["PolicyArn"] {
			call("DetachRolePolicy", "RoleName", name, "PolicyArn", p)
		}
		for _, p := range call("ListRolePolicies", "RoleName", name).texts["member"] {
			call("DeleteRolePolicy", "RoleName", name, "PolicyName", p)
		}
		call("DeleteRole", "RoleName", name)
	})
	return name, a.get("Arn")
}

func TestIAMRoles(t *testing.T) {
	tg := target(t, "iam")
	name, arn := iamRole(t, tg, trustEC2, "Path", "/team/", "Description", "a role", "Tags.member.1.Key", "team", "Tags.member.1.Value", "a")
	if !strings.HasSuffix(arn, ":role/team/"+name) {
		t.Errorf("ARN %s", arn)
	}
	a := iamOK(t, tg, "GetRole", "RoleName", name)
	if doc, err := url.QueryUnescape(a.get("AssumeRolePolicyDocument")); err != nil || !strings.Contains(doc, "ec2.amazonaws.com") {
		t.Errorf("trust %q %v", doc, err)
	}
	if !strings.HasPrefix(a.get("RoleId"), "AROA") || a.get("Key") != "team" || a.get("MaxSessionDuration") != "3600" {
		t.Errorf("got %v", a.texts)
	}
	if _, err := time.Parse(time.RFC3339, a.get("CreateDate")); err != nil {
		t.Error(err)
	}
	iamRefused(t, tg, 409, "EntityAlreadyExists", "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trustEC2)
	iamRefused(t, tg, 404, "NoSuchEntity", "GetRole", "RoleName", name+"x")
	if exact(tg) {
		iamRefused(t, tg, 400, "MalformedPolicyDocument", "CreateRole", "RoleName", name+"y", "AssumeRolePolicyDocument", `{"Version":"2012-10-17"`)
	}

	iamOK(t, tg, "AttachRolePolicy", "RoleName", name, "PolicyArn", nodePolicy)
	iamOK(t, tg, "AttachRolePolicy", "RoleName", name, "PolicyArn", nodePolicy) // again is fine
	if a := iamOK(t, tg, "ListAttachedRolePolicies", "RoleName", name); len(a.texts["PolicyArn"]) != 1 || a.get("PolicyName") != "AmazonEKSWorkerNodePolicy" {
		t.Errorf("attached %v", a.texts)
	}
	iamRefused(t, tg, 404, "NoSuchEntity", "AttachRolePolicy", "RoleName", name, "PolicyArn", nodePolicy+"Misspelt")
	iamRefused(t, tg, 409, "DeleteConflict", "DeleteRole", "RoleName", name)
	iamOK(t, tg, "DetachRolePolicy", "RoleName", name, "PolicyArn", nodePolicy)
	iamRefused(t, tg, 404, "NoSuchEntity", "DetachRolePolicy", "RoleName", name, "PolicyArn", nodePolicy)

	inline := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	iamOK(t, tg, "PutRolePolicy", "RoleName", name, "PolicyName", "in", "PolicyDocument", inline)
	if a := iamOK(t, tg, "GetRolePolicy", "RoleName", name, "PolicyName", "in"); !strings.Contains(a.get("PolicyDocument"), "s3") {
		t.Errorf("got %v", a.texts)
	}
	if a := iamOK(t, tg, "ListRolePolicies", "RoleName", name); a.get("member") != "in" {
		t.Errorf("got %v", a.texts)
	}
	iamRefused(t, tg, 409, "DeleteConflict", "DeleteRole", "RoleName", name)
	iamOK(t, tg, "DeleteRolePolicy", "RoleName", name, "PolicyName", "in")
	iamRefused(t, tg, 404, "NoSuchEntity", "GetRolePolicy", "RoleName", name, "PolicyName", "in")

	iamOK(t, tg, "TagRole", "RoleName", name, "Tags.member.1.Key", "stage", "Tags.member.1.Value", "b")
	iamOK(t, tg, "UntagRole", "RoleName", name, "TagKeys.member.1", "team")
	if a := iamOK(t, tg, "ListRoleTags", "RoleName", name); strings.Join(a.texts["Key"], " ") != "stage" {
		t.Errorf("tags %v", a.texts)
	}
	iamOK(t, tg, "UpdateAssumeRolePolicy", "RoleName", name, "PolicyDocument", strings.Replace(trustEC2, "ec2", "eks", 1))
	if a := iamOK(t, tg, "GetRole", "RoleName", name); !strings.Contains(a.get("AssumeRolePolicyDocument"), "eks.amazonaws.com") {
		t.Errorf("got %v", a.texts)
	}
	if a := iamOK(t, tg, "ListRoles", "PathPrefix", "/team/"); !strings.Contains(strings.Join(a.texts["RoleName"], " "), name) {
		t.Errorf("got %v", a.texts)
	}
}

func TestIAMInstanceProfiles(t *testing.T) {
	tg := target(t, "iam")
	role, _ := iamRole(t, tg, trustEC2)
	profile := role + "-profile"
	a := iamOK(t, tg, "CreateInstanceProfile", "InstanceProfileName", profile)
	if !strings.HasSuffix(a.get("Arn"), ":instance-profile/"+profile) {
		t.Errorf("got %v", a.texts)
	}
	iamOK(t, tg, "AddRoleToInstanceProfile", "InstanceProfileName", profile, "RoleName", role)
	iamRefused(t, tg, 409, "LimitExceeded", "AddRoleToInstanceProfile", "InstanceProfileName", profile, "RoleName", role)
	if a := iamOK(t, tg, "GetInstanceProfile", "InstanceProfileName", profile); a.get("RoleName") != role {
		t.Errorf("got %v", a.texts)
	}
	if a := iamOK(t, tg, "ListInstanceProfilesForRole", "RoleName", role); a.get("InstanceProfileName") != profile {
		t.Errorf("got %v", a.texts)
	}
	iamRefused(t, tg, 409, "DeleteConflict", "DeleteInstanceProfile", "InstanceProfileName", profile)
	iamOK(t, tg, "RemoveRoleFromInstanceProfile", "InstanceProfileName", profile, "RoleName", role)
	iamOK(t, tg, "DeleteInstanceProfile", "InstanceProfileName", profile)
	iamRefused(t, tg, 404, "NoSuchEntity", "GetInstanceProfile", "InstanceProfileName", profile)
}

func TestIAMManagedPolicies(t *testing.T) {
	tg := target(t, "iam")
	name := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	arn := iamOK(t, tg, "CreatePolicy", "PolicyName", name, "PolicyDocument", doc).get("Arn")
	if a := iamOK(t, tg, "GetPolicy", "PolicyArn", arn); a.get("DefaultVersionId") != "v1" {
		t.Errorf("got %v", a.texts)
	}
	a := iamOK(t, tg, "GetPolicyVersion", "PolicyArn", arn, "VersionId", "v1")
	if got, err := url.QueryUnescape(a.get("Document")); err != nil || got != doc {
		t.Errorf("got %q %v", got, err)
	}
	iamRefused(t, tg, 409, "EntityAlreadyExists", "CreatePolicy", "PolicyName", name, "PolicyDocument", doc)
	iamOK(t, tg, "DeletePolicy", "PolicyArn", arn)
	iamRefused(t, tg, 404, "NoSuchEntity", "GetPolicy", "PolicyArn", arn)
	iamOK(t, tg, "GetPolicy", "PolicyArn", nodePolicy)
}

func TestIAMOpenIDConnectProviders(t *testing.T) {
	tg := target(t, "iam")
	host := fmt.Sprintf("conformance-%d.example.com/id/1", time.Now().UnixNano())
	arn := iamOK(t, tg, "CreateOpenIDConnectProvider", "Url", "https://"+host, "ClientIDList.member.1", "sts.amazonaws.com", "ThumbprintList.member.1", strings.Repeat("a", 40)).get("OpenIDConnectProviderArn")
	if !strings.HasSuffix(arn, ":oidc-provider/"+host) {
		t.Errorf("ARN %s", arn)
	}
	if a := iamOK(t, tg, "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn); a.get("Url") != host {
		t.Errorf("got %v", a.texts)
	}
	if a := iamOK(t, tg, "ListOpenIDConnectProviders"); !strings.Contains(strings.Join(a.texts["Arn"], " "), arn) {
		t.Errorf("got %v", a.texts)
	}
	iamOK(t, tg, "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	iamRefused(t, tg, 404, "NoSuchEntity", "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
}
