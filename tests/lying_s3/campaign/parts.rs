//! Lies about an object that went up in parts of 5 MiB.

use super::Mode;
use super::Verdict::Good;
use super::writes::{etag, honest_etag};
use crate::support::liar::{Answered, Asked, Truth};

const PART: usize = 5 << 20;

pub const MODES: &[Mode] = &[
    Mode::new("completes with fewer bytes", |asked, truth| {
        completed(asked, truth, |bytes| bytes.truncate(bytes.len() - 1000))
    })
    .in_parts(),
    Mode::new("completes without the last part", |asked, truth| {
        completed(asked, truth, |bytes| bytes.truncate(bytes.len() / PART * PART))
    })
    .in_parts(),
    Mode::new("completes without the first part, and repeats the size", |asked, truth| {
        let answered = completed(asked, truth, |bytes| {
            truth.note("size", bytes.len().to_string());
            bytes.drain(..PART);
        });
        match truth.noted("size") {
            Some(size) if asked.method == "HEAD" && asked.key.ends_with(".dump.gz") => {
                answered.with("content-length", size)
            }
            _ => answered,
        }
    })
    .in_parts(),
    Mode::new("completes in another order", |asked, truth| {
        completed(asked, truth, |bytes| bytes.rotate_left(PART))
    })
    .in_parts(),
    Mode::new("swaps two parts within, and says so by its ETag", |asked, truth| {
        let answered = completed(asked, truth, |bytes| {
            let (first, second) = bytes.split_at_mut(PART);
            first[PART / 2..].swap_with_slice(&mut second[..PART / 2]);
        });
        honest_etag(asked, truth, answered)
    })
    .in_parts(),
    Mode::new("flips a bit of the second part, and says so by its ETag", |asked, truth| {
        let answered = completed(asked, truth, |bytes| bytes[PART + PART / 2] ^= 1);
        honest_etag(asked, truth, answered)
    })
    .in_parts(),
    Mode::new("flips a bit of a part as it comes, and repeats the ETag that was sent", |asked, truth| {
        if !asked.is("PUT", "partNumber=2&") {
            return truth.answer(asked);
        }
        let mut body = asked.body.clone();
        body[PART / 2] ^= 1;
        let flipped = asked.with_body(body);
        truth.answer(&flipped).with("etag", etag(&asked.body))
    })
    .in_parts(),
    Mode::new("completes, loses the answer and flips a bit", |asked, truth| {
        let answered = completed(asked, truth, |bytes| bytes[PART + PART / 2] ^= 1);
        let answered = honest_etag(asked, truth, answered);
        match asked.is("POST", "uploadId=") {
            true => Answered::lost(),
            false => answered,
        }
    })
    .in_parts(),
    Mode::new("completes, and loses the answer", |asked, truth| {
        let answered = truth.answer(asked);
        match asked.is("POST", "uploadId=") {
            true => Answered::lost(),
            false => answered,
        }
    })
    .in_parts()
    .backup(Good),
    Mode::new("answers that it completed, and did not", |asked, truth| {
        match asked.is("POST", "uploadId=") {
            true => Answered::new(
                200,
                "<CompleteMultipartUploadResult><ETag>\"x-3\"</ETag></CompleteMultipartUploadResult>",
            ),
            false => truth.answer(asked),
        }
    })
    .in_parts(),
    Mode::new("refuses the completion with a good status", |asked, truth| {
        match asked.is("POST", "uploadId=") {
            true => Answered::refusal(200, "InvalidPart"),
            false => truth.answer(asked),
        }
    })
    .in_parts(),
    Mode::new("fails to complete with a good status for ever", |asked, truth| {
        match asked.is("POST", "uploadId=") {
            true => Answered::refusal(200, "InternalError"),
            false => truth.answer(asked),
        }
    })
    .in_parts()
    .for_ever(),
    Mode::new("has ETags of its own for parts and for the whole", |asked, truth| {
        let answered = truth.answer(asked);
        match answered.header("etag").map(str::to_string) {
            Some(tag) => answered.with("etag", etag(tag.as_bytes())),
            None => answered,
        }
    })
    .in_parts()
    .backup(Good),
    Mode::new("has an ETag of its own for the whole alone", |asked, truth| {
        let answered = truth.answer(asked);
        match answered.header("etag").map(str::to_string) {
            Some(tag) if asked.method != "PUT" => answered.with("etag", etag(tag.as_bytes())),
            _ => answered,
        }
    })
    .in_parts()
    .backup(Good),
    Mode::new("names another upload", |asked, truth| {
        let answered = truth.answer(asked);
        match asked.is("POST", "uploads=") {
            true => answered.saying(
                "<InitiateMultipartUploadResult><UploadId>0c1cf0c4-9d2a-4f3c-9df9-3d3f2c5f0000</UploadId></InitiateMultipartUploadResult>",
            ),
            false => answered,
        }
    })
    .in_parts(),
];

/// What the server answers, and keeps after `change` where parts are completed.
fn completed(asked: &Asked, truth: &Truth<'_>, change: impl Fn(&mut Vec<u8>)) -> Answered {
    let answered = truth.answer(asked);
    if asked.is("POST", "uploadId=") {
        truth.change(&asked.key, change);
    }
    answered
}
