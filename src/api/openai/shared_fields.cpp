// Sampling, stopping and streaming fields, the same on both endpoints.
#include <charconv>

#include <fmt/format.h>

#include "api/openai/draft.h"

namespace hearth::openai {
namespace {

using api::FieldKind;

constexpr size_t kMaxStopBytes = 1024;
constexpr double kMaxTokensLimit = 1e9;

template <auto Member>
Result<void> set_float(Draft& d, const Value& v) {
  d.call.generate.sampling.*Member = static_cast<float>(v.as_double());
  return {};
}

Result<void> set_top_k(Draft& d, const Value& v) {
  int64_t k = v.as_int();
  d.call.generate.sampling.top_k = k < 0 ? 0 : static_cast<int>(k);
  return {};
}

Result<void> set_seed(Draft& d, const Value& v) {
  if (v.kind() == Value::Kind::kUint) return d.call.generate.sampling.seed = v.as_uint(), Result<void>();
  if (int64_t seed = v.as_int(); seed != -1) d.call.generate.sampling.seed = static_cast<uint64_t>(seed);
  return {};
}

Result<void> set_stop(Draft& d, const Value& v) {
  Value::List stops = v.is_list() ? v.as_list() : Value::List{v};
  for (const Value& stop : stops) {
    if (!stop.is_string() || stop.as_string().empty() || stop.as_string().size() > kMaxStopBytes) {
      return unexpected(Code::kInvalidArgument,
                        fmt::format("'stop' must be a string or an array of up to {} strings of 1 to {} bytes, got {}",
                                    kMaxStops, kMaxStopBytes,
                                    stop.is_string() ? fmt::format("a string of {} bytes", stop.as_string().size())
                                                     : std::string(stop.kind_name())));
    }
    d.call.generate.stop.push_back(stop.as_string());
  }
  return {};
}

Result<void> set_logit_bias(Draft& d, const Value& v) {
  if (v.size() > kMaxLogitBias) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'logit_bias' may have {} entries, got {}", kMaxLogitBias, v.size()));
  }
  for (const auto& [name, bias] : v.as_object()) {
    int32_t token = -1;
    auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), token);
    if (failed != std::errc() || end != name.data() + name.size() || token < 0) {
      return unexpected(Code::kInvalidArgument, "'logit_bias' keys must be token ids written as decimal integers");
    }
    if (!bias.is_number() || bias.as_double() < -100 || bias.as_double() > 100) {
      return unexpected(Code::kInvalidArgument,
                        fmt::format("'logit_bias' of token {} must be a number from -100 to 100", token));
    }
    d.call.generate.sampling.logit_bias.emplace_back(token, static_cast<float>(bias.as_double()));
  }
  return {};
}

Result<void> set_stream_options(Draft& d, const Value& v) {
  d.has_stream_options = true;
  const Value* usage = v.find("include_usage");
  if (!usage || usage->is_null()) return {};
  if (!usage->is_bool()) {
    return unexpected(Code::kInvalidArgument, fmt::format("'stream_options.include_usage' must be a boolean, got {}",
                                                          usage->kind_name()));
  }
  d.call.include_usage = usage->as_bool();
  return {};
}

const DraftField kShared[] = {
    {{.name = "model", .kind = FieldKind::kString, .help = "name or alias from `GET /v1/models`",
      .fallback = "the default model"},
     [](Draft& d, const Value& v) { return d.call.generate.model = v.as_string(), Result<void>(); }},
    {{.name = "stream", .kind = FieldKind::kBool, .help = "answer with server-sent events", .fallback = "false"},
     [](Draft& d, const Value& v) { return d.call.stream = v.as_bool(), Result<void>(); }},
    {{.name = "stream_options", .kind = FieldKind::kObject, .help = "`include_usage`: a last chunk with token counts; "
      "only with `stream`", .fallback = "none"},
     set_stream_options},
    {{.name = "n", .kind = FieldKind::kInteger, .help = "choices for the same prompt", .fallback = "1", .min = 1,
      .max = kMaxChoices},
     [](Draft& d, const Value& v) { return d.call.generate.choices = static_cast<int>(v.as_int()), Result<void>(); }},
    {{.name = "max_tokens", .kind = FieldKind::kInteger, .help = "most tokens to generate per choice",
      .fallback = "up to the context's end", .min = 0, .max = kMaxTokensLimit},
     [](Draft& d, const Value& v) { return d.call.generate.max_tokens = v.as_int(), Result<void>(); }},
    {{.name = "stop", .kind = FieldKind::kStringOrList, .help = "the text ends before the first of these strings",
      .fallback = "none", .max = kMaxStops},
     set_stop},
    {{.name = "temperature", .kind = FieldKind::kNumber, .help = "0 picks the likeliest token",
      .fallback = "the model's", .min = 0, .max = 2},
     set_float<&SamplingOptions::temperature>},
    {{.name = "top_p", .kind = FieldKind::kNumber, .help = "nucleus: smallest set of tokens with this probability",
      .fallback = "the model's", .min = 0, .max = 1},
     set_float<&SamplingOptions::top_p>},
    {{.name = "presence_penalty", .kind = FieldKind::kNumber, .help = "subtracted once from tokens already written",
      .fallback = "the model's", .min = -2, .max = 2},
     set_float<&SamplingOptions::presence_penalty>},
    {{.name = "frequency_penalty", .kind = FieldKind::kNumber, .help = "subtracted per earlier occurrence",
      .fallback = "the model's", .min = -2, .max = 2},
     set_float<&SamplingOptions::frequency_penalty>},
    {{.name = "seed", .kind = FieldKind::kInteger, .help = "64 bits; the same seed gives the same text; -1 is random",
      .fallback = "the model's, else random"},
     set_seed},
    {{.name = "logit_bias", .kind = FieldKind::kObject, .help = "token id -> -100 to 100, added to its logit; at most "
      "1024 entries", .fallback = "none"},
     set_logit_bias},
    {{.name = "keep_alive", .kind = FieldKind::kNumber, .help = "extension: seconds the model stays in memory after "
      "this; negative: until asked to go", .fallback = "the model's", .min = -1, .max = 1e9},
     [](Draft& d, const Value& v) { return d.call.generate.keep_alive_s = v.as_double(), Result<void>(); }},
    {{.name = "top_k", .kind = FieldKind::kInteger, .help = "extension: keep the k likeliest; 0 or -1 is off",
      .fallback = "the model's", .min = -1, .max = 1e6},
     set_top_k},
    {{.name = "min_p", .kind = FieldKind::kNumber, .help = "extension: drop tokens below this share of the likeliest",
      .fallback = "the model's", .min = 0, .max = 1},
     set_float<&SamplingOptions::min_p>},
    {{.name = "typical_p", .kind = FieldKind::kNumber, .help = "extension: locally typical sampling; 1 is off",
      .fallback = "the model's", .min = 0, .max = 1},
     set_float<&SamplingOptions::typical_p>},
    {{.name = "repetition_penalty", .kind = FieldKind::kNumber, .help = "extension: divides logits of tokens in prompt "
      "and output; 1 is off", .fallback = "the model's", .min = 0.01, .max = 10},
     set_float<&SamplingOptions::repetition_penalty>},
    {{.name = "repeat_penalty", .kind = FieldKind::kNumber, .help = "extension: the same as `repetition_penalty`",
      .fallback = "the model's", .min = 0.01, .max = 10},
     set_float<&SamplingOptions::repetition_penalty>},
    {{.name = "ignore_eos", .kind = FieldKind::kBool, .help = "extension: end-of-text tokens do not end the text",
      .fallback = "false"},
     [](Draft& d, const Value& v) { return d.call.generate.ignore_end = v.as_bool(), Result<void>(); }},
    {{.name = "user", .help = "ignored"}, nullptr},
    {{.name = "metadata", .help = "ignored"}, nullptr},
    {{.name = "store", .help = "ignored"}, nullptr},
    {{.name = "service_tier", .help = "ignored"}, nullptr},
};

}  // namespace

std::span<const DraftField> shared_fields() { return kShared; }

Result<void> finish_shared(Draft& draft, api::ParseNotes& notes) {
  if (draft.has_stream_options && !draft.call.stream) {
    notes.param = "stream_options";
    return unexpected(Code::kInvalidArgument, "'stream_options' is only allowed with \"stream\": true");
  }
  return {};
}

}  // namespace hearth::openai
