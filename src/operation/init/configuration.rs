//! The text of a new configuration, with its comments.

use super::answers::{Answers, Destination, Login};
use super::files::Files;
use std::path::Path;

/// The whole file.
pub(super) fn text(answers: &Answers, files: &Files) -> String {
    let (storage, name) = storage(&answers.destination);
    let mut text = format!("{TOP}{storage}{ANOTHER_PLACE}");
    let mut names: Vec<String> = Vec::new();
    if !answers.databases.is_empty() {
        text.push_str("\ndatabases:\n");
    }
    for on_server in &answers.databases {
        let name_here = unique(plain(on_server), &names);
        text.push_str(&database(&name_here, on_server, name, answers, files));
        names.push(name_here);
    }
    if let Some(wanted) = &answers.cluster {
        let name_here = unique(plain(wanted), &names);
        text.push_str(&cluster(&name_here, name, answers, files));
    }
    text.push_str(NOTIFICATIONS);
    text
}

const TOP: &str = "\
# What BackupKit backs up, where to, and how. Every key is explained in backupkit.yaml(5): man 5 backupkit.yaml
# After a change, see whether it works: backupkit test
version: 1

# Where backups are kept.
storage:
";

const ANOTHER_PLACE: &str = "  # A second place, best in another building; a database may go to both, with storage: [local, s3main]
  # - name: s3main
  #   type: s3
  #   s3: { bucket: my-backups, region: eu-central-1, prefix: host1 }
";

const NOTIFICATIONS: &str = "
# Who is told how it went.
# notifications:
#   - type: email
#     on: [failure]
#     config: { smtp_host: smtp.example.com, smtp_port: 587, from: backups@example.com, to: you@example.com }
";

const RESTORE: &str = "    \
    # Who backs up need only read, and cannot restore then. Who restores may stand here, or be named each time with
    # backupkit restore --user; which roles to make is told by A LOGIN FOR RESTORES in backupkit.yaml(5).
    # restore:
    #   connection: { user: restorer, password_file: /root/restorer_password }
";

/// The storage and its name.
fn storage(destination: &Destination) -> (String, &'static str) {
    match destination {
        Destination::Directory(path) => (
            format!(
                "  - name: local\n    type: local\n    local: {{ path: {} }}\n",
                quoted_path(path)
            ),
            "local",
        ),
        Destination::Bucket {
            bucket,
            prefix,
            region,
            endpoint,
            keys,
        } => {
            let mut text = "  - name: s3main\n    type: s3\n    s3:\n".to_string();
            let given = |text: &str| (!text.is_empty()).then(|| quoted(text));
            for (key, value) in [
                ("bucket", given(bucket)),
                ("region", given(region)),
                ("prefix", given(prefix)),
                ("endpoint", endpoint.as_deref().and_then(given)),
            ] {
                if let Some(value) = value {
                    text.push_str(&format!("      {key}: {value}\n"));
                }
            }
            if let Some((access, secret)) = keys {
                let (access, secret) = (quoted(access.expose()), quoted(secret.expose()));
                text.push_str(&format!(
                    "      access_key: {access}\n      secret_key: {secret}\n"
                ));
                return (text, "s3main");
            }
            text.push_str(
                "      # The keys are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of this machine's role; or here:\n      \
                 # access_key: '${S3_ACCESS_KEY}'\n      # secret_key: '${S3_SECRET_KEY}'\n",
            );
            (text, "s3main")
        }
    }
}

fn database(
    name: &str,
    on_server: &str,
    storage: &str,
    answers: &Answers,
    files: &Files,
) -> String {
    let (host, database, user) = (
        quoted(&answers.host),
        quoted(on_server),
        quoted(&answers.user),
    );
    let (login, encryption) = (login(answers, files), encryption(answers, files));
    format!(
        "  - name: {name}\n    type: postgres\n    connection:\n      host: {host}\n      port: {}\n      \
         database: {database}\n      user: {user}\n{login}{RESTORE}    backup:\n      storage: {storage}\n      \
         # When the daemon makes one, in UTC: minute, hour, day of month, month, day of week.\n      \
         schedule: '0 2 * * *'\n      compression: zstd\n{encryption}    \
         # Which backups stay; see what that comes to with: backupkit prune --dry-run --explain\n    \
         # keep_within spares all of the last days, and so what was backed up before a mistake of the same day.\n    \
         retention: {{ keep_within: 3d, keep_daily: 7, keep_weekly: 4, keep_monthly: 12 }}\n    \
         # From this age of the newest backup on, backupkit status says so and exits 14.\n    max_age: 26h\n",
        answers.port,
        name = quoted(name),
    )
}

/// The whole of the server: a full backup a week, and on the other days what changed.
fn cluster(name: &str, storage: &str, answers: &Answers, files: &Files) -> String {
    let (host, user) = (quoted(&answers.host), quoted(&answers.user));
    let (login, encryption) = (login(answers, files), encryption(answers, files));
    format!(
        "\n# All of a server as it lies on disk, restored as a whole into a directory.\nclusters:\n  - name: {name}\n    \
         connection:\n      host: {host}\n      port: {}\n      user: {user}\n{login}    backup:\n      storage: {storage}\n      \
         # A full one each Sunday, and else what changed since: PostgreSQL 17 and newer with summarize_wal = on, older ones\n      \
         # make full ones each time.\n      schedule: '30 2 * * 0'\n      incremental: {{ schedule: '30 2 * * 1-6' }}\n{encryption}    \
         # What a backup that stays needs stays with it.\n    retention: {{ full: 30d, incremental: 14d }}\n    max_age: 26h\n",
        answers.port,
        name = quoted(name),
    )
}

fn login(answers: &Answers, files: &Files) -> String {
    match &answers.login {
        Login::Libpq => {
            "      # Without a password here libpq looks for one: .pgpass, peer authentication, a certificate.\n      \
             # password_file: /etc/backupkit/db_password\n"
                .to_string()
        }
        Login::File(path) => format!("      password_file: {}\n", quoted_path(path)),
        Login::Password(_) => {
            format!("      password_file: {}\n", quoted_path(&files.login))
        }
    }
}

fn encryption(answers: &Answers, files: &Files) -> String {
    match answers.encrypt {
        true => format!(
            "      # Without this password the backups are noise: keep a copy of the file somewhere else.\n      \
             encryption: {{ enabled: true, password_file: {} }}\n",
            quoted_path(&files.encryption)
        ),
        false => "      encryption: { enabled: false }\n".to_string(),
    }
}

/// A database's name as a name for its directory.
fn plain(on_server: &str) -> String {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
    let name: String = on_server
        .chars()
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect();
    match name.is_empty() {
        true => "database".to_string(),
        false => name,
    }
}

fn unique(name: String, taken: &[String]) -> String {
    let mut candidate = name.clone();
    for number in 2.. {
        if !taken.contains(&candidate) {
            break;
        }
        candidate = format!("{name}_{number}");
    }
    candidate
}

/// A string of YAML that holds exactly `text`, no variable in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('$', "$$"))
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn answers() -> Answers {
        Answers {
            host: "/run/postgresql".into(),
            port: 5432,
            user: "o'brien".into(),
            login: Login::Libpq,
            databases: vec!["app".into(), "a p$p".into(), "a_p_p".into()],
            cluster: Some("app".into()),
            destination: Destination::Directory("/var/backups/it's ${HERE}".into()),
            encrypt: true,
        }
    }

    fn files() -> Files {
        Files::beside("/etc/backupkit/config.yaml".into())
    }

    #[test]
    fn whatever_the_answers_hold_is_what_the_configuration_says() {
        let text = super::text(&answers(), &files());
        let config = Config::parse("config.yaml", &text, &|_| None).unwrap();
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let names: Vec<&str> = config.sources.iter().map(|known| &*known.name).collect();
        assert_eq!(names, ["app", "a_p_p", "a_p_p_2", "app_2"]);
        let connection = config.sources[1].connection.resolve(&|_| None).unwrap();
        assert_eq!(
            (&*connection.database, &*connection.user),
            ("a p$p", "o'brien")
        );
        let path = config.storages[0].directory(&|_| None).unwrap();
        assert_eq!(
            path.as_deref(),
            Some(Path::new("/var/backups/it's ${HERE}"))
        );
    }

    #[test]
    fn a_bucket_and_everything_that_is_commented_out_is_valid_too() {
        let mut answers = answers();
        answers.destination = Destination::parse(
            "s3://my-backups/a/b/",
            "eu-1",
            Some("https://s3.example.com"),
        )
        .unwrap();
        answers.login = Login::File("/etc/backupkit/db_password".into());
        answers.databases.clear();
        let text = super::text(&answers, &files());
        let config = Config::parse("config.yaml", &text, &|_| None).unwrap();
        assert_eq!(config.sources.len(), 1);
        answers.databases = vec!["app".into()];
        let text = super::text(&answers, &files());
        Config::parse("config.yaml", &text, &|_| None).unwrap();
        let is_key = |line: &str| line.contains(": ") || line.ends_with(':');
        let uncommented: Vec<String> = text
            .lines()
            .map(|line| match line.split_once("# ") {
                Some((indent, rest))
                    if indent.trim().is_empty()
                        && !rest.starts_with(char::is_uppercase)
                        && is_key(rest) =>
                {
                    format!("{indent}{rest}").replace("name: s3main", "name: other")
                }
                _ => line.to_string(),
            })
            .collect();
        let config = Config::parse("config.yaml", &uncommented.join("\n"), &|_| None).unwrap();
        assert_eq!((config.storages.len(), config.notifications.len()), (2, 1));
    }
}
