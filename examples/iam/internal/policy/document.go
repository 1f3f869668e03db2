// Package policy is what both servers know of policies: the document that a user writes, and how a
// set of them decides.
//
// A document grants or refuses some subjects some actions on some resources:
//
//	{
//	  "description": "Ann and the build robots read and list articles",
//	  "effect":      "allow",
//	  "subjects":    ["users:ann", "robots:build-*"],
//	  "actions":     ["read", "list"],
//	  "resources":   ["articles:*"]
//	}
//
// In the three lists * stands for any run of characters, also an empty one and one with ":" or "/"
// in it; everything else stands for itself, upper and lower case told apart. A request matches the
// document if its subject, its action and its resource each match one pattern of the list.
//
// What the documents do not allow is denied, and one that matches with the effect deny wins over
// any number that allow.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gracekit/gracekit/jsonx"
)

// A Document is one policy as its owner writes it. It is read by [Parse], also as a part of a
// larger JSON value, and written by any JSON encoder.
type Document struct {
	Description string   `json:"description,omitempty"`
	Effect      Effect   `json:"effect"`
	Subjects    []string `json:"subjects"`
	Actions     []string `json:"actions"`
	Resources   []string `json:"resources"`
}

// An Effect is what a matching document does.
type Effect string

const (
	Allow Effect = "allow"
	Deny  Effect = "deny"
)

// Limits of a document. They bound what one policy costs every authzserver, and MaxSize fits a TEXT
// column of MariaDB.
const (
	MaxSize        = 32 << 10 // bytes of JSON
	MaxPatterns    = 128      // in one list
	MaxPattern     = 256      // bytes
	MaxDescription = 1024     // bytes
)

// Parse reads a document and validates it. It is strict, because a document that says something
// else than its author believes is worse than none: unknown names, names in another case, names
// that come twice and anything after the document are errors.
func Parse(data []byte) (Document, error) {
	if len(data) > MaxSize {
		return Document{}, fmt.Errorf("policy: the document has %d bytes, at most %d are allowed", len(data), MaxSize)
	}
	if !utf8.Valid(data) {
		return Document{}, errors.New("policy: the document is not valid UTF-8")
	}
	doc, err := decode(jsonx.NewDecoder(bytes.NewReader(data)))
	if err != nil {
		return Document{}, fmt.Errorf("policy: %w", err)
	}
	if err := doc.Validate(); err != nil {
		return Document{}, err
	}
	return doc, nil
}

// decode goes from member to member by itself: encoding/json would take "Effect" for "effect" and
// the last of two.
func decode(dec *jsonx.Decoder) (Document, error) {
	var doc Document
	members := map[string]any{
		"description": &doc.Description, "effect": &doc.Effect,
		"subjects": &doc.Subjects, "actions": &doc.Actions, "resources": &doc.Resources,
	}
	seen := make(map[string]bool)

	if token, err := dec.Token(); err != nil {
		return doc, unexpectedEnd(err)
	} else if token != jsonx.Delim('{') {
		return doc, errors.New("the document is not a JSON object")
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return doc, unexpectedEnd(err)
		}
		name, _ := token.(string) // a member's name always is one
		switch field, known := members[name]; {
		case !known:
			return doc, fmt.Errorf("unknown member %q, want description, effect, subjects, actions or resources", shorten(name))
		case seen[name]:
			return doc, fmt.Errorf("member %q comes twice", name)
		default:
			seen[name] = true
			if err := dec.Decode(field); err != nil {
				return doc, fmt.Errorf("%s: %w", name, unexpectedEnd(err))
			}
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return doc, unexpectedEnd(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return doc, errors.New("something follows the document")
	}
	return doc, nil
}

// UnmarshalJSON is Parse, so that a document inside a request body or a database column is read as
// strictly.
func (d *Document) UnmarshalJSON(data []byte) error {
	doc, err := Parse(data)
	if err == nil {
		*d = doc
	}
	return err
}

// Validate returns an error of one line that names the first value that is wrong.
func (d Document) Validate() error {
	if d.Effect != Allow && d.Effect != Deny {
		return fmt.Errorf("policy: effect %q, want %q or %q", shorten(string(d.Effect)), Allow, Deny)
	}
	if len(d.Description) > MaxDescription {
		return fmt.Errorf("policy: description has %d bytes, at most %d are allowed", len(d.Description), MaxDescription)
	}
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"subjects", d.Subjects}, {"actions", d.Actions}, {"resources", d.Resources}} {
		switch n := len(list.patterns); {
		case n == 0:
			return fmt.Errorf("policy: %s is empty, so that nothing could match; %q stands for all", list.name, "*")
		case n > MaxPatterns:
			return fmt.Errorf("policy: %s has %d patterns, at most %d are allowed", list.name, n, MaxPatterns)
		}
		for i, p := range list.patterns {
			switch {
			case p == "":
				return fmt.Errorf("policy: %s[%d] is empty", list.name, i)
			case len(p) > MaxPattern:
				return fmt.Errorf("policy: %s[%d] %q has %d bytes, at most %d are allowed", list.name, i, shorten(p), len(p), MaxPattern)
			}
		}
	}
	return nil
}

// unexpectedEnd gives the end of the data in the middle of a document, which Go's releases report
// in three ways, one error.
func unexpectedEnd(err error) error {
	var syntaxErr *jsonx.SyntaxError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntaxErr) && strings.Contains(err.Error(), "unexpected end") {
		return errors.New("the document ends in the middle")
	}
	return err
}

// shorten keeps what a client sent from filling an error.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
