#include "models/load/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "formats/gguf/gguf.h"
#include "formats/json/json.h"
#include "formats/safetensors/safetensors.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kIo, fmt::format("cannot read {}", path.string()));
  return {std::istreambuf_iterator<char>(file), {}};
}

Value read_json(const fs::path& path) {
  Result<Value> value = json::parse(read_text(path));
  if (!value) throw Error(Code::kCorruptFile, fmt::format("{}: {}", path.string(), value.error().message()));
  return std::move(*value);
}

Checkpoint open_folder(const fs::path& folder) {
  Checkpoint out;
  out.path = folder.string();
  out.format = Checkpoint::Format::kHuggingFace;
  if (!fs::exists(folder / "config.json")) {
    throw Error(Code::kNotFound, fmt::format("{} holds no config.json; give a .gguf file or a folder in Hugging Face "
                                             "layout (config.json, *.safetensors, tokenizer.json)",
                                             folder.string()));
  }
  out.config = read_json(folder / "config.json");
  fs::path index = folder / "model.safetensors.index.json";
  out.file = safetensors::open((fs::exists(index) ? index : folder / "model.safetensors").string());
  if (fs::exists(folder / "tokenizer.json")) out.tokenizer = read_json(folder / "tokenizer.json");
  if (fs::exists(folder / "tokenizer_config.json")) out.tokenizer_config = read_json(folder / "tokenizer_config.json");
  if (fs::exists(folder / "chat_template.jinja")) {
    if (out.tokenizer_config.is_null()) out.tokenizer_config = Value::object();
    out.tokenizer_config.set("chat_template", read_text(folder / "chat_template.jinja"));
  }
  return out;
}

}  // namespace

Checkpoint Checkpoint::open(const std::string& path) {
  if (fs::is_directory(path)) {
    std::vector<fs::path> ggufs;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".gguf") ggufs.push_back(entry.path());
    }
    if (ggufs.empty()) return open_folder(path);
    std::sort(ggufs.begin(), ggufs.end());  // of a split set the first part opens the rest
    return open(ggufs.front().string());
  }
  if (!fs::exists(path)) throw Error(Code::kNotFound, fmt::format("no model file at {}", path));
  Checkpoint out;
  out.path = path;
  out.file = gguf::open(path);
  out.config = std::move(out.file.metadata);
  out.file.metadata = Value();
  return out;
}

std::string Checkpoint::architecture() const {
  const char* key = format == Format::kGguf ? "general.architecture" : "model_type";
  const Value* name = config.find(key);
  if (!name || !name->is_string()) throw Error(Code::kCorruptFile, fmt::format("{}: no {}", path, key));
  return name->as_string();
}

std::string Checkpoint::chat_template() const {
  const Value* text = format == Format::kGguf ? config.find("tokenizer.chat_template")
                                              : tokenizer_config.find("chat_template");
  if (!text) return "";
  if (text->is_string()) return text->as_string();
  // Several named templates: the one called "default" is for chat.
  for (size_t i = 0; text->is_list() && i < text->size(); ++i) {
    const Value& entry = text->as_list()[i];
    const Value* name = entry.find("name");
    if (name && name->is_string() && name->as_string() == "default") return entry.at("template").as_string();
  }
  return "";
}

}  // namespace hearth
