package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gracekit/gracekit/examples/ginserver/middleware"
)

//go:embed config.yaml
var defaultConfig []byte

type config struct {
	Mode string `yaml:"mode"`
	Log  struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
	Server struct {
		Address        string        `yaml:"address"`
		AdminAddress   string        `yaml:"adminAddress"`
		RequestTimeout time.Duration `yaml:"requestTimeout"`
		MaxBody        int64         `yaml:"maxBody"`
		TrustedProxies []string      `yaml:"trustedProxies"`
		Middlewares    []string      `yaml:"middlewares"`
	} `yaml:"server"`
	Shutdown struct {
		Delay  time.Duration `yaml:"delay"`
		Linger time.Duration `yaml:"linger"`
		Grace  time.Duration `yaml:"grace"`
	} `yaml:"shutdown"`
	middleware.Config `yaml:",inline"`
}

const (
	modeRelease = "release"
	modeDebug   = "debug"
)

// loadConfig reads the defaults, then the file on top of them, then the flags on top of that.
func loadConfig(opts options) (config, error) {
	var cfg config
	if err := decodeYAML(defaultConfig, &cfg); err != nil {
		return cfg, fmt.Errorf("default config: %w", err)
	}
	if opts.config != "" {
		text, err := os.ReadFile(opts.config)
		if err != nil {
			return cfg, err
		}
		if err := decodeYAML(text, &cfg); err != nil {
			return cfg, fmt.Errorf("%s: %w", opts.config, err)
		}
	}
	if opts.address != "" {
		cfg.Server.Address = opts.address
	}
	if opts.admin != "" {
		cfg.Server.AdminAddress = opts.admin
	}
	cfg.Debug = cfg.Mode == modeDebug
	return cfg, cfg.validate()
}

// level returns the level of that name, and an error if it is none.
func (c *config) level() (slog.Level, error) {
	level, known := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[c.Log.Level]
	if !known {
		return 0, fmt.Errorf("log.level is %q, must be debug, info, warn or error", c.Log.Level)
	}
	return level, nil
}

// validate looks at what no middleware looks at itself.
func (c *config) validate() error {
	s, stop := c.Server, c.Shutdown
	if _, err := c.level(); err != nil {
		return err
	}
	switch {
	case c.Mode != modeRelease && c.Mode != modeDebug:
		return fmt.Errorf("mode is %q, must be release or debug", c.Mode)
	case s.Address == "": // net.Listen takes it for any port of all interfaces
		return errors.New("server.address is empty, must be host:port, such as 127.0.0.1:8080")
	case s.RequestTimeout < time.Millisecond: // a number without a unit would be nanoseconds
		return fmt.Errorf("server.requestTimeout is %v, must be at least 1ms (write 10s, with the unit)", s.RequestTimeout)
	case s.MaxBody <= 0:
		return fmt.Errorf("server.maxBody is %d, must be positive", s.MaxBody)
	case stop.Grace <= 0:
		return fmt.Errorf("shutdown.grace is %v, must be positive", stop.Grace)
	case stop.Delay < 0:
		return fmt.Errorf("shutdown.delay is %v, must not be negative", stop.Delay)
	case stop.Linger < 0:
		return fmt.Errorf("shutdown.linger is %v, must not be negative", stop.Linger)
	case s.RequestTimeout >= stop.Grace-stop.Delay: // the sum of the two could overflow
		return fmt.Errorf("shutdown.grace is %v, must be more than shutdown.delay (%v) and server.requestTimeout (%v) together, or requests get cut",
			stop.Grace, stop.Delay, s.RequestTimeout)
	}
	return nil
}

// decodeYAML reads one document strictly: a key that means nothing here is an error.
func decodeYAML(text []byte, cfg *config) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(cfg)
	if err == nil && !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		return errors.New("must be one YAML document, is several")
	}
	var typeErr *yaml.TypeError
	switch {
	case errors.Is(err, io.EOF): // nothing but comments: all the defaults
		return nil
	case errors.As(err, &typeErr):
		for i, text := range typeErr.Errors {
			typeErr.Errors[i] = withoutGoTypes(text)
		}
		return errors.New(strings.Join(typeErr.Errors, "; "))
	case err != nil:
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

var (
	unknownField = regexp.MustCompile(`field (.*) not found in type .*$`)
	wrongType    = regexp.MustCompile(`cannot unmarshal !!(\S+)(?: (.*))? into (.*)$`)
)

// withoutGoTypes says in words of the config file what yaml says in words of Go.
func withoutGoTypes(text string) string {
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return strings.Replace(text, m[0], fmt.Sprintf("unknown key %q", m[1]), 1)
	}
	if m := wrongType.FindStringSubmatch(text); m != nil {
		got := strings.Trim(m[2], "`")
		if got == "" {
			got = "a " + map[string]string{"seq": "list", "map": "section"}[m[1]]
		}
		want, known := map[string]string{
			"time.Duration": "a duration, such as 10s", "int": "a whole number", "int64": "a whole number", "float64": "a number",
			"bool": "true or false", "string": "text", "[]string": "a list, such as [a, b]",
		}[m[3]]
		if !known {
			want = "a section with keys of its own"
		}
		return strings.Replace(text, m[0], fmt.Sprintf("%s: must be %s", got, want), 1)
	}
	return text
}

// oneLine joins the lines of several errors.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
