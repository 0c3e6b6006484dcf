// Package lab is the lab inside its sandbox: the sequence by which its parts come up, and the API that the command line asks.
//
// In comes the setup on standard input; it knows all other packages of the lab but the command line. Nothing may import it but the sandbox's program.
package lab
