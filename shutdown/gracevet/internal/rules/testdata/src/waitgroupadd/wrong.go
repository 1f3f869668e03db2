package waitgroupadd

import "sync"

func first(work func()) {
	var wg sync.WaitGroup
	go func() {
		wg.Add(1) // want "call Add before the go statement"
		defer wg.Done()
		work()
	}()
	wg.Wait()
}

func later(n int, work func()) {
	var wg sync.WaitGroup
	for range n {
		go func(wg *sync.WaitGroup) {
			println("begins")
			wg.Add(1) // want "call Add before the go statement"
			work()
			wg.Done()
		}(&wg)
	}
	wg.Wait()
}

type pool struct{ wg sync.WaitGroup }

func (p *pool) start() {
	go p.run()
	p.wg.Wait()
}

func (p *pool) run() {
	p.wg.Add(1) // want "call Add before the go statement"
	defer func() {
		p.wg.Done()
	}()
}

type counter struct {
	mu sync.Mutex
	n  int
	wg sync.WaitGroup
}

func (c *counter) start() { go c.count() }

func (c *counter) count() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	c.wg.Add(1) // want "call Add before the go statement"
	defer c.wg.Done()
}
