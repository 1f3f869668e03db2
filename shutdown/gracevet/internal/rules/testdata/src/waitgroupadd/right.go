package waitgroupadd

import "sync"

func before(work func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		work()
	}()
	wg.Wait()
}

// The goroutine is counted, so it may add others.
func tree(work func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		wg.Add(1)
		go func() {
			defer wg.Done()
			work()
		}()
	}()
	wg.Wait()
}

func inner(work func()) {
	go func() {
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			work()
		}()
		wg.Wait()
	}()
}

type target struct{ wg sync.WaitGroup }

func (t *target) start() {
	go t.loop()
}

// The first Add is wrong, those for its own children are right.
func (t *target) loop() {
	t.wg.Add(1) // want "call Add before the go statement"
	defer t.wg.Done()

	t.wg.Add(1)
	go func() {
		defer t.wg.Done()
	}()
	t.wg.Add(2)
	go t.child()
	go t.child()
}

func (t *target) child() { t.wg.Done() }

// Whoever started it may have counted it.
func counted(wg *sync.WaitGroup, work func()) {
	go func() {
		wg.Add(1)
		go work()
		wg.Done()
	}()
}

// The group is used as a lock.
func serial(wg *sync.WaitGroup, work func()) {
	go func() {
		wg.Wait()
		wg.Add(1)
		defer wg.Done()
		work()
	}()
}

func children(wg *sync.WaitGroup, n int, work func()) {
	go func() {
		for range n {
			wg.Add(1)
			work()
			wg.Done()
		}
	}()
}

type cache struct {
	wg      sync.WaitGroup
	started chan struct{}
}

func (c *cache) start() {
	go c.fill()
	<-c.started
}

// Whoever starts it waits until it is counted.
func (c *cache) fill() {
	c.wg.Add(1)
	defer c.wg.Done()
	c.started <- struct{}{}
}

type server struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (s *server) start() { go s.serve() }

// Shutdown sets closed under the lock before it waits.
func (s *server) serve() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
}
