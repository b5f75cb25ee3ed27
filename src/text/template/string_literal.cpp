#include "text/template/string_literal.h"

#include <charconv>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/lexer.h"

namespace hearth::text::jinja {
namespace {

class Unescaper {
 public:
  Unescaper(std::string_view body, int line) : body_(body), line_(line) {}

  std::string run() {
    while (pos_ < body_.size()) {
      char c = body_[pos_++];
      if (c == '\\' && pos_ < body_.size()) {
        escape(body_[pos_++]);
      } else {
        out_ += c;
      }
    }
    return std::move(out_);
  }

 private:
  void escape(char c) {
    constexpr std::string_view kNames = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (size_t i = kNames.find(c); i != std::string_view::npos) {
      out_ += kMeanings[i];
    } else if (c == 'x') {
      append_code_point(out_, hex(2));
    } else if (c == 'u') {
      append_code_point(out_, surrogate_pair(hex(4)));
    } else if (c == 'U') {
      append_code_point(out_, hex(8));
    } else if (c >= '0' && c <= '7') {
      octal(c);
    } else if (c == 'N') {
      syntax_error(line_, "\\N{name} in a string: write the character itself or \\u and its number");
    } else if (c != '\n') {  // an escaped line end continues the string
      out_ += '\\';
      out_ += c;
    }
  }

  char32_t hex(size_t digits) {
    uint32_t value = 0;
    std::string_view text = body_.substr(pos_, digits);
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (failure != std::errc() || text.size() != digits || end != text.data() + digits || value > 0x10FFFF) {
      syntax_error(line_, fmt::format("truncated escape in a string: expected {} hexadecimal digits", digits));
    }
    pos_ += digits;
    return value;
  }

  char32_t surrogate_pair(char32_t first) {
    bool high = first >= 0xD800 && first < 0xDC00;
    if (!high || !body_.substr(pos_).starts_with("\\u")) return first;
    pos_ += 2;
    return 0x10000 + ((first - 0xD800) << 10) + (hex(4) & 0x3FF);
  }

  void octal(char first) {
    uint32_t value = static_cast<uint32_t>(first - '0');
    for (int i = 0; i < 2 && pos_ < body_.size() && body_[pos_] >= '0' && body_[pos_] <= '7'; ++i) {
      value = value * 8 + static_cast<uint32_t>(body_[pos_++] - '0');
    }
    append_code_point(out_, value);
  }

  std::string_view body_;
  int line_;
  size_t pos_ = 0;
  std::string out_;
};

}  // namespace

std::string unescape_literal(std::string_view body, int line) { return Unescaper(body, line).run(); }

}  // namespace hearth::text::jinja
