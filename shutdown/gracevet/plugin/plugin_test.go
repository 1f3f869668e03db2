package plugin_test

import (
	"testing"

	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	_ "github.com/gracekit/gracekit/shutdown/gracevet/plugin"
)

func TestRegistered(t *testing.T) {
	newPlugin, err := register.GetPlugin("gracevet")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := newPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	analyzers, err := plugin.BuildAnalyzers()
	if err != nil || len(analyzers) == 0 {
		t.Fatalf("got %d analyzers and the error %v", len(analyzers), err)
	}
	if err := analysis.Validate(analyzers); err != nil {
		t.Error(err)
	}
	if mode := plugin.GetLoadMode(); mode != register.LoadModeTypesInfo {
		t.Errorf("got the load mode %q, want %q", mode, register.LoadModeTypesInfo)
	}
}
