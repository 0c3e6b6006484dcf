//go:build lab

package network_test

import (
	"os"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
)

func TestMain(m *testing.M) { os.Exit(machinetest.Main(m)) }
