//! Random bytes from the operating system's generator, which is waited for until it is seeded.

use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `buffer`. Keys, salts and passwords come from here.
pub fn fill(buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(
                    Error::failed("the operating system gave no random bytes").because(error)
                );
            }
        }
    }
    Ok(())
}

/// 128 bits as 32 hexadecimal digits: no other token is the same.
pub fn token() -> Result<String> {
    let mut bytes = [0u8; 16];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A number in 0..1 for jitter; one half where the system gives no random bytes.
pub fn fraction() -> f64 {
    let mut bytes = [0u8; 4];
    match fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

/// A number below `limit` for a choice in which nothing secret depends on it; 0 where the system gives no random bytes.
pub fn below(limit: usize) -> usize {
    let mut bytes = [0u8; 8];
    match fill(&mut bytes) {
        Ok(()) => (u64::from_ne_bytes(bytes) % limit.max(1) as u64) as usize,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_the_same_and_numbers_stay_in_their_range() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!((0.0..1.0).contains(&fraction()));
        assert_eq!((below(1), below(0)), (0, 0));
        let mut long = vec![0u8; 1 << 20];
        fill(&mut long).unwrap();
        assert!(long[(1 << 20) - 64..].iter().any(|byte| *byte != 0));
    }
}
