#include "formats/json/stream.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace hearth::json {

using nlohmann::ordered_json;

// Hands nlohmann's events on.
class Events final : public nlohmann::json_sax<ordered_json> {
 public:
  explicit Events(Stream& to) : to_(to) {}

  bool null() override { return scalar(Value()); }
  bool boolean(bool value) override { return scalar(Value(value)); }
  bool number_integer(number_integer_t value) override { return scalar(Value(static_cast<int64_t>(value))); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(Value(static_cast<uint64_t>(value))); }
  bool number_float(number_float_t value, const string_t&) override { return scalar(Value(value)); }
  bool string(string_t& value) override { return scalar(Value(std::string_view(value))); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override { return to_.on_key(name), true; }
  bool start_object(size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& failure) override {
    std::string_view text = failure.what();  // "[json.exception.parse_error.101] parse error at line ...: ..."
    if (size_t bracket = text.find("] "); bracket != text.npos) text.remove_prefix(bracket + 2);
    to_.invalid(fmt::format("invalid JSON at byte {}: {}", position, clipped(text)));
  }

 private:
  bool scalar(Value value) { return to_.on_scalar(std::move(value)), true; }
  bool open(bool is_object) {
    if (to_.depth_ >= kMaxStreamDepth) {
      to_.invalid(fmt::format("JSON is nested deeper than {} levels", kMaxStreamDepth));
    }
    to_.on_open(is_object);
    ++to_.depth_;
    return true;
  }
  bool close() {
    --to_.depth_;
    to_.on_close();
    return true;
  }

  Stream& to_;
};

void Stream::read(std::string_view text) {
  refuse_endless_tokens(text);
  Events events(*this);
  if (!ordered_json::sax_parse(text.begin(), text.end(), &events)) invalid("invalid JSON");
}

void Stream::corrupt(std::string_view problem) const {
  throw Error(Code::kCorruptFile, fmt::format("{}: {}", file_, problem));
}

void Stream::invalid(std::string_view problem) const { corrupt(part_ + std::string(problem)); }

void Stream::refuse_endless_tokens(std::string_view text) const {
  bool is_text = false;
  size_t start = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (is_text && c == '\\') {
      ++at;
    } else if (c == '"' || (!is_text && std::string_view(",:[]{}").find(c) != std::string_view::npos)) {
      is_text = is_text != (c == '"');
      start = at + 1;
    }
    if (at - start >= static_cast<size_t>(kMaxTokenBytes) && at >= start) {
      invalid(fmt::format("a text, number or gap of more than {} bytes at byte {}", kMaxTokenBytes, start));
    }
  }
}

std::string clipped(std::string_view text) {
  constexpr size_t kMost = 200;
  if (text.size() <= kMost) return std::string(text);
  size_t end = kMost;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;  // whole characters
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace hearth::json
