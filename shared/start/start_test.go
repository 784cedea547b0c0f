package start

import "testing"

func TestAccount(t *testing.T) {
	for url, want := range map[string]string{
		"https://sqs.us-east-1.amazonaws.com/123456789012/name": "123456789012",
		"http://127.0.0.1:4566/000000000000/name":               "000000000000",
		"": "",
	} {
		if got := account(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
