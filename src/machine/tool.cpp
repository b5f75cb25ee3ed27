#include "machine/tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "core/base/files.h"

extern char** environ;

namespace hearth::machine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostOutput = 1 << 20;

struct Pipe {
  Descriptor read_end, write_end;
};

std::optional<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// This process's environment with messages in English.
std::vector<char*> english_environment(std::string& locale) {
  std::vector<char*> variables{locale.data()};
  for (char** variable = environ; *variable; ++variable) {
    if (!std::string_view(*variable).starts_with("LC_ALL=")) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  return variables;
}

std::optional<pid_t> start(const Command& command, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);  // so that what it starts ends with it

  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::string locale = "LC_ALL=C";
  std::vector<char*> environment = english_environment(locale);
  pid_t child = -1;
  const int failure = ::posix_spawnp(&child, arguments[0], &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) return std::nullopt;
  return child;
}

// Reads until the other side closes; false when the deadline came first.
bool collect(int from, Clock::time_point deadline, std::string& text) {
  std::array<char, 4096> block;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wait{from, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t size = ::read(from, block.data(), block.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return true;
    if (text.size() < kMostOutput) text.append(block.data(), static_cast<size_t>(size));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::optional<ToolOutput> run_tool(const Command& command, std::chrono::milliseconds limit) {
  std::optional<Pipe> pipe = make_pipe();
  if (!pipe) return std::nullopt;
  const std::optional<pid_t> child = start(command, pipe->write_end.get());
  if (!child) return std::nullopt;
  pipe->write_end = Descriptor();
  ToolOutput output;
  const bool ended = collect(pipe->read_end.get(), Clock::now() + limit, output.text);
  if (!ended) ::kill(-*child, SIGKILL);
  output.exit_status = wait_for(*child);
  // POSIX lets a program that is not there be told as 127 by the child that was to become it.
  const bool never_was = output.exit_status == 127 && output.text.empty();
  if (!ended || never_was) return std::nullopt;
  return output;
}

}  // namespace hearth::machine
