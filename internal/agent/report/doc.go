// Package report gathers what the agent's parts know about the machine and says it in one voice: as the Report that goes
// to the manager, as conditions, and as facts for `hawser-agent status`. In come updates from the parts, out comes a
// complete report whenever something changed.
//
// It decides what the facts mean and does nothing about them: it neither probes nor sends.
package report
