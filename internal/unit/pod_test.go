// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// TestPodsOfKinds is about pods that don't simply run.
func TestPodsOfKinds(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    string
		phase   pool.Phase
		wasBusy bool
	}{
		"a pod that is pending is starting":                      {kind: "pending", phase: pool.Starting},
		"a pod that succeeded is no busy one (defect 15)":        {kind: "succeeded", phase: pool.Succeeded},
		"a pod that failed before it got work":                   {kind: "failed", phase: pool.Failed},
		"a pod that failed at work":                              {kind: "fell", phase: pool.Failed, wasBusy: true},
		"a pod that is being deleted is no capacity (defect 22)": {kind: "leaving idle", phase: pool.Terminating},
		"a busy pod that is being deleted was busy":              {kind: "leaving busy", phase: pool.Terminating, wasBusy: true},
		"a finished pod that is being deleted is being deleted":  {kind: "leaving succeeded", phase: pool.Terminating},
		"a fenced pod that turned busy is busy (defect 5)":       {kind: "caught", phase: pool.Busy},
		"a busy pod whose annotation was taken away is idle":     {kind: "released", phase: pool.Idle},
	} {
		t.Run(name, func(t *testing.T) {
			got := annotationView().pod(podsOf(t, tc.kind)[0])
			if got.phase != tc.phase || got.wasBusy != tc.wasBusy {
				t.Errorf("got %s, want %s", describe(got.phase, got.wasBusy), describe(tc.phase, tc.wasBusy))
			}
		})
	}
}

func TestAnnotation(t *testing.T) {
	for name, tc := range map[string]struct {
		probe       v1alpha1.BusyProbe
		annotations map[string]string
		want        pool.Phase
	}{
		"true":                  {annotations: map[string]string{"paia.tech/busy": "true"}, want: pool.Busy},
		"in any letter case":    {annotations: map[string]string{"paia.tech/busy": "TrUe"}, want: pool.Busy},
		"spaces aren't trimmed": {annotations: map[string]string{"paia.tech/busy": " true"}, want: pool.Idle},
		"another word":          {annotations: map[string]string{"paia.tech/busy": "yes"}, want: pool.Idle},
		"false":                 {annotations: map[string]string{"paia.tech/busy": "false"}, want: pool.Idle},
		"none":                  {want: pool.Idle},
		"mode annotation is the default": {
			probe: v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation}, annotations: map[string]string{"paia.tech/busy": "true"}, want: pool.Busy,
		},
		"a key of the user's own": {
			probe: v1alpha1.BusyProbe{AnnotationKey: "a/b"}, annotations: map[string]string{"a/b": "true"}, want: pool.Busy,
		},
		"the default key isn't looked at beside it": {
			probe: v1alpha1.BusyProbe{AnnotationKey: "a/b"}, annotations: map[string]string{"paia.tech/busy": "true"}, want: pool.Idle,
		},
		"mode redis doesn't look at it (defect 18: no mode silently becomes another)": {
			probe: v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis}, annotations: map[string]string{"paia.tech/busy": "true"}, want: pool.Unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := runningPod("p", v1alpha1.PodIdle)
			p.Annotations = tc.annotations
			if got := viewOf(tc.probe, nil).pod(p); got.phase != tc.want {
				t.Errorf("got %s, want %s", describe(got.phase, false), describe(tc.want, false))
			}
		})
	}
}

func TestPendingPodWithTheAnnotationIsBusy(t *testing.T) {
	p := podsOf(t, "pending")[0]
	annotate(p)
	if got := annotationView().pod(p); got.phase != pool.Busy {
		t.Errorf("it is %s: somebody has given it work before it runs", describe(got.phase, false))
	}
}

// TestKubeletProbe is about the pod's other containers, and the time until the command has run once.
func TestKubeletProbe(t *testing.T) {
	kubelet := func(successIsBusy bool) View {
		return viewOf(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{
			SuccessIsBusy: &successIsBusy, PeriodSeconds: 5, TimeoutSeconds: 2,
		}}, nil)
	}
	probed := func(label v1alpha1.PodState) *corev1.Pod {
		p := runningPod("p", label)
		p.Annotations[v1alpha1.AnnotationKubeletProbe] = "worker"
		setReady(p, false)
		return p
	}
	sidecar := func(label v1alpha1.PodState, state corev1.ContainerState) *corev1.Pod {
		p := runningPod("p", label)
		p.Annotations[v1alpha1.AnnotationKubeletProbe] = "agent"
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "agent", Started: new(state.Running != nil), State: state}}
		return p
	}
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(happened)}}
	crashed := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}

	for name, tc := range map[string]struct {
		view View
		pod  *corev1.Pod
		want pool.Phase
		wake time.Duration
	}{
		"a command that fails says idle":                    {view: kubelet(true), pod: probed("idle"), want: pool.Idle},
		"defect 13: with successIsBusy: false it says busy": {view: kubelet(false), pod: probed("idle"), want: pool.Busy},
		"a new pod has its period, its timeout and a second until it counts as busy": {
			view: kubelet(false),
			pod: func() *corev1.Pod {
				p := probed("starting")
				p.Status.ContainerStatuses[0].State.Running.StartedAt = ago(-3 * time.Second)
				return p
			}(),
			want: pool.Starting, wake: 5 * time.Second,
		},
		"a period and a timeout of 0 are the defaults, as the kubelet has them": {
			view: viewOf(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{SuccessIsBusy: new(false)}}, nil),
			pod: func() *corev1.Pod {
				p := probed("starting")
				p.Status.ContainerStatuses[0].State.Running.StartedAt = ago(-8 * time.Second)
				return p
			}(),
			want: pool.Starting, wake: 4 * time.Second,
		},
		"after that it is busy": {
			view: kubelet(false),
			pod: func() *corev1.Pod {
				p := probed("starting")
				p.Status.ContainerStatuses[0].State.Running.StartedAt = ago(-8 * time.Second)
				return p
			}(),
			want: pool.Busy,
		},
		"another container that isn't ready keeps a new pod from being warm": {
			view: kubelet(true),
			pod: func() *corev1.Pod {
				p := probed("starting")
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy"})
				return p
			}(),
			want: pool.Starting,
		},
		"a pod whose containers the kubelet hasn't reported is starting": {
			view: kubelet(true),
			pod: func() *corev1.Pod {
				p := probed("starting")
				p.Status.ContainerStatuses = nil
				return p
			}(),
			want: pool.Starting,
		},
		"a sidecar's readiness is the signal":                   {view: kubelet(true), pod: sidecar("idle", runs), want: pool.Idle},
		"a sidecar that crashed says nothing":                   {view: kubelet(true), pod: sidecar("busy", crashed), want: pool.Unknown},
		"a sidecar that crashed at the start isn't warm":        {view: kubelet(true), pod: sidecar("starting", crashed), want: pool.Starting},
		"a sidecar that restarts says nothing, inverted either": {view: kubelet(false), pod: sidecar("idle", crashed), want: pool.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.view.pod(tc.pod)
			if got.phase != tc.want || got.wake != tc.wake {
				t.Errorf("got %s, again in %s; want %s, again in %s", describe(got.phase, false), got.wake, describe(tc.want, false), tc.wake)
			}
		})
	}
}

func TestWarmSince(t *testing.T) {
	p := runningPod("p", v1alpha1.PodIdle)
	p.Status.ContainerStatuses[0].State.Running.StartedAt = ago(-40 * time.Minute)
	if got := warmSince(p); !got.Equal(noon.Add(happened)) {
		t.Errorf("warm since %s: not since it is ready", got)
	}
	p.Annotations[v1alpha1.AnnotationKubeletProbe] = "worker"
	if got := warmSince(p); !got.Equal(noon.Add(-40 * time.Minute)) {
		t.Errorf("warm since %s: where readiness is the busy signal, it is since the container runs", got)
	}
}

func TestReasons(t *testing.T) {
	waiting := func(reason, message string) *corev1.Pod {
		p := podsOf(t, "pending")[0]
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "worker", Image: "busybox:none",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
		return p
	}
	failed := func(change func(*corev1.Pod)) *corev1.Pod {
		p := podsOf(t, "failed")[0]
		change(p)
		return p
	}
	terminated := func(p *corev1.Pod) *corev1.ContainerStateTerminated {
		return p.Status.ContainerStatuses[0].State.Terminated
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"an image that can't be pulled":          {waiting("ErrImagePull", "rpc error 1"), "container worker: image busybox:none can't be pulled"},
		"the same while the kubelet waits":       {waiting("ImagePullBackOff", "Back-off"), "container worker: image busybox:none can't be pulled"},
		"a missing ConfigMap":                    {waiting("CreateContainerConfigError", `configmap "a" not found`), `container worker: CreateContainerConfigError: configmap "a" not found`},
		"that it is being created is no trouble": {waiting("ContainerCreating", ""), ""},
		"no node takes it": {func() *corev1.Pod {
			p := podsOf(t, "pending")[0]
			p.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available",
			}}
			return p
		}(), "no node takes it: 0/1 nodes are available"},
		"an exit code":        {failed(func(*corev1.Pod) {}), "container worker: Error, exit code 3"},
		"with its last words": {failed(func(p *corev1.Pod) { terminated(p).Message = "no config\n" }), "container worker: Error, exit code 3: no config"},
		"the last 300 bytes of many words, cut at a character": {
			failed(func(p *corev1.Pod) { terminated(p).Message = strings.Repeat("ä", 200) }),
			"container worker: Error, exit code 3: …" + strings.Repeat("ä", 150),
		},
		"an init container that failed comes first": {failed(func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{
				Name: "setup", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1}},
			}}
		}), "container setup: Error, exit code 1"},
		"an evicted pod has no container to blame": {failed(func(p *corev1.Pod) {
			p.Status.ContainerStatuses, p.Status.Reason, p.Status.Message = nil, "Evicted", "The node was low on resource: memory."
		}), "Evicted: The node was low on resource: memory."},
		"nothing is known": {failed(func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := annotationView().pod(tc.pod); got.reason != tc.want {
				t.Errorf("got  %q\nwant %q", got.reason, tc.want)
			}
		})
	}
}

func TestReadingOfAnotherPodIsNotTaken(t *testing.T) {
	v := viewOf(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByHTTP}, map[string]signal.Reading{"p": {Signal: signal.Idle}})
	p := runningPod("p", v1alpha1.PodIdle)
	p.UID = "a pod of the same name, made anew"
	if got := v.pod(p); got.phase != pool.Unknown {
		t.Errorf("it is %s by the reading of its predecessor", describe(got.phase, false))
	}
}

func TestEndedIsNeverUnknown(t *testing.T) {
	p := podsOf(t, "failed")[0]
	if got := annotationView().pod(p).ended; !got.Equal(noon.Add(happened)) {
		t.Errorf("it ended at %s, not when its container did", got)
	}
	p.Status.ContainerStatuses = nil
	if got := annotationView().pod(p).ended; !got.Equal(noon.Add(made)) {
		t.Errorf("it ended at %s; where nothing is known, it is when it was made", got)
	}
}
