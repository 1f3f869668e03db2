// Package plugin makes the rules of gracevet known to golangci-lint, as a linter named gracevet.
// It is for the module plugin system, https://golangci-lint.run/docs/plugins/module-plugins; the
// README of gracevet has the lines of configuration.
package plugin

import (
	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"github.com/gracekit/gracekit/shutdown/gracevet/internal/rules"
)

// golangci-lint imports plugins for their init alone; there is no other way to register one.
func init() {
	register.Plugin("gracevet", func(any) (register.LinterPlugin, error) { return plugin{}, nil })
}

type plugin struct{}

func (plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) { return rules.All(), nil }
func (plugin) GetLoadMode() string                           { return register.LoadModeTypesInfo }
