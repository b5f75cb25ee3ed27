#include "models/testing/tiny_picture.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "core/base/units.h"
#include "formats/json/json.h"
#include "formats/safetensors/safetensors.h"
#include "models/load/rows.h"

namespace hearth::testing {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kIo, "cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

// As make_picture_models.py draws them: SplitMix64 of the name's FNV-1a hash, the top eight bits.
std::vector<float> drawn(const std::string& name, int64_t n, int exponent, int base) {
  uint64_t seed = 0xCBF29CE484222325;
  for (unsigned char byte : name) seed = (seed ^ byte) * 0x100000001B3;
  std::vector<float> out(static_cast<size_t>(n));
  for (float& value : out) {
    uint64_t z = seed += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    int code = static_cast<int>((z ^ (z >> 31)) >> 56) - 128;
    if (base != 0) code >>= 2;
    value = static_cast<float>(base + std::ldexp(code, exponent));
  }
  return out;
}

std::vector<int64_t> shape_of(const Value& list) {
  std::vector<int64_t> shape;
  for (const Value& dim : list.as_list()) shape.push_back(dim.as_int());
  return shape;
}

int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  return n;
}

const char* safetensors_name(DType type) {
  return type == DType::kF16 ? "F16" : type == DType::kBF16 ? "BF16" : type == DType::kF64 ? "F64" : "F32";
}

std::vector<std::byte> bytes_of(DType type, const std::vector<float>& values) {
  if (type != DType::kF64) return encoded(type, values);
  const std::vector<double> wide(values.begin(), values.end());
  std::vector<std::byte> out(wide.size() * sizeof(double));
  std::memcpy(out.data(), wide.data(), out.size());
  return out;
}

}  // namespace

std::string picture_golden_path(const std::string& file) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  fs::path source = root ? root : fs::path(__FILE__).parent_path() / "../../..";
  return (source / "tests/golden/picture_models" / file).string();
}

void write_tensors(const std::string& path, const std::map<std::string, TinyPicture::Tensor>& tensors, DType type,
                   const Value& metadata) {
  Value header = Value::object();
  if (!metadata.is_null()) header.set("__metadata__", metadata);
  int64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const int64_t end = offset + row_bytes(type, std::ssize(tensor.values));
    Value::List shape;
    for (int64_t dim : tensor.shape) shape.emplace_back(dim);
    header.set(name, Value::object({{"dtype", safetensors_name(type)},
                                    {"shape", Value(shape)},
                                    {"data_offsets", Value(Value::List{offset, end})}}));
    offset = end;
  }
  std::string text = json::write(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  const uint64_t length = text.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << text;
  for (const auto& [name, tensor] : tensors) {
    const std::vector<std::byte> bytes = bytes_of(type, tensor.values);
    out.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }
  out.flush();
  if (!out) throw Error(Code::kIo, "cannot write " + path);
}

TinyPicture::TinyPicture(const std::string& name) : name_(name) {
  Result<Value> spec = json::parse(read_text(picture_golden_path(name + ".json")));
  if (!spec) throw Error(spec.error());
  spec_ = std::move(*spec);
  for (const auto& [component, part] : spec_.at("components").as_object()) {
    for (const Value& entry : part.at("tensors").as_list()) {
      const Value::List& field = entry.as_list();
      const std::string full = component + "/" + field[0].as_string();
      Tensor& tensor = tensors_[full];
      tensor.shape = shape_of(field[1]);
      tensor.values =
          drawn(full, product(tensor.shape), static_cast<int>(field[2].as_int()), static_cast<int>(field[3].as_int()));
    }
  }
}

void TinyPicture::take_prompts() {
  constexpr int kExponent = -9;
  constexpr int64_t kVocabulary = 49408, kPositions = 77, kSizeNumbers = 256;
  for (auto& [name, tensor] : tensors_) {
    if (name.ends_with("token_embedding.weight")) tensor.shape[0] = kVocabulary;
    if (name.ends_with("position_embedding.weight")) tensor.shape[0] = kPositions;
    if (name == "unet/add_embedding.linear_1.weight") {
      const int64_t sizes = name_ == "sdxl_refiner" ? 5 : 6;
      const int64_t told = spec_.at("components").at("unet").at("config").at("addition_time_embed_dim").as_int();
      tensor.shape[1] += sizes * (kSizeNumbers - told);
    }
    if (product(tensor.shape) != std::ssize(tensor.values)) {
      tensor.values = drawn(name, product(tensor.shape), kExponent, 0);
    }
  }
}

std::string TinyPicture::write_single(const std::string& folder, DType type) const {
  std::map<std::string, Tensor> file;
  for (const Value& entry : spec_.at("single_file").as_list()) {
    const Value::List& field = entry.as_list();
    Tensor out;
    for (const Value& part : field[1].as_list()) {
      const Tensor& from = tensors_.at(part.as_string());
      if (out.shape.empty()) out.shape = {0};
      const int64_t rows = out.shape[0] + from.shape[0];
      out.shape = from.shape;
      out.shape[0] = rows;
      out.values.insert(out.values.end(), from.values.begin(), from.values.end());
    }
    if (field[2].as_bool()) {
      const std::vector<std::byte> turned =
          transposed(DType::kF32, std::as_bytes(std::span(out.values)), out.shape[0], out.shape[1]);
      std::memcpy(out.values.data(), turned.data(), turned.size());
      std::swap(out.shape[0], out.shape[1]);
    }
    if (field.size() > 3) out.shape = shape_of(field[3]);
    file[field[0].as_string()] = std::move(out);
  }
  const std::string path = folder + "/" + name_ + ".safetensors";
  write_tensors(path, file, type);
  return path;
}

std::string TinyPicture::write_diffusers(const std::string& folder, DType type) const {
  const std::string root = folder + "/" + name_;
  for (const auto& [component, part] : spec_.at("components").as_object()) {
    std::map<std::string, Tensor> file;
    for (const auto& [name, tensor] : tensors_) {
      if (name.compare(0, component.size() + 1, component + "/") == 0) file[name.substr(component.size() + 1)] = tensor;
    }
    // The tiny autoencoder is a folder "vae" like the other.
    const std::string at = root + "/" + (component == "taesd" ? "vae" : component);
    const bool is_text = component.compare(0, 4, "text") == 0;
    write_tensors(at + (is_text ? "/model.safetensors" : "/diffusion_pytorch_model.safetensors"), file, type);
    std::ofstream(at + "/config.json") << json::write(part.at("config"));
  }
  return root;
}

PictureGolden PictureGolden::read(const std::string& name) {
  const TensorFile file = safetensors::open(picture_golden_path(name + ".golden.safetensors"));
  PictureGolden golden;
  for (const TensorInfo& info : file.tensors) {
    Tensor& tensor = golden.tensors[info.name];
    for (int64_t dim : info.shape) tensor.shape.append(dim);
    tensor.values = read_values(file, info);
    if (info.type == DType::kI32) tensor.ints.assign(tensor.values.begin(), tensor.values.end());
  }
  return golden;
}

PictureRig::PictureRig(CpuIsa isa, DeviceKind kind)
    : memory_({kind}), caps_(cpu_caps(2)),
      arena_(kind == DeviceKind::kMeta ? std::make_unique<Arena>()
                                       : std::make_unique<Arena>(*memory_.allocate(256 * MiB, "arena"))) {
  caps_.isa = isa;
  arena_->poison_on_release(true);
}

hearth::Tensor PictureRig::floats(const std::vector<float>& values, Shape shape) {
  hearth::Tensor t = *memory_.tensor(DType::kF32, shape, "test");
  check(t.numel() == std::ssize(values), "as many values as the shape has");
  if (t.raw()) std::memcpy(t.raw(), values.data(), sizeof(float) * values.size());
  return t;
}

hearth::Tensor PictureRig::ints(const std::vector<int32_t>& values, Shape shape) {
  hearth::Tensor t = *memory_.tensor(DType::kI32, shape, "test");
  check(t.numel() == std::ssize(values), "as many values as the shape has");
  if (t.raw()) std::memcpy(t.raw(), values.data(), sizeof(int32_t) * values.size());
  return t;
}

hearth::Tensor PictureRig::tensor(const PictureGolden::Tensor& from) {
  return from.ints.empty() ? floats(from.values, from.shape) : ints(from.ints, from.shape);
}

Ctx PictureRig::ctx(StepObserver* observer) {
  return {.device = memory_.device(), .caps = caps_, .arena = *arena_, .pool = &pool_, .observer = observer};
}

}  // namespace hearth::testing
