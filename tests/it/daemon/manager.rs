//! The daemon and its service manager: what it is told, and what SIGHUP does.

use super::*;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

#[test]
fn a_service_manager_hears_of_start_reload_and_stop_and_that_the_daemon_is_alive() {
    let database = tiny();
    let sandbox = Sandbox::new(18).with("WATCHDOG_USEC", "400000");
    let entry = |name: &str| {
        Entry::of(&database)
            .named(name)
            .backup("schedule: '@yearly'")
    };
    sandbox.configure_with("", &[entry(NAME)]);
    let daemon = Daemon::start(&sandbox, &[]);
    assert!(daemon.hears("STATUS=").starts_with(IDLE));
    for _ in 0..3 {
        daemon.hears("WATCHDOG=1");
    }

    // a configuration that is wrong changes nothing, and is told
    sandbox.configure("version: 1\nnonsense: true\n");
    daemon.run.signal(Signal::HUP);
    let reloading = daemon.hears("RELOADING=1\n");
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(
        since.is_some_and(|since| since.parse::<u64>().is_ok()),
        "{reloading}"
    );
    assert_eq!(daemon.next(), "READY=1");
    daemon.hears("WATCHDOG=1");

    sandbox.configure_with("", &[entry("another")]);
    daemon.run.signal(Signal::HUP);
    daemon.hears("RELOADING=1\n");
    assert_eq!(daemon.next(), "READY=1");
    assert!(
        daemon
            .hears("STATUS=")
            .starts_with("STATUS=idle; next: backup of another at ")
    );

    daemon.run.signal(Signal::INT);
    daemon.hears("STOPPING=1");
    let output = daemon.run.wait().exits(0);
    let config = sandbox.path("config.yaml");
    let config = config.display();
    for said in [
        format!("daemon started with {config}; all times are UTC"),
        "app: next backup at ".to_string(),
        format!("error: {config} is not loaded anew, the old configuration stays: "),
        "nonsense".to_string(),
        format!("{config} is loaded anew"),
        "another: next backup at ".to_string(),
        "stopping on SIGINT".to_string(),
        "daemon stopped".to_string(),
    ] {
        assert!(output.stderr.contains(&said), "{said}: {}", output.stderr);
    }
}

#[test]
fn every_line_in_the_journal_has_its_priority_and_elsewhere_its_time() {
    let sandbox = Sandbox::new(18);
    let database = tiny();
    let scheduled = Entry::of(&database).named(NAME).backup(EVERY_MINUTE);
    let never = Entry::of(&database).named("never");
    sandbox.configure_with("", &[scheduled, never]);
    let dry_run = |is_journal: bool| {
        let (mut journal, writer) = std::io::pipe().expect("a pipe");
        let writer = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
        let about = writer.metadata().expect("about the pipe");
        let inode = about.ino() + u64::from(!is_journal);
        let mut command = sandbox.command(&["daemon", "--dry-run"]);
        command.env("JOURNAL_STREAM", format!("{}:{inode}", about.dev()));
        command.stdout(Stdio::null()).stderr(writer);
        let status = command.status().expect("it runs");
        drop(command);
        assert!(status.success());
        let mut said = String::new();
        journal.read_to_string(&mut said).expect("read the pipe");
        said
    };
    assert_eq!(dry_run(true), "<6>without a schedule: never\n");
    let elsewhere = dry_run(false);
    let (time, rest) = elsewhere.split_once(' ').expect("two words");
    assert!(
        time.ends_with('Z') && rest == "without a schedule: never\n",
        "{elsewhere}"
    );
}
