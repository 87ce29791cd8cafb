//! Every command, on a database that has everything, held to what PostgreSQL itself says of the result.

use super::facts::{Facts, is_data, script_of, without_keys};
use crate::support::archive::Archive;
use crate::support::entry::Entry;
use crate::support::numbers::Numbers;
use crate::support::postgres::{Database, Server};
use crate::support::program::{self, Output};
use crate::support::sandbox::{Sandbox, Shape};
use std::time::Instant;

/// How an archive is made, under the name of its entry.
const SHAPES: [(&str, Shape); 3] = [
    ("none", Shape::new(false, false)),
    ("gzip", Shape::new(true, false)),
    ("sealed", Shape::new(true, true)),
];

/// How much of it is tried.
#[derive(Clone, Copy, PartialEq)]
pub enum Extent {
    /// One way of each.
    Short,
    /// All that there is.
    Long,
}

impl Extent {
    /// So many of `all` ways.
    fn of(self, all: usize) -> usize {
        match self {
            Extent::Short => 1,
            Extent::Long => all,
        }
    }

    /// So many tables, each alone.
    fn tables(self) -> usize {
        self.of(10)
    }

    /// So many schemas at most, each alone.
    fn schemas(self) -> usize {
        self.of(100)
    }
}

/// A database under all commands.
pub struct Trial<'server> {
    server: &'server Server,
    source: Database<'server>,
    sandbox: Sandbox,
    wanted: Facts,
    /// What PostgreSQL's own programs bring back.
    control: Facts,
    numbers: Numbers,
    extent: Extent,
    made: u32,
    /// What did not hold.
    complaints: Vec<String>,
}

impl<'server> Trial<'server> {
    /// Of `source`, which is to be left alone.
    pub fn new(source: Database<'server>, seed: u64, extent: Extent) -> Trial<'server> {
        let server = source.server;
        let sandbox = Sandbox::new(server.major);
        let entries = SHAPES.map(|(name, shape)| Entry::of(&source).named(name).shape(shape));
        sandbox.configure_with("", &entries);
        Trial {
            server,
            wanted: Facts::of(&source),
            control: Facts::default(),
            source,
            sandbox,
            numbers: Numbers(seed),
            extent,
            made: 0,
            complaints: Vec::new(),
        }
    }

    /// Tries everything and returns what did not hold.
    pub fn run(mut self) -> Vec<String> {
        println!("  {} facts: {}", self.wanted.len(), self.wanted.count());
        self.postgres_itself_brings_it_back();
        let archives = self.backups();
        self.reading(&archives);
        self.drills();
        self.whole_restores();
        self.clean_restores();
        self.rows_after_definitions();
        self.schemas();
        self.tables();
        self.complaints
    }

    /// Where PostgreSQL's own programs do not bring all of it back, what they bring back is what is asked of ours.
    fn postgres_itself_brings_it_back(&mut self) {
        let began = Instant::now();
        let mut dump = self.server.client("pg_dump");
        dump.args(["--format=custom", "--compress=0", &self.source.name]);
        let archive = program::run(dump, "").exits(0).stdout;
        let control = self.server.create_database("control");
        let mut restore = self.server.client("pg_restore");
        restore.args(["--dbname", &control.name]);
        let restored = program::run(restore, archive);
        self.control = Facts::of(&control);
        if let Some(difference) = self.control.differs_from(&self.wanted, &self.wanted) {
            println!(
                "  pg_restore brings back another: {difference}\n{}",
                restored.stderr
            );
        }
        drop_database(&control);
        println!("  control {:.1?}", began.elapsed());
    }

    fn backups(&mut self) -> Vec<Archive> {
        SHAPES.map(|(name, _)| self.sandbox.back_up(name)).into()
    }

    /// Commands that read: none of them needs a server.
    fn reading(&mut self, archives: &[Archive]) {
        let listed = self.ends(&["list", "--json"]);
        for archive in archives {
            if !listed.text().contains(&archive.key()) {
                self.complain("list", &format!("{} is not in it", archive.key()));
            }
        }
        for level in ["exists", "checksum", "full"] {
            let verified = self.ends(&["verify", "--all", "--level", level]);
            let good = verified.text().matches("\tgood\t").count();
            if good != archives.len() {
                self.complain("verify", &verified.text());
            }
        }
        let script = script_of(&self.source, &[]);
        for archive in archives {
            let plain = self.ends(&["cat", &archive.id()]).stdout;
            let mut restore = self.server.client("pg_restore");
            restore.args(["--file", "-"]);
            let text = program::run(restore, plain).exits(0).text();
            if without_keys(&text) != script {
                self.complain("cat", "its text is not that of pg_dump");
            }
        }
        // another backup of the same differs in nothing
        let (before, after) = (archives[1].id(), self.sandbox.back_up("gzip").id());
        let compared = self.ends(&["diff", "--json", &before, &after]).text();
        let compared: serde_json::Value = serde_json::from_str(&compared).expect("JSON");
        let tables = compared["tables"].as_array().map_or(1, Vec::len);
        let objects = compared["objects"]
            .as_object()
            .map_or(1, |kinds| kinds.len());
        if tables + objects > 0 {
            self.complain("diff", &compared.to_string());
        }
    }

    fn drills(&mut self) {
        let began = Instant::now();
        let names = ["sealed", "gzip", "none"];
        for name in &names[..self.extent.of(names.len())] {
            let drilled = self
                .sandbox
                .run(&["verify", "--level", "restore", "--latest", "--db", name]);
            if drilled.status.code() != Some(0) {
                self.complain("drill", &(drilled.text() + &told(&drilled)));
            }
        }
        println!("  drills {:.1?}", began.elapsed());
    }

    /// The whole of it into a new database, in every way.
    fn whole_restores(&mut self) {
        let ways: &[(&str, &[&str])] = &[
            ("sealed", &[]),
            ("gzip", &["--jobs", "2"]),
            ("none", &["--no-single-transaction"]),
        ];
        for (from, options) in &ways[..self.extent.of(ways.len())] {
            let target = self.fresh();
            let arguments = [
                &["--from", from, "--to", &target.name, "--create"],
                *options,
            ];
            if self.restores(&arguments.concat()) {
                let title = format!("restore --create {options:?}");
                self.holds(&title, &target);
                let database = Facts::of_the_database(&target);
                let wanted = Facts::of_the_database(&self.source);
                if let Some(difference) = database.differs_from(&wanted, &wanted) {
                    self.complain(&title, &difference);
                }
            }
            drop_database(&target);
        }
    }

    /// Over itself, over one that was changed at random, and one table of it.
    fn clean_restores(&mut self) {
        let target = self.fresh();
        self.server.maintenance().sql(&format!(
            "CREATE DATABASE {} TEMPLATE template0",
            target.name
        ));
        let to = ["--from", "sealed", "--to", &target.name];
        if !self.restores(&to) {
            drop_database(&target);
            return;
        }
        let clean = [&to[..], &["--clean", "--yes"]].concat();
        // over several connections some views are replaced only where all of them are there
        for (changed, options) in [
            (false, &[][..]),
            (true, &[]),
            (false, &["--jobs", "2"]),
            (true, &["--no-single-transaction"]),
        ] {
            let over = match changed {
                true => self.change(&target),
                false => "itself".to_string(),
            };
            if self.restores(&[&clean[..], options].concat()) {
                self.holds(&format!("restore --clean {options:?} over {over}"), &target);
            }
        }
        for table in self.some_tables() {
            // a child that is a foreign table has no rows to delete
            target.sql(&format!(
                "SET session_replication_role = replica;
                 SELECT format('DELETE FROM ONLY %s', t.oid::regclass) FROM (SELECT '{quoted}'::regclass::oid AS oid
                   UNION SELECT relid FROM pg_partition_tree('{quoted}')) t
                 JOIN pg_class USING (oid) WHERE relkind = 'r' \\gexec",
                quoted = table.replace('\'', "''")
            ));
            let name = plain(&table);
            let arguments = [&clean[..], &["--table", &name]].concat();
            if self.restores(&arguments) {
                self.holds(&format!("restore --clean --table {table}"), &target);
            }
        }
        drop_database(&target);
    }

    /// Changes the database at random, and says how often.
    fn change(&mut self, target: &Database<'_>) -> String {
        let seed = self.numbers.below(1000);
        let changed = target.sql(&format!(
            "SET client_min_messages = error; SET session_replication_role = replica; SELECT setseed({seed} / 1000.0);
             {}",
            include_str!("change.sql")
        ));
        format!(
            "changes of {seed}: {}",
            changed.lines().last().unwrap_or_default()
        )
    }

    fn rows_after_definitions(&mut self) {
        let target = self.fresh();
        let to = ["--from", "gzip", "--to", &target.name];
        if self.restores(&[&to[..], &["--create", "--schema-only"]].concat()) {
            self.compare("restore --schema-only", &Facts::of(&target), is_definition);
            // rows may be older than a constraint that is not valid
            target.sql(
                "SET session_replication_role = replica;
                 SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
                 WHERE NOT convalidated AND contype IN ('c', 'n') AND conrelid <> 0 AND conislocal \\gexec",
            );
            if self.restores(&[&to[..], &["--data-only", "--disable-triggers"]].concat()) {
                let facts = Facts::of_catalogs(&target);
                self.compare("restore --schema-only, then --data-only", &facts, |fact| {
                    // views are filled with definitions, from nothing, and large objects come with their owners
                    let with_definitions =
                        fact.starts_with("filled|") || fact.starts_with("object|");
                    is_data(fact) && !with_definitions
                });
            }
        }
        drop_database(&target);
    }

    fn schemas(&mut self) {
        let all = self.source.sql(
            "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'extensions', 'public')
             AND position(E'\\n' IN nspname) = 0 ORDER BY 1",
        );
        let mut all: Vec<&str> = all.lines().collect();
        for _ in 0..self.extent.schemas() {
            if all.is_empty() {
                return;
            }
            let chosen = all.remove(self.numbers.below(all.len() as u64) as usize);
            let target = self.fresh();
            let name = plain_schema(chosen);
            let options = [
                "--from",
                "sealed",
                "--to",
                &target.name,
                "--create",
                "--schema",
                &name,
            ];
            if self.restores(&options) {
                let own = |fact: &str| is_of_schema(fact, chosen);
                let found = Facts::of_catalogs(&target);
                self.compare(&format!("restore --schema {chosen}"), &found, own);
            }
            drop_database(&target);
        }
    }

    fn tables(&mut self) {
        for table in self.some_tables() {
            let target = self.fresh();
            let name = plain(&table);
            let options = [
                "--from",
                "gzip",
                "--to",
                &target.name,
                "--create",
                "--table",
                &name,
            ];
            if self.restores(&options) {
                let rows = format!("rows|{table}|");
                let own = |fact: &str| fact.starts_with(&rows);
                let found = Facts::of_catalogs(&target);
                self.compare(&format!("restore --table {table}"), &found, own);
            }
            drop_database(&target);
        }
    }

    /// Tables by the seed, as SQL names them.
    fn some_tables(&mut self) -> Vec<String> {
        let all = self.source.sql(
            "SELECT format('%I.%I', nspname, relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
             WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^pg_' AND nspname <> 'information_schema'
             AND position(E'\\n' IN nspname || relname) = 0
             -- what inherits from it would have to be named as well
             AND (relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)) ORDER BY 1",
        );
        let mut all: Vec<String> = all.lines().map(str::to_string).collect();
        let mut some = Vec::new();
        while some.len() < self.extent.tables() && !all.is_empty() {
            some.push(all.remove(self.numbers.below(all.len() as u64) as usize));
        }
        some
    }

    /// True where the restore works; a dry run of it has to say so beforehand.
    fn restores(&mut self, options: &[&str]) -> bool {
        let arguments = [&["restore"], options].concat();
        let began = Instant::now();
        let foretold = self.sandbox.run(&[&arguments[..], &["--dry-run"]].concat());
        let restored = self.sandbox.run(&arguments);
        println!("  {:.1?} {options:?}", began.elapsed());
        let (said, did) = (foretold.status.code(), restored.status.code());
        let title = format!("restore {options:?}");
        if said != did {
            let words = format!(
                "the dry run {}\nand the restore {}",
                told(&foretold),
                told(&restored)
            );
            self.complain(&title, &words);
        } else if did != Some(0) {
            self.complain(
                &title,
                &format!("refused, as the dry run said: {}", told(&restored)),
            );
        }
        did == Some(0)
    }

    fn holds(&mut self, title: &str, target: &Database<'_>) {
        self.compare(title, &Facts::of(target), |_| true);
    }

    /// Those facts of which `keep` is true.
    fn compare(&mut self, title: &str, found: &Facts, keep: impl Fn(&str) -> bool) {
        let wanted = self.wanted.only(&keep);
        if let Some(difference) = found.only(&keep).differs_from(&wanted, &self.control) {
            self.complain(title, &difference);
        }
    }

    /// Runs a command that has to end well.
    fn ends(&mut self, arguments: &[&str]) -> Output {
        let output = self.sandbox.run(arguments);
        if output.status.code() != Some(0) {
            self.complain(&arguments.join(" "), &told(&output));
        }
        output
    }

    fn complain(&mut self, title: &str, words: &str) {
        let complaint = format!("PostgreSQL {}: {title}: {words}", self.server.major);
        println!("  NOT SO: {complaint}");
        self.complaints.push(complaint);
    }

    /// A name that no database has yet.
    fn fresh(&mut self) -> Database<'server> {
        self.made += 1;
        Database {
            server: self.server,
            name: format!("{}_restored_{}", self.source.name, self.made),
        }
    }
}

fn told(output: &Output) -> String {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let last = &lines[lines.len().saturating_sub(8)..];
    format!("exits with {:?}: {}", output.status.code(), last.join("\n"))
}

fn drop_database(database: &Database<'_>) {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name);
    // one with a subscription is not dropped before that
    let is_there = format!(
        "SELECT count(*) FROM pg_database WHERE datname = '{}'",
        database.name
    );
    if database.server.maintenance().sql(&is_there) == "1" {
        database.sql(
            "SELECT format('ALTER SUBSCRIPTION %I SET (slot_name = NONE); DROP SUBSCRIPTION %1$I', subname)
             FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \\gexec",
        );
        database.server.maintenance().sql(&sql);
    }
}

/// A name of SQL as `--table` takes it: without its quotes.
fn plain(table: &str) -> String {
    let (schema, table) = split(table);
    format!("{}.{}", plain_schema(&schema), plain_schema(&table))
}

fn plain_schema(name: &str) -> String {
    let inner = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    inner.map_or(name.to_string(), |inner| inner.replace("\"\"", "\""))
}

/// A qualified name of SQL in its two parts.
fn split(name: &str) -> (String, String) {
    let mut quoted = false;
    let at = name.find(|c| {
        quoted ^= c == '"';
        c == '.' && !quoted
    });
    let (schema, table) = name.split_at(at.expect("a schema"));
    (schema.to_string(), table[1..].to_string())
}

/// Neither data nor what is said of large objects, which come with them; nor whether a view is filled.
fn is_definition(fact: &str) -> bool {
    let with_data = ["relation|", "comment|large object "];
    !is_data(fact) && !with_data.iter().any(|kind| fact.starts_with(kind))
}

fn is_of_schema(fact: &str, schema: &str) -> bool {
    let kinds = [
        "rows", "sequence", "relation", "column", "index", "trigger", "rule", "policy", "rights",
    ];
    kinds
        .iter()
        .any(|kind| fact.starts_with(&format!("{kind}|{schema}.")))
}
