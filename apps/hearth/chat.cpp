// hearth chat: a conversation in the terminal. Ctrl-C stops the answer; Ctrl-D or /exit leaves.
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <iostream>
#include <mutex>

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

// Runs one request and prints it as it comes. Returns the answer; throws what the engine refused.
class Answer {
 public:
  Answer(Engine& engine, GenerateRequest request) : engine_(engine), id_(request.id) {
    engine.submit(std::move(request), [this](GenerateEvent event) { on_event(std::move(event)); });
  }

  std::string wait() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return is_done_; })) {
      if (!interrupted.exchange(false)) continue;
      lock.unlock();
      engine_.cancel(id_);
      lock.lock();
      if (is_done_) break;
      is_done_ = true;  // nothing more will be sent
    }
    if (error_) throw *error_;
    return text_;
  }
  const Usage& usage() const { return usage_; }

 private:
  void on_event(GenerateEvent event) {
    std::lock_guard lock(mutex_);
    if (is_done_) return;
    if (auto* delta = std::get_if<Delta>(&event)) {
      text_ += delta->text;
      std::cout << delta->text << std::flush;
    } else if (auto* done = std::get_if<Done>(&event)) {
      usage_ = done->usage;
      is_done_ = true;
    } else if (auto* failed = std::get_if<Failed>(&event)) {
      error_ = failed->error;
      is_done_ = true;
    }
    changed_.notify_all();
  }

  Engine& engine_;
  std::string id_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  Usage usage_;
  std::optional<Error> error_;
  bool is_done_ = false;
};

Value message(const char* role, const std::string& content) {
  return Value::object({{"role", role}, {"content", content}});
}

// One line from the user; nothing at the end of input or on Ctrl-C at an empty prompt.
std::optional<std::string> read_line(bool is_terminal) {
  if (is_terminal) std::cout << "> " << std::flush;
  std::string line;
  if (std::getline(std::cin, line)) return line;
  return std::nullopt;
}

class Conversation {
 public:
  Conversation(Engine& engine, const ChatOptions& options) : engine_(engine), options_(options) {
    if (!options.system.empty()) messages_.push(message("system", options.system));
  }

  void say(const std::string& line) {
    messages_.push(message("user", line));
    GenerateRequest request;
    request.id = fmt::format("chat-{}", turn_++);
    request.prompt = ChatPrompt{.messages = messages_, .tools = {}, .template_arguments = {}};
    request.sampling.temperature = options_.temperature;
    request.sampling.seed = options_.seed;
    request.max_tokens = options_.max_tokens;
    // Shared with the sink, which may be called once more while a cancellation is under way.
    auto answer = std::make_shared<Answer>(engine_, std::move(request));
    answers_.push_back(answer);
    std::string text = answer->wait();
    std::cout << '\n';
    const Usage& usage = answer->usage();
    if (usage.decode_s > 0) {
      log::debug("{} prompt tokens ({} cached), {:.1f} tokens/s", usage.prompt_tokens, usage.cached_tokens,
                 static_cast<double>(usage.completion_tokens - 1) / usage.decode_s);
    }
    messages_.push(message("assistant", text));
  }

 private:
  Engine& engine_;
  const ChatOptions& options_;
  Value messages_ = Value::list();
  std::vector<std::shared_ptr<Answer>> answers_;
  int turn_ = 0;
};

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
  if (is_terminal) std::cout << spec.load.name << " is ready. Ctrl-C stops an answer, Ctrl-D leaves.\n";
  for (;;) {
    std::optional<std::string> line = read_line(is_terminal);
    if (!line) {
      if (!interrupted.exchange(false)) break;
      std::cin.clear();
      std::cout << '\n';
      continue;
    }
    if (*line == "/exit" || *line == "/quit") break;
    if (!line->empty()) conversation.say(*line);
  }
  if (is_terminal) std::cout << '\n';
  return 0;
}

}  // namespace

Action add_chat(CLI::App& app, Common& common) {
  auto options = std::make_shared<ChatOptions>();
  app.add_option("-m,--model", options->model, "Model name, or a path to a .gguf file or Hugging Face folder");
  app.add_option("-s,--system", options->system, "System message");
  app.add_option("-p,--prompt", options->prompt, "Ask this one question and leave");
  app.add_option("--temperature", options->temperature, "0 always takes the likeliest token");
  app.add_option("--max-tokens", options->max_tokens, "Longest answer in tokens");
  app.add_option("--seed", options->seed, "Repeat the same answer");
  app.add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  return [options, &common] { return chat(common, *options); };
}

}  // namespace hearth::app
