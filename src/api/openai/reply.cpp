#include "api/openai/reply.h"

#include <utility>

#include "api/openai/logprobs.h"
#include "core/base/check.h"
#include "formats/json/json.h"

namespace hearth::openai {
namespace {

const char* finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
  }
  return "stop";
}

std::string sse(const Value& value) { return "data: " + json::write(value) + "\n\n"; }

double rate(int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

Value head_body(const ReplyHead& head, std::string_view object, const std::string& model) {
  return Value::object({{"id", head.id}, {"object", object}, {"created", head.created}, {"model", model}});
}

}  // namespace

ReplyHead make_head(const CompletionCall& call, std::string_view suffix, int64_t created) {
  ReplyHead head;
  head.endpoint = call.endpoint;
  head.id = (call.endpoint == Endpoint::kChat ? "chatcmpl-" : "cmpl-") + std::string(suffix);
  head.created = created;
  head.choices = call.generate.choices;
  head.logprobs = call.generate.logprobs;
  head.include_usage = call.include_usage;
  return head;
}

Value usage_body(const Usage& usage) {
  return Value::object({{"prompt_tokens", usage.prompt_tokens},
                        {"completion_tokens", usage.completion_tokens},
                        {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
                        {"prompt_tokens_details", Value::object({{"cached_tokens", usage.cached_tokens}})}});
}

Value timings_body(const Usage& usage) {
  int64_t prefilled = usage.prompt_tokens - usage.cached_tokens;
  return Value::object({{"queue_ms", usage.queue_s * 1e3},
                        {"cache_n", usage.cached_tokens},
                        {"prompt_n", prefilled},
                        {"prompt_ms", usage.prefill_s * 1e3},
                        {"prompt_per_second", rate(prefilled, usage.prefill_s)},
                        {"predicted_n", usage.completion_tokens},
                        {"predicted_ms", usage.decode_s * 1e3},
                        {"predicted_per_second", rate(usage.completion_tokens, usage.decode_s)}});
}

PlainReply::PlainReply(ReplyHead head) : head_(std::move(head)), choices_(static_cast<size_t>(head_.choices)) {}

void PlainReply::add(const GenerateEvent& event) {
  if (const auto* started = std::get_if<Started>(&event)) {
    model_ = started->model;
  } else if (const auto* delta = std::get_if<Delta>(&event)) {
    Choice& choice = choices_.at(static_cast<size_t>(delta->choice));
    choice.text += delta->text;
    choice.logprobs.insert(choice.logprobs.end(), delta->logprobs.begin(), delta->logprobs.end());
  } else if (const auto* finished = std::get_if<Finished>(&event)) {
    choices_.at(static_cast<size_t>(finished->choice)).reason = finished->reason;
  } else if (const auto* done = std::get_if<Done>(&event)) {
    usage_ = done->usage;
  }
}

Value PlainReply::choice_body(int index) const {
  const Choice& choice = choices_[static_cast<size_t>(index)];
  Value out = Value::object({{"index", index}});
  Value logprobs;
  if (head_.endpoint == Endpoint::kChat) {
    out.set("message", Value::object({{"role", "assistant"}, {"content", choice.text}, {"refusal", Value()}}));
    if (head_.logprobs) logprobs = chat_logprobs(choice.logprobs);
  } else {
    out.set("text", choice.text);
    if (head_.logprobs) logprobs = legacy_logprobs(choice.logprobs, 0);
  }
  out.set("logprobs", std::move(logprobs));
  out.set("finish_reason", finish_name(choice.reason));
  return out;
}

Value PlainReply::body() const {
  Value out = head_body(head_, head_.endpoint == Endpoint::kChat ? "chat.completion" : "text_completion", model_);
  Value choices = Value::list();
  for (int i = 0; i < head_.choices; ++i) choices.push(choice_body(i));
  out.set("choices", std::move(choices));
  out.set("usage", usage_body(usage_));
  out.set("timings", timings_body(usage_));
  return out;
}

StreamReply::StreamReply(ReplyHead head) : head_(std::move(head)), characters_(static_cast<size_t>(head_.choices)) {}

Value StreamReply::chunk() const {
  Value out = head_body(head_, head_.endpoint == Endpoint::kChat ? "chat.completion.chunk" : "text_completion", model_);
  out.set("choices", Value::list());
  if (head_.include_usage) out.set("usage", Value());
  return out;
}

std::string StreamReply::started_text(const Started& started) {
  model_ = started.model;
  if (head_.endpoint == Endpoint::kCompletion) return "";
  std::string out;
  for (int i = 0; i < head_.choices; ++i) {
    Value first = chunk();
    first.find("choices")->push(Value::object({{"index", i},
                                               {"delta", Value::object({{"role", "assistant"}, {"content", ""}})},
                                               {"logprobs", Value()},
                                               {"finish_reason", Value()}}));
    out += sse(first);
  }
  return out;
}

std::string StreamReply::delta_text(const Delta& delta) {
  if (delta.text.empty() && delta.logprobs.empty()) return "";
  int64_t& characters = characters_.at(static_cast<size_t>(delta.choice));
  Value choice = Value::object({{"index", delta.choice}});
  Value logprobs;
  if (head_.endpoint == Endpoint::kChat) {
    choice.set("delta", Value::object({{"content", delta.text}}));
    if (head_.logprobs) logprobs = chat_logprobs(delta.logprobs);
  } else {
    choice.set("text", delta.text);
    if (head_.logprobs) logprobs = legacy_logprobs(delta.logprobs, characters);
  }
  characters += count_characters(delta.text);
  choice.set("logprobs", std::move(logprobs));
  choice.set("finish_reason", Value());
  Value out = chunk();
  out.find("choices")->push(std::move(choice));
  return sse(out);
}

std::string StreamReply::release_held() {
  if (!held_) return "";
  std::string text = sse(*held_);
  held_.reset();
  return text;
}

std::string StreamReply::done_text(const Done& done) {
  std::string out;
  if (!head_.include_usage && held_) held_->set("timings", timings_body(done.usage));
  out += release_held();
  if (head_.include_usage) {
    Value last = chunk();
    last.set("usage", usage_body(done.usage));
    last.set("timings", timings_body(done.usage));
    out += sse(last);
  }
  return out + "data: [DONE]\n\n";
}

std::string StreamReply::add(const GenerateEvent& event) {
  if (const auto* started = std::get_if<Started>(&event)) return started_text(*started);
  if (const auto* done = std::get_if<Done>(&event)) return done_text(*done);
  std::string out = release_held();
  if (const auto* delta = std::get_if<Delta>(&event)) {
    out += delta_text(*delta);
  } else if (const auto* finished = std::get_if<Finished>(&event)) {
    check(finished->choice >= 0 && finished->choice < head_.choices, "a choice that was asked for");
    bool is_chat = head_.endpoint == Endpoint::kChat;
    held_ = chunk();
    held_->find("choices")->push(Value::object({{"index", finished->choice},
                                                {is_chat ? "delta" : "text", is_chat ? Value::object() : Value("")},
                                                {"logprobs", Value()},
                                                {"finish_reason", finish_name(finished->reason)}}));
  }
  return out;
}

std::string StreamReply::fail(const api::ApiError& error) { return sse(api::error_envelope(error)); }

}  // namespace hearth::openai
