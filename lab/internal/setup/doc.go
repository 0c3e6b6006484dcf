// Package setup is what the lab is made of: programs, images and parts, as `hawser-lab up` prepares them on the host and hands them to the supervisor
// in the sandbox.
//
// It makes nothing run. It must stay small, as the command line is linked with it.
package setup
