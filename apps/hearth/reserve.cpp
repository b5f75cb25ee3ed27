// hearth reserve: holds memory of the running server's account for another program while it runs, and watches what that
// program takes. The server gives the memory back when this process ends, however it ends.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/units.h"
#include "governor/neighbour/neighbours.h"
#include "host.h"
#include "server_client.h"

namespace hearth::app {
namespace {

struct ReserveOptions {
  std::string size, name, pool;
  double wait_s = 0;
  std::optional<int> port;
  std::vector<std::string> command;
};

// Asks again while there is time: models that are busy now are idle later.
ServerStream hold(const ServerClient& client, const Value& wish, double wait_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait_s);
  for (;;) {
    Result<ServerStream> held = client.open("/memory/reserve", wish);
    if (held) return *std::move(held);
    const bool may_change = held.error().code() == Code::kNoMemory && std::chrono::steady_clock::now() < end;
    if (!may_change) throw held.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

pid_t start(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (failure != 0) throw Error(Code::kNotFound, fmt::format("{}: {}", command[0], std::strerror(failure)));
  return pid;
}

volatile std::sig_atomic_t child = 0;
void forward(int signal) {
  if (child > 0) ::kill(static_cast<pid_t>(child), signal);
}

// What the server says of the pool that it holds our memory in; a server that is older than this program says nothing.
struct Pool {
  std::string name, gpu;
  governor::PoolKind kind = governor::PoolKind::kHost;
};

std::string text_of(const Value& object, std::string_view key) {
  const Value* text = object.find(key);
  return text && text->is_string() ? text->as_string() : "";
}

Pool pool_of_ours(const Value& report) {
  Pool pool;
  for (const Value& one : report.at("neighbours").as_list()) {
    if (one.at("pid").as_int() == ::getpid()) pool.name = text_of(one, "pool");
  }
  for (const Value& one : report.at("pools").as_list()) {
    if (text_of(one, "name") == pool.name) pool.gpu = text_of(one, "gpu");
  }
  if (!pool.gpu.empty()) pool.kind = governor::PoolKind::kDevice;
  if (pool.name == "unified") pool.kind = governor::PoolKind::kShared;
  return pool;
}

// What a program takes, told when it goes beyond what was reserved, and again when it grew by a tenth more.
class Growth {
 public:
  Growth(std::string name, int64_t reserved, const Pool& pool)
      : name_(std::move(name)), reserved_(reserved), kind_(pool.kind), use_({}, pool.gpu), told_(reserved) {}
  void look(int pid) {
    const int64_t used = use_.tree_bytes(pid, kind_);
    peak_ = std::max(peak_, used);
    if (used <= told_) return;
    told_ = used + reserved_ / 10;
    std::cerr << fmt::format("hearth reserve: {} uses {}, more than the {} reserved\n", name_, format_bytes(used),
                             format_bytes(reserved_));
  }
  int64_t peak() const { return peak_; }

 private:
  const std::string name_;
  const int64_t reserved_;
  const governor::PoolKind kind_;
  governor::ProcessUse use_;
  int64_t told_, peak_ = 0;
};

int reserve(const Common& common, const ReserveOptions& options) {
  Flags flags;
  if (options.port) flags.emplace_back("server.port", std::to_string(*options.port));
  const ServerClient client(read_config(common.config_file, flags).server);
  const int64_t bytes = parse_bytes(options.size).value();
  const std::string name =
      options.name.empty() ? std::filesystem::path(options.command[0]).filename().string() : options.name;
  Value wish = Value::object({{"bytes", bytes}, {"name", name}, {"pid", ::getpid()}});
  if (!options.pool.empty()) wish.set("pool", options.pool);
  ServerStream held = hold(client, wish, options.wait_s);
  const Pool pool = pool_of_ours(client.ask("GET", "/memory").value());
  if (!options.pool.empty() && pool.name != options.pool) {
    throw Error(Code::kUnsupported, "the server is older than this program and knows no --pool");
  }
  const std::string of_pool = pool.name.empty() ? "" : fmt::format(" of pool '{}'", pool.name);
  std::cerr << fmt::format("hearth reserve: {}{} held for {}\n", format_bytes(bytes), of_pool, name);

  std::signal(SIGTERM, forward);
  std::signal(SIGHUP, forward);
  const pid_t pid = start(options.command);
  child = pid;
  std::signal(SIGINT, SIG_IGN);  // the terminal tells the program itself
  Growth growth(name, bytes, pool);
  bool is_server_there = true;
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    growth.look(pid);
    if (!is_server_there) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    } else if (held.is_closed(100)) {
      is_server_there = false;
      std::cerr << "hearth reserve: the server has gone; nothing is held any more\n";
    }
  }
  std::cerr << fmt::format("hearth reserve: {} used {} at most\n", name, format_bytes(growth.peak()));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Action add_reserve(CLI::App& app, Common& common) {
  auto options = std::make_shared<ReserveOptions>();
  app.add_option("size", options->size, "How much, such as 70G")->required();
  app.add_option("command", options->command, "-- the program and its arguments")->required();
  app.add_option("--pool", options->pool, "Whose memory: unified, host or a GPU's, as `hearth top` names it (default: "
                                          "where models are)");
  app.add_option("--name", options->name, "What the server calls it (default: the program)");
  app.add_option("--wait", options->wait_s, "Seconds to wait until busy models are idle")->capture_default_str();
  app.add_option("--port", options->port, "Port of the server (default: server.port, 8188)");
  return [options, &common] { return reserve(common, *options); };
}

}  // namespace hearth::app
