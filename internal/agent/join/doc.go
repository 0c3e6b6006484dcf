// Package join makes a host a machine of the mesh: it checks the host, makes the key, exchanges the join token for an identity,
// starts the agent's service, and follows the agent until the machine is ready. Each step is on the disk before the next one
// begins, so that a join which was cut off anywhere is finished by repeating it.
//
// What is done to the host beyond that, the agent does.
package join
