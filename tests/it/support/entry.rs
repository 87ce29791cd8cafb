//! One database of a configuration, as a test wants it.

use super::postgres::{Database, SUPERUSER};
use super::sandbox::Shape;

/// Starts as the plainest that works: under its own name, by TCP, as the superuser, neither compressed nor encrypted.
pub struct Entry {
    name: String,
    connection: String,
    shape: Shape,
    encryption: String,
    backup: String,
    retention: String,
    drill: String,
    verify: String,
    keys: String,
    storage: String,
}

impl Entry {
    /// The entry of `database`.
    pub fn of(database: &Database<'_>) -> Entry {
        let connection = database.connection(SUPERUSER, &database.server.password);
        Entry::new(&database.name, connection)
    }

    /// An entry of this name; `connection` is what stands in `connection: { … }`.
    pub fn new(name: &str, connection: String) -> Entry {
        Entry {
            name: name.to_string(),
            connection,
            shape: Shape::new(false, false),
            encryption: "enabled: true, password: '${BACKUPKIT_ENC_PASSWORD}'".to_string(),
            backup: String::new(),
            retention: String::new(),
            drill: String::new(),
            verify: String::new(),
            keys: String::new(),
            storage: "local".to_string(),
        }
    }

    /// Another name than the one it has on the server.
    pub fn named(mut self, name: &str) -> Entry {
        self.name = name.to_string();
        self
    }

    /// How archives are made.
    pub fn shape(mut self, shape: Shape) -> Entry {
        self.shape = shape;
        self
    }

    /// What stands in `encryption: { … }` where the shape is encrypted.
    pub fn encryption(mut self, keys: &str) -> Entry {
        self.encryption = keys.to_string();
        self
    }

    /// Who logs in.
    pub fn login(self, database: &Database<'_>, user: &str, password: &str) -> Entry {
        self.connection(&database.connection(user, password))
    }

    /// What stands in `connection: { … }`.
    pub fn connection(mut self, keys: &str) -> Entry {
        self.connection = keys.to_string();
        self
    }

    /// One more key under `backup`.
    pub fn backup(mut self, key: &str) -> Entry {
        self.backup += &format!("      {key}\n");
        self
    }

    /// What stands in `retention: { … }`.
    pub fn retention(mut self, keys: &str) -> Entry {
        self.retention = format!("    retention: {{ {keys} }}\n");
        self
    }

    /// What stands in `drill: { … }`.
    pub fn drill(mut self, keys: &str) -> Entry {
        self.drill = format!("    drill: {{ {keys} }}\n");
        self
    }

    /// What stands in `verify: { … }`.
    pub fn verify(mut self, keys: &str) -> Entry {
        self.verify = format!("    verify: {{ {keys} }}\n");
        self
    }

    /// One more key of the database itself.
    pub fn key(mut self, key: &str) -> Entry {
        self.keys += &format!("    {key}\n");
        self
    }

    /// Where backups go: a name or a list.
    pub fn storage(mut self, storage: &str) -> Entry {
        self.storage = storage.to_string();
        self
    }

    /// As it stands under `databases`.
    pub fn to_yaml(&self) -> String {
        let compression = self.shape.compression();
        let mut yaml = format!(
            "  - name: {}\n    type: postgres\n    connection: {{ {} }}\n    backup:\n      storage: {}\n      \
             compression: {compression}\n{}",
            self.name, self.connection, self.storage, self.backup
        );
        if self.shape.encrypted {
            yaml += &format!("      encryption: {{ {} }}\n", self.encryption);
        }
        yaml + &self.retention + &self.drill + &self.verify + &self.keys
    }
}
