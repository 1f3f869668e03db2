package reqid

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"
)

// user is a user's name and the form of it that goes into the logs.
type user struct{ name, logged string }

// SetUser records who makes the request, to be called once that is known. There is one
// user a request, not one a context: code that runs around the authentication and holds
// only an outer context, such as an access log that is written after the handler has
// returned, sees the user too. "" means nobody.
//
// [User] returns name as it is. In the logs control characters, line separators, marks
// of text direction and invalid UTF-8 are replaced by U+FFFD, and what is longer than
// 128 bytes is cut there and ends in an ellipsis.
//
// It returns false, and does nothing, if ctx has no request ID.
func SetUser(ctx context.Context, name string) bool {
	s := scopeOf(ctx)
	if s == nil {
		return false
	}
	s.user.Store(&user{name: name, logged: printable(name)})
	return true
}

// User returns the name last given to [SetUser] for the request of ctx, or "". It is
// meant for logs; who may do what is for the authentication to say.
func User(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		if u := s.user.Load(); u != nil {
			return u.name
		}
	}
	return ""
}

// maxUserLength is how much of a user's name the logs get, in bytes.
const maxUserLength = 128

func printable(name string) string {
	// What is replaced only grows, so there is no need to clean all of a huge name.
	long := len(name) > maxUserLength
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return utf8.RuneError
		}
		return r // also RuneError, which stands for invalid UTF-8
	}, name[:cut(name)])
	if !long && len(name) <= maxUserLength {
		return name
	}
	return name[:cut(name)] + "…"
}

// cut returns where s ends if it may have maxUserLength bytes and no character is to be
// split.
func cut(s string) int {
	if len(s) <= maxUserLength {
		return len(s)
	}
	n := maxUserLength
	for n > maxUserLength-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
