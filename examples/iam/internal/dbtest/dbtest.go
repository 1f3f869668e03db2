// Package dbtest gives tests an empty database of their own: SQLite in memory and in a file,
// always, and MariaDB and PostgreSQL on the servers of
//
//	GRACEKIT_TEST_MYSQL_DSN='root@tcp(127.0.0.1:3306)/test'
//	GRACEKIT_TEST_POSTGRES_DSN='postgres://postgres@127.0.0.1:5432/test'
//
// if these variables are set. A database is dropped at the end of its test.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each runs the test on every kind of database, at the same time. The value it gets is what the
// flag -db takes.
func Each(t *testing.T, test func(t *testing.T, db string)) {
	for name, open := range map[string]func(testing.TB) string{
		"memory":     func(testing.TB) string { return "memory" },
		"SQLite":     SQLite,
		"MariaDB":    MySQL,
		"PostgreSQL": Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// SQLite returns a database in a file.
func SQLite(tb testing.TB) string {
	return "sqlite:" + filepath.Join(tb.TempDir(), "iam test.db") // a space, as it may stand in a path
}

// MySQL skips the test if there is no server.
func MySQL(tb testing.TB) string {
	tb.Helper()
	config, err := mysqldriver.ParseDSN(server(tb, "GRACEKIT_TEST_MYSQL_DSN"))
	require.NoError(tb, err)
	config.DBName = create(tb, "mysql", config.FormatDSN(), "CREATE DATABASE %s", "DROP DATABASE %s")
	return "mysql:" + config.FormatDSN()
}

// Postgres skips the test if there is no server. What it returns is a schema, which is made and
// dropped much faster than a database.
func Postgres(tb testing.TB) string {
	tb.Helper()
	address, err := url.Parse(server(tb, "GRACEKIT_TEST_POSTGRES_DSN"))
	require.NoError(tb, err)
	query := address.Query()
	query.Set("search_path", create(tb, "pgx", address.String(), "CREATE SCHEMA %s", "DROP SCHEMA %s CASCADE"))
	address.RawQuery = query.Encode()
	return address.String()
}

func server(tb testing.TB, variable string) string {
	tb.Helper()
	dsn := os.Getenv(variable)
	if dsn == "" {
		tb.Skipf("%s is not set", variable)
	}
	return dsn
}

// create returns a name of the test's own, which is dropped after the test has closed its
// connections: its cleanups come first.
func create(tb testing.TB, driver, dsn, create, drop string) (name string) {
	tb.Helper()
	pool, err := sql.Open(driver, dsn)
	require.NoError(tb, err)
	name = "gk_iam_" + strings.ToLower(rand.Text()[:12])
	_, err = pool.ExecContext(tb.Context(), fmt.Sprintf(create, name))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_, err := pool.ExecContext(context.Background(), fmt.Sprintf(drop, name)) // the test's own context has ended
		assert.NoError(tb, errors.Join(err, pool.Close()))
	})
	return name
}
