//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// starterVariable is in the environment of a daemon that was started by detach, which waits for its
// answer on descriptor 3.
const (
	starterVariable   = "DAEMON_STARTER"
	starterDescriptor = 3
)

// A starter is the process that has started this one with -detach and waits. It is told one thing,
// once. In the foreground it is nil, and is told nothing. It is not safe for concurrent use.
type starter struct{ pipe *os.File }

func openStarter() *starter {
	if os.Getenv(starterVariable) == "" {
		return nil
	}
	_ = os.Unsetenv(starterVariable) // it is not for the programs that this one starts
	syscall.CloseOnExec(starterDescriptor)
	return &starter{pipe: os.NewFile(starterDescriptor, "starter")}
}

// serves lets the starter return with status 0. If it is gone, there is an error: somebody has
// killed it, and thinks that the start has failed.
func (s *starter) serves(url string) error {
	if s == nil {
		return nil
	}
	if err := s.tell(answerServes + url); err != nil {
		return fmt.Errorf("the process that started this one is gone: %w", err)
	}
	return nil
}

// failed has the starter print err. It reports false if nobody waits for that.
func (s *starter) failed(err error) bool {
	return s != nil && s.pipe != nil && s.tell(answerFailed+err.Error()) == nil
}

func (s *starter) tell(text string) error {
	_, err := s.pipe.WriteString(text)
	_ = s.pipe.Close()
	s.pipe = nil
	return err
}
