// Package ca is the manager's certificate authority: it signs the client certificates of machines and the managers' own serving
// certificate. What comes in are the Secret that all replicas share, and signing requests that somebody else has approved; what goes
// out are certificates, and the public facts that people and agents need to trust them. It decides about no machine, and its
// key leaves it only for the Secret.
package ca
