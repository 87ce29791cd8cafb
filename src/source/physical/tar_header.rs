//! The header of a file in a tar, as POSIX's ustar has it.

/// The size of a header, and of what a file is padded to a multiple of.
pub const BLOCK: usize = 512;

/// The header of a regular file of `size` bytes, readable by its owner alone. `name` has less than 100 bytes and `size` is less
/// than 8 GiB, as with every segment of WAL.
pub fn of_file(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = [0u8; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\u{0}00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_it() {
        let mut tar = of_file("000000010000000000000002", 3).to_vec();
        tar.extend(b"abc");
        tar.resize(4 * BLOCK, 0);
        let mut child = Command::new("tar")
            .args(["-xOf", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&tar).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"abc");
    }
}
