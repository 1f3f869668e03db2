package concurrent_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/gracekit/gracekit/concurrent"
)

// fakeRows has the methods of *sql.Rows that a cursor needs.
type fakeRows struct {
	names []string
	at    int
}

func (r *fakeRows) Next() bool { r.at++; return r.at <= len(r.names) }
func (r *fakeRows) Scan(dest ...any) error {
	*dest[0].(*string) = r.names[r.at-1]
	return nil
}
func (r *fakeRows) Err() error   { return nil }
func (r *fakeRows) Close() error { return nil }

// names iterates rows and closes them when the loop over it ends, however it does. The error is for
// after the loop: a sequence has no place for it.
func names(rows *fakeRows, err *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		defer rows.Close()
		for rows.Next() {
			var name string
			if *err = rows.Scan(&name); *err != nil {
				return
			}
			if !yield(name) {
				return
			}
		}
		*err = rows.Err()
	}
}

// A table of any length: at most eight rows are held at a time, and the users come in the order of
// the cursor.
func ExampleStream() {
	rows := &fakeRows{names: []string{"colin", "admin", "guest"}} // db.QueryContext(ctx, …)
	var rowsErr error

	for user, err := range concurrent.Stream(context.Background(), names(rows, &rowsErr),
		func(ctx context.Context, name string) (User, error) {
			n, err := countPolicies(ctx, name)
			return User{Name: name, Policies: n}, err
		}, concurrent.Limit(8)) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%s: %d\n", user.Name, user.Policies)
	}
	if rowsErr != nil {
		fmt.Println(rowsErr)
	}
	// Output:
	// colin: 3
	// admin: 12
	// guest: 0
}
