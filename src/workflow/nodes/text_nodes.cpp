// Texts. Lengths and positions count characters, not bytes.
#include <algorithm>

#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

NodeResult text_value(std::string text) { return give(NodeValue(Value(std::move(text)))); }

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Byte positions where characters start, and the end.
std::vector<size_t> starts_of(const std::string& text) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!continues(text[i])) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

std::string ascii_case(std::string text, bool is_upper) {
  for (char& c : text) {
    if (is_upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!is_upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

NodeResult string_concatenate(NodeCall& call) {
  return text_value(call.text("string_a") + call.text("delimiter") + call.text("string_b"));
}

// Python's slice: negative positions count from the end.
NodeResult string_substring(NodeCall& call) {
  std::string text = call.text("string");
  std::vector<size_t> starts = starts_of(text);
  int64_t length = static_cast<int64_t>(starts.size()) - 1;
  auto place = [&](std::string_view name) {
    int64_t at = call.integer(name);
    return std::clamp<int64_t>(at < 0 ? at + length : at, 0, length);
  };
  int64_t from = place("start"), to = std::max(from, place("end"));
  size_t begin = starts[static_cast<size_t>(from)];
  return text_value(text.substr(begin, starts[static_cast<size_t>(to)] - begin));
}

NodeResult string_length(NodeCall& call) {
  return give(NodeValue(Value(static_cast<int64_t>(starts_of(call.text("string")).size()) - 1)));
}

NodeResult case_converter(NodeCall& call) {
  std::string text = call.text("string"), mode = call.text("mode");
  if (mode == "UPPERCASE") return text_value(ascii_case(std::move(text), true));
  text = ascii_case(std::move(text), false);
  bool starts_word = true;
  for (size_t i = 0; i < text.size() && mode != "lowercase"; ++i) {
    bool is_letter = text[i] >= 'a' && text[i] <= 'z';
    if (is_letter && starts_word) text[i] = static_cast<char>(text[i] - 'a' + 'A');
    starts_word = mode == "Title Case" && !is_letter && !continues(text[i]) && !(text[i] & 0x80);
  }
  return text_value(std::move(text));
}

NodeResult string_trim(NodeCall& call) {
  std::string text = call.text("string"), mode = call.text("mode");
  constexpr const char* kSpaces = " \t\n\r\f\v";
  size_t from = mode == "Right" ? 0 : std::min(text.find_first_not_of(kSpaces), text.size());
  size_t last = mode == "Left" ? text.size() - 1 : text.find_last_not_of(kSpaces);
  return text_value(last == std::string::npos ? "" : text.substr(from, last + 1 - from));
}

NodeResult string_replace(NodeCall& call) {
  std::string text = call.text("string"), find = call.text("find"), with = call.text("replace"), out;
  if (find.empty()) {
    std::vector<size_t> starts = starts_of(text);
    for (size_t i = 0; i + 1 < starts.size(); ++i) out += with + text.substr(starts[i], starts[i + 1] - starts[i]);
    return text_value(out + with);
  }
  size_t at = 0;
  for (size_t hit; (hit = text.find(find, at)) != std::string::npos; at = hit + find.size()) {
    out += text.substr(at, hit - at) + with;
  }
  return text_value(out + text.substr(at));
}

NodeResult string_contains(NodeCall& call) {
  std::string text = call.text("string"), part = call.text("substring");
  if (!call.flag("case_sensitive")) text = ascii_case(text, false), part = ascii_case(part, false);
  return give(NodeValue(Value(text.find(part) != std::string::npos)));
}

NodeResult string_compare(NodeCall& call) {
  std::string a = call.text("string_a"), b = call.text("string_b"), mode = call.text("mode");
  if (!call.flag("case_sensitive")) a = ascii_case(a, false), b = ascii_case(b, false);
  bool holds = mode == "Equal" ? a == b : mode == "Starts With" ? a.starts_with(b) : a.ends_with(b);
  return give(NodeValue(Value(holds)));
}

}  // namespace

void add_text_nodes(Registry& registry) {
  registry.add({.class_name = "StringConcatenate",
                .display_name = "Concatenate",
                .category = "utils/string",
                .description = "Joins two texts.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string_a").with("multiline", true), text("string_b").with("multiline", true),
                           text("delimiter", "")},
                .outputs = {{"STRING"}},
                .run = string_concatenate});
  registry.add(
      {.class_name = "StringSubstring",
       .display_name = "Substring",
       .category = "utils/string",
       .description = "A part of a text.",
       .python_module = "comfy_extras.nodes_string",
       .inputs = {text("string").with("multiline", true), integer("start", {.value = 0}), integer("end", {.value = 0})},
       .outputs = {{"STRING"}},
       .run = string_substring});
  registry.add({.class_name = "StringLength",
                .display_name = "Length",
                .category = "utils/string",
                .description = "How many characters a text has.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string").with("multiline", true)},
                .outputs = {{"INT", "length"}},
                .run = string_length});
  registry.add({.class_name = "CaseConverter",
                .display_name = "Case Converter",
                .category = "utils/string",
                .description = "Changes capital and small letters.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string").with("multiline", true),
                           choice("mode", {"UPPERCASE", "lowercase", "Capitalize", "Title Case"})},
                .outputs = {{"STRING"}},
                .run = case_converter});
  registry.add({.class_name = "StringTrim",
                .display_name = "Trim",
                .category = "utils/string",
                .description = "Takes blanks off the ends of a text.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string").with("multiline", true), choice("mode", {"Both", "Left", "Right"})},
                .outputs = {{"STRING"}},
                .run = string_trim});
  registry.add({.class_name = "StringReplace",
                .display_name = "Replace",
                .category = "utils/string",
                .description = "Replaces a part of a text wherever it occurs.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string").with("multiline", true), text("find").with("multiline", true),
                           text("replace").with("multiline", true)},
                .outputs = {{"STRING"}},
                .run = string_replace});
  registry.add({.class_name = "StringContains",
                .display_name = "Contains",
                .category = "utils/string",
                .description = "Whether a text occurs in another.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string").with("multiline", true), text("substring").with("multiline", true),
                           boolean("case_sensitive", true)},
                .outputs = {{"BOOLEAN", "contains"}},
                .run = string_contains});
  registry.add({.class_name = "StringCompare",
                .display_name = "Compare",
                .category = "utils/string",
                .description = "Compares two texts.",
                .python_module = "comfy_extras.nodes_string",
                .inputs = {text("string_a").with("multiline", true), text("string_b").with("multiline", true),
                           choice("mode", {"Starts With", "Ends With", "Equal"}), boolean("case_sensitive", true)},
                .outputs = {{"BOOLEAN"}},
                .run = string_compare});
}

}  // namespace hearth::workflow
