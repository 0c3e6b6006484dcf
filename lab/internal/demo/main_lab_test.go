//go:build lab

package demo_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

// binaryVariable hands the application, built where there is a network, to the run of the tests in the sandbox.
const binaryVariable = "HAWSER_LAB_TEST_DEMO_APP"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(binaryVariable) == "" {
		folder, err := os.MkdirTemp("", "hawser-demo-app-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(folder)
		binary := folder + "/hawser-demo-app"
		build := exec.Command("go", "build", "-o", binary, "github.com/hawser-io/hawser/lab/cmd/hawser-demo-app")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
		if err := os.Setenv(binaryVariable, binary); err != nil {
			panic(err)
		}
	}
	return machinetest.Main(m)
}
