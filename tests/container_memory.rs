//! Memory that the system refuses is a failure of its own. Alone in its process, whose limit it lowers.

mod container;

use backupkit::error::Kind;
use backupkit::format::seal::{Derivations, Expect, Opener, seal_bytes};
use container::{keys, vectors};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;

#[test]
fn too_little_memory_is_never_called_a_wrong_password() {
    let sealed = fs::read(vectors().join("v2-defaults.enc")).unwrap();
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    let before = getrlimit(Resource::As);
    let tight = Rlimit {
        current: Some(pages * 4096 + (32 << 20)),
        maximum: before.maximum,
    };

    let keys = keys(&Derivations::new());
    setrlimit(Resource::As, tight).unwrap();
    let reading = Opener::open(&sealed[..], &keys, Expect::Any).err();
    let writing = seal_bytes(b"", &keys, "x/y").err();
    setrlimit(Resource::As, before).unwrap();

    for error in [reading, writing] {
        let error = error.expect("64 MiB do not fit into 32");
        assert_eq!(error.kind(), Kind::Failed, "{error:?}");
        assert!(error.to_string().contains("64 MiB"), "{error:?}");
    }
    assert!(Opener::open(&sealed[..], &keys, Expect::Any).is_ok());
}
