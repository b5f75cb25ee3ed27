#include "runtime/testing/tiny_runtime.h"

#include <bit>
#include <filesystem>

#include <fmt/format.h>

namespace hearth::testing {
namespace {

bool same_bits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

bool same_logprob(const TokenLogprob& a, const TokenLogprob& b) {
  bool same = a.token == b.token && a.text == b.text && same_bits(a.logprob, b.logprob) && a.top.size() == b.top.size();
  for (size_t i = 0; same && i < a.top.size(); ++i) {
    same = a.top[i].first == b.top[i].first && same_bits(a.top[i].second, b.top[i].second);
  }
  return same;
}

}  // namespace

std::string TinyRuntime::path(const std::string& architecture) {
  std::string path = folder_.path(architecture + ".gguf");
  if (!std::filesystem::exists(path)) write_tiny_gguf(path, {.architecture = architecture});
  return path;
}

LoadOptions TinyRuntime::options(const std::string& architecture, int64_t max_rows) {
  LoadOptions options;
  options.name = architecture;
  options.path = path(architecture);
  options.max_rows = max_rows;
  options.page_tokens = 8;
  return options;
}

GenerateSink Client::sink() {
  return [this](GenerateEvent event) {
    // The last event sets the waiting test free, and this client with it.
    const bool is_last = std::holds_alternative<Done>(event) || std::holds_alternative<Failed>(event);
    if (is_last && on_event) on_event(event);
    take(event);
    if (!is_last && on_event) on_event(event);
  };
}

void Client::take(const GenerateEvent& event) {
  std::lock_guard lock(mutex_);
  ++events;
  if (const auto* delta = std::get_if<Delta>(&event)) {
    ++deltas;
    Choice& choice = choices[delta->choice];
    choice.text += delta->text;
    choice.logprobs.insert(choice.logprobs.end(), delta->logprobs.begin(), delta->logprobs.end());
  } else if (const auto* finished = std::get_if<Finished>(&event)) {
    choices[finished->choice].reason = finished->reason;
  } else if (const auto* done = std::get_if<Done>(&event)) {
    usage = done->usage;
  } else if (const auto* failed = std::get_if<Failed>(&event)) {
    error = failed->error;
  }
  changed_.notify_all();
}

void Client::wait() {
  wait_until([](const Client& c) { return c.usage || c.error; });
}

void Client::wait_until(const std::function<bool(const Client&)>& ready) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ready(*this); });
}

bool Client::is_over() const {
  std::lock_guard lock(mutex_);
  return usage || error;
}

std::string difference(const Client& a, const Client& b) {
  if (a.error || b.error) return a.error ? a.error->message() : b.error->message();
  if (a.choices.size() != b.choices.size()) return "number of choices";
  for (const auto& [index, mine] : a.choices) {
    auto found = b.choices.find(index);
    if (found == b.choices.end()) return fmt::format("choice {} is missing", index);
    const Client::Choice& other = found->second;
    for (size_t i = 0; i < std::min(mine.logprobs.size(), other.logprobs.size()); ++i) {
      const TokenLogprob &p = mine.logprobs[i], &q = other.logprobs[i];
      if (same_logprob(p, q)) continue;
      return fmt::format("choice {} token {}: {} at {} and {} at {}", index, i, p.token, p.logprob, q.token, q.logprob);
    }
    if (mine.logprobs.size() != other.logprobs.size()) return fmt::format("choice {}: number of tokens", index);
    if (mine.text != other.text) return fmt::format("choice {}: text '{}' and '{}'", index, mine.text, other.text);
    if (mine.reason != other.reason) return fmt::format("choice {}: finish reason", index);
  }
  return "";
}

}  // namespace hearth::testing
