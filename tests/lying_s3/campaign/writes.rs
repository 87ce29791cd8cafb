//! Lies about an object that was written by one request.

use super::Verdict::{Either, Good};
use super::{Mode, is_archive};
use crate::support::liar::{Answered, Asked, Truth};
use md5::{Digest, Md5};

pub const MODES: &[Mode] = &[
    Mode::new("keeps a thousand bytes fewer", |asked, truth| {
        changed(asked, truth, |bytes| bytes.truncate(bytes.len() - 1000))
    }),
    Mode::new(
        "keeps fewer, and repeats the size that was sent",
        |asked, truth| {
            if asked.makes_visible() && is_archive(asked) {
                truth.note("sent", asked.body.len().to_string());
            }
            let answered = changed(asked, truth, |bytes| bytes.truncate(bytes.len() - 1000));
            match truth.noted("sent") {
                Some(sent) if asked.method == "HEAD" && is_archive(asked) => {
                    answered.with("content-length", sent)
                }
                _ => answered,
            }
        },
    ),
    Mode::new("keeps nothing", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && is_archive(asked) {
            let _ = std::fs::remove_file(truth.file(&asked.key));
        }
        answered
    }),
    Mode::new("answers without doing anything", |asked, truth| {
        match asked.makes_visible() && is_archive(asked) {
            true => Answered::new(200, "").with("etag", etag(&asked.body)),
            false => truth.answer(asked),
        }
    }),
    Mode::new("keeps an empty object", |asked, truth| {
        changed(asked, truth, |bytes| bytes.clear())
    }),
    Mode::new("flips a bit, and says so by its ETag", |asked, truth| {
        let answered = changed(asked, truth, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        honest_etag(asked, truth, answered)
    }),
    Mode::new(
        "flips the first bit, and repeats the ETag that was sent",
        |asked, truth| changed(asked, truth, |bytes| bytes[0] ^= 1),
    ),
    Mode::new(
        "flips the last bit, and repeats the ETag that was sent",
        |asked, truth| {
            changed(asked, truth, |bytes| {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            })
        },
    ),
    Mode::new("keeps zeros", |asked, truth| {
        changed(asked, truth, |bytes| bytes.fill(0))
    }),
    Mode::new("keeps more than was sent", |asked, truth| {
        changed(asked, truth, |bytes| bytes.extend_from_slice(b"more"))
    }),
    Mode::new("keeps the manifest cut", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && asked.key.ends_with("Z.json") {
            truth.change(&asked.key, |bytes| bytes.truncate(bytes.len() / 2));
        }
        answered
    }),
    Mode::new("keeps another letter in the manifest", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && asked.key.ends_with("Z.json") {
            truth.change(&asked.key, |bytes| bytes[20] ^= 1);
        }
        answered
    }),
    Mode::new("keeps no checksum", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && asked.key.ends_with(".sha256") {
            let _ = std::fs::remove_file(truth.file(&asked.key));
        }
        answered
    }),
    Mode::new("tells another size", |asked, truth| {
        let answered = truth.answer(asked);
        match written(asked, truth) && asked.method == "HEAD" && answered.status == 200 {
            true => answered.with("content-length", 12),
            false => answered,
        }
    }),
    Mode::new("does not find what was written", |asked, truth| {
        match written(asked, truth) && asked.method == "HEAD" {
            true => Answered::new(404, ""),
            false => truth.answer(asked),
        }
    }),
    Mode::new(
        "does not let look at what was written",
        |asked, truth| match written(asked, truth) && asked.method == "HEAD" {
            true => Answered::new(403, ""),
            false => truth.answer(asked),
        },
    ),
    Mode::new(
        "fails when it is asked for what was written",
        |asked, truth| match written(asked, truth) && asked.method == "HEAD" {
            true => Answered::new(500, ""),
            false => truth.answer(asked),
        },
    )
    .for_ever(),
    Mode::new("shows the token of somebody else", |asked, truth| {
        let answered = truth.answer(asked);
        match written(asked, truth) && asked.method == "HEAD" && answered.status == 200 {
            true => answered.with("x-amz-meta-backupkit-upload", "0123456789abcdef"),
            false => answered,
        }
    }),
    Mode::new("keeps no metadata", |asked, truth| {
        truth.answer(asked).without("x-amz-meta-backupkit-upload")
    }),
    Mode::new("has ETags of its own", |asked, truth| {
        let answered = truth.answer(asked);
        match answered.header("etag").map(str::to_string) {
            Some(etag) => answered.with("etag", self::etag(etag.as_bytes())),
            None => answered,
        }
    })
    .backup(Good),
    Mode::new("shows the ETag of something else", |asked, truth| {
        let answered = truth.answer(asked);
        match written(asked, truth) && asked.method == "HEAD" && answered.status == 200 {
            true => answered.with("etag", etag(b"something else")),
            false => answered,
        }
    })
    .backup(Good),
    Mode::new(
        "encrypts with a key, and has ETags of its own",
        |asked, truth| {
            let answered = truth.answer(asked);
            match answered.header("etag").map(str::to_string) {
                Some(etag) => answered
                    .with("etag", self::etag(etag.as_bytes()))
                    .with("x-amz-server-side-encryption", "aws:kms"),
                None => answered,
            }
        },
    )
    .backup(Good),
    Mode::new("refuses with a good status", |asked, truth| {
        match asked.makes_visible() && is_archive(asked) {
            true => Answered::refusal(200, "AccessDenied"),
            false => truth.answer(asked),
        }
    }),
    Mode::new("keeps an earlier backup in its place", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && is_archive(asked) {
            let file = truth.file(&asked.key);
            let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
            let mut archives: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            archives.retain(|path| path.to_string_lossy().ends_with(".dump.gz"));
            archives.sort();
            std::fs::copy(&archives[0], &file).unwrap();
        }
        answered
    })
    // the same rows make the same archive but for the moment that stands in it
    .backup(Either),
    Mode::new("writes keys in small letters", |asked, truth| {
        let answered = truth.answer(asked);
        if asked.makes_visible() && is_archive(asked) {
            let (file, small) = (truth.file(&asked.key), asked.key.to_lowercase());
            let _ = std::fs::rename(file, truth.file(&small));
        }
        answered
    }),
    Mode::new("loses every answer to a write", |asked, truth| {
        let answered = truth.answer(asked);
        match asked.makes_visible() {
            true => Answered::lost(),
            false => answered,
        }
    })
    .backup(Good),
    Mode::new("loses the answer, and keeps fewer bytes", |asked, truth| {
        let answered = changed(asked, truth, |bytes| bytes.truncate(bytes.len() - 1000));
        match asked.makes_visible() && is_archive(asked) {
            true => Answered::lost(),
            false => answered,
        }
    }),
    Mode::new("is too busy for ever", |asked, truth| {
        match asked.makes_visible() && is_archive(asked) {
            true => Answered::refusal(503, "SlowDown"),
            false => truth.answer(asked),
        }
    })
    .for_ever(),
    Mode::new("sends elsewhere", |asked, truth| {
        match asked.method.as_str() {
            "PUT" => {
                Answered::refusal(307, "TemporaryRedirect").with("location", "http://127.0.0.1:1/")
            }
            _ => truth.answer(asked),
        }
    }),
    Mode::new("is in another region", |_, _| {
        Answered::refusal(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-1")
    }),
    Mode::new("has another clock", |_, _| {
        Answered::refusal(403, "RequestTimeTooSkewed").with("date", "Fri, 20 Nov 2020 02:00:00 GMT")
    }),
    Mode::new("answers with a megabyte of headers", |asked, truth| {
        let answered = truth.answer(asked);
        match written(asked, truth) && asked.method == "HEAD" {
            true => answered.with("x-much", "x".repeat(1 << 20)),
            false => answered,
        }
    })
    .for_ever(),
    Mode::new("answers with a page for people", |_, _| {
        Answered::new(200, "<html><body>log in</body></html>")
    }),
];

/// What the server answers, and keeps after `change` if it is an archive that is written.
fn changed(asked: &Asked, truth: &Truth<'_>, change: impl Fn(&mut Vec<u8>)) -> Answered {
    let answered = truth.answer(asked);
    if asked.makes_visible() && is_archive(asked) {
        truth.change(&asked.key, change);
    }
    answered
}

/// True once this run's archive has been written, for requests about it.
fn written(asked: &Asked, truth: &Truth<'_>) -> bool {
    if asked.makes_visible() && is_archive(asked) {
        truth.note(&asked.key, "written");
    }
    truth.noted(&asked.key).is_some()
}

/// `answered` with the ETag of what is kept.
pub fn honest_etag(asked: &Asked, truth: &Truth<'_>, answered: Answered) -> Answered {
    match std::fs::read(truth.file(&asked.key)) {
        Ok(bytes) if answered.header("etag").is_some() && is_archive(asked) => {
            answered.with("etag", etag(&bytes))
        }
        _ => answered,
    }
}

pub fn etag(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
