// Any bytes given as a picture file either give a picture of the size it says, or throw Error; what was read can be
// written in every format, and PNG gives it back as it was.
#include <cstdlib>

#include "core/base/error.h"
#include "formats/image/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth::image;
  constexpr Limits kLimits{.max_pixels = 1 << 16, .max_text_bytes = 1 << 16};
  try {
    Decoded read = decode({reinterpret_cast<const char*>(data), size}, kLimits);
    const Picture& picture = read.picture;
    if (picture.samples.size() != picture.row_bytes() * static_cast<size_t>(picture.height)) std::abort();
    if (picture.samples.size() > 1 << 14) return 0;
    Decoded back = decode(encode_png(picture, {.level = 1}), kLimits);
    if (back.picture.samples != picture.samples || back.picture.channels != picture.channels) std::abort();
    decode(encode_jpeg(picture, static_cast<int>(size % 101)), kLimits);
    decode(encode_webp(picture, {.quality = static_cast<float>(size % 101), .is_lossless = size % 2 == 0}), kLimits);
    // Texts that were read may have keywords that are not written, and then say so.
    decode(encode_png(picture, {.level = 1, .texts = read.texts}), kLimits);
  } catch (const hearth::Error& error) {
    if (error.code() == hearth::Code::kInternal) std::abort();
  }
  return 0;
}
