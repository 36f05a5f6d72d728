// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"flag"
	"fmt"
)

// Scaler is the configuration of what is served to KEDA, whose external scaler the operator can be.
type Scaler struct {
	Address  string
	Insecure bool   // without TLS
	ClientCA string // file with the authorities of clients' certificates
}

func (s *Scaler) bind(f *flag.FlagSet) {
	f.StringVar(&s.Address, "keda-scaler-address", s.Address, "where the operator that leads serves KEDA as an external scaler, with the certificate of launches; 0 turns it off")
	f.BoolVar(&s.Insecure, "keda-scaler-insecure", s.Insecure, "serve KEDA without TLS")
	f.StringVar(&s.ClientCA, "keda-scaler-client-ca", s.ClientCA, "file with the certificates, in PEM, of the authorities that sign KEDA's client certificate (default: whoever reaches the port may ask for the numbers of pools)")
}

// validateScaler says what is wrong with what is served to KEDA.
func (c *Operator) validateScaler() error {
	s := &c.Scaler
	if s.Address == Off {
		return nil
	}
	faults := []error{address("--keda-scaler-address", s.Address)}
	if !c.Push.Enabled && !s.Insecure {
		faults = append(faults, fmt.Errorf("--keda-scaler-insecure is %t: it must be true with --push=false, since the certificate is that of launches", s.Insecure))
	}
	if s.Insecure && s.ClientCA != "" {
		faults = append(faults, fmt.Errorf("--keda-scaler-client-ca is %q: it must be empty with --keda-scaler-insecure, since clients show certificates over TLS only", s.ClientCA))
	}
	return errors.Join(faults...)
}
