package drain

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestArguments(t *testing.T) {
	c := Config{Command: []string{"a", ":{port}", "b=:{port2},{port1}", "{dir}/{port3}", "{port"}}
	assert.Equal(t, 3, c.ports())
	want := []string{"a", ":1", "b=:2,1", "/d/3", "{port"}
	assert.Equal(t, want, c.arguments([]int{1, 2, 3}, "/d"))
	assert.Zero(t, (&Config{Command: []string{"serve"}}).ports())
}

func TestChoose(t *testing.T) {
	names := func(c Config) (names []string) {
		c.Command, c.PortEnv = []string{"serve"}, "PORT"
		chosen, err := c.check()
		require.NoError(t, err)
		for _, e := range chosen {
			names = append(names, e.name)
		}
		return names
	}
	assert.Len(t, names(Config{}), len(List()))
	assert.Equal(t, []string{"exit", "hang"}, names(Config{Only: []string{"hang", "exit"}}))
	both := []string{"hang", "exit"}
	assert.Equal(t, []string{"hang"}, names(Config{Only: both, Skip: []string{"exit"}}))
	assert.NotContains(t, names(Config{Quick: true}), "hang")
	assert.Contains(t, names(Config{Quick: true, Only: []string{"hang"}}), "hang", "it was asked for")
}

func TestEveryExperimentSaysWhatItIsAbout(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range List() {
		assert.False(t, seen[e.Name], "%s is there twice", e.Name)
		seen[e.Name] = true
		assert.Regexp(t, `^[a-z0-9-]{4,16}$`, e.Name)
		assert.Regexp(t, `^[A-Z].*\.$`, e.Means, e.Name)
		assert.Regexp(t, `(?s)^[A-Z].*\.$`, e.Mend, e.Name)
	}
}
