// Arbitrary bytes as a tokenizer.json (or, where they hold GGUF keys, as metadata), then as a text for it. Only Error
// may come out; what encodes must decode to valid UTF-8, and a stream must give the same text.
#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "formats/json/json.h"
#include "text/tokenize/tokenizer.h"
#include "text/unicode.h"

using namespace hearth;

namespace {

void exercise(const text::Tokenizer& tokenizer, std::string_view sample) {
  std::vector<int32_t> ids = tokenizer.encode(sample, {.parse_special = true});
  std::string whole = tokenizer.decode(ids, false);
  check(text::is_valid_utf8(whole), "decoded text is valid UTF-8");
  text::StreamDecoder stream(tokenizer, {.skip_special = false});
  std::string streamed;
  for (int32_t id : ids) streamed += stream.push(id);
  check(streamed + stream.flush() == whole, "a stream gives the same text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  Result<Value> file = json::parse(input);
  if (!file) return 0;
  try {
    bool is_gguf = file->find("tokenizer.ggml.model") != nullptr;
    auto tokenizer = is_gguf ? text::Tokenizer::from_gguf(*file) : text::Tokenizer::from_json(*file);
    exercise(*tokenizer, input.substr(0, 2000));
    exercise(*tokenizer, "Hello  wörld 123\r\n\xFF 漢字 <s></s>");
  } catch (const Error& error) {
    check(error.code() != Code::kInternal, "a file never trips a check of ours");
  }
  return 0;
}
