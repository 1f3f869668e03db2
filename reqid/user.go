package reqid

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gracekit/gracekit/internal/oneline"
)

// user is a user's name and the form of it that goes into the logs.
type user struct{ name, logged string }

// SetUser records who makes the request, to be called once that is known. There is one user a
// request, not one a context: code that runs around the authentication and holds only an outer
// context, such as an access log that is written after the handler has returned, sees the user too.
// "" means nobody.
//
// [User] returns name as it is. In the logs control characters, line separators, marks of text
// direction and invalid UTF-8 are replaced by U+FFFD, and what is longer than 128 bytes is cut
// there and ends in an ellipsis.
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

// User returns the name last given to [SetUser] for the request of ctx, or "". It is meant for
// logs; who may do what is for the authentication to say.
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
	// Characters only grow by being replaced, so there is no need to clean all of a huge name. The
	// second cut takes the place of the first.
	clean := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return utf8.RuneError
		}
		return r // also RuneError, which stands for invalid UTF-8
	}, oneline.Cut(name, maxUserLength))
	return oneline.Cut(clean, maxUserLength)
}
