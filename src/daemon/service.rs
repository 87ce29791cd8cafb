//! What systemd wants to know of a service: lines in a datagram to the socket that `NOTIFY_SOCKET` names (sd_notify(3)).
//!
//! Without that variable nothing is sent, and a message that cannot be sent is not worth more than a debug line.

use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if there is one.
#[derive(Default)]
pub struct Service {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// What it has been told last.
    status: RefCell<String>,
}

impl Service {
    /// The one that started this process, by the variables that it sets.
    pub fn from_env() -> Service {
        Service::new(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn new<S: AsRef<OsStr>>(variable: impl Fn(&str) -> Option<S>) -> Service {
        let Some(path) = variable("NOTIFY_SOCKET") else {
            return Service::default();
        };
        let manager = match connect(path.as_ref()) {
            Ok(manager) => Some(manager),
            Err(error) => {
                log::debug!("cannot reach NOTIFY_SOCKET: {error}");
                None
            }
        };
        let number = |name: &str| variable(name)?.as_ref().to_str()?.parse::<u64>().ok();
        // it may be meant for the process that started us
        let meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|limit| meant && *limit > 0);
        Service {
            manager,
            watchdog: limit.map(Duration::from_micros),
            status: RefCell::default(),
        }
    }

    /// How often it wants to hear that we are alive: twice in its limit.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Started, or the configuration is loaded again.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being loaded again.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Alive, for its watchdog.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// What goes on, on one line; said where it has changed.
    pub fn status(&self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if self.status.replace(text.clone()) != text {
            self.tell(&format!("STATUS={text}"));
        }
    }

    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.manager
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            log::debug!("cannot tell the service manager {message:?}: {error}");
        }
    }
}

fn connect(path: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(path)?,
        _ => return Err(io::Error::other("it is neither a path nor abstract")),
    };
    let socket = UnixDatagram::unbound()?;
    // a manager that does not read must not hold the daemon up
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(variables: &[(&str, String)]) -> Service {
        Service::new(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    fn next(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_manager_hears_everything_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("backupkit-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, variable) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.to_str().unwrap().to_string(),
            ),
            (
                UnixDatagram::bind_addr(&abstract_address).unwrap(),
                format!("@{name}"),
            ),
        ] {
            let service = service(&[
                ("NOTIFY_SOCKET", variable),
                ("WATCHDOG_USEC", "4000000".into()),
                ("WATCHDOG_PID", std::process::id().to_string()),
            ]);
            assert_eq!(service.watchdog(), Some(Duration::from_secs(2)));
            service.ready();
            service.status("idle\nREADY=0");
            service.status("idle\nREADY=0");
            service.alive();
            service.reloading();
            service.stopping();
            assert_eq!(next(&manager), "READY=1");
            assert_eq!(next(&manager), "STATUS=idleREADY=0");
            assert_eq!(next(&manager), "WATCHDOG=1");
            let reloading = next(&manager);
            let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
            assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
            assert_eq!(next(&manager), "STOPPING=1\nSTATUS=stopping");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said_and_a_watchdog_of_others_is_not_fed() {
        assert_eq!(service(&[]).watchdog(), None);
        service(&[]).ready();
        let others = service(&[
            ("NOTIFY_SOCKET", "/nonexistent".into()),
            ("WATCHDOG_USEC", "4000000".into()),
            ("WATCHDOG_PID", "1".into()),
        ]);
        assert_eq!(others.watchdog(), None);
        others.ready();
    }
}
