package drop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatepost/server/dataformat"
	"gatepost/server/settings"
)

func TestTableSettings(t *testing.T) {
	for text, want := range map[string]string{
		`{Tables={A={};};}`: "a database is needed",
		`{Tables={A={Connection="postgres://u:secret@localhost/db";};};}`:                                   "passfile=",
		`{Tables={A={Connection="host=x password = y";};};}`:                                                "passfile=",
		`{Tables={A={Connection="host=db.example sslmode=odd";};};}`:                                        "sslmode",
		`{Tables={A={Connection="host=/run/postgresql";MaxTries=0;};};}`:                                    "MaxTries",
		`{Tables={A={Connection="host=/run/postgresql";Table="";};};}`:                                      "cannot be empty",
		`{Tables={A={Connection="host=/run/postgresql";};};Folders={a={Path="/srv/x";};};}`:                 "the name of a drop folder",
		`{Tables={A={Connection="host=/run/postgresql user=x dbname=passwords";Table="library.mails";};};}`: "",
	} {
		v, err := dataformat.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = settings.Load(new(Settings), v.(dataformat.Dict))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// database starts a PostgreSQL server on a socket and returns how to connect to it.
func database(t *testing.T) string {
	if os.Getenv("GATEPOST_INTEROP") == "" {
		t.Skip("GATEPOST_INTEROP is not set")
	}
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatal("PostgreSQL is not installed")
	}
	bin := filepath.Dir(found[len(found)-1])
	run := func(args ...string) {
		t.Helper()
		if os.Getuid() == 0 { // it does not run as root
			args = append([]string{"runuser", "-u", "postgres", "--"}, args...)
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if os.Getuid() == 0 {
		if out, err := exec.Command("chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	data := filepath.Join(dir, "data")
	run(bin+"/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N")
	run(bin+"/pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", "-c listen_addresses= -c fsync=off -k "+dir, "start")
	t.Cleanup(func() { run(bin+"/pg_ctl", "-D", data, "-m", "immediate", "stop") })
	return "host=" + dir + " user=postgres dbname=postgres"
}

// tableBench is a bench with a drop table.
type tableBench struct {
	*bench
	conn  *pgx.Conn
	table *table
}

func newTableBench(t *testing.T, connection string) *tableBench {
	b := &tableBench{bench: newBench(t, "")}
	var err error
	if b.conn, err = pgx.Connect(context.Background(), connection); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.conn.Close(context.Background()) })
	b.sql(`DROP TABLE IF EXISTS tbl_mails; CREATE TABLE tbl_mails (fld_time timestamp, fld_sender text, fld_address text, fld_topic text, fld_content text, fld_status char(1))`)
	set := new(TableSettings)
	if err := settings.Load(set, dataformat.Dict{"Connection": dataformat.String(connection), "MaxTries": dataformat.String("3")}); err != nil {
		t.Fatal(err)
	}
	b.table = newTable(b.in, "Mails", set)
	return b
}

func (b *tableBench) reopen() {
	b.t.Helper()
	b.bench.reopen()
	b.table = newTable(b.in, "Mails", b.table.set)
}

func (b *tableBench) sql(text string) {
	b.t.Helper()
	if _, err := b.conn.Exec(context.Background(), text); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tableBench) insert(from, to, status string) {
	b.t.Helper()
	if _, err := b.conn.Exec(context.Background(), "INSERT INTO tbl_mails VALUES ('2011-10-17 00:00:11', $1, $2, 'Zażółć', 'text', $3)", from, to, status); err != nil {
		b.t.Fatal(err)
	}
}

// states lists addresses with their status.
func (b *tableBench) states() string {
	b.t.Helper()
	var list []string
	rows, err := b.conn.Query(context.Background(), "SELECT fld_address || '=' || coalesce(btrim(fld_status), '') FROM tbl_mails ORDER BY 1")
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			b.t.Fatal(err)
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func (b *tableBench) pass(now bool) Counts {
	b.t.Helper()
	n, err := b.table.pass(context.Background(), "", now)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestInteropDropTable(t *testing.T) {
	connection := database(t)
	t.Run("statuses", func(t *testing.T) {
		b := newTableBench(t, connection)
		b.insert("foo@example.com", "a@example.net", "")
		b.insert("foo@example.com", "b@example.net", "S")
		b.insert("foo@example.com", "no address", "")
		b.insert("who@far.org", "c@example.net", "")
		b.sql("UPDATE tbl_mails SET fld_status = NULL WHERE fld_status = ''")
		if n := b.pass(false); n != (Counts{1, 1, 1}) {
			t.Errorf("%+v", n)
		}
		if got := b.states(); got != "a@example.net=S b@example.net=S c@example.net=d no address=D" {
			t.Errorf("%s", got)
		}
		got := b.delivers(1)[0]
		for _, part := range []string{"(Gatepost DROP, from table Mails)", "Subject: =?utf-8?q?Za=C5=BC=C3=B3=C5=82=C4=87?=\r\n", "\r\nDate: Mon, 17 Oct 2011 00:00:11 "} {
			if !strings.Contains(got.text, part) {
				t.Errorf("%q is missing in\n%s", part, got.text)
			}
		}
		items, err := b.table.list(context.Background(), "WHO@far.org")
		if err != nil || len(items) != 1 || !strings.HasPrefix(items[0].line(), "17.10.2011000011_") {
			t.Errorf("%v %v", items, err)
		}
		// A deferred item has its time, and its end.
		if n := b.pass(false); n != (Counts{}) {
			t.Errorf("%+v", n)
		}
		if n := b.pass(true); n != (Counts{Deferred: 1}) {
			t.Errorf("%+v", n)
		}
		if n := b.pass(true); n != (Counts{Refused: 1}) {
			t.Errorf("%+v", n)
		}
	})
	t.Run("many rows, one sender", func(t *testing.T) {
		b := newTableBench(t, connection)
		for i := range 50 {
			b.insert("foo@example.com", fmt.Sprintf("%d@example.net", i), "")
		}
		b.insert("other@example.com", "x@example.net", "")
		n, err := b.table.send(context.Background(), "foo@example.com")
		if err != nil || n.Sent != 50 {
			t.Errorf("%+v, %v", n, err)
		}
		b.delivers(50)
	})
	t.Run("two servers", func(t *testing.T) {
		b := newTableBench(t, connection)
		b.insert("foo@example.com", "a@example.net", "")
		ctx := context.Background()
		tx, err := b.conn.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := b.table.claim(ctx, tx, ""); err != nil || len(rec.results) != 1 {
			t.Fatalf("%+v %v", rec, err)
		}
		other := newTable(b.in, "Other", b.table.set)
		if n, err := other.pass(ctx, "", true); err != nil || n != (Counts{}) {
			t.Errorf("%+v %v", n, err)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
	})
	// Each row is sent once, whenever a crash comes.
	for step, want := range map[string]string{"claimed": "aborted", "committed": "", "decided": "", "published": ""} {
		t.Run("crash "+step, func(t *testing.T) {
			b := newTableBench(t, connection)
			b.insert("foo@example.com", "a@example.net", "")
			b.insert("foo@example.com", "no address", "")
			ctx := context.Background()
			other, err := pgx.Connect(ctx, connection)
			if err != nil {
				t.Fatal(err)
			}
			tx, err := other.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := b.table.claim(ctx, tx, "")
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				if err := tx.Commit(ctx); err != nil {
					t.Fatal(err)
				}
			}
			other.Close(ctx)
			switch step {
			case "decided":
				rec.txid = ""
				err = rec.write()
			case "published":
				if err = b.table.committed(rec); err == nil {
					err = rec.write()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			b.reopen()
			for deadline := time.Now().Add(10 * time.Second); ; { // the server ends a broken connection in its own time
				_, err := b.table.pass(ctx, "", false)
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
			b.delivers(1)
			b.reopen()
			b.pass(true)
			b.delivers(0)
			if got := b.states(); got != "a@example.net=S no address=D" || b.records() != 0 {
				t.Errorf("%s, %d records", got, b.records())
			}
		})
	}
	t.Run("another database", func(t *testing.T) {
		b := newTableBench(t, connection)
		rec := b.in.newRecord("Mails")
		rec.txid, rec.items, rec.results = "9000000000", []Item{{Sender: "foo@example.com", Address: "a@example.net"}}, []result{{ID: 99999}}
		if err := rec.write(); err != nil {
			t.Fatal(err)
		}
		b.reopen()
		b.pass(true)
		b.delivers(0)
		if _, err := os.Stat(rec.path + ".bad"); err != nil || !strings.Contains(b.log.String(), "does not know any more") {
			t.Errorf("%v\n%s", err, b.log)
		}
	})
}
