package managertest

import hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"

// Desire sets the state of all machines and sends it to those that are connected.
func (m *Manager) Desire(state *hawserv1.DesiredState) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.state = state
	m.push(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_State{State: state}})
}

// SendToken sends a fresh Istio token alone.
func (m *Manager) SendToken(token *hawserv1.IstioToken) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.push(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Token{Token: token}})
}

// Remove tells connected machines that they were deleted, and knows them no more.
func (m *Manager) Remove(reason string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for machine := range m.machines {
		m.leaving[machine] = true
	}
	clear(m.machines)
	m.push(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Removed{Removed: &hawserv1.Removed{Reason: reason}}})
}

// Cut ends all streams with err.
func (m *Manager) Cut(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, s := range m.sessions {
		select {
		case s.cut <- err:
		default:
			// It is being cut already.
		}
	}
}

func (m *Manager) push(response *hawserv1.SyncResponse) {
	for _, s := range m.sessions {
		s.down <- response
	}
}
