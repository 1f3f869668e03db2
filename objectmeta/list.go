package objectmeta

import (
	"fmt"
	"math"
)

// ListMeta is what every list has.
type ListMeta struct {
	// TotalCount is the number of objects that there are, of which the list may be a part.
	TotalCount int64 `json:"totalCount"`
}

// List is a page of objects, in JSON {"totalCount": …, "items": […]}. Items that are nil are null in JSON; for [] start with an empty slice, as GORM's Find
// does.
type List[T any] struct {
	ListMeta
	Items []T `json:"items"` // the objects of this page
}

// ListOptions is which part of a list a client asks for. Nil means that the client did not say; take them out with Page.
type ListOptions struct {
	Offset *int64 `json:"offset,omitempty" form:"offset"` // how many objects come before the first one of the page
	Limit  *int64 `json:"limit,omitempty" form:"limit"`   // how many objects the page has at most
}

// Page returns what to tell the database: an offset that is not said is 0, a limit that is not said is defaultLimit, and
// a limit above maxLimit is maxLimit, so that no client can ask for everything at once. A limit of 0 is 0: no objects, only
// how many there are. A negative offset or limit is an error: 400 in an HTTP service.
func (o ListOptions) Page(defaultLimit, maxLimit int) (offset, limit int, err error) {
	limit = defaultLimit
	if o.Offset != nil {
		if *o.Offset < 0 {
			return 0, 0, fmt.Errorf("objectmeta: offset %d: must not be negative", *o.Offset)
		}
		offset = int(min(*o.Offset, math.MaxInt))
	}
	if o.Limit != nil {
		if *o.Limit < 0 {
			return 0, 0, fmt.Errorf("objectmeta: limit %d: must not be negative", *o.Limit)
		}
		limit = int(min(*o.Limit, int64(maxLimit)))
	}
	return offset, limit, nil
}
