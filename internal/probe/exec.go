// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// execRemedy is what to do where the operator may not exec.
const execRemedy = `install config/components/exec, or set busyProbe.exec.runner: Kubelet`

// askExec runs the command once. Only an exit code is success or failure.
func (p *Prober) askExec(ctx context.Context, f *flight) Reading {
	if p.options.Exec == nil {
		return Reading{Reason: "exec: the operator runs without it: " + execRemedy}
	}
	target := f.entry.target
	if target.Container == "" {
		target.Container = f.pool.question.container
	}
	code, err := p.options.Exec.Exec(ctx, target, f.pool.question.command)
	switch {
	case ctx.Err() != nil: // also with an exit code: a command that is cut off may have one
		f.cutOff = true
		return Reading{Reason: "exec: the command didn't end within " + f.timeout.String()}
	case apierrors.IsForbidden(err):
		return Reading{Reason: "exec: the operator may not exec in this namespace: " + execRemedy}
	case err != nil:
		return Reading{Reason: "exec: " + cause(err)}
	default:
		return Reading{Signal: f.pool.question.signal(code == 0)}
	}
}
