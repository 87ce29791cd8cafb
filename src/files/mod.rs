//! Files and directories, written and opened so that no link leads astray, nothing is half there and nothing waits for
//! ever; and random bytes. It knows nothing of backups.

pub mod atomic_write;
pub mod directory;
pub mod entries;
pub mod exposed;
pub mod permitted;
pub mod random;
pub mod regular;
pub mod system_directory;
pub mod write_behind;
