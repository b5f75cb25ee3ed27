// One reader for each format, and what they share. Readers get a file that begins as their format does.
#pragma once
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "formats/image/picture.h"

namespace hearth::image {

Decoded decode_png(std::string_view file, const Limits& limits);
Decoded decode_jpeg(std::string_view file, const Limits& limits);
Decoded decode_webp(std::string_view file, const Limits& limits);

/// Throws Error{kCorruptFile} with "PNG: what".
[[noreturn]] void corrupt(Format format, std::string_view what);

/// Throws unless both sides are positive and the product is within the limits.
void check_size(Format format, int64_t width, int64_t height, const Limits& limits);

/// A picture of that size, zeroed. Bugs throw: the sizes have been checked.
Picture make_picture(int64_t width, int64_t height, int channels);

/// The orientation (1 to 8) in EXIF data, which starts with its TIFF header; 1 when there is none or it is broken.
int exif_orientation(std::string_view exif);

/// Turned and mirrored so that it stands upright.
Picture upright(Picture picture, int orientation);

/// For encoders: throws Error{kInvalidArgument} unless sizes, channels and samples agree.
void check_picture(const Picture& picture);

}  // namespace hearth::image
