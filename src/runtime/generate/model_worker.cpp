#include "runtime/generate/model_worker.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/log.h"
#include "governor/budget/refusal.h"

namespace hearth {
namespace {

constexpr double kClaimEveryS = 0.25;

}  // namespace

// One completion of a request.
struct ModelWorker::Choice {
  Choice(int index, const PreparedRequest& prepared, const text::Tokenizer& tokenizer)
      : index(index), sampler(seeded(prepared.sampling, index)), decoder(tokenizer, {.at_start = false}),
        stops(prepared.request.stop) {
    sequence.tokens = prepared.tokens;
    sequence.prompt_tokens = static_cast<int64_t>(prepared.tokens.size());
    sampler.see_prompt(prepared.tokens);
  }
  static SamplingParams seeded(SamplingParams params, int index) {
    params.seed += static_cast<uint64_t>(index);
    return params;
  }
  int64_t generated() const { return static_cast<int64_t>(sequence.tokens.size()) - sequence.prompt_tokens; }

  int index;
  Sequence sequence;
  Sampler sampler;
  text::StreamDecoder decoder;
  StopMatcher stops;
  std::vector<TokenLogprob> held_logprobs;  // of tokens whose text is not out yet
  bool is_finished = false;
};

struct ModelWorker::Active {
  PreparedRequest prepared;
  std::vector<std::unique_ptr<Choice>> choices;
  int64_t max_tokens = 0;
  std::vector<TokenLogprob> prompt_logprobs;  // when the echo has them; the first token's is not a number
  double started_s = 0, first_token_s = 0, last_token_s = 0;
  bool is_begun = false, is_cancelled = false, is_done = false;
  std::optional<Usage> usage;                 // of a request that came to its end
  std::optional<Error> failure;               // of one that did not

  void send(GenerateEvent event) {
    if (!is_cancelled) prepared.sink(std::move(event));
  }
};

ModelWorker::ModelWorker(LoadedModel& model, StatsBook& stats, WorkerMemory memory)
    : model_(model), stats_(stats), memory_(std::move(memory)),
      scheduler_(model.model().state_spec(), model.scheduler_limits(), memory_.backing.get()) {
  last_used_s_ = steady_s();
  publish();
  thread_ = std::thread([this] { loop(); });
}

ModelWorker::~ModelWorker() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    inbox_.cancel_all = true;
    cancel_step_ = true;
  }
  arrived_.notify_all();
  thread_.join();
}

void ModelWorker::submit(PreparedRequest request) {
  ++load_;
  std::lock_guard lock(mutex_);
  inbox_.requests.push_back(std::move(request));
  arrived_.notify_one();
}

void ModelWorker::cancel(const std::string& id) {
  std::lock_guard lock(mutex_);
  inbox_.cancelled.insert(id);
  arrived_.notify_one();
}

void ModelWorker::cancel_all() {
  std::lock_guard lock(mutex_);
  inbox_.cancel_all = true;
  cancel_step_ = true;
  arrived_.notify_one();
}

bool ModelWorker::abort_largest(const Error& why) {
  std::lock_guard lock(mutex_);
  if (load_ == 0) return false;
  inbox_.abort_largest = why;
  if (load_ == 1) cancel_step_ = true;  // nobody else's work is lost
  arrived_.notify_one();
  return true;
}

ModelWorker::Pages ModelWorker::pages() const {
  const Scheduler::Pages there = scheduler_.pages();
  std::lock_guard lock(published_mutex_);
  Pages now = published_;
  now.total = there.total;
  now.used = there.used();
  now.cached = there.cached;
  return now;
}

void ModelWorker::publish() {
  Pages now{.running = scheduler_.running(), .waiting = scheduler_.waiting(),
            .preemptions = scheduler_.preemptions()};
  now.waiting += std::count_if(active_.begin(), active_.end(), [](const auto& active) {
    return !active->is_begun && !active->is_done;
  });
  std::lock_guard lock(published_mutex_);
  stats_.preempted += now.preemptions - published_.preemptions;
  published_ = now;
}

void ModelWorker::loop() {
  for (;;) {
    Inbox inbox = wait_for_inbox();
    {
      std::lock_guard lock(mutex_);
      if (stop_ && active_.empty() && inbox.requests.empty() && inbox_.requests.empty()) return;
    }
    try {
      take_inbox(std::move(inbox));
      if (!scheduler_.is_idle()) run_one_step();
    } catch (const Error& e) {
      fail_everything(e);
    } catch (const std::exception& e) {
      fail_everything(Error(Code::kInternal, e.what()));
    }
    retire();
    publish();
  }
}

// Blocks only when there is nothing to compute.
ModelWorker::Inbox ModelWorker::wait_for_inbox() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] {
    return stop_ || !active_.empty() || !inbox_.requests.empty() || !inbox_.cancelled.empty() || inbox_.cancel_all ||
           inbox_.abort_largest;
  });
  if (inbox_.cancel_all || inbox_.abort_largest) cancel_step_ = false;
  return std::exchange(inbox_, {});
}

void ModelWorker::take_inbox(Inbox inbox) {
  for (PreparedRequest& request : inbox.requests) {
    active_.push_back(std::make_unique<Active>());
    active_.back()->prepared = std::move(request);
  }
  for (auto& active : active_) {
    if (inbox.cancelled.count(active->prepared.request.id)) active->is_cancelled = true;
  }
  if (inbox.cancel_all) {
    for (auto& active : active_) {
      active->send(Failed{Error(Code::kCancelled, "the server is stopping or the model was unloaded")});
      active->is_cancelled = true;
    }
  }
  drop_cancelled();
  begin_waiting();
  if (inbox.abort_largest) abort_one(*inbox.abort_largest);
}

void ModelWorker::abort_one(const Error& why) {
  auto tokens_of = [](const Active& active) {
    size_t tokens = 0;
    for (const auto& choice : active.choices) tokens += choice->sequence.tokens.size();
    return tokens;
  };
  Active* largest = nullptr;
  for (auto& active : active_) {
    if (!active->is_begun || active->is_done || active->is_cancelled) continue;  // who waits for pages holds none
    if (!largest || tokens_of(*active) > tokens_of(*largest)) largest = active.get();
  }
  if (largest) fail(*largest, why);
}

// In order: a small request does not overtake a large one that waits for pages. What waits for its turn was promised
// none: until then others may have them.
void ModelWorker::begin_waiting() {
  const bool is_early = std::exchange(waits_for_pages_, false) && !scheduler_.is_idle() && steady_s() < next_claim_s_;
  for (auto& active : active_) {
    if (active->is_begun || active->is_cancelled || active->is_done) continue;
    if (!scheduler_.has_place()) return;
    waits_for_pages_ = is_early;
    if (is_early) return;
    prepare(*active);
    if (Result<void> claimed = claim_pages(*active); claimed) {
      begin(*active);
    } else if (scheduler_.is_idle()) {
      end(*active, refusal_of(*active, claimed.error()));
    } else {
      next_claim_s_ = steady_s() + kClaimEveryS;
      waits_for_pages_ = true;
      return;
    }
  }
}

void ModelWorker::prepare(Active& active) {
  if (!active.choices.empty()) return;
  const GenerateRequest& request = active.prepared.request;
  const auto prompt = static_cast<int64_t>(active.prepared.tokens.size());
  active.max_tokens = std::min(request.max_tokens.value_or(model_.context()), model_.context() - prompt);
  for (int i = 0; i < std::max(request.choices, 1); ++i) {
    active.choices.push_back(std::make_unique<Choice>(i, active.prepared, model_.tokenizer()));
    Sequence& sequence = active.choices.back()->sequence;
    sequence.most_tokens = prompt + std::max<int64_t>(active.max_tokens, 1);
    if (i > 0) sequence.waits_for = &active.choices[0]->sequence;
  }
}

Result<void> ModelWorker::claim_pages(Active& active) {
  std::vector<Sequence*> sequences;
  for (auto& choice : active.choices) sequences.push_back(&choice->sequence);
  for (;;) {
    Result<void> claimed = scheduler_.claim(sequences);
    if (claimed || claimed.error().code() != Code::kNoMemory || !memory_.make_room) return claimed;
    const Value* details = claimed.error().details().get();
    const Value* needed = details ? details->find("needed_bytes") : nullptr;
    if (!needed || !memory_.make_room(needed->as_int())) return claimed;
  }
}

// With the length that the pages at hand would do for.
Error ModelWorker::refusal_of(const Active& active, const Error& why) const {
  if (why.code() == Code::kCancelled) return Error(Code::kCancelled, "the server is stopping");
  if (why.code() != Code::kNoMemory) return why;
  log::warn("{} has no memory for a request id={}", model_.name(), active.prepared.request.id);
  std::vector<governor::SmallerChoice> choices;
  const int64_t each = scheduler_.room_tokens(std::ssize(active.choices));
  const int64_t most = each - std::ssize(active.prepared.tokens);
  if (most > 0) {
    choices.push_back({Value::object({{"max_tokens", most}}), fmt::format("max_tokens = {} in the request", most)});
  }
  const Error told = governor::with_choices(why, choices);
  if (memory_.refused) memory_.refused(told);
  return told;
}

void ModelWorker::begin(Active& active) {
  const GenerateRequest& request = active.prepared.request;
  const auto prompt = static_cast<int64_t>(active.prepared.tokens.size());
  active.is_begun = true;
  for (auto& choice : active.choices) scheduler_.add(choice->sequence);
  active.send(Started{model_.name(), prompt});
  if (!request.echo) return;
  if (!request.logprobs) return send_echo(active);
  active.choices[0]->sequence.scores_prompt = true;
  TokenLogprob first{.token = active.prepared.tokens[0], .text = {}, .logprob = NAN, .top = {}, .top_text = {}};
  if (!model_.tokenizer().is_special(first.token)) first.text = model_.tokenizer().piece(first.token);
  active.prompt_logprobs.push_back(std::move(first));
}

void ModelWorker::send_echo(Active& active) {
  const auto* words = std::get_if<std::string>(&active.prepared.request.prompt);
  const std::string text = words ? *words : model_.tokenizer().decode(active.prepared.tokens, {.skip_special = true});
  for (const auto& choice : active.choices) active.send(Delta{choice->index, text, active.prompt_logprobs});
}

// Those cancelled while a step ran are not sent its tokens; the next round drops them.
void ModelWorker::mark_cancelled() {
  std::lock_guard lock(mutex_);
  if (inbox_.cancelled.empty()) return;
  for (auto& active : active_) {
    if (inbox_.cancelled.count(active->prepared.request.id)) active->is_cancelled = true;
  }
}

void ModelWorker::drop_cancelled() {
  for (auto& active : active_) {
    if (!active->is_cancelled || active->is_done) continue;
    for (auto& choice : active->choices) {
      if (!choice->is_finished) scheduler_.remove(choice->sequence);
    }
    active->is_done = true;
    ++stats_.cancelled;
  }
}

// A request waits until the first step that has a piece of it.
void ModelWorker::mark_started(const std::vector<Scheduler::Piece>& pieces) {
  const double now = steady_s();
  for (const Scheduler::Piece& piece : pieces) {
    Active* active = owner_of(piece.sequence, nullptr);
    if (active->started_s > 0) continue;
    active->started_s = now;
    stats_.queue_s.add(now - active->prepared.submitted_s);
  }
}

void ModelWorker::run_one_step() {
  std::vector<Scheduler::Piece> pieces = scheduler_.plan();
  if (pieces.empty()) return;
  mark_started(pieces);
  publish();  // before anybody hears a token of this step
  WorkClass work_class = WorkClass::kBackground;
  for (const Scheduler::Piece& piece : pieces) work_class = std::min(work_class, piece.sequence->work_class);
  // A step is given up at a cut only when nobody in it wants the result any more.
  auto is_cancelled = [&] {
    if (cancel_step_) return true;
    std::lock_guard lock(mutex_);
    if (inbox_.cancelled.empty()) return false;
    return std::all_of(pieces.begin(), pieces.end(), [&](const Scheduler::Piece& piece) {
      return inbox_.cancelled.count(owner_of(piece.sequence, nullptr)->prepared.request.id) > 0;
    });
  };
  Result<void> done = model_.step(pieces, work_class, is_cancelled);
  ++stats_.steps;
  if (done) {
    commit_step(pieces);
  } else if (done.error().code() != Code::kCancelled) {
    fail_step(pieces, done.error());
  }
}

void ModelWorker::commit_step(const std::vector<Scheduler::Piece>& pieces) {
  scheduler_.commit(pieces);
  mark_cancelled();
  int64_t row = 0;
  for (const Scheduler::Piece& piece : pieces) {
    const int64_t first_row = std::exchange(row, row + piece.kept_rows());
    if (row == first_row) continue;
    Choice* choice = nullptr;
    Active* active = owner_of(piece.sequence, &choice);
    if (active->is_cancelled) continue;
    if (piece.keeps_all) score_prompt(*active, piece, first_row);
    if (piece.is_sampled()) accept_token(*active, *choice, model_.buffers().logits_row(row - 1));
  }
}

// Each row of the first choice tells how likely the prompt's next token was. A preempted prompt comes by twice.
void ModelWorker::score_prompt(Active& active, const Scheduler::Piece& piece, int64_t first_row) {
  std::vector<TokenLogprob>& scored = active.prompt_logprobs;
  const std::vector<int32_t>& tokens = active.prepared.tokens;
  for (int64_t i = 0; i < piece.count && scored.size() < tokens.size(); ++i) {
    if (piece.first + i + 1 != std::ssize(scored)) continue;
    scored.push_back(describe(model_.buffers().logits_row(first_row + i), tokens[scored.size()],
                              active.prepared.request.top_logprobs));
  }
  if (!piece.is_sampled()) return;
  piece.sequence->scores_prompt = false;
  send_echo(active);
}

TokenLogprob ModelWorker::describe(std::span<const float> logits, int32_t token, int alternatives) const {
  TokenLogprob entry = token_logprob(logits, token, alternatives);
  entry.text = model_.tokenizer().piece(token);
  for (const auto& [other, logprob] : entry.top) entry.top_text.push_back(model_.tokenizer().piece(other));
  return entry;
}

void ModelWorker::accept_token(Active& active, Choice& choice, std::span<const float> logits) {
  const GenerateRequest& request = active.prepared.request;
  if (choice.generated() == 0 && active.max_tokens <= 0) return finish_choice(active, choice, FinishReason::kLength);
  const int32_t token = choice.sampler.sample(logits);
  const double now = steady_s();
  if (active.first_token_s == 0) {
    active.first_token_s = now;
    stats_.first_token_s.add(now - active.prepared.submitted_s);
  } else {
    stats_.token_s.add(now - active.last_token_s);
  }
  active.last_token_s = now;
  ++stats_.generated_tokens;
  choice.sequence.tokens.push_back(token);
  const bool is_end = !request.ignore_end && model_.tokenizer().is_end(token);
  if (is_end) return finish_choice(active, choice, FinishReason::kStop);

  if (request.logprobs) choice.held_logprobs.push_back(describe(logits, token, request.top_logprobs));
  StopMatcher::Out out = choice.stops.push(choice.decoder.push(token));
  if (!out.text.empty()) {
    active.send(Delta{choice.index, std::move(out.text), std::exchange(choice.held_logprobs, {})});
  }
  if (out.is_stopped) {
    // What follows the stop string is dropped, half a character in the decoder too.
    choice.decoder.flush();
    return finish_choice(active, choice, FinishReason::kStop);
  }
  if (choice.generated() >= active.max_tokens) finish_choice(active, choice, FinishReason::kLength);
}

void ModelWorker::finish_choice(Active& active, Choice& choice, FinishReason reason) {
  // After a stop string nothing is held back; otherwise what was is real text.
  StopMatcher::Out out = choice.stops.push(choice.decoder.flush());
  std::string rest = out.is_stopped ? out.text : out.text + choice.stops.flush();
  if (!rest.empty() || !choice.held_logprobs.empty()) {
    active.send(Delta{choice.index, std::move(rest), std::exchange(choice.held_logprobs, {})});
  }
  choice.is_finished = true;
  scheduler_.remove(choice.sequence);
  active.send(Finished{choice.index, reason});
  bool all = std::all_of(active.choices.begin(), active.choices.end(), [](const auto& c) { return c->is_finished; });
  if (all) finish_request(active);
}

void ModelWorker::finish_request(Active& active) {
  Usage usage;
  usage.prompt_tokens = static_cast<int64_t>(active.prepared.tokens.size());
  usage.cached_tokens = active.choices[0]->sequence.cached_tokens;
  for (const auto& choice : active.choices) usage.completion_tokens += choice->generated();
  const double now = steady_s();
  usage.queue_s = active.started_s - active.prepared.submitted_s;
  usage.prefill_s = (active.first_token_s > 0 ? active.first_token_s : now) - active.started_s;
  usage.decode_s = active.first_token_s > 0 ? active.last_token_s - active.first_token_s : 0;
  stats_.prompt_tokens += static_cast<uint64_t>(usage.prompt_tokens);
  stats_.cached_tokens += static_cast<uint64_t>(usage.cached_tokens);
  stats_.request_s.add(now - active.prepared.submitted_s);
  active.is_done = true;
  active.usage = usage;
}

void ModelWorker::fail_step(const std::vector<Scheduler::Piece>& pieces, const Error& error) {
  if (error.code() == Code::kInternal || error.code() == Code::kDevice) is_broken_ = true;
  for (const Scheduler::Piece& piece : pieces) fail(*owner_of(piece.sequence, nullptr), error);
}

void ModelWorker::fail_everything(const Error& error) {
  is_broken_ = true;
  for (auto& active : active_) fail(*active, error);
}

void ModelWorker::fail(Active& active, const Error& error) {
  if (active.is_done) return;
  log::error("a step of {} failed id={} error=\"{}\"", model_.name(), active.prepared.request.id, error.message());
  end(active, error);
}

void ModelWorker::end(Active& active, const Error& error) {
  for (auto& choice : active.choices) {
    if (!choice->is_finished) scheduler_.remove(choice->sequence);
  }
  active.is_done = true;
  ++stats_.failed;
  active.failure = error;
}

ModelWorker::Active* ModelWorker::owner_of(const Sequence* sequence, Choice** choice) {
  for (auto& active : active_) {
    for (auto& candidate : active->choices) {
      if (&candidate->sequence != sequence) continue;
      if (choice) *choice = candidate.get();
      return active.get();
    }
  }
  throw Error::bug("a scheduled sequence belongs to no request");
}

// The worker is idle before the client hears of the end: its next request may be for a model that needs this one's
// room.
void ModelWorker::retire() {
  auto is_going_on = [](const auto& active) { return !active->is_done; };
  auto first = std::stable_partition(active_.begin(), active_.end(), is_going_on);
  std::vector<std::unique_ptr<Active>> done(std::make_move_iterator(first), std::make_move_iterator(active_.end()));
  active_.erase(first, active_.end());
  if (done.empty()) return;
  next_claim_s_ = 0;  // what they were promised is free
  last_used_s_ = steady_s();
  publish();
  load_ -= std::ssize(done);
  for (const auto& active : done) {
    if (active->usage) active->send(Done{*active->usage});
    if (active->failure) active->send(Failed{*active->failure});
  }
}

}  // namespace hearth
