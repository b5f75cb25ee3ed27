// Tokenizer operations of the text probe:
//   load    name, gguf: metadata | json: tokenizer.json, config: tokenizer_config.json  -> vocab_size, bos, eos, ends
//           (gguf_file, json_file and config_file name files that hold the same as JSON)
//   encode  name, texts, add_special, parse_special                                     -> ids, seconds
//   decode  name, ids: a list of lists, skip_special                                    -> texts, streamed
//   tokens  name, ids                                                                   -> texts, pieces, special
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "formats/json/json.h"
#include "text/tokenize/tokenizer.h"
#include "text_probe.h"

namespace hearth::probe {
namespace {

using text::Tokenizer;
using Clock = std::chrono::steady_clock;

std::map<std::string, std::shared_ptr<const Tokenizer>, std::less<>>& loaded() {
  static std::map<std::string, std::shared_ptr<const Tokenizer>, std::less<>> tokenizers;
  return tokenizers;
}

const Tokenizer& named(const Value& request) {
  auto found = loaded().find(request.at("name").as_string());
  if (found == loaded().end()) throw Error(Code::kNotFound, "no such tokenizer is loaded");
  return *found->second;
}

bool flag(const Value& request, std::string_view key, bool fallback) {
  const Value* value = request.find(key);
  return value ? value->as_bool() : fallback;
}

// The member itself, or the JSON in the file that "<key>_file" names; null when neither is there.
Value member_or_file(const Value& request, const std::string& key) {
  if (const Value* value = request.find(key)) return *value;
  const Value* path = request.find(key + "_file");
  if (!path) return {};
  std::ifstream file(path->as_string(), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return json::parse(text.str()).value();
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<int32_t> read_ids(const Value& list) {
  std::vector<int32_t> ids;
  for (const Value& id : list.as_list()) ids.push_back(static_cast<int32_t>(id.as_int()));
  return ids;
}

Value id_list(const std::vector<int32_t>& ids) {
  Value::List list;
  list.reserve(ids.size());
  for (int32_t id : ids) list.emplace_back(id);
  return list;
}

Value load(const Value& request) {
  Value gguf = member_or_file(request, "gguf"), json = member_or_file(request, "json");
  Value config = member_or_file(request, "config");
  Clock::time_point start = Clock::now();
  auto tokenizer = gguf.is_null() ? Tokenizer::from_json(json, config) : Tokenizer::from_gguf(gguf);
  double seconds = seconds_since(start);
  loaded()[request.at("name").as_string()] = tokenizer;
  auto optional_id = [](std::optional<int32_t> id) { return id ? Value(*id) : Value(); };
  return Value::object({{"vocab_size", tokenizer->vocab_size()},
                        {"bos", optional_id(tokenizer->bos())},
                        {"eos", optional_id(tokenizer->eos())},
                        {"adds_bos", tokenizer->adds_bos()},
                        {"ends", id_list(tokenizer->end_ids())},
                        {"seconds", seconds}});
}

Value encode(const Value& request) {
  const Tokenizer& tokenizer = named(request);
  text::EncodeOptions options{.add_special = flag(request, "add_special", true),
                              .parse_special = flag(request, "parse_special", false)};
  Value lists = Value::list();
  double seconds = 0;
  for (const Value& text : request.at("texts").as_list()) {
    Clock::time_point start = Clock::now();
    std::vector<int32_t> ids = tokenizer.encode(text.as_string(), options);
    seconds += seconds_since(start);
    lists.push(id_list(ids));
  }
  return Value::object({{"ids", std::move(lists)}, {"seconds", seconds}});
}

Value decode(const Value& request) {
  const Tokenizer& tokenizer = named(request);
  text::DecodeOptions options{.skip_special = flag(request, "skip_special", true)};
  Value texts = Value::list(), streamed = Value::list();
  for (const Value& list : request.at("ids").as_list()) {
    std::vector<int32_t> ids = read_ids(list);
    texts.push(tokenizer.decode(ids, options));
    text::StreamDecoder stream(tokenizer, options);
    std::string text;
    for (int32_t id : ids) text += stream.push(id);
    streamed.push(text + stream.flush());
  }
  return Value::object({{"texts", std::move(texts)}, {"streamed", std::move(streamed)}});
}

Value tokens(const Value& request) {
  const Tokenizer& tokenizer = named(request);
  Value texts = Value::list(), pieces = Value::list(), special = Value::list();
  for (int32_t id : read_ids(request.at("ids"))) {
    texts.push(tokenizer.token_text(id));
    pieces.push(tokenizer.piece(id));
    special.push(tokenizer.is_special(id));
  }
  return Value::object({{"texts", std::move(texts)}, {"pieces", std::move(pieces)}, {"special", std::move(special)}});
}

}  // namespace

std::optional<Value> tokenizer_op(std::string_view op, const Value& request) {
  if (op == "load") return load(request);
  if (op == "encode") return encode(request);
  if (op == "decode") return decode(request);
  if (op == "tokens") return tokens(request);
  return std::nullopt;
}

}  // namespace hearth::probe
