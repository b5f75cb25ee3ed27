#include "runtime/generate/evaluate.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/base/check.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/stats.h"

namespace hearth {
namespace {

SchedulerLimits without_reuse(LoadedModel& model) {
  SchedulerLimits limits = model.scheduler_limits();
  limits.reuse_prefixes = false;
  return limits;
}

void run(LoadedModel& model, std::span<const Scheduler::Piece> pieces) {
  check(!pieces.empty(), "the state has room for a piece of some sequence");
  model.step(pieces, WorkClass::kInteractive, [] { return false; }).value();
}

// Logits buffers hold one row per sequence, so a step that keeps every row has at most that many.
SchedulerLimits one_logits_row_each(LoadedModel& model) {
  SchedulerLimits limits = without_reuse(model);
  limits.max_rows = std::min(limits.max_rows, limits.max_running);
  return limits;
}

std::vector<int32_t> scored_chunk(const LoadedModel& model, std::span<const int32_t> tokens, int64_t c, int64_t chunk) {
  std::vector<int32_t> part(tokens.begin() + c * chunk, tokens.begin() + (c + 1) * chunk);
  if (model.tokenizer().adds_bos() && model.tokenizer().bos()) part[0] = *model.tokenizer().bos();
  return part;
}

bool is_scored(int64_t position, int64_t chunk) { return position >= chunk / 2 && position + 1 < chunk; }

double log_sum_exp(std::span<const float> logits) {
  float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - most);
  return most + std::log(sum);
}

}  // namespace

TeacherForcing::TeacherForcing(LoadedModel& model, std::span<const int32_t> tokens)
    : model_(model), scheduler_(model.model().state_spec(), one_logits_row_each(model)) {
  sequence_.tokens.assign(tokens.begin(), tokens.end());
  scheduler_.add(sequence_);
}

void TeacherForcing::step(const std::function<void(int64_t, std::span<const float>)>& on_logits) {
  std::vector<Scheduler::Piece> pieces = scheduler_.plan();
  pieces[0].keeps_all = true;
  run(model_, pieces);
  for (int64_t i = 0; i < pieces[0].count; ++i) on_logits(pieces[0].first + i, model_.buffers().logits_row(i));
  scheduler_.commit(pieces);
}

void teacher_force(LoadedModel& model, std::span<const int32_t> tokens,
                   const std::function<void(int64_t, std::span<const float>)>& on_logits) {
  TeacherForcing forcing(model, tokens);
  while (!forcing.is_done()) forcing.step(on_logits);
}

Perplexity perplexity(LoadedModel& model, std::span<const int32_t> tokens, int64_t chunk,
                      const std::function<void(int64_t, int64_t)>& progress) {
  Perplexity out;
  double nll = 0;
  const int64_t chunks = std::ssize(tokens) / chunk;
  for (int64_t c = 0; c < chunks; ++c) {
    const std::vector<int32_t> part = scored_chunk(model, tokens, c, chunk);
    teacher_force(model, part, [&](int64_t i, std::span<const float> logits) {
      if (!is_scored(i, chunk)) return;
      nll += log_sum_exp(logits) - logits[part[i + 1]];
      ++out.scored_tokens;
    });
    if (progress) progress(c + 1, chunks);
  }
  out.chunks = chunks;
  out.value = std::exp(nll / static_cast<double>(std::max<int64_t>(out.scored_tokens, 1)));
  return out;
}

double kl_divergence(std::span<const float> reference, std::span<const float> other) {
  const double ref_sum = log_sum_exp(reference), other_sum = log_sum_exp(other);
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - ref_sum;
    kl += std::exp(log_p) * (log_p - (other[i] - other_sum));
  }
  return kl;
}

Divergence divergence(LoadedModel& reference, LoadedModel& model, std::span<const int32_t> tokens, int64_t chunk,
                      const std::function<void(int64_t, int64_t)>& progress) {
  Divergence out;
  const int64_t chunks = std::ssize(tokens) / chunk;
  for (int64_t c = 0; c < chunks; ++c) {
    const std::vector<int32_t> part = scored_chunk(model, tokens, c, chunk);
    // Both take the same steps, so only one step's rows of the reference are kept.
    TeacherForcing exact(reference, part), tried(model, part);
    while (!exact.is_done()) {
      std::vector<std::vector<float>> rows;
      exact.step([&](int64_t, std::span<const float> logits) { rows.emplace_back(logits.begin(), logits.end()); });
      size_t next = 0;
      tried.step([&](int64_t i, std::span<const float> logits) {
        const std::vector<float>& expected = rows[next++];
        if (!is_scored(i, chunk)) return;
        const double kl = kl_divergence(expected, logits);
        out.mean_kl += kl;
        out.max_kl = std::max(out.max_kl, kl);
        out.same_top += argmax(expected) == argmax(logits);
        ++out.positions;
      });
    }
    if (progress) progress(c + 1, chunks);
  }
  out.mean_kl /= static_cast<double>(std::max<int64_t>(out.positions, 1));
  out.same_top /= static_cast<double>(std::max<int64_t>(out.positions, 1));
  return out;
}

SpeedRun measure_speed(LoadedModel& model, int64_t prompt, int64_t generate, int64_t parallel) {
  Scheduler scheduler(model.model().state_spec(), without_reuse(model));
  std::vector<std::unique_ptr<Sequence>> sequences;
  for (int64_t s = 0; s < parallel; ++s) {
    auto sequence = std::make_unique<Sequence>();
    for (int64_t i = 0; i < prompt; ++i) {
      sequence->tokens.push_back(static_cast<int32_t>((s * 7919 + i * 31 + 17) % model.model().config().vocab));
    }
    sequence->prompt_tokens = prompt;
    scheduler.add(*sequence);
    sequences.push_back(std::move(sequence));
  }
  // A sequence that has its first logits waits with one token to compute until all have; then all decode together.
  SpeedRun result{.prompt = prompt, .generated = generate, .parallel = parallel};
  std::vector<std::pair<Sequence*, int32_t>> first_tokens;
  const double start = steady_s();
  for (auto& sequence : sequences) {
    while (sequence->uncomputed() > 0) {
      std::vector<Scheduler::Piece> pieces = scheduler.plan();
      run(model, pieces);
      scheduler.commit(pieces);
      int64_t row = 0;
      for (const auto& piece : pieces) {
        if (piece.is_sampled()) first_tokens.emplace_back(piece.sequence, argmax(model.buffers().logits_row(row++)));
      }
    }
  }
  result.prefill_s = steady_s() - start;
  for (auto [sequence, token] : first_tokens) sequence->tokens.push_back(token);
  const double decode_start = steady_s();
  for (int64_t i = 0; i < generate; ++i) {
    std::vector<Scheduler::Piece> pieces = scheduler.plan();
    run(model, pieces);
    scheduler.commit(pieces);
    for (size_t p = 0; p < pieces.size(); ++p) {
      pieces[p].sequence->tokens.push_back(argmax(model.buffers().logits_row(static_cast<int64_t>(p))));
    }
  }
  result.decode_s = steady_s() - decode_start;
  for (auto& sequence : sequences) scheduler.remove(*sequence);
  return result;
}

}  // namespace hearth
