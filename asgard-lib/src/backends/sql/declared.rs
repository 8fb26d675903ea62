//! The tables of the declared kinds, in both dialects. [`crate::ports::kinds`] says which kinds and indexes there are; what a
//! database lacks of them is made when it is migrated, after the numbered files and before the views. The files made the tables
//! of the first versions and are never edited; what was declared after them stands in no file.
//!
//! What is no longer declared stays until a numbered migration drops it with `IF EXISTS`: the version before may still use it.

use crate::ports::kinds::{INDEXES, Index, Kind};
use std::collections::BTreeSet;

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "no such database is compiled in"))]
    Sqlite,
    /// PostgreSQL.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "no such database is compiled in"))]
    Postgres,
}

/// The fields of a kind that its indexes read, each once.
fn fields(kind: Kind) -> Vec<&'static str> {
    let mut fields = Vec::new();
    for field in INDEXES.iter().filter(|index| index.kind == kind).flat_map(|index| [index.partition, index.sort]) {
        if let Some(field) = field.filter(|field| !fields.contains(field)) {
            fields.push(field);
        }
    }
    fields
}

impl Dialect {
    /// The columns that every record has.
    fn columns(self) -> [&'static str; 6] {
        match self {
            Self::Sqlite => [
                "id TEXT NOT NULL PRIMARY KEY",
                "version TEXT NOT NULL",
                "schema INTEGER NOT NULL",
                "body TEXT NOT NULL",
                "expires_at TEXT",
                "noted_at TEXT",
            ],
            Self::Postgres => [
                "id text COLLATE \"C\" PRIMARY KEY",
                "version text NOT NULL",
                "schema integer NOT NULL",
                "body text NOT NULL",
                "expires_at text COLLATE \"C\"",
                "noted_at text",
            ],
        }
    }

    /// The column that the database fills with the text of a field of the body.
    fn column(self, field: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "f_{field} TEXT GENERATED ALWAYS AS (CASE json_type(body, '$.{field}') WHEN 'text' THEN body ->> '$.{field}' END) VIRTUAL"
            ),
            Self::Postgres => format!(
                "f_{field} text COLLATE \"C\" GENERATED ALWAYS AS (asgard_text(asgard_json(body), '{field}')) STORED"
            ),
        }
    }

    fn table(self, kind: Kind) -> String {
        let mut columns: Vec<String> = self.columns().map(str::to_owned).to_vec();
        columns.extend(fields(kind).into_iter().map(|field| self.column(field)));
        let strict = match self {
            Self::Sqlite => " STRICT",
            Self::Postgres => "",
        };
        format!("CREATE TABLE {} (\n    {}\n){strict};", kind.name(), columns.join(",\n    "))
    }
}

fn expiry(kind: Kind) -> (String, String) {
    let table = kind.name();
    let name = format!("{table}_expires");
    let sql = format!("CREATE INDEX {name} ON {table} (expires_at) WHERE expires_at IS NOT NULL;");
    (name, sql)
}

/// The SQL index of a declared one; none where the table's own key serves it.
fn index(index: &Index) -> Option<String> {
    let mut columns: Vec<String> =
        [index.partition, index.sort].into_iter().flatten().map(|field| format!("f_{field}")).collect();
    if columns.is_empty() {
        return None;
    }
    let there = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    columns.push("id".to_owned());
    Some(format!("CREATE INDEX {} ON {} ({}) WHERE {there};", index.name, index.kind.name(), columns.join(", ")))
}

/// The statements that make what is declared and not present. `present` has the names of tables and indexes, and
/// `table.column` for columns.
pub(crate) fn missing(dialect: Dialect, present: &BTreeSet<String>) -> Vec<String> {
    let mut statements = Vec::new();
    for kind in Kind::ALL {
        let table = kind.name();
        // Another program's table of that name is not ours to change: making ours then fails, and says why.
        let ours =
            ["version", "schema", "body", "noted_at"].iter().all(|own| present.contains(&format!("{table}.{own}")));
        if !ours {
            statements.push(dialect.table(*kind));
        } else {
            let lacking = fields(*kind).into_iter().filter(|field| !present.contains(&format!("{table}.f_{field}")));
            statements
                .extend(lacking.map(|field| format!("ALTER TABLE {table} ADD COLUMN {};", dialect.column(field))));
        }
        let (name, sql) = expiry(*kind);
        if !present.contains(&name) {
            statements.push(sql);
        }
    }
    let lacking = INDEXES.iter().filter(|index| !present.contains(index.name));
    statements.extend(lacking.filter_map(|declared| index(declared)));
    statements
}

#[cfg(all(test, feature = "sqlite", feature = "postgres"))]
mod tests {
    use super::*;
    use crate::backends::sql::{postgres, sqlite};

    const ALL: [Dialect; 2] = [Dialect::Sqlite, Dialect::Postgres];

    fn files(dialect: Dialect) -> String {
        let migrations = match dialect {
            Dialect::Sqlite => sqlite::MIGRATIONS,
            Dialect::Postgres => postgres::MIGRATIONS,
        };
        migrations.iter().map(|migration| migration.sql).collect()
    }

    /// Where a file made a table, it made the one that is declared: databases of every age are the same.
    #[test]
    fn the_files_made_what_is_declared() {
        for dialect in ALL {
            let sql = files(dialect);
            let mut compared = 0;
            for statement in missing(dialect, &BTreeSet::new()) {
                let head = statement.lines().next().unwrap();
                let in_file =
                    sql.contains(head) || !head.ends_with('(') && sql.contains(head.split(" ON ").next().unwrap());
                for line in statement.lines().filter(|_| in_file) {
                    let line = line.trim_end_matches(',');
                    assert!(sql.contains(line), "{dialect:?} lacks: {line}");
                    compared += 1;
                }
            }
            assert!(compared > 150, "{dialect:?}: {compared} lines");
        }
    }

    #[test]
    fn an_index_that_is_not_declared_is_dropped() {
        for dialect in ALL {
            let sql = files(dialect);
            let columns = sql.lines().filter_map(|line| line.strip_prefix("CREATE INDEX ")?.split_once(" ON "));
            for (name, _) in columns.filter(|(_, columns)| columns.contains("(f_")) {
                let declared = INDEXES.iter().any(|index| index.name == name);
                let dropped = sql.contains(&format!("DROP INDEX {name};"));
                assert!(declared != dropped, "{dialect:?} {name}: declared {declared}, dropped {dropped}");
            }
        }
    }

    #[test]
    fn only_what_is_not_there_is_made() {
        for dialect in ALL {
            let all = missing(dialect, &BTreeSet::new());
            let own =
                |kind: &Kind| ["version", "schema", "body", "noted_at"].map(|own| format!("{}.{own}", kind.name()));
            let mut present: BTreeSet<String> = Kind::ALL.iter().flat_map(own).collect();
            present.extend(Kind::ALL.iter().map(|kind| expiry(*kind).0));
            present.extend(INDEXES.iter().map(|index| index.name.to_owned()));
            let columns =
                Kind::ALL.iter().flat_map(|kind| fields(*kind).into_iter().map(|f| format!("{}.f_{f}", kind.name())));
            present.extend(columns);
            assert_eq!(missing(dialect, &present), Vec::<String>::new());
            for gone in ["project.body", "request.f_inbox", "request_pending", "job_expires"] {
                let mut without = present.clone();
                assert!(without.remove(gone), "{gone}");
                let made = missing(dialect, &without);
                assert!(
                    made.len() == 1 && (all.contains(&made[0]) || made[0].contains("ADD COLUMN f_inbox")),
                    "{made:?}"
                );
            }
        }
    }
}
