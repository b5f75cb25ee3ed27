#include "api/openai/logprobs.h"

#include <cmath>

#include <fmt/format.h>

namespace hearth::openai {
namespace {

constexpr double kNoLogprob = -9999;  // what the OpenAI API itself writes for "too unlikely to say"

double finite(float logprob) { return std::isfinite(logprob) ? logprob : kNoLogprob; }

Value bytes_of(std::string_view text) {
  Value out = Value::list();
  for (unsigned char byte : text) out.push(static_cast<int>(byte));
  return out;
}

Value chat_entry(std::string_view text, float logprob) {
  return Value::object({{"token", text}, {"logprob", finite(logprob)}, {"bytes", bytes_of(text)}});
}

// Length of the UTF-8 sequence a byte opens; 0 for a continuation byte or one that never occurs.
int sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

bool is_whole_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    int length = sequence_length(static_cast<unsigned char>(text[i]));
    if (length == 0 || i + static_cast<size_t>(length) > text.size()) return false;
    for (int k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += static_cast<size_t>(length);
  }
  return true;
}

// A key must be unique and text: pieces of a character are spelt out, as the OpenAI API does.
std::string legacy_token(std::string_view text) {
  if (is_whole_utf8(text)) return std::string(text);
  std::string out = "bytes:";
  for (unsigned char byte : text) out += fmt::format("\\x{:02x}", byte);
  return out;
}

Value legacy_top(const TokenLogprob& token) {
  Value out = Value::object();
  for (size_t i = 0; i < token.top.size() && i < token.top_text.size(); ++i) {
    out.set(legacy_token(token.top_text[i]), finite(token.top[i].second));
  }
  out.set(legacy_token(token.text), finite(token.logprob));
  return out;
}

}  // namespace

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (unsigned char byte : text) count += (byte & 0xc0) != 0x80;
  return count;
}

Value chat_logprobs(std::span<const TokenLogprob> tokens) {
  Value content = Value::list();
  for (const TokenLogprob& token : tokens) {
    Value entry = chat_entry(token.text, token.logprob);
    Value top = Value::list();
    for (size_t i = 0; i < token.top.size() && i < token.top_text.size(); ++i) {
      top.push(chat_entry(token.top_text[i], token.top[i].second));
    }
    entry.set("top_logprobs", std::move(top));
    content.push(std::move(entry));
  }
  return Value::object({{"content", std::move(content)}, {"refusal", Value()}});
}

Value legacy_logprobs(std::span<const TokenLogprob> tokens, int64_t start_offset) {
  Value texts = Value::list(), logprobs = Value::list(), tops = Value::list(), offsets = Value::list();
  for (const TokenLogprob& token : tokens) {
    bool has_logprob = std::isfinite(token.logprob);
    texts.push(legacy_token(token.text));
    logprobs.push(has_logprob ? Value(static_cast<double>(token.logprob)) : Value());
    tops.push(has_logprob ? legacy_top(token) : Value());
    offsets.push(start_offset);
    start_offset += count_characters(token.text);
  }
  return Value::object({{"tokens", std::move(texts)}, {"token_logprobs", std::move(logprobs)},
                        {"top_logprobs", std::move(tops)}, {"text_offset", std::move(offsets)}});
}

}  // namespace hearth::openai
