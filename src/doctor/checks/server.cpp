// Rows 46, 47 and 49: the port, the answer behind it, and contexts that are split among slots.
#include <algorithm>
#include <charconv>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

struct Listener {
  bool is_loopback_only = false;
  std::string owner;  // "users:((...))" of ss; "" unknown
  std::string line;
};

// Lines of `ss -ltnp`: State Recv-Q Send-Q Local:Port Peer:Port Process.
std::vector<Listener> listeners(const std::string& text, int port) {
  std::vector<Listener> found;
  const std::string suffix = ":" + std::to_string(port);
  for (const std::string& line : machine::lines_of(text)) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 5 || words[0] != "LISTEN" || !words[3].ends_with(suffix)) continue;
    Listener listener{.is_loopback_only = words[3].starts_with("127.") || words[3].starts_with("[::1]"), .line = line};
    if (words.size() > 5) listener.owner = words[5];
    found.push_back(std::move(listener));
  }
  return found;
}

// Sockets in state 0A of /proc/net/tcp, whose owner nobody names: for machines without ss.
bool listens_by_proc(const Context& context, int port) {
  char hex[8] = {};
  std::snprintf(hex, sizeof hex, ":%04X", port);
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (const std::string& line : machine::lines_of(context.root().text(file).value_or(""))) {
      const std::vector<std::string> words = words_of(line);
      if (words.size() > 3 && words[1].ends_with(hex) && words[3] == "0A") return true;
    }
  }
  return false;
}

std::string owner_of(const Listener& listener) {
  const size_t open = listener.owner.find("((\""), close = listener.owner.find('"', open + 3);
  return open == listener.owner.npos ? "" : listener.owner.substr(open + 3, close - open - 3);
}

Outcome port(const Context& context) {
  const int number = context.options().port;
  const std::string text = "port " + std::to_string(number);
  const std::optional<std::string> said = context.said({"ss", "-ltnp"});
  if (!said && !context.root().has("/proc/net/tcp")) return unknown("neither `ss` nor /proc/net/tcp could be read");
  const std::vector<Listener> found = said ? listeners(*said, number) : std::vector<Listener>();
  const bool is_taken = said ? !found.empty() : listens_by_proc(context, number);
  if (!is_taken) return ok().saw(said ? "ss -ltnp" : "/proc/net/tcp", text + " is free");
  const std::string owner = found.empty() ? "" : owner_of(found[0]);
  if (owner.empty()) {
    return note(text + " is in use, by a program of another user, or by Hearth: run as root to see its name")
        .saw(said ? "ss -ltnp" : "/proc/net/tcp", found.empty() ? text + " listens" : trimmed(found[0].line))
        .by_hand("sudo ss -ltnp 'sport = :" + std::to_string(number) + "'", "names it");
  }
  if (!contains(owner, "hearth")) {
    return failure(text + " is taken by " + owner + ": Hearth cannot listen there")
        .saw("ss -ltnp", trimmed(found[0].line))
        .by_hand("hearth serve --port " + std::to_string(number + 1), "another port; or stop " + owner);
  }
  if (std::ranges::all_of(found, &Listener::is_loopback_only)) {
    return note("the server listens on this machine only: others in the network cannot reach it")
        .saw("ss -ltnp", trimmed(found[0].line))
        .by_hand("hearth serve --host 0.0.0.0", "for the network; set [server] api_key as well");
  }
  if (contains(context.root().text("/etc/ufw/ufw.conf").value_or(""), "ENABLED=yes")) {
    return note("the server listens for the network, and the firewall is on").saw("/etc/ufw/ufw.conf", "ENABLED=yes")
        .by_hand("sudo ufw allow " + std::to_string(number) + "/tcp", "if clients cannot reach it");
  }
  return ok().saw("ss -ltnp", text + " is Hearth's");
}

std::string lan_address(const Context& context) {
  for (const Interface& network : context.interfaces()) {
    if (network.is_physical && network.state == "UP" && !network.addresses.empty()) return network.addresses[0];
  }
  return "127.0.0.1";
}

Outcome health(const Context& context) {
  const int number = context.options().port;
  const std::optional<std::string> said = context.said({"ss", "-ltnp"});
  const bool is_taken = said ? !listeners(*said, number).empty() : listens_by_proc(context, number);
  if (!said && !context.root().has("/proc/net/tcp")) return unknown("neither `ss` nor /proc/net/tcp could be read");
  if (!is_taken) return ok("no server listens on port " + std::to_string(number) + ": nothing to ask");
  const std::string url = "http://" + lan_address(context) + ":" + std::to_string(number) + "/health";
  const Command ask = {"curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", url};
  const std::optional<machine::ToolOutput>& answer = context.run(ask);
  if (!answer) return unknown("curl is missing or did not end: " + url + " was not asked");
  if (answer->exit_status == 0 && trimmed(answer->text) == "200") return ok().saw(url, "200");
  return warning("something listens and does not answer as it should, seen from the network: half started, or out of "
                 "memory")
      .saw(url, trimmed(answer->text))
      .by_hand("journalctl -u hearth -n 50 --no-pager", "the last lines of its log, when it is a service")
      .advise("ask again in a minute: a large model takes that long to load");
}

// The number behind a flag of a command line: "-c 131072", "--parallel=4".
int64_t flag_of(const std::string& text, const std::vector<std::string>& names) {
  std::string plain = text;
  std::ranges::replace(plain, '=', ' ');
  const std::vector<std::string> words = words_of(plain);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (std::ranges::count(names, words[i])) return std::atoll(words[i + 1].c_str());
  }
  return 0;
}

Outcome slots(const Context& context) {
  constexpr int64_t kAgentPrompt = 32768;
  Outcome split = note("llama-server divides its context among its slots: agents that send 32,768 tokens and more get "
                       "\"context exceeded\" although the context looks large");
  for (const Unit& unit : context.units()) {
    if (!contains(unit.text, "llama-server")) continue;
    const int64_t tokens = flag_of(unit.text, {"-c", "--ctx-size"}), count = flag_of(unit.text, {"-np", "--parallel"});
    if (tokens == 0 || count < 2 || tokens / count >= kAgentPrompt) continue;
    split.saw("/etc/systemd/system/" + unit.name, std::to_string(tokens) + " tokens in " + std::to_string(count) +
        " slots");
    split.by_hand("sudo systemctl edit --full " + unit.name, "fewer slots (--parallel 1), or a larger --ctx-size");
  }
  if (!split.evidence.empty()) return split;
  if (std::optional<Outcome> seen = seen_in_log(context, 49, Verdict::kNote)) return *seen;
  return ok("no llama-server that splits a small context; Hearth gives each request a context of its own");
}

constexpr Check kChecks[] = {
    {46, "port", Topic::kServer, "The server's port is free, or Hearth's and reachable",
     "address already in use; clients of the network cannot connect", port},
    {47, "health", Topic::kServer, "A server that listens also answers", "the API is up, the model is not", health},
    {49, "slots", Topic::kServer, "Each request gets the context it needs", "context exceeded", slots},
};

}  // namespace

std::span<const Check> server_checks() { return kChecks; }

}  // namespace hearth::doctor
