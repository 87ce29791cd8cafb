//! The machine that we run on.

use sha2::{Digest, Sha256};

/// Its name, as records and messages tell it.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// What tells machines of one name apart, where it has that: a digest of its machine-id(5). The identifier itself is not for
/// others to see.
pub fn machine_digest() -> Option<String> {
    let identifier = std::fs::read("/etc/machine-id").ok()?;
    Some(digest(&[b"backupkit", &identifier]))
}

/// What tells one start of a machine's kernel from all others, containers on it included.
pub fn boot_identifier() -> Option<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok()
}

/// 64 bits as hexadecimal digits, for what is compared and never shown.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let hash = hash.finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
