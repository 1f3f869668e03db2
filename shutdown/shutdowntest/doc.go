// Package shutdowntest proves how a program stops, and that a [shutdown.Manager] keeps its
// contract.
//
//	Program  any program, in any language: is a request lost, a stream cut, a child left behind?
//	Manager  a conformance suite for those who write a manager, as testing/slogtest is for handlers
//
// The command shutdown/draintest does what Program does, without a test.
package shutdowntest
