package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

const historyLines = 20

// printHistory prints the newest ticks and a count of all. It only reads the journal, so it needs
// no lock.
func printHistory(w io.Writer, file string) error {
	if _, err := os.Stat(file); err != nil { // SQLite would make an empty one
		return fmt.Errorf("journal: %w", err)
	}
	db, err := openDatabase(file)
	if err != nil {
		return err
	}
	err = printTicks(w, db)
	if err == nil {
		err = printCounts(w, db)
	}
	if err != nil {
		err = fmt.Errorf("journal: %s: %w", file, err)
	}
	return errors.Join(err, db.Close())
}

func printTicks(w io.Writer, db *sql.DB) error {
	rows, err := db.Query(`
		SELECT job, scheduled, since, substr(began, 12), coalesce(substr(ended, 12), '-'), attempts, state, coalesce(error, '')
		FROM (SELECT * FROM ticks WHERE state != 'new' ORDER BY began DESC LIMIT ?) ORDER BY began`, historyLines)
	if err != nil {
		return err
	}
	defer rows.Close()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "job\tscheduled\twork since\tbegan\tended\tattempts\tstate\t")
	for rows.Next() {
		var job, scheduled, since, began, ended, state, text string
		var attempts int
		if err := rows.Scan(&job, &scheduled, &since, &began, &ended, &attempts, &state, &text); err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", job, scheduled, since, began, ended, attempts, state, text)
	}
	return errors.Join(rows.Err(), table.Flush())
}

func printCounts(w io.Writer, db *sql.DB) error {
	rows, err := db.Query(`
		SELECT job, count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'begun')
		FROM ticks GROUP BY job ORDER BY job`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var job string
		var done, failed, begun int
		if err := rows.Scan(&job, &done, &failed, &begun); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d done, %d failed, %d begun and not finished\n", job, done, failed, begun)
	}
	return rows.Err()
}
