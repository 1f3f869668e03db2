package jsonx_test

import (
	"bytes"
	"fmt"

	"github.com/gracekit/gracekit/jsonx"
)

// textProbes are about the functions from text to text, and MarshalIndent.
func textProbes() []probe {
	var probes []probe
	for _, c := range []struct{ name, prefix, indent string }{
		{"two spaces", "", "  "}, {"tab", "", "\t"}, {"prefix", ">", " "}, {"prefix and tab", "\t",
			"\t"}, {"nothing", "", ""}, {"prefix alone", "  ", ""}, {"dots", "", "..."},
	} {
		probes = append(probes, probe{"indent/marshal " + c.name, func() string {
			data, err := jsonx.MarshalIndent(
				map[string]any{"a": []any{1, map[string]any{}, []any{}}, "b": small{}},
				c.prefix,
				c.indent,
			)
			return outcome(string(data), err)
		}}, probe{"indent/text " + c.name, func() string {
			var buf bytes.Buffer
			err := jsonx.Indent(&buf, []byte(` {"a":[1, {},[ ]],"b":"x"} `), c.prefix, c.indent)
			return outcome(buf.String(), err)
		}})
	}
	add := func(name string, run func() string) { probes = append(probes, probe{name, run}) }
	add(
		"indent/marshal fails",
		func() string { return output(jsonx.MarshalIndent(func() {}, "", " ")) },
	)
	add(
		"indent/marshal hook",
		func() string { return output(jsonx.MarshalIndent(says(`{"a":"<"}`), "", " ")) },
	)
	add("indent/marshal nil", func() string { return output(jsonx.MarshalIndent(nil, "x", "y")) })
	add("indent/marshal raw", func() string {
		return output(jsonx.MarshalIndent([]jsonx.RawMessage{jsonx.RawMessage("[1,\n2]")}, "", " "))
	})
	for _, data := range []string{`{"a" : 1}`, `{`, ``, `1 2`, "\"\u2028<\""} {
		add("text/indent "+data, func() string {
			buf := bytes.NewBufferString("before")
			err := jsonx.Indent(buf, []byte(data), "", " ")
			return outcome(buf.String(), err)
		})
		add("text/compact "+data, func() string {
			buf := bytes.NewBufferString("before")
			err := jsonx.Compact(buf, []byte(data))
			return outcome(buf.String(), err)
		})
		add("text/html "+data, func() string {
			var buf bytes.Buffer
			jsonx.HTMLEscape(&buf, []byte(data))
			return buf.String()
		})
	}
	for _, data := range []string{`{"a":1}}`, `{"a":1} `, `[1,]`, `01`, "\"\x01\"", `"\u12"`, ``,
		` `, `nul`, `1 1`, "\"\xff\"", `{"a":1,"a":2}`} {
		add("valid/"+data, func() string { return fmt.Sprint(jsonx.Valid([]byte(data))) })
	}
	return probes
}
