package shutdown

import (
	"time"

	"github.com/gracekit/gracekit/internal/guard"
)

// cutTime is how long a server's Close or Stop is waited for. They return at once, except for a TLS
// connection whose peer does not read the closing alert (5s in crypto/tls), and for a gRPC server
// told to wait for its handlers.
const cutTime = 100 * time.Millisecond

// cutEnd returns when a cut that began at begun is abandoned. stages is how many of the stages that
// share Tail are left, the running one included.
func (s *stop) cutEnd(begun time.Time, stages int) time.Time {
	_, _, tail := s.gs.clock.ends()
	rest := tail.Add(-s.lastMoment()).Sub(begun)
	return begun.Add(min(cutTime, max(0, rest)/time.Duration(stages)))
}

// end returns the deadline of a stage that began at begun. Stages that begin when Grace is over
// share what is left of Tail equally.
func (s *stop) end(st stage, begun time.Time) time.Time {
	delay, grace, tail := s.gs.clock.ends()
	end := tail.Add(-2 * s.lastMoment()) // a step that obeys needs a moment to return
	inGrace := earliest(grace, end)
	switch st.kind {
	case kindStart:
		rest := grace.Sub(begun)
		if half := max(rest-delay, rest/10) / 2; half > 0 {
			return earliest(inGrace, begun.Add(half))
		}
	case kindDelay:
		return earliest(inGrace, begun.Add(delay))
	case kindClose:
		return earliest(inGrace, begun.Add(min(closeWait, grace.Sub(begun)/2)))
	case kindLinger:
		return earliest(inGrace, begun.Add(min(max(s.gs.linger, leastLinger), grace.Sub(begun)/2)))
	case kindRelease: // managers always get to release what they hold
		return latest(begun.Add(guard.Notice), earliest(tail, begun.Add(cutTime)))
	case kindObservers:
		return latest(begun.Add(guard.Notice), tail.Add(-s.lastMoment()))
	}
	if begun.Before(grace) {
		return inGrace
	}
	return earliest(end, begun.Add(tail.Sub(begun)/time.Duration(s.stagesLeft)))
}

// lastMoment returns the time kept back for what comes after the last phase.
func (s *stop) lastMoment() time.Duration {
	_, grace, tail := s.gs.clock.ends()
	moment := min(guard.Notice, tail.Sub(s.begun)/20)
	if d := tail.Sub(grace); d > 0 {
		moment = min(moment, d/5)
	}
	return moment
}

// notice returns how long a step gets to return after its deadline.
func (s *stop) notice() time.Duration {
	_, _, tail := s.gs.clock.ends()
	moment := s.lastMoment()
	return min(moment, max(0, time.Until(tail)-moment))
}
