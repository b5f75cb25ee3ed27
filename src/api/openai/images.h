// POST /v1/images/generations: the body as a native call, and its answer. Pure functions; the field table is in
// images.cpp and docs/api.md.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/common/fields.h"
#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::openai {

struct ImageCall {
  std::string prompt, negative, model, preset, sampler, scheduler;
  std::optional<int64_t> n;
  bool is_auto_count = false;            // as many as memory holds, at most count()
  std::optional<int64_t> width, height;  // absent: the preset's, else the model's own
  std::optional<int64_t> steps;
  std::optional<double> cfg;
  std::optional<uint64_t> seed;
  bool wants_url = false;                // else the picture itself in base64
  std::string format = "png";            // png, jpeg or webp
  int64_t quality = 90;                  // of jpeg and webp

  /// Pictures: `n`, else 1, or 8 where memory decides.
  int64_t count() const;
};

/// Refusals are kInvalidArgument or kUnsupported; notes.param then names the field.
Result<ImageCall> parse_image_call(std::string_view body, api::ParseNotes& notes);

struct ImageItem {
  std::string base64, url;  // one of them
};
Value image_reply(int64_t created_s, const std::vector<ImageItem>& images, uint64_t seed);

/// Documentation of the fields, the table of docs/api.md.
std::string render_image_fields();

}  // namespace hearth::openai
