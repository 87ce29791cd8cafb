//! Who the services run as, by the settings of each.

use crate::files::permitted::Visitor;
use crate::process::account::{Account, group_numbered};
use crate::systemd::SERVICES;
use crate::systemd::unit_settings::UnitSettings;
use std::path::Path;

/// The user of a service, with the groups that its unit gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceUser {
    pub name: String,
    /// The name of its first group, or its number.
    pub group: String,
    pub gid: u32,
    pub visitor: Visitor,
}

impl ServiceUser {
    /// Those of the services below `root`, each once; without those whom this machine does not know.
    pub fn all(root: &Path) -> Vec<ServiceUser> {
        let mut users = Vec::new();
        let settings = SERVICES
            .iter()
            .filter_map(|service| UnitSettings::read(root, service, ""));
        for user in settings.filter_map(|settings| ServiceUser::of(&settings)) {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        users
    }

    fn of(settings: &UnitSettings) -> Option<ServiceUser> {
        let account = Account::named_or_numbered(settings.last("User").unwrap_or("root")).ok()?;
        let mut groups = account.groups();
        let group = settings.last("Group");
        let gid = match group {
            Some(group) => group_numbered(group)?,
            None => account.gid,
        };
        groups.push(gid);
        let more = settings.words("SupplementaryGroups");
        groups.extend(more.iter().filter_map(|group| group_numbered(group)));
        Some(ServiceUser {
            group: group.map_or(gid.to_string(), str::to_string),
            name: account.name,
            gid,
            visitor: Visitor {
                uid: account.uid,
                groups,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_override_says_who_a_service_runs_as() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("usr/local/lib/systemd/system");
        fs::create_dir_all(&place).unwrap();
        for service in SERVICES {
            let text = "[Service]\nUser=4711\nGroup=4712\n";
            fs::write(place.join(service), text).unwrap();
        }
        let all = ServiceUser::all(root.path());
        assert_eq!(all.len(), 1);
        assert_eq!((&*all[0].name, &*all[0].group), ("4711", "4712"));
        let over = root
            .path()
            .join("etc/systemd/system/backupkit-backup.service.d");
        fs::create_dir_all(&over).unwrap();
        let text = "[Service]\nUser=root\nGroup=\nSupplementaryGroups=4713 4714\n";
        fs::write(over.join("override.conf"), text).unwrap();
        let all = ServiceUser::all(root.path());
        assert_eq!(all.len(), 2);
        assert_eq!((&*all[1].name, all[1].gid), ("root", 0));
        for group in [0, 4713, 4714] {
            assert!(all[1].visitor.groups.contains(&group), "{group}");
        }
    }
}
