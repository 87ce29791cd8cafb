//! Lies in a listing. A backup whose retention meets one is stored all the same.

use super::Mode;
use super::Verdict::{Either, Good, Told};
use crate::support::liar::{Answered, Asked, Truth};

pub const MODES: &[Mode] = &[
    Mode::new("lists the same page again and again", |asked, truth| {
        listing(asked, truth, |text| goes_on(text, "A"))
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("leads from one page to another and back", |asked, truth| {
        let from_a = asked.target.contains("continuation-token=A&");
        let answered = listing(asked, truth, |text| {
            goes_on(&without_entries(text), if from_a { "B" } else { "A" })
        });
        let from_somewhere = asked.target.contains("continuation-token=");
        match asked.lists() && !from_somewhere {
            true => {
                let text = truth.answer(asked).text();
                answered.saying(goes_on(&text, "A"))
            }
            false => answered,
        }
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists empty pages without an end", |asked, truth| {
        let number = truth.noted("page").unwrap_or_default().len();
        truth.note("page", "x".repeat(number + 1));
        listing(asked, truth, |text| {
            goes_on(&without_entries(text), &format!("t{number}"))
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists each key twice", |asked, truth| {
        listing(asked, truth, |text| {
            entries(text).iter().fold(text.to_string(), |text, entry| {
                text.replace(entry.as_str(), &format!("{entry}{entry}"))
            })
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists keys in another order", |asked, truth| {
        listing(asked, truth, |text| {
            let mut backwards = entries(text);
            backwards.reverse();
            with_entries(text, &backwards)
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("does not say whether there is more", |asked, truth| {
        listing(asked, truth, |text| {
            text.replace("<IsTruncated>false</IsTruncated>", "")
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("says that there is more, and not where", |asked, truth| {
        listing(asked, truth, |text| {
            text.replace(
                "<IsTruncated>false</IsTruncated>",
                "<IsTruncated>true</IsTruncated>",
            )
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists in a page of seventeen megabytes", |asked, truth| {
        listing(asked, truth, |text| {
            text.replace(
                "</ListBucketResult>",
                &format!("<!--{}--></ListBucketResult>", " ".repeat(17 << 20)),
            )
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists in a page of a million elements", |asked, truth| {
        listing(asked, truth, |text| {
            text.replace(
                "</ListBucketResult>",
                &format!("{}</ListBucketResult>", "<a/>".repeat(1_000_000)),
            )
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists in a page that never ends", |asked, truth| {
        let mut answered = truth.answer(asked);
        if asked.lists() {
            answered = answered.without("content-length");
            answered.is_endless = true;
        }
        answered
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists keys of others", |asked, truth| {
        listing(asked, truth, |text| {
            let other = "<Contents><Key>other/app/20261120_020000.000000001Z.dump.gz</Key><Size>1</Size></Contents>";
            with_entries(text, &[entries(text), vec![other.to_string()]].concat())
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("lists without stopping at the slash", |asked, truth| {
        listing(asked, truth, |text| {
            let deep = text
                .replace("<CommonPrefixes><Prefix>", "<Contents><Size>1</Size><Key>")
                .replace("</Prefix></CommonPrefixes>", "x</Key></Contents>");
            deep.to_string()
        })
    })
    .backup(Good)
    .list(Told),
    Mode::new("lists half a page", |asked, truth| {
        listing(asked, truth, |text| text[..text.len() / 2].to_string())
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    Mode::new("refuses to list with a good status", |asked, truth| {
        match asked.lists() {
            true => Answered::refusal(200, "AccessDenied"),
            false => truth.answer(asked),
        }
    })
    .backup(Either)
    .list(Told)
    .prune(Told),
    Mode::new("leaves the newest backups out, and counts them", |asked, truth| {
        listing(asked, truth, |text| {
            let kept = entries(text);
            with_entries(text, &kept[..kept.len() / 2])
        })
    })
    .backup(Good)
    .list(Told)
    .prune(Told),
    // which nobody can see but a run that has just stored one
    Mode::new("leaves the newest backups out", |asked, truth| {
        listing(asked, truth, |text| {
            let kept = entries(text);
            with_entries(&uncounted(text), &kept[..kept.len() / 2])
        })
    })
    .backup(Good),
    Mode::new("lists nothing", |asked, truth| {
        listing(asked, truth, |text| without_entries(&uncounted(text)))
    })
    .backup(Good),
    Mode::new("lists sizes of nothing", |asked, truth| {
        listing(asked, truth, |text| {
            let pieces: Vec<&str> = text.split("<Size>").collect();
            let rest = pieces[1..].iter().map(|piece| {
                let after = piece.split_once("</Size>").map_or("", |(_, after)| after);
                format!("<Size>0</Size>{after}")
            });
            format!("{}{}", pieces[0], rest.collect::<String>())
        })
    })
    .backup(Good),
    Mode::new("lists unfinished uploads without an end", |asked, truth| {
        match asked.is("GET", "uploads=") {
            true => Answered::new(
                200,
                "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker></ListMultipartUploadsResult>",
            ),
            false => truth.answer(asked),
        }
    }),
    Mode::new("breaks the connection in each listing", |asked, truth| {
        let mut answered = truth.answer(asked);
        if asked.lists() {
            answered.breaks_after = Some(answered.body.len() / 2);
        }
        answered
    })
    .backup(Either)
    .list(Told)
    .prune(Told)
    .for_ever(),
];

/// What the server answers; its listings as `change` makes them.
fn listing(asked: &Asked, truth: &Truth<'_>, change: impl Fn(&str) -> String) -> Answered {
    let answered = truth.answer(asked);
    match asked.lists() && answered.status == 200 {
        true => {
            let text = change(&answered.text());
            answered.saying(text)
        }
        false => answered,
    }
}

fn goes_on(text: &str, token: &str) -> String {
    let more = format!(
        "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    );
    text.replace("<IsTruncated>false</IsTruncated>", &more)
}

/// The elements of a listing's objects.
fn entries(text: &str) -> Vec<String> {
    let pieces = text.split("<Contents>").skip(1);
    let ends = pieces.filter_map(|piece| piece.split_once("</Contents>"));
    ends.map(|(entry, _)| format!("<Contents>{entry}</Contents>"))
        .collect()
}

fn without_entries(text: &str) -> String {
    let bare = entries(text).iter().fold(text.to_string(), |text, entry| {
        text.replace(entry.as_str(), "")
    });
    uncounted(&bare)
}

fn with_entries(text: &str, entries: &[String]) -> String {
    let counted = text.to_string();
    let bare = self::entries(text)
        .iter()
        .fold(counted, |text, entry| text.replace(entry.as_str(), ""));
    bare.replace(
        "</ListBucketResult>",
        &format!("{}</ListBucketResult>", entries.concat()),
    )
}

/// Without the number of keys.
fn uncounted(text: &str) -> String {
    match (
        text.split_once("<KeyCount>"),
        text.split_once("</KeyCount>"),
    ) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => text.to_string(),
    }
}
