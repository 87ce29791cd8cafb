//! A database that has everything at once, made from a seed, under every command. What comes out of each is held to what
//! PostgreSQL itself says of it.
//!
//! `make test-real` runs it on every server, and PostgreSQL's own regression database as well where its files are.

mod commands;
mod facts;
mod regress;
mod schema;

pub use commands::Extent;

use crate::support;
use commands::Trial;
use std::time::Instant;
use support::postgres::postgres;

/// Tries all commands on the schemas of `seed`, and returns what did not hold.
pub fn try_schemas(major: u32, seed: u64, extent: Extent) -> Vec<String> {
    let began = Instant::now();
    println!("PostgreSQL {major}, seed {seed}");
    let source = postgres(major).create_database("real");
    source.sql(&schema::generate(seed, extent));
    println!("  made in {:.1?}", began.elapsed());
    let complaints = Trial::new(source, seed, extent).run();
    println!("  {:.1?} in all", began.elapsed());
    complaints
}

/// The same with PostgreSQL's regression database, made from the source tree in `directory`.
pub fn try_regression(major: u32, directory: &str, seed: u64) -> Vec<String> {
    let began = Instant::now();
    println!("PostgreSQL {major}, its regression database");
    let server = regress::make(major, directory);
    let source = support::postgres::Database {
        server: &server,
        name: regress::DATABASE.into(),
    };
    let complaints = Trial::new(source, seed, Extent::Long).run();
    println!("  {:.1?} in all", began.elapsed());
    complaints
}
