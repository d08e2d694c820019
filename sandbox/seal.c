/* Every system call the guest could make, answered inside the guest.
 *
 * wasi-libc reaches the host through the `__wasi_*` functions. They are all defined here, so the library's
 * own are never linked, and the module imports only what the snapshot needs to read its files. Until
 * `seal` is called, clock and randomness are constants: two snapshots are the same to the byte.
 * Afterwards every call fails as "not permitted", which Python raises as PermissionError. The host grants
 * nothing in any case: this file makes a sentence of what would otherwise be a trap. */

#include "seal.h"

#include <string.h>
#include <wasi/api.h>

static int sealed;
static const char *refused = "";

void seal(void) {
    sealed = 1;
    refused = "";
}

const char *last_refused(void) { return refused; }

static __wasi_errno_t refuse(const char *what) {
    refused = what;
    return __WASI_ERRNO_PERM;
}

#define REFUSED(what, name, ...) \
    __wasi_errno_t __wasi_##name(__VA_ARGS__) { return refuse(what); }

/* Passed on to the host until the seal is set. The import's parameters are what C makes of them. */
#define UNTIL_SEALED(what, name, parameters, arguments)                                              \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) __wasi_errno_t host_##name parameters; \
    __wasi_errno_t __wasi_##name parameters { return sealed ? refuse(what) : host_##name arguments; }

/* ---- Constants while the snapshot is taken. ---- */

__wasi_errno_t __wasi_clock_time_get(__wasi_clockid_t, __wasi_timestamp_t, __wasi_timestamp_t *time) {
    *time = 0;
    return sealed ? refuse("read the clock; a trace has its own timestamps") : __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_clock_res_get(__wasi_clockid_t, __wasi_timestamp_t *resolution) {
    *resolution = 1000;
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_random_get(uint8_t *buffer, __wasi_size_t length) {
    memset(buffer, 0, length);
    return sealed ? refuse("draw true randomness; `random` works, and is seeded") : __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_fd_filestat_get(__wasi_fd_t, __wasi_filestat_t *stat) {
    memset(stat, 0, sizeof *stat);
    return sealed ? refuse("look at files") : __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_environ_sizes_get(__wasi_size_t *count, __wasi_size_t *bytes) {
    *count = *bytes = 0;
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_environ_get(uint8_t **, uint8_t *) { return __WASI_ERRNO_SUCCESS; }

__wasi_errno_t __wasi_args_sizes_get(__wasi_size_t *count, __wasi_size_t *bytes) {
    *count = *bytes = 0;
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t __wasi_args_get(uint8_t **, uint8_t *) { return __WASI_ERRNO_SUCCESS; }

__wasi_errno_t __wasi_sched_yield(void) { return __WASI_ERRNO_SUCCESS; }

_Noreturn void __wasi_proc_exit(__wasi_exitcode_t) { __builtin_trap(); }

/* ---- What reading the frozen modules takes. ---- */

UNTIL_SEALED("reach files", fd_close, (__wasi_fd_t fd), (fd))
UNTIL_SEALED("reach files", fd_fdstat_get, (__wasi_fd_t fd, __wasi_fdstat_t *stat), (fd, stat))
UNTIL_SEALED("reach files", fd_prestat_get, (__wasi_fd_t fd, __wasi_prestat_t *stat), (fd, stat))
UNTIL_SEALED("reach files", fd_prestat_dir_name, (__wasi_fd_t fd, uint8_t *path, __wasi_size_t length), (fd, path, length))
UNTIL_SEALED("read files", fd_read, (__wasi_fd_t fd, const __wasi_iovec_t *io, size_t count, __wasi_size_t *done),
             (fd, io, count, done))
UNTIL_SEALED("read files", fd_seek, (__wasi_fd_t fd, __wasi_filedelta_t by, __wasi_whence_t from, __wasi_filesize_t *now),
             (fd, by, from, now))
UNTIL_SEALED("write files", fd_write, (__wasi_fd_t fd, const __wasi_ciovec_t *io, size_t count, __wasi_size_t *done),
             (fd, io, count, done))

/* The path's length is a parameter of the import and not of the C function. */
__attribute__((import_module("wasi_snapshot_preview1"), import_name("path_open"))) __wasi_errno_t
host_path_open(__wasi_fd_t, __wasi_lookupflags_t, const char *, size_t, __wasi_oflags_t, __wasi_rights_t,
               __wasi_rights_t, __wasi_fdflags_t, __wasi_fd_t *);

__wasi_errno_t __wasi_path_open(__wasi_fd_t fd, __wasi_lookupflags_t lookup, const char *path, __wasi_oflags_t flags,
                                __wasi_rights_t base, __wasi_rights_t inherited, __wasi_fdflags_t fd_flags,
                                __wasi_fd_t *opened) {
    if (sealed) return refuse("open files");
    return host_path_open(fd, lookup, path, strlen(path), flags, base, inherited, fd_flags, opened);
}

/* ---- Never granted, not even to the snapshot. ---- */

REFUSED("reach files", fd_advise, __wasi_fd_t, __wasi_filesize_t, __wasi_filesize_t, __wasi_advice_t)
REFUSED("write files", fd_allocate, __wasi_fd_t, __wasi_filesize_t, __wasi_filesize_t)
REFUSED("write files", fd_datasync, __wasi_fd_t)
REFUSED("reach files", fd_fdstat_set_flags, __wasi_fd_t, __wasi_fdflags_t)
REFUSED("reach files", fd_fdstat_set_rights, __wasi_fd_t, __wasi_rights_t, __wasi_rights_t)
REFUSED("write files", fd_filestat_set_size, __wasi_fd_t, __wasi_filesize_t)
REFUSED("write files", fd_filestat_set_times, __wasi_fd_t, __wasi_timestamp_t, __wasi_timestamp_t, __wasi_fstflags_t)
REFUSED("read files", fd_pread, __wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_filesize_t, __wasi_size_t *)
REFUSED("write files", fd_pwrite, __wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_filesize_t, __wasi_size_t *)
REFUSED("list folders", fd_readdir, __wasi_fd_t, uint8_t *, __wasi_size_t, __wasi_dircookie_t, __wasi_size_t *)
REFUSED("reach files", fd_renumber, __wasi_fd_t, __wasi_fd_t)
REFUSED("write files", fd_sync, __wasi_fd_t)
REFUSED("read files", fd_tell, __wasi_fd_t, __wasi_filesize_t *)
REFUSED("make folders", path_create_directory, __wasi_fd_t, const char *)
REFUSED("look at files", path_filestat_get, __wasi_fd_t, __wasi_lookupflags_t, const char *, __wasi_filestat_t *)
REFUSED("write files", path_filestat_set_times, __wasi_fd_t, __wasi_lookupflags_t, const char *, __wasi_timestamp_t,
        __wasi_timestamp_t, __wasi_fstflags_t)
REFUSED("link files", path_link, __wasi_fd_t, __wasi_lookupflags_t, const char *, __wasi_fd_t, const char *)
REFUSED("look at files", path_readlink, __wasi_fd_t, const char *, uint8_t *, __wasi_size_t, __wasi_size_t *)
REFUSED("remove folders", path_remove_directory, __wasi_fd_t, const char *)
REFUSED("rename files", path_rename, __wasi_fd_t, const char *, __wasi_fd_t, const char *)
REFUSED("link files", path_symlink, const char *, __wasi_fd_t, const char *)
REFUSED("remove files", path_unlink_file, __wasi_fd_t, const char *)
REFUSED("sleep or wait", poll_oneoff, const __wasi_subscription_t *, __wasi_event_t *, __wasi_size_t, __wasi_size_t *)
REFUSED("reach the network", sock_accept, __wasi_fd_t, __wasi_fdflags_t, __wasi_fd_t *)
REFUSED("reach the network", sock_recv, __wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_riflags_t, __wasi_size_t *,
        __wasi_roflags_t *)
REFUSED("reach the network", sock_send, __wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_siflags_t, __wasi_size_t *)
REFUSED("reach the network", sock_shutdown, __wasi_fd_t, __wasi_sdflags_t)
