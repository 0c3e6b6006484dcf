package local

// The commands that a client may send.
const (
	// commandStatus is answered by one status.
	commandStatus = "status"
	// commandWatch is answered by a status now and one after each change, until the client hangs up.
	commandWatch = "watch"
	// commandDrain takes the machine out of rotation and is answered by a status once its callers are served.
	commandDrain = "drain"
	// commandDrainProxy does so until the proxy is ready again.
	commandDrainProxy = "drain-proxy"
)

// request is the one line that a client sends.
type request struct {
	Command string `json:"command"`
}

// response is one line of an answer: a status, or why there is none.
type response struct {
	Status *Status `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
}
