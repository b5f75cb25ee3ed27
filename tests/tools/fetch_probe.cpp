// Runs one operation of the model store for tests/fetch and prints what came of it, a line each:
//   note TEXT | progress FILE DONE TOTAL | ok PATH BYTES SHA256 | model NAME | error CODE: MESSAGE
// Exit status 0 or 1; 2 for a wrong command line.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/pull/pull.h"

namespace {

using namespace hearth;

class Printer final : public fetch::ProgressSink {
 public:
  void on_progress(const fetch::Progress& now) override {
    std::printf("progress %s %lld %lld\n", now.file.c_str(), static_cast<long long>(now.done_bytes),
                static_cast<long long>(now.total_bytes));
    std::fflush(stdout);
  }
  void on_note(std::string_view sentence) override {
    std::printf("note %.*s\n", static_cast<int>(sentence.size()), sentence.data());
    std::fflush(stdout);
  }
};

int failed(const Error& error) {
  std::printf("error %s: %s\n", std::string(wire_name(error.code())).c_str(), error.what());
  return 1;
}

int show(const Result<fetch::StoredModel>& model) {
  if (!model) return failed(model.error());
  std::printf("license %s\n", model->license.c_str());
  for (const fetch::StoredFile& file : model->files) {
    std::printf("file %s %lld %s\n", file.name.c_str(), static_cast<long long>(file.bytes),
                file.sha256.empty() ? "-" : file.sha256.c_str());
  }
  std::printf("ok %s %lld %s\n", model->path().c_str(), static_cast<long long>(model->bytes()),
              model->files.empty() ? "" : model->files.front().sha256.c_str());
  return 0;
}

int run_pull(const std::string& folder, const std::vector<std::string>& words) {
  fetch::PullRequest request{.models_folder = folder};
  request.policy.first_backoff = std::chrono::milliseconds(10);
  for (size_t i = 0; i < words.size(); ++i) {
    auto value = [&] { return i + 1 < words.size() ? words[++i] : std::string(); };
    if (words[i] == "--as") {
      request.name = value();
    } else if (words[i] == "--sha256") {
      request.sha256 = value();
    } else if (words[i] == "--file") {
      request.file = value();
    } else if (words[i] == "--retries") {
      request.policy.retries = std::atoi(value().c_str());
    } else if (words[i] == "--stall") {
      request.policy.stall_timeout = std::chrono::seconds(std::atoi(value().c_str()));
    } else if (words[i] == "--replace") {
      request.replaces = true;
    } else if (words[i] == "--link") {
      request.links = true;
    } else {
      request.sources.push_back(words[i]);
    }
  }
  Printer printer;
  return show(fetch::pull(request, printer));
}

int run_list(const fetch::Store& store) {
  auto models = store.list();
  if (!models) return failed(models.error());
  for (const fetch::StoredModel& model : *models) std::printf("model %s\n", model.name.c_str());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit then shows as a write error
  std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() < 2) return std::fprintf(stderr, "usage: fetch_probe pull|list|find|remove FOLDER ...\n"), 2;
  std::string act = words[0], folder = words[1];
  words.erase(words.begin(), words.begin() + 2);
  fetch::Store store(folder);
  if (act == "pull") return run_pull(folder, words);
  if (act == "list") return run_list(store);
  if (act == "find" && words.size() == 1) return show(store.find(words[0]));
  if (act == "remove" && words.size() == 1) {
    auto gone = store.remove(words[0]);
    return gone ? 0 : failed(gone.error());
  }
  return 2;
}
