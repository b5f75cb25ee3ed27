#include "imagine_batch.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/nearest.h"
#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "runtime/diffuse/compute_options.h"

namespace hearth::app {
namespace {

using workflow::PictureOptions;

constexpr int64_t kMaxListBytes = int64_t{64} << 20;
constexpr int64_t kMaxPictureBytes = int64_t{256} << 20;
constexpr size_t kMaxSeeds = 100'000;

[[noreturn]] void refuse(std::string what) { throw Error(Code::kInvalidArgument, std::move(what)); }

template <class T>
T parse_number(const std::string& name, const std::string& text, const char* wanted) {
  T value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    refuse(fmt::format("{} is '{}', wanted {}", name, text, wanted));
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(at, begin)) != text.npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// RFC 4180: fields with commas, quotes or line ends stand in quotes, a quote inside is doubled.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = rows.back().back();
    if (is_quoted) {
      if (c != '"') field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') field += text[++i];
      else is_quoted = false;
    } else if (c == '"' && field.empty()) {
      is_quoted = true;
    } else if (c == ',') {
      rows.back().emplace_back();
    } else if (c == '\n') {
      rows.push_back({""});
    } else if (c != '\r') {
      field += c;
    }
  }
  std::erase_if(rows, [](const auto& row) { return row.size() == 1 && row[0].empty(); });
  return rows;
}

// A setting of one record. Two who name it would mean one of them is not heard.
void set_of_record(PictureOptions& options, const std::string& name, const std::string& value,
                   const TakenSettings& taken) {
  if (const auto flag = taken.find(name); flag != taken.end()) {
    refuse(fmt::format("'{}' is set here and by {}: drop it from the file, or leave {} out", name, flag->second,
                       flag->second));
  }
  set_option(options, name, value);
}

std::vector<PictureOptions> from_csv(const std::string& file, const std::string& text, const PictureOptions& base,
                                     const TakenSettings& taken) {
  const auto rows = parse_csv(text);
  if (rows.empty() || std::find(rows[0].begin(), rows[0].end(), "prompt") == rows[0].end()) {
    refuse(fmt::format("{}: the first line must name the columns, one of them 'prompt'", file));
  }
  std::vector<PictureOptions> out;
  for (size_t r = 1; r < rows.size(); ++r) {
    if (rows[r].size() > rows[0].size()) {
      refuse(fmt::format("{}, record {}: {} fields, the first line names {}", file, r + 1, rows[r].size(),
                         rows[0].size()));
    }
    PictureOptions options = base;
    try {
      for (size_t i = 0; i < rows[r].size(); ++i) {
        if (!rows[r][i].empty()) set_of_record(options, rows[0][i], rows[r][i], taken);
      }
    } catch (const Error& e) {
      refuse(fmt::format("{}, record {}: {}", file, r + 1, e.message()));
    }
    out.push_back(std::move(options));
  }
  return out;
}

std::string as_text(const Value& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_integer() || value.kind() == Value::Kind::kDouble) return json::write(value);
  refuse("values are texts and numbers");
}

std::vector<PictureOptions> from_jsonl(const std::string& file, const std::string& text, const PictureOptions& base,
                                       const TakenSettings& taken) {
  std::vector<PictureOptions> out;
  size_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    Result<Value> object = json::parse(line);
    if (!object || !object->is_object()) {
      refuse(
          fmt::format("{}:{}: wanted one JSON object{}", file, number, object ? "" : ": " + object.error().message()));
    }
    PictureOptions options = base;
    try {
      for (const auto& [name, value] : object->as_object()) set_of_record(options, name, as_text(value), taken);
    } catch (const Error& e) {
      refuse(fmt::format("{}:{}: {}", file, number, e.message()));
    }
    out.push_back(std::move(options));
  }
  return out;
}

std::vector<PictureOptions> from_lines(const std::string& text, const PictureOptions& base) {
  std::vector<PictureOptions> out;
  for (std::string line : split(text, '\n')) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    out.push_back(base);
    out.back().prompt = std::move(line);
  }
  return out;
}

// A prompt as part of a file name.
std::string slug(const std::string& prompt) {
  std::string out;
  for (char c : prompt) {
    if (out.size() >= 40) break;
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (is_plain) out += c;
    else if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    else if (!out.empty() && out.back() != '-') out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "picture" : out;
}

Value settings_of(const BatchItem& item) {
  const PictureOptions& o = item.options;
  Value loras = Value::list();
  for (const PictureOptions::Lora& lora : o.loras) {
    loras.push(Value::object({{"name", lora.name}, {"strength", lora.strength}}));
  }
  return Value::object({{"file", item.file}, {"prompt", o.prompt}, {"negative", o.negative}, {"model", o.checkpoint},
                        {"width", o.width}, {"height", o.height}, {"steps", o.steps}, {"cfg", o.cfg},
                        {"sampler", o.sampler}, {"scheduler", o.scheduler}, {"seed", o.seed}, {"loras", loras},
                        {"init", o.init}, {"mask", o.mask}, {"denoise", o.denoise}, {"precision", o.precision},
                        {"attention", o.attention}, {"vae_slicing", o.vae_slicing}, {"vae_tiling", o.vae_tiling},
                        {"vae_tile", o.vae_tile}});
}

const std::vector<std::string>& setting_names() {
  static const std::vector<std::string> names{
      "prompt",    "negative",  "steps",       "cfg",        "sampler", "scheduler", "seed", "size", "width", "height",
      "denoise",   "precision", "attention",   "vae_slicing", "vae_tiling", "vae_tile"};
  return names;
}

std::string one_of(const std::string& name, const std::string& value, const std::vector<std::string>& wanted) {
  if (std::find(wanted.begin(), wanted.end(), value) == wanted.end()) {
    refuse(fmt::format("{} is '{}', wanted {}", name, value, fmt::join(wanted, " or ")));
  }
  return value;
}

std::optional<int64_t> tile_of(const PictureOptions& o) {
  return o.vae_tile > 0 ? std::optional(o.vae_tile) : std::nullopt;
}

}  // namespace

void set_option(PictureOptions& o, const std::string& name, const std::string& value) {
  constexpr const char* kWhole = "a whole number";
  if (name == "prompt") o.prompt = value;
  else if (name == "negative") o.negative = value;
  else if (name == "steps") o.steps = parse_number<int64_t>(name, value, kWhole);
  else if (name == "cfg") o.cfg = parse_number<double>(name, value, "a number");
  else if (name == "sampler") o.sampler = value;
  else if (name == "scheduler") o.scheduler = value;
  else if (name == "seed") o.seed = parse_number<uint64_t>(name, value, kWhole);
  else if (name == "denoise") o.denoise = parse_number<double>(name, value, "a number from 0 to 1");
  else if (name == "precision") o.precision = value;
  else if (name == "attention") o.attention = value;
  else if (name == "vae_slicing") o.vae_slicing = one_of(name, value, {"on", "off"});
  else if (name == "vae_tiling") o.vae_tiling = value;
  else if (name == "vae_tile") {
    o.vae_tile = parse_number<int64_t>(name, value, "a number of pixels");
    if (o.vae_tiling.empty()) o.vae_tiling = "on";  // who says how large wants them
  }
  else if (name == "width") o.width = parse_number<int64_t>(name, value, kWhole);
  else if (name == "height") o.height = parse_number<int64_t>(name, value, kWhole);
  else if (name == "size") {
    const std::vector<std::string> sides = split(value, 'x');
    if (sides.size() > 2) refuse(fmt::format("size is '{}', wanted WIDTHxHEIGHT such as 1024x768", value));
    o.width = parse_number<int64_t>(name, sides.front(), "WIDTHxHEIGHT such as 1024x768");
    o.height = parse_number<int64_t>(name, sides.back(), "WIDTHxHEIGHT such as 1024x768");
  } else {
    const std::string nearest = nearest_name(name, setting_names());
    refuse(fmt::format("unknown setting '{}'{}; there are {}", name,
                       nearest.empty() ? "" : ", did you mean '" + nearest + "'?", fmt::join(setting_names(), ", ")));
  }
  // What no node can be asked before it is too late.
  diffuse::compute_options(diffuse::kPictureDevice, {.precision = o.precision, .attention = o.attention,
                                                     .vae_tiling = o.vae_tiling, .vae_tile = tile_of(o)}).value();
}

std::vector<PictureOptions> read_prompts(const std::string& file, const PictureOptions& base,
                                         const TakenSettings& taken) {
  Result<std::string> text = read_text(file, kMaxListBytes);
  if (!text) throw text.error();
  std::vector<PictureOptions> prompts;
  if (file.ends_with(".csv")) prompts = from_csv(file, *text, base, taken);
  else if (file.ends_with(".jsonl")) prompts = from_jsonl(file, *text, base, taken);
  else if (file.ends_with(".txt")) prompts = from_lines(*text, base);
  else refuse(fmt::format("--from {}: wanted a .csv, .jsonl or .txt file", file));
  if (prompts.empty()) refuse(fmt::format("--from {}: there is no prompt in it", file));
  return prompts;
}

std::vector<uint64_t> parse_seeds(const std::string& text) {
  constexpr const char* kWanted = "seeds such as 1..8 or 3,5,9";
  std::vector<uint64_t> seeds;
  for (const std::string& part : split(text, ',')) {
    const size_t dots = part.find("..");
    const auto first = parse_number<uint64_t>("--seeds", part.substr(0, dots), kWanted);
    const auto last = dots == part.npos ? first : parse_number<uint64_t>("--seeds", part.substr(dots + 2), kWanted);
    if (last < first) refuse(fmt::format("--seeds {}: the second is below the first", part));
    if (last - first >= kMaxSeeds) refuse(fmt::format("--seeds {}: at most {} seeds", part, kMaxSeeds));
    for (uint64_t seed = first;; ++seed) {
      seeds.push_back(seed);
      if (seed == last) break;
    }
  }
  return seeds;
}

GridAxis parse_axis(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) {
    refuse(fmt::format("--grid {}: wanted NAME=VALUE,VALUE such as steps=20,30", text));
  }
  GridAxis axis{text.substr(0, equals), split(text.substr(equals + 1), ',')};
  PictureOptions probe;
  for (const std::string& value : axis.values) set_option(probe, axis.name, value);
  return axis;
}

std::vector<BatchItem> expand(const std::vector<PictureOptions>& prompts, const std::vector<GridAxis>& grid,
                              const std::vector<uint64_t>& seeds) {
  struct Draft {
    PictureOptions options;
    std::string suffix;
  };
  std::vector<BatchItem> items;
  for (const PictureOptions& prompt : prompts) {
    std::vector<Draft> drafts{{prompt, ""}};
    for (const GridAxis& axis : grid) {
      std::vector<Draft> wider;
      for (const Draft& draft : drafts) {
        for (const std::string& value : axis.values) {
          wider.push_back({draft.options, draft.suffix + "_" + axis.name + "-" + slug(value)});
          set_option(wider.back().options, axis.name, value);
        }
      }
      drafts = std::move(wider);
    }
    for (const Draft& draft : drafts) {
      for (size_t s = 0; s < std::max<size_t>(seeds.size(), 1); ++s) {
        BatchItem& item = items.emplace_back(BatchItem{draft.options, ""});
        if (!seeds.empty()) item.options.seed = seeds[s];
        item.options.batch = 1;
        item.file = fmt::format("{:05}_{}{}_seed-{}.png", items.size(), slug(prompt.prompt), draft.suffix,
                                item.options.seed);
      }
    }
  }
  return items;
}

Value manifest_entry(const BatchItem& item, double seconds) {
  Value entry = settings_of(item);
  entry.set("seconds", seconds);
  return entry;
}

std::vector<bool> finished_items(const std::string& folder, const std::vector<BatchItem>& items) {
  std::map<std::string, Value> listed;
  if (const Result<std::string> text = read_text(fs::path(folder) / "manifest.jsonl", kMaxListBytes)) {
    for (const std::string& line : split(*text, '\n')) {
      Result<Value> entry = json::parse(line);  // a line cut short by a crash is no entry
      const Value* file = entry && entry->is_object() ? entry->find("file") : nullptr;
      if (file && file->is_string()) listed[file->as_string()] = *entry;
    }
  }
  std::vector<bool> finished;
  for (const BatchItem& item : items) {
    const auto found = listed.find(item.file);
    bool is_same = found != listed.end() && fs::is_regular_file(fs::path(folder) / item.file);
    if (is_same) {
      const Value wanted = settings_of(item);
      for (const auto& [name, value] : wanted.as_object()) {
        const Value* there = found->second.find(name);
        is_same = is_same && there && json::write(*there) == json::write(value);
      }
    }
    finished.push_back(is_same);
  }
  return finished;
}

void write_contact_sheet(const std::string& folder, const std::vector<BatchItem>& items, int columns, int cell) {
  const int count = static_cast<int>(items.size());
  columns = std::min(columns, std::max(count, 1));
  const int rows = (count + columns - 1) / columns;
  image::Picture sheet{columns * cell, rows * cell, 3, {}};
  sheet.samples.assign(sheet.row_bytes() * static_cast<size_t>(sheet.height), 255);
  for (int i = 0; i < count; ++i) {
    const Result<std::string> file = read_text(fs::path(folder) / items[static_cast<size_t>(i)].file, kMaxPictureBytes);
    if (!file) continue;
    const image::Picture picture = image::with_channels(image::decode(*file).picture, 3);
    const double scale = static_cast<double>(cell) / std::max(picture.width, picture.height);
    const int width = std::max(1, static_cast<int>(picture.width * scale)),
              height = std::max(1, static_cast<int>(picture.height * scale));
    const int left = i % columns * cell + (cell - width) / 2, top = i / columns * cell + (cell - height) / 2;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        // The mean of what falls into the pixel.
        const int x0 = x * picture.width / width, x1 = std::max(x0 + 1, (x + 1) * picture.width / width);
        const int y0 = y * picture.height / height, y1 = std::max(y0 + 1, (y + 1) * picture.height / height);
        int sum[3] = {};
        for (int v = y0; v < y1; ++v) {
          for (int u = x0; u < x1; ++u) {
            for (int c = 0; c < 3; ++c) sum[c] += picture.row(v)[u * 3 + c];
          }
        }
        const int n = (x1 - x0) * (y1 - y0);
        for (int c = 0; c < 3; ++c) sheet.row(top + y)[(left + x) * 3 + c] = static_cast<uint8_t>(sum[c] / n);
      }
    }
  }
  write_text(fs::path(folder) / "contact-sheet.png", image::encode_png(sheet)).value();
}

}  // namespace hearth::app
