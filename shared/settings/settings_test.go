package settings_test

import (
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/settings"
)

var good = map[string]string{
	"EKSPEDITE_TABLE": "t", "EKSPEDITE_BUS": "b", "EKSPEDITE_QUEUE_URL": "q", "EKSPEDITE_DLQ_URL": "d", "EKSPEDITE_MAX_RECEIVES": "3",
	"AWS_REGION": "us-east-1", "EKSPEDITE_INTERRUPTION_ROLE_ARN": "r", "EKSPEDITE_ROLE_ARN": "me",
	"EKSPEDITE_SCALING_ROLE_ARN": "s", "EKSPEDITE_UPGRADE_ROLE_ARN": "u", "EKSPEDITE_DOORBELL_URL": "https://d/", "EKSPEDITE_DOORBELL_ARN": "arn:d",
}

func TestLoad(t *testing.T) {
	s, err := settings.Load(func(k string) string { return good[k] }, true)
	if err != nil || s.Table != "t" || s.Bus != "b" || s.QueueURL != "q" || s.DLQURL != "d" || s.MaxReceives != 3 || s.Region != "us-east-1" ||
		s.InterruptionRoleARN != "r" || s.LogLevel != slog.LevelInfo || s.RoleARN != "me" || s.InVPC ||
		s.ScalingRoleARN != "s" || s.DoorbellURL != "https://d/" || s.DoorbellARN != "arn:d" {
		t.Errorf("%+v, %v", s, err)
	}
	env := maps.Clone(good)
	env["EKSPEDITE_IN_VPC"], env["EKSPEDITE_ROLE_BOUNDARY"] = "true", "arn"
	if s, err := settings.Load(func(k string) string { return env[k] }, true); err != nil || !s.InVPC || s.RoleBoundary != "arn" {
		t.Errorf("%+v, %v", s, err)
	}
	env["EKSPEDITE_LOG_LEVEL"] = "debug"
	if s, err := settings.Load(func(k string) string { return env[k] }, false); err != nil || s.LogLevel != slog.LevelDebug || s.InterruptionRoleARN != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, err := settings.Load(func(string) string { return "" }, true)
	if err == nil {
		t.Fatal("an empty environment will do")
	}
	for name := range good {
		if n := strings.Count(err.Error(), name); n != 1 {
			t.Errorf("%s is mentioned %d times in\n%v", name, n, err)
		}
	}
	for name, value := range map[string]string{"EKSPEDITE_MAX_RECEIVES": "0", "EKSPEDITE_LOG_LEVEL": "loud"} {
		env := maps.Clone(good)
		env[name] = value
		if _, err := settings.Load(func(k string) string { return env[k] }, false); err == nil || !strings.Contains(err.Error(), name+`="`+value+`"`) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestLoadNotify(t *testing.T) {
	env := map[string]string{
		"AWS_REGION": "eu-central-1", "EKSPEDITE_TABLE": "t", "EKSPEDITE_BUS": "b", "EKSPEDITE_QUEUE_URL": "q", "EKSPEDITE_DLQ_URL": "d", "EKSPEDITE_MAX_RECEIVES": "5",
		"EKSPEDITE_LOG_GROUPS": "cluster=c-1,upgrade=u-2", "EKSPEDITE_DASHBOARD": "ekspedite",
	}
	for endpoint, loopback := range map[string]bool{"": false, "https://sns.eu-central-1.amazonaws.com": false, "http://127.0.0.1:4566": true, "http://localhost:4566": true, "http://10.0.0.1": false} {
		env["AWS_ENDPOINT_URL"] = endpoint
		s, err := settings.LoadNotify(func(name string) string { return env[name] })
		if err != nil || s.Loopback != loopback || s.LogGroups["cluster"] != "c-1" || s.LogGroups["upgrade"] != "u-2" || s.Dashboard != "ekspedite" || s.MaxReceives != 5 {
			t.Errorf("%q: %+v %v", endpoint, s, err)
		}
	}
	if _, err := settings.LoadNotify(func(string) string { return "" }); err == nil {
		t.Error("an empty environment is taken")
	}
}
