//! The key schedule: how keys come from other keys, and the one way AES-256-GCM is used.

use super::frame::TAG;
use super::nonce::WRAPPING;
use crate::error::{Error, Result};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hmac::Hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key of 32 bytes, wiped when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// A file key under a slot key: ciphertext and tag.
pub(super) const WRAPPED: usize = 32 + TAG;

/// HKDF-SHA256 of `ikm` for the purpose `info`; the salt is always that of the file.
pub(super) fn derive(file_salt: &[u8; 32], ikm: &[u8; 32], info: &[u8]) -> Key {
    let mut key = Key::default();
    Hkdf::<Sha256>::new(Some(file_salt), ikm)
        .expand(info, key.as_mut())
        .expect("32 bytes are far below HKDF's limit");
    key
}

/// The running tag of a header under its header key.
pub(super) fn header_mac(file_salt: &[u8; 32], file_key: &Key) -> Hmac<Sha256> {
    let key = derive(file_salt, file_key, b"backupkit/v2/header");
    Hmac::new_from_slice(key.as_ref()).expect("HMAC takes keys of any length")
}

/// The cipher of the frames.
pub(super) fn payload_cipher(file_salt: &[u8; 32], file_key: &Key) -> Aes256Gcm {
    cipher(&derive(file_salt, file_key, b"backupkit/v2/payload"))
}

/// The cipher under which a passphrase slot wraps the file key.
pub(super) fn passphrase_cipher(file_salt: &[u8; 32], derived: &Key) -> Aes256Gcm {
    cipher(&derive(file_salt, derived, b"backupkit/v2/passphrase"))
}

/// The cipher under which the slot of an epoch key wraps the file key.
pub(super) fn epoch_cipher(file_salt: &[u8; 32], epoch: &Key) -> Aes256Gcm {
    cipher(&derive(file_salt, epoch, b"backupkit/v2/epoch"))
}

/// What an epoch key is called by.
pub(super) fn epoch_id(epoch: &Key) -> [u8; 16] {
    let mut id = [0; 16];
    Hkdf::<Sha256>::new(None, epoch.as_ref())
        .expand(b"backupkit/v2/epoch-id", &mut id)
        .expect("16 bytes are far below HKDF's limit");
    id
}

/// AES-256-GCM under `key`.
pub(super) fn cipher(key: &Key) -> Aes256Gcm {
    let key: &[u8; 32] = key;
    Aes256Gcm::new(key.into())
}

/// Encrypts `buffer` where it is and returns its tag.
pub(super) fn encrypt(
    cipher: &Aes256Gcm,
    nonce: &[u8; 12],
    buffer: &mut [u8],
) -> Result<[u8; TAG]> {
    cipher
        .encrypt_inout_detached(nonce.into(), b"", buffer.into())
        .map(Into::into)
        .map_err(|_| Error::failed("AES-256-GCM takes no piece of this length"))
}

/// Decrypts `sealed` (ciphertext and tag) where it is and returns the plaintext's length; `None` if the tag
/// doesn't hold, and then what is left in `sealed` is nobody's to read.
pub(super) fn decrypt(cipher: &Aes256Gcm, nonce: &[u8; 12], sealed: &mut [u8]) -> Option<usize> {
    let (text, tag) = sealed.split_last_chunk_mut::<TAG>()?;
    let length = text.len();
    cipher
        .decrypt_inout_detached(nonce.into(), b"", text.into(), (&*tag).into())
        .ok()?;
    Some(length)
}

/// Wraps the file key under a slot's cipher, which serves this file alone: so its nonce may be zero.
pub(super) fn wrap(slot: &Aes256Gcm, file_key: &Key) -> Result<[u8; WRAPPED]> {
    let mut wrapped = [0; WRAPPED];
    wrapped[..32].copy_from_slice(file_key.as_ref());
    let tag = encrypt(slot, &WRAPPING, &mut wrapped[..32])?;
    wrapped[32..].copy_from_slice(&tag);
    Ok(wrapped)
}

/// The file key, if `wrapped` was wrapped under this slot's cipher.
pub(super) fn unwrap(slot: &Aes256Gcm, wrapped: &[u8; WRAPPED]) -> Option<Key> {
    let mut plain = Zeroizing::new(*wrapped);
    decrypt(slot, &WRAPPING, plain.as_mut())?;
    let mut key = Key::default();
    key.copy_from_slice(&plain[..32]);
    Some(key)
}
