//! The header of BKENC002: its bytes, its limits, and how it yields the file key. The format is in `super`.

use super::epoch::EpochKeyId;
use super::key_derivation;
use super::key_derivation::{Key, WRAPPED};
use super::keys::{Argon2Cost, Keys, SlotKey};
use crate::error::{Error, Kind, Result};
use hmac::Mac;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

pub(super) const MAGIC: &[u8; 8] = b"BKENC002";

const AES_256_GCM: u8 = 1;
const MAX_SLOTS: u8 = 16;
const MAX_LABEL: usize = 1024;

const PASSPHRASE: u8 = 1;
const PASSPHRASE_BODY: usize = 76;
const X25519: u8 = 2;
const X25519_BODY: usize = 80;
const EPOCH: u8 = 3;
const EPOCH_BODY: usize = 64;

// What one header may ask of a reader, so that a crafted one does not eat its memory or its day.
const MAX_MEMORY: u32 = 262_144;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
const MAX_WORK: u64 = 4_194_304;

/// A header that is undamaged and within the limits; who wrote it is known once [`ContainerHeader::unlock`] has held.
pub(super) struct ContainerHeader {
    /// The label, not yet authenticated.
    pub(super) label: String,
    /// Bytes from the magic to the end of the tag.
    pub(super) length: u64,
    pub(super) file_salt: [u8; 32],
    slots: Vec<Slot>,
    /// All that the tag authenticates: from the magic to the end of the checksum.
    authenticated: Vec<u8>,
    tag: [u8; 32],
}

enum Slot {
    Passphrase {
        cost: Argon2Cost,
        salt: [u8; 16],
        wrapped: [u8; WRAPPED],
    },
    X25519,
    Epoch {
        id: EpochKeyId,
        wrapped: [u8; WRAPPED],
    },
    Unknown,
}

/// The bytes of a header with one slot.
pub(super) fn encode(
    label: &str,
    file_salt: &[u8; 32],
    file_key: &Key,
    key: &SlotKey,
) -> Result<Vec<u8>> {
    let label_length = u16::try_from(label.len())
        .ok()
        .filter(|&length| usize::from(length) <= MAX_LABEL)
        .ok_or_else(|| {
            Error::usage(format!(
                "an archive's label has at most {MAX_LABEL} bytes, this one {}",
                label.len()
            ))
        })?;
    let (kind, body) = slot_of(file_salt, file_key, key)?;

    let mut bytes = Vec::with_capacity(171 + label.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[AES_256_GCM, 1]);
    bytes.extend_from_slice(&label_length.to_be_bytes());
    bytes.extend_from_slice(file_salt);
    bytes.extend_from_slice(label.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&body);

    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..16]);
    let mut mac = key_derivation::header_mac(file_salt, file_key);
    mac.update(&bytes);
    bytes.extend_from_slice(&mac.finalize().into_bytes());
    Ok(bytes)
}

/// The type and the body of the slot in which `key` wraps the file key.
fn slot_of(file_salt: &[u8; 32], file_key: &Key, key: &SlotKey) -> Result<(u8, Vec<u8>)> {
    let mut body = Vec::with_capacity(PASSPHRASE_BODY);
    let (kind, cipher) = match key {
        SlotKey::Passphrase(derived) => {
            let Argon2Cost {
                memory,
                passes,
                lanes,
            } = derived.cost;
            for number in [memory, passes, lanes] {
                body.extend_from_slice(&number.to_be_bytes());
            }
            body.extend_from_slice(&derived.salt);
            let cipher = key_derivation::passphrase_cipher(file_salt, &derived.key);
            (PASSPHRASE, cipher)
        }
        SlotKey::Epoch(epoch) => {
            body.extend_from_slice(&epoch.id().0);
            (EPOCH, key_derivation::epoch_cipher(file_salt, epoch.key()))
        }
    };
    body.extend_from_slice(&key_derivation::wrap(&cipher, file_key)?);
    Ok((kind, body))
}

impl ContainerHeader {
    /// Reads what follows the magic, up to the first frame, and checks all that needs no key.
    pub(super) fn read(reader: &mut impl Read) -> Result<ContainerHeader> {
        let mut bytes = MAGIC.to_vec();
        let [cipher, slot_count] = take(reader, &mut bytes)?;
        let label_length = usize::from(u16::from_be_bytes(take(reader, &mut bytes)?));
        if slot_count == 0 || slot_count > MAX_SLOTS {
            return Err(damaged(format!("it has {slot_count} slots")));
        }
        if label_length > MAX_LABEL {
            return Err(damaged(format!("its label has {label_length} bytes")));
        }
        let file_salt = take(reader, &mut bytes)?;
        let label = take_many(reader, &mut bytes, label_length)?;
        let mut bodies = Vec::with_capacity(usize::from(slot_count));
        for _ in 0..slot_count {
            let [kind] = take(reader, &mut bytes)?;
            let length = u16::from_be_bytes(take(reader, &mut bytes)?);
            bodies.push((kind, take_many(reader, &mut bytes, length.into())?));
        }

        let computed = Sha256::digest(&bytes);
        let checksum: [u8; 16] = take(reader, &mut bytes)?;
        if checksum != computed[..16] {
            return Err(damaged("its checksum differs"));
        }
        let authenticated = bytes.clone();
        let tag = take(reader, &mut bytes)?;

        if cipher != AES_256_GCM {
            return Err(newer(format!("cipher {cipher}")));
        }
        let label = String::from_utf8(label).map_err(|_| refused("its label is not UTF-8"))?;
        let slots = bodies
            .iter()
            .map(|(kind, body)| Slot::parse(*kind, body))
            .collect::<Result<Vec<_>>>()?;
        check(&slots)?;
        Ok(ContainerHeader {
            label,
            length: bytes.len() as u64,
            file_salt,
            slots,
            authenticated,
            tag,
        })
    }

    /// The file key, from the first slot that one of the passwords opens. The header is authentic after this.
    pub(super) fn unlock(&self, keys: &Keys) -> Result<Key> {
        let file_key = self.file_key(keys)?;
        let mut mac = key_derivation::header_mac(&self.file_salt, &file_key);
        mac.update(&self.authenticated);
        mac.verify_slice(&self.tag)
            .map_err(|_| damaged("its authentication tag does not hold"))?;
        Ok(file_key)
    }

    /// What the first slot was made with, to write that slot once more.
    #[cfg(test)]
    pub(super) fn first_slot_key(&self, keys: &Keys) -> Result<SlotKey> {
        match self.slots[0] {
            Slot::Passphrase { cost, salt, .. } => {
                let derived = keys.derive(&keys.for_reading()?[0], cost, salt)?;
                Ok(SlotKey::Passphrase(derived))
            }
            Slot::Epoch { id, .. } => Ok(SlotKey::Epoch(keys.epoch(id)?.unwrap())),
            _ => unreachable!("the test takes headers with a slot that we write"),
        }
    }

    fn file_key(&self, keys: &Keys) -> Result<Key> {
        for slot in &self.slots {
            let opened = match slot {
                Slot::Passphrase {
                    cost,
                    salt,
                    wrapped,
                } => self.by_password(keys, *cost, *salt, wrapped)?,
                Slot::Epoch { id, wrapped } => keys.epoch(*id)?.and_then(|epoch| {
                    let cipher = key_derivation::epoch_cipher(&self.file_salt, epoch.key());
                    key_derivation::unwrap(&cipher, wrapped)
                }),
                Slot::X25519 | Slot::Unknown => None,
            };
            if let Some(file_key) = opened {
                return Ok(file_key);
            }
        }
        Err(self.opened_by_nothing(keys))
    }

    fn by_password(
        &self,
        keys: &Keys,
        cost: Argon2Cost,
        salt: [u8; 16],
        wrapped: &[u8; WRAPPED],
    ) -> Result<Option<Key>> {
        for password in keys.for_reading()? {
            let derived = keys.derive(password, cost, salt)?;
            let cipher = key_derivation::passphrase_cipher(&self.file_salt, &derived.key);
            if let Some(file_key) = key_derivation::unwrap(&cipher, wrapped) {
                return Ok(Some(file_key));
            }
        }
        Ok(None)
    }

    /// Says why none of `keys` opens it; the kind of slot decides.
    fn opened_by_nothing(&self, keys: &Keys) -> Error {
        let known = |slot: &&Slot| !matches!(slot, Slot::Unknown);
        match self.slots.iter().find(known) {
            Some(Slot::Passphrase { .. }) => keys.wrong_password(),
            Some(Slot::X25519) => Error::new(
                Kind::WrongPassword,
                "the archive is sealed to a public key, and only passwords are at hand",
            )
            .hint("open it with the private key of that public key"),
            Some(Slot::Epoch { id, .. }) => Error::new(
                Kind::WrongPassword,
                format!("the archive is sealed under the key {id}, which is not at hand"),
            )
            .hint(format!(
                "it is kept as {id}.key in the directory keys of the name's directory, on every storage; bring it back there"
            )),
            _ => Error::new(
                Kind::WrongPassword,
                "the archive has no slot of a kind we hold a key for",
            )
            .hint("a newer backupkit may know its kind of key"),
        }
    }
}

impl Slot {
    fn parse(kind: u8, body: &[u8]) -> Result<Slot> {
        let length = match kind {
            0 => return Err(refused("it has a slot of the invalid type 0")),
            PASSPHRASE => PASSPHRASE_BODY,
            X25519 => X25519_BODY,
            EPOCH => EPOCH_BODY,
            _ => return Ok(Slot::Unknown),
        };
        if body.len() != length {
            return Err(refused(format!(
                "a slot of type {kind} has {} bytes instead of {length}",
                body.len()
            )));
        }
        match kind {
            X25519 => return Ok(Slot::X25519),
            EPOCH => {
                return Ok(Slot::Epoch {
                    id: EpochKeyId(part(body, 0)),
                    wrapped: part(body, 16),
                });
            }
            _ => {}
        }
        let number = |at: usize| u32::from_be_bytes(part(body, at));
        Ok(Slot::Passphrase {
            cost: Argon2Cost {
                memory: number(0),
                passes: number(4),
                lanes: number(8),
            },
            salt: part(body, 12),
            wrapped: part(body, 28),
        })
    }
}

/// Refuses a mixture of kinds, and work beyond the limits, before any of it is done.
fn check(slots: &[Slot]) -> Result<()> {
    let mut work = 0;
    for slot in slots {
        let Slot::Passphrase { cost, .. } = slot else {
            continue;
        };
        let Argon2Cost {
            memory,
            passes,
            lanes,
        } = *cost;
        work += u64::from(memory) * u64::from(passes);
        if memory > MAX_MEMORY
            || !(1..=MAX_PASSES).contains(&passes)
            || !(1..=MAX_LANES).contains(&lanes)
            || memory < 8 * lanes
            || work > MAX_WORK
        {
            return Err(refused(format!(
                "it asks for an Argon2id derivation outside the limits (m={memory} t={passes} p={lanes})"
            )));
        }
    }
    let has = |kind: fn(&Slot) -> bool| slots.iter().any(kind);
    let kinds = [
        has(|slot| matches!(slot, Slot::Passphrase { .. })),
        has(|slot| matches!(slot, Slot::X25519)),
        has(|slot| matches!(slot, Slot::Epoch { .. })),
    ];
    if kinds.into_iter().filter(|there| *there).count() > 1 {
        return Err(refused("it mixes slots of several kinds of keys"));
    }
    Ok(())
}

/// `N` bytes of `body` from `at` on; the caller has checked its length.
fn part<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&body[at..at + N]);
    bytes
}

/// The next `N` bytes, which are kept in `bytes` as well.
fn take<const N: usize>(reader: &mut impl Read, bytes: &mut Vec<u8>) -> Result<[u8; N]> {
    let mut taken = [0; N];
    read_exact(reader, &mut taken)?;
    bytes.extend_from_slice(&taken);
    Ok(taken)
}

/// The next `count` bytes, which are kept in `bytes` as well.
fn take_many(reader: &mut impl Read, bytes: &mut Vec<u8>, count: usize) -> Result<Vec<u8>> {
    let mut taken = vec![0; count];
    read_exact(reader, &mut taken)?;
    bytes.extend_from_slice(&taken);
    Ok(taken)
}

/// Fills `buffer`; an end before that is a damaged header.
pub(super) fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    reader
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the file ends inside it"),
            _ => Error::from(error),
        })
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::damaged(format!("the archive's header is damaged: {why}"))
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::damaged(format!("the archive's header is refused: {why}"))
}

/// A format that only a later version can know.
pub(super) fn newer(what: impl std::fmt::Display) -> Error {
    Error::damaged(format!(
        "the archive needs a newer backupkit: it uses {what}"
    ))
    .hint("install the latest version of backupkit and try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with a right checksum, as it follows the magic.
    fn header(label: usize, slots: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[AES_256_GCM, slots.len() as u8]);
        bytes.extend_from_slice(&(label as u16).to_be_bytes());
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(&vec![b'x'; label]);
        for (kind, body) in slots {
            bytes.push(*kind);
            bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum[..16]);
        bytes.extend_from_slice(&[0; 32]);
        bytes[MAGIC.len()..].to_vec()
    }

    fn passphrase(memory: u32, passes: u32, lanes: u32) -> (u8, Vec<u8>) {
        let mut body = vec![0; PASSPHRASE_BODY];
        for (at, number) in [(0, memory), (4, passes), (8, lanes)] {
            body[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        (PASSPHRASE, body)
    }

    fn accepts(label: usize, slots: &[(u8, Vec<u8>)]) -> bool {
        match ContainerHeader::read(&mut &header(label, slots)[..]) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Damaged, "{error:?}");
                false
            }
        }
    }

    #[test]
    fn a_header_may_ask_for_this_much_work_and_no_more() {
        for (m, t, p) in [(65_536, 3, 4), (262_144, 16, 16), (8, 1, 1), (128, 16, 16)] {
            assert!(accepts(9, &[passphrase(m, t, p)]), "m={m} t={t} p={p}");
        }
        for (m, t, p) in [
            (262_145, 1, 1),
            (u32::MAX, 1, 1),
            (65_536, 17, 4),
            (65_536, 0, 4),
            (65_536, 3, 17),
            (65_536, 3, 0),
            (65_536, u32::MAX, u32::MAX),
            (127, 1, 16),
            (7, 1, 1),
        ] {
            assert!(!accepts(9, &[passphrase(m, t, p)]), "m={m} t={t} p={p}");
        }
        // the sum over the slots counts, wherever they stand
        let half = passphrase(131_072, 16, 1);
        assert!(accepts(9, &[half.clone(), half.clone()]));
        assert!(!accepts(9, &[half.clone(), half, passphrase(8, 1, 1)]));
    }

    #[test]
    fn lengths_must_be_exact() {
        let good = passphrase(65_536, 3, 4);
        assert!(accepts(0, std::slice::from_ref(&good)));
        assert!(accepts(MAX_LABEL, &vec![good.clone(); 16]));
        assert!(!accepts(MAX_LABEL + 1, std::slice::from_ref(&good)));
        assert!(!accepts(9, &vec![good; 17]));
        assert!(!accepts(9, &[]));
        for (kind, exact) in [(PASSPHRASE, PASSPHRASE_BODY), (X25519, X25519_BODY)] {
            for length in [0, exact - 1, exact + 1, 65_535] {
                let mut slot = passphrase(65_536, 3, 4);
                slot.0 = kind;
                slot.1.resize(length, 0);
                assert!(!accepts(9, &[slot]), "type {kind}, {length} bytes");
            }
        }
        assert!(accepts(
            9,
            &[(X25519, vec![0; X25519_BODY]), (200, vec![0; 65_535])]
        ));
    }
}
