package rules

var endedctx = rule{
	name: "endedctx",
	doc: `report a context that has ended and is given to Shutdown

Wrong:

	<-ctx.Done()
	srv.Shutdown(ctx)

Right:

	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	srv.Shutdown(drain)

The context of Shutdown says how long it may wait. One that has ended means not at all: Shutdown
returns at once, and the requests in flight are cut off when the program ends.

Source: https://pkg.go.dev/net/http#Server.Shutdown`,
	needs: []string{"context"},
	run: func(p *pass) {
		for call := range p.usesOfEnded() {
			if recv, name := p.method(call); recv != nil && name == "Shutdown" {
				p.report(call.Args[0], "this context has ended already, so Shutdown does not wait")
			}
		}
	},
}
