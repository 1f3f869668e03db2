package log

type Event struct{}

func Fatal() *Event               { return nil }
func (e *Event) Err(error) *Event { return e }
func (*Event) Msg(string)         {}
