//! Damage to an archive never reaches the target: a restore of it says so by its exit status, and the database is
//! what it was, to the last row.

use crate::support::postgres::{Database, Server, postgres};
use crate::support::processes::{self, Process, process};
use crate::support::program::Output;
use crate::support::sandbox::{SHAPES, Sandbox, Shape};
use crate::support::wait;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PLAIN: Shape = Shape::new(false, false);
const GZIP: Shape = Shape::new(true, false);
const SEALED: Shape = Shape::new(false, true);
const GZIP_SEALED: Shape = Shape::new(true, true);
const ZSTD: Shape = Shape::zstd(false);
const ZSTD_SEALED: Shape = Shape::zstd(true);

/// The name of the database that the archives are of.
const NAME: &str = "shop";
/// A frame of a sealed archive: as much plaintext and its tag.
const FRAME: usize = 65_536 + 16;

/// A shop with so much in it that pg_restore is well on its way before the end of the archive has been read.
fn source() -> Database<'static> {
    let shop = postgres(18).shop();
    shop.sql(
        "CREATE TABLE public.ballast AS SELECT n, string_agg(md5(n || ' ' || i), '') AS text
         FROM generate_series(1, 2000) AS n, generate_series(1, 64) AS i GROUP BY n ORDER BY n",
    );
    shop
}

/// A good archive of it.
struct Archive {
    key: String,
    bytes: Vec<u8>,
    sha256: Vec<u8>,
}

impl Archive {
    /// One of this shape. Each is made once.
    fn of(shape: Shape) -> &'static Archive {
        static ARCHIVES: [OnceLock<Archive>; SHAPES.len()] = [const { OnceLock::new() }; _];
        let index = SHAPES.iter().position(|known| *known == shape);
        ARCHIVES[index.expect("one of them")].get_or_init(|| Archive::take(shape))
    }

    fn take(shape: Shape) -> Archive {
        let sandbox = Sandbox::new(18);
        sandbox.configure_as(&[(NAME, &source())], shape);
        sandbox.run(&["backup"]).exits(0);
        let files = sandbox.files("storage");
        let read = |suffix: &str| {
            let key = files.iter().find(|file| file.ends_with(suffix));
            let key = key.expect("the backup wrote it").clone();
            let bytes = fs::read(sandbox.path("storage").join(&key)).expect("read a file");
            (key, bytes)
        };
        let (key, bytes) = read(shape.suffix());
        let (_, sha256) = read(".sha256");
        Archive { key, bytes, sha256 }
    }

    /// Where the frames of this sealed archive begin.
    fn header(&self) -> usize {
        let label = u16::from_be_bytes([self.bytes[10], self.bytes[11]]);
        171 + usize::from(label)
    }

    /// The header, then the frames.
    fn parts(&self) -> (&[u8], Vec<&[u8]>) {
        let (header, frames) = self.bytes.split_at(self.header());
        (header, frames.chunks(FRAME).collect())
    }

    fn flipped(&self, place: usize, mask: u8) -> Damage {
        let mut bytes = self.bytes.clone();
        bytes[place] ^= mask;
        Damage::new(format!("byte {place} ^ {mask:#x}"), bytes)
    }

    fn cut(&self, length: usize) -> Damage {
        Damage::new(format!("cut to {length}"), &self.bytes[..length])
    }

    fn and(&self, what: &str, more: &[u8]) -> Damage {
        Damage::new(what, [&self.bytes, more].concat())
    }

    /// Some places in `from..to`, both ends among them.
    fn spread(&self, from: usize, to: usize, count: usize) -> impl Iterator<Item = usize> + use<> {
        (0..count).map(move |n| from + (to - 1 - from) * n / (count - 1))
    }
}

/// What became of an archive.
struct Damage {
    what: String,
    bytes: Vec<u8>,
}

impl Damage {
    fn new(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Damage {
        Damage {
            what: what.into(),
            bytes: bytes.into(),
        }
    }
}

/// The file beside this archive.
fn checksum_of(archive: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sha256", archive.display()))
}

/// Databases that must not change: an empty one, and a shop in which much is different from the archive.
struct Targets {
    sandbox: Sandbox,
    shape: Shape,
    empty: Untouched,
    full: Untouched,
}

struct Untouched {
    database: Database<'static>,
    before: Vec<String>,
}

impl Untouched {
    fn new(database: Database<'static>) -> Untouched {
        let before = database.fingerprint();
        Untouched { database, before }
    }
}

impl Targets {
    fn new(shape: Shape) -> Targets {
        Targets::on(postgres(18), shape)
    }

    fn on(server: &'static Server, shape: Shape) -> Targets {
        let full = server.shop();
        // pg_restore --clean cannot drop partitions with keys of their own, whatever the archive is like
        full.sql(
            "DROP TABLE shop.\"order\", audit.event CASCADE; UPDATE shop.customer SET credit = 0",
        );
        Targets {
            sandbox: Sandbox::new(18),
            shape,
            empty: Untouched::new(server.create_database("empty")),
            full: Untouched::new(full),
        }
    }

    /// Puts an archive in place, with its `.sha256` or without.
    fn store(&self, archive: &Archive, bytes: &[u8], sha256: Option<&[u8]>) {
        let path = self.sandbox.path("storage").join(&archive.key);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("make it");
        fs::write(&path, bytes).expect("write the archive");
        let beside = checksum_of(&path);
        match sha256 {
            Some(sha256) => fs::write(beside, sha256).expect("write the checksum"),
            None => drop(fs::remove_file(beside)),
        }
    }

    /// Restores what is in place into `target`.
    fn restore(&self, archive: &Archive, target: &Untouched, options: &[&str]) -> Output {
        self.sandbox
            .configure_as(&[(NAME, &target.database)], self.shape);
        let arguments = [&["restore", "--from", &archive.key], options].concat();
        self.sandbox.run(&arguments)
    }

    /// Fails the test unless a restore of each is refused as damaged and all of them change nothing. What they hold is compared
    /// once, at the end: it takes longer than a restore that is refused.
    #[track_caller]
    fn survive(&self, archive: &Archive, sha256: bool, damage: impl IntoIterator<Item = Damage>) {
        let (mut failures, mut tried) = (Vec::new(), Vec::new());
        for (number, Damage { what, bytes }) in damage.into_iter().enumerate() {
            assert_ne!(bytes, archive.bytes, "{what} is no damage");
            self.store(archive, &bytes, sha256.then_some(&archive.sha256));
            let (target, options): (_, &[&str]) = match number % 2 {
                0 => (&self.full, &["--clean"]),
                _ => (&self.empty, &[]),
            };
            let output = self.restore(archive, target, options);
            if !matches!(output.status.code(), Some(12 | 13)) {
                failures.push(format!("{what}: {}\n{}", output.status, output.stderr));
            }
            tried.push(what);
        }
        for target in [&self.full, &self.empty] {
            if target.database.fingerprint() != target.before {
                failures.push(format!(
                    "a target was changed by one of: {}",
                    tried.join(", ")
                ));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// Without this, none of the others would prove anything.
#[test]
fn an_archive_that_is_not_damaged_is_restored() {
    let source = source();
    for shape in SHAPES {
        let (archive, targets) = (Archive::of(shape), Targets::new(shape));
        targets.store(archive, &archive.bytes, Some(&archive.sha256));
        for (target, options) in [(&targets.full, &["--clean"][..]), (&targets.empty, &[])] {
            targets.restore(archive, target, options).exits(0);
            target.database.holds_the_same_as(&source);
        }
    }
}

#[test]
fn a_flip_in_the_header_of_a_sealed_archive_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    let label = 44 + usize::from(archive.bytes[11]);
    let slot = label + 3;
    // each field's edges, as the format says where they are
    let fields = [
        (0, 8),
        (8, 9),
        (9, 10),
        (10, 12),
        (12, 44),
        (44, label),
        (label, label + 1),
        (label + 1, slot),
        (slot, slot + 4),
        (slot + 4, slot + 8),
        (slot + 8, slot + 12),
        (slot + 12, slot + 28),
        (slot + 28, slot + 76),
        (slot + 76, slot + 92),
        (slot + 92, slot + 124),
    ];
    assert_eq!(fields[14].1, archive.header());
    let places: BTreeSet<usize> = fields
        .iter()
        .flat_map(|(from, to)| [*from, to - 1])
        .collect();
    let flips = places.into_iter().map(|place| archive.flipped(place, 0x01));
    // which makes the magic that of the older kind
    let older = archive.flipped(7, b'1' ^ b'2');
    targets.survive(archive, false, flips.chain([older]));
}

#[test]
fn a_header_forged_to_match_its_checksum_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    let slot = 44 + usize::from(archive.bytes[11]) + 3;
    let forged = |place: usize| {
        let mut damage = archive.flipped(place, 0x01);
        let checksum = Sha256::digest(&damage.bytes[..slot + 76]);
        damage.bytes[slot + 76..slot + 92].copy_from_slice(&checksum[..16]);
        damage
    };
    let places = [12, 43, slot - 4, slot + 12, slot + 27, slot + 28, slot + 75];
    targets.survive(archive, false, places.map(forged));
}

#[test]
fn a_flip_in_any_frame_of_a_sealed_archive_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    let (header, frames) = archive.parts();
    let last = frames.len() - 1;
    assert!(
        last > 20,
        "an archive of {last} frames is restored before anything of it is written"
    );
    let mut flips = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let (begin, tag) = (header.len() + number * FRAME, frame.len() - 16);
        let places = match number {
            0 => vec![0, tag / 2, tag - 1, tag, tag + 15],
            _ if number == last => vec![0, tag / 2, tag - 1, tag, tag + 15],
            _ => vec![tag / 2],
        };
        flips.extend(
            places
                .into_iter()
                .map(|place| archive.flipped(begin + place, 0x80)),
        );
    }
    targets.survive(archive, false, flips);
}

#[test]
fn a_cut_sealed_archive_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    let (header, end) = (archive.header(), archive.bytes.len());
    let frames: Vec<usize> = (header..end).step_by(FRAME).collect();
    let middle = frames.len() / 2;
    let edges = [
        8,
        44,
        frames[0],
        frames[1],
        frames[middle],
        frames[frames.len() - 1],
        end,
    ]
    .into_iter();
    let lengths: BTreeSet<usize> = edges.flat_map(|edge| [edge - 1, edge, edge + 1]).collect();
    let cuts = lengths
        .into_iter()
        .filter(|length| *length < end)
        .chain([0]);
    targets.survive(archive, false, cuts.map(|length| archive.cut(length)));
}

#[test]
fn frames_out_of_their_places_never_reach_the_target() {
    let (archive, targets) = (Archive::of(SEALED), Targets::new(SEALED));
    let (header, frames) = archive.parts();
    let last = frames.len() - 1;
    let with =
        |what: String, frames: &[&[u8]]| Damage::new(what, [&[header], frames].concat().concat());
    let mut damage = Vec::new();
    for (one, other) in [
        (0, 1),
        (1, last / 2),
        (last - 2, last - 1),
        (last - 1, last),
        (0, last),
    ] {
        let mut swapped = frames.clone();
        swapped.swap(one, other);
        damage.push(with(format!("frames {one} and {other} swapped"), &swapped));
    }
    for place in [0, 1, last / 2, last - 1, last] {
        let mut dropped = frames.clone();
        dropped.remove(place);
        damage.push(with(format!("frame {place} dropped"), &dropped));
        let mut doubled = frames.clone();
        doubled.insert(place, frames[place]);
        damage.push(with(format!("frame {place} doubled"), &doubled));
    }
    // of the same shop, under the same password
    let (_, other_frames) = Archive::of(GZIP_SEALED).parts();
    let mut mixed = frames.clone();
    mixed[1] = other_frames[1];
    damage.push(with("a frame of another archive".into(), &mixed));
    targets.survive(archive, false, damage);
}

#[test]
fn bytes_after_a_sealed_archive_never_reach_the_target() {
    for shape in [SEALED, GZIP_SEALED, ZSTD_SEALED] {
        let (archive, targets) = (Archive::of(shape), Targets::new(shape));
        let (_, frames) = archive.parts();
        targets.survive(
            archive,
            false,
            [
                archive.and("a zero byte", b"\0"),
                archive.and("a tag of zeros", &[0; 16]),
                archive.and("a frame of zeros", &[0; FRAME]),
                archive.and("its last frame", frames[frames.len() - 1]),
                archive.and("all of it", &archive.bytes),
            ],
        );
    }
}

#[test]
fn a_file_that_was_sealed_is_damaged_by_whatever_path_it_is_named() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    for Damage { what, bytes } in [
        archive.flipped(0, 1),
        archive.cut(4),
        archive.cut(0),
        archive.cut(archive.header()),
    ] {
        targets.store(archive, &bytes, None);
        targets
            .sandbox
            .configure_as(&[(NAME, &targets.empty.database)], targets.shape);
        let path = targets.sandbox.path("storage").join(&archive.key);
        let output = targets
            .sandbox
            .run(&["restore", "--from", path.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(13), "{what}: {}", output.stderr);
    }
    assert_eq!(targets.empty.database.fingerprint(), targets.empty.before);
}

#[test]
fn an_archive_under_the_name_of_another_backup_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(GZIP_SEALED), Targets::new(GZIP_SEALED));
    let other = Archive {
        key: format!("{NAME}/20200101_000000.000000000Z.dump.gz.enc"),
        bytes: Vec::new(),
        sha256: Vec::new(),
    };
    targets.store(&other, &archive.bytes, None);
    targets
        .restore(&other, &targets.full, &["--clean"])
        .exits(15);
    assert_eq!(targets.full.database.fingerprint(), targets.full.before);
}

#[test]
fn a_flip_in_a_plain_archive_with_its_checksum_never_reaches_the_target() {
    let (archive, targets) = (Archive::of(PLAIN), Targets::new(PLAIN));
    let end = archive.bytes.len();
    // the header and the table of contents lie at the start, the rows behind them
    let places = (0..16)
        .chain(archive.spread(16, 64, 8))
        .chain(archive.spread(64, end.min(40_000), 30))
        .chain(archive.spread(40_000, end, 20));
    targets.survive(
        archive,
        true,
        places.map(|place| archive.flipped(place, 0x01)),
    );
}

#[test]
fn a_flip_in_a_compressed_archive_with_its_checksum_never_reaches_the_target() {
    for shape in [GZIP, ZSTD] {
        let (archive, targets) = (Archive::of(shape), Targets::new(shape));
        let end = archive.bytes.len();
        let places = archive
            .spread(0, 24, 24)
            .chain(archive.spread(24, end - 9, 8))
            .chain(archive.spread(end - 9, end, 9));
        targets.survive(
            archive,
            true,
            places.map(|place| archive.flipped(place, 0x01)),
        );
    }
}

/// Each frame is good, and none tells its place: what they hold has to.
#[test]
fn frames_of_zstd_out_of_their_places_never_reach_the_target() {
    let (archive, targets) = (Archive::of(ZSTD), Targets::new(ZSTD));
    let (mut frames, mut rest) = (Vec::new(), &archive.bytes[..]);
    while !rest.is_empty() {
        let length = zstd::zstd_safe::find_frame_compressed_size(rest).expect("a whole frame");
        let (frame, behind) = rest.split_at(length);
        frames.push(frame);
        rest = behind;
    }
    let last = frames.len() - 1;
    assert!(last >= 2, "{last}");
    let mut damage = Vec::new();
    for place in 0..last {
        let mut swapped = frames.clone();
        swapped.swap(place, place + 1);
        damage.push((format!("frame {place} swapped with the next"), swapped));
    }
    for place in 0..=last {
        let mut dropped = frames.clone();
        dropped.remove(place);
        damage.push((format!("frame {place} dropped"), dropped));
        let mut doubled = frames.clone();
        doubled.insert(place, frames[place]);
        damage.push((format!("frame {place} doubled"), doubled));
        damage.push((
            format!("cut before frame {place}"),
            frames[..place].to_vec(),
        ));
    }
    let damage = damage
        .into_iter()
        .map(|(what, frames)| Damage::new(what, frames.concat()));
    targets.survive(archive, false, damage);
}

#[test]
fn a_checksum_of_other_bytes_keeps_an_archive_from_the_target() {
    for shape in [PLAIN, GZIP, ZSTD, GZIP_SEALED] {
        let (archive, targets) = (Archive::of(shape), Targets::new(shape));
        let mut sha256 = archive.sha256.clone();
        sha256[63] = if sha256[63] == b'0' { b'1' } else { b'0' };
        for (sha256, target, options) in [
            (&sha256[..], &targets.full, &["--clean"][..]),
            (&archive.sha256[..40], &targets.empty, &[]),
            (b"", &targets.full, &["--clean"]),
        ] {
            targets.store(archive, &archive.bytes, Some(sha256));
            targets.restore(archive, target, options).exits(13);
            assert_eq!(target.database.fingerprint(), target.before);
        }
    }
}

#[test]
fn a_cut_archive_without_a_checksum_never_reaches_the_target() {
    for shape in [PLAIN, GZIP, ZSTD] {
        let (archive, targets) = (Archive::of(shape), Targets::new(shape));
        let end = archive.bytes.len();
        let lengths = archive
            .spread(0, end, 16)
            .chain([1, 4, 5, 11, end - 2, end - 5, end - 9]);
        targets.survive(archive, false, lengths.map(|length| archive.cut(length)));
    }
}

/// What is wrong is wrong behind the last row, where pg_restore itself never looks: it has committed by then if it
/// was given everything up to there.
fn damage_behind_the_last_row_never_reaches_the_target(server: &'static Server) {
    let archive = Archive::of(PLAIN);
    let appended = |archive: &Archive| {
        [
            archive.and("a byte", b"\0"),
            archive.and("zeros", &[0; 100_000]),
        ]
    };
    Targets::on(server, PLAIN).survive(archive, false, appended(archive));
    Targets::on(server, PLAIN).survive(archive, true, appended(archive));

    let archive = Archive::of(GZIP);
    let end = archive.bytes.len();
    let trailer = [
        archive.flipped(end - 8, 1),
        archive.flipped(end - 1, 1),
        archive.cut(end - 1),
        archive.cut(end - 8),
    ];
    let more = [
        archive.and("a member's start", b"\x1f\x8b\x08\x04\0"),
        archive.and("all of it", &archive.bytes),
    ];
    Targets::on(server, GZIP).survive(
        archive,
        false,
        appended(archive).into_iter().chain(trailer).chain(more),
    );

    let archive = Archive::of(ZSTD);
    let end = archive.bytes.len();
    let checksum = [
        archive.flipped(end - 4, 1),
        archive.flipped(end - 1, 1),
        archive.cut(end - 1),
        archive.cut(end - 4),
    ];
    let more = [
        archive.and("a frame's start", b"\x28\xb5\x2f\xfd\x04"),
        archive.and("all of it", &archive.bytes),
    ];
    Targets::on(server, ZSTD).survive(
        archive,
        false,
        appended(archive).into_iter().chain(checksum).chain(more),
    );

    // only the checksum of the whole can tell
    let mut rows = Archive::of(PLAIN).bytes.clone();
    let digit = rows
        .iter()
        .rposition(u8::is_ascii_digit)
        .expect("some row has a digit");
    rows[digit] ^= 1;
    let archive = Archive::of(PLAIN);
    Targets::on(server, PLAIN).survive(archive, true, [Damage::new("another digit", rows)]);
}

#[test]
fn damage_behind_the_last_row_never_reaches_a_target_by_pg_restore() {
    damage_behind_the_last_row_never_reaches_the_target(postgres(18));
}

#[test]
fn damage_behind_the_last_row_never_reaches_a_target_by_psql() {
    // a pg_restore of 18 writes a script for so old a server
    damage_behind_the_last_row_never_reaches_the_target(postgres(15));
}

/// A plain archive of a shop whose length is a multiple of 1 MiB, and so of whatever it is moved in: with the last
/// piece of it the last row has gone to whoever reads.
fn aligned() -> Vec<u8> {
    const MIB: usize = 1 << 20;
    let (sandbox, database) = (Sandbox::new(18), source());
    database.sql("CREATE TABLE public.pad AS SELECT ''::text AS x");
    sandbox.configure_as(&[(NAME, &database)], GZIP);
    let mut pad = 0;
    for _ in 0..4 {
        sandbox.run(&["backup"]).exits(0);
        let archive = sandbox.run(&["cat", "latest"]).exits(0).stdout;
        if archive.len() % MIB == 0 {
            return archive;
        }
        pad += MIB - archive.len() % MIB;
        database.sql(&format!("UPDATE public.pad SET x = repeat('x', {pad})"));
    }
    panic!("a longer row does not make the dump longer by as much");
}

/// True if the process waits for input on its descriptor `fd`.
fn reads(process: &Process, fd: &str) -> bool {
    let call = fs::read_to_string(format!("/proc/{}/syscall", process.pid)).unwrap_or_default();
    call.starts_with(&format!("0 {fd}"))
}

/// True if the thread of the process that reads archives waits for input, and its first one for that thread.
fn reads_ahead(process: &Process) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid));
    let mut tasks = tasks.into_iter().flatten().flatten();
    let file = |task: &fs::DirEntry, name: &str| {
        fs::read_to_string(task.path().join(name)).unwrap_or_default()
    };
    let has_all = tasks
        .any(|task| file(&task, "comm") == "read\n" && file(&task, "syscall").starts_with("0 "));
    // futex(2)
    let first = fs::read_to_string(format!("/proc/{}/syscall", process.pid)).unwrap_or_default();
    has_all && first.starts_with("202 ")
}

#[test]
fn no_row_is_committed_before_the_end_of_the_archive_has_been_seen() {
    let archive = aligned();
    for major in [18, 15] {
        let sandbox = Sandbox::new(18);
        let target = Untouched::new(postgres(major).create_database("target"));
        sandbox.configure_as(&[(NAME, &target.database)], PLAIN);
        let made = Command::new("mkfifo").arg(sandbox.path("slow")).status();
        assert!(made.expect("mkfifo runs").success());
        let run = sandbox.start(&["restore", "--from", "./slow"]);
        let mut slow = fs::File::create(sandbox.path("slow")).expect("open it");
        slow.write_all(&archive).expect("somebody reads it");

        // whoever feeds the server has had all that it is to get, and waits for more
        let backupkit = process(run.pid());
        let last = if major == 18 { "pg_restore" } else { "psql" };
        wait::until(&format!("{last} waits or has ended"), || {
            let children = processes::of(&sandbox.path(""));
            let waits = |name: &str| {
                children
                    .iter()
                    .filter(|child| child.name == name)
                    .all(|child| reads(child, "0x0 "))
            };
            (reads_ahead(&backupkit) && waits("pg_restore") && waits(last)).then_some(())
        });
        let children = processes::of(&sandbox.path(""));
        assert!(
            children.iter().any(|child| child.name == last),
            "{last} has ended with half of its input"
        );

        slow.write_all(b"more").expect("somebody reads it");
        drop(slow);
        run.wait().exits(13);
        assert_eq!(target.database.fingerprint(), target.before);
    }
}

#[test]
fn damaged_sql_text_never_reaches_the_target() {
    let targets = Targets::new(PLAIN);
    let target = &targets.empty;
    targets
        .sandbox
        .configure_as(&[(NAME, &target.database)], PLAIN);
    let sql = b"CREATE TABLE t AS SELECT 1 AS one;\n";
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(sql).expect("a Vec takes it");
        encoder.finish().expect("a Vec takes it")
    };
    let path = targets.sandbox.path("dump.sql");
    let restore = |bytes: &[u8], sha256: Option<&str>| {
        fs::write(&path, bytes).expect("write it");
        let beside = checksum_of(&path);
        match sha256 {
            Some(sha256) => fs::write(beside, sha256).expect("write it"),
            None => drop(fs::remove_file(beside)),
        }
        targets
            .sandbox
            .run(&["restore", "--from", "./dump.sql", "--allow-sql-fallback"])
    };
    restore(&gzip[..gzip.len() - 1], None).exits(13);
    restore(&[&gzip[..], b"more"].concat(), None).exits(13);
    restore(sql, Some(&"0".repeat(64))).exits(13);
    assert_eq!(target.database.fingerprint(), target.before);
    restore(&gzip, None).exits(0);
    assert_eq!(target.database.sql("SELECT one FROM t"), "1");
}
