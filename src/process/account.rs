//! The account of the operating system that a child runs as, where that is not our own.

use super::before_exec;
use crate::error::{Error, Result};
use rustix::process::{Gid, Uid};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Where accounts stand.
const PASSWD: &str = "/etc/passwd";

/// Where groups stand.
const GROUP: &str = "/etc/group";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// Its home directory; empty where that is not known.
    pub home: String,
}

/// True where we may become anybody.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of whom this runs as.
pub fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Account {
    /// The account of this name, by `/etc/passwd`.
    pub fn named(name: &str) -> Result<Account> {
        let text = std::fs::read_to_string(PASSWD).unwrap_or_default();
        find(&text, name)
            .ok_or_else(|| Error::failed(format!("there is no user {name} in {PASSWD}")))
    }

    /// As [`Account::named`], for a name or a number as systemd takes them.
    pub fn named_or_numbered(user: &str) -> Result<Account> {
        let Ok(uid) = user.parse() else {
            return Account::named(user);
        };
        let name = user.to_string();
        Ok(Account {
            name,
            uid,
            gid: uid,
            home: String::new(),
        })
    }

    /// The account with these numbers, by `/etc/passwd`; where that does not know them, one without a home.
    pub fn numbered(uid: u32, gid: u32) -> Account {
        let text = std::fs::read_to_string(PASSWD).unwrap_or_default();
        let mut names = text.lines().filter_map(|line| line.split(':').next());
        let known = names.find_map(|name| find(&text, name).filter(|found| found.uid == uid));
        known.map_or_else(
            || Account {
                name: uid.to_string(),
                uid,
                gid,
                home: String::new(),
            },
            |known| Account { gid, ..known },
        )
    }

    /// The numbers of all groups that it is in, by `/etc/group`.
    pub fn groups(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(GROUP).unwrap_or_default();
        let mut groups = groups_of(&text, &self.name);
        groups.push(self.gid);
        groups
    }

    /// Has `command` run as this user, with no group but its own.
    pub fn becomes(&self, command: &mut Command) {
        // without groups of its own the standard library leaves out ours
        command.uid(self.uid).gid(self.gid);
        command.env("USER", &self.name).env("LOGNAME", &self.name);
    }

    /// Has `command` run as this user as if it had logged in: in all of its groups, one of which may let it read a private key.
    pub fn logs_in(&self, command: &mut Command) {
        let groups = self.groups().into_iter().map(Gid::from_raw);
        before_exec::become_user(
            command,
            Uid::from_raw(self.uid),
            Gid::from_raw(self.gid),
            groups.collect(),
        );
        command.env("USER", &self.name).env("LOGNAME", &self.name);
    }
}

/// The number of the group that this name or number stands for, by `/etc/group`.
pub fn group_numbered(group: &str) -> Option<u32> {
    group.parse().ok().or_else(|| {
        let text = std::fs::read_to_string(GROUP).unwrap_or_default();
        let mut lines = text.lines().map(|line| line.split(':'));
        lines.find_map(|mut fields| {
            (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
        })
    })
}

/// Finds `name:password:uid:gid:…`.
fn find(passwd: &str, name: &str) -> Option<Account> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    let mut fields =
        lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let _password = fields.next()?;
    Some(Account {
        name: name.to_string(),
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        // behind a comment
        home: fields.nth(1).unwrap_or_default().to_string(),
    })
}

/// The groups that `name` is a member of, by `name:password:gid:member,…`.
fn groups_of(group: &str, name: &str) -> Vec<u32> {
    let lines = group.lines().map(|line| line.split(':'));
    let groups = lines.filter_map(|fields| {
        let fields: Vec<&str> = fields.collect();
        let is_member = fields.get(3)?.split(',').any(|member| member == name);
        fields.get(2).filter(|_| is_member)?.parse().ok()
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_in_the_groups_that_name_it_whole() {
        let group = "root:x:0:\nssl-cert:x:103:postgres,backupkit\nx:x:7:backupkit2\nbroken\nadm:x:4:backupkit\n";
        assert_eq!(groups_of(group, "backupkit"), [103, 4]);
        assert_eq!(groups_of(group, "nobody"), [0; 0]);
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        let found = find(passwd, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(found.home, "/var/lib/postgresql");
        assert_eq!(find(passwd, "post"), None);
        assert_eq!(find("broken\npostgres:x:1", "postgres"), None);
        assert_eq!(Account::numbered(0, 7).name, "root");
        assert_eq!(Account::numbered(0, 7).gid, 7);
        assert_eq!(Account::numbered(4_000_000_000, 7).name, "4000000000");
    }
}
