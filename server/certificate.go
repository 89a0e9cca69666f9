package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatepost/server/durable"
	"gatepost/server/fault"
	"gatepost/server/logs"
)

// The server's certificate is Certificates/server.pem (the chain, own
// certificate first) with Certificates/server.key. At the first start a
// self-signed one is made, so that TLS works from the first minute; an
// administrator replaces the two files and reloads.
const (
	certificateFile = "server.pem"
	keyFile         = "server.key"
	// nextFile is key and chain together while they are put into the place of others, so that a crash leaves no
	// certificate with another one's key.
	nextFile = "server.next"
)

// replaceCertificate puts a chain and its key, which fit together, into the place of what is there.
func (s *Server) replaceCertificate(chain, key string) error {
	dir := s.base.path("Certificates")
	if err := durable.ReplaceFile(filepath.Join(dir, nextFile), []byte(key+"\n"+chain), 0o600); err != nil {
		return err
	}
	return finishReplacing(dir)
}

// finishReplacing does what is left to do when nextFile is there.
func finishReplacing(dir string) error {
	next := filepath.Join(dir, nextFile)
	text, err := os.ReadFile(next)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var key, chain []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && key == nil:
			key = pem.EncodeToMemory(block)
		}
	}
	if err := durable.ReplaceFile(filepath.Join(dir, keyFile), key, 0o600); err != nil {
		return err
	}
	if err := durable.ReplaceFile(filepath.Join(dir, certificateFile), chain, 0o644); err != nil {
		return err
	}
	if err := os.Remove(next); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// loadCertificate reads the certificate, making a self-signed one for name when there is none.
func loadCertificate(dir, name string) (*tls.Certificate, error) {
	certPath, keyPath := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	if err := finishReplacing(dir); err != nil {
		return nil, fmt.Errorf("replace the certificate: %w", err)
	}
	_, err := os.Stat(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeCertificate(certPath, keyPath, name); err != nil {
			return nil, fmt.Errorf("make a self-signed certificate: %w", err)
		}
	}
	return readPair(certPath, keyPath)
}

// readPair reads a certificate and its key. Errors name the file that is wrong.
func readPair(certPath, keyPath string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err == nil {
		return &cert, nil
	}
	wrong := func(file, format string, args ...any) (*tls.Certificate, error) {
		return nil, fault.Newf("server.Certificate", fault.Invalid, "Certificates/"+file+": "+format, args...)
	}
	leaf := pemBlock(certPEM, func(kind string) bool { return kind == "CERTIFICATE" })
	key := pemBlock(keyPEM, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	switch {
	case leaf == nil:
		return wrong(certificateFile, "there is no certificate in PEM form")
	case key == nil:
		return wrong(keyFile, "there is no private key in PEM form")
	case key.Type == "ENCRYPTED PRIVATE KEY", key.Headers["DEK-Info"] != "":
		return wrong(keyFile, "the key is protected by a passphrase: store it without one")
	}
	if _, err := x509.ParseCertificate(leaf.Bytes); err != nil {
		return wrong(certificateFile, "%v", err)
	}
	return wrong(keyFile, "the key is not that of the first certificate in %s, or cannot be used: %s",
		certificateFile, strings.TrimPrefix(err.Error(), "tls: "))
}

// pemBlock is the first block of a type.
func pemBlock(text []byte, wanted func(kind string) bool) *pem.Block {
	for {
		block, rest := pem.Decode(text)
		if block == nil || wanted(block.Type) {
			return block
		}
		text = rest
	}
}

// expirySoon is when a certificate should have been renewed.
const expirySoon = 14 * 24 * time.Hour

// logCertificate says what clients are shown.
func (s *Server) logCertificate(leaf *x509.Certificate) {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	issuer := leaf.Issuer.String()
	if selfSigned(leaf) {
		issuer = "itself"
	}
	level, text := logs.LevelMajor, "certificate read"
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		level, text = logs.LevelFailure, "the certificate has expired: clients will refuse it"
	case left < expirySoon:
		level, text = logs.LevelProblem, "the certificate expires soon"
	}
	s.log.Log(context.Background(), level, text, "file", "Certificates/"+certificateFile, "names", strings.Join(names, ","),
		"issuer", issuer, "expires", leaf.NotAfter.Format(time.RFC3339))
}

func selfSigned(leaf *x509.Certificate) bool { return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) }

// dropOwnCertificate removes a certificate that was made here under another name.
func (s *Server) dropOwnCertificate() error {
	leaf := s.cert.Load().Leaf
	if !selfSigned(leaf) || leaf.Subject.CommonName == s.accounts.MainDomain() {
		return nil
	}
	dir := s.base.path("Certificates")
	// The certificate first: its file says that the pair is whole.
	if err := os.Remove(filepath.Join(dir, certificateFile)); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, keyFile))
}

// makeCertificate writes a self-signed certificate for name and the loopback
// addresses, valid for ten years.
func makeCertificate(certPath, keyPath, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{name, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := durable.ReplaceFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return err
	}
	// The certificate comes last: its file says that the pair is whole.
	return durable.ReplaceFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// tlsConfig offers TLS 1.2 and 1.3 (RFC 8996, RFC 9325) with the certificate
// that current returns at the time of the handshake.
func tlsConfig(current func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return current(), nil
		},
	}
}
