// Package preempt makes the notice of a cloud, that it takes the machine away, stop the service in
// order and in time.
//
//	gs.AddManager(preempt.AWS(), preempt.GoogleCloud(), preempt.Azure())
//
// Each manager asks the metadata service of its provider, which answers on the machine itself.
// Start returns at once. Where the metadata service does not answer within some seconds, because
// the machine is another provider's or nobody's, nothing is watched, and the shutdown's Logger says
// so in one line.
//
// The reason of the shutdown is a [*Notice] with a deadline (see [shutdown.Before]), so that Grace,
// Delay and Tail fit into what the provider leaves. A machine may also go without a notice, or
// sooner than announced; AWS and Azure call theirs best effort.
//
// # Who needs it
//
// A program that runs on a virtual machine of its own: spot and preemptible instances, groups that
// scale, hosts that need maintenance. On most platforms for containers something else watches the
// machine, and the program gets a SIGTERM, for which there is package posixsignal. The page [What
// platforms do instead] has a table of them, with Grace, Delay and Tail for each.
//
// # What may go wrong
//
// A metadata service that fails, hangs, throttles or lies costs nothing but a line in the Logger's
// log, at most one in ten minutes. Nothing but a well-formed notice from a service that has shown
// itself to be the provider's stops the service. No redirect is followed, no proxy is used, no more
// than 64 KiB are read, and after a failure the pauses grow up to ten seconds.
//
// A service that is started again while a notice stands stops again. So let the supervisor restart
// it only after a failure (Restart=on-failure).
//
// [What platforms do instead]: https://github.com/gracekit/gracekit/tree/main/shutdown/preempt
package preempt
