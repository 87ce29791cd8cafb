//! The nonces under which AES-256-GCM is used. None serves one key twice.

/// For the file key under a slot key, which serves one container alone: so it may be zero.
pub(super) const WRAPPING: [u8; 12] = [0; 12];

/// The nonce of a frame of BKENC002.
pub(super) fn frame_nonce(index: u32, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[7..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// The nonce of a frame of BKENC001.
pub(super) fn frame_nonce_v1(prefix: &[u8; 8], index: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(&index.to_be_bytes());
    nonce
}
