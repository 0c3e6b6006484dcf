// Package guide compares the user's guide with the code: every reason that a machine or a join can show is explained in it. It holds
// tests only and must not be imported.
package guide
