//! Lies when an object is read. They begin once the backup is stored, as far as its own look at it goes.

use super::Verdict::{Either, Good};
use super::{Mode, is_archive};
use crate::support::liar::{Answered, Asked, Truth};

pub const MODES: &[Mode] = &[
    Mode::new("takes no notice of ranges", |asked, truth| {
        let whole = match asked.header("range").is_some() {
            true => truth.answer(&asked.without_header("range")),
            false => truth.answer(asked),
        };
        whole.without("content-range")
    })
    .backup(Either),
    Mode::new("shifts ranges by a byte", |asked, truth| {
        let mut answered = truth.answer(asked);
        if answered.status == 206 && !answered.body.is_empty() {
            answered.body.rotate_left(1);
        }
        answered
    })
    .backup(Either),
    Mode::new("serves another range than was asked for", |asked, truth| {
        let answered = truth.answer(asked);
        match answered.status {
            206 => answered.with("content-range", "bytes 0-9/10"),
            _ => answered,
        }
    })
    .backup(Either),
    Mode::new("breaks the connection in each object", |asked, truth| {
        let mut answered = truth.answer(asked);
        if asked.method == "GET" && is_archive(asked) {
            answered.breaks_after = Some(answered.body.len() / 2);
        }
        answered
    })
    .backup(Either)
    .for_ever(),
    Mode::new("serves less, and says so", |asked, truth| {
        read(asked, truth, |body| body.truncate(body.len() / 2))
    }),
    Mode::new("serves more, and says so", |asked, truth| {
        read(asked, truth, |body| body.extend_from_slice(b"more"))
    })
    .backup(Either),
    Mode::new("serves nothing", |asked, truth| {
        read(asked, truth, Vec::clear)
    }),
    Mode::new("serves a bit flipped in the middle", |asked, truth| {
        read(asked, truth, |body| {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        })
    })
    .backup(Either),
    Mode::new("promises more than it serves", |asked, truth| {
        let answered = truth.answer(asked);
        match (
            asked.method == "GET" && is_archive(asked),
            answered.body.len(),
        ) {
            (true, length) => answered.with("content-length", length + 1000),
            _ => answered,
        }
    })
    .backup(Either)
    .for_ever(),
    Mode::new("serves another backup", |asked, truth| {
        if asked.method != "GET" || !is_archive(asked) {
            return truth.answer(asked);
        }
        let file = truth.file(&asked.key);
        let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
        let mut archives: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        archives.retain(|path| path.to_string_lossy().ends_with(".dump.gz"));
        archives.sort();
        let other = archives.iter().find(|path| **path != file);
        match other.and_then(|path| std::fs::read(path).ok()) {
            Some(bytes) => truth.answer(&asked.without_header("range")).saying(bytes),
            None => truth.answer(asked),
        }
    })
    .backup(Either),
    Mode::new("does not find what it lists", |asked, truth| {
        match asked.method == "GET" && is_archive(asked) {
            true => Answered::refusal(404, "NoSuchKey"),
            false => truth.answer(asked),
        }
    }),
    Mode::new("does not let read", |asked, truth| {
        match asked.method == "GET" && is_archive(asked) {
            true => Answered::refusal(403, "AccessDenied"),
            false => truth.answer(asked),
        }
    }),
    Mode::new(
        "serves a page for people instead of manifests",
        |asked, truth| match asked.method == "GET" && asked.key.ends_with("Z.json") {
            true => Answered::new(200, "<html>log in</html>"),
            false => truth.answer(asked),
        },
    ),
    Mode::new("loses each answer once", |asked, truth| {
        let answered = truth.answer(asked);
        match truth.note(&format!("{} {}", asked.method, asked.key), "seen") {
            None => Answered::lost(),
            Some(_) => answered,
        }
    })
    .backup(Good),
];

/// What the server answers; the bodies of archives as `change` makes them.
fn read(asked: &Asked, truth: &Truth<'_>, change: impl Fn(&mut Vec<u8>)) -> Answered {
    let answered = truth.answer(asked);
    let has_body = !answered.body.is_empty() && matches!(answered.status, 200 | 206);
    match asked.method == "GET" && is_archive(asked) && has_body {
        true => {
            let mut body = answered.body.clone();
            change(&mut body);
            answered.saying(body)
        }
        false => answered,
    }
}
