// Package systemd connects a [shutdown.GracefulShutdown] with the service manager: it says when the
// service is ready, that it lives and that it stops, asks for the time that the stop takes, and
// takes over the sockets that systemd listens on and the descriptors that it keeps. It needs no
// libsystemd; where no service manager is, each part does nothing.
//
//	sockets, err := systemd.Listeners()                  // first of all
//	if len(sockets) > 0 {                                // there is a socket unit
//		l = sockets[0].Listener
//	} else {
//		l, err = net.Listen("tcp", ":8080")
//	}
//	l, err = gs.HoldListener(l)                          // a restart loses no request
//	gs.AddManager(posixsignal.New(), systemd.New())
//	gs.Go("http", func(context.Context) error { return srv.Serve(l) })
//	gs.Go("ready", func(ctx context.Context) error {
//		if err := waitUntilHealthy(ctx); err != nil {
//			return err
//		}
//		return systemd.Ready() // and not before: what is ordered after this unit starts now
//	})
//
// What is left out here are the errors; the example has them.
//
// # The unit
//
//	[Service]
//	# "systemctl start" returns when Ready was called.
//	Type=notify
//	ExecStart=/usr/bin/api
//	# New pings every 15s.
//	WatchdogSec=30s
//	# More than Grace+Tail. If it is less, New asks for more time while the stop takes place.
//	TimeoutStopSec=30s
//	Restart=on-failure
//
// and, for a restart that refuses no connection and loses no request, a socket unit of the same
// name. Systemd keeps the socket: what connects while no process serves waits in the queue until
// the next one accepts it. See [shutdown.GracefulShutdown.HoldListener], and leave the shutdown's
// Delay at 0.
//
//	[Socket]
//	ListenStream=8080
//	FileDescriptorName=http
//
// # Connections that outlive a restart
//
// A socket unit keeps the listening socket. What else is to outlive the process, such as
// connections, the process gives to systemd with [Store], and the next one gets it from [Passed],
// which replaces [Listeners] there. [Passed] also has the files of OpenFile=.
//
//	[Service]
//	FileDescriptorStoreMax=1000
//
// # What is said when
//
//	WATCHDOG=1            twice in WatchdogSec from Start to the trigger, while the check of Watchdog passes
//	READY=1               Ready
//	RELOADING=1           Reloading; Ready when it is done
//	FDSTORE=1             Store
//	FDSTOREREMOVE=1       Unstore
//	MAINPID=              MainPID
//	STATUS=               Status; the manager, when that check begins or ceases to fail
//	STOPPING=1            at the trigger, with the reason as STATUS
//	EXTEND_TIMEOUT_USEC=  ExtendTimeout, for a long start; the manager, at the trigger and every 5s
//	                      until the stop is complete: for 10s, or what is left of Grace+Tail
//
// After STOPPING=1 there are no more watchdog pings. Systemd ends its watchdog when a service
// stops, and one more ping would start it anew (service_reset_watchdog in its src/core/service.c),
// to go off in the middle of what main does after the stop.
//
// The protocol is that of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). The
// environment variables are read when a function is called, and NOTIFY_SOCKET stays set; what child
// processes send to it, systemd ignores (NotifyAccess=main, the default with Type=notify).
package systemd
