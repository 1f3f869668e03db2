package objectmeta

import (
	"fmt"
	"math"
)

// List is a page of objects, in JSON {"totalCount": …, "items": […]}. Items that are nil are null
// in JSON; for [] start with an empty slice, as GORM's Find does.
type List[T any] struct {
	ListMeta
	Items []T `json:"items"` // the objects of this page
}

// ListMeta is what every list has.
type ListMeta struct {
	// TotalCount is the number of all objects. The list may be a part of them.
	TotalCount int64 `json:"totalCount"`
}

// Keyset is pagination by key: a page starts after the last object of the page before. It costs the
// same for any page, and no row is skipped or shown twice when rows come and go in between, as
// happens with an offset. Use [ListOptions] where clients jump to a page by its number.
//
//	after, limit, err := keyset.Page(20, 100)
//	// SELECT … WHERE id > after ORDER BY id LIMIT limit
//
// Without After the page is the first one: the zero ID is 0 in a query, and keys start at 1. The
// client asks for the next page with the instanceID of the last object as After. A page with fewer
// objects than its limit is the last one. A client that sees only some of the rows needs the
// condition for that in the query, too.
//
// gin, echo and encoding/json fill it. A text that is not an ID of kind K is an error there.
type Keyset[K Kind] struct {
	// After is the ID of the last object of the page before.
	After ID[K] `json:"after,omitzero" form:"after" query:"after"`
	// Limit is how many objects the page has at most. Nil or 0 is unset.
	Limit *int64 `json:"limit,omitempty" form:"limit" query:"limit"`
}

// Page returns what to put into the query: the rows after this ID, at most limit of them.
// Limits are as in [ListOptions.Page].
func (k Keyset[K]) Page(defaultLimit, maxLimit int) (after ID[K], limit int, err error) {
	limit, err = pageLimit(k.Limit, defaultLimit, maxLimit)
	if err != nil {
		return 0, 0, err
	}
	return k.After, limit, nil
}

// ListOptions is the part of a list that a client asks for, by offset. A nil field is unset; Page
// applies defaults. gin, echo and encoding/json fill it.
type ListOptions struct {
	// Offset is how many objects come before the first one of the page.
	Offset *int64 `json:"offset,omitempty" form:"offset" query:"offset"`
	// Limit is how many objects the page has at most. Nil or 0 is unset.
	Limit *int64 `json:"limit,omitempty" form:"limit" query:"limit"`
}

// Page returns the offset and the limit to tell the database. An unset offset is 0, an unset
// limit is defaultLimit. A limit above maxLimit is maxLimit, so no client can ask for everything
// at once. A limit of 0 is unset, too: the empty parameter of ?limit= is 0 in gin and echo. A
// negative offset or limit is an error: 400 in an HTTP service.
//
// It panics unless 1 ≤ defaultLimit ≤ maxLimit.
func (o ListOptions) Page(defaultLimit, maxLimit int) (offset, limit int, err error) {
	limit, err = pageLimit(o.Limit, defaultLimit, maxLimit)
	if err != nil {
		return 0, 0, err
	}
	if o.Offset != nil {
		if *o.Offset < 0 {
			return 0, 0, fmt.Errorf("objectmeta: offset %d: must not be negative", *o.Offset)
		}
		offset = int(min(*o.Offset, math.MaxInt))
	}
	return offset, limit, nil
}

func pageLimit(limit *int64, defaultLimit, maxLimit int) (int, error) {
	if defaultLimit < 1 || defaultLimit > maxLimit {
		panic(fmt.Sprintf("objectmeta: Page(%d, %d): "+
			"the default limit must be from 1 to the maximum", defaultLimit, maxLimit))
	}
	switch {
	case limit == nil || *limit == 0:
		return defaultLimit, nil
	case *limit < 0:
		return 0, fmt.Errorf("objectmeta: limit %d: must not be negative", *limit)
	default:
		return int(min(*limit, int64(maxLimit))), nil
	}
}
