/*
 * Loaded into the broker below its database (LD_PRELOAD), this makes the disk fail on command and remembers what was
 * surely on it.
 *
 * CRASH_DIR      only files below this folder are concerned.
 * CRASH_CONTROL  while this file exists calls fail: "s 5" fsync and fdatasync with errno 5 (EIO), "w 28" these and every
 *                write with errno 28 (ENOSPC).
 * CRASH_SYNCED   a line "SIZE PATH" is added here for each fsync and fdatasync that succeeded.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder, *control, *synced;

__attribute__((constructor)) static void begin(void) {
  folder = getenv("CRASH_DIR");
  control = getenv("CRASH_CONTROL");
  synced = getenv("CRASH_SYNCED");
}

/* The errno that calls of this kind ('s' or 'w') have to fail with; 0: none. */
static int ordered(char kind) {
  char text[16] = {0};
  if (control == NULL) return 0;
  int fd = open(control, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length < 3 || (kind == 'w' && text[0] != 'w')) return 0;
  return atoi(text + 2);
}

/* Whether the file lies below the folder; fills in its path. */
static int concerned(int fd, char *path) {
  char link[64];
  if (folder == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  size_t prefix = strlen(folder);
  return strncmp(path, folder, prefix) == 0 && path[prefix] == '/';
}

static int fails(char kind, int fd) {
  char path[PATH_MAX];
  int saved = errno;
  int error = ordered(kind);
  if (error != 0 && !concerned(fd, path)) error = 0;
  errno = error != 0 ? error : saved;
  return error != 0;
}

/* The size is that before the call: what others write meanwhile may miss it. */
static int flush(int number, int fd) {
  struct stat before;
  char path[PATH_MAX];
  int is_remembered = synced != NULL && concerned(fd, path) && fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  if (fails('s', fd)) return -1;
  int result = (int)syscall(number, fd);
  if (result == 0 && is_remembered) {
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%lld %s\n", (long long)before.st_size, path);
    int out = open(synced, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0 || syscall(SYS_write, out, line, (size_t)length) != length) abort();
    close(out);
  }
  return result;
}

int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
  return fails('w', fd) ? -1 : syscall(SYS_write, fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return fails('w', fd) ? -1 : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  return fails('w', fd) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return fails('w', fd) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}
