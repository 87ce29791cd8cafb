//! A bucket for backups: each answer is checked when it is given, and the bucket is tried before the next question.

use super::usual::{REGION, usual_directory, variable};
use crate::app::ask::Terminal;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::Result;
use crate::operation::init::answers::Destination;
use crate::secret::Secret;
use crate::storage::Storage;
use crate::storage::s3::{self, S3, S3Settings};
use std::time::Duration;

/// How long a bucket is tried.
const TRYING: Duration = Duration::from_secs(20);
/// A directory of it that need not be there.
const LOOKED_AT: &str = "backupkit-init";

/// What was answered before, which is what an empty answer takes.
struct Usual {
    place: String,
    region: String,
    endpoint: String,
    keys: Option<(Secret, Secret)>,
}

/// Where the backups go, asked for where no option says it: a directory, or a bucket.
pub(super) fn ask_destination(
    options: &cli::InitArgs,
    terminal: &Terminal,
    cancel: &Cancel,
) -> Result<Destination> {
    let mut usual = Usual {
        place: usual_directory(),
        region: options.region.clone().unwrap_or(REGION.to_string()),
        endpoint: options.endpoint.clone().unwrap_or_default(),
        keys: None,
    };
    loop {
        let place = match &options.to {
            Some(place) => place.clone(),
            None => terminal.ask_checked(
                "Where to? A directory, or s3://BUCKET/PREFIX",
                &usual.place,
                |place| checked(place, REGION, None).map(drop),
            )?,
        };
        let all_is_said = options.to.is_some() && options.region.is_some();
        if all_is_said || !place.starts_with("s3://") {
            return checked(&place, &usual.region, options.endpoint.as_deref());
        }
        usual.place = place;
        let destination = ask_bucket(options, terminal, &mut usual)?;
        let Err(error) = try_out(&destination, cancel) else {
            return Ok(destination);
        };
        cancel.check()?;
        terminal.say(&format!("Cannot use that bucket: {}", error.report()))?;
        if !terminal.ask_yes("Try other answers?", true)? {
            return Ok(destination);
        }
    }
}

fn ask_bucket(
    options: &cli::InitArgs,
    terminal: &Terminal,
    usual: &mut Usual,
) -> Result<Destination> {
    if options.region.is_none() {
        usual.region = terminal.ask_checked("Region of the bucket", &usual.region, |region| {
            s3::check("region", region)
        })?;
    }
    if options.endpoint.is_none() {
        let question = "Its server, such as https://s3.example.com (empty: Amazon's)";
        usual.endpoint =
            terminal.ask_checked(question, &usual.endpoint, |endpoint| {
                match endpoint.is_empty() {
                    true => Ok(()),
                    false => s3::check("endpoint", endpoint),
                }
            })?;
    }
    usual.keys = ask_keys(terminal, usual.keys.take())?;
    let endpoint = Some(usual.endpoint.as_str()).filter(|endpoint| !endpoint.is_empty());
    let destination = checked(&usual.place, &usual.region, endpoint)?;
    Ok(destination.with_keys(usual.keys.clone()))
}

/// The pair of keys; none where those of the surroundings are to be used.
fn ask_keys(
    terminal: &Terminal,
    before: Option<(Secret, Secret)>,
) -> Result<Option<(Secret, Secret)>> {
    let surroundings = match variable("AWS_ACCESS_KEY_ID") {
        Some(_) => "that of AWS_ACCESS_KEY_ID, which every run then needs",
        None => "those of this machine's role, or of AWS_ACCESS_KEY_ID later",
    };
    let empty = match before {
        Some(_) => "as before",
        None => surroundings,
    };
    let access = terminal.ask_secret(&format!("Access key, not shown (empty: {empty})"))?;
    if access.is_empty() {
        return Ok(before);
    }
    loop {
        let secret = terminal.ask_secret("Secret key, not shown")?;
        if !secret.is_empty() {
            return Ok(Some((access, secret)));
        }
        terminal.say("An access key needs its secret key.")?;
    }
}

/// The place, by the rules that the configuration has for it.
pub(super) fn checked(place: &str, region: &str, endpoint: Option<&str>) -> Result<Destination> {
    let destination = Destination::parse(place, region, endpoint)?;
    destination.require_possible()?;
    if let Destination::Bucket { bucket, prefix, .. } = &destination {
        s3::check("bucket", bucket)?;
        if !prefix.is_empty() {
            s3::check("prefix", prefix)?;
        }
    }
    Ok(destination)
}

/// Asks the bucket for what it holds.
fn try_out(destination: &Destination, cancel: &Cancel) -> Result<()> {
    let Destination::Bucket {
        bucket,
        prefix,
        region,
        endpoint,
        keys,
    } = destination
    else {
        return Ok(());
    };
    let mut settings = S3Settings::new("s3main", bucket, region);
    settings.prefix = prefix.clone();
    settings.endpoint = endpoint.clone();
    settings.patience = TRYING;
    if let Some((access, secret)) = keys {
        settings.access_key = Some(access.clone());
        settings.secret_key = Some(secret.clone());
    }
    let cancel = cancel.with_deadline(TRYING);
    S3::new(settings)?.list(Some(LOOKED_AT), &cancel).map(drop)
}
