// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/paia-tech/hotstandbyjob/client"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// A program in the cluster, whose service account may create jobs in the namespace games, runs a command in a pod of the
// pool game.
func Example() {
	ca, err := os.ReadFile("/etc/hotstandbyjob/ca.crt")
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New("https://hotstandbyjob-gateway.hotstandbyjob:9444",
		client.WithTokenFile("/var/run/secrets/kubernetes.io/serviceaccount/token"),
		client.WithCA(ca))
	if err != nil {
		log.Fatal(err)
	}
	launch, err := c.Launch(context.Background(), &launcherv1.LaunchRequest{
		Namespace: "games", Pool: "game", RequestKey: "match-42",
		Args: []string{"--map", "harbour"}, Env: map[string]string{"PLAYERS": "4"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range launch.Events() {
		if err != nil {
			log.Fatal(err)
		}
		if bound := event.GetBound(); bound != nil {
			fmt.Println("it plays at", bound.GetPodIp())
		}
		if finished := event.GetFinished(); finished != nil {
			fmt.Println("exit code", finished.GetExitCode())
		}
	}
}

// Whoever wants the exit code only waits for it.
func ExampleLaunch_Wait() {
	c, err := client.New("https://localhost:9444", client.WithToken(os.Getenv("TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	launch, err := c.Launch(context.Background(), &launcherv1.LaunchRequest{Namespace: "games", Pool: "game"})
	if err != nil {
		log.Fatal(err)
	}
	code, err := launch.Wait()
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}
