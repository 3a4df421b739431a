// Package digits asks a digitserve server: a connection, and streams that resume.
package digits

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// The server says in `grpc-retry-pushback-ms` when a full queue is worth another try; grpc-go heeds it.
const serviceConfig = `{
  "methodConfig": [{
    "name": [{"service": "digitserve.v1.DigitService", "method": "Predict"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "2s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
}`

// Connect opens a connection: in plain text, or over TLS that trusts the PEM file ca alone, with a
// bearer token for each call. Both may be empty.
func Connect(address, ca, token string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		trusted := x509.NewCertPool()
		if !trusted.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
		transport = credentials.NewClientTLSFromCert(trusted, "")
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	}
	if token != "" {
		if ca == "" {
			return nil, errors.New("a token is sent over TLS only")
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	return grpc.NewClient(address, options...)
}

// bearer sends a token with each call, and over TLS only.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
