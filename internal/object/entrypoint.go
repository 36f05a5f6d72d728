// SPDX-License-Identifier: Apache-2.0

package object

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Entrypoint is what the program that is put in front of a container's command, and how it reaches the operator, depend
// on beside the pool.
type Entrypoint struct {
	Image      string // the one that has the program
	GatewayURL string // https://host:port; empty: there is none
	CA         string // by whose certificate, in PEM, the gateway is known
}

// Where things are in a container with the entrypoint.
const (
	entrypointDir     = "/.hsj"
	entrypointBin     = entrypointDir + "/bin"
	entrypointLaunch  = entrypointDir + "/launch"
	entrypointRun     = entrypointDir + "/run"
	entrypointProgram = entrypointBin + "/standby"
	entrypointSocket  = entrypointRun + "/report.sock"

	installContainer = "hsj-install"
	binVolume        = "hsj-bin"
	launchVolume     = "hsj-launch"
	runVolume        = "hsj-run"

	// installUser is the init container's user: any but root would do.
	installUser = 65532
	// tokenSeconds is how long the token that proves to the gateway who a pod is may be used; the kubelet renews it.
	tokenSeconds = 3600
	// probeSlack is how much longer the kubelet waits for a warm-up than the entrypoint, which can say what went wrong.
	probeSlack = 60
)

// install adds the init container that brings the program, and mounts what every container with the entrypoint has. The
// program is put in front of the container's command by the caller.
func (e Entrypoint) install(template *corev1.PodTemplateSpec, container *corev1.Container) {
	spec := &template.Spec
	spec.InitContainers = slices.Insert(spec.InitContainers, 0, e.installer(spec, container))
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: binVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		corev1.Volume{Name: launchVolume, VolumeSource: corev1.VolumeSource{Projected: launchFiles()}},
	)
	container.VolumeMounts = append(container.VolumeMounts,
		corev1.VolumeMount{Name: binVolume, MountPath: entrypointBin, ReadOnly: true},
		corev1.VolumeMount{Name: launchVolume, MountPath: entrypointLaunch, ReadOnly: true},
	)
	template.Annotations[v1alpha1.AnnotationGatewayCA] = e.CA
}

// addRunDir mounts a folder that the entrypoint can write to, whatever else in the container is read-only.
func addRunDir(spec *corev1.PodSpec, container *corev1.Container) {
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: runVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: runVolume, MountPath: entrypointRun})
}

// installer is the init container. It comes first, and asks for no more than the container that it brings the program to:
// where a quota wants requests and limits it has them, and the pod as a whole needs no more than without it.
func (e Entrypoint) installer(spec *corev1.PodSpec, container *corev1.Container) corev1.Container {
	security := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if spec.SecurityContext == nil || ptr.Deref(spec.SecurityContext.RunAsUser, 0) == 0 {
		security.RunAsUser = new(int64(installUser))
	}
	return corev1.Container{
		Name:            installContainer,
		Image:           e.Image,
		Command:         []string{"/standby", "install", entrypointBin},
		Resources:       ordinary(container.Resources),
		VolumeMounts:    []corev1.VolumeMount{{Name: binVolume, MountPath: entrypointBin}},
		SecurityContext: security,
	}
}

// ordinary are the resources that copying a file may need. Devices are none of them.
func ordinary(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	only := func(all corev1.ResourceList) corev1.ResourceList {
		var some corev1.ResourceList
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			if quantity, ok := all[name]; ok {
				if some == nil {
					some = corev1.ResourceList{}
				}
				some[name] = quantity.DeepCopy()
			}
		}
		return some
	}
	return corev1.ResourceRequirements{Requests: only(r.Requests), Limits: only(r.Limits)}
}

// launchFiles are the files by which the entrypoint hears of its launch, and proves to the gateway which pod it is in.
func launchFiles() *corev1.ProjectedVolumeSource {
	annotation := func(file, key string) corev1.DownwardAPIVolumeFile {
		return corev1.DownwardAPIVolumeFile{
			Path:     file,
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + key + "']"},
		}
	}
	return &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: v1alpha1.TokenAudience, ExpirationSeconds: new(int64(tokenSeconds)), Path: "token",
		}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			annotation("payload", v1alpha1.AnnotationPayload),
			annotation("gateway-ca.crt", v1alpha1.AnnotationGatewayCA),
		}}},
	}}
}

// command is the entrypoint's own, for all it is used for.
func (e Entrypoint) command(flags ...string) []string {
	return append([]string{entrypointProgram, "run", "--gateway-url=" + e.GatewayURL, "--launch-dir=" + entrypointLaunch}, flags...)
}

// warmupFlags tell the entrypoint of a warm-up. The kubelet expands references such as $(HOME) in all commands: in this
// one they must arrive as they are, since a value with a quotation mark in it would not leave it JSON.
func warmupFlags(w *v1alpha1.Warmup) []string {
	return []string{
		"--warmup=" + strings.ReplaceAll(string(encode(w.Command)), "$", "$$"),
		"--warmup-timeout=" + (time.Duration(w.TimeoutSeconds) * time.Second).String(),
	}
}

// warmProbe asks the entrypoint whether the warm-up is done.
func warmProbe(w *v1alpha1.Warmup) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{entrypointProgram, "ready"}}},
		PeriodSeconds:    1,
		TimeoutSeconds:   5,
		FailureThreshold: w.TimeoutSeconds + probeSlack,
	}
}
