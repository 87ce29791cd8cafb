//! The encrypted container: what an archive with a name that ends in `.enc` is made of.
//!
//! [`Sealer`] writes BKENC002. [`Opener`] reads it, and BKENC001 too (see `v1`). All integers are big-endian.
//!
//! # BKENC002
//!
//! ```text
//! offset  bytes  the header, with L = length of the label
//!      0      8  "BKENC002"
//!      8      1  cipher: 1 = AES-256-GCM
//!      9      1  number of slots, 1..=16
//!     10      2  L, at most 1024
//!     12     32  file salt
//!     44      L  label, UTF-8
//!   44+L         the slots, one after the other
//!             1    type: 1 passphrase, 2 x25519, 3 epoch key, 0 invalid; others are skipped, 128..=255 never hold keys
//!             2    length of the body
//!                  body of type 1, 76 bytes      body of type 2, 80 bytes
//!                    m in KiB         4            ephemeral public key  32
//!                    t                4            wrapped file key      48
//!                    p                4
//!                    kdf salt        16
//!                    wrapped file key 48
//!                  body of type 3, 64 bytes
//!                    key id          16
//!                    wrapped file key 48
//!            16  checksum: the first half of SHA-256(all of the above)
//!            32  tag: HMAC-SHA256(header key, all of the above with the checksum)
//!                the frames, to the end of the file
//! ```
//!
//! With the header of one passphrase slot the frames begin at byte 171+L.
//!
//! **Keys.** A file key of 32 random bytes serves one container. `HKDF(ikm, info)` below is HKDF-SHA256 with
//! the file salt as its salt and 32 bytes of output.
//!
//! ```text
//! header key    HKDF(file key, "backupkit/v2/header")
//! payload key   HKDF(file key, "backupkit/v2/payload")
//! slot key 1    HKDF(Argon2id v1.3 of the password with m, t, p and kdf salt, 32 bytes; "backupkit/v2/passphrase")
//! slot key 2    HKDF(X25519 shared secret; "backupkit/v2/x25519" || ephemeral public || recipient public)
//! slot key 3    HKDF(epoch key, "backupkit/v2/epoch")
//! wrapped       AES-256-GCM(slot key, nonce of 12 zero bytes, file key): 32 bytes and the tag of 16
//! ```
//!
//! A password is its exact UTF-8. Slots of type 1, 2 and 3 never share a header. An epoch key is 32 random bytes that many
//! containers are sealed under; its id is the first half of HKDF-SHA256(epoch key, "backupkit/v2/epoch-id") with an empty salt.
//!
//! **Frames.** The plaintext is cut into pieces of 65,536 bytes, and the last one is what remains: 1..=65,536
//! bytes, or none if the whole plaintext is empty. Each piece becomes AES-256-GCM(payload key, piece), the
//! ciphertext and its tag of 16 bytes, under the nonce
//!
//! ```text
//! 7 zero bytes | u32 index of the frame, from 0 | 1 on the last frame, else 0
//! ```
//!
//! so that frames can be neither moved, repeated nor left out, and a container can't end early. There are at
//! most 2^32 of them.
//!
//! # What holds
//!
//! - The header is read in one order: slot count, label length, end of file and checksum (else it is damaged);
//!   cipher; label; slots and their limits (`header::check`), before anything is derived from the password;
//!   the slots are tried; the tag.
//! - No byte of a frame is released before its tag holds, and [`Opener`] reports the end only after the last
//!   frame held and the reader below returned end of file.
//! - No nonce is used twice: a [`Sealer`] with a writer that failed once writes nothing more.

mod epoch;
mod frame;
mod header;
pub mod key_derivation;
mod keys;
mod nonce;
mod reader;
mod v1;
mod writer;

pub use epoch::{EpochKey, EpochKeyId};
pub use keys::{Argon2Cost, Derivations, Keys};
pub use reader::{ContainerVersion, Expect, Opener};
pub use writer::Sealer;

use crate::error::Result;
use std::io::{Read, Write};

/// Seals `plain` in one go.
pub fn seal_bytes(plain: &[u8], keys: &Keys, label: &str) -> Result<Vec<u8>> {
    let mut sealer = Sealer::new(Vec::with_capacity(plain.len() + 2048), keys, label)?;
    sealer.write_all(plain)?;
    sealer.finish()
}

/// Opens a container that is in memory; nothing of it is handed out unless all of it holds.
pub fn open_bytes(sealed: &[u8], keys: &Keys, expected: Expect) -> Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(sealed.len());
    Opener::open(sealed, keys, expected)?.read_to_end(&mut plain)?;
    Ok(plain)
}
