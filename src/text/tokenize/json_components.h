// The components of a tokenizer.json as steps. Internal to the tokenizer.json reader.
// All throw Error{kUnsupported} for an unknown "type", listing the known ones, and Error{kCorruptFile} for wrong
// fields.
#pragma once
#include <string>
#include <string_view>

#include "core/base/value.h"
#include "text/tokenize/tokenizer_parts.h"

namespace hearth::text {

// Fields of a component. A missing (or null) field gives the fallback; a wrong type throws, naming the field.
std::string json_text(const Value& object, std::string_view key, std::string_view fallback);
bool json_flag(const Value& object, std::string_view key, bool fallback);
int64_t json_integer(const Value& object, std::string_view key, int64_t fallback);
/// A member that is there and not null, or nullptr.
const Value* json_member(const Value& object, std::string_view key);
const Value::List& json_list(const Value& object, std::string_view key);
std::string json_type(const Value& component, std::string_view part);

void add_normalizer(const Value& component, Normalizer& out);
void add_pre_tokenizer(const Value& component, PreTokenizer& out);
void add_decoder(const Value& component, Decoder& out);

}  // namespace hearth::text
