//! What looks at the plain stream as it passes.

use crate::error::Result;

/// Looks at the plain stream as it passes, and has a say in whether it is whole.
pub trait StreamInspector {
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
pub struct NoInspection;

impl StreamInspector for NoInspection {
    fn feed(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
