package posixsignal_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/shutdown"
	"github.com/gracekit/gracekit/shutdown/posixsignal"
)

const modeVariable = "GRACEKIT_TEST_MODE"

// A console tells every process that is attached to it, so each service has a console of its own,
// and asks for what it will be told.
func TestMain(m *testing.M) {
	ask, ok := asks[os.Getenv(modeVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	gs := shutdown.New()
	_ = gs.AddManager(posixsignal.New())
	_ = gs.AddCallback(shutdown.Callback{Name: "work", Func: func(context.Context) error {
		fmt.Println("drained")
		return nil
	}})
	gs.Go("ask", func(ctx context.Context) error {
		if err := ask(); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if err := gs.Run(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

var (
	kernel32          = syscall.NewLazyDLL("kernel32.dll")
	generateCtrlEvent = kernel32.NewProc("GenerateConsoleCtrlEvent")
	getConsoleWindow  = kernel32.NewProc("GetConsoleWindow")
	postMessage       = syscall.NewLazyDLL("user32.dll").NewProc("PostMessageW")
)

var asks = map[string]func() error{
	"Ctrl-C":     func() error { return succeeded(generateCtrlEvent.Call(syscall.CTRL_C_EVENT, 0)) },
	"Ctrl-Break": func() error { return succeeded(generateCtrlEvent.Call(syscall.CTRL_BREAK_EVENT, 0)) },
	"close": func() error {
		const wmClose = 0x10
		window, _, _ := getConsoleWindow.Call()
		return succeeded(postMessage.Call(window, wmClose, 0, 0))
	},
}

func succeeded(result, _ uintptr, err error) error {
	if result != 0 {
		return nil
	}
	return err
}

// What a console tells a process is a signal: closing its window, too, after which Windows waits
// some seconds for the process.
func TestConsole(t *testing.T) {
	wine := syscall.NewLazyDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
	for mode := range asks {
		t.Run(mode, func(t *testing.T) {
			if wine && mode != "Ctrl-C" {
				t.Skip("a console of wine has neither Ctrl-Break nor, without a desktop, a window")
			}
			self, err := os.Executable()
			require.NoError(t, err)
			service := exec.CommandContext(t.Context(), self)
			service.Env = append(os.Environ(), modeVariable+"="+mode)
			const newConsole = 0x10
			service.SysProcAttr = &syscall.SysProcAttr{CreationFlags: newConsole, HideWindow: true}
			var out bytes.Buffer
			service.Stdout, service.Stderr = &out, &out
			require.NoError(t, service.Run(), "%s", &out)
			assert.Equal(t, "drained\n", out.String())
		})
	}
}
