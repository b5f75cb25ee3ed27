#include "server/testing/scripted_service.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace hearth::server {
namespace {

constexpr auto kSlowStep = std::chrono::milliseconds(20);
constexpr int64_t kPromptTokens = 7;
const char* const kModels[] = {"scripted", "slow",     "dead", "stalls",    "endless",  "midway",
                               "drops",    "internal", "busy", "no-memory", "too-long", "cancelled"};

const Error* refusal_of(const std::string& model) {
  static const std::map<std::string, Error> refusals = {
      {"internal", Error(Code::kInternal, "the script says: internal")},
      {"busy", Error(Code::kBusy, "the queue is full (8 requests): try again later")},
      {"no-memory", Error(Code::kNoMemory, "the model needs 9.00 GiB, 2.00 GiB are free")},
      {"too-long", Error(Code::kContextLength, "the prompt has 5000 tokens, the context 4096")},
      {"cancelled", Error(Code::kCancelled, "the request was cancelled")},
  };
  auto found = refusals.find(model);
  return found == refusals.end() ? nullptr : &found->second;
}

bool is_known(const std::string& model) {
  return std::find(std::begin(kModels), std::end(kModels), model) != std::end(kModels);
}

std::vector<std::string> words_of(const GenerateRequest& request) {
  std::vector<std::string> words;
  if (request.model == "endless") return {std::string(1024, 'x')};
  if (const auto* text = std::get_if<std::string>(&request.prompt); text && request.echo) words.push_back(*text);
  words.insert(words.end(), {"Hello", " from", " the", " script", "."});
  return words;
}

TokenLogprob logprob_of(const std::string& word, int top) {
  TokenLogprob out;
  out.token = static_cast<int32_t>(word.size());
  out.text = word;
  out.logprob = -0.25f;
  for (int i = 0; i < top; ++i) {
    out.top.emplace_back(i, -0.25f - static_cast<float>(i));
    out.top_text.push_back(i == 0 ? word : fmt::format("alt{}", i));
  }
  return out;
}

}  // namespace

ScriptedService::ScriptedService() : thread_([this] { run(); }) {}

ScriptedService::~ScriptedService() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void ScriptedService::submit(GenerateRequest request, GenerateSink sink) {
  if (request.model.empty()) request.model = "scripted";
  {
    std::lock_guard lock(mutex_);
    ++stats_.requests;
    last_ = request;
    if (is_known(request.model) && !refusal_of(request.model)) {
      auto job = std::make_shared<Job>();
      job->words = words_of(request);
      bool is_open_ended = request.model == "slow" || request.model == "endless" || request.ignore_end;
      int64_t natural = is_open_ended ? 1000 : static_cast<int64_t>(job->words.size());
      if (request.model == "endless") natural = INT64_MAX;
      job->limit = std::min(natural, request.max_tokens.value_or(natural));
      job->is_length = job->limit < natural || is_open_ended;
      job->request = std::move(request);
      job->sink = std::move(sink);
      jobs_.push_back(std::move(job));
      changed_.notify_all();
      return;
    }
    ++stats_.failed;
    changed_.notify_all();
  }
  if (const Error* refusal = refusal_of(request.model)) return sink(Failed{*refusal});
  sink(Failed{Error(Code::kNotFound, fmt::format("no model '{}'", request.model))});
}

void ScriptedService::cancel(const std::string& id) {
  std::shared_ptr<Job> cancelled;  // its sink goes outside the lock
  std::lock_guard lock(mutex_);
  for (auto job = jobs_.begin(); job != jobs_.end(); ++job) {
    if ((*job)->request.id != id) continue;
    cancelled = *job;
    jobs_.erase(job);
    ++stats_.cancelled;
    changed_.notify_all();
    return;
  }
}

void ScriptedService::finish(const Job& job, std::vector<GenerateEvent>& events) {
  for (int choice = 0; choice < job.request.choices; ++choice) {
    events.push_back(Finished{choice, job.is_length ? FinishReason::kLength : FinishReason::kStop});
  }
  Usage usage;
  usage.prompt_tokens = kPromptTokens;
  usage.cached_tokens = 3;
  usage.completion_tokens = job.limit * job.request.choices;
  usage.prefill_s = 0.5;
  usage.decode_s = 2;
  events.push_back(Done{usage});
}

std::vector<GenerateEvent> ScriptedService::advance(Job& job, bool& is_over) {
  std::vector<GenerateEvent> events;
  const std::string& model = job.request.model;
  if (job.step++ < 0) {
    events.push_back(Started{model, kPromptTokens});
    return events;
  }
  if (job.step > 2 && (model == "midway" || model == "drops")) {
    is_over = true;
    if (model == "midway") events.push_back(Failed{Error(Code::kDevice, "the script says: the device is gone")});
    return events;
  }
  if (job.step > job.limit) {
    is_over = true;
    finish(job, events);
    return events;
  }
  const std::string& word = job.words[static_cast<size_t>(job.step - 1) % job.words.size()];
  bool is_stop = std::find(job.request.stop.begin(), job.request.stop.end(), word) != job.request.stop.end();
  for (int choice = 0; choice < job.request.choices && !is_stop; ++choice) {
    Delta delta{choice, word, {}};
    if (job.request.logprobs) delta.logprobs.push_back(logprob_of(word, job.request.top_logprobs));
    events.push_back(std::move(delta));
  }
  if (is_stop) {
    is_over = true;
    job.is_length = false;
    job.limit = job.step;
    finish(job, events);
  }
  return events;
}

void ScriptedService::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto now = std::chrono::steady_clock::now();
    std::shared_ptr<Job> next;
    for (const auto& job : jobs_) {
      bool is_silent = job->request.model == "dead" || (job->request.model == "stalls" && job->step >= 0);
      if (!is_silent && (!next || job->due < next->due)) next = job;
    }
    if (!next) {
      changed_.wait(lock);
      continue;
    }
    if (next->due > now) {
      changed_.wait_until(lock, next->due);
      continue;
    }
    bool is_over = false;
    auto events = advance(*next, is_over);
    next->due = next->request.model == "slow" ? now + kSlowStep : now;
    if (is_over) jobs_.erase(std::find(jobs_.begin(), jobs_.end(), next));
    for (const auto& event : events) stats_.generated_tokens += std::holds_alternative<Delta>(event);
    changed_.notify_all();
    lock.unlock();
    for (auto& event : events) next->sink(std::move(event));
    next.reset();
    lock.lock();
  }
}

std::vector<ModelSummary> ScriptedService::models() const {
  std::vector<ModelSummary> out;
  for (const char* name : kModels) {
    ModelSummary model;
    model.name = name;
    model.path = std::string("/models/") + name + ".gguf";
    model.architecture = "script";
    model.context_tokens = 4096;
    model.created = 1700000000;
    model.is_loaded = true;
    model.resident_bytes = 1 << 20;
    out.push_back(std::move(model));
  }
  out[0].aliases = {"default", "org/scripted"};
  return out;
}

EngineStats ScriptedService::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats out = stats_;
  out.running = static_cast<int64_t>(jobs_.size());
  out.budget_bytes = int64_t{8} << 30;
  out.leased_bytes = 3 << 20;
  out.leases = {{"host", "scripted", 1 << 20}, {"host", "scripted", 2 << 20}};
  out.queue_s = {{0.1, 1}, {2, 3, 4}, 2.5};
  return out;
}

void ScriptedService::shutdown(double) {
  std::lock_guard lock(mutex_);
  stats_.cancelled += jobs_.size();
  jobs_.clear();
  changed_.notify_all();
}

template <class Done>
bool ScriptedService::wait_until(Done done) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), done);
}

bool ScriptedService::wait_submitted(uint64_t count) const {
  return wait_until([&] { return stats_.requests >= count; });
}
bool ScriptedService::wait_cancelled(uint64_t count) const {
  return wait_until([&] { return stats_.cancelled >= count; });
}
bool ScriptedService::wait_alive(size_t count) const {
  return wait_until([&] { return jobs_.size() == count; });
}
GenerateRequest ScriptedService::last_request() const {
  std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace hearth::server
