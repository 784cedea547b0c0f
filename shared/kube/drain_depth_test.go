package kube

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestR13_WhatADrainReadsOfAPod(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC))
	p := pod(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db-0", DeletionTimestamp: &at},
		Spec: corev1.PodSpec{Volumes: []corev1.Volume{
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db-0"}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		}},
		Status: corev1.PodStatus{StartTime: &at},
	})
	if !p.Deleting || !p.GoneBy.Equal(at.Time) || !p.Started.Equal(at.Time) || strings.Join(p.Claims, " ") != "data-db-0 db-0-scratch" {
		t.Errorf("%+v", p)
	}
}

func TestR26_Attachments(t *testing.T) {
	name := "pv-1"
	list := storagev1.VolumeAttachmentList{TypeMeta: metav1.TypeMeta{Kind: "VolumeAttachmentList", APIVersion: "storage.k8s.io/v1"}, Items: []storagev1.VolumeAttachment{
		{ObjectMeta: metav1.ObjectMeta{Name: "csi-1"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "n", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "csi-2"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "m"}},
	}}
	s, c := start(t, answer(http.StatusOK, list))
	got, err := c.Attachments(t.Context())
	if err != nil || len(got) != 2 || got[0] != (fleet.Attachment{Volume: "pv-1", Node: "n"}) || got[1] != (fleet.Attachment{Volume: "csi-2", Node: "m"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if r := s.one(t); r.method != "GET" || r.path != "/apis/storage.k8s.io/v1/volumeattachments" {
		t.Errorf("%s %s", r.method, r.path)
	}
}

func TestR26_OutOfServiceIsOneConditionalPatch(t *testing.T) {
	s, c := start(t, answer(http.StatusOK, corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}}))
	err := c.OutOfService(t.Context(), plan.OutOfService{Node: "n", UID: "u", ResourceVersion: "7", Taints: []fleet.Taint{{Key: "theirs", Effect: "NoExecute"}}})
	r := s.one(t)
	if want := `{"metadata":{"resourceVersion":"7","uid":"u"},"spec":{"taints":[{"key":"theirs","effect":"NoExecute"}]}}`; err != nil || r.method != "PATCH" || r.path != "/api/v1/nodes/n" || string(r.body) != want {
		t.Errorf("%s %s %s, %v", r.method, r.path, r.body, err)
	}
}

func TestRecord(t *testing.T) {
	long := strings.Repeat("ü", 600)
	for _, tc := range []struct {
		event plan.RecordEvent
		path  string
	}{
		{plan.RecordEvent{Name: "n.1", About: "Node", Object: "n", UID: "u", Reason: "Cordoned", Message: "x" + long}, "/api/v1/namespaces/default/events"},
		{plan.RecordEvent{Name: "p.1", Namespace: "shop", About: "Pod", Object: "p", UID: "u", Reason: "EvictionBlocked", Warning: true}, "/api/v1/namespaces/shop/events"},
	} {
		s, c := start(t, answer(http.StatusCreated, corev1.Event{TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: "v1"}}))
		if err := c.Record(t.Context(), tc.event); err != nil {
			t.Fatal(err)
		}
		if r := s.one(t); r.method != "POST" || r.path != tc.path || !utf8.Valid([]byte(tc.event.Message)) {
			t.Errorf("%s %s", r.method, r.path)
		}
	}
	_, c := start(t, answer(http.StatusConflict, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 409, Reason: metav1.StatusReasonAlreadyExists}))
	if err := c.Record(t.Context(), plan.RecordEvent{Name: "n.1", About: "Node", Object: "n"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("told before: %v", err)
	}
}
