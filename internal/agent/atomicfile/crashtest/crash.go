// Package crashtest cuts work off where a power cut might: before one of the changes that it makes to the file system. In comes
// the number of the change, out comes whether the work got that far. It must not be used outside of tests.
package crashtest

// crash is what is thrown in place of a power cut.
type crash struct{ change string }

// At does work and cuts it off before its change number n, counted from zero; only its deferred functions run after that. It
// returns the text of that change, or an empty text and the error of work if there are no more than n changes.
//
// work hands before on to what it tests, which calls it before each change.
func At(n int, work func(before func(change string)) error) (cut string, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case crash:
			cut, err = thrown.change, nil
		default:
			panic(thrown)
		}
	}()
	return "", work(func(change string) {
		if n == 0 {
			panic(crash{change})
		}
		n--
	})
}
