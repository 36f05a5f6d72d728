// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestValidateScaler(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Operator)
		fault  string
	}{
		"off":                               {change: func(c *Operator) { c.Scaler = Scaler{Address: Off, Insecure: true, ClientCA: "x"} }},
		"over TLS":                          {change: func(c *Operator) { c.Scaler.Address = ":7445" }},
		"for those with a certificate":      {change: func(c *Operator) { c.Scaler = Scaler{Address: ":7445", ClientCA: "/ca.crt"} }},
		"without launches":                  {change: func(c *Operator) { c.Push.Enabled, c.Scaler = false, Scaler{Address: ":7445", Insecure: true} }},
		"no port":                           {func(c *Operator) { c.Scaler.Address = "localhost" }, "--keda-scaler-address"},
		"over TLS, without launches":        {func(c *Operator) { c.Push.Enabled, c.Scaler.Address = false, ":7445" }, "--keda-scaler-insecure"},
		"without TLS, but with a CA for it": {func(c *Operator) { c.Scaler = Scaler{Address: ":7445", Insecure: true, ClientCA: "/ca.crt"} }, "--keda-scaler-client-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultOperator()
			tc.change(&c)
			err := c.Validate()
			if (err != nil) != (tc.fault != "") {
				t.Fatalf("the error is %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.fault+" is ") || !strings.Contains(err.Error(), "must be")) {
				t.Errorf("the error %q doesn't say what %s must be", err, tc.fault)
			}
		})
	}
}
