#include "formats/json/json.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace hearth::json {
namespace {

using nlohmann::ordered_json;

// Builds the Value while nlohmann tokenises, so that depth is bounded before anything recurses.
class Builder final : public nlohmann::json_sax<ordered_json> {
 public:
  explicit Builder(ParseLimits limits) : limits_(limits) {}

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(static_cast<int64_t>(value))); }
  bool number_unsigned(number_unsigned_t value) override { return add(Value(static_cast<uint64_t>(value))); }
  bool number_float(number_float_t value, const string_t&) override { return add(Value(value)); }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Value::object()); }
  bool key(string_t& name) override { return keys_.back() = std::move(name), true; }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Value::list()); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& failure) override {
    std::string_view text = failure.what();  // "[json.exception.parse_error.101] parse error at line ...: ..."
    if (size_t bracket = text.find("] "); bracket != text.npos) text.remove_prefix(bracket + 2);
    problem_ = fmt::format("invalid JSON at byte {}: {}", position, text);
    return false;
  }

  Value root;
  const std::string& problem() const { return problem_; }

 private:
  bool add(Value value) {
    if (stack_.empty()) return root = std::move(value), true;
    Value& parent = stack_.back();
    if (parent.is_list()) return parent.push(std::move(value)), true;
    parent.as_object().set(std::move(keys_.back()), std::move(value));  // of equal keys the last, as in Python
    return true;
  }
  bool open(Value container) {
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) {
      problem_ = fmt::format("JSON is nested deeper than {} levels", limits_.max_depth);
      return false;
    }
    stack_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value done = std::move(stack_.back());
    stack_.pop_back();
    keys_.pop_back();
    return add(std::move(done));
  }

  ParseLimits limits_;
  std::vector<Value> stack_;
  std::vector<std::string> keys_;
  std::string problem_;
};

template <class Use>
void for_each_item(const Value& list, Use use) {
  if (const PackedList* packed = list.packed()) {
    for (size_t i = 0; i < packed->size(); ++i) use((*packed)[i]);
  } else {
    for (const Value& item : list.as_list()) use(item);
  }
}

ordered_json to_nlohmann(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return nullptr;
    case Value::Kind::kBool: return value.as_bool();
    case Value::Kind::kInt: return value.as_int();
    case Value::Kind::kUint: return value.as_uint();
    case Value::Kind::kDouble: return value.as_double();
    case Value::Kind::kString: return value.as_string();
    case Value::Kind::kList: {
      auto out = ordered_json::array();
      for_each_item(value, [&](const Value& item) { out.push_back(to_nlohmann(item)); });
      return out;
    }
    case Value::Kind::kObject: {
      auto out = ordered_json::object();
      // Names are unique already; nlohmann would compare each with all before it.
      auto& members = static_cast<ordered_json::object_t::Container&>(out.get_ref<ordered_json::object_t&>());
      members.reserve(value.size());
      for (const auto& [name, member] : value.as_object()) members.emplace_back(name, to_nlohmann(member));
      return out;
    }
  }
  return nullptr;
}

std::string scalar(const Value& value, WriteStyle style) {
  return to_nlohmann(value).dump(-1, ' ', style.ascii_only, ordered_json::error_handler_t::replace);
}

// nlohmann has no ", " style; only containers are ours, every scalar is written by the library.
void write_spaced(const Value& value, WriteStyle style, std::string& out) {
  if (value.is_list()) {
    out += '[';
    const char* comma = "";
    for_each_item(value, [&](const Value& item) {
      out += std::exchange(comma, ", ");
      write_spaced(item, style, out);
    });
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const char* comma = ""; const auto& [name, member] : value.as_object()) {
      out += std::exchange(comma, ", ");
      out += scalar(Value(name), style) + ": ";
      write_spaced(member, style, out);
    }
    out += '}';
  } else {
    out += scalar(value, style);
  }
}

}  // namespace

Result<Value> parse(std::string_view text, ParseLimits limits) {
  Builder builder(limits);
  if (!ordered_json::sax_parse(text.begin(), text.end(), &builder)) {
    return unexpected(Code::kInvalidArgument, builder.problem().empty() ? "invalid JSON" : builder.problem());
  }
  return std::move(builder.root);
}

std::string write(const Value& value, WriteStyle style) {
  if (style.spaced && style.indent < 0) {
    std::string out;
    write_spaced(value, style, out);
    return out;
  }
  return to_nlohmann(value).dump(style.indent, ' ', style.ascii_only, ordered_json::error_handler_t::replace);
}

}  // namespace hearth::json
