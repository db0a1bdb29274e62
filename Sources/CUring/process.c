#define _GNU_SOURCE 1
#include "CProcess.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <malloc.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { control_descriptor = 3 };
static const int terminal_signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};

/* The child between fork and exec; only async-signal-safe calls.  Reports why exec failed through `report`. */
static _Noreturn void become(const char *path, char *const *arguments, char *const *environment, int control, int report,
                             pid_t parent)
{
    if (parent != 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent) _exit(126); /* it ended before the call above */
    }
    /* `report` out of the way first: dup2 below must not hit it. */
    int far = fcntl(report, F_DUPFD_CLOEXEC, 10);
    if (far < 0 || dup2(control, control_descriptor) < 0) goto failed;
    if (control == control_descriptor && fcntl(control, F_SETFD, 0) < 0) goto failed;
    if (far > control_descriptor + 1)
        syscall(SYS_close_range, control_descriptor + 1, far - 1, 0);
    syscall(SYS_close_range, far + 1, UINT_MAX, 0);
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN); /* outside the terminal's group its output would stop it, where the terminal is set to */
    for (unsigned i = 0; i < sizeof terminal_signals / sizeof *terminal_signals; i++)
        signal(terminal_signals[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(path, arguments, environment);
failed:;
    int error = errno;
    ssize_t written = write(far < 0 ? report : far, &error, sizeof error);
    _exit(written < 0 ? 126 : 127);
}

pid_t cprocess_spawn(const char *path, char *const *arguments, char *const *environment, int control,
                     int dies_with_parent)
{
    int report[2];
    pid_t parent = dies_with_parent ? getpid() : 0;
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    pid_t child = fork();
    if (child == 0) become(path, arguments, environment, control, report[1], parent);
    int error = child < 0 ? errno : 0;
    close(report[1]);
    if (child > 0) {
        int reported = 0;
        ssize_t n;
        do n = read(report[0], &reported, sizeof reported);
        while (n < 0 && errno == EINTR);
        if (n == sizeof reported) {
            error = reported;
            waitpid(child, NULL, 0);
        }
    }
    close(report[0]);
    return error ? -error : child;
}

pid_t cprocess_start(char *const *arguments, int output, const int *cpus, unsigned cpu_count)
{
    int report[2];
    pid_t parent = getpid();
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (unsigned i = 0; i < cpu_count; i++)
        if (cpus[i] >= 0 && cpus[i] < CPU_SETSIZE) CPU_SET(cpus[i], &mask);
    pid_t child = fork();
    if (child == 0) {
        int far = fcntl(report[1], F_DUPFD_CLOEXEC, 10);
        int empty = open("/dev/null", O_RDONLY);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent) _exit(126);
        setpgid(0, 0);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (far >= 0 && empty >= 0 && dup2(empty, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0 &&
            (cpu_count == 0 || sched_setaffinity(0, sizeof mask, &mask) == 0)) {
            if (far > 3) syscall(SYS_close_range, 3, far - 1, 0);
            syscall(SYS_close_range, far + 1, UINT_MAX, 0);
            execvp(arguments[0], arguments);
        }
        int error = errno;
        ssize_t written = write(far < 0 ? report[1] : far, &error, sizeof error);
        _exit(written < 0 ? 126 : 127);
    }
    int error = child < 0 ? errno : 0;
    close(report[1]);
    if (child > 0) {
        int reported = 0;
        ssize_t n;
        do n = read(report[0], &reported, sizeof reported);
        while (n < 0 && errno == EINTR);
        if (n == sizeof reported) {
            error = reported;
            waitpid(child, NULL, 0);
        }
    }
    close(report[0]);
    return error ? -error : child;
}

static void describe(int status, struct cprocess_ending *ending)
{
    ending->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ending->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ending->core = WIFSIGNALED(status) && WCOREDUMP(status);
}

pid_t cprocess_wait(pid_t child, int waits, struct cprocess_ending *ending)
{
    int status = 0;
    pid_t ended;
    do ended = waitpid(child, &status, waits ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended < 0) return -errno;
    if (ended > 0) describe(status, ending);
    return ended;
}

pid_t cprocess_fork(void)
{
    pid_t child = fork();
    return child < 0 ? -errno : child;
}

int cprocess_pipe(int *read_end, int *write_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int cprocess_send(int socket, const void *bytes, size_t length, const int *descriptors, unsigned count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * cprocess_descriptors_max)];
    } control;
    if (count > cprocess_descriptors_max) return -EINVAL;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t n;
    do n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

ssize_t cprocess_receive(int socket, void *bytes, size_t capacity, int *descriptors, unsigned *count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * cprocess_descriptors_max)];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    unsigned room = *count, got = 0;
    int lost = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        unsigned held = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (unsigned i = 0; i < held; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            if (got < room) {
                descriptors[got++] = fd;
            } else {
                close(fd);
                lost = 1;
            }
        }
    }
    *count = got;
    return lost ? -EMSGSIZE : n;
}

int cprocess_socket_pair(int *one, int *other)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *one = pair[0];
    *other = pair[1];
    return 0;
}

int cprocess_signal_descriptor(const int *signals, unsigned count)
{
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < count; i++) sigaddset(&set, signals[i]);
    int refused = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (refused) return -refused;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int cprocess_next_signal(int descriptor)
{
    struct signalfd_siginfo info;
    ssize_t n;
    do n = read(descriptor, &info, sizeof info);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno == EAGAIN ? 0 : -errno;
    return (int)info.ssi_signo;
}

void cprocess_ignore_signal(int number) { signal(number, SIG_IGN); }

int cprocess_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }

void cprocess_close_on_exec(int descriptor) { fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

void cprocess_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

pid_t cprocess_reap(struct cprocess_ending *ending)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return errno == ECHILD ? 0 : -errno;
    pid_t child = info.si_pid;
    if (child == 0) return 0;
    /* Before its number is free for others: what it started (a backtracer that hangs) goes with it. */
    kill(-child, SIGKILL);
    int status = 0;
    if (waitpid(child, &status, 0) < 0) return -errno;
    describe(status, ending);
    return child;
}

static int resource_number(enum cprocess_resource resource)
{
    switch (resource) {
    case cprocess_open_files: return RLIMIT_NOFILE;
    case cprocess_locked_memory: return RLIMIT_MEMLOCK;
    case cprocess_core_size: return RLIMIT_CORE;
    }
    return RLIMIT_NOFILE;
}

int cprocess_limit(enum cprocess_resource resource, uint64_t *soft, uint64_t *hard)
{
    struct rlimit limit;
    if (getrlimit(resource_number(resource), &limit) < 0) return -errno;
    *soft = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    *hard = limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max;
    return 0;
}

int cprocess_set_limit(enum cprocess_resource resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit = {
        .rlim_cur = soft == UINT64_MAX ? RLIM_INFINITY : soft, .rlim_max = hard == UINT64_MAX ? RLIM_INFINITY : hard};
    return setrlimit(resource_number(resource), &limit) < 0 ? -errno : 0;
}

int cprocess_memory_file(const char *name, size_t length)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -errno;
    if (length > 0 && ftruncate(fd, (off_t)length) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int cprocess_drop_rights(uid_t user, gid_t group)
{
    if (geteuid() == 0 && setgroups(1, &group) < 0) return -errno;
    if (setresgid(group, group, group) < 0) return -errno;
    if (setresuid(user, user, user) < 0) return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    /* A change of ids makes the process undumpable, and then /proc/self is root's. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

int cprocess_user_ids(const char *name, uid_t *user, gid_t *group)
{
    errno = 0;
    struct passwd *entry = getpwnam(name);
    if (!entry) return errno ? -errno : -ENOENT;
    *user = entry->pw_uid;
    *group = entry->pw_gid;
    return 0;
}

int cprocess_group_id(const char *name, gid_t *group)
{
    errno = 0;
    struct group *entry = getgrnam(name);
    if (!entry) return errno ? -errno : -ENOENT;
    *group = entry->gr_gid;
    return 0;
}

/* Crash marks: one place per process, the handlers that stood before ours, and ours, which marks and passes on. */
static struct cprocess_crash_mark *crash_mark;
static int crash_control = -1;
static unsigned char crash_word;
static const int deadly_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS};
enum { deadly_count = sizeof deadly_signals / sizeof *deadly_signals };
static struct sigaction handlers_before[deadly_count];

static void mark_crash(int number, siginfo_t *info, void *context)
{
    struct sigaction dies = {.sa_handler = SIG_DFL};
    struct sigaction *next = &dies; /* what this signal does from here on */
    uint64_t none = 0;
    struct cprocess_crash_mark *mark = crash_mark;
    /* The first crash is the one to tell about. */
    if (mark && __atomic_compare_exchange_n(&mark->signal, &none, (uint64_t)number, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        const ucontext_t *machine = context;
#if defined(__x86_64__)
        mark->program_counter = (uint64_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        mark->program_counter = machine->uc_mcontext.pc;
#endif
        mark->fault_address = (uint64_t)(uintptr_t)info->si_addr;
        mark->thread = (uint64_t)syscall(SYS_gettid);
        if (crash_control >= 0) send(crash_control, &crash_word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        for (int i = 0; i < deadly_count; i++) {
            if (deadly_signals[i] != number || handlers_before[i].sa_handler == SIG_DFL) continue;
            pid_t copy = _Fork();
            if (copy == 0) {
                setpgid(0, 0);
                syscall(SYS_close_range, 3, UINT_MAX, 0); /* clients must see their connections end */
                setpriority(PRIO_PROCESS, 0, 19);         /* the next process needs the processors more */
                next = &handlers_before[i];
            } else if (copy > 0) {
                setpgid(copy, copy); /* here too: it must have left our group when we are reaped */
                mark->copy = (uint64_t)copy;
            }
        }
    }
    /* Returning repeats the fault, which meets the new handler; a signal that was sent is sent again. */
    sigaction(number, next, NULL);
    if (info->si_code <= 0) raise(number);
}

void cprocess_mark_crashes(struct cprocess_crash_mark *mark, int control, unsigned char word)
{
    crash_mark = mark;
    crash_control = control;
    crash_word = word;
    for (int i = 0; i < deadly_count; i++) {
        struct sigaction ours = {.sa_sigaction = mark_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&ours.sa_mask);
        sigaction(deadly_signals[i], &ours, &handlers_before[i]);
    }
}

int cprocess_steer_by_cpu(int socket, const int *cpus, unsigned count)
{
    struct sock_filter *program = calloc(2 * count + 3, sizeof *program);
    if (!program) return -ENOMEM;
    unsigned n = 0;
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_AD_OFF + SKF_AD_CPU);
    for (unsigned i = 0; i < count; i++) {
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)cpus[i], 0, 1);
        program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, i);
    }
    program[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    struct sock_fprog whole = {.len = (unsigned short)n, .filter = program};
    int result = setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof whole) < 0 ? -errno : 0;
    free(program);
    return result;
}

void cprocess_steer_by_hash(int socket)
{
    int none = 0;
    setsockopt(socket, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof none);
}

pid_t cprocess_thread_id(void) { return (pid_t)syscall(SYS_gettid); }

ssize_t cprocess_peek(uintptr_t address, void *into, size_t length)
{
    struct iovec here = {.iov_base = into, .iov_len = length};
    struct iovec there = {.iov_base = (void *)address, .iov_len = length};
    ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    return n < 0 ? -errno : n;
}

int cprocess_malloc_trim_threshold(int bytes) { return mallopt(M_TRIM_THRESHOLD, bytes); }
int cprocess_malloc_trim(size_t pad) { return malloc_trim(pad); }
