/* What somebody's own code, loaded into a throwaway server, tries: each attempt that succeeds is a line of the file
 * native.out in the working directory, which is the directory of the data. It runs as the library is loaded, so that it
 * needs nothing of PostgreSQL. OUTSIDE, OPEN, THEIRS, SOCKET, PORT and VICTIM are given to the compiler. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *out;

static void attempt(const char *name, int succeeded) {
    if (succeeded)
        fprintf(out, "%s\n", name);
}

/* Whether a child that becomes this program ends well. */
static int runs(const char *program, char *const arguments[]) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        execve(program, arguments, (char *[]){NULL});
        _exit(127);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The same for a program in memory, where no rule about files applies. */
static int runs_from_memory(void) {
    char buffer[1 << 16], path[64];
    int from = open("/usr/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY); /* libc is a program as well */
    int to = memfd_create("program", 0);
    ssize_t count;
    if (from < 0 || to < 0)
        return 0;
    while ((count = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, count) != count)
            return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", to);
    return runs(path, (char *[]){"libc", NULL});
}

static int connects_by_path(const char *path, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int done = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return done;
}

static int connects_by_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int done = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return done;
}

/* A datagram needs no connect(2). */
static int sends(int pair) {
    int fds[2] = {-1, -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, OPEN "/datagrams", sizeof address.sun_path - 1);
    if (pair) {
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0)
            return 0;
    } else
        fds[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fds[0] >= 0 && sendto(fds[0], "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1;
}

static int makes_namespace(void) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

__attribute__((constructor)) static void everything(void) {
    struct io_uring_params ring = {0};
    struct rlimit limit;
    char byte, path[64];
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    out = fopen("native.out", "w");
    if (out == NULL)
        return;
    setbuf(out, NULL);

    attempt("native-run", runs("/bin/true", (char *[]){"true", NULL}));
    attempt("native-run-by-loader", runs("/lib64/ld-linux-x86-64.so.2", (char *[]){"ld", "/bin/true", NULL}));
    attempt("native-run-from-memory", runs_from_memory());
    attempt("native-socket", connects_by_path(SOCKET, SOCK_STREAM));
    attempt("native-port", connects_by_port());
    attempt("native-datagram", sends(0));
    attempt("native-datagram-of-a-pair", sends(1));
    attempt("native-read", open(OUTSIDE, O_RDONLY) >= 0);
    attempt("native-write", open(OPEN "/native", O_WRONLY | O_CREAT, 0666) >= 0);
    attempt("native-mkdir", mkdir(OPEN "/native-directory", 0777) == 0);
    attempt("native-symlink", symlink("/", OPEN "/native-link") == 0);
    attempt("native-truncate", truncate(THEIRS, 0) == 0);
    attempt("native-chmod", chmod(THEIRS, 0777) == 0);
    attempt("native-chmodat", syscall(452, AT_FDCWD, THEIRS, 0777, 0) == 0);
    attempt("native-times", utimensat(AT_FDCWD, THEIRS, NULL, 0) == 0);
    attempt("native-rename", rename(THEIRS, THEIRS ".moved") == 0 && rename(THEIRS ".moved", THEIRS) == 0);
    attempt("native-limits", prlimit(VICTIM, RLIMIT_NOFILE, NULL, &limit) == 0);
    attempt("native-priority", setpriority(PRIO_PROCESS, VICTIM, 19) == 0);
    attempt("native-signal", kill(VICTIM, SIGCONT) == 0);
    attempt("native-trace", ptrace(PTRACE_SEIZE, VICTIM, 0, 0) == 0);
    attempt("native-memory", process_vm_readv(VICTIM, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT);
    snprintf(path, sizeof path, "/proc/%d/environ", VICTIM);
    attempt("native-environment", open(path, O_RDONLY) >= 0);
    attempt("native-ring", syscall(SYS_io_uring_setup, 1, &ring) >= 0);
    attempt("native-namespace", makes_namespace());
    attempt("native-queue", syscall(SYS_msgget, 0x6261636b, 0666 | 01000) >= 0);
    attempt("native-x32", syscall(0x40000000 | SYS_getpid) >= 0);
    attempt("native-clone3", syscall(SYS_clone3, NULL, 0) == 0 || errno != ENOSYS);
    fclose(out);
}
