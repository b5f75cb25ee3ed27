#include "text/tokenize/regex.h"

#include <fmt/format.h>
#include <pcre2.h>

#include "core/base/error.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

// Steps one match may take: far above what tokenizer patterns need, low enough that a hostile one stops in a second.
constexpr uint32_t kMatchLimit = 20'000'000;
// Groups that repeat keep a frame for each turn; a word of 100 KB needs a few MiB. Pages are taken only when touched.
constexpr size_t kJitStackBytes = 256u << 20;

// White_Space; PCRE2's own \s adds U+180E, which Unicode took out in 6.3.
constexpr std::string_view kSpaces =
    R"(\x09-\x0d\x20\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
// Alphabetic, marks, decimal digits, connectors; PCRE2's \w leaves out marks.
constexpr std::string_view kWordChars =
    R"(\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";

// Rewrites one pattern from left to right.
class Rewriter {
 public:
  explicit Rewriter(std::string_view pattern) : rest_(pattern) {}

  std::string run() {
    std::string out;
    while (!rest_.empty()) out += rest_[0] == '[' ? bracket() : atom();
    return out;
  }

 private:
  char take() {
    char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  static std::string_view shorthand(char c) {
    switch (c) {
      case 's': case 'S': return kSpaces;
      case 'w': case 'W': return kWordChars;
      case 'h': case 'H': return "0-9A-Fa-f";
      default: return {};
    }
  }

  std::string atom() {
    char c = take();
    if (c != '\\' || rest_.empty()) return std::string(1, c);
    char escaped = take();
    std::string_view set = shorthand(escaped);
    if (set.empty()) return {c, escaped};
    return fmt::format("[{}{}]", escaped >= 'a' ? "" : "^", set);
  }

  // A bracket becomes a bracket, or, for an intersection, lookaheads before one.
  std::string bracket() {
    take();
    bool negated = !rest_.empty() && rest_[0] == '^';
    if (negated) take();
    std::string members, lookaheads;
    bool first = true;
    while (!rest_.empty() && (rest_[0] != ']' || first)) {
      first = false;
      if (rest_.starts_with("&&")) {
        rest_.remove_prefix(2);
        if (rest_.starts_with("[") && !negated) lookaheads += "(?=" + bracket() + ")";
        else throw Error(Code::kCorruptFile, "only [set&&[set]] is supported of the class intersections");
      } else {
        members += member();
      }
    }
    if (rest_.empty()) throw Error(Code::kCorruptFile, "a '[' without its ']'");
    take();
    std::string set = (negated ? "[^" : "[") + members + "]";
    return lookaheads.empty() ? set : "(?:" + lookaheads + set + ")";
  }

  std::string member() {
    if (rest_.starts_with("[:")) {
      size_t end = rest_.find(":]");
      if (end != std::string_view::npos) {
        std::string posix(rest_.substr(0, end + 2));
        rest_.remove_prefix(end + 2);
        return posix;
      }
    }
    char c = take();
    if (c == '[') return nested();
    if (c != '\\' || rest_.empty()) return std::string(1, c);
    char escaped = take();
    if (escaped == 's' || escaped == 'w' || escaped == 'h') return std::string(shorthand(escaped));
    return {c, escaped};
  }

  // A set inside a set is a union; PCRE2 has no nesting, so its members join the outer ones.
  std::string nested() {
    if (rest_.starts_with("^")) throw Error(Code::kCorruptFile, "a negated set inside a set is not supported");
    std::string members;
    while (!rest_.empty() && rest_[0] != ']') members += member();
    if (rest_.empty()) throw Error(Code::kCorruptFile, "a '[' without its ']'");
    take();
    return members;
  }

  std::string_view rest_;
};

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) return fmt::format("PCRE2 error {}", code);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct RegexScratch::Buffers {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = nullptr;  // made when the 32 KiB of the machine stack do not suffice

  Buffers() { pcre2_set_match_limit(context, kMatchLimit); }
  ~Buffers() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

RegexScratch::RegexScratch() : buffers_(std::make_unique<Buffers>()) {}
RegexScratch::~RegexScratch() = default;

struct Regex::Code {
  pcre2_code* compiled = nullptr;
  std::string pattern;
  ~Code() { pcre2_code_free(compiled); }
};

std::string pcre2_pattern(std::string_view oniguruma) { return Rewriter(oniguruma).run(); }

Regex::Regex(std::string_view pattern) : code_(std::make_unique<Code>()) {
  code_->pattern = pattern;
  auto fail = [&](std::string_view reason) {
    return Error(hearth::Code::kCorruptFile, fmt::format("the pattern '{}' is not a valid regular expression: {}",
                                                         pattern.substr(0, 200), reason));
  };
  if (!is_valid_utf8(pattern)) throw fail("it is not valid UTF-8");
  std::string rewritten;
  try {
    rewritten = pcre2_pattern(pattern);
  } catch (const Error& error) {
    throw fail(error.message());
  }
  int code = 0;
  PCRE2_SIZE offset = 0;
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length(context.get(), 1 << 20);
  code_->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rewritten.data()), rewritten.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset,
                                  context.get());
  if (!code_->compiled) throw fail(fmt::format("{} (near byte {} of '{}')", error_text(code), offset, rewritten));
  pcre2_jit_compile(code_->compiled, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter gives the same matches
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

bool Regex::search(std::string_view text, size_t start, RegexScratch& scratch, Match& match) const {
  RegexScratch::Buffers& buffers = *scratch.buffers_;
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  auto attempt = [&] {
    return pcre2_match(code_->compiled, subject, text.size(), start, PCRE2_NO_UTF_CHECK, buffers.data,
                       buffers.context);
  };
  int found = attempt();
  if (found == PCRE2_ERROR_JIT_STACKLIMIT && !buffers.stack) {
    buffers.stack = pcre2_jit_stack_create(64 << 10, kJitStackBytes, nullptr);
    pcre2_jit_stack_assign(buffers.context, nullptr, buffers.stack);
    found = attempt();
  }
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw Error(hearth::Code::kInvalidArgument,
                fmt::format("the tokenizer pattern '{}' fails on {} bytes of text: {}", code_->pattern.substr(0, 80),
                            text.size(), error_text(found)));
  }
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(buffers.data);
  match = {offsets[0], offsets[1]};
  return true;
}

}  // namespace hearth::text
