// hearth-watchdog PID HARD_BYTES PANIC_BYTES [MEMINFO]: ends process PID when the host runs out of memory and it does
// not react. MEMINFO stands for /proc/meminfo in tests.
// Started by `hearth serve`. Tiny and static: everything it needs is locked in memory before it begins, so that it
// works on a host that has none left. Ends with the process it watches.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "governor/watchdog/watch.h"

namespace {

using hearth::governor::Verdict;
using hearth::governor::Watch;

constexpr int kSampleMs = 100;
// Wakes us between samples when every task waited 50 ms of one second; without privilege the kernel (6.4 and later)
// takes windows of 2 s and their multiples only.
constexpr std::string_view kStallTriggers[] = {"full 50000 1000000", "full 100000 2000000"};

void protect_self() {
  ::mlockall(MCL_CURRENT | MCL_FUTURE);
  ::setpriority(PRIO_PROCESS, 0, -20);
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  // Without privilege it can only be kept as it is; the server has made itself the first to go.
  [[maybe_unused]] const ssize_t written = ::write(file, "-1000", 5);
  ::close(file);
}

double now_s() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

int64_t room(int meminfo) {
  static char text[8192];
  const ssize_t size = ::pread(meminfo, text, sizeof text, 0);
  return size > 0 ? hearth::governor::available_of(text, size) : -1;
}

// The pressure file with a trigger set, to be polled for POLLPRI; -1 where the kernel has none.
int stall_trigger(const char* path) {
  for (std::string_view trigger : kStallTriggers) {
    const int file = ::open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return -1;
    if (::write(file, trigger.data(), trigger.size() + 1) > 0) return file;  // its final zero too
    ::close(file);
  }
  return -1;
}

void say(const char* what, int pid) {
  char line[160];
  const int size = std::snprintf(line, sizeof line, "hearth-watchdog: %s process %d: the host has no memory left\n",
                                 what, pid);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line, static_cast<size_t>(size));
}

void send(int process, int pid, int signal, const char* what) {
  say(what, pid);
  ::syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0);
}

int watch(int pid, const hearth::governor::WatchLimits& limits, const char* path) {
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  const int meminfo = ::open(path, O_RDONLY | O_CLOEXEC);
  if (process < 0 || meminfo < 0) {
    std::perror("hearth-watchdog");
    return 1;
  }
  pollfd events[2] = {{process, POLLIN, 0}, {stall_trigger("/proc/pressure/memory"), POLLPRI, 0}};
  protect_self();
  Watch decider(limits);
  for (;;) {
    ::poll(events, 2, kSampleMs);
    if (events[0].revents & POLLIN) return 0;                                  // it has ended
    if (events[1].revents & (POLLERR | POLLNVAL)) events[1] = {-1, POLLPRI, 0};  // no trigger any more: samples do
    switch (decider.decide(now_s(), room(meminfo))) {
      case Verdict::kLeave: break;
      case Verdict::kTerminate: send(process, pid, SIGTERM, "asking to end"); break;
      case Verdict::kKill: send(process, pid, SIGKILL, "ending"); break;
    }
  }
}

// A whole positive number; 0 when it is none.
int64_t number(const char* text) {
  char* end = nullptr;
  const long long value = std::strtoll(text, &end, 10);
  return *text && !*end && value > 0 ? value : 0;
}

}  // namespace

int main(int count, char** arguments) {
  const bool is_complete = count == 4 || count == 5;
  const int64_t pid = is_complete ? number(arguments[1]) : 0;
  const int64_t hard = is_complete ? number(arguments[2]) : 0, panic = is_complete ? number(arguments[3]) : 0;
  if (pid == 0 || hard == 0 || panic == 0 || panic > hard) {
    std::fputs("usage: hearth-watchdog PID HARD_BYTES PANIC_BYTES [MEMINFO]\nEnds process PID when less memory than "
               "PANIC_BYTES is available, or less than HARD_BYTES for 1.5 s.\n", stderr);
    return 2;
  }
  // A server that is told to stop by Ctrl-C is watched until it has.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  return watch(static_cast<int>(pid), {.hard_bytes = hard, .panic_bytes = panic},
               count == 5 ? arguments[4] : "/proc/meminfo");
}
