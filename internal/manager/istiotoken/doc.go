// Package istiotoken mints the tokens that machines' proxies show to istiod. What comes in: a machine and its group's ServiceAccount.
// What goes out: a token for audience istio-ca, bound to a Secret of the machine's own, so that deleting the Secret voids it (docs/adr/0008);
// and when to fetch the next one. It must not log or store a token.
package istiotoken
