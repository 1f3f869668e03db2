//go:build !windows

package main

import "log/slog"

func runAsService(*slog.Logger, string) (asService bool, err error) { return false, nil }
