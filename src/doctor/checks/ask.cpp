#include "doctor/checks/ask.h"

#include <algorithm>
#include <cstdio>

#include "formats/json/json.h"

namespace hearth::doctor {
namespace {

// "users:((\"hearth\",pid=901,fd=12))" -> "hearth"
std::string owner_of(const std::string& users) {
  const size_t open = users.find("((\""), close = users.find('"', open + 3);
  return open == users.npos ? "" : users.substr(open + 3, close - open - 3);
}

// Lines of `ss -ltnp`: State Recv-Q Send-Q Local:Port Peer:Port Process.
std::vector<Listener> listeners_of(const std::string& text, int port) {
  std::vector<Listener> found;
  const std::string suffix = ":" + std::to_string(port);
  for (const std::string& line : machine::lines_of(text)) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 5 || words[0] != "LISTEN" || !words[3].ends_with(suffix)) continue;
    found.push_back({.is_loopback_only = words[3].starts_with("127.") || words[3].starts_with("[::1]"),
                     .owner = words.size() > 5 ? owner_of(words[5]) : "",
                     .line = trimmed(line)});
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

}  // namespace

bool Listening::is_local_only() const {
  return !listeners.empty() && std::ranges::all_of(listeners, &Listener::is_loopback_only);
}

std::optional<Listening> who_listens(const Context& context) {
  constexpr const char* kSockets = "/proc/net/tcp";
  const int port = context.options().port;
  if (const std::optional<std::string> said = context.said({"ss", "-ltnp"})) {
    Listening listening{.where = "ss -ltnp", .listeners = listeners_of(*said, port)};
    listening.is_taken = !listening.listeners.empty();
    return listening;
  }
  if (!context.root().has(kSockets)) return std::nullopt;
  return Listening{.where = kSockets, .is_taken = listens_by_proc(context, port)};
}

std::string base_url(const Context& context, const Listening& listening) {
  const std::string port = ":" + std::to_string(context.options().port);
  for (const Interface& network : context.interfaces()) {
    const bool is_reached = network.is_physical && network.state == "UP" && !network.addresses.empty();
    if (is_reached && !listening.is_local_only()) return "http://" + network.addresses[0] + port;
  }
  return "http://127.0.0.1" + port;
}

std::string served_model(const Context& context, const std::string& base) {
  const Result<Value> answer = json::parse(context.said({"curl", "-sS", "-m", "3", base + "/v1/models"}).value_or(""));
  const Value* data = answer && answer->is_object() ? answer->find("data") : nullptr;
  if (!data || !data->is_list() || data->as_list().empty()) return "";
  const Value* id = data->as_list()[0].is_object() ? data->as_list()[0].find("id") : nullptr;
  return id && id->is_string() ? id->as_string() : "";
}

Command question_for(const std::string& base, const std::string& model, int tokens) {
  // Completion, not chat: a base model has no chat template.
  const Value question = Value::object({{"model", model}, {"max_tokens", tokens}, {"prompt", "Hi"}});
  return {"curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json",
          "-d", json::write(question), base + "/v1/completions"};
}

}  // namespace hearth::doctor
