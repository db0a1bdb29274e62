/* Processes, signals, limits and descriptor passing: what the supervisor needs and Swift cannot import, because it is
 * GNU-only, variadic, made of macros (CMSG_*, WIF*), or unsafe between fork and exec. */
#pragma once
#include <features.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Most descriptors in one message; the kernel's limit is 253. */
enum { cprocess_descriptors_max = 250 };

/* What became of a child. */
struct cprocess_ending {
    int exit_code; /* -1 when it did not exit by itself */
    int signal;    /* 0 when no signal ended it */
    int core;      /* whether a core was written */
};

/* Starts `path` with `arguments` and `environment` (both NULL-terminated) in a new process: `control` becomes its
 * descriptor 3, the standard three stay, all others are closed; terminal signals are ignored, no signal is blocked.
 * It leads a process group of its own, so that the terminal does not reach it and what it starts can be found.
 * With `dies_with_parent` the kernel kills it when the calling thread ends.
 * Returns the process id or a negative errno, also when the exec itself failed.  Nothing of Swift runs in between. */
pid_t cprocess_spawn(const char *path, char *const *arguments, char *const *environment, int control,
                     int dies_with_parent);

/* Starts a program that is measured or helps to measure: `arguments[0]` is looked for on the path, output and errors go to
 * `output`, input is empty, other descriptors are closed.  It may run on the `cpu_count` CPUs of `cpus` alone (0 = wherever
 * the caller may), leads a process group of its own and is killed when the calling thread ends.  Returns as above. */
pid_t cprocess_start(char *const *arguments, int output, const int *cpus, unsigned cpu_count);
/* Asks for the ending of one child, which the caller knows by its id: waits for it with `waits`.
 * Returns its id, 0 while it runs, or a negative errno. */
pid_t cprocess_wait(pid_t child, int waits, struct cprocess_ending *ending);

/* fork(2), which Swift does not import: for a process that has one thread. */
pid_t cprocess_fork(void);
/* A pipe, both ends close-on-exec; 0 or a negative errno. */
int cprocess_pipe(int *read_end, int *write_end);

/* Sends one message with `count` descriptors; 0 or a negative errno. */
int cprocess_send(int socket, const void *bytes, size_t length, const int *descriptors, unsigned count);
/* Receives one message; descriptors arrive with close-on-exec set, `*count` carries their capacity in and their number
 * out.  Returns the length, 0 at the end of the stream, or a negative errno (-EMSGSIZE when something was cut off). */
ssize_t cprocess_receive(int socket, void *bytes, size_t capacity, int *descriptors, unsigned *count);
/* A connected pair of sequenced-packet sockets, both close-on-exec; 0 or a negative errno. */
int cprocess_socket_pair(int *one, int *other);

/* Blocks the given signals in this thread (and those it makes) and opens a non-blocking descriptor that reports them. */
int cprocess_signal_descriptor(const int *signals, unsigned count);
/* Takes one reported signal; its number, 0 when none waits, or a negative errno. */
int cprocess_next_signal(int descriptor);
void cprocess_ignore_signal(int signal);

/* A copy of a descriptor that an exec closes; -1 with errno. */
int cprocess_duplicate(int descriptor);
void cprocess_close_on_exec(int descriptor);

/* Makes orphans of the children of this process its own children, so that their ends are reported to it. */
void cprocess_adopt_orphans(void);

/* Reaps one ended child without waiting and kills what is left of its process group; its id, 0 when none has ended, or a negative errno. */
pid_t cprocess_reap(struct cprocess_ending *ending);

/* Resource limits by number; ~0 stands for unlimited.  0 or a negative errno. */
enum cprocess_resource { cprocess_open_files, cprocess_locked_memory, cprocess_core_size };
int cprocess_limit(enum cprocess_resource resource, uint64_t *soft, uint64_t *hard);
int cprocess_set_limit(enum cprocess_resource resource, uint64_t soft, uint64_t hard);

/* Anonymous memory that can be handed to another process; a descriptor or a negative errno. */
int cprocess_memory_file(const char *name, size_t length);

/* Drops to a user and group for good: supplementary groups, saved ids, and no way back through exec. */
int cprocess_drop_rights(uid_t user, gid_t group);
/* The ids of a user (`*group` its first group) or a group by name; 0, or a negative errno (-ENOENT when unknown). */
int cprocess_user_ids(const char *name, uid_t *user, gid_t *group);
int cprocess_group_id(const char *name, gid_t *group);

/* Takes note of deadly signals before Swift's own handler runs: `mark` gets signal, place and address of the fault, and
 * the byte `word` goes to the socket `control`.  The process then dies at once, so that the next one can take its place;
 * where Swift is to write a backtrace, which takes most of a second, a copy of the process stays behind to do it: without
 * any descriptor but the standard three, in a process group of its own, its number in `mark`. */
struct cprocess_crash_mark {
    uint64_t signal;
    uint64_t program_counter;
    uint64_t fault_address;
    uint64_t thread; /* as gettid(2) */
    uint64_t copy;   /* the process that writes the backtrace; 0 = none */
};
void cprocess_mark_crashes(struct cprocess_crash_mark *mark, int control, unsigned char word);

/* Steers new connections of a port to the listener of the processor that received them: `cpus[i]` to the i-th of
 * `count` sockets in the order of their listen calls; others by their number.  0 or a negative errno. */
int cprocess_steer_by_cpu(int socket, const int *cpus, unsigned count);
/* Ends such steering: the kernel chooses by the addresses again. */
void cprocess_steer_by_hash(int socket);

/* The kernel's number of the calling thread. */
pid_t cprocess_thread_id(void);
/* Copies bytes from an address of this process that may be no address at all; how many came, or a negative errno. */
ssize_t cprocess_peek(uintptr_t address, void *into, size_t length);

/* glibc's malloc: trims from this threshold on (<malloc.h> is not among Swift's modules); nonzero when accepted. */
int cprocess_malloc_trim_threshold(int bytes);
/* Gives free memory back to the kernel; nonzero when something was returned. */
int cprocess_malloc_trim(size_t pad);
