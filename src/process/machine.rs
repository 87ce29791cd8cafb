//! The machine that we run on.

/// Its name, as records and messages tell it.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
