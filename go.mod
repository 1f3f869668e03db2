module github.com/gracekit/gracekit

go 1.26.0
