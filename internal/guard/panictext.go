package guard

// PanicText returns the text of a package's own PanicError: that of the value, an empty line and
// the stack. caught is what [Panic.Error] returned; it is empty if a user has made the error.
func PanicText(caught string, value any, stack []byte) string {
	if caught == "" {
		caught = (&Panic{Text: Text(value)}).Error()
	}
	return caught + "\n\n" + string(stack)
}
