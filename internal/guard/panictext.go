package guard

// PanicText returns the text of a package's own PanicError: that of the value, an empty line and
// the stack. caught is the text of [Panic.Error]; it is empty for a PanicError that a user has
// made.
func PanicText(caught string, value any, stack []byte) string {
	if caught == "" {
		caught = (&Panic{Text: Text(value)}).Error()
	}
	return caught + "\n\n" + string(stack)
}
