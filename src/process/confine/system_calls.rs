//! seccomp: which system calls a confined program may not make.
//!
//! A list of what is refused, and not of what is allowed, because libraries of the program's plug-ins call what they like;
//! a call that is newer than this list is refused as unknown, which libraries are prepared for. Every entry says what it
//! would otherwise give.

use crate::error::{Error, Result};
use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};
use std::collections::BTreeMap;
use std::process::Command;

/// The newest call that was looked at: mseal. The numbers are those of all architectures since 424.
const NEWEST: u32 = 462;
/// Not in the libc crate for all of them.
const FCHMODAT2: c_long = 452;

/// Refused whatever the arguments are.
const REFUSED: &[c_long] = &[
    // other servers: a socket of a server next door needs no network
    libc::SYS_connect,
    // other programs: execve is asked for the one that is allowed
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    // other processes of the same user, their memory and their descriptors
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tkill,
    libc::SYS_perf_event_open,
    libc::SYS_setpriority,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_ioprio_set,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // what processes of the same user share by number or by name
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // what belongs to files, and needs no right of Landlock
    libc::SYS_fchmod,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // a second way to make any call
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // another view of the system, which may open what is closed
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // the kernel itself, where most of its faults were found
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
];

/// The same on this architecture alone.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_uselib,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// The modes that a server gives its files and its socket; others might open a file to other users.
const PRIVATE: [u64; 2] = [0o700, 0o600];
/// The flags of clone(2) that make a namespace.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
/// The bits of a socket's type that are not flags.
const SOCKET_TYPE: u64 = 0xf;

/// The program that may be started: the one whose path lies at this place in memory, in this process.
///
/// A filter cannot look into memory, so it cannot compare names. But once the program runs, its memory is another, and no
/// library has a path at that place: the program itself can start nothing any more. Code that puts one there on purpose
/// still starts nothing but the program and its loader, by the rules for files.
pub(super) struct StartableProgram(u64);

impl StartableProgram {
    /// The program of `command`. It holds until `command` is dropped.
    pub fn of(command: &Command) -> StartableProgram {
        // the standard library hands this very text on to the kernel
        StartableProgram(command.get_program().as_encoded_bytes().as_ptr() as u64)
    }
}

/// Refuses the calls to this process and what it starts. `truncation` says that Landlock looks after truncate(2).
pub(super) fn restrict(program: &StartableProgram, truncation: bool) -> Result<()> {
    let filter = filter(program, truncation);
    filter
        .and_then(|filter| apply_filter(&filter))
        .map_err(|error| {
            let error = Error::failed(error.to_string());
            error.doing("cannot confine it by seccomp")
        })
}

fn filter(program: &StartableProgram, truncation: bool) -> seccompiler::Result<BpfProgram> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let rules = rules(program, truncation)?;
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?;
    let filter = BpfProgram::try_from(filter)?;
    Ok([unknown_calls().as_slice(), &filter].concat())
}

type CallRules = BTreeMap<c_long, Vec<SeccompRule>>;

fn rules(program: &StartableProgram, truncation: bool) -> seccompiler::Result<CallRules> {
    let mut rules = CallRules::new();
    let always = REFUSED.iter().chain(REFUSED_HERE);
    rules.extend(always.map(|call| (*call, Vec::new())));
    if !truncation {
        rules.insert(libc::SYS_truncate, Vec::new());
    }
    rules.insert(
        libc::SYS_execve,
        vec![rule(&[(0, Length::Qword, Is::Ne, program.0)])?],
    );
    // a server of ours listens on a stream, and a datagram could be sent to anybody without connect(2)
    let mut sockets = vec![rule(&[(0, Length::Dword, Is::Ne, libc::AF_UNIX as u64)])?];
    for kind in (0..=SOCKET_TYPE).filter(|kind| *kind != libc::SOCK_STREAM as u64) {
        sockets.push(rule(&[(
            1,
            Length::Dword,
            Is::MaskedEq(SOCKET_TYPE),
            kind,
        )])?);
    }
    rules.insert(libc::SYS_socket, sockets.clone());
    rules.insert(libc::SYS_socketpair, sockets);
    let made = NAMESPACES.map(|flag| u64::from(flag as u32));
    let made = made.map(|flag| rule(&[(0, Length::Qword, Is::MaskedEq(flag), flag)]));
    rules.insert(
        libc::SYS_clone,
        made.into_iter().collect::<seccompiler::Result<_>>()?,
    );
    let shared = |argument| PRIVATE.map(|mode| (argument, Length::Dword, Is::Ne, mode));
    rules.insert(libc::SYS_fchmodat, vec![rule(&shared(2))?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_chmod, vec![rule(&shared(1))?]);
    // 0 is the process itself
    rules.insert(
        libc::SYS_prlimit64,
        vec![rule(&[(0, Length::Dword, Is::Ne, 0)])?],
    );
    Ok(rules)
}

/// Matches where all the arguments are so.
fn rule(arguments: &[(u8, Length, Is, u64)]) -> seccompiler::Result<SeccompRule> {
    let conditions = arguments.iter().cloned();
    let conditions = conditions
        .map(|(argument, length, is, value)| SeccompCondition::new(argument, length, is, value));
    let conditions = conditions.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

/// Calls that nobody has looked at, and those of x86's x32, which are numbered far above all others. clone3 is among
/// them: what it is to make stands in memory, and libraries use clone where there is none.
fn unknown_calls() -> [sock_filter; 4] {
    const LOAD_NUMBER: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    [
        step(LOAD_NUMBER, 0, 0, 0),
        step(IF_EQUAL, 1, 0, libc::SYS_clone3 as u32),
        step(IF_GREATER, 0, 1, NEWEST),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}
