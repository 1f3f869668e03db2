package zap

type Logger struct{}

func (*Logger) Fatal(string) {}
func (*Logger) Sync() error  { return nil }
