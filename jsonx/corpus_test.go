package jsonx_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// A document of the corpus, testdata/documents.tsv. The letter its name begins with says what RFC 8259 says of it:
// y is JSON, n is not, i is for the implementation to decide.
type document struct {
	name string
	data []byte
}

// readCorpus reads the documents. Each is a name, a tab and quoted pieces, some repeated: 100*"[" 100*"]".
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
