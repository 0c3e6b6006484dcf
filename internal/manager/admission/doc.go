// Package admission tells a machine that was deleted from one that a restore of the cluster's state has forgotten, and takes the latter back.
// What comes in are certificates' stamps and the cluster's objects; what goes out are stamps for new certificates, and Machines made anew.
//
// Both kinds of machine look the same: a certificate of the manager's CA is shown, and there is no Machine. What tells them apart is the book, a
// ConfigMap in the manager's namespace. Each admission gets a stamp, which the machine's certificate carries, and the book is written before the
// certificate is signed, and after the Machine was. So a state of the cluster that has a stamp in its book has had the Machine, too: if there
// is none now, somebody has deleted it, by whatever way. A stamp that is not in the book was made in a state that is no more: that is
// the proof of a restore, and without it nobody is taken back (docs/adr/0018).
//
// A book that had each stamp would grow without end, and one number that counts up would be given again after a restore. So each manager process has
// a term of its own, named at random, in which nobody else counts: the book has the last number of each term. A process that finds
// its last number gone begins another term. A machine that was taken back is noted as returned: from then on it can be deleted as any other.
package admission
