//go:build unix

package systemd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
	"github.com/gracekit/gracekit/shutdown/systemd"
)

// The modes in which the tests start their own binary again.
var children = map[string]func(){
	"service": func() {
		sockets, err := systemd.Listeners()
		exitOn(err)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})}
		gs := shutdown.New(shutdown.Grace(20*time.Second), shutdown.Linger(5*time.Second)) // ends when all that was accepted is answered
		l, err := gs.HoldListener(sockets[0].Listener)
		exitOn(err)
		exitOn(errors.Join(
			gs.AddManager(posixsignal.New(), systemd.New()),
			gs.AddHTTPServer("http", srv),
			gs.Go("http", func(context.Context) error { return srv.Serve(l) }),
			gs.Go("ready", func(context.Context) error { return systemd.Ready() }),
		))
		exitOn(gs.Run(context.Background()))
	},
	"listeners": func() {
		printSockets()
		printSockets() // the second call
		env, err := exec.Command("env").Output()
		exitOn(err)
		for line := range strings.Lines(string(env)) {
			if strings.HasPrefix(line, "LISTEN_") {
				fmt.Print("inherited: ", line)
			}
		}
		for fd := 3; fd < 10; fd++ {
			if exec.Command("/bin/sh", "-c", fmt.Sprintf(": <&%d", fd)).Run() == nil {
				fmt.Println("inherited: descriptor", fd)
			}
		}
	},
	"passed": func() {
		sockets, files, err := systemd.Passed()
		if err != nil {
			fmt.Println("error:", err)
		}
		describe(sockets)
		for _, f := range files {
			if conn, err := net.FileConn(f); err == nil {
				_, _ = fmt.Fprintln(conn, "hello from", f.Name())
				conn.Close()
				fmt.Println(f.Name(), "is connected")
			} else if text, err := io.ReadAll(f); err == nil {
				fmt.Printf("%s has %q\n", f.Name(), text)
			} else {
				fmt.Println(f.Name(), "is something else")
			}
			f.Close()
		}
	},
	// Each connection is stored, and taken over by the next process. A line is answered with the
	// process ID.
	"keeper": func() {
		sockets, files, err := systemd.Passed()
		exitOn(err)
		gs := shutdown.New(shutdown.Grace(20 * time.Second))
		serve := func(name string, conn net.Conn) error {
			return gs.Go(name, func(ctx context.Context) error {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					_, _ = fmt.Fprintf(conn, "%s %d\n", lines.Text(), os.Getpid())
				}
				if lines.Err() == nil { // the client has closed it
					return systemd.Unstore(name)
				}
				return nil
			})
		}
		for _, f := range files {
			conn, err := net.FileConn(f)
			exitOn(err)
			f.Close()
			exitOn(serve(f.Name(), conn))
		}
		l := sockets[0].Listener
		exitOn(errors.Join(
			gs.AddManager(posixsignal.New(), systemd.New()),
			gs.AddCallback(shutdown.Callback{
				Name: "accept", Phase: shutdown.PhaseIngress,
				Func: func(context.Context) error { return l.Close() },
			}),
			gs.Go("accept", func(context.Context) error {
				for {
					conn, err := l.Accept()
					if err != nil {
						return http.ErrServerClosed // what waits in the queue is for the next process
					}
					name := conn.RemoteAddr().String()
					name = "client " + name[strings.LastIndex(name, ":")+1:]
					exitOn(systemd.Store(name, conn.(*net.TCPConn)))
					_ = serve(name, conn) // or the next process does
				}
			}),
			gs.Go("ready", func(context.Context) error { return systemd.Ready() }),
		))
		exitOn(gs.Run(context.Background()))
	},
	"echo": func() { // one connection and one datagram
		sockets, err := systemd.Listeners()
		exitOn(err)
		for _, s := range sockets {
			if s.Listener != nil {
				conn, err := s.Listener.Accept()
				exitOn(err)
				_, _ = io.Copy(conn, conn)
				conn.Close()
				continue
			}
			buf := make([]byte, 100)
			n, from, err := s.PacketConn.ReadFrom(buf)
			exitOn(err)
			_, _ = s.PacketConn.WriteTo(buf[:n], from)
		}
	},
}

func printSockets() {
	sockets, err := systemd.Listeners()
	if err != nil {
		fmt.Println("error:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	fmt.Println(len(sockets), "sockets")
	describe(sockets)
}

func describe(sockets []systemd.Socket) {
	for _, s := range sockets {
		if s.Listener != nil {
			fmt.Println(s.Name, "listens", s.Listener.Addr().Network(), s.PacketConn == nil)
		} else {
			fmt.Println(s.Name, "receives", s.PacketConn.LocalAddr().Network())
		}
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func TestMain(m *testing.M) {
	testproc.Main(children)
	os.Exit(m.Run())
}

// activate prepares a child with sockets passed as systemd passes them: as descriptors 3 and on,
// with its own process ID in LISTEN_PID, which only a process of that ID can set before it becomes
// the child.
func activate(t *testing.T, child string, files []*os.File, env ...string) *testproc.Process {
	t.Helper()
	p := testproc.New(t, child).After(`export LISTEN_PID=$$;`)
	p.Cmd.Env = append(p.Cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_PIDFDID=1")
	p.Cmd.Env = append(p.Cmd.Env, env...)
	p.Cmd.ExtraFiles = files
	return p
}

// requireClean requires that a process has ended with status 0.
func requireClean(t *testing.T, p *testproc.Process) {
	t.Helper()
	require.Zero(t, p.Wait(), "exit status; standard error: %s", &p.Stderr)
}

// file returns the socket's file, which the test closes.
func file(t *testing.T, socket any) *os.File {
	t.Helper()
	f, err := socket.(interface{ File() (*os.File, error) }).File()
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListeners(t *testing.T) {
	tcp := listenTCP(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	unix, err := net.Listen("unix", socketPath(t))
	require.NoError(t, err)
	defer unix.Close()
	unixgram, err := net.ListenPacket("unixgram", socketPath(t))
	require.NoError(t, err)
	defer unixgram.Close()
	client, err := net.Dial("tcp", tcp.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	require.NoError(t, err)
	defer plain.Close()
	pipe, writer, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	defer writer.Close()

	tests := []struct {
		name  string
		files []*os.File
		env   []string
		want  string
	}{
		{
			"every kind", []*os.File{file(t, tcp), file(t, udp), file(t, unix), file(t, unixgram)}, []string{"LISTEN_FDNAMES=http:dns:http:log"},
			"4 sockets\nhttp listens tcp true\ndns receives udp\nhttp listens unix true\nlog receives unixgram\n0 sockets\n",
		},
		{"without names", []*os.File{file(t, tcp)}, nil, "1 sockets\nunknown listens tcp true\n0 sockets\n"},
		{
			"none at all", nil, []string{"LISTEN_FDS=1"},
			"error: systemd: descriptor 3 (unknown): it is no\n0 sockets\n0 sockets\n",
		},
		{
			"a number that makes no sense", []*os.File{}, []string{"LISTEN_FDS=-1"},
			`error: systemd: LISTEN_FDS is "-1", want a number from 1 to 2147483644` +
				"\n0 sockets\n0 sockets\n",
		},
		{
			"more than there are", []*os.File{file(t, tcp)}, []string{"LISTEN_FDS=2000000000"},
			"error: systemd: descriptor 4 (unknown): it is no\n" +
				"1 sockets\nunknown listens tcp true\n0 sockets\n",
		},
		{
			"others among them",
			[]*os.File{plain, file(t, tcp), file(t, client), pipe, file(t, udp)},
			[]string{"LISTEN_FDNAMES=stored:http:connection:feed:dns"},
			"error: systemd: descriptor 3 (stored): it is no socket but a file: " +
				"socket operation on non-socket; " +
				"systemd: descriptor 5 (connection): it is a socket that does not listen; " +
				"Accept=yes in a socket unit is not supported; " +
				"systemd: descriptor 6 (feed): it is no socket but a pipe: " +
				"socket operation on non-socket\n" +
				"2 sockets\nhttp listens tcp true\ndns receives udp\n0 sockets\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := activate(t, "listeners", tt.files, tt.env...).Start()
			requireClean(t, p)
			// Beyond what was passed there may be a descriptor of Go's runtime, or none.
			beyond := regexp.MustCompile(`(\(unknown\): it is no)[^\n]*`)
			got := beyond.ReplaceAllString(p.Stdout.String(), "$1")
			assert.Equal(t, tt.want, got)
		})
	}
}

// Sockets and what is none are told apart, and each has its name, beside any that is missing.
func TestPassed(t *testing.T) {
	tcp := listenTCP(t)
	client, err := net.Dial("tcp", tcp.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	peer, err := tcp.Accept()
	require.NoError(t, err)
	defer peer.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	path := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	plain, err := os.Open(path)
	require.NoError(t, err)
	defer plain.Close()
	pipe, writer, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	_, err = writer.WriteString("through the pipe")
	require.NoError(t, err)
	writer.Close()

	files := []*os.File{plain, file(t, tcp), file(t, client), pipe, file(t, udp)}
	p := activate(t, "passed", files, "LISTEN_FDNAMES=config:http:session:feed:dns").Start()
	requireClean(t, p)
	assert.Equal(t, "http listens tcp true\ndns receives udp\n"+
		"config has \"content\"\nsession is connected\nfeed has \"through the pipe\"\n",
		p.Stdout.String())
	line, err := bufio.NewReader(peer).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello from session\n", line)

	p = activate(t, "passed", []*os.File{plain, file(t, tcp)}, "LISTEN_FDS=2000").Start()
	requireClean(t, p)
	assert.Contains(t, p.Stdout.String(), "(unknown): it is not open\nunknown listens tcp true\n")

	p = activate(t, "passed", []*os.File{plain}, "LISTEN_FDNAMES=a:b").Start()
	requireClean(t, p)
	assert.Equal(t, `error: systemd: LISTEN_FDNAMES is "a:b", want 1 names, as LISTEN_FDS says`+"\n", p.Stdout.String())
}

// What was passed to a parent is not for its child.
func TestListenersOfAnotherProcess(t *testing.T) {
	p := testproc.New(t, "listeners")
	p.Cmd.Env = append(p.Cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=1")
	requireClean(t, p.Start())
	assert.Equal(t, "0 sockets\n0 sockets\n", p.Stdout.String())
}

func TestPassedSocketsWork(t *testing.T) {
	tcp := listenTCP(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	p := activate(t, "echo", []*os.File{file(t, tcp), file(t, udp)}).Start()

	for _, addr := range []net.Addr{tcp.Addr(), udp.LocalAddr()} {
		conn, err := net.Dial(addr.Network(), addr.String())
		require.NoError(t, err)
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		if half, ok := conn.(interface{ CloseWrite() error }); ok && addr.Network() == "tcp" {
			require.NoError(t, half.CloseWrite())
		}
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(buf[:n]))
		conn.Close()
	}
	requireClean(t, p)
}

// A real service, its signal and its socket: what is said in which order.
func TestLifeOfAProcess(t *testing.T) {
	r := record(t)
	files := []*os.File{file(t, listenTCP(t))}
	p := activate(t, "service", files, "WATCHDOG_USEC=100000").Start()

	for pings, ready := 0, false; pings < 3 || !ready; { // in which order, depends
		switch message := r.next(); message {
		case "WATCHDOG=1\n":
			pings++
		case "READY=1\n":
			require.False(t, ready, "twice")
			ready = true
		default:
			require.Fail(t, "unexpected", message)
		}
	}
	p.Signal(syscall.SIGTERM)
	message := "WATCHDOG=1\n"
	for message == "WATCHDOG=1\n" {
		message = r.next()
	}
	status := "STATUS=Stopping: signals: received terminated\n"
	assert.Equal(t, "STOPPING=1\n"+status+"EXTEND_TIMEOUT_USEC=10000000\n", message)
	requireClean(t, p)
	assert.Empty(t, r.received())
}

// Five restarts under load, each with a time in which no process serves: no request fails, because
// the socket stays and its queue waits for the next process. The requests are POSTs, which clients
// do not repeat on their own.
func TestRestartLosesNoRequest(t *testing.T) {
	r := record(t)
	l := listenTCP(t)
	socket := file(t, l)
	url := "http://" + l.Addr().String()

	var wg sync.WaitGroup
	var done atomic.Bool
	var requests, failures atomic.Int64
	for range 4 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for !done.Load() {
				requests.Add(1)
				resp, err := client.Post(url, "text/plain", strings.NewReader("hello"))
				if err == nil {
					var body []byte
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil && string(body) != "hello" {
						err = fmt.Errorf("got %q", body)
					}
				}
				if err != nil {
					failures.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		p := activate(t, "service", []*os.File{socket}).Start()
		for r.next() != "READY=1\n" {
		}
		served := requests.Load()
		for requests.Load() < served+50 { // at least so many by each process
			time.Sleep(time.Millisecond)
		}
		p.Signal(syscall.SIGTERM)
		requireClean(t, p)
		r.received()
	}
	// The last requests wait in the queue for one more process.
	last := activate(t, "service", []*os.File{socket}).Start()
	done.Store(true)
	wg.Wait()
	last.Signal(syscall.SIGTERM)
	requireClean(t, last)
	t.Logf("%d requests, %d failures", requests.Load(), failures.Load())
}
