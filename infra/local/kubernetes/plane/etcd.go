package plane

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd runs a single-member etcd whose only client is the API server in this process, over a unix socket.
func startEtcd(ctx context.Context, dir, client string) (*embed.Etcd, error) {
	// A process that was killed leaves its socket file behind, and binding to it again would fail.
	if err := removeSocket(strings.TrimPrefix(client, "unix://")); err != nil {
		return nil, err
	}
	clientURL, err := url.Parse(client)
	if err != nil {
		return nil, err
	}
	peerURL := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg := embed.NewConfig()
	cfg.Name = "ekspedite"
	cfg.Dir = dir
	cfg.LogLevel = "error"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peerURL}, []url.URL{peerURL}
	cfg.InitialCluster = cfg.Name + "=" + peerURL.String()
	// A single member only ever elects itself: short ticks make that immediate and can lose no leadership.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	// fsync protects against power loss of a cluster that matters. It costs the most of all on a laptop's disk.
	cfg.UnsafeNoFsync = true
	cfg.QuotaBackendBytes = 4 << 30
	started, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-started.Server.ReadyNotify():
		return started, nil
	case err = <-started.Err():
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(30 * time.Second):
		err = fmt.Errorf("not ready after 30 s")
	}
	started.Close()
	return nil, err
}
