//! What reading the dump as it passes costs a backup: `reader with|without FILE COMMAND [ARGUMENT]...` runs the write
//! side of a backup over the command's output into FILE, with the reader of pg_dump's archives looking on or without.
//!
//! `benches/run` times the two against each other. A backup itself has no such choice.

use backupkit::cancel::Cancel;
use backupkit::error::{Error, Result};
use backupkit::format::codec::{CodecOptions, threads, zstd};
use backupkit::format::inspect::{NoInspection, StreamInspector};
use backupkit::format::seal::{Derivations, Keys};
use backupkit::format::write_pipeline;
use backupkit::format::write_pipeline::Stages;
use backupkit::process::{ChildOutput, explain_plainly};
use backupkit::progress::Meter;
use backupkit::secret::Secret;
use backupkit::source::logical::archive::{DumpContents, Inspector};
use std::fs::File;
use std::io::BufReader;
use std::process::{Command, ExitCode};

/// The reader, and what it found.
#[derive(Default)]
struct Reader {
    inspector: Option<Inspector>,
    tables: usize,
}

impl StreamInspector for Reader {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.inspector.get_or_insert_default().feed(bytes)
    }

    fn end(&mut self) -> Result<()> {
        if let DumpContents::Read(summary) = self.inspector.take().unwrap_or_default().finish()? {
            self.tables = summary.tables.len();
        }
        Ok(())
    }
}

fn run(arguments: &[String]) -> Result<String> {
    let [reader, file, program, rest @ ..] = arguments else {
        return Err(Error::usage(
            "usage: reader with|without FILE COMMAND [ARGUMENT]...",
        ));
    };
    let mut command = Command::new(program);
    command.args(rest);
    let dump = ChildOutput::spawn(program, command, &Cancel::new()?, explain_plainly)?;
    let mut dump = BufReader::with_capacity(write_pipeline::PIECE, dump);
    let keys = Keys::new(vec![Secret::new("only for measuring")], Derivations::new())?;
    let plan = Stages {
        codec: CodecOptions::Zstd(zstd::DUMP_LEVEL),
        threads: threads(),
        seal: Some((&keys, "bench")),
    };
    let target = File::create(file)?;
    let meter = Meter::default();
    if reader == "without" {
        write_pipeline::write(&mut dump, target, &plan, &mut NoInspection, &meter)?;
        return Ok("not read".to_string());
    }
    let mut inspector = Reader::default();
    write_pipeline::write(&mut dump, target, &plan, &mut inspector, &meter)?;
    Ok(format!("{} tables read", inspector.tables))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
