// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// BusyProbeMode says where the busy signal comes from.
// +kubebuilder:validation:Enum=annotation;http;exec;redis;report
type BusyProbeMode string

// The busy signals.
const (
	BusyByAnnotation BusyProbeMode = "annotation"
	BusyByHTTP       BusyProbeMode = "http"
	BusyByExec       BusyProbeMode = "exec"
	BusyByRedis      BusyProbeMode = "redis"
	BusyByReport     BusyProbeMode = "report"
)

// BusyProbe tells busy pods from idle ones. A pod that isn't running and ready is neither; a pod whose signal can't be
// read is unknown, and is not retired.
//
// +kubebuilder:validation:XValidation:rule="!has(self.http) || self.mode == 'http'",message="busyProbe.http goes with mode: http; set the mode or remove the block",fieldPath=".http"
// +kubebuilder:validation:XValidation:rule="!has(self.exec) || self.mode == 'exec'",message="busyProbe.exec goes with mode: exec; set the mode or remove the block",fieldPath=".exec"
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || self.mode == 'redis'",message="busyProbe.redis goes with mode: redis; set the mode or remove the block",fieldPath=".redis"
type BusyProbe struct {
	// mode says where the busy signal comes from.
	// annotation: an annotation of the pod (annotationKey) is "true"; seen at once, costs nothing.
	// http: the operator sends GET to the pod (http).
	// exec: a command is run in the container (exec), by the kubelet or through the API server.
	// redis: an entry in a Redis hash (redis); seen at once where the server has keyspace notifications on.
	// report: the workload says so itself on the Unix socket /.hsj/run/report.sock, and is starting until it has said
	// something; seen at once, costs nothing. The operator puts a small program in front of the first container's command,
	// which must be given: what an image runs by itself can't be known.
	// Defaults to annotation.
	// +optional
	// +default="annotation"
	Mode BusyProbeMode `json:"mode,omitempty"`

	// annotationKey is the annotation that mode annotation looks at. A pod is busy while its value is "true", in any
	// letter case. Defaults to paia.tech/busy, also when empty.
	// +optional
	// +default="paia.tech/busy"
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",message="annotationKey must be an annotation's key, such as example.com/busy"
	AnnotationKey string `json:"annotationKey,omitempty"`

	// http is the request of mode http.
	// +optional
	HTTP *HTTPProbe `json:"http,omitempty"`

	// exec is the command of mode exec.
	// +optional
	Exec *ExecProbe `json:"exec,omitempty"`

	// redis is where mode redis finds the pods' entries.
	// +optional
	Redis *RedisProbe `json:"redis,omitempty"`
}

// HTTPProbe is a GET request that the operator sends to every pod. A status from 200 to 299 is success, any other
// failure; redirects aren't followed and proxies aren't used. No answer in time is unknown.
type HTTPProbe struct {
	// port is the pod's. Defaults to 8080.
	// +optional
	// +default=8080
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// path of the request. Defaults to /busy.
	// +optional
	// +default="/busy"
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^/`
	Path string `json:"path,omitempty"`

	// timeoutSeconds is how long the answer may take. Defaults to 1, also when 0.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=300
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// periodSeconds is how often a pod is asked. Defaults to 10, also when 0.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`

	// successIsBusy says that success means busy, and failure idle; false turns it round. Defaults to true.
	// +optional
	// +default=true
	SuccessIsBusy *bool `json:"successIsBusy,omitempty"`
}

// ExecRunner says who runs the command of an exec probe.
// +kubebuilder:validation:Enum=Auto;Kubelet;APIServer
type ExecRunner string

// The runners.
const (
	ExecAuto      ExecRunner = "Auto"
	ExecKubelet   ExecRunner = "Kubelet"
	ExecAPIServer ExecRunner = "APIServer"
)

// ExecProbe is a command that is run in every pod. Exit code 0 is success, any other failure.
type ExecProbe struct {
	// command and its arguments; no shell is involved. Defaults to ["cat", "/tmp/healthy"], also when empty.
	// +optional
	// +default=["cat","/tmp/healthy"]
	// +listType=atomic
	Command []string `json:"command,omitempty"`

	// container that it is run in. Defaults to the one named by the annotation kubectl.kubernetes.io/default-container, or
	// else the first.
	// +optional
	// +nullable
	Container *string `json:"container,omitempty"`

	// timeoutSeconds is how long the command may take; after that its result is unknown (runner APIServer) or failure
	// (runner Kubelet). Defaults to 1, also when 0.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=300
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// periodSeconds is how often the command is run in a pod. Defaults to 10, also when 0.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`

	// successIsBusy says that success means busy, and failure idle; false turns it round. Defaults to true.
	// +optional
	// +default=true
	SuccessIsBusy *bool `json:"successIsBusy,omitempty"`

	// runner says who runs the command.
	// Kubelet: it becomes the container's readinessProbe, and costs no API request. With successIsBusy, pods are then
	// Ready while busy, not while idle.
	// APIServer: the operator runs it as `kubectl exec` does; needs the permission pods/exec, which is not installed by
	// default.
	// Auto: Kubelet, but APIServer where the container has a readinessProbe of its own.
	// Defaults to Auto.
	// +optional
	// +default="Auto"
	Runner ExecRunner `json:"runner,omitempty"`
}

// RedisProbe is a Redis hash with a field for each pod: its name, with the value
// {"status": "starting"|"idle"|"busy"|"error", "updated_at": <unix seconds>}. What isn't given is taken from the
// operator's environment: REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD, REDIS_KEY_PREFIX.
//
// +kubebuilder:validation:XValidation:rule="!has(self.passwordSecretRef) || has(self.address)",message="passwordSecretRef goes with an address: a Secret of this namespace isn't sent to the operator's own server",fieldPath=".passwordSecretRef"
type RedisProbe struct {
	// address of the server, host:port. Defaults to REDIS_HOST and REDIS_PORT of the operator's environment, or else
	// localhost:6379.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:Pattern=`^.+:[0-9]{1,5}$`
	Address string `json:"address,omitempty"`

	// db is the number of the database. Defaults to REDIS_DB of the operator's environment, or else 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DB *int32 `json:"db,omitempty"`

	// key of the hash. Defaults to REDIS_KEY_PREFIX of the operator's environment, or else mlgame-daemon-pod.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`

	// passwordSecretRef is the Secret with the password, in the pool's namespace. Defaults to REDIS_PASSWORD of the
	// operator's environment where address isn't given, and to none where it is.
	// +optional
	PasswordSecretRef *SecretKeyReference `json:"passwordSecretRef,omitempty"`

	// staleSeconds is how old an entry's updated_at may be, in seconds; an older entry is unknown. 0 means that age
	// doesn't matter. Defaults to 600.
	// +optional
	// +default=600
	// +kubebuilder:validation:Minimum=0
	StaleSeconds *int32 `json:"staleSeconds,omitempty"`
}

// SecretKeyReference is a key of a Secret in the same namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key in the Secret's data. Defaults to "password".
	// +optional
	// +default="password"
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
