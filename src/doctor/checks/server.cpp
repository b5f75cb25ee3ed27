// Rows 46, 47 and 49: the port, the answer behind it, and contexts that are split among slots.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/ask.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

constexpr const char* kUnreadable = "neither `ss` nor /proc/net/tcp could be read";

// What is wrong with a port that Hearth itself has.
Outcome judge_own_port(const Context& context, const Listening& listening) {
  constexpr const char* kFirewall = "/etc/ufw/ufw.conf";
  const std::string number = std::to_string(context.options().port);
  if (listening.is_local_only()) {
    return note("the server listens on this machine only: others in the network cannot reach it")
        .saw(listening.where, listening.listeners[0].line)
        .by_hand("hearth serve --host 0.0.0.0", "for the network; set [server] api_key as well");
  }
  if (contains(context.root().text(kFirewall).value_or(""), "ENABLED=yes")) {
    return note("the server listens for the network, and the firewall is on")
        .saw(kFirewall, "ENABLED=yes")
        .by_hand("sudo ufw allow " + number + "/tcp", "if clients cannot reach it");
  }
  return ok().saw(listening.where, "port " + number + " is Hearth's");
}

Outcome port(const Context& context) {
  const int number = context.options().port;
  const std::string text = "port " + std::to_string(number);
  const std::optional<Listening> listening = who_listens(context);
  if (!listening) return unknown(kUnreadable);
  if (!listening->is_taken) return ok().saw(listening->where, text + " is free");
  const bool is_named = !listening->listeners.empty();
  const std::string owner = is_named ? listening->listeners[0].owner : "";
  if (owner.empty()) {
    return note(text + " is in use, by a program of another user, or by Hearth: run as root to see its name")
        .saw(listening->where, is_named ? listening->listeners[0].line : text + " listens")
        .by_hand("sudo ss -ltnp 'sport = :" + std::to_string(number) + "'", "names it");
  }
  if (contains(owner, "hearth")) return judge_own_port(context, *listening);
  return failure(text + " is taken by " + owner + ": Hearth cannot listen there")
      .saw(listening->where, listening->listeners[0].line)
      .by_hand("hearth serve --port " + std::to_string(number + 1), "another port; or stop " + owner);
}

// One token, which tells whether there is a model behind the API.
Outcome ask_for_token(const Context& context, const std::string& base) {
  const std::string model = served_model(context, base);
  if (model.empty()) return ok("the server names no language model: there is no token to ask for");
  const Command question = question_for(base, model, 1);
  const std::optional<machine::ToolOutput>& answer = context.run(question, kAnswerLimit);
  const std::string code = answer ? trimmed(answer->text) : "no answer";
  if (code == "200") return ok().saw(question.back(), "a token of " + model);
  if (code == "401" || code == "403") return unknown("the server wants a key: a token was not asked for");
  if (code.starts_with("4")) return unknown("the server refused the question for a token of " + model + ": " + code);
  return warning("the API answers and " + model + " does not: still loading, or out of memory")
      .saw(question.back(), code)
      .by_hand("journalctl -u hearth -n 50 --no-pager", "the last lines of its log, when it is a service");
}

Outcome health(const Context& context) {
  const std::optional<Listening> listening = who_listens(context);
  if (!listening) return unknown(kUnreadable);
  if (!listening->is_taken) {
    return ok("no server listens on port " + std::to_string(context.options().port) + ": nothing to ask");
  }
  const std::string base = base_url(context, *listening);
  const std::string url = base + "/health";
  const std::optional<machine::ToolOutput>& answer =
      context.run({"curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", url});
  if (!answer) return unknown("curl is missing or did not end: " + url + " was not asked");
  if (answer->exit_status == 0 && trimmed(answer->text) == "200") {
    return (context.options().may_test ? ask_for_token(context, base) : ok()).saw(url, "200");
  }
  return warning("something listens and does not answer as it should: half started, or out of memory")
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
