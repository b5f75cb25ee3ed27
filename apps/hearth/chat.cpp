// hearth chat: a conversation in the terminal. Ctrl-C stops the answer, /clear begins anew; Ctrl-D or /exit leaves.
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <iostream>
#include <mutex>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/log.h"
#include "host.h"

namespace hearth::app {
namespace {

struct ChatOptions {
  std::string model, system, device = "auto", prompt;
  std::optional<float> temperature;
  std::optional<int64_t> max_tokens;
  std::optional<uint64_t> seed;
};

std::atomic<bool> interrupted{false};  // set by the signal handler: the one thing a handler may touch

void on_interrupt(int) { interrupted = true; }

// SIGINT without SA_RESTART, so that a read of the next line returns as well.
void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
}

// One request, printed as its answer comes. The engine may send an event after a cancellation, when nobody waits for
// the answer any more: what its sink writes to is shared with it.
class Answer {
 public:
  Answer(Engine& engine, GenerateRequest request) : engine_(engine), id_(request.id) {
    engine.submit(std::move(request), [heard = heard_](GenerateEvent event) { heard->take(std::move(event)); });
  }

  /// Until the end or Ctrl-C: what was said so far. Throws what the engine refused.
  std::string wait() {
    std::unique_lock lock(heard_->mutex);
    while (!heard_->changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return heard_->is_done; })) {
      if (!interrupted.exchange(false)) continue;
      heard_->is_done = true;  // nothing more is printed
      lock.unlock();
      engine_.cancel(id_);
      lock.lock();
    }
    if (heard_->error) throw *heard_->error;
    return heard_->text;
  }
  /// After wait().
  const Usage& usage() const { return heard_->usage; }

 private:
  struct Heard {
    std::mutex mutex;
    std::condition_variable changed;
    std::string text;
    Usage usage;
    std::optional<Error> error;
    bool is_done = false;  // the rest does not change any more

    void take(GenerateEvent event) {
      std::lock_guard lock(mutex);
      if (is_done) return;
      if (auto* delta = std::get_if<Delta>(&event)) {
        text += delta->text;
        std::cout << delta->text << std::flush;
      } else if (auto* done = std::get_if<Done>(&event)) {
        usage = done->usage;
        is_done = true;
      } else if (auto* failed = std::get_if<Failed>(&event)) {
        error = failed->error;
        is_done = true;
      }
      changed.notify_all();
    }
  };

  Engine& engine_;
  std::string id_;
  std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
};

Value message(const char* role, const std::string& content) {
  return Value::object({{"role", role}, {"content", content}});
}

// One line from the user; nothing at the end of input or on Ctrl-C at an empty prompt.
std::optional<std::string> read_line(bool is_terminal) {
  if (is_terminal) {
    std::cout << "> " << std::flush;
    // Ctrl-C just before a read that blocks would pass unseen until the next line.
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    while (poll(&input, 1, 100) <= 0) {
      if (interrupted) return std::nullopt;
    }
  }
  std::string line;
  if (std::getline(std::cin, line)) return line;
  return std::nullopt;
}

class Conversation {
 public:
  Conversation(Engine& engine, const ChatOptions& options) : engine_(engine), options_(options) { clear(); }

  /// Forgets everything but the system message.
  void clear() {
    messages_ = Value::list();
    if (!options_.system.empty()) messages_.push(message("system", options_.system));
  }

  /// Throws what the engine refused; the conversation is then what it was before.
  void say(const std::string& line) {
    Value messages = messages_;
    messages.push(message("user", line));
    GenerateRequest request;
    request.id = fmt::format("chat-{}", turn_++);
    request.prompt = ChatPrompt{.messages = messages, .tools = {}, .template_arguments = {}};
    request.sampling.temperature = options_.temperature;
    request.sampling.seed = options_.seed;
    request.max_tokens = options_.max_tokens;
    Answer answer(engine_, std::move(request));
    const std::string text = answer.wait();
    std::cout << '\n';
    const Usage& usage = answer.usage();
    if (usage.decode_s > 0) {
      log::debug("{} prompt tokens ({} cached), {:.1f} tokens/s", usage.prompt_tokens, usage.cached_tokens,
                 static_cast<double>(usage.completion_tokens - 1) / usage.decode_s);
    }
    messages.push(message("assistant", text));
    messages_ = std::move(messages);
  }

 private:
  Engine& engine_;
  const ChatOptions& options_;
  Value messages_;
  int turn_ = 0;
};

// Whether the turn was answered. A refusal is told; the conversation goes on without the turn.
bool try_to_say(Conversation& conversation, const std::string& line) try {
  conversation.say(line);
  return true;
} catch (const Error& e) {
  const bool is_full = e.code() == Code::kContextLength;
  std::cerr << "hearth: " << e.message() << '\n'
            << (is_full ? "This turn is forgotten; say less, or begin anew with /clear.\n"
                        : "This turn is forgotten; the conversation goes on.\n");
  return false;
}

// Lines until the end of input. For a pipe the exit code tells whether every turn was answered; a person saw it.
int talk(Conversation& conversation, bool is_terminal) {
  bool all_answered = true;
  for (;;) {
    std::optional<std::string> line = read_line(is_terminal);
    if (!line) {
      if (!interrupted.exchange(false)) break;
      std::cin.clear();
      std::cout << '\n';
      continue;
    }
    if (*line == "/exit" || *line == "/quit") break;
    if (*line == "/clear") {
      conversation.clear();
    } else if (!line->empty()) {
      all_answered = try_to_say(conversation, *line) && all_answered;
    }
  }
  if (is_terminal) std::cout << '\n';
  return is_terminal || all_answered ? 0 : 1;
}

int chat(const Common& common, const ChatOptions& options) {
  log::set_level(common.log_level == "info" ? "warn" : common.log_level);
  Host host(read_config(common.config_file, {}), options.device);
  ModelSpec spec;
  const std::string& wanted = options.model.empty() ? host.config().llm.default_model : options.model;
  if (wanted.empty()) {
    std::vector<ModelSpec> known = known_models(host.config());
    if (known.empty()) throw Error(Code::kNotFound, "no models installed; get one with `hearth pull`, or give -m PATH");
    spec = known.front();
  } else {
    spec = model_for(host.config(), wanted);
  }
  spec.load.parallel = 1;
  EngineOptions engine_options = host.engine_options({spec});
  engine_options.default_model = spec.load.name;
  Engine engine(std::move(engine_options), host.memory());
  engine.preload("").value();
  catch_interrupt();

  Conversation conversation(engine, options);
  if (!options.prompt.empty()) {
    conversation.say(options.prompt);
    return 0;
  }
  const bool is_terminal = isatty(STDIN_FILENO);
  if (is_terminal) {
    std::cout << spec.load.name << " is ready. Ctrl-C stops an answer, /clear begins anew, Ctrl-D leaves.\n";
  }
  return talk(conversation, is_terminal);
}

}  // namespace

Action add_chat(CLI::App& app, Common& common) {
  auto options = std::make_shared<ChatOptions>();
  app.add_option("-m,--model", options->model, "Model name, or a path to a .gguf file or Hugging Face folder");
  app.add_option("-s,--system", options->system, "System message");
  app.add_option("-p,--prompt", options->prompt, "Ask this one question and leave");
  app.add_option("--temperature", options->temperature, "0 always takes the likeliest token")
      ->check(CLI::Range(0.0, 2.0));
  app.add_option("--max-tokens", options->max_tokens, "Longest answer in tokens")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
  app.add_option("--seed", options->seed, "Repeat the same answer");
  app.add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  return [options, &common] { return chat(common, *options); };
}

}  // namespace hearth::app
