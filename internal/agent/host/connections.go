package host

import (
	"context"
	"errors"
	"slices"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// observeConnections looks where the proxies have their configuration from. A kernel that cannot tell, or cannot end what it tells of, has none.
func (h *Host) observeConnections(_ context.Context, want *hawserv1.DesiredState, seen *plan.Observed) error {
	port := plan.DiscoveryPort(want)
	if port == 0 || h.connectionsStay {
		return nil
	}
	found, err := h.connections(plan.AccountID, port)
	if err != nil {
		h.log.Debug("the kernel does not tell of connections", "error", err)
		return nil
	}
	for _, connection := range found {
		seen.Connections = append(seen.Connections, connection.Remote.Addr())
	}
	return nil
}

func (h *Host) endConnections(s plan.EndConnections) error {
	found, err := h.connections(plan.AccountID, s.Port)
	if err != nil {
		return err
	}
	for _, connection := range found {
		if !slices.Contains(s.Addresses, connection.Remote.Addr()) {
			continue
		}
		err := h.end(connection)
		if errors.Is(err, socket.ErrNotEnded) {
			h.log.Warn("the proxy stays with the gateway's former address until its own keepalive ends that connection", "error", err)
			h.connectionsStay = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
