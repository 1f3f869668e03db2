module github.com/gracekit/gracekit/examples

go 1.26.0

replace github.com/gracekit/gracekit => ../
