//go:build unix

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/go-analyze/charts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func exampleRows() []row {
	quiet, during := newTally(), newTally()
	for n := range 100 {
		quiet.add(time.Duration(n+1)*time.Millisecond, nil)
		during.add(time.Duration(n+2)*time.Millisecond, nil)
	}
	for _, text := range []string{
		"dial tcp 127.0.0.1:1: connect: connection refused", "EOF",
		"dial tcp 127.0.0.1:2: connect: connection refused",
	} {
		during.add(0, errors.New(text))
	}
	rows := []row{
		{
			experiment: experiment{viaOwn, modeSurge, trafficHTTP1, loadClosed}, Stop: stopSleep,
			quiet: quiet, during: during, stops: []time.Duration{time.Second, 2 * time.Second},
		},
		{
			experiment: experiment{viaHAProxy, modeSamePort, trafficHTTP2, loadOpen},
			Stop:       stopGracekit,
			quiet:      quiet, during: quiet, stops: []time.Duration{time.Second},
		},
	}
	for i := range rows {
		rows[i].summarize()
	}
	return rows
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	printTable(exampleRows(), &out)
	assert.Equal(t, ""+
		"| balancer, traffic           | way of stopping      | replaced | requests | lost "+
		"| how                 | p50 (quiet)    | p99 (quiet)     | stop mean | stop max |\n"+
		"| ---                         | ---                  | --:      | --:      | --:  "+
		"| ---                 | --:            | --:             | --:       | --:      |\n"+
		"| own http1                   | sleep, then Shutdown | 2        | 103      | 3    "+
		"| 2 refused, 1 closed | 51.0 (50.0) ms | 100.0 (99.0) ms | 1.50 s    | 2.00 s   |\n"+
		"| haproxy http2 sameport open | gracekit             | 1        | 100      | 0    "+
		"|                     | 50.0 (50.0) ms | 99.0 (99.0) ms  | 1.00 s    | 1.00 s   |\n",
		out.String())
	assert.Equal(t, map[string]int{"dial tcp address: connect: connection refused": 2, "EOF": 1},
		exampleRows()[0].Errors)
	grpc := row{experiment: experiment{Traffic: trafficUnary}, Stop: stopShutdown}
	assert.Equal(t, "GracefulStop", grpc.wayOfStopping())
}

func TestTimeline(t *testing.T) {
	rows := exampleRows()
	rows[1].report = []byte(`{"totalMs":2000,"steps":[
		{"stage":"delay","startMs":0,"durationMs":1000},
		{"stage":"ingress","name":"<api>","startMs":1000,"durationMs":1000}]}`)
	var svg bytes.Buffer
	require.NoError(t, writeTimeline(rows, &svg))
	decoder := xml.NewDecoder(bytes.NewReader(svg.Bytes()))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{
		">Requests lost in 3 rolling replacements<", ">sleep, then Shutdown<", ">3 of 103<",
		">gracekit<", ">0 of 100<",
		">One stop with gracekit: 2s<", ">delay<", ">ingress &lt;api&gt;<", ">1s<",
		"prefers-color-scheme: dark",
	} {
		assert.Contains(t, svg.String(), want)
	}
	assert.Regexp(t, `<rect class="lost" x="176" [^>]*width="200"`, svg.String())
	assert.Regexp(t, `<rect class="lost" x="176" [^>]*width="0"`, svg.String())
	assert.Regexp(t, `<rect class="gracekit" x="670" [^>]*width="105"`, svg.String())
	assert.Regexp(t, `<rect class="gracekit" x="775" [^>]*width="105"`, svg.String())
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1728897: "1,728,897"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestChart(t *testing.T) {
	svg, err := drawChart(exampleRows(), charts.ChartOutputSVG)
	require.NoError(t, err)
	d := xml.NewDecoder(bytes.NewReader(svg))
	for err == nil {
		_, err = d.Token()
	}
	assert.ErrorIs(t, err, io.EOF, "it is no XML")
	for _, want := range []string{
		"Requests lost, of 10,000", "Seconds that a stop takes", "own http1",
		"haproxy http2 sameport open", ">sleep<", ">gracekit<", ">291<", ">0<", ">1.50<", ">1.00<",
	} {
		assert.Contains(t, string(svg), want)
	}
}

func TestKindOf(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp address: connect: connection refused":       "refused",
		"read tcp address->address: connection reset by peer": "reset",
		"write tcp address->address: write: broken pipe":      "reset",
		"unexpected EOF":                                     "closed",
		"http: server closed idle connection":                "closed",
		"502 Bad Gateway":                                    "502",
		"net/http: cannot rewind body after connection loss": "closed",
		"503 Service Unavailable":                            "503",
		"http2: Transport: cannot retry err [http2: Transport received Server's graceful " +
			"shutdown GOAWAY] after Request.Body was written": "GOAWAY",
		"cannot retry err [stream error: stream ID; REFUSED_STREAM; received from peer]": "GOAWAY",
		"cannot retry err [H3_REQUEST_REJECTED] after Request.Body was written":          "GOAWAY",
		"timeout: no recent network activity":                                            "timeout",
		"context deadline exceeded":                                                      "timeout",
		`rpc error: code = Unavailable desc = connection error: desc = "transport: Error ` +
			`while dialing: dial tcp address: connect: connection refused"`: "refused",
		"rpc error: code = Unavailable desc = error reading from server: EOF": "closed",
		"the answer has 3 bytes, not the 4 that were sent":                    "other",
	} {
		assert.Equal(t, want, kindOf(text), text)
	}
}

func TestPercentile(t *testing.T) {
	all := newTally()
	assert.Zero(t, all.percentile(99))
	for n := 200; n >= 1; n-- {
		all.add(time.Duration(n), nil)
	}
	assert.EqualValues(t, 198, all.percentile(99))
	assert.EqualValues(t, 200, all.percentile(100))
	assert.EqualValues(t, 1, (&tally{latencies: all.latencies[:1]}).percentile(99))
}
