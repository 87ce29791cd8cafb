//! Which faults are tried: each command, each kind of system call, each thing that can go wrong with it, and which of the
//! calls it hits.

/// A kind of system call, and what is made to go wrong in it, as strace spells both.
pub struct CallKind {
    pub calls: &'static str,
    faults: &'static [&'static str],
}

const KILL: &str = "signal=KILL";

pub const CALLS: [CallKind; 16] = [
    of(
        "openat,open,creat",
        &[
            KILL,
            "error=EIO",
            "error=EACCES",
            "error=EMFILE",
            "error=ENOSPC",
        ],
    ),
    of("read,pread64", &[KILL, "error=EIO", "error=EINTR"]),
    of(
        "write,pwrite64,writev",
        &[
            KILL,
            "error=EIO",
            "error=ENOSPC",
            "error=EINTR",
            "signal=XFSZ",
        ],
    ),
    of("fsync,fdatasync", &[KILL, "error=EIO", "error=ENOSPC"]),
    of(
        "rename,renameat,renameat2",
        &[KILL, "error=EIO", "error=EACCES", "error=ENOSPC"],
    ),
    of(
        "unlink,unlinkat,rmdir",
        &[KILL, "error=EIO", "error=EACCES"],
    ),
    of("mkdir,mkdirat", &[KILL, "error=ENOSPC", "error=EACCES"]),
    // no error: strace leaves out the call that it fails, and only then would the descriptor stay open
    of("close", &[KILL]),
    of("getdents64", &[KILL, "error=EIO"]),
    of("flock", &[KILL, "error=EINTR", "error=ENOLCK"]),
    of(
        "fstat,statx,newfstatat,stat,lstat",
        &[KILL, "error=EIO", "error=EACCES"],
    ),
    of(
        "pipe2,clone,clone3,vfork",
        &[KILL, "error=EMFILE", "error=EAGAIN"],
    ),
    of("poll,ppoll,wait4,waitid", &[KILL, "error=EINTR"]),
    of("connect", &[KILL, "error=ECONNREFUSED", "error=EINTR"]),
    // strace leaves the call out, so after a reset that the server knows nothing of, libpq would wait for its last words
    of("sendto", &[KILL, "error=EINTR"]),
    // the program receives from itself alone, where nothing is reset
    of("recvfrom", &[KILL, "error=EINTR"]),
];

const fn of(calls: &'static str, faults: &'static [&'static str]) -> CallKind {
    CallKind { calls, faults }
}

/// How often the calls of each kind come in one undisturbed run of a command; in one thread, where there are several.
pub type Counts = [usize; CALLS.len()];

/// One run with one fault.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The index of the command.
    pub command: usize,
    /// In children and other threads too, each counted by itself; else in the main thread alone, which writes to the storage.
    pub everywhere: bool,
    calls: &'static str,
    fault: &'static str,
    /// The call that it hits, from 1.
    at: usize,
}

impl Injection {
    /// The options of strace.
    pub fn options(&self) -> Vec<String> {
        let Injection {
            calls, fault, at, ..
        } = self;
        let follow = self.everywhere.then(|| "-f".to_string());
        let inject = [
            "-e".to_string(),
            format!("inject={calls}:{fault}:when={at}"),
        ];
        follow.into_iter().chain(inject).collect()
    }

    /// True for one that ends the process that it hits.
    pub fn kills(&self) -> bool {
        self.fault == KILL
    }
}

/// At most `most` injections, of all kinds alike, from how often each command makes each call: alone, and everywhere.
pub fn injections(counts: &[[Counts; 2]], most: usize) -> Vec<Injection> {
    let mut groups: Vec<Vec<Injection>> = Vec::new();
    for (command, both) in counts.iter().enumerate() {
        for (everywhere, counts) in [false, true].into_iter().zip(both) {
            for (kind, &count) in CALLS.iter().zip(counts) {
                for &fault in kind.faults {
                    let one = |at| Injection {
                        command,
                        everywhere,
                        calls: kind.calls,
                        fault,
                        at,
                    };
                    groups.push(spread(count, groups.len()).map(one).collect());
                }
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    let total: usize = groups.iter().map(Vec::len).sum();
    let most = most.min(total);
    let mut chosen = Vec::new();
    // a stride that has nothing in common with how the groups repeat
    let stride = (0..)
        .map(|more| groups.len() * 2 / 5 + more)
        .find(|step| gcd(*step, groups.len()) == 1);
    let stride = stride.unwrap_or(1);
    let mut next = 0;
    while chosen.len() < most {
        let group = next % groups.len();
        chosen.extend(groups[group].pop());
        next += stride;
    }
    chosen
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The numbers 1 to `count`, in an order that covers them evenly from its first ones on, beginning at another place for each
/// `seed`.
fn spread(count: usize, seed: usize) -> impl Iterator<Item = usize> {
    let step = (0..)
        .map(|more| count * 5 / 8 + more + 1)
        .find(|step| gcd(*step, count.max(1)) == 1);
    let step = step.unwrap_or(1);
    (0..count).map(move |index| (seed * 7 + index * step) % count + 1)
}
