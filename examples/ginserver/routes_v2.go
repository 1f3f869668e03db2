package main

import (
	"strings"

	"github.com/gin-gonic/gin"
)

// mountV2 has what is different in version 2. Both versions are views of the same notes: a change
// that would break clients of version 1 goes here, and version 1 goes on as it is until nobody
// calls it any more, which the metrics tell by route.
func (a *api) mountV2(v2 *gin.RouterGroup) {
	v2.Use(a.authenticate)
	v2.GET("/notes/:id", a.getNoteV2)
}

// noteV2 splits the text, and has room for more about the author.
type noteV2 struct {
	ID     int      `json:"id"`
	Author authorV2 `json:"author"`
	Title  string   `json:"title"`
	Body   string   `json:"body"`
}

type authorV2 struct {
	Name string `json:"name"`
}

func (a *api) getNoteV2(c *gin.Context) {
	n, err := a.note(c)
	title, body, _ := strings.Cut(n.Text, "\n")
	a.write.Write(c, err, noteV2{ID: n.ID, Author: authorV2{Name: n.Author}, Title: title, Body: body})
}
