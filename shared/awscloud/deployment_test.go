package awscloud

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// The answers are CloudFormation's, shortened.
func TestStackResources(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		class  fault.Class
	}{
		"there": {200, `<DescribeStackResourcesResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStackResourcesResult><StackResources>
<member><LogicalResourceId>Table</LogicalResourceId><PhysicalResourceId>ekspedite-data-Table-1AB</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType></member>
<member><LogicalResourceId>Bus</LogicalResourceId><PhysicalResourceId>ekspedite</PhysicalResourceId></member>
</StackResources></DescribeStackResourcesResult></DescribeStackResourcesResponse>`, -1},
		"not there": {400, `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id ekspedite-data does not exist</Message></Error></ErrorResponse>`, fault.NotFound},
		"denied":    {403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized</Message></Error></ErrorResponse>`, fault.Denied},
		"broken":    {502, `bad gateway`, fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if !strings.Contains(string(body), "StackName=ekspedite-data") || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/cloudformation/aws4_request") {
					t.Errorf("%s, signed %s", body, r.Header.Get("Authorization"))
				}
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			}))
			defer server.Close()
			have, err := StackResources(t.Context(), Static(server.URL, "eu-west-1", "AKID", "secret"), "ekspedite-data")
			if tc.class >= 0 {
				if fault.Of(err) != tc.class || err == nil {
					t.Errorf("%v is %s, want %s", err, fault.Of(err), tc.class)
				}
				return
			}
			if err != nil || have["Table"] != "ekspedite-data-Table-1AB" || have["Bus"] != "ekspedite" {
				t.Errorf("%v, %v", have, err)
			}
		})
	}
}

func TestWhereQueryAPIsAre(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":  "https://cloudformation.eu-west-1.amazonaws.com/",
		"cn-north-1": "https://cloudformation.cn-north-1.amazonaws.com.cn/",
	} {
		if have := (queryAPI{cfg: Config{Region: region}, host: "cloudformation"}).endpoint(); have != want {
			t.Errorf("%s: %s, want %s", region, have, want)
		}
	}
}
