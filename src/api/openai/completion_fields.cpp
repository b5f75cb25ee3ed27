// POST /v1/completions: the prompt as text or token ids, echo, and the older form of log probabilities.
#include <fmt/format.h>

#include "api/openai/draft.h"

namespace hearth::openai {
namespace {

using api::FieldKind;

Result<void> set_token_prompt(Draft& d, const Value::List& items) {
  std::vector<int32_t> tokens;
  tokens.reserve(items.size());
  for (const Value& item : items) {
    if (!item.is_integer() || item.as_double() < 0 || item.as_double() > INT32_MAX) {
      return unexpected(Code::kInvalidArgument,
                        "'prompt' as an array must hold token ids (integers from 0 to 2147483647) only");
    }
    tokens.push_back(static_cast<int32_t>(item.as_int()));
  }
  d.call.generate.prompt = std::move(tokens);
  return {};
}

Result<void> set_prompt(Draft& d, const Value& v) {
  if (v.is_string()) return d.call.generate.prompt = v.as_string(), Result<void>();
  const Value::List& items = v.as_list();
  if (items.empty()) {
    return unexpected(Code::kInvalidArgument, "'prompt' is an empty array: expected text or token ids");
  }
  bool is_batch = items[0].is_string() || items[0].is_list();
  if (is_batch && items.size() > 1) {
    return unexpected(Code::kUnsupported, fmt::format("'prompt' holds {} prompts: several prompts in one request are "
                                                      "not supported, send one request for each", items.size()));
  }
  if (items[0].is_string()) return d.call.generate.prompt = items[0].as_string(), Result<void>();
  if (items[0].is_list() && items[0].size() == 0) {
    return unexpected(Code::kInvalidArgument, "'prompt' holds an empty array: expected token ids");
  }
  return set_token_prompt(d, items[0].is_list() ? items[0].as_list() : items);
}

Result<void> set_logprobs(Draft& d, const Value& v) {
  d.call.generate.logprobs = true;
  d.call.generate.top_logprobs = static_cast<int>(v.as_int());
  return {};
}

Result<void> refuse_suffix(Draft&, const Value& v) {
  if (v.as_string().empty()) return {};
  return unexpected(Code::kUnsupported, "'suffix' (filling in the middle) is not supported: leave it out");
}

const DraftField kCompletion[] = {
    {{.name = "prompt", .kind = FieldKind::kStringOrList, .help = "text, or an array of token ids; an array with one "
      "prompt is taken too, several prompts are not supported", .is_required = true},
     set_prompt},
    {{.name = "echo", .kind = FieldKind::kBool, .help = "the prompt comes back before the text", .fallback = "false"},
     [](Draft& d, const Value& v) { return d.call.generate.echo = v.as_bool(), Result<void>(); }},
    {{.name = "logprobs", .kind = FieldKind::kInteger, .help = "log probability of each token and of this many "
      "alternatives", .fallback = "off", .min = 0, .max = kMaxTopLogprobs},
     set_logprobs},
    {{.name = "best_of", .kind = FieldKind::kInteger, .help = "only the value of `n`", .fallback = "`n`", .min = 1,
      .max = kMaxChoices},
     [](Draft& d, const Value& v) { return d.best_of = v.as_int(), Result<void>(); }},
    {{.name = "suffix", .kind = FieldKind::kString, .help = "not supported: only an empty string is taken"},
     refuse_suffix},
};

}  // namespace

std::span<const DraftField> completion_fields() { return kCompletion; }

Result<CompletionCall> finish_completion(Draft draft, api::ParseNotes& notes) {
  draft.call.endpoint = Endpoint::kCompletion;
  if (auto ok = finish_shared(draft, notes); !ok) return unexpected(ok.error());
  if (draft.best_of && *draft.best_of != draft.call.generate.choices) {
    notes.param = "best_of";
    return unexpected(Code::kUnsupported, fmt::format("'best_of' must equal 'n' ({}), got {}",
                                                      draft.call.generate.choices, *draft.best_of));
  }
  return std::move(draft.call);
}

}  // namespace hearth::openai
