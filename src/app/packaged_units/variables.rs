//! The variables that the units give to their services, and what of a configuration they leave without a value.

use super::units::ROOT;
use super::used_paths::{UsedPaths, is_for_news, is_for_restores};
use crate::config::{Config, SecretText};
use crate::error::Result;
use crate::operation::test::Finding;
use crate::systemd::SERVICES;
use crate::systemd::unit_environment::UnitEnvironment;
use crate::systemd::unit_settings::UnitSettings;
use std::path::Path;

/// Services that get the same variables.
pub(super) struct Alike {
    services: Vec<&'static str>,
    environment: UnitEnvironment,
}

/// The services that there are, by what they get.
pub(super) fn environments() -> Vec<Alike> {
    let mut all: Vec<Alike> = Vec::new();
    for service in SERVICES {
        let root = Path::new(ROOT);
        let Some(settings) = UnitSettings::read(root, service, "") else {
            continue;
        };
        let environment = UnitEnvironment::of(root, &settings);
        match all
            .iter_mut()
            .find(|known| known.environment == environment)
        {
            Some(known) => known.services.push(service),
            None => all.push(Alike {
                services: vec![service],
                environment,
            }),
        }
    }
    all
}

/// What the services come to need of paths by the configuration at `path`, each with its own variables.
pub(super) fn used_paths(path: &Path, environments: &[Alike]) -> Result<UsedPaths> {
    let mut used = UsedPaths::default();
    for alike in environments {
        let env = |name: &str| alike.environment.get(name);
        let config = Config::load(path, &env)?;
        used.join(UsedPaths::of(&config, path, &env));
    }
    Ok(used)
}

/// What of `config` at `path` the services have no value for.
pub(super) fn unset(
    subject: &str,
    config: &Config,
    path: &Path,
    environments: &[Alike],
) -> Vec<Finding> {
    let mut found = Vec::new();
    // a file that only root may read, and root's systemd does, may hold what is missing
    for alike in environments.iter().filter(|of| of.environment.is_whole()) {
        let env = |name: &str| alike.environment.get(name);
        let services = alike.services.join(", ");
        let mut add = |error: crate::error::Error, is_for_news: bool| {
            let what = format!("{services} would lack a value: {}", error.chain());
            let finding = Finding::fail(subject, what).fix(FIX);
            found.push(match is_for_news {
                true => finding.as_warning(),
                false => finding,
            });
        };
        for secret in config.secrets.iter().filter(|secret| is_needed(secret)) {
            if let Some(error) = secret.unset(&env) {
                add(error, is_for_news(secret.field()));
            }
        }
        for error in UsedPaths::of(config, path, &env).unknown {
            add(error, false);
        }
    }
    found
}

const FIX: &str = "set it in /etc/backupkit/environment, or by systemctl edit in the service, or name a file that holds it";

/// False for one that no service reads, or does without.
fn is_needed(secret: &SecretText) -> bool {
    let field = secret.field();
    !is_for_restores(field) && !field.contains("previous_passwords")
}
