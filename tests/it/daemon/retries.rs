//! The daemon against a server that comes back in time: tried again within the hour of the schedule, by a fast clock.

use super::*;
use crate::support::fast::FastDaemon;
use crate::support::postgres::bin;
use backupkit::daemon::state;
use std::os::unix::fs::symlink;

#[test]
fn a_server_that_returns_is_backed_up_by_a_repetition_within_the_interval() {
    let database = tiny();
    let sandbox = Sandbox::new(18);
    let socket = sandbox.path("socket");
    fs::create_dir(&socket).expect("make a directory");
    let connection = format!(
        "host: '{}', port: 5432, database: {}, user: postgres",
        socket.display(),
        database.name
    );
    // the fast clock begins at midnight
    let entry = Entry::new(NAME, connection).backup("schedule: '1 0 * * *'");
    sandbox.configure_with(&format!("bin_dir: '{}'", bin(18).display()), &[entry]);
    let daemon = FastDaemon::start(&sandbox);
    let life = || state::look(&sandbox.path("config.yaml"));
    let since = |what: &str, running: bool| {
        wait::until(what, || {
            let (life, _) = life()?;
            (life.running.is_empty() != running).then_some(life.ticked_at)
        })
    };
    let began = since("the run begins", true);
    daemon.clock.stop();
    since("it has failed", false);
    let server = database.server;
    let real = server.directory.join(format!(".s.PGSQL.{}", server.port));
    symlink(real, socket.join(".s.PGSQL.5432")).expect("link the socket");
    daemon.clock.go_on();
    wait_for_archives(&sandbox, NAME, 1);
    since("the repetition has ended", false);
    let (life, _) = life().expect("it is alive");
    let hours = (life.ticked_at - began).num_hours();
    assert!(hours < 23, "that was the next night: {hours}");
    daemon.stop();
    assert_eq!(archives(&sandbox, NAME), 1);
}
