//! A bucket behind a proxy that can hold requests up.

use super::*;
use crate::support::proxy::Proxy;
use crate::support::s3s;

/// A bucket behind a proxy that can hold requests up.
pub struct Bucket {
    pub server: s3s::Server,
    pub proxy: Proxy,
    pub sandbox: Sandbox,
}

impl Bucket {
    pub fn of(database: &Database<'_>) -> Bucket {
        let server = s3s::Server::start();
        let proxy = Proxy::before(&server.address);
        let sandbox = Sandbox::new(18);
        let entry = Entry::of(database).named(NAME).retention("keep_last: 1");
        let storage = format!(
            "version: 1\nstorage:\n  - name: s3\n    type: s3\n    s3: {{ bucket: {}, region: us-east-1, endpoint: 'http://{}', \
             access_key: {}, secret_key: {} }}\ndatabases:\n",
            s3s::BUCKET,
            proxy.address,
            s3s::ACCESS_KEY,
            s3s::SECRET_KEY
        );
        sandbox.configure(&(storage + &entry.storage("s3").backup(EVERY_MINUTE).to_yaml()));
        Bucket {
            server,
            proxy,
            sandbox,
        }
    }

    pub fn archives(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.server.file(NAME)) else {
            return 0;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.ends_with(".dump")).count()
    }
}
