#include "planner/catalogue/shelf.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "planner/catalogue/catalogue.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"

namespace hearth::planner {
namespace {

namespace fs = std::filesystem;

bool is_there(const std::string& path) {
  std::error_code none;
  return fs::exists(path, none);
}

bool is_language(const fs::path& path) {
  if (fs::is_directory(path)) return fs::exists(path / "config.json") && !fs::exists(path / "model_index.json");
  if (path.extension() != ".gguf") return false;
  const std::vector<std::string> known = language_architectures();
  return std::find(known.begin(), known.end(), Checkpoint::open(path.string()).architecture()) != known.end();
}

// What pictures may be kept in.
std::optional<DType> picture_scheme(const std::string& quant) {
  if (quant.empty()) return std::nullopt;
  if (quant == "fp16") return DType::kF16;
  if (quant == "bf16") return DType::kBF16;
  if (quant == "fp32") return DType::kF32;
  throw Error(Code::kInvalidArgument, fmt::format("quant: got '{}', wanted fp32, fp16 or bf16, as pictures' models are "
                                                  "kept",
                                                  quant));
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = what.empty() ? text.npos : text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// Clients name models, and hear nothing of where they lie.
Error without_path(const Error& e, const std::string& path, const std::string& name) {
  std::error_code none;
  const std::string real = fs::canonical(path, none).string();
  const Error told(e.code(), replaced(replaced(e.message(), real, name), path, name), e.where());
  return e.details() ? told.with(e.details()) : told;
}

SubjectRef subject_installed(const Shelf& shelf, const std::string& name, const std::string& path,
                             const std::string& quant, const Caps& target) try {
  return subject_of_file(name, path, quant, target);
} catch (const Error& e) {
  if (shelf.opens_paths) throw;
  throw without_path(e, path, name);
}

// "llama-3.1-8b:q4_k_m" names a scheme of its own.
std::pair<std::string, std::string> split(const std::string& name, const std::string& quant) {
  const size_t colon = name.rfind(':');
  if (colon == name.npos) return {name, quant};
  return {name.substr(0, colon), name.substr(colon + 1)};
}

}  // namespace

SubjectRef subject_of_file(const std::string& name, const std::string& path, const std::string& quant,
                           const Caps& target) {
  if (is_language(path)) {
    if (!quant.empty()) {
      throw Error(Code::kInvalidArgument, fmt::format("quant: got '{}', but {} is what its file holds; schemes can be "
                                                      "chosen for models of the catalogue",
                                                      quant, name));
    }
    return std::make_shared<LanguageSubject>(name, Checkpoint::open(path), target);
  }
  const Caps cpu = cpu_caps(std::max(target.threads, 1));  // what pictures run on so far, whatever the machine
  return std::make_shared<PictureSubject>(name, std::vector{open_picture_file(path)}, cpu, picture_scheme(quant));
}

Result<SubjectRef> subject_of(const Shelf& shelf, const std::string& asked, const std::string& asked_quant,
                              const Caps& target) try {
  if (shelf.opens_paths && is_there(asked)) {
    return subject_of_file(fs::path(asked).stem().string(), asked, asked_quant, target);
  }
  auto installed = [&](const std::string& name) {
    return shelf.installed ? shelf.installed(name) : std::optional<std::string>();
  };
  if (const auto path = installed(asked)) return subject_installed(shelf, asked, *path, asked_quant, target);
  const auto [name, quant] = split(asked, asked_quant);
  if (shelf.opens_paths && is_there(name)) {
    return subject_of_file(fs::path(name).stem().string(), name, quant, target);
  }
  if (const auto path = installed(name)) return subject_installed(shelf, name, *path, quant, target);
  const std::vector<std::string> catalogue = Catalogue::built_in().model_names();
  if (std::find(catalogue.begin(), catalogue.end(), name) != catalogue.end()) {
    if (const Result<Quant> known = Catalogue::built_in().quant(quant); !known) {
      return unexpected(Code::kInvalidArgument, "quant: " + known.error().message());
    }
    Result<SubjectRef> made = Catalogue::built_in().subject(name, quant, target);
    if (made || made.error().code() != Code::kUnsupported) return made;
    return unexpected(Code::kUnsupported, "quant: " + made.error().message());
  }
  std::vector<std::string> known = shelf.names ? shelf.names() : std::vector<std::string>();
  known.insert(known.end(), catalogue.begin(), catalogue.end());
  return unexpected(unknown_name(shelf.opens_paths ? "model file, installed model or entry of the catalogue"
                                                   : "installed model or entry of the catalogue",
                                 name, known));
} catch (const Error& e) {
  return unexpected(e);
}

}  // namespace hearth::planner
