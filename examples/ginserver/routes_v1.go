package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/gracekit/gracekit/examples/ginserver/request"
	"github.com/gracekit/gracekit/examples/ginserver/response"
	"github.com/gracekit/gracekit/reqid"
	"github.com/gracekit/gracekit/shutdown"
)

// The api answers requests. Its handlers read a request, call the store and write what comes of it;
// c goes no further than that.
type api struct {
	log        *slog.Logger
	write      *response.Writer
	notes      *noteStore
	maxBody    int64
	background shutdown.Tracker // work that outlives its request
}

func (a *api) mountV1(v1 *gin.RouterGroup, debugMode bool) {
	v1.Use(a.authenticate)
	v1.GET("/notes", a.listNotes)
	v1.POST("/notes", a.createNote)
	v1.GET("/notes/:id", a.getNote)
	v1.DELETE("/notes/:id", a.deleteNote)
	v1.POST("/notes/:id/export", a.exportNote)
	v1.GET("/slow", a.slow)
	if debugMode {
		v1.GET("/panic", func(*gin.Context) { panic("a client must never read this") })
	}
}

// authenticate is a toy: any user with the password "demo", or nobody. What it finds is seen by
// every log record of the request, those of middlewares outside of it included.
func (a *api) authenticate(c *gin.Context) {
	user, password, given := c.Request.BasicAuth()
	if !given {
		return
	}
	if subtle.ConstantTimeCompare([]byte(password), []byte("demo")) != 1 {
		c.Header("WWW-Authenticate", `Basic realm="demo"`)
		a.write.Write(c, response.ErrUnauthorized.Detail("wrong user or password"), nil)
		return
	}
	reqid.SetUser(c.Request.Context(), user)
}

// noteV1 is what clients of version 1 see, whatever becomes of note.
type noteV1 struct {
	ID     int    `json:"id"`
	Author string `json:"author"`
	Text   string `json:"text"`
}

func (a *api) listNotes(c *gin.Context) {
	notes, err := a.notes.list(c.Request.Context())
	items := make([]noteV1, 0, len(notes)) // [] in JSON, not null
	for _, n := range notes {
		items = append(items, noteV1(n))
	}
	a.write.Write(c, err, gin.H{"items": items})
}

func (a *api) createNote(c *gin.Context) {
	ctx := c.Request.Context()
	author := reqid.User(ctx)
	if author == "" {
		c.Header("WWW-Authenticate", `Basic realm="demo"`)
		a.write.Write(c, response.ErrUnauthorized.Detail("a note needs an author: send a user, and the password demo"), nil)
		return
	}
	var body struct {
		Text string `json:"text"`
	}
	if err := request.JSON(c, a.maxBody, &body); err != nil {
		a.write.Write(c, err, nil)
		return
	}
	if n := utf8.RuneCountInString(body.Text); n < 1 || n > 500 {
		a.write.Write(c, errNoteInvalid.Detail("text has %d characters, must have 1 to 500", n), nil)
		return
	}
	n, err := a.notes.add(ctx, author, body.Text)
	a.write.WriteStatus(c, http.StatusCreated, err, noteV1(n))
}

func (a *api) getNote(c *gin.Context) {
	n, err := a.note(c)
	a.write.Write(c, err, noteV1(n))
}

func (a *api) deleteNote(c *gin.Context) {
	n, err := a.note(c)
	if err == nil {
		err = a.notes.remove(c.Request.Context(), n.ID)
	}
	a.write.Write(c, err, nil)
}

// exportNote begins work that outlives the request. It takes the context of the request without its
// end, gives it another one, and copies what it needs: c belongs to another request by then.
func (a *api) exportNote(c *gin.Context) {
	n, err := a.note(c)
	if err != nil {
		a.write.Write(c, err, nil)
		return
	}
	done, ok := a.background.Add()
	if !ok {
		a.write.Write(c, response.ErrUnavailable, nil) // the service is stopping
		return
	}
	ctx, cancel := context.WithTimeout(reqid.Detach(c.Request.Context()), exportTimeout)
	go func() { // it ends with the export, which the shutdown waits for
		defer done()
		defer cancel()
		a.export(ctx, n)
	}()
	a.write.WriteStatus(c, http.StatusAccepted, nil, gin.H{"exporting": n.ID})
}

const exportTimeout = 10 * time.Second

func (a *api) export(ctx context.Context, n note) {
	select {
	case <-time.After(100 * time.Millisecond): // stands for the work
		a.log.InfoContext(ctx, "note exported", "id", n.ID)
	case <-ctx.Done():
		a.log.ErrorContext(ctx, "note not exported", "id", n.ID, "error", ctx.Err())
	}
}

// note returns the note that :id in the path names.
func (a *api) note(c *gin.Context) (note, error) {
	id, err := strconv.Atoi(c.Param("id"))
	if err != nil {
		public := response.ErrBadRequest.Detail("id is %.40q, must be a number", c.Param("id"))
		return note{}, fmt.Errorf("%w: %w", public, err)
	}
	return a.notes.get(c.Request.Context(), id)
}

// slow takes as long as the client says: ?for=3s.
func (a *api) slow(c *gin.Context) {
	d, err := time.ParseDuration(c.DefaultQuery("for", "2s"))
	if err != nil || d < 0 || d > 8*time.Second {
		a.write.Write(c, response.ErrBadRequest.Detail("for is %.40q, must be a duration from 0s to 8s, such as 1.5s", c.Query("for")), nil)
		return
	}
	ctx := c.Request.Context()
	select {
	case <-time.After(d):
		a.write.Write(c, nil, gin.H{"took": d.String()})
	case <-ctx.Done(): // the client has gone, or the request's time is over
		a.write.Write(c, ctx.Err(), nil)
	}
}
