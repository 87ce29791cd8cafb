//! The adapters that archives flow through, each a plain `Read` or `Write` over another one.
//!
//! They know neither PostgreSQL nor storage. A writer is finished by value (`finish`), so that a stream
//! dropped half-way can't pass for a whole one; a reader reports its end only once everything it read has
//! proved to be whole.

pub mod codec;
pub mod encoding;
pub mod measure;
pub mod read_pipeline;
pub mod seal;
pub mod sniff;
pub mod write_pipeline;

use crate::error::Result;

/// Looks at the plain stream as it passes, and has a say in whether it is whole.
pub trait Tap {
    /// The next bytes. An error ends the stream.
    fn feed(&mut self, bytes: &[u8]) -> Result<()>;

    /// The byte from which on nobody needs the stream, once that is known: its receiver has all before that byte.
    fn needless_from(&self) -> Option<u64> {
        None
    }

    /// The stream ended well so far. An error keeps its end from being released or committed.
    fn end(&mut self) -> Result<()>;
}

/// Looks at nothing.
pub struct NoTap;

impl Tap for NoTap {
    fn feed(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
