#include "governor/watchdog/start.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cstring>

#include <fmt/format.h>

namespace hearth::governor {

Result<int> start_watchdog(const std::string& program, const Floors& floors, const std::string& meminfo) {
  if (::access(program.c_str(), X_OK) != 0) {
    return unexpected(Code::kNotFound, fmt::format("no program {}", program));
  }
  std::string words[] = {program, std::to_string(::getpid()), std::to_string(floors.hard_bytes),
                         std::to_string(floors.panic_bytes), meminfo};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failure = ::posix_spawn(&pid, program.c_str(), &files, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (failure != 0) return unexpected(Code::kIo, fmt::format("cannot start {}: {}", program, std::strerror(failure)));
  return static_cast<int>(pid);
}

bool offer_self_to_oom_killer() {
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool was_written = ::write(file, "1000", 4) == 4;
  ::close(file);
  return was_written;
}

}  // namespace hearth::governor
