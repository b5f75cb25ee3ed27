#include "runtime/diffuse/model_files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "core/base/error.h"
#include "runtime/diffuse/values.h"

namespace hearth::diffuse {

namespace {

constexpr int kClipL = 768, kOpenClipH = 1024;  // widths

// A file of one encoder alone tells its family by its width only.
PictureFamily family_of(const std::vector<std::shared_ptr<const PictureFile>>& files, size_t encoders, int width) {
  if (encoders == 2) return PictureFamily::kSdxl;
  if (files.front()->family != PictureFamily::kUnknown) return files.front()->family;
  if (width == kOpenClipH) return PictureFamily::kSd2;
  return width > kClipL ? PictureFamily::kSdxlRefiner : PictureFamily::kSd1;
}

}  // namespace

NativeSize native_size(const PictureFile& file) {
  const Value* said = file.unet ? file.unet->tensors->file().metadata.find("modelspec.resolution") : nullptr;
  if (said && said->is_string()) {
    const std::string& text = said->as_string();
    NativeSize size;
    const size_t x = text.find('x');
    const char* end = text.data() + text.size();
    if (x != text.npos && std::from_chars(text.data(), end, size.width).ec == std::errc() &&
        std::from_chars(text.data() + x + 1, end, size.height).ec == std::errc() && size.width >= 8 &&
        size.height >= 8) {
      return size;
    }
  }
  switch (file.family) {
    case PictureFamily::kSd1: return {512, 512};
    case PictureFamily::kSd2: return {768, 768};
    default: return {1024, 1024};
  }
}

bool has_playground_latents(const Model& model) {
  const std::optional<EdmLevels>& edm = model.base->file().edm;
  return model.has_playground_latents || (edm && edm->is_playground);
}

LatentFormat latents_of(const Model& model) {
  if (has_playground_latents(model)) return playground_latents();
  return {.scale = model.base->file().latent_scale};
}

TextFiles::TextFiles(std::vector<std::shared_ptr<const PictureFile>> files) : files_(std::move(files)) {
  for (const auto& file : files_) {
    for (const PicturePart<ClipConfig>& part : file->text_encoders) {
      encoders_.push_back({part, fmt::format("text encoder {} of {}", encoders_.size() + 1, file->path)});
    }
  }
  if (encoders_.empty() || encoders_.size() > 2) {
    throw Error(Code::kUnsupported, fmt::format("{} text encoders, wanted CLIP-L, bigG or both", encoders_.size()));
  }
  const bool are_given_apart = files_.size() == 2 && encoders_.size() == 2;
  if (are_given_apart && encoders_[0].part.config.dim > encoders_[1].part.config.dim) {
    std::swap(encoders_[0], encoders_[1]);
  }
  const PictureFamily family = family_of(files_, encoders_.size(), encoders_[0].part.config.dim);
  encoders_.back().is_g = family != PictureFamily::kSd1;
  layer_ = family == PictureFamily::kSd1 ? -1 : -2;
  normalises_ = family == PictureFamily::kSd1 || family == PictureFamily::kSd2;
}

float VaeFile::tiny_scale() const {
  std::string stem = std::filesystem::path(file_->path).stem().string();
  std::transform(stem.begin(), stem.end(), stem.begin(), [](unsigned char c) { return std::tolower(c); });
  return stem.find("xl") != stem.npos ? 0.13025f : 0.18215f;
}

}  // namespace hearth::diffuse
