// Package databases_test runs the package objectmeta against the databases that services use:
// SQLite (built in, always), MariaDB or MySQL, and PostgreSQL. The servers are those of
//
//	GRACEKIT_TEST_MYSQL_DSN='root@tcp(127.0.0.1:3306)/test'
//	GRACEKIT_TEST_POSTGRES_DSN='postgres://postgres@127.0.0.1:5432/test'
//
// and without these variables their tests are skipped. All tables are the run's own and dropped at
// its end.
package databases_test

import (
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

var databases = map[string]func(testing.TB) gorm.Dialector{
	"SQLite": func(tb testing.TB) gorm.Dialector {
		file := filepath.Join(tb.TempDir(), "test.db")
		// Writers wait for each other, as they do in the servers.
		return sqlite.Open("file:" + file + "?_pragma=busy_timeout(60000)" +
			"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	},
	"MariaDB": func(tb testing.TB) gorm.Dialector {
		config, err := mysqldriver.ParseDSN(address(tb, "GRACEKIT_TEST_MYSQL_DSN"))
		require.NoError(tb, err)
		config.ParseTime = true
		return mysql.Open(config.FormatDSN())
	},
	"PostgreSQL": func(tb testing.TB) gorm.Dialector {
		return postgres.Open(address(tb, "GRACEKIT_TEST_POSTGRES_DSN"))
	},
}

func address(tb testing.TB, variable string) string {
	dsn := os.Getenv(variable)
	if dsn == "" {
		tb.Skipf("%s is not set", variable)
	}
	return dsn
}

// onEachDatabase runs the test with an empty table for each of the models.
func onEachDatabase(t *testing.T, models []any, test func(t *testing.T, db *gorm.DB)) {
	for name, dialector := range databases {
		t.Run(name, func(t *testing.T) {
			test(t, open(t, dialector(t), gorm.Config{}, models...))
		})
	}
}

// open makes the tables. Their names have a prefix of their own, so that several runs can share a
// server.
func open(tb testing.TB, dialector gorm.Dialector, config gorm.Config, models ...any) *gorm.DB {
	tb.Helper()
	prefix := "gk_" + strings.ToLower(rand.Text()[:10]) + "_"
	config.NamingStrategy = schema.NamingStrategy{TablePrefix: prefix}
	config.Logger = logger.Discard
	db, err := gorm.Open(dialector, &config)
	require.NoError(tb, err)
	pool := plain(tb, db)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	tb.Cleanup(func() { pool.Close() })
	require.NoError(tb, db.AutoMigrate(models...))
	tb.Cleanup(func() {
		if err := db.Migrator().DropTable(models...); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// plain is the *sql.DB behind db.
func plain(tb testing.TB, db *gorm.DB) *sql.DB {
	tb.Helper()
	pool, err := db.DB()
	require.NoError(tb, err)
	return pool
}

// table is the quoted name of the model's table, column that of a column, for SQL by hand.
func table(tb testing.TB, db *gorm.DB, model any) string {
	tb.Helper()
	statement := &gorm.Statement{DB: db}
	require.NoError(tb, statement.Parse(model))
	return statement.Quote(statement.Schema.Table)
}

func column(db *gorm.DB, name string) string {
	return (&gorm.Statement{DB: db}).Quote(name)
}
