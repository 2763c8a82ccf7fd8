/*
 * Preloaded into a broker, makes every fsync and fdatasync take at least FSYNC_US microseconds, as on a slower disk. The
 * data is made durable all the same; only the return is late.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_function)(int);

static int drawn_out(const char *name, int fd) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const char *wanted = getenv("FSYNC_US");
  long long nanoseconds = until.tv_nsec + (wanted ? atoll(wanted) : 0) * 1000;
  until.tv_sec += nanoseconds / 1000000000;
  until.tv_nsec = nanoseconds % 1000000000;

  sync_function real = (sync_function)dlsym(RTLD_NEXT, name);
  int result = real(fd);
  int error = errno;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
  errno = error;
  return result;
}

int fsync(int fd) { return drawn_out("fsync", fd); }

int fdatasync(int fd) { return drawn_out("fdatasync", fd); }
