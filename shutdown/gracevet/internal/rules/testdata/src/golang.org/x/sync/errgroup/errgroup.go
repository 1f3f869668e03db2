package errgroup

type Group struct{}

func (*Group) Go(func() error) {}
func (*Group) Wait() error     { return nil }
