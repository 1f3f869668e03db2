package guard

import "reflect"

// MostErrors is how much of an error's tree is looked at. A tree may contain itself, and then the
// functions of package errors end the process: nothing recovers from a stack overflow.
const MostErrors = 1000

// Is is [errors.Is] for a tree of any size. It calls methods of err, so it belongs into a function
// that is guarded. So does AsType.
func Is(err, target error) bool {
	canCompare := reflect.TypeOf(target).Comparable()
	return find(err, func(err error) bool {
		is, ok := err.(interface{ Is(error) bool })
		return canCompare && err == target || ok && is.Is(target)
	})
}

// AsType is [errors.AsType] for a tree of any size.
func AsType[E error](err error) (as E, found bool) {
	found = find(err, func(err error) bool {
		other, ok := err.(interface{ As(any) bool })
		if e, is := err.(E); is {
			as = e
			return true
		}
		return ok && other.As(&as)
	})
	return as, found
}

// find looks for an error in the tree of err, depth first.
func find(err error, match func(error) bool) bool {
	pending := []error{err}
	for n := 0; len(pending) > 0 && n < MostErrors; n++ {
		last := len(pending) - 1
		err, pending = pending[last], pending[:last]
		if err == nil {
			continue
		}
		if match(err) {
			return true
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			pending = append(pending, e.Unwrap())
		case interface{ Unwrap() []error }:
			inner := e.Unwrap()
			for i := range inner {
				pending = append(pending, inner[len(inner)-1-i])
			}
		}
	}
	return false
}
