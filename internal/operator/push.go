// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/controller"
	"github.com/paia-tech/hotstandbyjob/internal/gateway"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/leader"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
	"github.com/paia-tech/hotstandbyjob/internal/tally"
	"github.com/paia-tech/hotstandbyjob/internal/trace"
	"github.com/paia-tech/hotstandbyjob/internal/webhook"
)

// container is the operator's own in its pod.
const container = "operator"

// launches are what page and scaler have of them; nothing where none are served.
type launches struct {
	certificate *certificate.Serving
	waiting     func(pool types.NamespacedName) int
}

// push adds to a manager what launches need: the registry of standby pods, the gateway that they are connected to, the
// launcher that gives them to Jobs, and the webhook that hands Jobs to the launcher. It returns what the controllers need
// of it, and what page and scaler do. told hears of launches.
func push(ctx context.Context, mgr ctrl.Manager, c config.Operator, told *tally.Tally, traces *trace.Tracer) (controller.Push, launches, error) {
	api, err := clientset(mgr)
	if err != nil {
		return controller.Push{}, launches{}, err
	}
	serving, err := serve(ctx, mgr, c)
	if err != nil {
		return controller.Push{}, launches{}, err
	}
	image, err := standbyImage(ctx, mgr, c)
	if err != nil {
		return controller.Push{}, launches{}, err
	}
	registry := standby.New(standby.Deps{Client: api, Answers: api.CoreV1().RESTClient(), Clock: clock.RealClock{}, Log: mgr.GetLogger().WithName("standby")})
	registry.OnStarted(told.Started)
	registry.OnLost(told.ClaimLost)
	known := pools{mgr.GetCache()}
	var heard []toolscache.InformerSynced
	launcher, err := launch.New(launch.Deps{
		Client: api, Namespace: c.Namespace, Pools: known, Registry: launch.FromRegistry(registry),
		Recorder: mgr.GetEventRecorder("hotstandbyjob"), Clock: clock.RealClock{}, Log: mgr.GetLogger(), Workers: c.Push.LaunchWorkers,
		Observer: told,
		Synced:   func(ctx context.Context) bool { return toolscache.WaitForCacheSync(ctx.Done(), heard...) },
	})
	if err != nil {
		return controller.Push{}, launches{}, err
	}
	told.Waiting(launcher.Waiting)
	// The gateway listens to the registry, also where it isn't served: it comes before the registry hears of pods.
	watcher, err := gateway.NewInformerWatcher(launcher.Informers())
	if err != nil {
		return controller.Push{}, launches{}, err
	}
	handler := gateway.New(gateway.Deps{
		Client: api, Registry: registry, Pools: known, Watcher: watcher, Before: launcher.Before, Clock: clock.RealClock{},
		Log:        slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("gateway"))),
		AnyAddress: c.Push.GatewayAnyAddress, Streams: told.Streams,
	})
	runs := newRunner(mgr, launcher, registry)
	if heard, err = feed(ctx, mgr, registry, launcher); err != nil {
		return controller.Push{}, launches{}, err
	}
	entrypoint := func() object.Entrypoint {
		return object.Entrypoint{Image: image, GatewayURL: c.StandbyURL(), CA: string(serving.CA())}
	}
	supported, err := webhook.SupportsManagedBy(ctx, api, cmp.Or(c.Namespace, c.PodNamespace, metav1.NamespaceDefault))
	unlaunchable := err == nil && !supported
	switch {
	case err != nil: // no reason not to keep pools
		mgr.GetLogger().Error(err, "find out whether Jobs can be managed by the launcher: until the next start the webhook takes it that they can't")
	case unlaunchable:
		mgr.GetLogger().Info("this cluster's Jobs have no spec.managedBy, which launches need (Kubernetes 1.32 or later): Jobs with a pool's label are ordinary Jobs")
	}
	hook := &webhook.Handler{Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Namespace: c.Namespace, Unsupported: !supported}
	if traces != nil {
		hook.Trace = traces.Admission
	}
	return controller.Push{Registry: registry, Entrypoint: entrypoint, Unlaunchable: unlaunchable},
		launches{certificate: serving, waiting: launcher.Waiting},
		errors.Join(mgr.Add(runs), addGateway(mgr, c, handler, serving, launcher), addWebhook(mgr, c, hook, serving, launcher))
}

// clientset is a client of everything that reads nothing from the cache.
func clientset(mgr ctrl.Manager) (kubernetes.Interface, error) {
	rc := rest.CopyConfig(mgr.GetConfig())
	// Of built-in kinds the server writes and reads this much faster than JSON.
	rc.AcceptContentTypes, rc.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	api, err := kubernetes.NewForConfigAndClient(rc, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return api, nil
}

// serve is the certificate of webhook and gateway.
func serve(ctx context.Context, mgr ctrl.Manager, c config.Operator) (*certificate.Serving, error) {
	names, ips := c.CertificateHosts(webhook.Service, config.GatewayService)
	if c.InMemory() {
		return certificate.SelfSigned(clock.RealClock{}.Now(), names, ips)
	}
	serving, err := certificate.Rotated(ctx, mgr, certificate.Options{
		Secret: types.NamespacedName{Namespace: c.PodNamespace, Name: c.Push.CertificateSecret},
		Names:  names, Webhook: webhook.ConfigurationName, Controller: "certificate",
	})
	if err != nil {
		return nil, err
	}
	return serving, mgr.AddReadyzCheck("certificate", serving.Ready)
}

// standbyImage is the image with the entrypoint: the one that was named, or else the operator's own.
func standbyImage(ctx context.Context, mgr ctrl.Manager, c config.Operator) (string, error) {
	if c.Push.StandbyImage != "" || c.PodName == "" {
		return c.Push.StandbyImage, nil
	}
	return leader.Image(ctx, mgr.GetAPIReader(), types.NamespacedName{Namespace: c.PodNamespace, Name: c.PodName}, container)
}

func addGateway(mgr ctrl.Manager, c config.Operator, handler *gateway.Gateway, serving *certificate.Serving, launcher *launch.Launcher) error {
	if c.Push.GatewayAddress == config.Off {
		return nil
	}
	return mgr.Add(&gateway.Server{
		Handler: handler, Address: c.Push.GatewayAddress, GetCertificate: serving.GetCertificate, After: launcher.Running(),
		Log: slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("gateway"))),
	})
}

func addWebhook(mgr ctrl.Manager, c config.Operator, handler *webhook.Handler, serving *certificate.Serving, launcher *launch.Launcher) error {
	if c.Push.WebhookAddress == config.Off {
		return nil
	}
	server, err := webhook.NewServer(c.Push.WebhookAddress, serving.Configure)
	if err != nil {
		return err
	}
	server.Register(webhook.Path, handler.Admission())
	overlooked := webhook.NewOverlooked(handler, mgr.GetEventRecorder("hotstandbyjob"), clock.RealClock{})
	jobs, _ := launcher.Informers()
	_, err = jobs.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: func(o any) {
		if job, ok := o.(*batchv1.Job); ok && launch.Unmanaged(job) {
			overlooked.Observe(job)
		}
	}})
	return errors.Join(err, mgr.Add(server), mgr.Add(overlooked))
}
