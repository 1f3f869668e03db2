package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gracekit/gracekit/examples/iam/internal/model"
	"github.com/gracekit/gracekit/health"
)

// Open connects to a database, brings its tables up to date, and sets the key of the process's
// instance IDs, which the database keeps: so they stay what they are, and all apiservers of a
// database agree.
//
//	memory                                        SQLite, gone when the process ends
//	sqlite:/var/lib/iam/iam.db                    SQLite in a file
//	mysql:iam:password@tcp(127.0.0.1:3306)/iam    MariaDB or MySQL; a DSN of go-sql-driver
//	postgres://iam:password@127.0.0.1:5432/iam    PostgreSQL
//
// A new database takes newKey for its instance IDs, or random bytes if that is empty. With one that
// has another key than newKey it is an error.
func Open(ctx context.Context, dsn string, newKey []byte) (*Store, error) {
	s := &Store{history: history, waiting: make(chan struct{}, maxWaiting), writing: make(chan struct{}, maxWriting)}
	s.Users = Users{s: s}
	s.Secrets = Owned[model.Secret, model.SecretKind]{s: s, kind: secretObject}
	s.Policies = Owned[model.Policy, model.PolicyKind]{s: s, kind: policyObject}

	connections := 16
	var dialector gorm.Dialector
	switch scheme, rest, _ := strings.Cut(dsn, ":"); {
	case dsn == "memory":
		name := memoryName()
		// A database in memory lives as long as something is connected to it, and database/sql
		// closes connections whenever it likes; in particular that of a transaction whose context
		// ends, that is, when a client hangs up.
		keeper, err := keepOpen(ctx, name)
		if err != nil {
			return nil, err
		}
		s.keeper = keeper
		dialector = sqlite.Open(name)
		connections = 1 // in memory, waiting for each other is cheaper than to be refused and to try again
	case scheme == "sqlite" && rest != "":
		if err := createPrivate(rest); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		name := fileName(rest)
		if err := switchToWAL(ctx, name); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		dialector = sqlite.Open(name)
		s.writing = make(chan struct{}, 1) // SQLite lets one write, and does not let the others queue
	case scheme == "mysql" && rest != "":
		config, err := mysqldriver.ParseDSN(rest)
		if err != nil {
			return nil, fmt.Errorf("store: mysql: %w", err)
		}
		config.ParseTime = true
		config.ClientFoundRows = true // an UPDATE that changes nothing has found its row, too
		dialector = mysql.Open(config.FormatDSN())
	case (scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//"):
		dialector = postgres.Open(dsn)
	default:
		// Not the whole value, which may have a password in it.
		return nil, fmt.Errorf("store: database %.12q…: want memory, sqlite:<file>, mysql:<DSN> or postgres://<…>", dsn)
	}

	var err error
	s.db, err = gorm.Open(dialector, &gorm.Config{
		Logger: logger.Discard, TranslateError: true, SkipDefaultTransaction: true,
		// As exact as the least exact of the databases, so that an object looks the same when it
		// was created and later.
		NowFunc: func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) },
	})
	if err == nil {
		s.pool, err = s.db.DB()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), closeKeeper(s.keeper))
	}
	s.pool.SetMaxOpenConns(connections)
	s.pool.SetMaxIdleConns(connections)
	s.pool.SetConnMaxIdleTime(5 * time.Minute)
	if err := s.migrate(ctx, newKey); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// createPrivate makes a file that is not there yet, readable for nobody else: there will be keys in
// it. SQLite gives the files beside it the same permissions.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// Writers wait for each other instead of failing, and readers read on meanwhile (WAL).
func fileName(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)"
}

// switchToWAL makes the first connection, again and again while another process that starts at the
// same time does so: unlike everything later, this fails at once and does not wait for
// busy_timeout. The file remembers it, so it happens to a new database only.
func switchToWAL(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return health.Wait(ctx, func(ctx context.Context) error {
		pool, err := sql.Open(sqlite.DriverName, name)
		if err != nil {
			return health.Permanent(err)
		}
		err = errors.Join(pool.PingContext(ctx), pool.Close())
		const sqliteBusy = 5 // the primary code, below those that say more
		var coded interface{ Code() int }
		if errors.As(err, &coded) && coded.Code()&0xff == sqliteBusy {
			return err
		}
		return health.Permanent(err)
	}, health.AttemptTimeout(10*time.Second))
}

// Every connection of the process that uses this name gets the same database.
func memoryName() string {
	return "file:/" + rand.Text() + "?vfs=memdb&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
}

func keepOpen(ctx context.Context, name string) (*sql.DB, error) {
	keeper, err := sql.Open(sqlite.DriverName, name)
	if err != nil {
		return nil, err
	}
	if _, err := keeper.Conn(ctx); err != nil { // never given back
		return nil, errors.Join(err, keeper.Close())
	}
	return keeper, nil
}

func closeKeeper(keeper *sql.DB) error {
	if keeper == nil {
		return nil
	}
	return keeper.Close()
}
