package health

import (
	"mime"
	"strconv"
	"strings"
)

type format int

// In the order in which they are preferred if the client does not care.
const (
	formatText format = iota
	formatJSON
	formatHTML
)

// negotiate chooses the format as RFC 9110, section 12.5.1, says. Of equal ones it takes the one
// that the client names most precisely, then the one that it names first, then text.
func negotiate(accept []string) format {
	if len(accept) == 0 {
		return formatText
	}
	if len(accept) == 1 { // what is asked most often costs least
		switch accept[0] {
		case "*/*":
			return formatText
		case "application/json":
			return formatJSON
		}
	}
	type rating struct {
		quality   float64
		precision int // of the range that matches best
		position  int // of that range
	}
	var ratings [formatHTML + 1]rating
	position := 0
	for _, list := range accept {
		for item := range strings.SplitSeq(list, ",") {
			position--
			mediaRange, params, err := mime.ParseMediaType(item)
			quality := 1.0
			if q, given := params["q"]; given && err == nil {
				quality, err = strconv.ParseFloat(q, 64)
			}
			if err != nil {
				continue
			}
			for f, mediaTypes := range offered {
				for _, mediaType := range mediaTypes {
					rated := rating{quality, precision(mediaRange, mediaType), position}
					if old := ratings[f]; rated.precision > old.precision ||
						rated.precision == old.precision && rated.precision > 0 && quality > old.quality {
						ratings[f] = rated
					}
				}
			}
		}
	}
	best := formatText
	for f := range offered {
		a, b := ratings[f], ratings[best]
		if a.quality > b.quality || a.quality == b.quality &&
			(a.precision > b.precision || a.precision == b.precision && a.position > b.position) {
			best = format(f)
		}
	}
	if !(ratings[best].quality > 0) { // it may be NaN
		return formatText
	}
	return best
}

var offered = [...][]string{
	formatText: {"text/plain"},
	formatJSON: {"application/json", "application/health+json"},
	formatHTML: {"text/html"},
}

// precision says how exactly a range such as "text/*" names a type; 0 means not at all.
func precision(mediaRange, mediaType string) int {
	switch kind, _, _ := strings.Cut(mediaType, "/"); mediaRange {
	case mediaType:
		return 3
	case kind + "/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}
