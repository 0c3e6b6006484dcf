// Package jointoken is the text that a host joins with. It carries the name of a JoinToken object, a secret, and the pin of the manager's CA;
// a checksum tells a text that was cut off or mistyped from one that was forged, without asking anybody. What comes in and goes out
// are values; nothing is stored, looked up or sent here. A Token prints itself without its secret in every way that fmt and slog have.
package jointoken
