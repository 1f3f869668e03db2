//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gracekit/gracekit/internal/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(map[string]func(){"main": main})
	os.Exit(m.Run())
}

// A server is a process under test. Its log is its standard error.
type server struct {
	*testproc.Process
	t          *testing.T
	url, admin string
}

// writeConfig returns the path of a config file.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// start runs a server with this config on free ports, until the test ends.
func start(t *testing.T, config string) *server {
	t.Helper()
	p := testproc.Start(t, "main", "-config", writeConfig(t, config),
		"-address", testproc.FreeAddress(t), "-admin-address", "127.0.0.1:0")
	addresses := p.Stderr.Await(`msg=listening url=(\S+) admin=(\S+) `)
	return &server{Process: p, t: t, url: addresses[1], admin: addresses[2]}
}

// stop ends the server in good order.
func (s *server) stop() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	assert.Equal(s.t, 0, s.Wait(), "exit status; log:\n%s", &s.Stderr)
}

// An answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request with headers given as "Name: value".
func (s *server) do(method, url, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	require.NoError(s.t, err)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (s *server) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, s.url+path, "", headers...)
}

func (s *server) getAdmin(path string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, s.admin+path, "", headers...)
}

const (
	asAlice = "Authorization: Basic YWxpY2U6ZGVtbw==" // alice:demo
	isJSON  = "Content-Type: application/json"
)

func (s *server) createNote(text string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, s.url+"/v1/notes", fmt.Sprintf(`{"text":%q}`, text), asAlice, isJSON)
}
