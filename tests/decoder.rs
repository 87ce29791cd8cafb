//! A decoder in another language, written from the words of `backupkit-format(5)` alone, reads our archives.

mod container;

use backupkit::format::seal::{Derivations, seal_bytes};
use container::{keys, plain, vectors};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const LABEL: &str = "app_db/20261120_020000.123456789Z";

/// The Python that `make test` installs, with the package the decoder needs.
fn python() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts/where");
    let parts = Command::new(place).output().unwrap().stdout;
    let parts = PathBuf::from(String::from_utf8(parts).unwrap().trim_end());
    let python = parts.join("python/bin/python3");
    assert!(
        python.exists(),
        "{} is missing: run `make test`, which installs what the tests need",
        python.display()
    );
    python
}

/// Runs the decoder over an archive, with a password file as its input.
fn decode(archive: &Path, password: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decoder/decode.py");
    let mut child = Command::new(python())
        .arg(script)
        .arg(archive)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // the decoder of an unsealed archive ends without reading a password
    let _ = stdin.write_all(format!("{password}\n").as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

#[test]
fn another_decoder_reads_every_shape_of_archive() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(&Derivations::new());
    for length in [0, 1000, 65_536, 200_000] {
        let plain = plain(length);
        let two_members = [gzip(&plain[..length / 2]), gzip(&plain[length / 2..])].concat();
        let two_frames = [zstd(&plain[..length / 2]), zstd(&plain[length / 2..])].concat();
        let seal = |bytes: &[u8]| seal_bytes(bytes, &keys, LABEL).unwrap();
        for (shape, archive) in [
            ("plain", plain.clone()),
            ("gz", two_members.clone()),
            ("enc", seal(&plain)),
            ("gz.enc", seal(&two_members)),
            ("zst", two_frames.clone()),
            ("zst.enc", seal(&two_frames)),
        ] {
            let path = folder.path().join(shape);
            fs::write(&path, archive).unwrap();
            let output = decode(&path, "correct horse");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{shape} of {length}: {said}");
            assert!(output.stdout == plain, "{shape} of {length}");
            assert_eq!(said.contains(LABEL), shape.ends_with("enc"), "{said}");
        }
    }
}

#[test]
fn another_decoder_agrees_about_the_vectors() {
    for (file, length) in [
        ("v2-65537.enc", 65_537),
        ("v2-defaults.enc", 1000),
        ("v2-second-password.enc", 1000),
    ] {
        let output = decode(&vectors().join(file), "correct horse");
        assert!(
            output.status.success() && output.stdout == plain(length),
            "{file}"
        );
    }
    for file in [
        "v2-tag.enc",
        "v2-frames-swap.enc",
        "v2-frames-drop-last.enc",
        "v2-frames-empty-final.enc",
        "v2-trailing-byte.enc",
        "v2-not-our-password.enc",
    ] {
        assert!(
            !decode(&vectors().join(file), "correct horse")
                .status
                .success(),
            "{file}"
        );
    }
}
