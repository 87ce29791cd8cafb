//! The adapters that archives flow through, each a plain `Read` or `Write` over another one.
//!
//! They know neither PostgreSQL nor storage. A writer is finished by value (`finish`), so that a stream
//! dropped half-way can't pass for a whole one; a reader reports its end only once everything it read has
//! proved to be whole.

pub mod codec;
pub mod encoding;
pub mod foreign;
pub mod inspect;
pub mod measure;
pub mod read_ahead;
pub mod read_pipeline;
pub mod seal;
pub mod sniff;
pub mod write_pipeline;
