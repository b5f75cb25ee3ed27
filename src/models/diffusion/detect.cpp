#include "models/diffusion/detect.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "formats/json/json.h"
#include "models/diffusion/parts.h"
#include "models/load/weight_file.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

constexpr float kSd1Scale = 0.18215f, kSdxlScale = 0.13025f;
constexpr int kSizeIds = 6, kRefinerSizeIds = 5, kSizeDim = 256;
// Of a bias deep in SD2's last resolution: models trained to predict v spread it more (ComfyUI's rule).
constexpr double kVSpread = 0.09;
constexpr const char* kWeightFiles[] = {"diffusion_pytorch_model.safetensors",
                                        "diffusion_pytorch_model.fp16.safetensors",
                                        "diffusion_pytorch_model.safetensors.index.json",
                                        "diffusion_pytorch_model.fp16.safetensors.index.json",
                                        "model.safetensors",
                                        "model.fp16.safetensors",
                                        "model.safetensors.index.json",
                                        "diffusion_pytorch_model.bin",
                                        "pytorch_model.bin"};

bool has_attention(const UnetConfig::Level& level) {
  return std::any_of(level.depth.begin(), level.depth.end(), [](int depth) { return depth > 0; });
}

// SDXL is told sizes beside the text and has two text encoders. Where a file holds the denoiser alone, it is known by
// having no attention at its first resolution; small members of the family may have it there.
PictureFamily family_of(const PictureFile& file) {
  const UnetConfig& f = file.unet->config;
  if (f.adm_dim > 0 && file.text_encoders.size() == 2) return PictureFamily::kSdxl;
  if (f.adm_dim > 0 && !has_attention(f.down.front())) {
    return has_attention(f.down.back()) ? PictureFamily::kSdxl : PictureFamily::kSdxlRefiner;
  }
  return f.has_conv_projections ? PictureFamily::kSd1 : PictureFamily::kSd2;
}

void set_sizes(PictureFile& out) {
  const bool is_refiner = out.family == PictureFamily::kSdxlRefiner;
  out.size_ids = is_refiner ? kRefinerSizeIds : kSizeIds;
  const int adm = out.unet->config.adm_dim;
  out.pooled_dim = std::max(adm - out.size_ids * kSizeDim, 0);
  if (!out.text_encoders.empty()) out.pooled_dim = out.text_encoders.back().config.pooled_dim();
  out.size_dim = (adm - out.pooled_dim) / out.size_ids;
  if (out.size_dim <= 0 || out.pooled_dim + out.size_ids * out.size_dim != adm) {
    throw Error(Code::kUnsupported,
                fmt::format("{}: a vector of {} beside the text is not {} numbers of the text and {} sizes", out.path,
                            adm, out.pooled_dim, out.size_ids));
  }
}

// Of SD2 only: nothing else in the file tells what it predicts.
bool predicts_v(const PicturePart<UnetConfig>& unet) {
  if (unet.config.in_channels != 4) return false;
  const Located bias = unet.tensors->find("up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias");
  if (!bias || !fs::exists(unet.tensors->file().paths[bias.tensor->file])) return false;
  const std::vector<float> values = read_values(unet.tensors->file(), *bias.tensor);
  double sum = 0, squares = 0;
  for (float v : values) sum += v, squares += double{v} * v;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  return std::sqrt(std::max(squares / n - mean * mean, 0.0)) > kVSpread;
}

// The one number of a mark; absent: `otherwise`.
float mark(const TensorFile& file, const char* name, float otherwise) {
  const auto* tensor = file.find(name);
  if (!tensor || !fs::exists(file.paths[tensor->file])) return otherwise;
  const std::vector<float> values = read_values(file, *tensor);
  return values.empty() ? otherwise : values.front();
}

std::optional<EdmLevels> edm_levels(const PictureFile& out, const TensorFile& file) {
  constexpr float kPlaygroundMax = 80;
  EdmLevels levels;
  if (file.find("edm_mean") && file.find("edm_std")) {
    levels.is_playground = true;
    levels.sigma_max = kPlaygroundMax;
  } else if (file.find("edm_vpred.sigma_max")) {
    levels.sigma_max = mark(file, "edm_vpred.sigma_max", levels.sigma_max);
    levels.sigma_min = mark(file, "edm_vpred.sigma_min", levels.sigma_min);
  } else {
    return std::nullopt;
  }
  if (const int64_t channels = out.unet->config.in_channels; channels != 4 && channels != 9) {
    throw Error(Code::kUnsupported, fmt::format("{}: its UNet reads {} channels: a model that edits pictures by words "
                                                "(CosXL Edit, InstructPix2Pix). Use one of 4 channels, or of 9 for "
                                                "inpainting", out.path, channels));
  }
  if (levels.sigma_min > 0 && levels.sigma_min < levels.sigma_max && std::isfinite(levels.sigma_max)) return levels;
  throw Error(Code::kCorruptFile, fmt::format("{}: noise from {} to {}: edm_vpred.sigma_min must be above 0 and below "
                                              "edm_vpred.sigma_max", out.path, levels.sigma_min, levels.sigma_max));
}

void set_prediction(PictureFile& out, const TensorFile& file) {
  if (out.family == PictureFamily::kSdxl) out.edm = edm_levels(out, file);
  const bool is_v = file.find("v_pred") || (out.family == PictureFamily::kSd2 && predicts_v(*out.unet));
  out.prediction = is_v ? PicturePrediction::kV : PicturePrediction::kEps;
  out.has_zero_terminal_snr = file.find("ztsnr") != nullptr;
}

// What follows from the networks found.
void conclude(PictureFile& out) {
  if (!out.unet) return;
  out.family = family_of(out);
  const bool is_xl = out.family == PictureFamily::kSdxl || out.family == PictureFamily::kSdxlRefiner;
  out.latent_scale = is_xl ? kSdxlScale : kSd1Scale;
  if (is_xl) set_sizes(out);
}

Value read_json(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  Result<Value> value = json::parse(std::string{std::istreambuf_iterator<char>(in), {}});
  if (!value) throw Error(Code::kCorruptFile, fmt::format("{}: {}", path.string(), value.error().message()));
  return std::move(*value);
}

std::shared_ptr<const TensorFile> open_network(const fs::path& folder) {
  for (const char* file : kWeightFiles) {
    if (fs::exists(folder / file))
      return std::make_shared<const TensorFile>(open_weight_file((folder / file).string()));
  }
  return nullptr;
}

void find_all(PictureFile& out, const std::shared_ptr<const TensorFile>& file, const Value& config) {
  find_unet(out, file, config);
  find_text_encoders(out, file, config);
  find_vae(out, file, config);
  if (!out.vae) find_tiny_vae(out, file);
  if (!out.unet && !out.vae && out.text_encoders.empty()) find_adapters(out, file);
}

void read_scheduler(PictureFile& out, const Value& config) {
  if (const Value* type = config.find("prediction_type"); type && *type == Value("v_prediction")) {
    out.prediction = PicturePrediction::kV;
  }
  if (const Value* zero = config.find("rescale_betas_zero_snr"); zero && zero->is_bool()) {
    out.has_zero_terminal_snr = zero->as_bool();
  }
}

PictureFile open_folder(const fs::path& folder) {
  PictureFile out;
  out.path = folder.string();
  if (std::shared_ptr<const TensorFile> alone = open_network(folder)) {
    find_all(out, alone, read_json(folder / "config.json"));
    conclude(out);
    return out;
  }
  for (const char* part : {"unet", "text_encoder", "text_encoder_2", "vae"}) {
    const fs::path at = folder / part;
    std::shared_ptr<const TensorFile> file = fs::is_directory(at) ? open_network(at) : nullptr;
    if (file) find_all(out, file, read_json(at / "config.json"));
  }
  if (!out.unet && !out.vae && !out.tiny_vae && out.text_encoders.empty()) {
    throw Error(
        Code::kNotFound,
        fmt::format(
            "{} holds no model of pictures; give a .safetensors, .ckpt or .gguf file or a folder in diffusers layout "
            "(unet/, vae/, text_encoder/ with weights in them)",
            folder.string()));
  }
  conclude(out);
  out.layout = PictureLayout::kDiffusers;
  read_scheduler(out, read_json(folder / "scheduler" / "scheduler_config.json"));
  return out;
}

}  // namespace

std::string_view name(PictureFamily family) {
  switch (family) {
    case PictureFamily::kUnknown: return "unknown";
    case PictureFamily::kSd1: return "sd1";
    case PictureFamily::kSd2: return "sd2";
    case PictureFamily::kSdxl: return "sdxl";
    case PictureFamily::kSdxlRefiner: return "sdxl_refiner";
  }
  return "unknown";
}

std::string PictureFile::describe() const {
  std::vector<std::string> parts;
  if (unet) parts.push_back(fmt::format("{} unet", name(family)));
  if (!text_encoders.empty()) {
    parts.push_back(fmt::format("{} text encoder{}", text_encoders.size(), text_encoders.size() > 1 ? "s" : ""));
  }
  if (vae) parts.push_back("vae");
  if (tiny_vae) parts.push_back("tiny vae");
  if (lora) parts.push_back("LoRA");
  if (embedding) parts.push_back("embedding");
  return parts.empty() ? "nothing this build knows" : fmt::format("{}", fmt::join(parts, ", "));
}

PictureFile inspect_picture_file(const TensorFile& file) {
  PictureFile out;
  out.path = file.paths.empty() ? "" : file.paths.front();
  find_all(out, std::make_shared<const TensorFile>(file), {});
  conclude(out);
  if (out.unet) set_prediction(out, file);
  return out;
}

PictureFile open_picture_file(const std::string& path) {
  if (fs::is_directory(path)) return open_folder(path);
  if (!fs::exists(path)) throw Error(Code::kNotFound, fmt::format("no model file at {}", path));
  PictureFile out = inspect_picture_file(open_weight_file(path));
  out.path = path;
  return out;
}

}  // namespace hearth
