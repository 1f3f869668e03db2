package jsonx_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gracekit/gracekit/jsonx"
)

// A probe is one small thing a program does with jsonx and a description of what came of it: the
// JSON, the Go value, the error with its type and fields, or the panic. testdata/contract.tsv has
// what encoding/json of Go 1.26 makes of each; testdata/divergences.txt names where a build may
// differ, and how.
type probe struct {
	name string
	run  func() string
}

func allProbes() []probe {
	return slices.Concat(
		marshalProbes(),
		hookProbes(),
		unmarshalProbes(),
		errorProbes(),
		streamProbes(),
		textProbes(),
	)
}

// marshal is the probe of Marshal(v).
func marshal(name string, v any) probe {
	return probe{"marshal/" + name, func() string { return output(jsonx.Marshal(v)) }}
}

// unmarshal is the probe of Unmarshal into a new T.
func unmarshal[T any](name, data string) probe {
	return unmarshalInto(name, data, func() *T { return new(T) })
}

// unmarshalInto is the probe of Unmarshal into a T that dst prepares.
func unmarshalInto[T any](name, data string, dst func() *T) probe {
	return probe{"unmarshal/" + name, func() string {
		v := dst()
		err := jsonx.Unmarshal([]byte(data), v)
		return outcome(dump(reflect.ValueOf(v).Elem()), err)
	}}
}

// output describes a result of Marshal or MarshalIndent.
func output(data []byte, err error) string {
	if err != nil {
		return outcome(string(data), err)
	}
	if !json.Valid(data) {
		return "NOT JSON: " + string(data)
	}
	return string(data)
}

// outcome describes a result and the error that came with it.
func outcome(result string, err error) string {
	if err == nil {
		return result
	}
	if result == "" {
		return describe(err)
	}
	return result + " and " + describe(err)
}

// describe gives the type of an error, and the types inside it that callers look for. What it
// says is left out: encoding/json does not promise texts and offsets, and changed them with its
// second implementation.
func describe(err error) string {
	s := fmt.Sprintf("%T", err)
	if e, ok := errors.AsType[*jsonx.SyntaxError](err); ok && e != err {
		s += " with *json.SyntaxError"
	}
	if e, ok := errors.AsType[*jsonx.UnmarshalTypeError](err); ok {
		s += fmt.Sprintf(" for %v", e.Type)
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, errFull, errHook} {
		if errors.Is(err, known) {
			s += fmt.Sprintf(" (%v)", known)
		}
	}
	return s
}

// detail gives all of an error.
func detail(err error) string {
	s := fmt.Sprintf("%T %q", err, err)
	if e, ok := errors.AsType[*jsonx.SyntaxError](err); ok {
		s += fmt.Sprintf(" Offset=%d", e.Offset)
	}
	if e, ok := errors.AsType[*jsonx.UnmarshalTypeError](err); ok {
		s += fmt.Sprintf(
			" Value=%q Struct=%q Field=%q Offset=%d",
			e.Value,
			e.Struct,
			e.Field,
			e.Offset,
		)
	}
	return s
}

// describePanic runs f and describes how it ended.
func describePanic(f func() string) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprintf("panic: %v", r)
		}
	}()
	return f()
}

// dump writes a value in Go's notation, with what pointers point to.
func dump(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	list := func(n int, item func(i int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return "&" + dump(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return v.Elem().Type().String() + "(" + dump(v.Elem()) + ")"
	case reflect.Struct:
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return s.String()
		}
		return list(v.NumField(), func(i int) string {
			f := v.Type().Field(i)
			if !f.IsExported() {
				return f.Name
			}
			return f.Name + ":" + dump(v.Field(i))
		})
	case reflect.Slice:
		if v.IsNil() {
			return "nil"
		}
		fallthrough
	case reflect.Array:
		return list(v.Len(), func(i int) string { return dump(v.Index(i)) })
	case reflect.Map:
		if v.IsNil() {
			return "nil"
		}
		keys := v.MapKeys()
		slices.SortFunc(
			keys,
			func(a, b reflect.Value) int { return strings.Compare(dump(a), dump(b)) },
		)
		return list(
			len(keys),
			func(i int) string { return dump(keys[i]) + ":" + dump(v.MapIndex(keys[i])) },
		)
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
	return fmt.Sprint(v)
}

// line makes an outcome fit into one line of a table.
func line(s string) string {
	s = strconv.Quote(s)
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
}

// childProbe is the environment variable that names the one probe a child process is to run.
const childProbe = "JSONX_TEST_PROBE"

func TestMain(m *testing.M) {
	if name := os.Getenv(childProbe); name != "" {
		debug.SetMaxStack(8 << 20) // a stack overflow ends a process; let it come soon
		for _, p := range allProbes() {
			if p.name == name {
				fmt.Print(describePanic(p.run))
				os.Exit(0)
			}
		}
		fmt.Printf("no probe %q", name)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// inChild makes a probe run in a process of its own, because it may be the end of it.
func inChild(p probe) probe {
	run := p.run
	p.run = func() string {
		if os.Getenv(childProbe) != "" {
			return run()
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childProbe+"="+p.name)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if _, ok := errors.AsType[*exec.ExitError](err); ok &&
			strings.Contains(stderr.String(), "stack overflow") {
			return "fatal error: stack overflow"
		}
		return outcome(string(out), err)
	}
	return p
}

// A document of the corpus, testdata/documents.tsv. The letter its name begins with says what RFC
// 8259 says of it: y is JSON, n is not, i is for the implementation to decide.
type document struct {
	name string
	data []byte
}

// readCorpus reads the documents. Each is a name, a tab and quoted pieces, some repeated: 100*"["
// 100*"]".
func readCorpus(tb testing.TB) []document {
	tb.Helper()
	file, err := os.ReadFile("testdata/documents.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	var docs []document
	for l := range strings.Lines(string(file)) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		doc := document{name: name}
		for rest != "" {
			times := 1
			if count, quoted, ok := strings.Cut(rest, "*"); ok && rest[0] != '"' {
				if times, err = strconv.Atoi(count); err != nil {
					tb.Fatalf("%s: %v", name, err)
				}
				rest = quoted
			}
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				tb.Fatalf("%s: %q: %v", name, rest, err)
			}
			piece, err := strconv.Unquote(quoted)
			if err != nil {
				tb.Fatalf("%s: %q: %v", name, quoted, err)
			}
			doc.data = append(doc.data, strings.Repeat(piece, times)...)
			rest = strings.TrimPrefix(rest[len(quoted):], " ")
		}
		docs = append(docs, doc)
	}
	return docs
}
