package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// httpsServers serve what AWS serves by HTTPS to everybody: here on addresses of the loopback interface, with certificates of
// an authority that lives as long as the cloud does. Its certificate is in a file, for SSL_CERT_FILE: a Kubernetes API server
// that calls a webhook believes what the machine believes.
type httpsServers struct {
	file string // the authority's certificate, PEM

	mu      sync.Mutex
	servers []*http.Server
	own     tls.Certificate // for 127.0.0.1
	closed  bool
}

// newHTTPSServers makes the authority, and writes its certificate into a folder.
func newHTTPSServers(dir string) (*httpsServers, error) {
	s := &httpsServers{file: filepath.Join(dir, "authority.pem")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ekspedite's embedded cloud"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return nil, err
	}
	ownKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, ownKey.Public(), key)
	if err != nil {
		return nil, err
	}
	s.own = tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: ownKey}
	return s, os.WriteFile(s.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), 0o600)
}

// serve opens a port of its own for a handler. The URL ends in a slash.
func (s *httpsServers) serve(h http.Handler) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{Certificates: []tls.Certificate{s.own}, MinVersion: tls.VersionTLS12},
		ErrorLog: log.New(io.Discard, "", 0), // clients that hang up
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", errors.Join(errors.New("the embedded cloud is closing"), listener.Close())
	}
	s.servers = append(s.servers, server)
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with close
	return fmt.Sprintf("https://%s/", listener.Addr()), nil
}

func (s *httpsServers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}
