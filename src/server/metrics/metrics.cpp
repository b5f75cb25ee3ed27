#include "server/metrics/metrics.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

namespace hearth::server {
namespace {

std::string head(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <class Number>
std::string plain(std::string_view name, std::string_view type, std::string_view help, Number value) {
  return head(name, type, help) + fmt::format("{} {}\n", name, value);
}

std::string label(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string bound_text(double bound) { return std::isinf(bound) ? "+Inf" : fmt::format("{}", bound); }

std::string histogram(std::string_view name, std::string_view help, const EngineStats::Histogram& data) {
  std::string out = head(name, "histogram", help);
  uint64_t total = data.counts.empty() ? 0 : data.counts.back();
  for (size_t i = 0; i < data.bounds.size() && i < data.counts.size(); ++i) {
    if (std::isinf(data.bounds[i])) continue;
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound_text(data.bounds[i]), data.counts[i]);
  }
  return out + fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, total, name, data.sum, name,
                           total);
}

std::string leases(const EngineStats& stats) {
  // Several leases of one holder are one series: a label set may occur once.
  std::map<std::pair<std::string, std::string>, int64_t> sums;
  for (const LeaseSummary& lease : stats.leases) sums[{lease.pool, lease.holder}] += lease.bytes;
  std::string out = head("hearth_lease_bytes", "gauge", "Memory leased, by pool and holder.");
  for (const auto& [key, bytes] : sums) {
    out += fmt::format("hearth_lease_bytes{{pool=\"{}\",holder=\"{}\"}} {}\n", label(key.first), label(key.second),
                       bytes);
  }
  return out;
}

std::string model_gauges(const std::vector<ModelSummary>& models) {
  std::string loaded = head("hearth_model_loaded", "gauge", "1 when the model is in memory.");
  std::string resident = head("hearth_model_resident_bytes", "gauge", "Weights and state of the model in memory.");
  for (const ModelSummary& model : models) {
    loaded += fmt::format("hearth_model_loaded{{model=\"{}\"}} {}\n", label(model.name), model.is_loaded ? 1 : 0);
    resident += fmt::format("hearth_model_resident_bytes{{model=\"{}\"}} {}\n", label(model.name),
                            model.resident_bytes);
  }
  return loaded + resident;
}

}  // namespace

void HttpMetrics::add(const http::RequestRecord& record) {
  std::lock_guard lock(mutex_);
  ++requests_[{std::string(record.route), record.status}];
  sent_bytes_ += static_cast<uint64_t>(std::max<int64_t>(record.sent_bytes, 0));
}

std::string HttpMetrics::render(int open_connections) const {
  std::lock_guard lock(mutex_);
  std::string out = head("hearth_http_requests_total", "counter", "Requests answered, by route and status.");
  for (const auto& [key, count] : requests_) {
    out += fmt::format("hearth_http_requests_total{{route=\"{}\",code=\"{}\"}} {}\n", label(key.first), key.second,
                       count);
  }
  out += plain("hearth_http_sent_bytes_total", "counter", "Bytes of answers.", sent_bytes_);
  out += plain("hearth_http_open_connections", "gauge", "Connections open now.", open_connections);
  return out + plain("hearth_open_descriptors", "gauge", "Descriptors of the process.", count_open_descriptors());
}

std::string render_engine_metrics(const EngineStats& s, const std::vector<ModelSummary>& models) {
  std::string out;
  out += plain("hearth_requests_total", "counter", "Generations submitted.", s.requests);
  out += plain("hearth_requests_failed_total", "counter", "Generations that failed.", s.failed);
  out += plain("hearth_requests_cancelled_total", "counter", "Generations cancelled.", s.cancelled);
  out += plain("hearth_requests_preempted_total", "counter", "Preemptions for want of pages.", s.preempted);
  out += plain("hearth_prompt_tokens_total", "counter", "Prompt tokens, cached ones included.", s.prompt_tokens);
  out += plain("hearth_cached_tokens_total", "counter", "Prompt tokens found in the prefix cache.", s.cached_tokens);
  out += plain("hearth_generated_tokens_total", "counter", "Tokens generated.", s.generated_tokens);
  out += plain("hearth_steps_total", "counter", "Batch steps.", s.steps);
  out += plain("hearth_requests_waiting", "gauge", "Generations waiting now.", s.waiting);
  out += plain("hearth_requests_running", "gauge", "Generations running now.", s.running);
  out += plain("hearth_pages", "gauge", "Pages of key-value state.", s.pages_total);
  out += plain("hearth_pages_used", "gauge", "Pages held by running requests.", s.pages_used);
  out += plain("hearth_pages_cached", "gauge", "Pages kept for their prefix.", s.pages_cached);
  out += plain("hearth_memory_budget_bytes", "gauge", "Memory that may be leased.", s.budget_bytes);
  out += plain("hearth_memory_leased_bytes", "gauge", "Memory leased now.", s.leased_bytes);
  out += leases(s);
  out += model_gauges(models);
  out += histogram("hearth_queue_seconds", "Wait before the first step.", s.queue_s);
  out += histogram("hearth_first_token_seconds", "From submission to the first token.", s.first_token_s);
  out += histogram("hearth_token_seconds", "Between tokens.", s.token_s);
  out += histogram("hearth_request_seconds", "From submission to the end.", s.request_s);
  return out;
}

int count_open_descriptors() {
  std::error_code failure;
  std::filesystem::directory_iterator entries("/proc/self/fd", failure);
  if (failure) return -1;
  int count = -1;  // the listing's own descriptor
  for (const auto& entry : entries) count += static_cast<int>(!entry.path().empty());
  return count;
}

}  // namespace hearth::server
