//! A file system of its own for a test: small, and able to become read-only.
//!
//! It is mounted in a mount namespace that belongs to a helper process and is reached through `/proc`, so it needs no
//! root and is gone with the helper, however the test ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A mounted tmpfs.
pub struct Disk {
    shell: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it is, for every process of this user.
    pub path: PathBuf,
}

impl Disk {
    /// An empty one of this many KiB.
    pub fn new(kib: u32) -> Disk {
        let mut shell = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-e"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut disk = Disk {
            stdin: shell.stdin.take().expect("stdin is a pipe"),
            stdout: BufReader::new(shell.stdout.take().expect("stdout is a pipe")),
            path: Path::new("/proc")
                .join(shell.id().to_string())
                .join("root/mnt"),
            shell,
        };
        disk.sh(&format!("mount -t tmpfs -o size={kib}k,mode=700 none /mnt"));
        disk
    }

    /// From now on nothing can be written to it.
    pub fn make_read_only(&mut self) {
        self.sh("mount -o remount,ro none /mnt");
    }

    /// It can be written to again.
    pub fn make_writable(&mut self) {
        self.sh("mount -o remount,rw none /mnt");
    }

    /// Makes it this large.
    pub fn resize(&mut self, kib: u32) {
        self.sh(&format!("mount -o remount,size={kib}k none /mnt"));
    }

    /// Runs a command where the file system is mounted.
    fn sh(&mut self, command: &str) {
        writeln!(self.stdin, "{command} && echo done").expect("the shell reads");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the shell answers");
        assert_eq!(
            line, "done\n",
            "cannot {command}: this needs root, or a kernel that lets users make namespaces"
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
