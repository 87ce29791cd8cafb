//! Lies about deleting. A backup whose retention meets one is stored all the same.

use super::Mode;
use super::Verdict::{Good, Told};
use crate::support::liar::{Answered, Asked};

pub const MODES: &[Mode] = &[
    Mode::new(
        "deletes nothing, and answers that it did",
        |asked, truth| match deletes(asked) {
            true => did(asked),
            false => truth.answer(asked),
        },
    )
    .backup(Good)
    .prune(Told),
    Mode::new(
        "deletes nothing but what lies beside archives",
        |asked, truth| match deletes(asked) && names_archive(asked) {
            true => did(asked),
            false => truth.answer(asked),
        },
    )
    .backup(Good)
    .prune(Told),
    Mode::new(
        "says that it deleted something else",
        |asked, truth| match deletes(asked) {
            true if asked.method == "POST" => Answered::new(
                200,
                "<DeleteResult><Deleted><Key>something/else</Key></Deleted></DeleteResult>",
            ),
            true => did(asked),
            false => truth.answer(asked),
        },
    )
    .backup(Good)
    .prune(Told),
    Mode::new(
        "does not find what it is to delete",
        |asked, truth| match deletes(asked) {
            true => Answered::refusal(404, "NoSuchKey"),
            false => truth.answer(asked),
        },
    )
    .backup(Good)
    .prune(Told),
    Mode::new(
        "deletes nothing, and does not find it either when it is looked for",
        |asked, truth| match deletes(asked) {
            true => did(asked),
            false if asked.method == "HEAD" && truth.noted("deleting").is_some() => {
                Answered::new(403, "")
            }
            false => {
                if asked.lists() {
                    truth.note("deleting", "now");
                }
                truth.answer(asked)
            }
        },
    )
    .prune(Told),
    Mode::new("loses every answer to a deletion", |asked, truth| {
        let answered = truth.answer(asked);
        match deletes(asked)
            && truth
                .note(&asked.target[..asked.target.find('?').unwrap_or(0)], "x")
                .is_none()
        {
            true => Answered::lost(),
            false => answered,
        }
    })
    .backup(Good)
    .prune(Good),
    Mode::new("does not let delete", |asked, truth| match deletes(asked) {
        true => Answered::refusal(403, "AccessDenied"),
        false => truth.answer(asked),
    })
    .backup(Good)
    .prune(Told),
];

fn deletes(asked: &Asked) -> bool {
    asked.method == "DELETE" && !asked.target.contains("uploadId=") || asked.is("POST", "delete=")
}

fn names_archive(asked: &Asked) -> bool {
    asked.key.ends_with(".dump.gz")
        || String::from_utf8_lossy(&asked.body).contains(".dump.gz</Key>")
}

fn did(asked: &Asked) -> Answered {
    match asked.method.as_str() {
        "POST" => Answered::new(200, "<DeleteResult/>"),
        _ => Answered::new(204, ""),
    }
}
