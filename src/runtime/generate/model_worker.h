// ModelWorker: the loop that answers requests with one loaded model. Its thread alone touches scheduler, sequences and
// samplers; other threads hand it prepared requests and cancellations through an inbox. A step that fails fails the
// requests in it and nobody else; a bug (check) marks the worker broken, so that the engine reloads the model. A bug in
// the loop itself fails every request it has.
// Memory of pages that no request was promised can be given back meanwhile; a request that needs it again waits for
// others of this model to end, and is refused with numbers when there are none.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "runtime/generate/loaded_model.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/stats.h"
#include "runtime/generate/stop_matcher.h"
#include "runtime/request.h"

namespace hearth {

/// A request after template and tokenizer.
struct PreparedRequest {
  GenerateRequest request;
  SamplingParams sampling;
  std::vector<int32_t> tokens;
  GenerateSink sink;
  double submitted_s = 0;   // steady clock
};

/// Where a worker's pages come from and who makes room for them. Without `backing` every page stays.
struct WorkerMemory {
  std::unique_ptr<PageBacking> backing{};
  std::function<bool(int64_t bytes)> make_room{};  // asked when pages cannot be had again; true: try again
  std::function<void(const Error&)> refused{};     // told when a request ends for want of them
};

class ModelWorker {
 public:
  ModelWorker(LoadedModel& model, StatsBook& stats, WorkerMemory memory = {});
  ~ModelWorker();
  ModelWorker(const ModelWorker&) = delete;

  void submit(PreparedRequest request);
  /// Ends a request at the next cut. Nothing more is sent to its sink but an event that is on its way already.
  void cancel(const std::string& id);
  /// Ends every request with kCancelled.
  void cancel_all();
  /// Ends the request with the most tokens with `why`, before the next step; false when there is none.
  bool abort_largest(const Error& why);

  bool is_idle() const { return load_.load() == 0; }
  /// Requests waiting or running.
  int64_t load() const { return load_.load(); }
  bool is_broken() const { return is_broken_.load(); }
  double last_used_s() const { return last_used_s_.load(); }

  struct Pages {
    int64_t total = 0, used = 0, cached = 0, running = 0, waiting = 0;
    uint64_t preemptions = 0;
  };
  Pages pages() const;  // any thread

  /// Memory that running requests do not need; any thread.
  Scheduler::Spare spare() const { return scheduler_.spare(); }
  /// As Scheduler::shrink().
  int64_t shrink(int64_t bytes, bool with_cached) { return scheduler_.shrink(bytes, with_cached); }
  int64_t away_bytes() const { return scheduler_.away_bytes(); }

 private:
  struct Choice;
  struct Active;
  struct Inbox {
    std::vector<PreparedRequest> requests;
    std::unordered_set<std::string> cancelled;
    bool cancel_all = false;
    std::optional<Error> abort_largest;
  };

  void loop();
  Inbox wait_for_inbox();
  void take_inbox(Inbox inbox);
  void abort_one(const Error& why);
  void begin_waiting();
  void prepare(Active& active);
  Result<void> claim_pages(Active& active);
  Error refusal_of(const Active& active, const Error& why) const;
  void begin(Active& active);
  void mark_cancelled();
  void drop_cancelled();
  void mark_started(const std::vector<Scheduler::Piece>& pieces);
  void run_one_step();
  void commit_step(const std::vector<Scheduler::Piece>& pieces);
  void score_prompt(Active& active, const Scheduler::Piece& piece, int64_t first_row);
  void send_echo(Active& active);
  TokenLogprob describe(std::span<const float> logits, int32_t token, int alternatives) const;
  void accept_token(Active& active, Choice& choice, std::span<const float> logits);
  void finish_choice(Active& active, Choice& choice, FinishReason reason);
  void finish_request(Active& active);
  void fail_step(const std::vector<Scheduler::Piece>& pieces, const Error& error);
  void fail_everything(const Error& error);
  void fail(Active& active, const Error& error);
  void end(Active& active, const Error& error);
  void retire();
  void publish();
  Active* owner_of(const Sequence* sequence, Choice** choice);

  LoadedModel& model_;
  StatsBook& stats_;
  WorkerMemory memory_;  // before the scheduler, which uses its backing
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Active>> active_;
  bool waits_for_pages_ = false;  // somebody who has a place
  double next_claim_s_ = 0;  // a request that waits for pages asks again then, or when another has ended

  std::mutex mutex_;
  std::condition_variable arrived_;
  Inbox inbox_;
  bool stop_ = false;
  std::atomic<int64_t> load_{0};
  std::atomic<bool> is_broken_{false};
  std::atomic<bool> cancel_step_{false};   // everything in the running step was cancelled
  std::atomic<double> last_used_s_{0};
  mutable std::mutex published_mutex_;
  Pages published_;  // but for the pages themselves, which others than the loop give back
  std::thread thread_;
};

}  // namespace hearth
