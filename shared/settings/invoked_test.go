package settings_test

import (
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/settings"
)

func TestLoadInvoked(t *testing.T) {
	s, err := settings.LoadInvoked(func(k string) string {
		return map[string]string{"EKSPEDITE_TABLE": "t", "EKSPEDITE_BUS": "b", "AWS_REGION": "us-east-1"}[k]
	})
	if err != nil || s.Table != "t" || s.Bus != "b" || s.Region != "us-east-1" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := settings.LoadInvoked(func(string) string { return "" }); err == nil || strings.Contains(err.Error(), "QUEUE") || !strings.Contains(err.Error(), "EKSPEDITE_TABLE") {
		t.Errorf("an empty environment: %v", err)
	}
}

func TestLoadCalled(t *testing.T) {
	s, err := settings.LoadCalled(func(k string) string {
		return map[string]string{"EKSPEDITE_TABLE": "t", "EKSPEDITE_SCALING_QUEUE_URL": "q", "AWS_REGION": "us-east-1"}[k]
	})
	if err != nil || s.Table != "t" || s.QueueURL != "q" || s.Region != "us-east-1" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := settings.LoadCalled(func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "EKSPEDITE_SCALING_QUEUE_URL") {
		t.Errorf("an empty environment: %v", err)
	}
}
