#include "runtime/prepare.h"

#include <random>

#include <fmt/format.h>

#include "runtime/generate/sampling_defaults.h"

namespace hearth {
namespace {

template <class T>
T pick(const std::optional<T>& asked, const std::optional<T>& configured, T fallback) {
  return asked.value_or(configured.value_or(fallback));
}

SamplingParams fill_in(const SamplingOptions& asked, const SamplingOptions& configured) {
  return {.temperature = pick(asked.temperature, configured.temperature, 1.0f),
          .top_p = pick(asked.top_p, configured.top_p, 1.0f),
          .min_p = pick(asked.min_p, configured.min_p, 0.0f),
          .typical_p = pick(asked.typical_p, configured.typical_p, 1.0f),
          .top_k = pick(asked.top_k, configured.top_k, 0),
          .repetition_penalty = pick(asked.repetition_penalty, configured.repetition_penalty, 1.0f),
          .presence_penalty = pick(asked.presence_penalty, configured.presence_penalty, 0.0f),
          .frequency_penalty = pick(asked.frequency_penalty, configured.frequency_penalty, 0.0f),
          .seed = pick<uint64_t>(asked.seed, configured.seed,
                                 std::random_device{}() * 0x100000001ull + std::random_device{}()),
          .logit_bias = asked.logit_bias};
}

// Names of the request reach templates that read them; variables the client set by hand win.
Value template_context(const ChatPrompt& chat, const text::Template& chat_template, const text::Tokenizer& tokenizer) {
  Value context = Value::object();
  context.set("messages", chat.messages);
  if (!chat.tools.is_null()) context.set("tools", chat.tools);
  context.set("add_generation_prompt", chat.add_generation_prompt);
  auto spelled = [&](std::optional<int32_t> id) { return std::string(id ? tokenizer.token_text(*id) : ""); };
  context.set("bos_token", spelled(tokenizer.bos()));
  context.set("eos_token", spelled(tokenizer.eos()));
  if (chat.request_fields.is_object()) {
    for (const auto& [name, value] : chat.request_fields.as_object()) {
      if (chat_template.mentions(name)) context.set(name, value);
    }
  }
  if (chat.template_arguments.is_object()) {
    for (const auto& [name, value] : chat.template_arguments.as_object()) context.set(name, value);
  }
  return context;
}

// The template writes the model's special tokens itself, BOS included; a second BOS would spoil the prompt.
std::vector<int32_t> chat_tokens(const std::string& text, const text::Tokenizer& tokenizer,
                                 text::EncodeOptions options) {
  options.parse_special = true;
  std::vector<int32_t> tokens = tokenizer.encode(text, options);
  bool doubled = tokenizer.bos() && tokens.size() > 1 && tokens[0] == *tokenizer.bos() && tokens[1] == *tokenizer.bos();
  if (doubled) tokens.erase(tokens.begin());
  return tokens;
}

void check_token_ids(const std::vector<int32_t>& ids, int64_t vocab) {
  for (int32_t id : ids) {
    if (id >= 0 && id < vocab) continue;
    throw Error(Code::kInvalidArgument, fmt::format("prompt: token id {} is outside the vocabulary of {}", id, vocab));
  }
}

std::vector<int32_t> prompt_tokens(const GenerateRequest& request, const LoadedModel& model,
                                   const text::EncodeOptions& options) {
  if (const auto* text = std::get_if<std::string>(&request.prompt)) return model.tokenizer().encode(*text, options);
  if (const auto* chat = std::get_if<ChatPrompt>(&request.prompt)) {
    if (!model.chat_template()) throw Error(Code::kUnsupported, model.template_problem());
    const text::Template& chat_template = *model.chat_template();
    Result<std::string> rendered = chat_template.render(template_context(*chat, chat_template, model.tokenizer()));
    if (!rendered) throw rendered.error();
    return chat_tokens(*rendered, model.tokenizer(), options);
  }
  const auto& ids = std::get<std::vector<int32_t>>(request.prompt);
  check_token_ids(ids, model.model().config().vocab);
  return ids;
}

Error too_long(std::string_view how_many, int64_t n, const LoadedModel& model) {
  return Error(Code::kContextLength, fmt::format("the prompt has {}{} tokens, model '{}' has a context of {}; shorten "
                                                 "the prompt or raise the model's context",
                                                 how_many, n, model.name(), model.context()));
}

Result<void> check_logit_bias(const SamplingParams& sampling, int64_t vocab) {
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (token >= 0 && token < vocab) continue;
    return unexpected(Code::kInvalidArgument,
                      fmt::format("logit_bias: token id {} is outside the vocabulary of {}", token, vocab));
  }
  return {};
}

}  // namespace

Result<PreparedRequest> prepare_request(const GenerateRequest& request, const LoadedModel& model,
                                        const SamplingOptions& configured, std::function<bool()> is_cancelled) {
  PreparedRequest out;
  out.sampling = fill_in(request.sampling, or_else(configured, model.sampling_defaults()));
  if (auto ok = check_logit_bias(out.sampling, model.model().config().vocab); !ok) return unexpected(ok.error());
  text::EncodeOptions options;
  options.max_tokens = 4 * model.context();  // so far a prompt that is too long is counted exactly, for the message
  options.is_cancelled = std::move(is_cancelled);
  try {
    out.tokens = prompt_tokens(request, model, options);
  } catch (const text::TooManyTokens& e) {
    return unexpected(too_long("at least ", e.at_least(), model));
  } catch (const Error& e) {
    return unexpected(e);
  }
  // A model needs something to continue: its BOS stands for the empty text.
  if (out.tokens.empty()) {
    std::optional<int32_t> start = model.tokenizer().bos() ? model.tokenizer().bos() : model.tokenizer().eos();
    if (!start) return unexpected(Code::kInvalidArgument, "the prompt is empty");
    out.tokens.push_back(*start);
  }
  if (std::ssize(out.tokens) >= model.context()) return unexpected(too_long("", std::ssize(out.tokens), model));
  out.request = request;
  return out;
}

}  // namespace hearth
